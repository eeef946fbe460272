use super::*;
use crate::domain::secret::Secret;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const READER: &str = "fedcba9876543210fedcba9876543210";

fn api() -> Api {
    let operator = |name, role, token: &str| Operator::new(name, role, &Secret::new(token.as_bytes().to_vec()));
    let operators = vec![operator("ann", Role::Operator, TOKEN), operator("ron", Role::Reader, READER)];
    let access =
        Access { operators: Operators::new(operators), hosts: vec!["gate.internal".to_owned()], ..Access::default() };
    Api::new(access, AuditLog::disabled(), None)
}

/// The code of the refusal, or whom it lets do what.
fn verdict(method: &str, path: &str, headers: &[(&str, &str)]) -> String {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let peer = Peer { client: [127, 0, 0, 1].into(), own: ([127, 0, 0, 1], 9901).into() };
    let api = api();
    match api.admit(&api.access.load(), &head, peer) {
        Ok((operator, act)) => format!("{} {act:?}", operator.name),
        Err(refusal) => refusal.code.name().to_owned(),
    }
}

fn ask(method: &str, path: &str, token: &str) -> String {
    verdict(method, path, &[("host", "localhost:9901"), ("authorization", &format!("Bearer {token}"))])
}

#[test]
fn only_a_whole_token_opens() {
    assert_eq!(ask("GET", "/api/v1/keys", TOKEN), "ann ListKeys");
    for wrong in ["", "x", &TOKEN[1..], &format!("{TOKEN}0"), &format!("{TOKEN}, {TOKEN}")] {
        assert_eq!(ask("GET", "/api/v1/keys", wrong), "unauthenticated", "{wrong}");
    }
    let bearer = format!("bearer {TOKEN}");
    let host = ("host", "localhost");
    assert_eq!(verdict("GET", "/api/v1/keys", &[host, ("authorization", &bearer)]), "ann ListKeys");
    let twice = [host, ("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(verdict("GET", "/api/v1/keys", &twice), "unauthenticated");
    assert_eq!(verdict("GET", "/api/v1/keys", &[host, ("authorization", TOKEN)]), "unauthenticated");
    assert_eq!(verdict("GET", "/api/v1/keys", &[host]), "unauthenticated");
}

#[test]
fn a_stranger_learns_no_path() {
    assert_eq!(ask("GET", "/api/v1/nothing", "x"), "unauthenticated");
    assert_eq!(ask("GET", "/api/v1/nothing", TOKEN), "no_route");
}

#[test]
fn a_reader_looks_and_changes_nothing() {
    assert_eq!(ask("GET", "/api/v1/keys", READER), "ron ListKeys");
    assert_eq!(ask("HEAD", "/api/v1/sessions", READER), "ron ListSessions");
    for (method, path) in [
        ("POST", "/api/v1/revocations"),
        ("DELETE", "/api/v1/sessions/x"),
        ("POST", "/api/v1/users/x/block"),
        ("POST", "/api/v1/users/x/unblock"),
        ("POST", "/api/v1/users/x/revoke"),
        ("POST", "/api/v1/keys/rotate"),
        ("POST", "/api/v1/keys/x/retire"),
        ("POST", "/api/v1/reload"),
    ] {
        assert_eq!(ask(method, path, READER), "forbidden", "{path}");
        assert!(ask(method, path, TOKEN).starts_with("ann "), "{path}");
        assert_eq!(ask("PUT", path, TOKEN), "method_not_allowed", "{path}");
    }
}

#[test]
fn a_name_that_is_not_ours_gets_nothing_even_with_the_token() {
    let bearer = format!("Bearer {TOKEN}");
    let under = |host: &str| verdict("GET", "/api/v1/keys", &[("host", host), ("authorization", &bearer)]);
    for ours in ["127.0.0.1:9901", "localhost", "LOCALHOST:1", "[::1]:9901", "gate.internal", "Gate.Internal:80"] {
        assert_eq!(under(ours), "ann ListKeys", "{ours}");
    }
    for other in ["evil.test", "evil.test:9901", "localhost.evil.test", "192.0.2.1", "", "127.0.0.1.evil.test", ":9901"]
    {
        assert_eq!(under(other), "forbidden", "{other}");
    }
    assert_eq!(verdict("GET", "/api/v1/keys", &[("authorization", &bearer)]), "forbidden", "no Host at all");
    let two = [("host", "localhost"), ("host", "localhost"), ("authorization", bearer.as_str())];
    assert_eq!(verdict("GET", "/api/v1/keys", &two), "forbidden");
    let absolute = [("host", "localhost"), ("authorization", bearer.as_str())];
    assert_eq!(verdict("GET", "http://evil.test/api/v1/keys", &absolute), "forbidden");
}

#[test]
fn names_in_a_path_are_taken_as_they_are() {
    assert_eq!(ask("POST", "/api/v1/users/auth0%7C1%2F2/block", TOKEN), "ann Block(\"auth0|1/2\")");
    for odd in ["%", "%2", "%zz", "%ff", ""] {
        assert_eq!(ask("POST", &format!("/api/v1/users/{odd}/block"), TOKEN), "no_route", "{odd}");
    }
}
