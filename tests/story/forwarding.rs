//! Messages on their way: bodies stream in both directions, arrive whole, and leave nothing behind for the next.

use super::support::backend::{text, After, Backend};
use super::support::client::Client;
use super::support::gate::Gate;
use super::support::played::Played;
use super::support::PATIENCE;
use bytes::Bytes;
use http::Request;
use std::io::Write;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const SMALL: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\nmax_body = \"10B\"\n\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const UPLOAD: &str = "POST /up HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n";

fn played() -> (Played, Gate) {
    let backend = Played::start();
    let gate = Gate::start(&[&backend.upstream("app", ""), PUBLIC].concat());
    (backend, gate)
}

#[test]
fn an_upload_arrives_before_it_ends() {
    let (backend, gate) = played();
    let mut client = Client::connect(gate.http);
    client.send(format!("{UPLOAD}\r\n3\r\none\r\n"));
    let mut scene = backend.next();
    assert!(scene.head().starts_with("POST /up HTTP/1.1\r\n"));
    assert_eq!(scene.until("one\r\n"), "3\r\none\r\n");
    client.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(scene.until("0\r\n\r\n"), "3\r\ntwo\r\n0\r\n\r\n");
    scene.say(OK);
    assert_eq!(client.receive().unwrap().text(), "ok");
}

#[test]
fn events_arrive_one_by_one() {
    let (backend, gate) = played();
    let mut client = Client::connect(gate.http);
    client.send("GET /events HTTP/1.1\r\nHost: app.test\r\nAccept: text/event-stream\r\n\r\n");
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.receive_head().unwrap().status, 200);
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        scene.say(format!("{:x}\r\n{event}\r\n", event.len()));
        assert_eq!(client.chunk().unwrap(), event.as_bytes());
    }
    scene.say("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
}

#[test]
fn a_client_that_leaves_an_event_stream_is_missed_by_the_backend() {
    let (backend, gate) = played();
    let mut client = Client::connect(gate.http);
    client.send("GET /events HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    client.receive_head();
    client.chunk();
    drop(client);
    assert!(scene.is_left());
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let backend = Backend::answering(|seen, stream| {
        let answer = match seen.target().as_str() {
            "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "/none" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/same" => "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
            _ => OK,
        };
        stream.write_all(answer.as_bytes()).map(|()| After::Keep)
    });
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let mut client = Client::connect(gate.http);
    for (method, path, status) in [("HEAD", "/head", 200), ("GET", "/none", 204), ("GET", "/same", 304)] {
        client.send(format!("{method} {path} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        let answer = client.receive().unwrap();
        assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
        assert_eq!(answer.header("transfer-encoding"), None, "{path}");
        client.send("GET /after HTTP/1.1\r\nHost: app.test\r\n\r\n");
        assert_eq!(client.receive().unwrap().text(), "ok", "after {path}");
    }
    assert_eq!(backend.last().connection, 0, "the backend's connection was in step too");
}

#[test]
fn a_large_body_arrives_whole_in_both_directions() {
    let backend = Backend::answering(|seen, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", seen.body.len())?;
        stream.write_all(&seen.body).map(|()| After::Keep)
    });
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let body: Vec<u8> = (0..1 << 20).map(|place: u32| place.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let head = format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = gate.raw([head.as_bytes(), &body].concat());
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "{} bytes came back", answer.body.len());
}

#[test]
fn a_body_that_says_it_is_too_large_reaches_nobody() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), SMALL].concat());
    let post =
        |body: &str| format!("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(gate.raw(post("0123456789")).status, 200);
    assert_eq!(gate.raw(post("0123456789a")).verdict(), "413 body_too_large");
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn a_body_that_grows_too_large_is_cut_and_nothing_of_it_is_used_again() {
    let (backend, gate) = {
        let backend = Played::start();
        let gate = Gate::start(&[&backend.upstream("app", ""), SMALL].concat());
        (backend, gate)
    };
    let mut client = Client::connect(gate.http);
    client.send(format!("{UPLOAD}\r\n8\r\n01234567\r\n"));
    let mut scene = backend.next();
    scene.until("01234567\r\n");
    client.send("8\r\n01234567\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(client.receive().unwrap().verdict(), "413 body_too_large");
    assert!(scene.is_left(), "half a request must not be followed by another");
    assert_eq!(client.rest(), Some(Vec::new()), "nor may its client go on");
    assert!(backend.is_unknown());
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_by_the_backend() {
    let (backend, gate) = played();
    let mut client = Client::connect(gate.http);
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
    let mut scene = backend.next();
    assert!(scene.head().to_ascii_lowercase().contains("expect: 100-continue"));
    scene.say("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(client.receive_head().unwrap().status, 100);
    client.send("body");
    assert_eq!(scene.until("body"), "body");
    scene.say(OK);
    assert_eq!(client.receive().unwrap().text(), "ok");
}

#[test]
fn a_client_that_asks_before_it_sends_is_refused_before_it_sent() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), SMALL].concat());
    let answer = gate.raw("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 40\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(answer.verdict(), "413 body_too_large");
    assert!(backend.seen().is_empty());
}

/// An HTTP/2 client may end a body with an empty frame. On an HTTP/1 connection that must not become a second
/// terminator: what is left over would be read as the beginning of somebody else's request.
#[test]
fn an_empty_last_frame_leaves_nothing_on_a_shared_connection() {
    let (backend, gate) = played();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let exchange = runtime.spawn(async move {
        let stream = tokio::net::TcpStream::connect(gate.http).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let mut statuses = Vec::new();
        for path in ["first", "second"] {
            let request = Request::post(format!("http://app.test/{path}")).body(()).unwrap();
            let (answer, mut body) = sender.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(b"body"), false).unwrap();
            body.send_data(Bytes::new(), true).unwrap();
            statuses.push(answer.await.unwrap().status().as_u16());
        }
        drop(gate);
        statuses
    });
    let mut scene = backend.next();
    for path in ["first", "second"] {
        let head = scene.head();
        assert!(head.starts_with(&format!("POST /{path} HTTP/1.1\r\n")), "{head:?}");
        assert_eq!(scene.until("0\r\n\r\n"), "4\r\nbody\r\n0\r\n\r\n");
        scene.say(OK);
    }
    let statuses = runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange).await.unwrap().unwrap() });
    assert_eq!(statuses, [200, 200]);
}

#[test]
fn a_route_changes_what_its_backend_sees_and_no_more() {
    let backend = Backend::echo();
    let upstream = format!("{}host = \"inner.test\"\n\n", backend.upstream("app").trim_end().to_owned() + "\n");
    let route =
        "[[route]]\npath = \"/api/**\"\naccess = \"public\"\nstrip_prefix = \"/api\"\nrequest_headers = { set = \
                 { X-Added = \"a\" }, remove = [\"X-Dropped\"] }\n\n";
    let gate = Gate::start(&[upstream.as_str(), route].concat());
    assert_eq!(gate.get("/api/x/%7Ey?q=%2F", "X-Dropped: 1\r\nX-Added: b\r\nX-Kept: 1\r\n").status, 200);
    let seen = backend.last();
    assert_eq!(seen.request_line(), "GET /x/~y?q=%2F HTTP/1.1");
    assert_eq!(seen.header("host").as_deref(), Some("inner.test"));
    assert_eq!(seen.header("x-forwarded-host").as_deref(), Some("app.test"));
    assert_eq!(seen.header("x-added").as_deref(), Some("a"));
    assert_eq!(seen.header("x-dropped"), None);
    assert_eq!(seen.header("x-kept").as_deref(), Some("1"));
    assert_eq!(gate.get("/api", "").status, 200);
    assert_eq!(backend.last().request_line(), "GET / HTTP/1.1");
}

#[test]
fn an_encoded_slash_is_data_where_the_route_keeps_it_and_refused_elsewhere() {
    let backend = Backend::echo();
    let routes =
        "[[route]]\npath = \"/keep/{id}\"\naccess = \"public\"\nencoded_slash = \"keep\"\n\n[[route]]\npath = \
                  \"/plain/{id}\"\naccess = \"public\"\n\n";
    let gate = Gate::start(&[&backend.upstream("app"), routes].concat());
    assert_eq!(gate.get("/keep/a%2Fb", "").status, 200);
    assert_eq!(backend.last().target(), "/keep/a%2Fb");
    assert_eq!(gate.get("/plain/a%2Fb", "").verdict(), "400 bad_path");
    assert_eq!(gate.get("/keep/..%2Fplain", "").verdict(), "400 bad_path");
    assert_eq!(backend.seen().len(), 1);
}

#[test]
fn a_backend_cannot_speak_for_us() {
    let lines = "X-Auth-Subject: root\r\nX-Forwarded-For: 1.2.3.4\r\nSet-Cookie: doorward=a; Path=/\r\nSet-Cookie: \
                 __Host-doorward=b; Path=/; Secure\r\nSet-Cookie: theirs=c\r\nConnection: X-Inner\r\nX-Inner: \
                 1\r\nX-Kept: 1\r\n";
    let backend = Backend::answering(text(lines, "ok"));
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let answer = gate.get("/", "");
    for name in ["x-auth-subject", "x-forwarded-for", "x-inner"] {
        assert_eq!(answer.header(name), None);
    }
    assert_eq!(answer.all("set-cookie"), ["theirs=c"]);
    assert_eq!(answer.header("x-kept"), Some("1"));
}
