//! Whatever comes off the wire as a request head: no panic; and what is accepted has one reading, which is what is
//! forwarded.
#![no_main]

use doorward::domain::request::{canonicalise, Canonical, RawHead};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|wire: &[u8]| {
    let Some((method, target, headers)) = read(wire) else { return };
    let h1 = RawHead {
        version: Version::HTTP_11,
        method: &method,
        target,
        authority: None,
        headers: &headers,
        wire: Some(wire),
    };
    let pseudo = headers.get("host").and_then(|host| host.to_str().ok());
    let h2 = RawHead { version: Version::HTTP_2, authority: pseudo, wire: None, ..h1 };
    // with the parser's view alone a head may pass that its bytes betray; neither may break a promise
    for head in [h1, RawHead { wire: None, ..h1 }, h2] {
        if let Ok(canonical) = canonicalise(&head) {
            holds(&head, &canonical);
        }
    }
});

fn holds(head: &RawHead<'_>, canonical: &Canonical<'_>) {
    let (path, target) = (&canonical.path, canonical.target());
    assert!(path.starts_with('/') && !path.contains("//"), "{path}");
    assert!(path.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\\"<>^`{|}".contains(&byte)), "{path}");
    for segment in path.replace("%2F", "/").split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(name != "." && name != "..", "{path}");
    }
    assert_eq!(canonical.encoded_slash, path.contains("%2F"));
    assert!(!path.contains("%2f") && !path.contains("%2E") && !path.contains("%5C") && !path.contains("%00"), "{path}");
    assert_eq!(canonical.rewritten(), target.as_bytes() != head.target);
    assert_eq!(target.split('?').next(), Some(path.as_ref()), "the policy sees what is forwarded");
    assert!(PathAndQuery::try_from(target.as_str()).is_ok(), "{target}");
    assert!(!canonical.host.is_empty() && !canonical.host.ends_with('.'));
    assert!(HeaderValue::from_str(canonical.authority).is_ok());
    let again = canonicalise(&RawHead { target: target.as_bytes(), wire: None, ..*head }).expect("canonical is accepted");
    assert!(!again.rewritten() && again.path == *path && again.query == canonical.query);
}

/// What a lax parser would make of the bytes.
fn read(wire: &[u8]) -> Option<(Method, &[u8], HeaderMap)> {
    let mut lines = wire.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut line = lines.next()?.splitn(3, |byte| *byte == b' ');
    let (method, target) = (Method::from_bytes(line.next()?).ok()?, line.next()?);
    let mut headers = HeaderMap::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(line[..at].trim_ascii()).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?);
    }
    Some((method, target, headers))
}
