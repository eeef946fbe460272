use super::*;
use http::{HeaderName, HeaderValue};

pub(super) fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    fields.iter().map(field).fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name, value);
        headers
    })
}

pub(super) fn head<'a>(target: &'a str, headers: &'a HeaderMap) -> RawHead<'a> {
    let target = target.as_bytes();
    RawHead { version: Version::HTTP_11, method: &Method::GET, target, authority: None, headers, wire: None }
}

pub(super) fn code(head: &RawHead<'_>) -> Option<Code> {
    canonicalise(head).err().map(|denial| denial.code)
}

fn wire(head: &str) -> Option<Code> {
    let headers = headers(&[("host", "a.example")]);
    let raw = RawHead { wire: Some(head.as_bytes()), ..self::head("/", &headers) };
    code(&raw)
}

#[test]
fn a_host_is_folded_for_matching_and_kept_for_the_backend() {
    for (sent, folded) in [
        ("a.example", "a.example"),
        ("A.Example:8080", "a.example"),
        ("a.example.", "a.example"),
        ("a.example.:1", "a.example"),
        ("127.0.0.1:65535", "127.0.0.1"),
        ("my_service", "my_service"),
        ("[::1]", "[::1]"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
    ] {
        let headers = headers(&[("host", sent)]);
        let canonical = canonicalise(&head("/", &headers)).unwrap();
        assert_eq!((canonical.host.as_ref(), canonical.authority), (folded, sent));
    }
}

#[test]
fn a_host_that_could_be_read_in_two_ways_is_refused() {
    let long = "a".repeat(300);
    for host in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a..",
        "a,b",
        "a, b",
        "a b",
        "user@a",
        "a:",
        "a:0",
        "a:65536",
        "a:000080",
        "a:+80",
        "a:8x",
        "a:80:80",
        ":80",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a%2Eb",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[]",
        "[v1.x]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "*",
        "a\u{e9}",
        &long,
    ] {
        let headers = headers(&[("host", host)]);
        assert_eq!(code(&head("/", &headers)), Some(Code::BadHost), "{host}");
    }
}

#[test]
fn exactly_one_host_is_named_on_every_version() {
    let none = headers(&[]);
    let two = headers(&[("host", "a.example"), ("host", "a.example")]);
    for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
        assert_eq!(code(&RawHead { version, ..head("/", &none) }), Some(Code::BadHost));
        assert_eq!(code(&RawHead { version, ..head("/", &two) }), Some(Code::BadHost));
    }
}

#[test]
fn authority_and_host_agree_or_the_request_is_refused() {
    let none = headers(&[]);
    let host = headers(&[("host", "A.example")]);
    let h2 =
        |headers, authority| RawHead { version: Version::HTTP_2, authority: Some(authority), ..head("/", headers) };
    assert_eq!(canonicalise(&h2(&none, "a.example:8443")).unwrap().authority, "a.example:8443");
    assert_eq!(canonicalise(&h2(&host, "a.example")).unwrap().host, "a.example");
    assert_eq!(code(&h2(&host, "b.example")), Some(Code::BadHost));
    assert_eq!(code(&h2(&host, "a.example:443")), Some(Code::BadHost));
    assert_eq!(code(&h2(&none, "x@a.example")), Some(Code::BadHost));
    let host_only = RawHead { version: Version::HTTP_2, ..head("/", &host) };
    assert_eq!(canonicalise(&host_only).unwrap().authority, "A.example");
}

#[test]
fn framing_that_leaves_a_choice_is_refused() {
    for fields in [
        &[("transfer-encoding", "gzip, chunked")][..],
        &[("transfer-encoding", "chunked, chunked")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[("transfer-encoding", "xchunked")],
        &[("transfer-encoding", "chunked;x")],
        &[("transfer-encoding", "identity")],
        &[("transfer-encoding", "")],
        &[("transfer-encoding", "chunked"), ("content-length", "1")],
        &[("content-length", "1"), ("content-length", "1")],
        &[("content-length", "1, 1")],
        &[("content-length", "")],
        &[("content-length", "+1")],
        &[("content-length", "-0")],
        &[("content-length", "0x1")],
        &[("content-length", "1_0")],
        &[("content-length", "18446744073709551616")],
    ] {
        let mut all = vec![("host", "a.example")];
        all.extend_from_slice(fields);
        assert_eq!(code(&head("/", &headers(&all))), Some(Code::BadFraming), "{fields:?}");
    }
}

#[test]
fn one_length_or_one_chunked_is_taken() {
    for field in [("content-length", "0"), ("content-length", "9999999999999999999"), ("transfer-encoding", "Chunked")]
    {
        assert_eq!(code(&head("/", &headers(&[("host", "a.example"), field]))), None, "{field:?}");
    }
}

#[test]
fn chunked_exists_in_http_1_1_only() {
    let headers = headers(&[("host", "a.example"), ("transfer-encoding", "chunked")]);
    for version in [Version::HTTP_10, Version::HTTP_2] {
        assert_eq!(code(&RawHead { version, ..head("/", &headers) }), Some(Code::BadFraming));
    }
    assert_eq!(code(&RawHead { version: Version::HTTP_09, ..head("/", &headers) }), Some(Code::BadFraming));
}

#[test]
fn a_length_the_parser_took_away_is_still_seen_on_the_wire() {
    let headers = headers(&[("host", "a.example"), ("transfer-encoding", "chunked")]);
    let both = b"POST / HTTP/1.1\r\nHost: a.example\r\ncontent-LENGTH: 13\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(code(&RawHead { wire: Some(both), ..head("/", &headers) }), Some(Code::BadFraming));
    let one = b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nX-Content-Length: 1\r\n\r\n";
    assert_eq!(code(&RawHead { wire: Some(one), ..head("/", &headers) }), None);
}

#[test]
fn a_well_formed_head_passes() {
    let cookie = "x".repeat(500);
    for head in [
        "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        &format!("GET / HTTP/1.1\r\nHost:a.example\r\nEmpty:\r\nX: a\tb  \r\nX!#$%&'*+-.^_`|~: \u{e9}\r\nCookie: {cookie}\r\n\r\n"),
    ] {
        assert_eq!(wire(head), None, "{head}");
    }
}

#[test]
fn header_syntax_that_needs_repair_is_refused() {
    let cookie = "x".repeat(100);
    for head in [
        "",
        "GET / HTTP/1.1\r\nHost: a.example\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\n\r\n",
        "GET / HTTP/1.1\nHost: a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a.example\r\n\n",
        "GET / HTTP/1.1\r\nA: b\rc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\x0bc\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\x7f\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nA: b\r\n\tfolded\r\n\r\n",
        "GET / HTTP/1.1\r\n A: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA : b\r\n\r\n",
        "GET / HTTP/1.1\r\nA\t: b\r\n\r\n",
        "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nnocolon\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nA\u{85}: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA(b): c\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nA: b\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\nGET /admin HTTP/1.1\r\n\r\n",
        &format!("GET / HTTP/1.1\r\nCookie: {cookie}\n\r\n"),
    ] {
        assert_eq!(wire(head), Some(Code::BadFraming), "{head:?}");
    }
}

#[test]
fn a_fragment_the_parser_cut_off_is_still_seen_on_the_wire() {
    assert_eq!(wire("GET /#/admin HTTP/1.1\r\nHost: a.example\r\n\r\n"), Some(Code::BadPath));
    assert_eq!(wire("GET / HTTP/1.1\r\nReferer: /#x\r\n\r\n"), None);
}

#[test]
fn two_authorizations_are_refused() {
    let twice = headers(&[("host", "a.example"), ("authorization", "Bearer a"), ("authorization", "Bearer a")]);
    assert_eq!(code(&head("/", &twice)), Some(Code::BadRequest));
}

const HANDSHAKE: [(&str, &str); 5] = [
    ("host", "a.example"),
    ("connection", "keep-alive, Upgrade"),
    ("upgrade", "WebSocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[test]
fn a_whole_handshake_is_an_upgrade() {
    let headers = headers(&HANDSHAKE);
    assert_eq!(canonicalise(&head("/", &headers)).unwrap().upgrade, Upgrade::WebSocket);
}

#[test]
fn a_handshake_with_anything_wrong_is_an_ordinary_request() {
    for (name, value) in [
        ("connection", "keep-alive"),
        ("connection", "xupgrade"),
        ("connection", "upgrade,,,,,,,,,,,,,,,,,,,,,,,,,,"),
        ("upgrade", "h2c"),
        ("upgrade", "websocket, h2c"),
        ("upgrade", "websocket/13"),
        ("sec-websocket-version", "8"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ="),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25j"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZ-=="),
        ("content-length", "0"),
        ("transfer-encoding", "chunked"),
    ] {
        let mut headers = headers(&HANDSHAKE);
        headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_static(value));
        assert_eq!(canonicalise(&head("/", &headers)).unwrap().upgrade, Upgrade::None, "{name}: {value}");
    }
}

#[test]
fn a_handshake_is_a_get_of_http_1_1_with_nothing_doubled() {
    let once = headers(&HANDSHAKE);
    let post = RawHead { method: &Method::POST, ..head("/", &once) };
    assert_eq!(canonicalise(&post).unwrap().upgrade, Upgrade::None);
    let old = RawHead { version: Version::HTTP_10, ..head("/", &once) };
    assert_eq!(canonicalise(&old).unwrap().upgrade, Upgrade::None);
    for name in ["upgrade", "sec-websocket-key", "sec-websocket-version"] {
        let mut twice = once.clone();
        twice.append(name, once.get(name).unwrap().clone());
        assert_eq!(canonicalise(&head("/", &twice)).unwrap().upgrade, Upgrade::None, "{name}");
    }
}

#[test]
fn debug_output_shows_neither_target_nor_headers() {
    let headers = headers(&[("host", "a.example"), ("authorization", "Bearer secret")]);
    assert!(!format!("{:?}", head("/?token=secret", &headers)).contains("secret"));
}
