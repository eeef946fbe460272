//! What goes on ends with the credential it was admitted with: sockets, event streams, downloads; and nobody else's do.

use super::support::backend::Backend;
use super::support::client::{Client, Response};
use super::support::gate::{Gate, Setup};
use super::support::h2::Talk;
use super::support::issuer::{self, HS256, SECRET};
use super::support::played::{Played, Scene};
use http::{HeaderValue, Request};
use serde_json::json;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{client, Message, WebSocket};

const PASSWORD: &str = "alice-password";
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$alL5/yQT/tGEUp9SeZVDtw$toKtS8xzfqDqYQdaHv8OurMbI5uau0pYusBeMtVE9K8";
const ROUTE: &str = "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n";
const PROVIDER: &str = "[[provider]]\nname = \"local\"\nkind = \"local\"\nusers = \"users.toml\"\n\n";
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Users who all have one password; tokens of an issuer count too, up to the second they expire.
fn setup(names: &[&str]) -> Setup {
    let user = |name: &&str| format!("[[user]]\nname = {name:?}\npassword = \"{HASH}\"\n\n");
    Gate::setup().variable("SECRET", SECRET).file("users.toml", names.iter().map(user).collect::<String>())
}

fn start(names: &[&str], upstream: &str, more: &str) -> Gate {
    let issuers = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"\nleeway = \"0s\"");
    setup(names).start(&[more, &issuers, PROVIDER, upstream, ROUTE].concat())
}

/// A browser that has signed in: its cookies.
struct Browser(String);

impl Browser {
    fn sign_in(gate: &Gate, name: &str) -> Self {
        let page = gate.raw("GET /.auth/login HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n").text();
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let csrf = csrf.unwrap_or_else(|| panic!("no form: {page}"));
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("username", name), ("password", PASSWORD), ("csrf", csrf), ("provider", "local")])
            .finish();
        let answer = post(gate, "/.auth/login", "", &form);
        let lines = answer.all("set-cookie").into_iter().filter_map(|line| line.split(';').next());
        let cookies: Vec<&str> = lines.filter(|pair| !pair.ends_with('=')).collect();
        assert!(answer.status == 303 && !cookies.is_empty(), "{answer:?}");
        Self(cookies.join("; "))
    }

    fn sign_out(&self, gate: &Gate) {
        let answer = post(gate, "/.auth/logout", &format!("Cookie: {}\r\n", self.0), "");
        assert!(answer.status < 400, "{answer:?}");
    }

    /// Without what could renew the session.
    fn access_only(&self) -> String {
        let lasting = |pair: &&str| !pair.starts_with("doorward-r");
        self.0.split("; ").filter(lasting).collect::<Vec<_>>().join("; ")
    }

    fn request(&self, path: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", self.0)
    }

    fn socket(&self, gate: &Gate) -> WebSocket<TcpStream> {
        socket(gate, "cookie", &self.0)
    }
}

fn post(gate: &Gate, path: &str, headers: &str, form: &str) -> Response {
    gate.raw(format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n{headers}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    ))
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
    let until = Instant::now() + super::support::PATIENCE;
    while gate.metric(series) < value {
        assert!(Instant::now() < until, "{series} never became {value}");
        std::thread::yield_now();
    }
}

#[test]
fn an_emergency_ends_the_sockets_of_tokens_under_the_old_keys_and_no_session() {
    let gate = setup(&["alice"])
        .variable("DOORWARD_ADMIN_TOKEN", super::admin::TOKEN)
        .start(&[PROVIDER, &Backend::echo().upstream("app"), ROUTE].concat());
    let alice = Browser::sign_in(&gate, "alice");
    let mut socket = alice.socket(&gate);
    echoes(&mut socket);
    let answer = super::admin::api(&gate, super::admin::TOKEN, "POST /api/v1/keys/rotate", r#"{"mode":"emergency"}"#);
    assert_eq!(answer.status, 200);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "token_revoked".to_owned()));
    let answer = gate.raw(alice.request("/app"));
    assert_eq!(answer.status, 200, "renewed under the new key: {answer:?}");
}

#[test]
fn a_socket_ends_with_its_session_and_nobody_elses_does() {
    let gate = start(&["alice", "bob"], &Backend::echo().upstream("app"), "");
    let (alice, bob) = (Browser::sign_in(&gate, "alice"), Browser::sign_in(&gate, "bob"));
    let elsewhere = Browser::sign_in(&gate, "alice");
    let (mut hers, mut his, mut other) = (alice.socket(&gate), bob.socket(&gate), elsewhere.socket(&gate));
    [&mut hers, &mut his, &mut other].into_iter().for_each(echoes);
    alice.sign_out(&gate);
    assert_eq!(closed(&mut hers), (CloseCode::Policy, "session_terminated".to_owned()));
    while hers.read().is_ok() {}
    [&mut his, &mut other].into_iter().for_each(echoes);
    assert_eq!(gate.metric("doorward_streams_cut_total{reason=\"session_terminated\"}"), 1.0);
    let line = gate.journal.wait(|line| line["path"] == "/socket" && line["kind"] != "audit");
    assert_eq!((line["status"].as_u64(), line["reason"].as_str()), (Some(101), Some("session_terminated")));
    assert_eq!(gate.metric("doorward_streams_open{kind=\"websocket\"}"), 2.0);
}

#[test]
fn signing_out_everywhere_ends_every_socket_of_the_user() {
    let gate = start(&["alice"], &Backend::echo().upstream("app"), "");
    let (here, there) = (Browser::sign_in(&gate, "alice"), Browser::sign_in(&gate, "alice"));
    let mut sockets = [here.socket(&gate), here.socket(&gate), there.socket(&gate)];
    let answer = post(&gate, "/.auth/logout?all=true", &format!("Cookie: {}\r\n", here.0), "");
    assert!(answer.status < 400);
    for socket in &mut sockets {
        assert_eq!(closed(socket).0, CloseCode::Policy);
    }
}

#[test]
fn a_socket_that_is_cut_within_a_frame_just_ends() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = Browser::sign_in(&gate, "alice");
    let handshake = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
    client.say(format!("GET /s HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n{handshake}\r\n", alice.0));
    let mut scene = backend.next();
    scene.head();
    scene.say(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x02\x03one\x02\x06tw",
    );
    client.head();
    client.until("tw");
    alice.sign_out(&gate);
    // The frame does not end in time: what comes is the end of the connection, and no Close where none can be.
    assert_eq!(client.rest(), "");
    assert!(scene.is_left());
}

#[test]
fn a_bearer_socket_ends_when_its_token_does() {
    let gate = start(&["alice"], &Backend::echo().upstream("app"), "");
    let lasting = issuer::claims("https://issuer.test", "machine");
    let short = issuer::with(&lasting, json!({ "exp": issuer::now() + 2 }));
    let as_bearer = |claims| format!("Bearer {}", issuer::token(claims, HS256));
    let mut long = socket(&gate, "authorization", &as_bearer(&lasting));
    let mut socket = socket(&gate, "authorization", &as_bearer(&short));
    echoes(&mut socket);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "token_expired".to_owned()));
    echoes(&mut long);
    assert_eq!(gate.metric("doorward_streams_cut_total{reason=\"token_expired\"}"), 1.0);
}

#[test]
fn a_socket_outlives_the_access_token_it_came_with_as_long_as_the_session_lives() {
    let tokens = "[tokens]\naccess_ttl = \"2s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), tokens);
    let alice = Browser::sign_in(&gate, "alice");
    let mut socket = alice.socket(&gate);
    let token = format!("GET / HTTP/1.1\r\nHost: localhost\r\nCookie: {}\r\n\r\n", alice.access_only());
    let until = Instant::now() + super::support::PATIENCE;
    while gate.raw(&token).status == 200 {
        assert!(Instant::now() < until, "the token never expires");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Longer than the last second of the token, in which the socket is looked at again.
    std::thread::sleep(Duration::from_millis(1500));
    echoes(&mut socket);
    alice.sign_out(&gate);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_terminated".to_owned()));
}

#[test]
fn a_session_that_nobody_uses_takes_its_socket_with_it() {
    let short = "[tokens]\naccess_ttl = \"1s\"\n\n[session]\nidle_timeout = \"3s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), short);
    let mut socket = Browser::sign_in(&gate, "alice").socket(&gate);
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_expired".to_owned()));
}

#[test]
fn whoever_speaks_on_a_socket_uses_the_session() {
    let short = "[tokens]\naccess_ttl = \"1s\"\n\n[session]\nidle_timeout = \"3s\"\n\n";
    let gate = start(&["alice"], &Backend::echo().upstream("app"), short);
    let mut socket = Browser::sign_in(&gate, "alice").socket(&gate);
    // Well beyond the time that a silent socket has.
    for _ in 0..16 {
        echoes(&mut socket);
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(closed(&mut socket), (CloseCode::Policy, "session_expired".to_owned()));
}

#[test]
fn an_event_stream_is_cut_and_others_go_on() {
    let backend = Played::start();
    let gate = start(&["alice", "bob"], &backend.upstream("app", ""), "");
    let (alice, bob) = (Browser::sign_in(&gate, "alice"), Browser::sign_in(&gate, "bob"));
    let watch = |browser: &Browser| {
        let mut client = Client::connect(gate.http);
        client.send(browser.request("/events"));
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
    alice.sign_out(&gate);
    assert_eq!(hers.rest().unwrap(), b"", "it looks whole");
    assert!(her_scene.is_left());
    his_scene.say("5\r\nagain\r\n");
    assert_eq!(his.chunk().unwrap(), b"again");
    assert_eq!(gate.metric("doorward_streams_open{kind=\"sse\"}"), 1.0);
}

#[test]
fn on_http2_one_stream_is_reset_and_its_siblings_stay() {
    let backend = Played::start();
    let gate = start(&["alice", "bob"], &backend.upstream("app", ""), "");
    let (alice, bob) = (Browser::sign_in(&gate, "alice"), Browser::sign_in(&gate, "bob"));
    let mut talk = Talk::connect(gate.http);
    let mut watch = |browser: &Browser| {
        let request = Request::get("http://localhost/events").header("cookie", &browser.0).body(()).unwrap();
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
    alice.sign_out(&gate);
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
    let alice = Browser::sign_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(alice.request("/film"));
    let mut scene = backend.next();
    scene.head();
    scene.say(["HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", &"x".repeat(200_000)].concat());
    assert_eq!(client.receive_head().unwrap().status, 200);
    metric_becomes(&gate, "doorward_streams_open{kind=\"http\"}", 1.0);
    alice.sign_out(&gate);
    assert!(client.rest().unwrap().len() <= 200_000);
    assert!(scene.is_left());
}

#[test]
fn an_upload_is_cut_as_well() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = Browser::sign_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(format!(
        "POST /film HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nCookie: {}\r\n\
         Content-Length: 1000000\r\n\r\nbegun",
        alice.0
    ));
    let mut scene = backend.next();
    scene.until("begun");
    metric_becomes(&gate, "doorward_streams_open{kind=\"http\"}", 1.0);
    alice.sign_out(&gate);
    assert_eq!(client.rest().unwrap(), b"");
    assert!(scene.is_left());
}

#[test]
fn an_answer_that_comes_after_the_sign_out_is_for_nobody() {
    let backend = Played::start();
    let gate = start(&["alice"], &backend.upstream("app", ""), "");
    let alice = Browser::sign_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(alice.request("/poll"));
    let mut scene = backend.next();
    scene.head();
    alice.sign_out(&gate);
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
    let alice = Browser::sign_in(&gate, "alice");
    let mut client = Client::connect(gate.http);
    client.send(alice.request("/events"));
    let mut scene = backend.next();
    scene.head();
    scene.say([EVENTS, "0\r\n\r\n"].concat());
    assert_eq!(client.receive().unwrap().status, 200);
    client.send("GET /.auth/login HTTP/1.1\r\nHost: localhost\r\n\r\n");
    alice.sign_out(&gate);
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
    let browsers: Vec<Browser> = names.iter().map(|name| Browser::sign_in(&gate, name)).collect();
    let mut sockets: Vec<Vec<WebSocket<TcpStream>>> =
        browsers.iter().map(|browser| (0..5).map(|_| browser.socket(&gate)).collect()).collect();
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
        browser.sign_out(&gate);
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
    assert!(at(100) < Duration::from_secs(1));
    kept.iter_mut().flatten().for_each(echoes);
}
