use super::*;
use crate::domain::headers::forwarded::Proto;
use crate::domain::policy::route::EncodedSlash;
use proptest::prelude::*;

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// All that one rewriting needs, and the usual case of it.
struct Case {
    identity: Vec<(HeaderName, HeaderValue)>,
    forwarding: Forwarding,
    client: Client,
    forward_authorization: bool,
    keep_tracestate: bool,
    upgrade: bool,
}

impl Case {
    fn usual() -> Self {
        let forwarding = Forwarding {
            encoded_slash: EncodedSlash::Reject,
            strip_prefix: String::new(),
            set_headers: vec![],
            remove_headers: vec![],
            websocket: true,
            max_body: 0,
        };
        let client = Client {
            ip: None,
            forwarded_for: Some(HeaderValue::from_static("192.0.2.1")),
            proto: Proto::Https,
            authority: HeaderValue::from_static("a.example"),
            host: HeaderValue::from_static("a.example"),
            port: None,
        };
        let identity = vec![(HeaderName::from_static("x-auth-subject"), HeaderValue::from_static("alice"))];
        let (forward_authorization, keep_tracestate, upgrade) = (false, false, false);
        Self { identity, forwarding, client, forward_authorization, keep_tracestate, upgrade }
    }

    /// What the backend receives for `fields`, sorted, without what is always set.
    fn forwarded(&self, fields: &[(&str, &str)]) -> Vec<String> {
        let head = self.rewritten(fields);
        let ours = [
            "host",
            "x-auth-subject",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-request-id",
            "traceparent",
        ];
        let others = head.iter().filter(|(name, _)| !ours.contains(&name.as_str()));
        let mut lines: Vec<String> =
            others.map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
        lines.sort();
        lines
    }

    fn rewritten(&self, fields: &[(&str, &str)]) -> HeaderMap {
        let mut head = headers(fields);
        let managed = Managed::new(self.identity.iter().map(|(name, _)| name));
        let onward = Onward {
            managed: &managed,
            identity: &self.identity,
            forward_authorization: self.forward_authorization,
            forwarding: &self.forwarding,
            client: &self.client,
            host: &HeaderValue::from_static("backend"),
            request_id: &HeaderValue::from_static("ours"),
            traceparent: &HeaderValue::from_static("ours"),
            keep_tracestate: self.keep_tracestate,
            degraded: None,
            upgrade: self.upgrade,
        };
        rewrite(&mut head, &onward);
        head
    }
}

fn one<'a>(head: &'a HeaderMap, name: &str) -> &'a str {
    let values: Vec<_> = head.get_all(name).iter().collect();
    assert_eq!(values.len(), 1, "{name}");
    values[0].to_str().unwrap()
}

#[test]
fn what_was_forged_is_replaced_by_what_is_true() {
    let forged = [
        ("host", "client"),
        ("x-auth-subject", "root"),
        ("x-auth-subject", "admin"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil"),
        ("x-request-id", "theirs"),
        ("traceparent", "theirs"),
    ];
    let head = Case::usual().rewritten(&forged);
    assert_eq!(one(&head, "host"), "backend");
    assert_eq!(one(&head, "x-auth-subject"), "alice");
    assert_eq!(one(&head, "x-forwarded-for"), "192.0.2.1");
    assert_eq!(one(&head, "x-forwarded-proto"), "https");
    assert_eq!(one(&head, "x-forwarded-host"), "a.example");
    assert_eq!(one(&head, "x-request-id"), "ours");
    assert_eq!(one(&head, "traceparent"), "ours");
}

#[test]
fn whatever_the_client_must_not_say_is_taken_off() {
    let case = Case::usual();
    for (name, value) in [
        ("x-auth-roles", "admin"),
        ("x_auth_subject", "root"),
        ("x.auth.subject", "root"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "//evil"),
        ("forwarded", "for=x"),
        ("authorization", "Basic x"),
        ("proxy-authorization", "x"),
        ("proxy-connection", "x"),
        ("keep-alive", "x"),
        ("upgrade", "h2c"),
        ("http2-settings", "x"),
        ("tracestate", "x"),
        ("proxy", "http://evil/"),
        ("te", "gzip"),
        ("cookie", "__Host-doorward=x"),
    ] {
        assert_eq!(case.forwarded(&[(name, value)]), [""; 0], "{name}");
    }
}

#[test]
fn everything_else_is_left_as_it_is() {
    let fields =
        [("accept", "*/*"), ("cookie", "a=b;c=\"d e\";  f"), ("te", "trailers"), ("x-a", "\u{e9}"), ("x-a", "2")];
    let expected = ["accept: */*", "cookie: a=b;c=\"d e\";  f", "te: trailers", "x-a: 2", "x-a: \u{e9}"];
    assert_eq!(Case::usual().forwarded(&fields), expected);
}

#[test]
fn a_flood_of_forged_names_is_taken_off_to_the_last() {
    let names: Vec<String> = (0..200).map(|at| format!("x-auth-{at}")).collect();
    let fields: Vec<(&str, &str)> =
        names.iter().flat_map(|name| [(name.as_str(), "x"), (name.as_str(), "y")]).collect();
    assert_eq!(Case::usual().forwarded(&fields), [""; 0]);
}

#[test]
fn authorization_and_tracestate_pass_where_they_may() {
    let case = Case { forward_authorization: true, keep_tracestate: true, ..Case::usual() };
    let expected = ["authorization: Bearer x", "tracestate: a=1"];
    assert_eq!(case.forwarded(&[("authorization", "Bearer x"), ("tracestate", "a=1")]), expected);
}

#[test]
fn a_route_may_set_and_remove_but_not_speak_about_the_caller() {
    let mut case = Case::usual();
    case.forwarding.remove_headers = vec![HeaderName::from_static("x-a"), HeaderName::from_static("x-auth-subject")];
    case.forwarding.set_headers = vec![
        (HeaderName::from_static("authorization"), HeaderValue::from_static("Bearer ours")),
        (HeaderName::from_static("x-auth-subject"), HeaderValue::from_static("root")),
    ];
    let fields = [("x-a", "1"), ("x-b", "2"), ("authorization", "Bearer theirs")];
    assert_eq!(case.forwarded(&fields), ["authorization: Bearer ours", "x-b: 2"]);
    assert_eq!(one(&case.rewritten(&fields), "x-auth-subject"), "alice");
}

#[test]
fn a_trusted_port_is_passed_on() {
    let mut case = Case::usual();
    case.client.port = Some(8443);
    assert_eq!(one(&case.rewritten(&[("x-forwarded-port", "1")]), "x-forwarded-port"), "8443");
}

#[test]
fn the_tunnel_keeps_the_handshake_and_loses_what_connection_names() {
    let case = Case { upgrade: true, ..Case::usual() };
    let fields = [
        ("connection", "Upgrade, X-Hop, X-Auth-Subject"),
        ("upgrade", "websocket"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("sec-websocket-key", "x"),
    ];
    let expected = ["connection: Upgrade, X-Hop, X-Auth-Subject", "sec-websocket-key: x", "upgrade: websocket"];
    assert_eq!(case.forwarded(&fields), expected);
    assert_eq!(one(&case.rewritten(&fields), "x-auth-subject"), "alice");
}

#[test]
fn our_cookies_are_taken_out_and_the_others_left_in_order() {
    for (sent, forwarded) in [
        (&["a=1; __Host-doorward=x; b=2"][..], Some("a=1; b=2")),
        (&["__Host-doorward=x"], None),
        (&["__Host-doorward-r0=x;__Host-doorward-r1=y ; __Host-doorward-l-abcdef=z"], None),
        (&["__Secure-doorward=x; doorward=y; doorward-r0=; doorward-l-q; z= a b"], Some("z= a b")),
        (&[" __Host-doorward =x;a"], Some("a")),
        (
            &["doorwards=1; doorward-x=2; x-doorward=3; Doorward=4"],
            Some("doorwards=1; doorward-x=2; x-doorward=3; Doorward=4"),
        ),
        (&["a=__Host-doorward=x"], Some("a=__Host-doorward=x")),
        (&["a=1", "__Host-doorward=x", "b=2"], Some("a=1; b=2")),
        (&["a=1", "a=2"], Some("a=1; a=2")),
        (&["a=\u{e9}; doorward=1"], Some("a=\u{e9}")),
        (&[""], Some("")),
    ] {
        let fields: Vec<_> = sent.iter().map(|value| ("cookie", *value)).collect();
        let expected: Vec<String> = forwarded.iter().map(|value| format!("cookie: {value}")).collect();
        assert_eq!(Case::usual().forwarded(&fields), expected, "{sent:?}");
    }
}

#[test]
fn a_backend_cannot_set_our_cookies_nor_speak_as_a_proxy() {
    let mut head = headers(&[
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "__Host-doorward=x; Secure; Path=/"),
        ("set-cookie", " doorward-r1 = x"),
        ("set-cookie", "b=doorward"),
        ("x-auth-subject", "root"),
        ("x_doorward_x", "1"),
        ("content-type", "text/plain"),
    ]);
    erase_from_response(&mut head, &Managed::default());
    let cookies: Vec<_> = head.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=doorward"]);
    assert_eq!(head.len(), 3);
}

#[test]
fn a_trailer_can_forge_nothing() {
    let mut trailers = headers(&[
        ("x-auth-subject", "root"),
        ("x_auth_roles", "admin"),
        ("host", "evil"),
        ("transfer-encoding", "chunked"),
        ("content-length", "1"),
        ("authorization", "x"),
        ("cookie", "a=b"),
        ("proxy", "x"),
        ("x-request-id", "x"),
        ("grpc-status", "0"),
    ]);
    erase_from_trailers(&mut trailers, &Managed::default());
    assert_eq!(trailers, headers(&[("grpc-status", "0")]));
}

proptest! {
    #[test]
    fn no_spelling_of_an_identity_header_survives(mark in proptest::sample::select(b"-_.~!#$%&'*+^`|".to_vec()), value in "[ -~]{0,20}") {
        let name = "X-Auth-Subject".replace('-', std::str::from_utf8(&[mark]).unwrap());
        prop_assert_eq!(Case::usual().forwarded(&[(&name, &value)]), [""; 0]);
    }

    #[test]
    fn no_arrangement_of_cookies_lets_ours_through(pairs in proptest::collection::vec("(a|doorward|__Host-doorward(-r[01])?)[ ]?=?[!-:]{0,4}", 0..6), split in 0_usize..6) {
        let (left, right) = pairs.split_at(split.min(pairs.len()));
        let (left, right) = (left.join("; "), right.join(";"));
        let head = Case::usual().rewritten(&[("cookie", &left), ("cookie", &right)]);
        for value in head.get_all(COOKIE) {
            for pair in value.to_str().unwrap().split(';') {
                let name = pair.split('=').next().unwrap().trim();
                prop_assert!(name != "doorward" && !name.starts_with("__Host-doorward"), "{:?}", value);
            }
        }
    }
}
