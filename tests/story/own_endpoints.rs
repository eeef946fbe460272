//! The gate's own endpoints as programs meet them: what they refuse, and what they do for whoever holds tokens.

use super::support::backend::Backend;
use super::support::browser::{encoded, json, Browser, SCRIPT};
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::people;
use serde_json::Value;

const BODY: &str = "[session]\ndelivery = \"body\"\n";
/// What a program says of itself: next to nothing.
const PROGRAM: &str = "Accept: application/json\r\n";

/// The tokens of a client without a cookie jar in which `name` has signed in.
fn tokens(gate: &Gate, name: &str) -> (String, String) {
    let told: Value = json(&Browser::new(gate).sign_in(name));
    let text = |name: &str| told[name].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

fn give_up(gate: &Gate, form: &[(&str, &str)]) -> Response {
    let headers = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";
    Browser::new(gate).ask("POST", "/.auth/revoke", headers, &encoded(form))
}

fn refresh(gate: &Gate, token: &str) -> Response {
    let body = serde_json::json!({ "refresh_token": token }).to_string();
    Browser::new(gate).ask("POST", "/.auth/refresh", PROGRAM, &body)
}

fn ask_as(gate: &Gate, method: &str, path: &str, token: &str) -> Response {
    Browser::new(gate).ask(method, path, &format!("{PROGRAM}Authorization: Bearer {token}\r\n"), "")
}

#[test]
fn what_our_own_endpoints_refuse_is_in_the_books_and_nowhere_else() {
    let gate = people::house(&Backend::echo(), "");
    let mut stranger = Browser::new(&gate);
    for (method, path, headers, verdict) in [
        ("GET", "/.auth/me", SCRIPT, "401 unauthenticated"),
        ("POST", "/.auth/logout", "Sec-Fetch-Site: cross-site\r\n", "403 csrf"),
        ("GET", "/.auth/callback/local?state=x", SCRIPT, "404 no_route"),
    ] {
        let answer = stranger.ask(method, path, headers, "");
        assert_eq!(answer.verdict(), verdict);
        let id = json(&answer)["request_id"].as_str().unwrap().to_owned();
        let (access, audit) = (gate.access(&id), gate.audit(&id));
        let (_, code) = verdict.split_once(' ').unwrap();
        assert_eq!((&access["decision"], &access["reason"]), (&"refused".into(), &code.into()), "{access}");
        assert_eq!((&audit["reason"], &audit["client_ip"]), (&code.into(), &"127.0.0.1".into()), "{audit}");
        assert!(!audit["detail"].as_str().unwrap().is_empty());
        assert!(!gate.messages.all().iter().any(|line| line.contains(&id)), "a stranger makes us write to stderr");
    }
    assert!(gate.metric("doorward_requests_total{route=\"none\",decision=\"refused\",code=\"401\"}") >= 1.0);
}

#[test]
fn whoever_comes_and_goes_is_written_down_with_their_address() {
    let gate = people::setup()
        .server("trusted_proxies = [\"127.0.0.0/8\"]")
        .start(&[people::LOCAL, &Backend::echo().upstream("app"), people::ROUTES].concat());
    let mut browser = Browser::new(&gate);
    browser.device.push_str("X-Forwarded-For: 192.0.2.9\r\n");
    assert_eq!(browser.sign_in("alice").status, 303);
    let session = browser.session();
    assert_eq!(browser.post("/.auth/logout").status, 204);
    for event in ["sign_in", "sign_out"] {
        let line = gate.journal.wait(|line| line["event"] == event);
        assert_eq!((&line["client_ip"], &line["session"]), (&"192.0.2.9".into(), &session.as_str().into()), "{line}");
    }
}

#[test]
fn a_client_that_holds_its_tokens_sees_itself_and_ends_its_sessions() {
    let gate = people::house(&Backend::echo(), BODY);
    let ((one, _), (two, _), (bob, _)) = (tokens(&gate, "alice"), tokens(&gate, "alice"), tokens(&gate, "bob"));
    let me = json(&ask_as(&gate, "GET", "/.auth/me", &one));
    assert_eq!((me["sub"].as_str(), me["provider"].as_str()), (Some("alice"), Some("local")));
    let listed = json(&ask_as(&gate, "GET", "/.auth/sessions", &one));
    let looks = |line: &&String| line.contains("device_checked") && line.contains(me["session"].as_str().unwrap());
    gate.journal.wait(|line| line["event"] == "device_checked");
    assert_eq!(gate.journal.all().iter().filter(looks).count(), 1, "a device is looked at once");
    let [first, second] = listed["sessions"].as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&first["id"], &first["current"], &second["current"]), (&me["session"], &true.into(), &false.into()));

    let others = format!("/.auth/sessions/{}", second["id"].as_str().unwrap());
    assert_eq!(ask_as(&gate, "DELETE", &others, &bob).verdict(), "404 no_route", "it is not bob's to end");
    assert_eq!(ask_as(&gate, "DELETE", &others, &one).status, 200);
    assert_eq!(ask_as(&gate, "GET", "/.auth/me", &two).verdict(), "401 session_terminated");
    assert_eq!(ask_as(&gate, "POST", "/.auth/logout", &one).status, 204);
    assert_eq!(ask_as(&gate, "GET", "/.auth/me", &one).verdict(), "401 session_terminated");
    assert_eq!(ask_as(&gate, "POST", "/.auth/logout", &one).verdict(), "401 session_terminated");
    assert_eq!(ask_as(&gate, "GET", "/.auth/me", &bob).status, 200);
}

#[test]
fn nobody_is_told_that_they_are_signed_out_who_did_not_say_who_they_are() {
    let gate = people::house(&Backend::echo(), BODY);
    let (token, _) = tokens(&gate, "alice");
    assert_eq!(Browser::new(&gate).ask("POST", "/.auth/logout", PROGRAM, "").verdict(), "401 unauthenticated");
    let forged = format!("{}AAAA", token.rsplit_once('.').unwrap().0.to_owned() + ".");
    let refused = ask_as(&gate, "POST", "/.auth/logout", &forged);
    assert_eq!(refused.verdict(), "401 token_invalid");
    assert!(refused.header("www-authenticate").is_some_and(|it| it.contains("error=\"invalid_token\"")), "{refused:?}");
    assert_eq!(ask_as(&gate, "GET", "/.auth/me", &token).status, 200);

    let gate = people::house(&Backend::echo(), "");
    assert_eq!(Browser::new(&gate).post("/.auth/logout").status, 204, "a browser without a session is signed out");
    let mut browser = Browser::signed_in(&gate, "alice");
    let token = browser.cookie("doorward").unwrap().to_owned();
    let both = format!("{SCRIPT}Authorization: Bearer {token}\r\n");
    for (method, path) in [("GET", "/.auth/me"), ("POST", "/.auth/logout"), ("DELETE", "/.auth/sessions/others")] {
        assert_eq!(browser.ask(method, path, &both, "").verdict(), "400 conflicting_credentials", "{path}");
    }
    assert_eq!(browser.get("/.auth/me").status, 200);
}

#[test]
fn a_copied_token_is_no_more_than_a_copied_cookie() {
    let gate = people::house(&Backend::echo(), BODY);
    let (token, _) = tokens(&gate, "alice");
    let mut thief = Browser::new(&gate);
    thief.device = "User-Agent: curl/8.0\r\nAccept-Language: zz\r\n".to_owned();
    for (method, path) in [("GET", "/.auth/me"), ("GET", "/.auth/sessions"), ("POST", "/.auth/logout")] {
        let answer = thief.ask(method, path, &format!("{PROGRAM}Authorization: Bearer {token}\r\n"), "");
        assert_eq!(answer.verdict(), "401 step_up_required", "{path}");
    }
    assert_eq!(ask_as(&gate, "GET", "/.auth/me", &token).status, 200);
}

#[test]
fn an_access_token_that_is_given_up_ends_alone() {
    let gate = people::house(&Backend::echo(), BODY);
    let (access, renewal) = tokens(&gate, "alice");
    let answer = give_up(&gate, &[("token", &access), ("token_type_hint", "refresh_token")]);
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    for path in ["/app/x", "/.auth/me"] {
        assert_eq!(ask_as(&gate, "GET", path, &access).verdict(), "401 token_revoked", "{path}");
    }
    let line = gate.journal.wait(|line| line["event"] == "token_revoked");
    assert_eq!((&line["sub"], &line["client_ip"]), (&"alice".into(), &"127.0.0.1".into()));
    let next = json(&refresh(&gate, &renewal));
    assert_eq!(ask_as(&gate, "GET", "/app/x", next["access_token"].as_str().unwrap()).status, 200);
}

#[test]
fn a_renewal_token_that_is_given_up_ends_its_session_and_all_it_minted() {
    let gate = people::house(&Backend::echo(), BODY);
    for replaced in [false, true] {
        let ((access, renewal), (bystander, _)) = (tokens(&gate, "alice"), tokens(&gate, "alice"));
        let next = if replaced { Some(json(&refresh(&gate, &renewal))) } else { None };
        assert_eq!(give_up(&gate, &[("token", &renewal)]).status, 200);
        assert_eq!(ask_as(&gate, "GET", "/app/x", &access).verdict(), "401 session_terminated");
        assert_eq!(refresh(&gate, &renewal).status, 401);
        if let Some(next) = next {
            let (access, renewal) = (next["access_token"].as_str().unwrap(), next["refresh_token"].as_str().unwrap());
            assert_eq!(ask_as(&gate, "GET", "/app/x", access).verdict(), "401 session_terminated");
            assert_eq!(refresh(&gate, renewal).status, 401);
        }
        assert_eq!(ask_as(&gate, "GET", "/app/x", &bystander).status, 200, "another session of the same user");
        assert_eq!(give_up(&gate, &[("token", &renewal)]).status, 200, "and once more");
    }
}

#[test]
fn nobody_learns_from_a_revocation_which_tokens_are_good() {
    let gate = people::house(&Backend::echo(), BODY);
    let (access, renewal) = tokens(&gate, "alice");
    let forged = [&access, &renewal].map(|token| format!("{}AAAA", &token[..token.len() - 4]));
    for token in [forged[0].as_str(), &forged[1], "x", "a.b.c", "dwr1.", "\u{0}"] {
        let answer = give_up(&gate, &[("token", token)]);
        assert_eq!((answer.status, answer.body.len()), (200, 0), "{token:?}");
    }
    let twice = [("token", access.as_str()), ("token", renewal.as_str())];
    for (what, answer) in [
        ("no token", give_up(&gate, &[("token_type_hint", "access_token")])),
        ("an empty one", give_up(&gate, &[("token", "")])),
        ("two", give_up(&gate, &twice)),
        ("no form", Browser::new(&gate).ask("POST", "/.auth/revoke", PROGRAM, &encoded(&[("token", &access)]))),
    ] {
        assert_eq!((answer.status, json(&answer)["error"].as_str()), (400, Some("invalid_request")), "{what}");
    }
    assert_eq!(ask_as(&gate, "GET", "/app/x", &access).status, 200, "none of that did anything");
    assert_eq!(Browser::new(&gate).get("/.auth/revoke").verdict(), "405 method_not_allowed");
    let told = json(&Browser::new(&gate).get("/.well-known/oauth-authorization-server"));
    assert_eq!(told["revocation_endpoint"], "http://localhost/.auth/revoke");
}
