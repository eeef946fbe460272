//! What a caller presents, before anybody has looked whether it is any good.

use super::denial::{Code, Denial};
use http::header::AUTHORIZATION;
use http::HeaderMap;

/// The credential of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    Nothing,
    /// RFC 6750 section 2.1. Whoever holds it is the caller, so it is never printed.
    Bearer(&'a str),
}

/// Reads the one credential a request may carry. `Authorization` schemes that are not ours count as nothing.
///
/// # Errors
/// 401 for a credential that is ours by its scheme but malformed: it was presented, so it is refused.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Denial> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(Presented::Nothing);
    };
    let bytes = value.as_bytes();
    let end = bytes.iter().position(|b| *b == b' ' || *b == b'\t').unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(end);
    if scheme.eq_ignore_ascii_case(b"dpop") {
        return Err(invalid("DPoP-bound tokens are not supported yet"));
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Ok(Presented::Nothing);
    }
    // The alphabet of the token is checked where it is parsed: a token seen before was, and most were.
    match std::str::from_utf8(rest.trim_ascii_start()) {
        Ok(token) if !token.is_empty() => Ok(Presented::Bearer(token)),
        _ => Err(invalid("no bearer token behind the scheme")),
    }
}

fn invalid(detail: &'static str) -> Denial {
    Denial::new(Code::TokenInvalid, detail)
}

impl std::fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Bearer(_) => "Bearer(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(value: &'static str) -> Result<bool, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        presented(&headers).map(|p| p == Presented::Bearer("abc.def")).map_err(|denial| denial.code)
    }

    #[test]
    fn the_scheme_is_not_case_sensitive() {
        for value in ["Bearer abc.def", "bearer abc.def", "BEARER   abc.def"] {
            assert_eq!(read(value), Ok(true), "{value}");
        }
    }

    #[test]
    fn a_malformed_bearer_is_refused_rather_than_anonymous() {
        for value in ["Bearer", "Bearer ", "Bearer\t", "DPoP abc"] {
            assert_eq!(read(value), Err(Code::TokenInvalid), "{value}");
        }
        for value in ["Bearer a, Bearer b", "Bearer a b", "Bearer \u{e9}"] {
            assert_eq!(read(value), Ok(false), "{value} was presented; the parser of tokens refuses it");
        }
    }

    #[test]
    fn other_schemes_are_not_ours() {
        for value in ["Basic YTpi", "Digest x", "Bearerabc"] {
            assert_eq!(read(value), Ok(false), "{value}");
        }
    }

    #[test]
    fn debug_output_never_shows_the_token() {
        assert_eq!(format!("{:?}", Presented::Bearer("abc.def")), "Bearer(..)");
    }
}
