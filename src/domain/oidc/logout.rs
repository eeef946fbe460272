//! Signing out, both ways: the provider tells us (OpenID Connect Back-Channel Logout 1.0), or we send the browser there
//! (OpenID Connect RP-Initiated Logout 1.0).

use super::id_token::{check_audience, check_issuer, check_not_ahead, invalid};
use super::identity::is_name;
use super::{Metadata, ProviderSettings, CLOCK_SKEW};
use crate::domain::denial::{Code, Denial};
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use crate::domain::token::claims::{numeric_date, subject, Round};
use crate::domain::token::jose::{Kind, Unverified};
use crate::domain::token::keys::KeySet;
use crate::domain::token::verify::{check_signature, Rejection};
use serde_json::{Map, Value};
use std::time::Duration;
use url::Url;

/// How old a logout token may be. It is made when it is sent; an old one is a replay.
const MAX_AGE: Duration = Duration::from_secs(120);
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// The longest `id_token_hint`, in bytes: with a longer one the URL would not fit the request line of common servers.
const MAX_HINT: usize = 3072;

/// A logout token that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutToken {
    pub ends: Ends,
    /// Counts once, which whoever keeps a memory must see to …
    pub jti: String,
    /// … until this moment; later the token is too old anyway.
    pub over: UnixTime,
}

/// What it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// One session, by the name the provider gave it in the `sid` of an ID token. The subject, when given too, must be
    /// that session's.
    Session { sid: String, subject: Option<String> },
    /// Every session of this user.
    Everything { subject: String },
}

impl LogoutToken {
    /// Believes `token` (section 2.6 there), or says why not. Metadata and settings are those of the provider whose
    /// endpoint was called.
    ///
    /// # Errors
    /// [`Rejection::UnknownKey`] is worth one look at fresh keys; everything else is final.
    pub fn check(
        token: &str,
        metadata: &Metadata,
        settings: &ProviderSettings,
        keys: &KeySet,
        now: UnixTime,
    ) -> Result<Self, Rejection> {
        let token = Unverified::parse_logout(token).map_err(Rejection::Denied)?;
        check_signature(&token, &metadata.algorithms, keys)?;
        let claims = token.unverified_claims();
        let checked = check_issuer(claims, &metadata.issuer)
            .and_then(|()| check_audience(claims, &settings.client_id))
            .and_then(|()| check_purpose(claims, token.unverified_kind()));
        checked.and_then(|()| Self::believe(claims, now)).map_err(Rejection::Denied)
    }

    fn believe(claims: &Map<String, Value>, now: UnixTime) -> Result<Self, Denial> {
        let over = check_times(claims, now)?;
        let jti = name(claims, "jti")?.ok_or_else(|| invalid("no \"jti\""))?;
        let subject = if claims.contains_key("sub") { Some(subject(claims)?) } else { None };
        let ends = match (name(claims, "sid")?, subject) {
            (Some(sid), subject) => Ends::Session { sid, subject },
            (None, Some(subject)) => Ends::Everything { subject },
            (None, None) => return Err(invalid("neither \"sub\" nor \"sid\"")),
        };
        Ok(Self { ends, jti, over })
    }
}

/// An ID token must not pass for a logout token: it has a `nonce` and no event.
fn check_purpose(claims: &Map<String, Value>, kind: Kind) -> Result<(), Denial> {
    let event = claims.get("events").and_then(|events| events.get(EVENT));
    if kind != Kind::Jwt || !event.is_some_and(Value::is_object) {
        return Err(invalid("\"events\" does not name a logout"));
    }
    if claims.contains_key("nonce") {
        return Err(invalid("a logout token has no \"nonce\""));
    }
    Ok(())
}

/// Until when the token could be shown to us again. `exp` was not always required; the age limit does its work too.
fn check_times(claims: &Map<String, Value>, now: UnixTime) -> Result<UnixTime, Denial> {
    let iat = numeric_date(claims, "iat", Round::Up)?.ok_or_else(|| invalid("no \"iat\""))?;
    check_not_ahead(iat, now)?;
    if now.since(iat) > MAX_AGE {
        return Err(Denial::new(Code::TokenExpired, "the logout token is older than two minutes"));
    }
    if numeric_date(claims, "exp", Round::Down)?.is_some_and(|exp| exp.plus(CLOCK_SKEW) <= now) {
        return Err(Denial::new(Code::TokenExpired, "\"exp\" has passed"));
    }
    Ok(iat.plus(MAX_AGE).plus(Duration::from_secs(1)))
}

fn name(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<String>, Denial> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        Some(_) => Err(Denial::new(Code::TokenInvalid, format!("\"{claim}\" is no name"))),
    }
}

/// What goes along when the browser is sent to sign out at the provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignOut<'a> {
    /// An ID token of the session that ends; with it the provider need not ask "really?".
    pub id_token: Option<&'a Secret>,
    /// Where the provider sends the browser then; it must know the URL.
    pub back_to: Option<&'a str>,
    /// Comes back with the browser.
    pub state: Option<&'a str>,
}

/// Where the browser signs out; `None` when the provider has no place for it.
#[must_use]
pub fn end_session_url(metadata: &Metadata, client_id: &str, sign_out: &SignOut<'_>) -> Option<Url> {
    let mut url = metadata.end_session_endpoint.clone()?;
    let hint = sign_out.id_token.map(Secret::expose).filter(|token| token.len() <= MAX_HINT);
    let hint = hint.and_then(|token| std::str::from_utf8(token).ok());
    let mut query = url.query_pairs_mut();
    query.append_pair("client_id", client_id);
    for (name, value) in
        [("id_token_hint", hint), ("post_logout_redirect_uri", sign_out.back_to), ("state", sign_out.state)]
    {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    drop(query);
    Some(url)
}

#[cfg(test)]
#[path = "logout_tests.rs"]
mod tests;
