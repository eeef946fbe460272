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
