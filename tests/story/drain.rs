//! Leaving: told to go, the gate says so, finishes what it began, and ends.

use super::support::backend::{text, Backend};
use super::support::client::{self, Client};
use super::support::gate::Gate;
use super::support::played::{Played, Scene};
use super::support::PATIENCE;
use std::time::Instant;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
/// Longer than any test waits: who ends by then did not wait for it.
const NEVER: &str = "10m";

/// A gate that is still starting is unready too, but not because it leaves.
fn is_unready(gate: &Gate) -> bool {
    let began = Instant::now();
    let ask = || client::raw(gate.admin, "GET /readyz HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n");
    while began.elapsed() < PATIENCE {
        let answer = ask();
        if answer.status == 503 && answer.text().contains("draining") {
            return true;
        }
    }
    false
}

/// An answer that has begun and does not end: the client's end and the backend's.
fn endless(gate: &Gate, backend: &Played) -> (Client, Scene) {
    let mut client = Client::connect(gate.http);
    client.send(GET);
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.receive_head().unwrap().status, 200);
    (client, scene)
}

#[test]
fn no_request_fails_while_the_gate_leaves() {
    let backend = Backend::answering(text("", "ok"));
    // in this time each client comes at least once more, and is told
    let gate = Gate::setup().drain("5s", NEVER).start(&[&backend.upstream("app"), PUBLIC].concat());
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut client = Client::connect(gate.http);
            std::thread::spawn(move || loop {
                client.send(GET);
                let answer = client.receive().expect("an answer on a connection that nobody closed");
                assert_eq!(answer.status, 200);
                if answer.header("connection") == Some("close") {
                    break client.rest();
                }
            })
        })
        .collect();
    assert_eq!(gate.get("/", "").status, 200);
    gate.terminate();
    for client in clients {
        assert_eq!(client.join().unwrap(), Some(Vec::new()));
    }
    assert_eq!(gate.exit_code(), Some(0));
}

/// Asks on one connection until that is told to end; how many answers came. What GOAWAY leaves out was never begun, and
/// is the only thing a client may have to send again.
async fn ask_over_http2(address: std::net::SocketAddr) -> usize {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut answered = 0;
    while let Ok(mut sender) = sender.clone().ready().await {
        let request = http::Request::get("http://app.test/").body(()).unwrap();
        let Ok((answer, _)) = sender.send_request(request, true) else { break };
        match answer.await {
            Ok(answer) => {
                assert_eq!(answer.status(), 200);
                let mut body = answer.into_body();
                while let Some(piece) = body.data().await {
                    piece.expect("a whole answer");
                }
                answered += 1;
            }
            Err(error) => {
                assert!(error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR), "{error:?}");
                break;
            }
        }
    }
    answered
}

#[test]
fn no_http2_request_fails_while_the_gate_leaves() {
    let backend = Backend::answering(text("", "ok"));
    let gate = Gate::setup().drain("1s", NEVER).start(&[&backend.upstream("app"), PUBLIC].concat());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clients: Vec<_> = (0..4).map(|_| runtime.spawn(ask_over_http2(gate.http))).collect();
    gate.accounted(100);
    gate.terminate();
    let leaving = async {
        let mut answered = 0;
        for client in clients {
            answered += client.await.unwrap();
        }
        answered
    };
    let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, leaving).await.expect("told to go") });
    assert!(answered >= 100, "{answered}");
    assert_eq!(backend.seen().len(), answered, "what reached the backend was answered");
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn who_leaves_is_unready_at_once_and_serves_on() {
    let backend = Backend::echo();
    let gate = Gate::setup().drain(NEVER, "1s").start(&[&backend.upstream("app"), PUBLIC].concat());
    gate.terminate();
    assert!(is_unready(&gate));
    let mut client = Client::connect(gate.http);
    client.send(GET);
    let answer = client.receive().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
}

#[test]
fn an_answer_under_way_is_finished_and_then_nothing_is_waited_for() {
    let backend = Played::start();
    let gate = Gate::setup().drain("0s", NEVER).start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let (mut client, mut scene) = endless(&gate, &backend);
    gate.terminate();
    assert!(is_unready(&gate));
    scene.say("4\r\nlast\r\n0\r\n\r\n");
    assert_eq!(client.chunk().unwrap(), b"last");
    assert_eq!(client.chunk(), None);
    assert_eq!(client.rest(), Some(Vec::new()));
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn an_answer_without_end_is_cut_at_the_end_of_the_drain() {
    let backend = Played::start();
    let gate = Gate::setup().drain("0s", "1s").start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let (mut client, _scene) = endless(&gate, &backend);
    gate.terminate();
    assert!(client.rest().is_some());
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn idle_connections_hold_nobody_up() {
    let backend = Backend::answering(text("", "ok"));
    let gate = Gate::setup().drain("0s", NEVER).start(&[&backend.upstream("app"), PUBLIC].concat());
    let mut kept = Client::connect(gate.http);
    kept.send(GET);
    assert_eq!(kept.receive().unwrap().status, 200);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sender, connection) = runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gate.http).await.unwrap();
        h2::client::handshake(stream).await.unwrap()
    });
    let frames = runtime.spawn(connection);
    let request = http::Request::get("http://app.test/").body(()).unwrap();
    let answer = runtime.block_on(async { sender.clone().send_request(request, true).unwrap().0.await });
    assert_eq!(answer.unwrap().status(), 200);
    gate.terminate();
    assert_eq!(kept.rest(), Some(Vec::new()));
    let goodbye = runtime.block_on(async { tokio::time::timeout(PATIENCE, frames).await });
    assert!(goodbye.expect("told to go").unwrap().is_ok());
    drop(sender);
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_wait() {
    let backend = Played::start();
    let gate = Gate::setup().drain("0s", NEVER).start(&[&backend.upstream("app", ""), PUBLIC].concat());
    let (mut client, _scene) = endless(&gate, &backend);
    gate.terminate();
    assert!(is_unready(&gate));
    gate.terminate();
    assert!(client.rest().is_some());
    assert_eq!(gate.exit_code(), Some(0));
}

#[test]
fn a_person_at_a_terminal_does_not_wait_for_balancers() {
    let backend = Backend::echo();
    let gate = Gate::setup().drain(NEVER, NEVER).start(&[&backend.upstream("app"), PUBLIC].concat());
    gate.signal("INT");
    assert_eq!(gate.exit_code(), Some(0));
}
