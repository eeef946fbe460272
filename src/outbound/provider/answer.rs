//! What a provider's answer means. Only two answers are a "no": its own `invalid_grant`, and its own other error codes.
//! Everything else is "cannot tell": a proxy's error page, a half answer, a status nobody expects.

use crate::domain::oidc::callback::Refusal;
use crate::domain::secret::Secret;
use crate::domain::token::json::parse_object;
use crate::outbound::client::Reply;
use crate::ports::provider::{ProviderError, Tokens};
use http::StatusCode;
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest token we keep, in bytes.
const MAX_TOKEN: usize = 16 * 1024;
/// The longest UserInfo we keep, in bytes: it goes into a session.
const MAX_USERINFO: usize = 64 * 1024;

/// Error codes that are no verdict (RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628 section 3.5).
const PASSING: [&str; 3] = ["server_error", "temporarily_unavailable", "slow_down"];

/// A token response (RFC 6749 sections 5.1 and 5.2).
pub(super) fn read_tokens(reply: &Reply) -> Result<Tokens, ProviderError> {
    if reply.status != StatusCode::OK {
        return Err(refused(reply));
    }
    let members = parse_object(&reply.body).map_err(|_| away("the token endpoint answered with no JSON object"))?;
    let kind = members.get("token_type").and_then(Value::as_str).unwrap_or_default();
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(away("the token endpoint answered with no bearer token"));
    }
    Ok(Tokens {
        access_token: secret(&members, "access_token")?.ok_or_else(|| away("the answer has no access token"))?,
        id_token: secret(&members, "id_token")?,
        refresh_token: secret(&members, "refresh_token")?,
        expires_in: expires_in(&members)?,
    })
}

/// UserInfo as JSON (OpenID Connect Core section 5.3.2).
pub(super) fn read_claims(reply: &Reply) -> Result<Map<String, Value>, ProviderError> {
    match reply.status {
        StatusCode::OK if reply.body.len() > MAX_USERINFO => Err(away("UserInfo is larger than 64 KiB")),
        StatusCode::OK => parse_object(&reply.body).map_err(|_| away("UserInfo is no JSON object")),
        // whatever is wrong with the access token, the session does not hang on it
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(ProviderError::Refused(Refusal::new("invalid_token", Some("UserInfo did not take the access token"))))
        }
        _ => Err(refused(reply)),
    }
}

/// An answer without content (RFC 7009 section 2.2).
pub(super) fn read_verdict(reply: &Reply) -> Result<(), ProviderError> {
    if reply.status.is_success() {
        Ok(())
    } else {
        Err(refused(reply))
    }
}

/// Not only 400: some say `invalid_grant` with 401 or 403. But never 429 or 5xx, whatever the body says.
fn refused(reply: &Reply) -> ProviderError {
    let status = reply.status;
    let passing = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
    let members = if status.is_client_error() && !passing { parse_object(&reply.body).ok() } else { None };
    let text = |name| members.as_ref().and_then(|members| members.get(name)).and_then(Value::as_str);
    match text("error") {
        Some("invalid_grant") => ProviderError::InvalidGrant,
        Some(code) if !PASSING.contains(&code) => ProviderError::Refused(Refusal::new(code, text("error_description"))),
        Some(_) | None => ProviderError::Away(format!("it answered with status {}", status.as_u16())),
    }
}

fn secret(members: &Map<String, Value>, name: &str) -> Result<Option<Secret>, ProviderError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(token)) if !token.is_empty() && token.len() <= MAX_TOKEN => {
            Ok(Some(Secret::new(token.clone().into_bytes())))
        }
        Some(_) => Err(away("a token is no string, empty, or longer than 16 KiB")),
    }
}

/// Some providers write the number as a string.
fn expires_in(members: &Map<String, Value>) -> Result<Option<Duration>, ProviderError> {
    let seconds = match members.get("expires_in") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_f64(),
    };
    let span = seconds.and_then(|seconds: f64| Duration::try_from_secs_f64(seconds).ok());
    span.map(Some).ok_or_else(|| away("\"expires_in\" is no time"))
}

fn away(words: &'static str) -> ProviderError {
    ProviderError::Away(words.to_owned())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
