//! Clients that stall: nobody holds a connection by saying nothing, or too little, and nobody slow is mistaken for one.

use super::support::backend::Backend;
use super::support::client::Client;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::played::{Played, Scene};
use super::support::tls::{self, Authority};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// Not more than a starved machine can bear: whoever does go on is to be in time.
fn impatient(backend: &str) -> Gate {
    let limits = "header_timeout = \"2s\"\nidle_timeout = \"2s\"\nmax_header = \"4KiB\"";
    Gate::setup().server(limits).start(&[backend, PUBLIC].concat())
}

fn connect(gate: &Gate) -> Scene {
    Scene::of(TcpStream::connect(gate.http).unwrap())
}

#[test]
fn a_connection_that_never_says_enough_is_closed() {
    let backend = Backend::echo();
    let gate = impatient(&backend.upstream("app"));
    let beginnings = ["", "G", "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: app.test\r\n", "PRI * HT"];
    let clients = beginnings.map(|beginning| {
        let mut client = connect(&gate);
        client.say(beginning);
        (beginning, client)
    });
    for (beginning, mut client) in clients {
        assert!(client.is_left(), "{beginning:?}");
    }
    assert!(backend.seen().is_empty());
    eventually("it is counted", || gate.metric("doorward_parse_failures_total") >= 3.0);
}

#[test]
fn a_handshake_that_never_goes_on_is_closed() {
    let pair = Authority::new().issue("app.test");
    let setup = Gate::setup().file("tls.crt", pair.cert).file("tls.key", pair.key);
    let tls = "header_timeout = \"300ms\"\n[server.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"";
    let gate = setup.server(tls).start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    for beginning in ["", "\x16", "\x16\x03\x01\x02\x00\x01"] {
        let mut client = connect(&gate);
        client.say(beginning);
        assert!(client.is_left(), "{beginning:?}");
    }
}

#[test]
fn a_client_that_agrees_on_http2_and_then_says_nothing_is_closed() {
    let authority = Authority::new();
    let pair = authority.issue("app.test");
    let setup = Gate::setup().file("tls.crt", pair.cert).file("tls.key", pair.key);
    let limits = "header_timeout = \"5s\"\n[server.tls]\ncert = \"tls.crt\"\nkey = \"tls.key\"";
    let gate = setup.server(limits).start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    let mut stream = tls::connect(gate.http, &authority, "app.test", "h2");
    stream.flush().unwrap();
    let mut rest = Vec::new();
    // However the end comes, it comes before our patience runs out.
    let ended = stream.read_to_end(&mut rest);
    assert!(!ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "still open");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
}

#[test]
fn a_head_that_drips_is_cut_however_steadily() {
    let backend = Backend::echo();
    let gate = impatient(&backend.upstream("app"));
    let mut fresh = connect(&gate);
    fresh.say("GET / HTTP/1.1\r\n");
    assert!(fresh.drips("X"), "the first head");
    let mut kept = connect(&gate);
    kept.say(GET);
    kept.until("\r\n\r\n");
    kept.until("\r\n\r\n");
    assert!(kept.drips("X"), "a later head on the same connection");
}

#[test]
fn a_kept_connection_is_closed_when_nothing_comes() {
    let gate = impatient(&Backend::echo().upstream("app"));
    let mut client = Client::connect(gate.http);
    client.send(GET);
    assert_eq!(client.receive().unwrap().status, 200);
    assert_eq!(client.rest(), Some(Vec::new()));
}

#[test]
fn an_http2_connection_is_closed_when_nothing_comes() {
    let gate = impatient(&Backend::echo().upstream("app"));
    let mut client = Client::connect(gate.http);
    client.send([PREFACE, SETTINGS].concat());
    assert!(client.rest().is_some());
}

#[test]
fn a_body_that_stalls_ends_the_request() {
    let backend = Played::start();
    // a backend that waits for the rest is not to blame
    let gate = impatient(&backend.upstream("app", "read_timeout = \"300ms\""));
    let mut client = Client::connect(gate.http);
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 10\r\n\r\nhalf");
    let mut scene = backend.next();
    scene.until("half");
    assert_eq!(client.receive().unwrap().verdict(), "408 request_timeout");
    assert_eq!(client.rest(), Some(Vec::new()));
    assert!(scene.is_left(), "half a request is not left standing at the backend");
}

#[test]
fn a_body_that_is_slow_but_steady_arrives() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", "read_timeout = \"2s\""));
    let mut client = Client::connect(gate.http);
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 30000\r\n\r\n");
    let mut scene = backend.next();
    scene.head();
    for _ in 0..30 {
        // longer than any timeout in sum, shorter than each, and more than 500 bytes a second
        std::thread::sleep(std::time::Duration::from_millis(100));
        client.send(format!("{}y", "x".repeat(999)));
        scene.until("y");
    }
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.receive().unwrap().status, 200);
}

#[test]
fn an_upload_that_was_answered_already_may_not_drip_for_ever() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", ""));
    let mut client = connect(&gate);
    client.say("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\nx");
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    assert!(client.head().contains("200 OK"));
    assert!(client.drips("x"));
}

#[test]
fn a_body_that_drips_ends_the_request_and_nobody_is_blamed_for_it() {
    let backend = Played::start();
    let gate = impatient(&backend.upstream("app", ""));
    for _ in 0..3 {
        let mut client = connect(&gate);
        client.say("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 100000\r\n\r\n");
        let mut scene = backend.next();
        scene.head();
        assert!(client.drips("x"));
    }
    gate.accounted(3);
    let line = gate.journal.wait(|line| line["kind"] != "audit");
    assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(408), Some("request_timeout")));
    assert_eq!(gate.metric("doorward_upstream_ejections_total{upstream=\"app\"}"), 0.0);
}

#[test]
fn an_answer_that_has_begun_may_pause_whatever_the_client_still_sends() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", "read_timeout = \"1s\""), PUBLIC].concat());
    let mut client = Client::connect(gate.http);
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 8\r\n\r\nhalf");
    let mut scene = backend.next();
    scene.until("half");
    scene.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.receive_head().unwrap().status, 200);
    client.send("half");
    scene.until("half");
    // longer than a header may take
    std::thread::sleep(std::time::Duration::from_millis(1500));
    scene.say("3\r\nend\r\n0\r\n\r\n");
    assert_eq!(client.chunk().as_deref(), Some(b"end".as_slice()));
}

#[test]
fn a_head_above_the_limit_is_refused() {
    let backend = Backend::echo();
    let gate = impatient(&backend.upstream("app"));
    assert_eq!(gate.get("/", &format!("X-Long: {}\r\n", "x".repeat(3000))).status, 200);
    assert_eq!(gate.get("/", &format!("X-Long: {}\r\n", "x".repeat(5000))).verdict(), "431 header_too_large");
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn a_head_without_end_is_cut() {
    let gate = Gate::start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    let mut client = connect(&gate);
    client.say("GET / HTTP/1.1\r\n");
    assert!(client.drips(&format!("X: {}\r\n", "x".repeat(64 * 1024))));
}
