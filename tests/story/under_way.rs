//! Requests under way at once: how many there may be, and what makes room for the next.

use super::support::backend::{After, Backend};
use super::support::client::Client;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::nowhere;
use super::support::played::Played;
use serde_json::json;
use std::io::Write;

const ISSUER: &str = "https://issuer.test";

fn token(name: &str) -> String {
    issuer::token(&issuer::claims(ISSUER, name), HS256)
}

fn gate(upstream: &str, route: &str) -> Gate {
    let issuer = issuer::table("id", ISSUER, "secret = \"env:SECRET\"");
    let route = format!("[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n{route}\n\n");
    Gate::setup().variable("SECRET", SECRET).start(&[&issuer, upstream, &route].concat())
}

/// A handshake of whoever has `token`.
fn socket(gate: &Gate, token: &str) -> Client {
    let mut client = Client::connect(gate.http);
    client.send(format!(
        "GET /socket HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ));
    client
}

#[test]
fn what_has_ended_makes_room_for_the_next_however_it_ended() {
    let backend = Backend::echo();
    let gate = gate(&backend.upstream("app"), "max_in_flight = 1");
    let alice = token("alice");
    for _ in 0..2 {
        let mut client = socket(&gate, &alice);
        assert_eq!(client.receive().unwrap().status, 101);
        let crowded = gate.get_as("/a", &alice);
        assert_eq!((crowded.verdict().as_str(), crowded.header("retry-after")), ("429 rate_limited", Some("1")));
        drop(client);
        eventually("the socket is gone", || gate.get_as("/a", &alice).status == 200);
    }
    assert!(gate.metric("doorward_rate_limited_total{limit=\"max_in_flight\"}") > 1.5);
}

#[test]
fn one_user_may_have_so_many_requests_under_way_and_leaves_room_for_others() {
    let backend = Backend::echo();
    let gate = gate(&backend.upstream("app"), "max_in_flight_per_user = 1");
    let mut open = socket(&gate, &token("alice"));
    assert_eq!(open.receive().unwrap().status, 101);
    let another = issuer::token(&issuer::with(&issuer::claims(ISSUER, "alice"), json!({ "jti": "another" })), HS256);
    for token in [token("alice"), another] {
        let crowded = gate.get_as("/a", &token);
        assert_eq!((crowded.verdict().as_str(), crowded.header("retry-after")), ("429 rate_limited", Some("1")));
    }
    let mut of_bob = socket(&gate, &token("bob"));
    assert_eq!(of_bob.receive().unwrap().status, 101);
    drop(open);
    eventually("the socket is gone", || gate.get_as("/a", &token("alice")).status == 200);
    assert_eq!(gate.get_as("/a", &token("bob")).status, 429);
    drop(of_bob);
    assert!(gate.metric("doorward_rate_limited_total{limit=\"max_in_flight_per_user\"}") > 2.5);
}

/// Each on a connection of its own, so that another worker may be asked before the first has put its books away.
#[test]
fn whoever_has_the_whole_answer_may_ask_again_at_once() {
    let backend = Backend::answering(|seen, stream| {
        let (answer, after) = match seen.target().as_str() {
            "/length" => ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", After::Keep),
            "/chunks" => ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", After::Keep),
            "/close" => ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nwhole", After::Close),
            "/empty" => ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", After::Keep),
            "/204" => ("HTTP/1.1 204 No Content\r\n\r\n", After::Keep),
            "/304" => ("HTTP/1.1 304 Not Modified\r\n\r\n", After::Keep),
            "/broken" => ("nothing that makes sense\r\n\r\n", After::Close),
            _ => ("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nwhole", After::Keep),
        };
        stream.write_all(answer.as_bytes())?;
        Ok(after)
    });
    let gate = gate(&backend.upstream("app"), "max_in_flight = 1");
    let alice = token("alice");
    let head = format!("HEAD /length HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {alice}\r\n\r\n");
    for _ in 0..40 {
        for (path, status) in [
            ("/length", 200),
            ("/chunks", 200),
            ("/close", 200),
            ("/empty", 200),
            ("/204", 204),
            ("/304", 304),
            ("/broken", 502),
        ] {
            assert_eq!(gate.get_as(path, &alice).status, status, "{path}");
        }
        assert_eq!(gate.raw(&head).status, 200, "HEAD");
        assert_eq!(socket(&gate, &alice).receive().unwrap().status, 403, "a handshake the backend declines");
    }
}

#[test]
fn an_upload_keeps_its_place_also_when_it_was_answered_before_its_end() {
    let backend = Played::start();
    let gate = gate(&backend.upstream("app", ""), "max_in_flight = 1");
    let alice = token("alice");
    let mut client = Client::connect(gate.http);
    client.send(format!(
        "POST /a HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {alice}\r\nContent-Length: 10\r\n\r\n12345"
    ));
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    assert_eq!(client.receive().unwrap().status, 200);
    assert_eq!(gate.get_as("/a", &alice).verdict(), "429 rate_limited", "the rest of it still goes to the backend");
    drop(client);
    // further ones are answered, once they are let through
    std::thread::spawn(move || loop {
        let mut scene = backend.next();
        scene.head();
        scene.say("HTTP/1.1 204 No Content\r\n\r\n");
    });
    eventually("it is given back", || gate.get_as("/a", &alice).status == 204);
}

#[test]
fn a_backend_that_is_away_takes_no_room() {
    let gate = gate(&format!("[[upstream]]\nname = \"app\"\nurl = \"http://{}\"\n\n", nowhere()), "max_in_flight = 1");
    for _ in 0..40 {
        assert_eq!(gate.get_as("/a", &token("alice")).verdict(), "503 upstream_unavailable");
    }
}
