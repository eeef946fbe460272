//! New settings while requests are under way: all of them or none, and nobody notices but by what they say.

use super::support::backend::{text, Backend};
use super::support::browser::Browser;
use super::support::client::Client;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::people::{self, LOCAL, ROUTES};
use super::support::played::Played;
use super::support::redis::Redis;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

const PUBLIC: &str = "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n";
const GET: &str = "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n";
const SUCCESS: &str = "doorward_config_last_reload_success";
const GENERATION: &str = "doorward_config_generation";
const FIRST: &str = "https://first.test";
const SECOND: &str = "https://second.test";

#[test]
fn a_signal_reads_the_file_anew() {
    let gate = Gate::start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    assert_eq!([gate.metric(GENERATION), gate.metric(SUCCESS)], [1.0, 1.0]);
    assert!(gate.hang_up());
    assert_eq!([gate.metric(GENERATION), gate.metric(SUCCESS)], [2.0, 1.0]);
}

#[test]
fn a_file_that_does_not_resolve_changes_nothing_but_a_metric() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    for broken in ["[[route]]\npath = \"no slash\"\n", "[[[", "[server]\nunknown = 1\n"] {
        assert!(!gate.reload(broken), "{broken:?}");
        assert_eq!([gate.metric(GENERATION), gate.metric(SUCCESS)], [1.0, 0.0], "{broken:?}");
        assert_eq!(gate.get("/", "").status, 200);
    }
    assert!(gate.reload(&[&backend.upstream("app"), PUBLIC].concat()));
    assert_eq!([gate.metric(GENERATION), gate.metric(SUCCESS)], [2.0, 1.0]);
}

#[test]
fn nothing_is_opened_for_a_file_that_is_refused() {
    let (backend, redis) = (Backend::echo(), Redis::start());
    let alone = [&backend.upstream("app"), ROUTES].concat();
    let people = [LOCAL, &redis.table(), &alone].concat();
    let gate = people::setup().file("users.toml", people::user("alice", "admin") + "[[usr]]\n").start(&alone);
    eventually("it is ready", || gate.is_ready());
    assert!(!gate.reload(&people));
    assert_eq!(redis.cli(&["dbsize"]).trim(), "0", "nobody keeps keys there, or follows a log");
    assert!(gate.is_ready());
    std::fs::write(gate.directory().join("users.toml"), people::user("alice", "admin")).unwrap();
    assert!(gate.hang_up());
    eventually("what was revoked is known", || gate.is_ready());
    assert_eq!(Browser::signed_in(&gate, "alice").get("/app/x").status, 200);
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_counts() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let file = gate.directory().join("doorward.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replacen("127.0.0.1:0", "127.0.0.1:1", 1).replace("path = \"/**\"", "path = \"/new/**\"");
    std::fs::write(file, text).unwrap();
    gate.messages.wait(|line| line["key"] == "server.listen");
    gate.messages.wait(|line| line["message"] == "configuration reloaded");
    assert_eq!(gate.get("/new/x", "").status, 200);
    assert_eq!(gate.get("/", "").verdict(), "404 no_route");
}

#[test]
fn a_request_under_way_ends_with_the_settings_it_began_with() {
    let (old, new) = (Played::start(), Backend::echo());
    let gate = Gate::start(&[&old.upstream("app", ""), PUBLIC].concat());
    let mut client = Client::connect(gate.http);
    client.send(GET);
    let mut scene = old.next();
    scene.head();
    assert!(gate.reload(&[&new.upstream("app"), PUBLIC].concat()));
    assert_eq!(gate.get("/", "").status, 200);
    scene.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold");
    assert_eq!(client.receive().unwrap().text(), "old");
    client.send(GET);
    assert_eq!(client.receive().unwrap().body, new.last().head);
    assert!(old.is_unknown());
}

#[test]
fn requests_do_not_fail_while_the_file_changes_again_and_again() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 2500;
    let backend = Backend::answering(text("", "ok"));
    let upstream = backend.upstream("app");
    let gate = Gate::start(&[&upstream, PUBLIC].concat());
    let settled = Arc::new(AtomicBool::new(false));
    let ask = |settled: Arc<AtomicBool>| {
        let mut client = Client::connect(gate.http);
        std::thread::spawn(move || {
            let mut count = 0;
            while count < REQUESTS || !settled.load(Ordering::Relaxed) {
                client.send(GET);
                let answer = client.receive().expect("an answer on a kept connection");
                assert_eq!(answer.status, 200);
                assert_ne!(answer.header("connection"), Some("close"));
                count += 1;
            }
            count
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| ask(Arc::clone(&settled))).collect();
    for turn in 0..100 {
        gate.rewrite(&format!("{upstream}{PUBLIC}# {turn}\n[[route]]\npath = \"/{turn}\"\naccess = \"public\"\n"));
        assert!(gate.hang_up());
    }
    settled.store(true, Ordering::Relaxed);
    // ten thousand at least
    let answered: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert!(answered >= CLIENTS * REQUESTS);
    assert!(gate.metric(GENERATION) > 100.0);
}

#[test]
fn a_token_dies_with_the_trust_in_its_issuer() {
    let secret = "secret = \"env:SECRET\"";
    let (first, second) = (issuer::table("first", FIRST, secret), issuer::table("second", SECOND, secret));
    let rest = [&Backend::echo().upstream("app"), "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n"].concat();
    let gate = Gate::setup().variable("SECRET", SECRET).start(&[&first, &second, &rest].map(String::as_str).concat());
    let token = |iss: &str| issuer::token(&issuer::claims(iss, "alice"), HS256);
    let (old, kept) = (token(FIRST), token(SECOND));
    let mut client = Client::connect(gate.http);
    let mut ask = |token: &str| {
        client.send(GET.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {token}\r\n\r\n")));
        client.receive().unwrap().verdict()
    };
    // the second time it is known from the first
    assert_eq!([ask(&old), ask(&old), ask(&kept)], ["200"; 3]);
    assert!(gate.reload(&[second, rest].concat()));
    assert_eq!([ask(&old), ask(&kept)], ["401 token_invalid", "200"]);
}
