//! Host and path patterns, as they stand in `[[route]]`.

use std::fmt;

/// Which hosts a route serves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// One name, lower case, without port or trailing dot.
    Exact(String),
    /// `*.example.com` as `.example.com`: one or more labels in front.
    Under(String),
    /// No `host` in the route.
    Any,
}

/// A path pattern, cut at its slashes: `/a/{id}` is `[Literal("a"), Param("id")]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PathPattern {
    pub(super) segments: Vec<Segment>,
    /// Ends in `/**`: covers the path without it, with a slash, and everything below.
    pub(super) subtree: bool,
    text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Segment {
    Literal(String),
    /// One segment, not empty. Its name is for people.
    Param(String),
}

impl HostPattern {
    /// # Errors
    /// A sentence for the operator when `text` is no host name, or has a `*` anywhere but as its first label.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (name, wild) = match lower.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (lower.as_str(), false),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.contains(':') && !name.starts_with('[') {
            return Err("a route's host has no port: ports are not looked at".to_owned());
        }
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b)) {
            return Err(format!("\"{text}\" is no host name; write \"app.example.com\" or \"*.example.com\""));
        }
        Ok(if wild { Self::Under(format!(".{name}")) } else { Self::Exact(name.to_owned()) })
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Under(suffix) => write!(f, "*{suffix}"),
            Self::Any => Ok(()),
        }
    }
}

impl PathPattern {
    /// # Errors
    /// A sentence for the operator: a pattern must be written the way canonical paths look, or it could never match.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return Err("a path begins with \"/\"".to_owned());
        };
        let mut parts: Vec<&str> = rest.split('/').collect();
        let subtree = parts.last() == Some(&"**");
        if subtree {
            parts.pop();
        }
        let last = parts.len().saturating_sub(1);
        let mut segments = Vec::with_capacity(parts.len());
        for (at, part) in parts.iter().enumerate() {
            if part.is_empty() && (subtree || at != last) {
                return Err("\"//\" is never seen: it is resolved to \"/\" before matching".to_owned());
            }
            segments.push(Segment::parse(part)?);
        }
        Ok(Self { segments, subtree, text: text.to_owned() })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Segment {
    fn parse(part: &str) -> Result<Self, String> {
        if let Some(name) = part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
            let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if plain {
                Ok(Self::Param(name.to_owned()))
            } else {
                Err(format!("\"{part}\": name the segment like {{id}}"))
            };
        }
        if part == "." || part == ".." {
            return Err("\".\" and \"..\" are resolved before matching".to_owned());
        }
        if part.contains(['*', '{', '}']) {
            return Err(format!(
                "\"{part}\": a wildcard is a whole segment, {{id}} for one or ** at the end for all below"
            ));
        }
        let literal =
            part.bytes().all(|b| b.is_ascii_graphic() && !b"?#\\\"<>^`|%".contains(&b)) || is_canonical_escape(part);
        if !literal {
            return Err(format!("\"{part}\" is not spelt as a canonical path: no space, \"?\", \"#\" or backslash, and only upper-case escapes of reserved or non-ASCII bytes"));
        }
        Ok(Self::Literal(part.to_owned()))
    }
}

/// Escapes stay in a canonical path only where decoding would change its meaning: upper case, and not of an
/// unreserved character (RFC 3986 section 6.2.2).
fn is_canonical_escape(part: &str) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            if byte.is_ascii_graphic() && !b"?#\\\"<>^`|".contains(&byte) {
                continue;
            }
            return false;
        }
        let (Some(high), Some(low)) = (bytes.next().and_then(upper_hex), bytes.next().and_then(upper_hex)) else {
            return false;
        };
        let decoded = high * 16 + low;
        if decoded < 0x20
            || decoded == 0x7F
            || decoded == b'\\'
            || decoded.is_ascii_alphanumeric()
            || b"-._~".contains(&decoded)
        {
            return false;
        }
    }
    true
}

fn upper_hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_could_never_match_is_refused() {
        for text in
            ["", "a", "/a//b", "/a/../b", "/a b", "/a?x", "/%61", "/%2f", "/a%zz", "/a*", "/{}", "/**/b", "/a\\b"]
        {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ordinary_patterns_are_taken() {
        for text in ["/", "/**", "/a", "/a/", "/a/{id}", "/a/{id}/b/**", "/caf%C3%A9", "/a%2Fb", "/a;v=1/b"] {
            assert!(PathPattern::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_host_is_folded_and_has_no_port() {
        assert_eq!(HostPattern::parse("App.Example.com.").unwrap(), HostPattern::Exact("app.example.com".to_owned()));
        assert_eq!(HostPattern::parse("*.example.com").unwrap(), HostPattern::Under(".example.com".to_owned()));
        assert!(HostPattern::parse("a:80").is_err());
        assert!(HostPattern::parse("a.*.com").is_err());
    }
}
