use super::*;
use crate::domain::operators::{Operator, Operators, Role};
use crate::domain::secret::Secret;
use crate::observe::audit::AuditLog;
use std::io::{Read as _, Write as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

const ANY: &str = "127.0.0.1:0";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

fn state(access: api::Access, reloads: Option<api::Reloads>) -> Arc<AdminState> {
    let api = Arc::new(Api::new(access, AuditLog::disabled(), reloads));
    Arc::new(AdminState { metrics: Metrics::new(), readiness: Readiness::new(), api })
}

fn started() -> (Arc<AdminState>, AdminServer) {
    let state = state(api::Access::default(), None);
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

#[tokio::test(start_paused = true)]
async fn an_answer_is_not_cut_off_because_its_connection_is_old() {
    let operator = Operator::new("ann", Role::Operator, &Secret::new(TOKEN.as_bytes().to_vec()));
    let access = api::Access { operators: Operators::new(vec![operator]), ..api::Access::default() };
    let (reloads, mut asked) = mpsc::channel(1);
    let peer = Peer { client: [127, 0, 0, 1].into(), own: ([127, 0, 0, 1], 9901).into() };
    let (mut client, server) = tokio::io::duplex(4096);
    let talk = tokio::spawn(converse(server, Some(peer), state(access, Some(reloads))));
    let head = format!("Host: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n");
    client.write_all(format!("POST /api/v1/reload HTTP/1.1\r\n{head}\r\n").as_bytes()).await.unwrap();
    let under_way = asked.recv().await.unwrap();
    tokio::time::sleep(LIFETIME + LAST_ANSWER / 2).await;
    under_way.send(Ok(7)).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"generation\":7"), "{answer}");
    talk.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn whoever_never_reads_loses_the_connection_all_the_same() {
    let (mut client, server) = tokio::io::duplex(256);
    client.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let began = tokio::time::Instant::now();
    converse(server, None, state(api::Access::default(), None)).await;
    assert_eq!(began.elapsed().as_secs(), (LIFETIME + LAST_ANSWER).as_secs());
}
