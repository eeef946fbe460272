//! What holds for every target, whoever wrote it.

use super::*;
use http::HeaderValue;
use proptest::prelude::*;

/// Pieces attackers build paths of, and some that users do.
const PIECES: [&str; 44] = [
    "/",
    "/",
    "/",
    ".",
    "..",
    "%2e",
    "%2E",
    "%2f",
    "%2F",
    "%5c",
    "%5C",
    "\\",
    ";",
    "%3b",
    "%3B",
    "%25",
    "%2525",
    "%00",
    "%",
    "%4",
    "%41",
    "%7e",
    "%c0%ae",
    "%C3%A9",
    "%c3%a9",
    "%e2%80%8b",
    "a",
    "B",
    "admin",
    "~",
    "|",
    "{",
    "}",
    "\"",
    "`",
    "#",
    "?",
    " ",
    "\t",
    "\u{e9}",
    "%2D",
    ":",
    "@",
    "[",
];

fn path() -> impl Strategy<Value = String> {
    let pieces = proptest::collection::vec(proptest::sample::select(&PIECES[..]), 0..12);
    pieces.prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// As [`path`], but of pieces that are mostly taken: else hardly any case would reach the rewriting.
fn lenient_path() -> impl Strategy<Value = String> {
    let pieces = [
        "/",
        "/",
        "/",
        ".",
        "..",
        "%2f",
        ";",
        "%3B",
        "%25",
        "%41",
        "%7e",
        "%C3%A9",
        "%e2%80%8b",
        "a",
        "B",
        "|",
        "?",
        "%2D",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..14)
        .prop_map(|pieces| format!("/{}", pieces.concat()))
}

fn read<T>(target: &[u8], then: impl FnOnce(&Canonical<'_>) -> T) -> Option<T> {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("a.example"));
    let (version, method) = (Version::HTTP_11, &Method::GET);
    let head = RawHead { version, method, target, authority: None, headers: &headers, wire: None };
    canonicalise(&head).ok().map(|canonical| then(&canonical))
}

/// What a canonical path may not hold, whatever the spelling it came from.
fn flaw(path: &str) -> Option<&'static str> {
    let upper = path.to_ascii_uppercase();
    let escapes: Vec<&str> = path.match_indices('%').map(|(at, _)| &path[at + 1..at + 3]).collect();
    let decoded = |escape: &&str| u8::from_str_radix(escape, 16).map(char::from).unwrap();
    let unreserved = |byte: char| byte.is_ascii_alphanumeric() || "-._~".contains(byte);
    match () {
        () if !path.starts_with('/') => Some("no slash"),
        () if path.contains("//") => Some("double slash"),
        () if path.split('/').any(|segment| segment == "." || segment == "..") => Some("dot segment"),
        () if path.split('/').any(|segment| segment.starts_with("..;")) => Some("dot segment before ;"),
        () if upper.replace("%2F", "/").split('/').any(|stretch| stretch == "..") => Some("dot segment beside %2F"),
        () if !path.bytes().all(|byte| byte.is_ascii_graphic()) => Some("not graphic ASCII"),
        () if path.contains(['\\', '#', '?', '"', '<', '>', '`', '{', '}', '|', '^']) => Some("not of a URI"),
        () if escapes.iter().any(|escape| escape.contains(|c: char| c.is_ascii_lowercase())) => {
            Some("lower-case escape")
        }
        () if escapes.iter().map(decoded).any(unreserved) => Some("escaped unreserved byte"),
        () if escapes.iter().map(decoded).any(|byte| byte.is_ascii_control() || byte == '\\') => {
            Some("escaped control")
        }
        () => None,
    }
}

fn holds(target: &[u8]) -> Result<(), TestCaseError> {
    let Some((path, forwarded, rewritten)) = read(target, |c| (c.path.to_string(), c.target(), c.rewritten())) else {
        return Ok(());
    };
    prop_assert_eq!(flaw(&path), None, "{}", path);
    prop_assert_eq!(rewritten, forwarded.as_bytes() != target, "rewritten says whether the target changed");
    prop_assert_eq!(forwarded.split('?').next(), Some(path.as_str()), "the policy sees what is forwarded");
    prop_assert!(forwarded.parse::<http::uri::PathAndQuery>().is_ok(), "{} cannot be forwarded", forwarded);
    let again = read(forwarded.as_bytes(), |c| (c.path.to_string(), c.rewritten()));
    prop_assert_eq!(again, Some((path, false)), "canonical is canonical");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_canonical_path_has_one_reading(target in path()) {
        holds(target.as_bytes())?;
    }

    #[test]
    fn a_rewritten_path_has_one_reading(target in lenient_path()) {
        holds(target.as_bytes())?;
    }

    #[test]
    fn no_target_panics(target in proptest::collection::vec(any::<u8>(), 0..64)) {
        holds(&[b"/", target.as_slice()].concat())?;
        read(&target, |_| ());
    }

    #[test]
    fn no_head_panics(wire in proptest::collection::vec(any::<u8>(), 0..128), host in proptest::collection::vec(32_u8..127, 0..20)) {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_bytes(&host).unwrap());
        let (version, method) = (Version::HTTP_11, &Method::GET);
        let head = RawHead { version, method, target: b"/", authority: None, headers: &headers, wire: Some(&wire) };
        if let Ok(canonical) = canonicalise(&head) {
            prop_assert!(!canonical.host.is_empty() && !canonical.host.ends_with('.'));
        }
    }
}
