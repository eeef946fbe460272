use super::*;
use crate::observe::audit::AuditLog;
use std::io::{Read as _, Write as _};

const ANY: &str = "127.0.0.1:0";

fn started() -> (Arc<AdminState>, AdminServer) {
    let api = Arc::new(Api::new(api::Access::default(), AuditLog::disabled(), None));
    let state = Arc::new(AdminState { metrics: Metrics::new(), readiness: Readiness::new(), api });
    let any = ANY.parse().unwrap();
    let server = serve(any, Some(any), Arc::clone(&state)).unwrap();
    (state, server)
}

fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // a listener that refuses may close before it has read everything
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    send(address, &format!("{method} {path} HTTP/1.1\r\nHost: who.knows.example\r\nConnection: close\r\n\r\n"))
}

#[test]
fn it_lives_before_it_is_ready() {
    let (_, server) = started();
    for address in [server.listen, server.health.unwrap()] {
        assert!(ask(address, "GET", "/livez").starts_with("HTTP/1.1 200 "));
        let answer = ask(address, "GET", "/readyz");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains(r#"{"ready":false,"reasons":["starting"],"detail":""#), "{answer}");
    }
}

#[test]
fn it_is_ready_until_it_drains_and_never_again() {
    let (state, server) = started();
    state.readiness.set_ready();
    assert!(ask(server.listen, "GET", "/readyz").starts_with("HTTP/1.1 200 "));
    state.readiness.set_draining();
    state.readiness.set_ready();
    let answer = ask(server.listen, "GET", "/readyz");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("draining"), "{answer}");
    assert!(ask(server.listen, "GET", "/livez").starts_with("HTTP/1.1 200 "));
}

#[test]
fn metrics_are_the_text_prometheus_reads() {
    let (state, server) = started();
    state.metrics.auth.of(crate::domain::principal::AuthMethod::Bearer).accepted.inc();
    let answer = ask(server.health.unwrap(), "GET", "/metrics?x=1");
    assert!(answer.contains("content-type: text/plain; version=0.0.4\r\n"), "{answer}");
    assert!(answer.contains("doorward_auth_total{method=\"bearer\",result=\"accepted\"} 1\n"), "{answer}");
}

#[test]
fn head_gets_the_header_alone() {
    let (_, server) = started();
    let answer = ask(server.listen, "HEAD", "/livez");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-length: 3\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn there_is_nothing_else() {
    let (_, server) = started();
    for path in ["/", "/livez/", "/LIVEZ", "//livez", "/metrics/../livez", "/api/v1/keys", "/%6civez"] {
        let answer = ask(server.listen, "GET", path);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
        assert!(answer.contains(r#""code":"no_route""#), "{answer}");
    }
}

#[test]
fn nothing_here_can_be_changed() {
    let (_, server) = started();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = ask(server.listen, method, "/readyz");
        assert!(answer.starts_with("HTTP/1.1 405 "), "{method}: {answer}");
        assert!(answer.contains("allow: GET, HEAD\r\n") && answer.contains("method_not_allowed"), "{answer}");
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_at_the_start() {
    let (state, server) = started();
    let error = serve(server.listen, None, state).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&server.listen.to_string()), "{error}");
}

#[test]
fn a_header_that_is_too_large_is_refused() {
    let (_, server) = started();
    let many = "X-A: b\r\n".repeat(MAX_HEADERS);
    let answer = send(server.listen, &format!("GET /livez HTTP/1.1\r\nHost: a\r\n{many}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let long = "x".repeat(MAX_HEADER);
    let answer = send(server.listen, &format!("GET /livez HTTP/1.1\r\nHost: a\r\nX-A: {long}"));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[test]
fn a_server_that_is_dropped_gives_its_port_back() {
    let (state, server) = started();
    let address = server.listen;
    drop(server);
    assert_eq!(serve(address, None, state).unwrap().listen, address);
}
