//! WebSockets through the gate: the handshake is a request like any other, and afterwards every byte arrives.

use super::support::backend::{After, Backend};
use super::support::client::{Client, Response};
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::nowhere;
use super::support::played::{Played, Scene};
use std::io::Write;
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{client, Message, WebSocket};

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                         dGhlIHNhbXBsZSBub25jZQ==\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \
                      websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn open(gate: &Gate) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(gate.http).unwrap();
    stream.set_read_timeout(Some(super::support::PATIENCE)).unwrap();
    client(request(), stream).unwrap().0
}

fn request() -> impl IntoClientRequest {
    "ws://app.test/socket"
}

fn handshake(gate: &Gate, headers: &str) -> Response {
    gate.get("/socket", headers)
}

/// A handshake that the story's backend agreed to: both ends of the socket.
fn socket(gate: &Gate, backend: &Played) -> (Scene, Scene) {
    let mut client = Client::connect(gate.http);
    client.send(format!("GET /socket HTTP/1.1\r\nHost: app.test\r\n{HANDSHAKE}\r\n"));
    let mut scene = backend.next();
    scene.head();
    scene.say(AGREED);
    assert_eq!(client.receive().unwrap().status, 101);
    (Scene::of(client.into_stream()), scene)
}

#[test]
fn messages_of_every_size_come_back() {
    let gate = Gate::start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    let mut socket = open(&gate);
    for size in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let message = Message::binary(vec![7; size]);
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    assert!(gate.metric("doorward_streams_open{kind=\"websocket\"}") >= 1.0);
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

#[test]
fn no_handshake_is_torn() {
    let gate = Gate::start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    for turn in 0..300 {
        let mut socket = open(&gate);
        socket.send(Message::text("hello")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("hello"), "handshake {turn}");
    }
}

#[test]
fn what_a_client_says_early_and_a_backend_says_first_are_not_lost() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
    client.say(format!("GET /socket HTTP/1.1\r\nHost: app.test\r\n{HANDSHAKE}\r\nearly"));
    let mut scene = backend.next();
    scene.head();
    scene.say(format!("{AGREED}first"));
    client.head();
    assert_eq!(client.until("first"), "first");
    assert_eq!(scene.until("early"), "early");
}

#[test]
fn a_route_without_websockets_refuses_the_handshake() {
    let backend = Backend::echo();
    let route = format!("{}websocket = false\n\n", PUBLIC.trim_end().to_owned() + "\n");
    let gate = Gate::start(&[backend.upstream("app"), route].concat());
    assert_eq!(handshake(&gate, HANDSHAKE).verdict(), "403 forbidden");
    assert!(backend.seen().is_empty());
    assert_eq!(handshake(&gate, "").status, 200);
}

#[test]
fn a_handshake_needs_a_credential_like_any_request_and_tells_who_is_there() {
    let backend = Backend::echo();
    let issuers = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"");
    let route = "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n";
    let gate = Gate::setup().variable("SECRET", SECRET).start(&[&issuers, &backend.upstream("app"), route].concat());
    assert_eq!(handshake(&gate, HANDSHAKE).verdict(), "401 unauthenticated");
    assert!(backend.seen().is_empty());
    let token = issuer::token(&issuer::claims("https://issuer.test", "alice"), HS256);
    let forged =
        format!("{HANDSHAKE}Authorization: Bearer {token}\r\nX-Auth-Subject: root\r\nX_Auth_Subject: root\r\n");
    assert_eq!(handshake(&gate, &forged).status, 101);
    let seen = backend.last();
    assert_eq!(seen.folded("x-auth-subject"), [("x-auth-subject".to_owned(), "alice".to_owned())]);
    assert_eq!(seen.header("authorization"), None);
    assert!(seen.header("x-request-id").is_some());
}

#[test]
fn half_a_handshake_is_an_ordinary_request() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let without = |from: &str, to: &str| HANDSHAKE.replace(from, to);
    let halves = [
        without("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"),
        without("Upgrade: websocket\r\n", "Upgrade: websocket, h2c\r\n"),
        without("Connection: Upgrade\r\n", ""),
        without("Version: 13", "Version: 12"),
        without("dGhlIHNhbXBsZSBub25jZQ==", "short"),
    ];
    for half in &halves {
        let answer = handshake(&gate, half);
        assert_eq!(answer.status, 200, "{half}");
        assert_eq!(backend.last().header("upgrade"), None, "{half}");
    }
    let post = format!("POST /socket HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n{HANDSHAKE}\r\n");
    assert_eq!(gate.raw(post).status, 200);
    assert_eq!(backend.last().header("upgrade"), None);
}

#[test]
fn nobody_leaves_for_another_protocol() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n";
    assert_eq!(handshake(&gate, upgrade).status, 200);
    let seen = backend.last();
    assert_eq!([seen.header("upgrade"), seen.header("http2-settings")], [None, None]);
    assert!(!seen.header("connection").unwrap_or_default().to_ascii_lowercase().contains("upgrade"));
}

#[test]
fn a_backend_that_declines_is_heard_to_the_end() {
    let backend = Backend::answering(|_, stream| {
        let head = "HTTP/1.1 302 Found\r\nLocation: /sign-in\r\nX-Auth-Subject: root\r\n";
        write!(stream, "{head}Transfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n").map(|()| After::Keep)
    });
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let answer = handshake(&gate, HANDSHAKE);
    assert_eq!((answer.status, answer.text().as_str()), (302, "no"));
    assert_eq!(answer.header("location"), Some("/sign-in"));
    assert_eq!(answer.header("x-auth-subject"), None);
}

#[test]
fn a_backend_that_is_not_there_is_told_in_http() {
    let gone = nowhere();
    let upstream = format!("[[upstream]]\nname = \"app\"\nurl = \"http://{gone}\"\n\n");
    let gate = Gate::start(&[upstream.as_str(), PUBLIC].concat());
    assert_eq!(handshake(&gate, HANDSHAKE).verdict(), "503 upstream_unavailable");
}

#[test]
fn either_side_may_end_it_and_the_other_notices() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let (client, mut scene) = socket(&gate, &backend);
    drop(client);
    assert!(scene.is_left());
    let (mut client, scene) = socket(&gate, &backend);
    drop(scene);
    assert!(client.is_left());
}

#[test]
fn a_gate_that_leaves_says_so() {
    let gate = Gate::start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    let mut socket = open(&gate);
    gate.terminate();
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no Close") };
    assert_eq!(frame.code, CloseCode::Away);
    while socket.read().is_ok() {}
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn a_goodbye_never_lands_inside_a_frame() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let (mut client, mut scene) = socket(&gate, &backend);
    scene.say(b"\x82\x06abc");
    assert_eq!(client.until("abc").len(), "\u{fffd}".len() + 1 + 3);
    gate.terminate();
    scene.say(b"def");
    assert_eq!(client.until("def"), "def");
    assert_eq!(client.until("\u{3}").as_bytes().last(), Some(&3));
}

#[test]
fn an_address_that_refuses_the_connection_is_not_the_last_word() {
    let backend = Backend::echo();
    let gone = nowhere();
    let table = format!("[[upstream]]\nname = \"app\"\nurls = [\"http://{gone}\", \"http://{}\"]\n\n", backend.address);
    let gate = Gate::start(&[table.as_str(), PUBLIC].concat());
    for turn in 0..10 {
        let mut socket = open(&gate);
        socket.send(Message::text("hello")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("hello"), "handshake {turn}");
    }
    assert_eq!(backend.seen().len(), 10);
    assert!(gate.metric("doorward_upstream_ejections_total{upstream=\"app\"}") >= 1.0);
}

#[test]
fn hints_may_come_before_the_backend_agrees() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
    client.say(format!("GET /socket HTTP/1.1\r\nHost: app.test\r\n{HANDSHAKE}\r\n"));
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    scene.say(format!("{AGREED}first"));
    assert!(client.head().starts_with("HTTP/1.1 101 "), "hints are not for a socket");
    assert_eq!(client.until("first"), "first");
    client.say("second");
    assert_eq!(scene.until("second"), "second");
}

#[test]
fn a_backend_that_only_hints_is_no_backend() {
    let backend = Backend::answering(|_, stream| {
        write!(stream, "{}", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100)).map(|()| After::Keep)
    });
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    assert_eq!(handshake(&gate, HANDSHAKE).verdict(), "502 upstream_error");
}

#[test]
fn an_answer_that_breaks_off_is_not_shown_as_whole() {
    let halves = [
        "Content-Length: 10\r\n\r\nhalf",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Transfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    ];
    for half in halves {
        let backend = Backend::answering(move |_, stream| {
            write!(stream, "HTTP/1.1 403 Forbidden\r\n{half}").map(|()| After::Close)
        });
        let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
        let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
        client.say(format!("GET /socket HTTP/1.1\r\nHost: app.test\r\n{HANDSHAKE}\r\n"));
        let answer = client.rest();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(answer.contains("half"), "what came is passed on: {answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "it looks whole: {answer}");
    }
}
