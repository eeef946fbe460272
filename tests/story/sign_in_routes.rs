//! A session on the routes behind the gate: what the backend is told, what it never gets, and whom cookies speak for.

use super::support::backend::{self, Backend};
use super::support::browser::{set_cookies, Browser, PERSON, SCRIPT};
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::people::{self, LOCAL, ROUTES};

const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                         dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// With an issuer of bearer tokens besides.
fn mixed(backend: &Backend) -> Gate {
    let issuer = issuer::table("machines", "https://issuer.test", "secret = \"env:SECRET\"");
    people::setup().variable("SECRET", SECRET).start(&[LOCAL, &issuer, &backend.upstream("app"), ROUTES].concat())
}

fn bearer() -> String {
    let token = issuer::token(&issuer::claims("https://issuer.test", "robot"), HS256);
    format!("Authorization: Bearer {token}\r\n")
}

#[test]
fn the_backend_is_told_who_it_is_and_nothing_that_was_forged() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    browser.jar.insert("theirs".to_owned(), "1".to_owned());
    let forged = "X-Auth-Subject: root\r\nx_auth_roles: root\r\nX-Auth-Session: s\r\nConnection: X-Auth-Subject\r\n";
    assert_eq!(browser.ask("GET", "/app/x", &format!("{SCRIPT}{forged}"), "").status, 200);
    let seen = backend.last();
    let mut told = seen.folded("x-auth-");
    told.sort();
    let session = browser.access()["sid"].as_str().unwrap().to_owned();
    let expected = [
        ("x-auth-email", "alice@app.test"),
        ("x-auth-method", "session"),
        ("x-auth-name", "alice"),
        ("x-auth-provider", "local"),
        ("x-auth-roles", "admin"),
        ("x-auth-session", &session),
        ("x-auth-subject", "alice"),
    ];
    assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert_eq!(seen.all("cookie"), ["theirs=1"], "our cookies stay here");
    for value in browser.jar.values().filter(|value| value.len() > 8) {
        assert!(!seen.text().contains(value.as_str()));
    }
}

#[test]
fn roles_decide_for_sessions_as_for_tokens() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    assert_eq!(Browser::signed_in(&gate, "alice").get("/admin/x").status, 200);
    backend.take();
    let mut bob = Browser::signed_in(&gate, "bob");
    assert_eq!(bob.get("/admin/x").verdict(), "403 forbidden");
    let page = bob.visit("/admin/x");
    assert_eq!((page.status, page.header("location")), (403, None), "to sign in once more would not help");
    assert!(backend.seen().is_empty());
}

#[test]
fn two_credentials_are_one_too_many() {
    let backend = Backend::echo();
    let gate = mixed(&backend);
    let mut browser = Browser::signed_in(&gate, "alice");
    let both = browser.ask("GET", "/app/x", &format!("{SCRIPT}{}", bearer()), "");
    assert_eq!(both.verdict(), "400 conflicting_credentials");
    for name in ["doorward", "doorward-r0"] {
        let doubled = format!("{SCRIPT}Cookie: {name}=planted\r\n");
        let answer = browser.ask("GET", "/app/x", &doubled, "");
        assert_eq!(answer.verdict(), "400 conflicting_credentials", "{name}");
        assert_eq!(browser.ask("GET", "/.auth/me", &doubled, "").verdict(), "400 conflicting_credentials", "{name}");
    }
    let mut renewal_only = browser.clone();
    renewal_only.forget_access();
    backend.take();
    assert_eq!(renewal_only.ask("GET", "/app/x", &format!("{SCRIPT}{}", bearer()), "").status, 200);
    assert_eq!(backend.last().header("x-auth-subject").as_deref(), Some("robot"), "a renewal token is no credential");
    assert_eq!(browser.who(), "alice");
}

#[test]
fn a_public_route_looks_at_no_credential() {
    let backend = Backend::echo();
    let gate = mixed(&backend);
    let mut browser = Browser::signed_in(&gate, "alice");
    for headers in [bearer(), "Cookie: doorward=planted\r\n".to_owned(), "Sec-Fetch-Site: cross-site\r\n".to_owned()] {
        assert_eq!(browser.ask("POST", "/public/x", &headers, "").status, 200, "{headers}");
        let seen = backend.last();
        assert_eq!(seen.folded("x-auth-"), [("x-auth-method".to_owned(), "anonymous".to_owned())]);
        assert!(seen.header("cookie").is_none());
    }
}

#[test]
fn where_anybody_may_come_a_dead_session_is_no_session_and_goes_away() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    assert_eq!(browser.get("/open/x").status, 200);
    assert_eq!(backend.last().header("x-auth-subject").as_deref(), Some("alice"));
    let mut dead = browser.clone();
    assert_eq!(browser.post("/.auth/logout").status, 204);
    let late = dead.get("/open/x");
    assert_eq!((late.status, late.header("set-cookie")), (200, None), "a script may come late");
    let answer = dead.visit("/open/x");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(backend.last().folded("x-auth-"), [("x-auth-method".to_owned(), "anonymous".to_owned())]);
    let kept = ["doorward-b", "doorward-d"];
    assert!(dead.jar.keys().all(|name| kept.contains(&name.as_str())), "{:?}", dead.jar.keys());
    let mut nonsense = Browser::new(&gate);
    nonsense.jar.insert("doorward".to_owned(), "nonsense".to_owned());
    assert_eq!(nonsense.get("/open/x").status, 200);
    assert!(nonsense.jar.is_empty());
    assert_eq!(Browser::new(&gate).get("/open/x").status, 200);
}

#[test]
fn cookies_speak_for_nobody_whom_another_site_sent() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    for (cause, on, strict) in [
        ("Sec-Fetch-Site: same-origin\r\n", true, true),
        ("Sec-Fetch-Site: none\r\n", true, true),
        ("Origin: http://localhost\r\n", true, true),
        ("", true, false),
        ("Sec-Fetch-Site: cross-site\r\n", false, false),
        ("Sec-Fetch-Site: same-site\r\nOrigin: http://sister.localhost\r\n", false, false),
        ("Origin: http://evil.test\r\n", false, false),
        ("Origin: null\r\n", false, false),
    ] {
        for (path, passes) in [("/app/x", on), ("/strict/x", strict), ("/loose/x", true)] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                backend.take();
                let answer = browser.ask(method, path, cause, "");
                assert_eq!(answer.verdict(), if passes { "200" } else { "403 csrf" }, "{method} {path} {cause:?}");
                assert_eq!(backend.seen().is_empty(), !passes);
            }
            let read = browser.ask("GET", path, cause, "");
            assert_eq!(read.status, 200, "reading is safe: {path} {cause:?}");
            let opened = browser.ask("GET", path, &format!("{cause}{HANDSHAKE}"), "");
            assert_eq!(opened.verdict(), if passes { "101" } else { "403 csrf" }, "WebSocket {path} {cause:?}");
        }
    }
}

#[test]
fn listed_origins_may_and_a_bearer_token_needs_no_cause() {
    let backend = Backend::echo();
    let issuer = issuer::table("machines", "https://issuer.test", "secret = \"env:SECRET\"");
    let setup = people::setup().variable("SECRET", SECRET).server("csrf_origins = [\"https://friend.test\"]");
    let gate = setup.start(&[LOCAL, &issuer, &backend.upstream("app"), ROUTES].concat());
    let mut browser = Browser::signed_in(&gate, "alice");
    let friend = "Sec-Fetch-Site: cross-site\r\nOrigin: https://friend.test\r\n";
    assert_eq!(browser.ask("POST", "/strict/x", friend, "").status, 200);
    let cross = format!("Sec-Fetch-Site: cross-site\r\nOrigin: https://evil.test\r\n{}", bearer());
    assert_eq!(Browser::new(&gate).ask("POST", "/strict/x", &cross, "").status, 200, "nobody adds that unasked");
}

#[test]
fn a_forged_request_renews_nothing() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::signed_in(&gate, "alice");
    browser.forget_access();
    let answer = browser.ask("POST", "/app/x", "Sec-Fetch-Site: cross-site\r\n", "");
    assert_eq!((answer.verdict().as_str(), answer.all("set-cookie").len()), ("403 csrf", 0));
    assert!(gate.metric("doorward_refresh_total{verdict=\"same\"}") < 1.0);
    assert_eq!(browser.get("/app/x").status, 200);
    assert!(gate.metric("doorward_refresh_total{verdict=\"same\"}") >= 1.0);
}

#[test]
fn a_backend_sets_no_cookie_of_ours() {
    let headers = "Set-Cookie: theirs=1\r\nSet-Cookie: doorward=planted\r\nSet-Cookie: __Host-doorward=planted\r\n\
                   Set-Cookie: doorward-r0=planted\r\nX-Auth-Subject: leaked\r\n";
    let backend = Backend::answering(backend::text(headers, "x"));
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let answer = browser.get("/app/x");
    let names: Vec<String> = set_cookies(&answer).into_iter().map(|cookie| cookie.name).collect();
    assert_eq!(names, ["theirs"]);
    assert_eq!(answer.header("x-auth-subject"), None);
    assert_eq!(answer.header("cache-control"), Some("private"), "what is for alice is for no shared cache");
}

#[test]
fn a_route_for_tokens_alone_takes_no_cookie_and_sends_nobody_to_sign_in() {
    let backend = Backend::echo();
    let issuer = issuer::table("machines", "https://issuer.test", "secret = \"env:SECRET\"");
    let api = "[[route]]\npath = \"/api/**\"\naccess = \"authenticated\"\naccept = [\"bearer\"]\n\n\
               [[route]]\npath = \"/people/**\"\naccess = \"authenticated\"\naccept = [\"session\"]\n\n";
    let gate = people::setup()
        .variable("SECRET", SECRET)
        .start(&[LOCAL, &issuer, &backend.upstream("app"), ROUTES, api].concat());
    let mut browser = Browser::signed_in(&gate, "alice");
    assert_eq!(browser.get("/api/x").verdict(), "401 unauthenticated");
    let visit = browser.ask("GET", "/api/x", PERSON, "");
    assert_eq!((visit.status, visit.header("location")), (401, None));
    let robot = format!("{SCRIPT}{}", bearer());
    assert_eq!(Browser::new(&gate).ask("GET", "/people/x", &robot, "").verdict(), "401 unauthenticated");
    assert_eq!(Browser::new(&gate).ask("GET", "/api/x", &robot, "").status, 200);
}

#[test]
fn a_copied_cookie_on_another_device_is_asked_to_sign_in() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut owner = Browser::signed_in(&gate, "alice");
    let mut thief = owner.clone();
    thief.device = "User-Agent: curl/8.0\r\nAccept-Language: zz\r\n".to_owned();
    backend.take();
    assert_eq!(thief.get("/app/x").verdict(), "401 step_up_required");
    assert!(backend.seen().is_empty());
    assert_eq!(owner.get("/app/x").status, 200);
    thief.forget_access();
    assert_eq!(thief.get("/app/x").verdict(), "401 step_up_required");
    assert_eq!(owner.get("/app/x").status, 200);
    owner.forget_access();
    assert_eq!(owner.get("/app/x").status, 200, "and what the thief tried does not sign the owner out");
}
