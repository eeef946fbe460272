//! What our OAuth endpoints have in common: they take forms from public clients, and refuse in words of RFC 6749.

use super::reply::json;
use super::Asked;
use crate::domain::denial::{Code, Denial};
use crate::pipeline::own::Reply;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// What of RFC 6749 section 5.2 we say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Error {
    InvalidRequest,
    InvalidGrant,
    UnsupportedGrantType,
}

impl Error {
    const fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
        }
    }
}

/// The one value of a parameter, in a form and nowhere else.
///
/// # Errors
/// In words, which are sent.
pub(super) fn parameter(asked: &Asked<'_>, name: &'static str) -> Result<String, &'static str> {
    let kind = asked.request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(FORM) {
        return Err("a body that is no form");
    }
    if !asked.request.query.is_empty() {
        return Err("parameters in the query, where logs would keep them");
    }
    match asked.form_all(name).as_slice() {
        [] => Err("a parameter is missing"),
        [value] if value.is_empty() => Err("a parameter is empty"),
        [value] => Ok(value.clone().into_owned()),
        [..] => Err("a parameter is there more than once"),
    }
}

/// The refusal; `denial` says why, and its code is for the books.
pub(super) fn refused(error: Error, words: &str, denial: Denial) -> Reply {
    let reply = json(StatusCode::BAD_REQUEST, &json!({ "error": error.name(), "error_description": words }));
    Reply { denial: Some(denial), ..reply }
}

/// RFC 6749 section 5.2, as RFC 7009 section 2.2.1 wants it too.
pub(super) fn invalid(words: &'static str) -> Reply {
    refused(Error::InvalidRequest, words, Denial::new(Code::BadRequest, words))
}
