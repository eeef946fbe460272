//! What goes on ends with the credential it was admitted with: sockets, event streams, downloads; and nobody else's do.

use super::support::backend::Backend;
use super::support::browser::{Browser, SCRIPT};
use super::support::client::Client;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::h2::Talk;
use super::support::issuer::{self, HS256, SECRET};
use super::support::operator::{api, TOKEN};
use super::support::people::{self, LOCAL};
use super::support::played::{Played, Scene};
use http::{HeaderValue, Request};
use serde_json::json;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{client, Message, WebSocket};

const ROUTE: &str = "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n";
/// Seconds that a token lives which is to end while somebody looks on: enough to be admitted on a starved machine.
const SHORT: u64 = 6;
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// With these users; tokens of an issuer count too, up to the second they expire.
fn start(names: &[&str], upstream: &str, more: &str) -> Gate {
    let issuers = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"\nleeway = \"0s\"");
    let users: String = names.iter().map(|name| people::user(name, "user")).collect();
    let setup = people::setup().variable("SECRET", SECRET).file("users.toml", users);
    setup.start(&[more, &issuers, LOCAL, upstream, ROUTE].concat())
}

/// One that says nothing about itself, so that whatever holds its cookies looks like it.
fn signed_in(gate: &Gate, name: &str) -> Browser {
    let mut browser = Browser { device: String::new(), ..Browser::new(gate) };
    assert_eq!(browser.sign_in(name).status, 303);
    browser
}

fn sign_out(browser: &Browser) {
    let answer = browser.clone().post("/.auth/logout");
    assert!(answer.status < 400, "{answer:?}");
}

fn request(browser: &Browser, path: &str) -> String {
    browser.bytes("GET", path, SCRIPT, "")
}

fn socket_of(browser: &Browser, gate: &Gate) -> WebSocket<TcpStream> {
    socket(gate, "cookie", &browser.pairs())
}

fn socket(gate: &Gate, name: &'static str, value: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(gate.http).unwrap();
    stream.set_read_timeout(Some(super::support::PATIENCE)).unwrap();
    let mut request = "ws://localhost/socket".into_client_request().unwrap();
    request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    client(request, stream).unwrap().0
}

fn echoes(socket: &mut WebSocket<TcpStream>) {
    socket.send(Message::text("still there?")).unwrap();
    assert_eq!(socket.read().unwrap(), Message::text("still there?"));
}

/// Code and reason of the Close that comes next.
fn closed(socket: &mut WebSocket<TcpStream>) -> (CloseCode, String) {
    let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no Close") };
    (frame.code, frame.reason.as_str().to_owned())
}

fn metric_becomes(gate: &Gate, series: &str, value: f64) {
    eventually(series, || gate.metric(series) >= value);
}

#[test]
fn an_emergency_ends_the_sockets_of_tokens_under_the_old_keys_and_no_session() {
    let gate = people::setup()
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .file("users.toml", people::user("alice", "user"))
        .start(&[LOCAL, &Backend::echo().upstream("app"), ROUTE].concat());
    let mut alice = signed_in(&gate, "alice");
    let mut socket = socket_of(&alice, &gate);
    echoes(&mut socket);
    let answer = api(&gate, TOKEN, "POST /api/v1/keys/rotate", r#"{"mode":"emergency"}"#);
    assert_eq!(answer.status, 200);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "token_revoked".to_owned()));
    let answer = alice.get("/app");
    assert_eq!(answer.status, 200, "renewed under the new key: {answer:?}");
}

#[test]
fn a_socket_ends_with_its_session_and_nobody_elses_does() {
    let gate = start(&["alice", "bob"], &Backend::echo().upstream("app"), "");
    let (alice, bob) = (signed_in(&gate, "alice"), signed_in(&gate, "bob"));
    let elsewhere = signed_in(&gate, "alice");
    let (mut hers, mut his, mut other) =
        (socket_of(&alice, &gate), socket_of(&bob, &gate), socket_of(&elsewhere, &gate));
    [&mut hers, &mut his, &mut other].into_iter().for_each(echoes);
    sign_out(&alice);
    assert_eq!(closed(&mut hers), (CloseCode::Policy, "session_terminated".to_owned()));
    while hers.read().is_ok() {}
    [&mut his, &mut other].into_iter().for_each(echoes);
    gate.comes_to("doorward_streams_cut_total{reason=\"session_terminated\"}", 1.0);
    let line = gate.journal.wait(|line| line["path"] == "/socket" && line["kind"] != "audit");
    assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(101), Some("session_terminated")));
    gate.comes_to("doorward_streams_open{kind=\"websocket\"}", 2.0);
}

#[test]
fn signing_out_everywhere_ends_every_socket_of_the_user() {
    let gate = start(&["alice"], &Backend::echo().upstream("app"), "");
    let (mut here, there) = (signed_in(&gate, "alice"), signed_in(&gate, "alice"));
    let mut sockets = [socket_of(&here, &gate), socket_of(&here, &gate), socket_of(&there, &gate)];
    assert!(here.post("/.auth/logout?all=true").status < 400);
    for socket in &mut sockets {
        assert_eq!(closed(socket).0, CloseCode::Policy);
    }
}

#[test]
fn a_socket_that_is_cut_within_a_frame_just_ends() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = signed_in(&gate, "alice");
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
    client.say(format!("GET /s HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n{handshake}\r\n", alice.pairs()));
    let mut scene = backend.next();
    scene.head();
    scene.say(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x02\x03one\x02\x06tw",
    );
    client.head();
    client.until("tw");
    sign_out(&alice);
    // The frame does not end in time: what comes is the end of the connection, and no Close where none can be.
    assert_eq!(client.rest(), "");
    assert!(scene.is_left());
}

#[test]
fn a_bearer_socket_ends_when_its_token_does() {
    let gate = start(&["alice"], &Backend::echo().upstream("app"), "");
    let lasting = issuer::claims("https://issuer.test", "machine");
    let short = issuer::with(&lasting, json!({ "exp": issuer::now() + SHORT }));
    let as_bearer = |claims| format!("Bearer {}", issuer::token(claims, HS256));
    let mut long = socket(&gate, "authorization", &as_bearer(&lasting));
    let mut socket = socket(&gate, "authorization", &as_bearer(&short));
    echoes(&mut socket);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "token_expired".to_owned()));
    echoes(&mut long);
    gate.comes_to("doorward_streams_cut_total{reason=\"token_expired\"}", 1.0);
}

#[test]
fn a_socket_outlives_the_access_token_it_came_with_as_long_as_the_session_lives() {
    let tokens = "[tokens]\naccess_ttl = \"2s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), tokens);
    let alice = signed_in(&gate, "alice");
    let mut socket = socket_of(&alice, &gate);
    let mut token_alone = alice.clone();
    token_alone.jar.retain(|name, _| !name.starts_with("doorward-r"));
    let token_alone = request(&token_alone, "/");
    eventually("the token expires", || gate.raw(&token_alone).status != 200);
    // Longer than the last second of the token, in which the socket is looked at again.
    std::thread::sleep(Duration::from_millis(1500));
    echoes(&mut socket);
    sign_out(&alice);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_terminated".to_owned()));
}

#[test]
fn a_session_that_nobody_uses_takes_its_socket_with_it() {
    let short = "[tokens]\naccess_ttl = \"1s\"\n\n[session]\nidle_timeout = \"6s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), short);
    let mut socket = socket_of(&signed_in(&gate, "alice"), &gate);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_expired".to_owned()));
}

#[test]
fn an_opaque_session_that_nobody_uses_takes_its_socket_with_it_too() {
    let short = "[tokens]\naccess_ttl = \"1s\"\n\n[session]\nmode = \"opaque\"\nidle_timeout = \"6s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), short);
    let mut socket = socket_of(&signed_in(&gate, "alice"), &gate);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_expired".to_owned()));
}

#[test]
fn an_event_stream_ends_when_its_token_does() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let short =
        issuer::with(&issuer::claims("https://issuer.test", "machine"), json!({ "exp": issuer::now() + SHORT }));
    let mut client = Client::connect(gate.http);
    let token = issuer::token(&short, HS256);
    client.send(format!("GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"));
    let mut scene = backend.next();
    scene.head();
    scene.say([EVENTS, "5\r\nhello\r\n"].concat());
    assert_eq!(client.receive_head().unwrap().status, 200);
    assert_eq!(client.chunk().unwrap(), b"hello");
    assert_eq!(client.rest().unwrap(), b"", "cut, not finished");
    assert!(scene.is_left());
    gate.comes_to("doorward_streams_cut_total{reason=\"token_expired\"}", 1.0);
}

#[test]
fn whoever_speaks_on_a_socket_uses_the_session() {
    let short = "[tokens]\naccess_ttl = \"1s\"\n\n[session]\nidle_timeout = \"6s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), short);
    let mut socket = socket_of(&signed_in(&gate, "alice"), &gate);
    // Well beyond the time that a silent socket has.
    for _ in 0..10 {
        echoes(&mut socket);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_expired".to_owned()));
}

#[test]
fn an_event_stream_is_cut_and_others_go_on() {
    let backend = Played::start();
    let gate = start(&["alice", "bob"], &backend.upstream("app", ""), "");
    let (alice, bob) = (signed_in(&gate, "alice"), signed_in(&gate, "bob"));
    let watch = |browser: &Browser| {
        let mut client = Client::connect(gate.http);
        client.send(request(browser, "/events"));
        let mut scene = backend.next();
        scene.head();
        scene.say([EVENTS, "5\r\nhello\r\n"].concat());
        assert_eq!(client.receive_head().unwrap().status, 200);
        assert_eq!(client.chunk().unwrap(), b"hello");
        (client, scene)
    };
    let (mut hers, mut her_scene) = watch(&alice);
    let (mut his, mut his_scene) = watch(&bob);
    metric_becomes(&gate, "doorward_streams_open{kind=\"sse\"}", 2.0);
    sign_out(&alice);
    assert_eq!(hers.rest().unwrap(), b"", "it looks whole");
    assert!(her_scene.is_left());
    his_scene.say("5\r\nagain\r\n");
    assert_eq!(his.chunk().unwrap(), b"again");
    gate.comes_to("doorward_streams_open{kind=\"sse\"}", 1.0);
}

#[test]
fn on_http2_one_stream_is_reset_and_its_siblings_stay() {
    let backend = Played::start();
    let gate = start(&["alice", "bob"], &backend.upstream("app", ""), "");
    let (alice, bob) = (signed_in(&gate, "alice"), signed_in(&gate, "bob"));
    let mut talk = Talk::connect(gate.http);
    let mut watch = |browser: &Browser| {
        let request = Request::get("http://localhost/events").header("cookie", browser.pairs()).body(()).unwrap();
        let (answer, _) = talk.send(request, true);
        let mut scene = backend.next();
        scene.head();
        scene.say([EVENTS, "5\r\nhello\r\n"].concat());
        let mut body = talk.until(answer).unwrap().into_body();
        assert_eq!(talk.piece(&mut body).unwrap(), "hello");
        (body, scene)
    };
    let (mut hers, mut her_scene) = watch(&alice);
    let (mut his, mut his_scene) = watch(&bob);
    sign_out(&alice);
    let reset = talk.until(hers.data()).expect("a reset, not an end").expect_err("a reset");
    assert!(reset.is_reset(), "{reset}");
    assert!(her_scene.is_left());
    his_scene.say("5\r\nagain\r\n");
    assert_eq!(talk.piece(&mut his).unwrap(), "again");
}

#[test]
fn a_download_is_cut_once_it_has_lasted() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = signed_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(request(&alice, "/film"));
    let mut scene = backend.next();
    scene.head();
    scene.say(["HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", &"x".repeat(200_000)].concat());
    assert_eq!(client.receive_head().unwrap().status, 200);
    metric_becomes(&gate, "doorward_streams_open{kind=\"http\"}", 1.0);
    sign_out(&alice);
    assert!(client.rest().unwrap().len() <= 200_000);
    assert!(scene.is_left());
}

#[test]
fn an_upload_is_cut_as_well() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = signed_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(format!(
        "POST /film HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nCookie: {}\r\n\
         Content-Length: 1000000\r\n\r\nbegun",
        alice.pairs()
    ));
    let mut scene = backend.next();
    scene.until("begun");
    metric_becomes(&gate, "doorward_streams_open{kind=\"http\"}", 1.0);
    sign_out(&alice);
    assert_eq!(client.rest().unwrap(), b"");
    assert!(scene.is_left());
}

#[test]
fn an_answer_that_comes_after_the_sign_out_is_for_nobody() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = signed_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(request(&alice, "/poll"));
    let mut scene = backend.next();
    scene.head();
    sign_out(&alice);
    // What is answered sooner is an ordinary answer.
    std::thread::sleep(Duration::from_millis(1100));
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret");
    let answer = client.receive().unwrap();
    assert_eq!(answer.verdict(), "401 session_terminated");
    assert!(!answer.text().contains("secret"));
}

#[test]
fn one_connection_serves_the_next_request_after_a_stream_that_ended_by_itself() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = signed_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(request(&alice, "/events"));
    let mut scene = backend.next();
    scene.head();
    scene.say([EVENTS, "0\r\n\r\n"].concat());
    assert_eq!(client.receive().unwrap().status, 200);
    client.send("GET /.auth/login HTTP/1.1\r\nHost: localhost\r\n\r\n");
    sign_out(&alice);
    assert_eq!(client.receive().unwrap().status, 200);
    assert_eq!(gate.metric("doorward_streams_open{kind=\"sse\"}"), 0.0);
    assert_eq!(gate.metric("doorward_streams_cut_total{reason=\"session_terminated\"}"), 0.0);
}

/// Figures, for `cargo test --test story -- --ignored --nocapture a_thousand`.
#[test]
#[ignore = "takes a while, and its figures are those of an idle machine"]
fn a_thousand_sockets_and_a_hundred_users_thrown_out() {
    const USERS: usize = 200;
    let names: Vec<String> = (0..USERS).map(|n| format!("user{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let gate = start(&names, &Backend::echo().upstream("app"), "");
    let browsers: Vec<Browser> = names.iter().map(|name| signed_in(&gate, name)).collect();
    let mut sockets: Vec<Vec<WebSocket<TcpStream>>> =
        browsers.iter().map(|browser| (0..5).map(|_| socket_of(browser, &gate)).collect()).collect();
    let mut kept = sockets.split_off(USERS / 2);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let watch = |socket: WebSocket<TcpStream>| {
        let stream = socket.into_inner();
        stream.set_nonblocking(true).unwrap();
        runtime.spawn(async move {
            let mut stream = tokio::net::TcpStream::from_std(stream).unwrap();
            let mut head = [0; 4];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!((head[0], &head[2..]), (0x88, &1008_u16.to_be_bytes()[..]));
            Instant::now()
        })
    };
    let watched: Vec<Vec<_>> = sockets.into_iter().map(|of_one| of_one.into_iter().map(watch).collect()).collect();
    let began = Instant::now();
    let mut waits = Vec::new();
    for (browser, of_one) in browsers.iter().zip(watched) {
        sign_out(browser);
        let told = Instant::now();
        waits.extend(of_one.into_iter().map(|socket| (told, socket)));
    }
    let mut late: Vec<Duration> = waits
        .into_iter()
        .map(|(told, socket)| runtime.block_on(socket).unwrap().saturating_duration_since(told))
        .collect();
    late.sort();
    let at = |part: usize| late[(late.len() - 1) * part / 100];
    println!(
        "{} of {} sockets closed in {:?}; after the answer to the sign-out: p50 {:?}, p99 {:?}, most {:?}",
        late.len(),
        USERS * 5,
        began.elapsed(),
        at(50),
        at(99),
        at(100)
    );
    // the look that finds a sign-out by itself comes once a minute
    assert!(at(100) < Duration::from_secs(20), "rung, and not found");
    kept.iter_mut().flatten().for_each(echoes);
}
