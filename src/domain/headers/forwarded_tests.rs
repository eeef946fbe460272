use super::*;
use proptest::prelude::*;

const PEER: &str = "10.0.0.9";

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

/// Everything in 10.0.0.0/8 and fd00::/8 is a proxy of ours.
fn trusts(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] == 10,
        IpAddr::V6(ip) => ip.octets()[0] == 0xfd,
    }
}

fn from_peer(fields: &[(&'static str, &str)], trusted: bool) -> Client {
    let peer = Peer { ip: Some(PEER.parse().unwrap()), trusted, tls: false };
    client(&headers(fields), &peer, trusts, "a.example:8080")
}

/// Client address and chain for these `X-Forwarded-For` fields from a trusted peer.
fn walked(fields: &[&str]) -> (String, String) {
    let fields: Vec<_> = fields.iter().map(|value| ("x-forwarded-for", *value)).collect();
    let client = from_peer(&fields, true);
    (client.ip.unwrap().to_string(), client.forwarded_for.unwrap().to_str().unwrap().to_owned())
}

#[test]
fn nothing_an_untrusted_peer_says_is_believed() {
    let forged = [
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-port", "443"),
    ];
    let client = from_peer(&forged, false);
    assert_eq!(client.ip, Some(PEER.parse().unwrap()));
    assert_eq!(client.forwarded_for.unwrap(), PEER);
    assert_eq!((client.proto, client.port), (Proto::Http, None));
    assert_eq!(client.host, "a.example:8080");
}

#[test]
fn a_trusted_peer_is_believed() {
    let said = [("x-forwarded-proto", "https"), ("x-forwarded-host", "b.example:1"), ("x-forwarded-port", "443")];
    let client = from_peer(&said, true);
    assert_eq!((client.proto, client.port), (Proto::Https, Some(443)));
    assert_eq!(client.host, "b.example:1");
    assert_eq!(client.authority, "a.example:8080", "what the backend gets as Host is not for a proxy to say");
}

#[test]
fn a_malformed_or_doubled_word_of_a_trusted_peer_counts_as_none() {
    for fields in [
        &[("x-forwarded-proto", "HTTPS")][..],
        &[("x-forwarded-proto", "https, http")],
        &[("x-forwarded-proto", "https"), ("x-forwarded-proto", "https")],
        &[("x-forwarded-proto", "javascript")],
        &[("x-forwarded-host", "a, b")],
        &[("x-forwarded-host", "user@evil.example")],
        &[("x-forwarded-host", "evil.example/x")],
        &[("x-forwarded-host", "b.example"), ("x-forwarded-host", "b.example")],
        &[("x-forwarded-port", "0")],
        &[("x-forwarded-port", "+1")],
        &[("x-forwarded-port", "99999")],
        &[("x_forwarded_proto", "https")],
        &[("forwarded", "for=192.0.2.1;proto=https;host=evil.example")],
        &[("x-real-ip", "192.0.2.1")],
    ] {
        assert_eq!(from_peer(fields, true), from_peer(&[], true), "{fields:?}");
    }
}

#[test]
fn the_client_is_the_rightmost_address_that_is_not_ours() {
    for (fields, ip, chain) in [
        (&[][..], PEER, "10.0.0.9"),
        (&["192.0.2.1"], "192.0.2.1", "192.0.2.1, 10.0.0.9"),
        (&["192.0.2.1, 10.0.0.1"], "192.0.2.1", "192.0.2.1, 10.0.0.1, 10.0.0.9"),
        (&["192.0.2.1", "10.0.0.1"], "192.0.2.1", "192.0.2.1, 10.0.0.1, 10.0.0.9"),
        (&["203.0.113.7, 192.0.2.1,10.0.0.1"], "192.0.2.1", "192.0.2.1, 10.0.0.1, 10.0.0.9"),
        (&["10.0.0.2, 10.0.0.1"], "10.0.0.2", "10.0.0.2, 10.0.0.1, 10.0.0.9"),
        (&["192.0.2.1:443"], "192.0.2.1", "192.0.2.1, 10.0.0.9"),
        (&["[2001:DB8::1]:443, fd00::1"], "2001:db8::1", "2001:db8::1, fd00::1, 10.0.0.9"),
        (&["[2001:db8::1]"], "2001:db8::1", "2001:db8::1, 10.0.0.9"),
        (&["192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1", "192.0.2.1, 10.0.0.1, 10.0.0.9"),
    ] {
        assert_eq!(walked(fields), (ip.to_owned(), chain.to_owned()), "{fields:?}");
    }
}

#[test]
fn an_entry_that_is_no_address_ends_the_walk() {
    for entry in [
        "unknown",
        "_hidden",
        "",
        "\"192.0.2.1\"",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:x",
        "192.0.2.1:99999",
        "192.0.2.01",
        "0x7f.1",
        "[192.0.2.1]",
        "[::1",
        "[::1]x",
        "::1%eth0",
        "2001:db8::1:443:x",
        "localhost",
        "192.0.2.1 192.0.2.2",
        "\u{e9}",
    ] {
        let (ip, chain) = walked(&[&format!("192.0.2.9, {entry}")]);
        assert_eq!((ip.as_str(), chain.as_str()), (PEER, PEER), "{entry}");
        let (ip, chain) = walked(&[&format!("192.0.2.9, {entry}, 10.0.0.1")]);
        assert_eq!((ip.as_str(), chain.as_str()), ("10.0.0.1", "10.0.0.1, 10.0.0.9"), "{entry}");
    }
}

#[test]
fn a_chain_without_end_is_not_followed() {
    let (ip, chain) = walked(&[&format!("192.0.2.1{}", ", 10.0.0.1".repeat(10_000))]);
    assert_eq!(ip, "10.0.0.1");
    assert_eq!(chain.split(", ").count(), MOST_HOPS + 1);
}

#[test]
fn a_peer_on_a_unix_socket_has_no_address_of_its_own() {
    let of = |fields, trusted| client(&headers(fields), &Peer { ip: None, trusted, tls: true }, trusts, "a");
    let bare = of(&[], false);
    assert_eq!((bare.ip, bare.forwarded_for, bare.proto), (None, None, Proto::Https));
    assert_eq!(of(&[("x-forwarded-for", "192.0.2.1")], false).forwarded_for, None);
    let told = of(&[("x-forwarded-for", "192.0.2.1")], true);
    assert_eq!(told.ip, Some("192.0.2.1".parse().unwrap()));
    assert_eq!(told.forwarded_for.unwrap(), "192.0.2.1");
}

#[test]
fn a_mapped_peer_address_is_its_ipv4_address() {
    let peer = Peer { ip: Some("::ffff:192.0.2.1".parse().unwrap()), trusted: false, tls: false };
    let client = client(&HeaderMap::new(), &peer, trusts, "a");
    assert_eq!(client.forwarded_for.unwrap(), "192.0.2.1");
}

proptest! {
    #[test]
    fn what_stands_left_of_a_stranger_changes_nothing(left in "[ -~]{0,60}") {
        let plain = walked(&["192.0.2.1, 10.0.0.1"]);
        prop_assert_eq!(&walked(&[&format!("{left},192.0.2.1, 10.0.0.1")]), &plain);
        prop_assert_eq!(walked(&[&left, "192.0.2.1, 10.0.0.1"]), plain);
    }
}
