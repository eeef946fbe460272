//! Where a request came from, and what it is called on its way: only a trusted proxy may say, and only so much.

use super::identity::{pair, pairs, Stage, Way, WAYS};
use super::support::gate::Gate;

#[test]
fn a_stranger_cannot_say_where_a_request_came_from() {
    let stage = Stage::set();
    let sent = [
        ("X-Forwarded-For", "10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.test"),
        ("X-Forwarded-Port", "443"),
        ("X-Request-Id", "chosen-by-me"),
        ("Tracestate", "a=b"),
        ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    for way in WAYS {
        let seen = stage.arrives(way, "/public/a", &sent);
        let expected = [
            pair("x-forwarded-for", "127.0.0.1"),
            pair("x-forwarded-host", "app.test"),
            pair("x-forwarded-proto", "http"),
        ];
        assert_eq!(pairs(&seen, "x-forwarded"), expected, "{way:?}");
        assert_ne!(seen.header("x-request-id").as_deref(), Some("chosen-by-me"));
        assert!(!seen.header("traceparent").unwrap().contains("0af7651916cd43dd8448eb211c80319c"));
        assert_eq!(seen.header("tracestate"), None);
        assert_eq!(seen.header("host").as_deref(), Some("app.test"));
    }
}

#[test]
fn a_trusted_proxy_can_and_nothing_more_than_it_may() {
    let stage = Stage::with(Gate::setup().server("trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]"), "");
    let sent = [
        ("X-Forwarded-For", "198.51.100.7, 203.0.113.9, 10.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.test"),
        ("X-Forwarded-Port", "8443"),
        ("X-Request-Id", "from-the-proxy"),
        ("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("Tracestate", "a=b"),
        ("X-Forwarded-Prefix", "/evil"),
        ("X-Real-IP", "evil"),
        ("Forwarded", "for=evil"),
        ("X-Auth-Subject", "evil"),
    ];
    for way in WAYS {
        let seen = stage.arrives(way, "/public/a", &sent);
        let expected = [
            pair("x-forwarded-for", "203.0.113.9, 10.0.0.1, 127.0.0.1"),
            pair("x-forwarded-host", "shop.test"),
            pair("x-forwarded-port", "8443"),
            pair("x-forwarded-proto", "https"),
        ];
        assert_eq!(pairs(&seen, "x-forwarded"), expected, "{way:?}");
        assert_eq!(seen.header("x-request-id").as_deref(), Some("from-the-proxy"));
        let traceparent = seen.header("traceparent").unwrap();
        assert!(traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{traceparent}");
        assert!(!traceparent.contains("b7ad6b7169203331"), "a hop of its own: {traceparent}");
        assert_eq!(seen.header("tracestate").as_deref(), Some("a=b"));
        assert!(!seen.text().contains("evil"), "{}", seen.text());
        assert_eq!(seen.header("host").as_deref(), Some("app.test"), "X-Forwarded-Host does not choose");
    }
    assert_eq!(stage.gate.access("from-the-proxy")["client_ip"], "203.0.113.9");
}

#[test]
fn ids_that_could_break_a_log_are_replaced_even_from_a_trusted_proxy() {
    let stage = Stage::with(Gate::setup().server("trusted_proxies = [\"127.0.0.1/32\"]"), "");
    for way in WAYS {
        for id in ["../../x", "a b", "\"}{\"", "", &"a".repeat(65), "a\tb"] {
            let seen = stage.arrives(way, "/public/a", &[("X-Request-Id", id)]);
            let given = seen.header("x-request-id").unwrap();
            assert_ne!(given, id, "{way:?}");
            assert!(
                !given.is_empty() && given.len() <= 64 && given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            );
        }
        for parent in [
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "garbage",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let given = stage.arrives(way, "/public/a", &[("Traceparent", parent)]).header("traceparent").unwrap();
            assert_eq!((given.len(), &given[..3]), (55, "00-"), "{way:?} {parent}");
            assert!(
                !given.contains("0af7651916cd43dd8448eb211c80319c") && !given.contains("b7ad6b7169203331"),
                "{given}"
            );
        }
    }
}

#[test]
fn what_a_stranger_sends_is_logged_as_data() {
    let stage = Stage::set();
    let sent = [("User-Agent", "x\t{\"level\":\"info\"}"), ("Authorization", "Basic c2VjcmV0OnNlY3JldA==")];
    let seen = stage.arrives(Way::Http1, "/public/\",\"status\":500?token=c2VjcmV0", &sent);
    let line = stage.gate.access(&seen.header("x-request-id").unwrap());
    assert_eq!((line["status"].as_u64(), line["path"].as_str()), (Some(200), Some("/public/\",\"status\":500")));
    let all = [stage.gate.journal.all(), stage.gate.messages.all()].concat().join("\n");
    assert!(!all.contains("c2VjcmV0"), "a credential or a query in a log");
}
