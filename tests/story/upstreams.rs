//! Backends of every kind, and what becomes of a request when one is slow, gone, or not who it should be.

use super::support::backend::{bytes, held, text, Backend};
use super::support::client::Client;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::played::Played;
use super::support::{eventually, nowhere, tls, PATIENCE};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const KNOWN: &str = "[[route]]\npath = \"/**\"\naccess = \"optional\"\n\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const EJECTED: &str = "doorward_upstream_ejections_total{upstream=\"app\"}";
const POST: &str = "POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody";

fn upstream(url: &str, keys: &str) -> String {
    format!("[[upstream]]\nname = \"app\"\nurl = {url:?}\n{keys}\n\n")
}

#[test]
fn a_backend_behind_tls_must_be_who_the_file_says() {
    let (known, stranger) = (tls::Authority::new(), tls::Authority::new());
    let backend = tls::backend(&known.issue("inner.test"), OK);
    let verdict = |ca: &tls::Authority, name: &str| {
        let setup = Gate::setup().file("ca.pem", ca.pem());
        let keys = format!("ca = \"ca.pem\"\nserver_name = {name:?}");
        let gate = setup.start(&[upstream(&format!("https://{backend}"), &keys).as_str(), PUBLIC].concat());
        gate.get("/", "").verdict()
    };
    assert_eq!(verdict(&known, "inner.test"), "200");
    assert_eq!(verdict(&known, "other.test"), "502 upstream_error");
    assert_eq!(verdict(&stranger, "inner.test"), "502 upstream_error");
}

#[test]
fn a_backend_may_listen_on_a_unix_socket() {
    let setup = Gate::setup();
    let path = setup.path("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    let gate = setup.start(&[upstream(&format!("unix:{}", path.display()), "").as_str(), PUBLIC].concat());
    assert_eq!(gate.get("/", "").text(), "ok");
}

#[test]
fn a_backend_is_found_by_name() {
    let backend = Backend::echo();
    let url = format!("http://localhost:{}", backend.address.port());
    let gate = Gate::start(&[upstream(&url, "").as_str(), PUBLIC].concat());
    assert_eq!(gate.get("/", "").status, 200);
}

#[test]
fn a_dead_address_costs_no_request_and_is_left_alone() {
    let backend = Backend::echo();
    let table =
        format!("[[upstream]]\nname = \"app\"\nurls = [\"http://{}\", \"http://{}\"]\n\n", nowhere(), backend.address);
    let gate = Gate::start(&[table.as_str(), PUBLIC].concat());
    for _ in 0..20 {
        assert_eq!(gate.get("/", "").status, 200);
        assert_eq!(gate.raw(POST).status, 200);
    }
    assert!(gate.metric(EJECTED) >= 1.0);
    assert_eq!(backend.seen().len(), 40);
}

#[test]
fn a_backend_that_hangs_is_left_alone_while_another_serves() {
    let (_go, wait) = channel();
    let hung = Backend::answering(held(wait, text("", "late")));
    let backend = Backend::answering(text("", "ok"));
    let urls = format!("urls = [\"http://{}\", \"http://{}\"]", hung.address, backend.address);
    let table = format!("[[upstream]]\nname = \"app\"\n{urls}\nread_timeout = \"2s\"\n\n");
    let gate = Gate::start(&[table.as_str(), PUBLIC].concat());
    let mut late = 0;
    while gate.metric(EJECTED) < 1.0 {
        let status = gate.get("/", "").status;
        assert!([200, 504].contains(&status), "{status}");
        late += usize::from(status == 504);
        assert!(late <= 3, "still asked");
    }
    assert_eq!(late, 3);
    for _ in 0..10 {
        assert_eq!(gate.get("/", "").text(), "ok");
    }
    eventually("it reads what it was sent", || hung.seen().len() >= 3);
    assert_eq!(hung.seen().len(), 3);
}

#[test]
fn what_is_known_of_backends_outlives_a_reload() {
    let backend = Backend::answering(text("", "ok"));
    let urls = format!("urls = [\"http://{}\", \"http://{}\"]", nowhere(), backend.address);
    let table = format!("[[upstream]]\nname = \"app\"\n{urls}\n\n");
    let gate = Gate::start(&[table.as_str(), PUBLIC].concat());
    let (mut client, mut asked) = (Client::connect(gate.http), 0);
    // once a request is accounted for, its connection is idle again; a client that has gone by then may end both
    let mut ask = |path: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        assert_eq!(client.receive().unwrap().status, 200);
        asked += 1;
        gate.accounted(asked);
        backend.last().connection
    };
    while gate.metric(EJECTED) < 1.0 {
        ask("/");
    }
    let before = ask("/");
    assert!(gate.reload(&[table.as_str(), PUBLIC, "[[route]]\npath = \"/new\"\naccess = \"public\"\n\n"].concat()));
    for _ in 0..10 {
        assert_eq!(ask("/new"), before, "the idle connection is used");
    }
    assert_eq!(gate.metric(EJECTED), 1.0, "what rests is not tried again");
}

#[test]
fn a_backend_that_is_not_there_is_a_503() {
    let gate = Gate::start(&[upstream(&format!("http://{}", nowhere()), "").as_str(), PUBLIC].concat());
    let answer = gate.get("/", "");
    assert_eq!(answer.verdict(), "503 upstream_unavailable");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn a_backend_that_takes_too_long_is_a_504() {
    let (_go, wait) = channel();
    let backend = Backend::answering(held(wait, text("", "late")));
    let url = format!("http://{}", backend.address);
    let gate = Gate::start(&[upstream(&url, "read_timeout = \"300ms\"").as_str(), PUBLIC].concat());
    assert_eq!(gate.get("/", "").verdict(), "504 upstream_timeout");
    eventually("it reads what it was sent", || !backend.seen().is_empty());
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn a_backend_that_makes_no_sense_is_a_502() {
    for answer in [b"".as_slice(), b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Le"] {
        let backend = Backend::answering(bytes(answer));
        let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
        assert_eq!(gate.raw(POST).verdict(), "502 upstream_error", "{answer:?}");
        assert_eq!(backend.seen().len(), 1, "what may have been done is not done again");
    }
}

/// The backend closes a kept connection just as the next request comes in: the race every keep-alive runs.
#[test]
fn on_a_connection_that_went_stale_only_what_is_safe_is_sent_again() {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let mut client = Client::connect(gate.http);
    let get = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
    client.send(get);
    let mut kept = backend.next();
    kept.head();
    kept.say(OK);
    assert_eq!(client.receive().unwrap().status, 200);
    // by then its connection is idle
    gate.accounted(1);
    client.send(get);
    kept.head();
    drop(kept);
    let mut fresh = backend.next();
    fresh.head();
    fresh.say(OK);
    assert_eq!(client.receive().unwrap().status, 200);
    gate.accounted(2);
    client.send(POST);
    fresh.until("body");
    drop(fresh);
    assert_eq!(client.receive().unwrap().verdict(), "502 upstream_error");
    assert!(backend.is_unknown(), "a POST that may have been done was sent again");
}

#[test]
fn what_is_for_somebody_is_kept_from_shared_caches() {
    let issuers = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"");
    let token = issuer::token(&issuer::claims("https://issuer.test", "alice"), HS256);
    let gate = |lines: &str| {
        let backend = Backend::answering(text(lines, "ok"));
        let tables = [&issuers, &backend.upstream("app"), KNOWN].concat();
        Gate::setup().variable("SECRET", SECRET).start(&tables)
    };
    let plain = gate("");
    assert_eq!(plain.get_as("/", &token).header("cache-control"), Some("private"));
    assert_eq!(plain.get("/", "").header("cache-control"), None);
    assert_eq!(gate("Cache-Control: max-age=5\r\n").get_as("/", &token).all("cache-control"), ["max-age=5"]);
}

/// A backend of HTTP/2 in clear text.
async fn take_calls(listener: tokio::net::TcpListener) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, respond))) = connection.accept().await {
        let te = request.headers().get("te").cloned();
        tokio::spawn(echo(request.into_body(), te, respond));
    }
}

/// Sends every message back, and tells in a trailer what of trailers the request had.
async fn echo(mut body: h2::RecvStream, te: Option<HeaderValue>, mut respond: h2::server::SendResponse<Bytes>) {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let mut answer = respond.send_response(head, false).unwrap();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        answer.send_data(piece, false).unwrap();
    }
    let came = body.trailers().await.ok().flatten().map_or(0, |trailers| trailers.len());
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("request-trailers", HeaderValue::from(came));
    trailers.extend(te.map(|te| (http::HeaderName::from_static("request-te"), te)));
    trailers.insert("x-auth-subject", HeaderValue::from_static("root"));
    answer.send_trailers(trailers).unwrap();
}

#[test]
fn a_call_streams_both_ways_and_ends_with_its_trailers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    runtime.spawn(take_calls(listener));
    let gate = Gate::start(&[upstream(&url, "").as_str(), PUBLIC].concat());
    let call = async {
        let stream = tokio::net::TcpStream::connect(gate.http).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let request = Request::post("http://app.test/pkg.Service/Call")
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let (answer, mut out) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        out.send_data(Bytes::from_static(b"one"), false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        assert_eq!(body.data().await.unwrap().unwrap(), "one");
        out.send_data(Bytes::from_static(b"two"), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), "two");
        let mut trailers = HeaderMap::new();
        trailers.insert("x-auth-subject", HeaderValue::from_static("root"));
        out.send_trailers(trailers).unwrap();
        while let Some(piece) = body.data().await {
            assert!(piece.unwrap().is_empty());
        }
        body.trailers().await.unwrap().unwrap()
    };
    let trailers = runtime.block_on(async { tokio::time::timeout(PATIENCE, call).await.unwrap() });
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers["request-te"], "trailers", "servers refuse a call that cannot have them");
    assert_eq!(trailers["request-trailers"], "0", "who is calling is not said in a trailer");
    assert!(!trailers.contains_key("x-auth-subject"), "nor answered in one");
}
