use super::super::clock;
use super::super::counter::Counter;
use super::super::sink::tests::Paper;
use super::*;
use serde_json::{json, Value};
use std::sync::Arc;

fn line() -> Line<'static> {
    Line {
        time: WallTime { seconds: 1_785_585_600, millis: 123 },
        request_id: "0198f2c4-7d1e-7b3a-9c55-0a1b2c3d4e5f",
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        client: Some([192, 0, 2, 10].into()),
        method: "GET",
        host: b"app.example.com",
        path: b"/api/v1/orders/42",
        route: "app.example.com /api/**",
        decision: "admitted",
        reason: None,
        status: 200,
        source: Some("auth0"),
        subject: Some("auth0|5f7c8ec7c33c6c004bbafe82"),
        bytes_in: 512,
        bytes_out: 20_480,
        duration: Duration::from_micros(12_345),
        gate: Duration::from_nanos(2_713),
        upstream: Some("app"),
        upstream_duration: Some(Duration::from_micros(11_002)),
        protocol: "HTTP/1.1",
    }
}

fn logged(line: &Line<'_>) -> Value {
    let paper = Paper::default();
    let log = AccessLog::new(LogSink::start(Box::new(paper.clone()), Arc::new(Counter::default())).unwrap());
    log.write(line);
    assert!(log.flush());
    let text = paper.text();
    assert_eq!(text.matches('\n').count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_admitted_request_is_one_line_with_everything_about_it() {
    assert_eq!(
        logged(&line()),
        json!({
            "time": "2026-08-01T12:00:00.123Z", "request_id": "0198f2c4-7d1e-7b3a-9c55-0a1b2c3d4e5f",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "client_ip": "192.0.2.10", "method": "GET",
            "host": "app.example.com", "path": "/api/v1/orders/42", "route": "app.example.com /api/**",
            "decision": "admitted", "status": 200, "source": "auth0", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "bytes_in": 512, "bytes_out": 20480, "duration_ms": 12.345, "gate_us": 2.713, "upstream": "app",
            "upstream_ms": 11.002, "protocol": "HTTP/1.1",
        })
    );
}

#[test]
fn what_is_not_known_is_left_out() {
    let bare = Line {
        client: None,
        trace_id: None,
        source: None,
        subject: None,
        upstream: None,
        upstream_duration: None,
        reason: Some("no_route"),
        ..line()
    };
    let line = logged(&bare);
    for absent in ["client_ip", "trace_id", "source", "sub", "upstream", "upstream_ms"] {
        assert!(line.get(absent).is_none(), "{absent}");
    }
    assert_eq!(line["reason"], "no_route");
}

#[test]
fn neither_host_nor_path_can_forge_a_member_or_a_line() {
    let line = logged(&Line { host: b"a\",\"sub\":\"root", path: b"/\xff\n{\"status\":200}\x1b[2J", ..line() });
    assert_eq!(line["host"], "a\",\"sub\":\"root");
    assert_eq!(line["sub"], "auth0|5f7c8ec7c33c6c004bbafe82");
    assert_eq!(line["path"], "/\u{fffd}\n{\"status\":200}\u{1b}[2J");
}

#[test]
fn the_query_is_never_written_down() {
    assert_eq!(logged(&Line { path: b"/callback?code=hunter2", ..line() })["path"], "/callback");
    assert_eq!(logged(&Line { path: b"/app#access_token=hunter2", ..line() })["path"], "/app");
}

#[test]
fn a_disabled_log_takes_lines_and_flushes() {
    let log = AccessLog::disabled();
    log.write(&line());
    assert!(log.flush());
}

/// `cargo test --profile quick --lib -- --ignored --nocapture what_a_line_costs`
#[test]
#[ignore = "a measurement, not a claim"]
fn what_a_line_costs() {
    const LINES: u32 = 100;
    let dropped = Arc::new(Counter::default());
    let log = AccessLog::new(LogSink::start(Box::new(std::io::sink()), Arc::clone(&dropped)).unwrap());
    let mut bursts = Vec::new();
    for _ in 0..3000 {
        let start = clock::instant();
        for number in 0..LINES {
            log.write(&Line { time: clock::wall(), bytes_out: number.into(), ..line() });
        }
        bursts.push(start.elapsed() / LINES);
        assert!(log.flush());
    }
    bursts.sort_unstable();
    println!("a line: {:?} at best, {:?} at the median, {} dropped", bursts[0], bursts[1500], dropped.value());
}
