//! What a caller presents, before anybody has looked whether it is any good.

use super::api_key::PREFIX;
use super::denial::{Code, Denial};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The credential of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    Nothing,
    /// RFC 6750 section 2.1. Whoever holds it is the caller, so it is never printed.
    Bearer(&'a str),
    /// Neither is this.
    ApiKey(&'a str),
}

/// Where an API key may stand besides `Authorization`.
pub const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Whether the value of an `X-API-Key` is meant for us. Applications have keys of their own, under the same name.
#[must_use]
pub fn is_ours(key: &HeaderValue) -> bool {
    key.as_bytes().trim_ascii().starts_with(PREFIX.as_bytes())
}

/// Reads the one credential a request may carry besides cookies. `Authorization` schemes that are not ours count as nothing,
/// and so does an `X-API-Key` that holds no key of ours.
///
/// # Errors
/// 401 for a credential that is ours by its scheme but malformed: it was presented, so it is refused. 400 for two of them.
pub fn presented(headers: &HeaderMap) -> Result<Presented<'_>, Denial> {
    let by_scheme = by_scheme(headers)?;
    let keys = headers.get_all(X_API_KEY);
    let mut each = keys.iter();
    let Some(key) = each.next().filter(|_| keys.iter().any(is_ours)) else { return Ok(by_scheme) };
    if by_scheme != Presented::Nothing || each.next().is_some() {
        return Err(Denial::new(Code::ConflictingCredentials, "an API key beside another credential"));
    }
    let key = std::str::from_utf8(key.as_bytes().trim_ascii());
    key.map(Presented::ApiKey).map_err(|_| Denial::new(Code::ApiKeyInvalid, "an API key has letters and digits"))
}

fn by_scheme(headers: &HeaderMap) -> Result<Presented<'_>, Denial> {
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
        Ok(key) if key.starts_with(PREFIX) => Ok(Presented::ApiKey(key)),
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
            Self::ApiKey(_) => "ApiKey(..)",
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
    fn an_api_key_stands_in_one_place_and_alone() {
        let read = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            presented(&headers).map(|shown| format!("{shown:?}")).map_err(|denial| denial.code)
        };
        let (key, bearer) = (("x-api-key", "dwk_a"), ("authorization", "Bearer a.b"));
        for alone in [key, ("x-api-key", " dwk_a "), ("authorization", "bearer dwk_a")] {
            assert_eq!(read(&[alone]), Ok("ApiKey(..)".to_owned()), "{alone:?}");
        }
        let theirs = ("x-api-key", "theirs");
        for several in
            [[key, key], [key, bearer], [key, ("authorization", "Bearer dwk_a")], [key, theirs], [theirs, key]]
        {
            assert_eq!(read(&several), Err(Code::ConflictingCredentials), "{several:?}");
        }
        assert_eq!(read(&[theirs]), Ok("Nothing".to_owned()), "the application may have keys of its own");
        assert_eq!(read(&[theirs, bearer]), Ok("Bearer(..)".to_owned()));
        assert_eq!(read(&[key, ("authorization", "Basic YTpi")]), Ok("ApiKey(..)".to_owned()));
    }

    #[test]
    fn debug_output_never_shows_the_token() {
        assert_eq!(format!("{:?}", Presented::Bearer("abc.def")), "Bearer(..)");
        assert_eq!(format!("{:?}", Presented::ApiKey("dwk_abc")), "ApiKey(..)");
    }
}
