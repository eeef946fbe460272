//! Cross-origin requests: the gate answers for the backend, and only listed origins may read.

use super::support::backend::{text, Backend};
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};

const LISTED: &str = "Origin: https://app.example\r\n";
const STRANGER: &str = "Origin: https://evil.example\r\n";
const ROUTE: &str = "[[route]]\npath = \"/api/**\"\naccess = \"authenticated\"\ncors = { origins = \
                     [\"https://app.example\"], methods = [\"PUT\"], headers = [\"X-Custom\", \"Authorization\"], \
                     credentials = true, max_age = \"5m\" }\n\n";

fn gate(backend: &Backend) -> Gate {
    let issuers = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"");
    Gate::setup().variable("SECRET", SECRET).start(&[&issuers, &backend.upstream("app"), ROUTE].concat())
}

fn preflight(gate: &Gate, headers: &str) -> Response {
    gate.raw(format!("OPTIONS /api/x HTTP/1.1\r\nHost: app.test\r\n{headers}\r\n"))
}

#[test]
fn a_preflight_is_answered_here_without_a_credential() {
    let backend = Backend::echo();
    let gate = gate(&backend);
    let wish = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-custom, authorization\r\n";
    let answer = preflight(&gate, &[LISTED, wish].concat());
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));
    assert_eq!(answer.header("access-control-allow-headers"), Some("x-custom, authorization"));
    assert_eq!(answer.header("access-control-max-age"), Some("300"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    assert_eq!(answer.header("content-length"), None, "a 204 has none");
    assert!(backend.seen().is_empty());
}

#[test]
fn a_preflight_for_what_is_not_listed_is_refused_here() {
    let backend = Backend::echo();
    let gate = gate(&backend);
    let put = "Access-Control-Request-Method: PUT\r\n";
    let delete = "Access-Control-Request-Method: DELETE\r\n";
    let header = "Access-Control-Request-Headers: x-other\r\n";
    for wish in [[STRANGER, put, ""], [LISTED, delete, ""], [LISTED, put, header]] {
        let answer = preflight(&gate, &wish.concat());
        assert_eq!(answer.verdict(), "403 origin_not_allowed", "{wish:?}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    assert!(backend.seen().is_empty());
}

#[test]
fn a_listed_origin_may_read_even_a_refusal() {
    let gate = gate(&Backend::echo());
    let answer = gate.get("/api/x", LISTED);
    assert_eq!(answer.verdict(), "401 unauthenticated");
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(answer.header("vary"), Some("Origin"));
    let answer = gate.get("/api/x", STRANGER);
    assert_eq!(answer.verdict(), "401 unauthenticated");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn what_the_backend_says_of_origins_is_replaced() {
    let theirs = "Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: X-Secret\r\nVary: Accept\r\n";
    let gate = gate(&Backend::answering(text(theirs, "ok")));
    let token = issuer::token(&issuer::claims("https://issuer.test", "alice"), HS256);
    let get = |origin: &str| gate.get("/api/x", &format!("Authorization: Bearer {token}\r\n{origin}"));
    let answer = get(LISTED);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.all("access-control-allow-origin"), ["https://app.example"]);
    assert_eq!(answer.header("access-control-expose-headers"), None);
    assert_eq!(answer.all("vary"), ["Accept", "Origin"]);
    let answer = get(STRANGER);
    assert_eq!(answer.status, 200, "the origin decides who may read, not who may ask");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_question_of_an_ordinary_client_is_no_preflight() {
    let backend = Backend::echo();
    let gate = gate(&backend);
    let token = issuer::token(&issuer::claims("https://issuer.test", "alice"), HS256);
    assert_eq!(preflight(&gate, "").verdict(), "401 unauthenticated");
    assert_eq!(preflight(&gate, &format!("Authorization: Bearer {token}\r\n")).status, 200);
    assert_eq!(backend.seen().len(), 1);
}
