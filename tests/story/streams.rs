//! HTTP/2 clients: each request has its own time, and what ends one leaves the others on its connection alone.

use super::support::backend::{text, Backend};
use super::support::gate::Gate;
use super::support::h2::Talk;
use super::support::played::Played;
use bytes::Bytes;
use std::time::Duration;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const EJECTED: &str = "doorward_upstream_ejections_total{upstream=\"app\"}";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Not more than a starved machine can bear: whoever does go on is to be in time.
fn impatient(upstream: &str) -> Gate {
    with_routes(&[upstream, PUBLIC].concat())
}

fn with_routes(tables: &str) -> Gate {
    Gate::setup().server("header_timeout = \"2s\"\nidle_timeout = \"2s\"").start(tables)
}

#[test]
fn an_upload_that_stalls_costs_its_stream_and_nobody_is_blamed_for_it() {
    let (backend, other) = (Played::start(), Backend::answering(text("", "ok")));
    // a backend that waits for the rest is not to blame, however little it is given to answer
    let stalled = backend.upstream("app", "read_timeout = \"300ms\"\nstream_idle = \"300ms\"");
    let routes = ["app", "other"]
        .map(|name| format!("[[route]]\npath = \"/{name}\"\naccess = \"public\"\nupstream = {name:?}\n\n"));
    let gate = with_routes(&[stalled, other.upstream("other"), routes.concat()].concat());
    let mut talk = Talk::connect(gate.http);
    for _ in 0..4 {
        let (answer, mut body) = talk.post("/app");
        body.send_data(Bytes::from_static(b"half"), false).unwrap();
        let mut scene = backend.next();
        scene.until("half");
        assert_eq!(talk.until(answer).unwrap().status(), 408);
        scene.until("\r\n");
        assert!(scene.is_left(), "half a request is not left standing at the backend");
    }
    // the connection lives on
    let answer = talk.get("/other");
    assert_eq!(talk.until(answer).unwrap().status(), 200);
    gate.accounted(5);
    assert_eq!(gate.metric(EJECTED), 0.0);
    let line = gate.journal.wait(|line| line["path"] == "/app" && line["kind"] != "audit");
    assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(408), Some("request_timeout")));
}

#[test]
fn an_early_answer_leaves_no_upload_to_hold_the_backend() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", ""));
    let mut talk = Talk::connect(gate.http);
    let (answer, mut body) = talk.post("/");
    body.send_data(Bytes::from_static(b"half"), false).unwrap();
    let mut scene = backend.next();
    scene.until("half");
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let mut answer = talk.until(answer).unwrap().into_body();
    assert_eq!(talk.piece(&mut answer).unwrap(), "ok");
    scene.until("\r\n");
    assert!(scene.is_left());
    gate.accounted(1);
    assert_eq!(gate.metric(EJECTED), 0.0);
}

#[test]
fn a_body_that_drips_is_no_upload() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", ""));
    let mut talk = Talk::connect(gate.http);
    let (answer, mut body) = talk.post("/");
    let drip = talk.runtime.spawn(async move {
        while body.send_data(Bytes::from_static(b"x"), false).is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(talk.until(answer).unwrap().status(), 408);
    drip.abort();
    let mut scene = backend.next();
    scene.head();
    assert_eq!(gate.metric(EJECTED), 0.0);
}

#[test]
fn an_upload_that_pauses_and_goes_on_arrives() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", "read_timeout = \"2s\""), PUBLIC].concat());
    let mut talk = Talk::connect(gate.http);
    let (answer, mut body) = talk.post("/");
    let mut scene = backend.next();
    scene.head();
    for _ in 0..2 {
        body.send_data(Bytes::from_static(&[b'x'; 1000]), false).unwrap();
        scene.until("xxx\r\n");
        // longer than a response header may take, and shorter than a client may pause
        std::thread::sleep(Duration::from_millis(2500));
    }
    body.send_data(Bytes::new(), true).unwrap();
    scene.until("0\r\n\r\n");
    scene.say(EMPTY);
    assert_eq!(talk.until(answer).unwrap().status(), 200);
}

#[test]
fn the_answer_to_an_upload_may_pause_once_it_has_begun() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", "read_timeout = \"2s\""));
    let mut talk = Talk::connect(gate.http);
    let (answer, mut body) = talk.post("/");
    body.send_data(Bytes::from_static(b"all"), true).unwrap();
    let mut scene = backend.next();
    scene.until("0\r\n\r\n");
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none");
    let mut answer = talk.until(answer).unwrap().into_body();
    assert_eq!(talk.piece(&mut answer).unwrap(), "one");
    std::thread::sleep(Duration::from_millis(2500));
    scene.say("two");
    assert_eq!(talk.piece(&mut answer).unwrap(), "two");
}

#[test]
fn an_answer_may_pause_once_it_has_begun_and_not_for_ever() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", "read_timeout = \"2s\"\nstream_idle = \"6s\""));
    let mut talk = Talk::connect(gate.http);
    let answer = talk.get("/");
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none");
    let mut answer = talk.until(answer).unwrap().into_body();
    assert_eq!(talk.piece(&mut answer).unwrap(), "one");
    std::thread::sleep(Duration::from_millis(2500));
    scene.say("two");
    assert_eq!(talk.piece(&mut answer).unwrap(), "two");
    assert_eq!(talk.piece(&mut answer), None, "a reset after stream_idle");
    assert!(!answer.is_end_stream(), "it looks whole");
}

#[test]
fn a_backend_that_has_it_all_and_says_nothing_is_to_blame() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", "read_timeout = \"300ms\""));
    let mut talk = Talk::connect(gate.http);
    for _ in 0..3 {
        let (answer, mut body) = talk.post("/late");
        body.send_data(Bytes::from_static(b"all"), true).unwrap();
        let mut scene = backend.next();
        scene.until("0\r\n\r\n");
        assert_eq!(talk.until(answer).unwrap().status(), 504);
    }
    gate.accounted(3);
    assert_eq!(gate.metric(EJECTED), 1.0);
    let line = gate.journal.wait(|line| line["path"] == "/late" && line["kind"] != "audit");
    assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(504), Some("upstream_timeout")));
}

#[test]
fn a_late_answer_to_a_question_without_body_is_a_504() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", "read_timeout = \"300ms\""));
    let mut talk = Talk::connect(gate.http);
    let answer = talk.get("/");
    let mut scene = backend.next();
    scene.head();
    assert_eq!(talk.until(answer).unwrap().status(), 504);
}

#[test]
fn a_call_may_be_silent_both_ways() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", "read_timeout = \"300ms\""));
    let mut talk = Talk::connect(gate.http);
    let request = http::Request::post("http://app.test/").header("content-type", "application/grpc");
    let (answer, mut body) = talk.send(request.body(()).unwrap(), false);
    body.send_data(Bytes::from_static(b"one"), false).unwrap();
    let mut scene = backend.next();
    scene.until("one");
    // longer than a client may pause who does anything else
    std::thread::sleep(Duration::from_millis(2500));
    body.send_data(Bytes::from_static(b"two"), true).unwrap();
    scene.until("0\r\n\r\n");
    scene.say(EMPTY);
    assert_eq!(talk.until(answer).unwrap().status(), 200);
}

/// A connection's first bytes are awaited under a cap for heads; what follows an HTTP/2 head is none.
#[test]
fn a_first_upload_larger_than_any_head_arrives_whole() {
    const SIZE: usize = 900 << 10;
    let backend = Backend::answering(text("", "ok"));
    let gate = Gate::setup().server("max_header = \"1KiB\"").start(&[&backend.upstream("app"), PUBLIC].concat());
    for _ in 0..5 {
        let mut talk = Talk::connect(gate.http);
        let (answer, mut body) = talk.post("/");
        // everything at once, as fast as the windows allow
        body.send_data(Bytes::from(vec![b'x'; SIZE]), true).unwrap();
        assert_eq!(talk.until(answer).unwrap().status(), 200);
        let received = backend.take().pop().unwrap().body;
        assert_eq!(received.iter().filter(|&&byte| byte == b'x').count(), SIZE);
    }
}

#[test]
fn a_new_connection_has_the_limits_of_the_file_as_it_is_now() {
    let upstream = Backend::answering(text("", "ok")).upstream("app");
    let gate = Gate::setup().server("max_header = \"8KiB\"").start(&[&upstream, PUBLIC].concat());
    let long = || {
        let request = http::Request::get("http://app.test/").header("x-long", "x".repeat(4000));
        let mut talk = Talk::connect(gate.http);
        let (answer, _) = talk.send(request.body(()).unwrap(), true);
        talk.until(answer).map(|answer| answer.status().as_u16())
    };
    assert_eq!(long().unwrap(), 200);
    let file = gate.directory().join("doorward.toml");
    let smaller = std::fs::read_to_string(&file)
        .unwrap()
        .replace("8KiB", "2KiB")
        .replace("[server]", "[server]\nidle_timeout = \"1s\"");
    std::fs::write(file, smaller).unwrap();
    gate.messages.wait(|line| line["message"] == "configuration reloaded");
    assert!(!matches!(long(), Ok(200)));
    // and leaves when nothing comes for as long as the file says now
    let talk = Talk::connect(gate.http);
    let ended = talk.runtime.block_on(async { tokio::time::timeout(super::support::PATIENCE, talk.connection).await });
    assert!(ended.is_ok(), "still open");
}
