//! Which targets are taken, which are resolved, and which have two readings.

use super::tests::{code, head, headers};
use super::*;

/// What becomes of `target` sent to a.example.
fn canonical(target: &str) -> Result<String, Code> {
    let headers = headers(&[("host", "a.example")]);
    canonicalise(&head(target, &headers)).map(|canonical| canonical.target()).map_err(|denial| denial.code)
}

#[test]
fn a_canonical_target_is_borrowed_and_left_alone() {
    let headers = headers(&[("host", "a.example")]);
    for target in [
        "/",
        "/a",
        "/a/",
        "/a.b/..c/...",
        "/.well-known/x",
        "/a;v=1/b;c",
        "/;",
        "/caf%C3%A9",
        "/%F0%9F%98%80",
        "/a%20b%3F%23%25%2541",
        "/a%2Fb",
        "/~a-b_c!$&'()*+,=:@[]",
        "/a?",
        "/a?b=c&d=%zz%2e%00//../",
        "/?x=^`{|}",
    ] {
        let canonical = canonicalise(&head(target, &headers)).unwrap();
        assert!(matches!(canonical.path, Cow::Borrowed(_)), "{target}");
        assert!(matches!(canonical.host, Cow::Borrowed("a.example")), "{target}");
        assert!(!canonical.rewritten(), "{target}");
        assert_eq!(canonical.target(), target);
    }
}

#[test]
fn what_every_reader_resolves_alike_is_resolved() {
    for (sent, canonical_target) in [
        ("//", "/"),
        ("//evil.example/x", "/evil.example/x"),
        ("/a//b", "/a/b"),
        ("/a//", "/a/"),
        ("/.", "/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/../b?x=/../y", "/b?x=/../y"),
        ("/public/../admin/x", "/admin/x"),
        ("/a//../b", "/b"),
        ("/a%2Fb/../c", "/c"),
        ("/%61dmin/%7Ex", "/admin/~x"),
        ("/a%2db", "/a-b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/a%2fb", "/a%2Fb"),
        ("/a|b{c}\"<d>^`", "/a%7Cb%7Bc%7D%22%3Cd%3E%5E%60"),
        ("/a.%62", "/a.b"),
        ("/%2E%2E%2E", "/..."),
        ("/...;x/%2561", "/...;x/%2561"),
    ] {
        assert_eq!(canonical(sent), Ok(canonical_target.to_owned()), "{sent}");
    }
}

#[test]
fn a_dot_segment_that_only_some_readers_see_is_refused() {
    for target in [
        "/%2e",
        "/%2e%2e/admin",
        "/.%2e/admin",
        "/%2E./admin",
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/.;/admin",
        "/..%3B/admin",
        "/%2e;/x",
        "/public%2f..%2fadmin/x",
        "/a/..%2Fb",
        "/a%2F..",
        "/a%2F../b",
        "/a%2F.",
        "/a%2F.%2Fb",
        "/.%2Fb",
        "/a%2F%2E%2E%2Fb",
        "/a%2F..;x",
    ] {
        assert_eq!(canonical(target), Err(Code::BadPath), "{target}");
    }
}

#[test]
fn a_byte_or_escape_that_readers_take_differently_is_refused() {
    for target in [
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "/a%00",
        "/a%0d%0a",
        "/a%1f",
        "/a%7F",
        "/a b",
        "/a\tb",
        "/a#b",
        "/a\u{7f}",
        "/caf\u{e9}",
        "/\u{ff41}dmin",
        "/%c0%ae%c0%ae/admin",
        "/%C3",
        "/%C3x",
        "/%C3%",
        "/%C3%28",
        "/%ED%A0%80",
        "/%F5%80%80%80",
        "/%E0%80%AF",
        "/%A9",
        "/%",
        "/%4",
        "/%zz",
        "/%4g",
        "/%%41",
        "/a?b c",
        "/a?b#c",
        "/a?b\\c",
        "/a?b\"c",
        "/a?<b>",
        "/a?\u{e9}",
        "/a?\n",
    ] {
        assert_eq!(canonical(target), Err(Code::BadPath), "{target}");
    }
}

#[test]
fn a_target_of_another_form_is_refused() {
    for target in ["", "*", "a", "foo/bar", "a:80", "?q", "\\\\a.example/", "ftp://a.example/", "http:/a.example/"] {
        assert_eq!(canonical(target), Err(Code::BadPath), "{target}");
    }
}

#[test]
fn an_encoded_slash_is_flagged_in_either_case_and_only_in_the_path() {
    let headers = headers(&[("host", "a.example")]);
    for (target, flagged) in
        [("/a%2fb", true), ("/a%2Fb", true), ("/%2F", true), ("/a?b%2Fc", false), ("/a%252F", false)]
    {
        assert_eq!(canonicalise(&head(target, &headers)).unwrap().encoded_slash, flagged, "{target}");
    }
}

#[test]
fn an_absolute_target_for_the_same_host_becomes_origin_form() {
    for (host, target, forwarded) in [
        ("a.example", "http://a.example", "/"),
        ("a.example", "http://a.example?q", "/?q"),
        ("a.example", "HTTP://A.Example/p?z", "/p?z"),
        ("A.example:80", "http://a.example./x", "/x"),
        ("a.example", "https://a.example:443/x//y", "/x/y"),
        ("[::1]:8080", "http://[::1]:8080/", "/"),
    ] {
        let headers = headers(&[("host", host)]);
        let canonical = canonicalise(&head(target, &headers)).unwrap();
        assert_eq!(canonical.target(), forwarded, "{target}");
        assert!(canonical.rewritten(), "{target}");
        assert_eq!(canonical.authority, host);
    }
}

#[test]
fn an_absolute_target_for_another_host_is_refused() {
    for target in [
        "http://b.example/",
        "http://a.example:8080/",
        "http://a.example:443/",
        "https://a.example:80/",
        "http://a.example@b.example/",
        "http://x@a.example/",
        "http:///x",
        "http://?x",
        "http://a.example\\@b/",
    ] {
        assert_eq!(canonical(target), Err(Code::BadHost), "{target}");
    }
}

#[test]
fn http2_has_no_absolute_form() {
    let headers = headers(&[]);
    let raw = head("http://a.example/", &headers);
    assert_eq!(code(&RawHead { version: Version::HTTP_2, authority: Some("a.example"), ..raw }), Some(Code::BadPath));
}
