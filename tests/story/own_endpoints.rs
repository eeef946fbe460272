//! The gate's own endpoints as programs meet them: what they refuse, and what they do for whoever holds tokens.

use super::support::backend::Backend;
use super::support::browser::{json, Browser, SCRIPT};
use super::support::people;

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
