//! The stage itself: a gate starts, forwards, reloads and ends.

use super::support::backend::Backend;
use super::support::client::Client;
use super::support::gate::Gate;
use super::support::issuer::{self, Issuer, RS256};

const PUBLIC: &str = "[[route]]\npath = \"/public/**\"\naccess = \"public\"\n\n";
const API: &str = "[[route]]\npath = \"/api/**\"\naccess = \"authenticated\"\n\n";

#[test]
fn a_gate_forwards_what_it_admits_and_tells_of_it() {
    let (backend, issuer) = (Backend::echo(), Issuer::start(&["rsa-a"]));
    let gate = Gate::start(&[&issuer.table("id"), &backend.upstream("app"), PUBLIC, API].concat());
    assert_eq!(gate.get("/api/x", "").verdict(), "401 unauthenticated");
    assert!(backend.seen().is_empty());
    let token = issuer::token(&issuer.claims("alice"), RS256);
    let answer = gate.get_as("/api/x", &token);
    assert_eq!(answer.status, 200);
    let seen = backend.last();
    assert_eq!(seen.request_line(), "GET /api/x HTTP/1.1");
    assert_eq!(answer.body, seen.head);
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    let line = gate.access(&seen.header("x-request-id").unwrap());
    assert_eq!((line["status"].as_u64(), line["sub"].as_str()), (Some(200), Some("alice")));
    assert_eq!(issuer.fetches(), 1);
}

#[test]
fn a_new_file_counts_when_it_resolves_and_an_old_connection_sees_it() {
    let backend = Backend::echo();
    let gate = Gate::start(&[&backend.upstream("app"), PUBLIC].concat());
    let mut client = Client::connect(gate.http);
    let mut ask = |path: &str| {
        client.send(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
        client.receive().unwrap().verdict()
    };
    assert_eq!([ask("/public/a"), ask("/open/a")], ["200", "404 no_route"]);
    assert!(!gate.reload("[[route]]\npath = \"no slash\"\n"));
    assert_eq!(ask("/public/a"), "200");
    assert!(gate.reload(&(backend.upstream("app") + &PUBLIC.replace("public/", "open/"))));
    assert_eq!([ask("/public/a"), ask("/open/a")], ["404 no_route", "200"]);
}

#[test]
fn sigterm_ends_the_gate_with_success() {
    let gate = Gate::start(&[&Backend::echo().upstream("app"), PUBLIC].concat());
    assert_eq!(gate.get("/public/a", "").status, 200);
    gate.terminate();
    assert_eq!(gate.exit_code(), Some(0));
}
