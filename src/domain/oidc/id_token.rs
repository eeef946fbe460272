//! ID tokens (OpenID Connect Core sections 3.1.3.7 and 12.2): signed by the provider, for us, for this sign-in, now.

use super::unguessable::Unguessable;
use super::{Metadata, ProviderSettings, CLOCK_SKEW};
use crate::domain::denial::{Code, Denial};
use crate::domain::time::UnixTime;
use crate::domain::token::claims::{audiences, numeric_date, subject, Round};
use crate::domain::token::jose::{Kind, Unverified};
use crate::domain::token::keys::KeySet;
use crate::domain::token::verify::{check_signature, Rejection};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha512};
use std::time::Duration;

/// An ID token that was believed.
#[derive(Clone, Debug)]
pub struct IdToken {
    pub subject: String,
    pub claims: Map<String, Value>,
    /// When the user really signed in, where the provider says so.
    pub auth_time: Option<UnixTime>,
}

/// What an ID token must agree with.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    pub metadata: &'a Metadata,
    pub settings: &'a ProviderSettings,
    pub occasion: Occasion<'a>,
    pub now: UnixTime,
}

/// Why the provider was asked.
#[derive(Clone, Copy)]
pub enum Occasion<'a> {
    /// The nonce of the attempt, how old the sign-in may be, and the access token that came along.
    SignIn { nonce: &'a Unguessable, max_age: Option<Duration>, access_token: &'a [u8] },
    /// Whose session is renewed. The provider may leave the nonce out then.
    Refresh { subject: &'a str, access_token: &'a [u8] },
}

impl IdToken {
    /// Believes `token`, or says why not.
    ///
    /// # Errors
    /// [`Rejection::UnknownKey`] is worth one look at fresh keys; everything else is final.
    pub fn check(token: &str, terms: &Terms<'_>, keys: &KeySet) -> Result<Self, Rejection> {
        let token = Unverified::parse(token).map_err(Rejection::Denied)?;
        check_signature(&token, &terms.metadata.algorithms, keys)?;
        Self::believe(&token, terms).map_err(Rejection::Denied)
    }

    /// The signature is good; what does it say?
    fn believe(token: &Unverified<'_>, terms: &Terms<'_>) -> Result<Self, Denial> {
        let claims = token.unverified_claims();
        if token.unverified_kind() != Kind::Jwt || claims.contains_key("events") {
            return Err(invalid("this is no ID token"));
        }
        check_issuer(claims, &terms.metadata.issuer)?;
        check_audience(claims, &terms.settings.client_id)?;
        check_times(claims, terms.now)?;
        let auth_time = numeric_date(claims, "auth_time", Round::Down)?;
        let subject = subject(claims)?;
        match terms.occasion {
            Occasion::SignIn { nonce, max_age, access_token } => {
                check_nonce(claims, nonce)?;
                check_age(auth_time, max_age, terms.now)?;
                check_hash(claims, token.unverified_algorithm(), access_token)?;
            }
            Occasion::Refresh { subject: expected, access_token } => {
                if subject != expected {
                    return Err(invalid("\"sub\" is another user than before"));
                }
                check_hash(claims, token.unverified_algorithm(), access_token)?;
            }
        }
        Ok(Self { subject, claims: claims.clone(), auth_time })
    }
}

pub(super) fn check_issuer(claims: &Map<String, Value>, issuer: &str) -> Result<(), Denial> {
    match claims.get("iss") {
        Some(Value::String(iss)) if iss == issuer => Ok(()),
        Some(_) => Err(invalid("\"iss\" is another issuer")),
        None => Err(invalid("no \"iss\"")),
    }
}

/// A token for several audiences was made for one of them, and says so in `azp`.
pub(super) fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), Denial> {
    let audiences = audiences(claims)?;
    if !audiences.contains(&client_id) {
        return Err(invalid("\"aud\" does not name this client"));
    }
    match claims.get("azp") {
        Some(azp) if azp == client_id => Ok(()),
        Some(_) => Err(invalid("\"azp\" is another client")),
        None if audiences.len() > 1 => Err(invalid("several audiences and no \"azp\"")),
        None => Ok(()),
    }
}

fn check_times(claims: &Map<String, Value>, now: UnixTime) -> Result<(), Denial> {
    let exp = numeric_date(claims, "exp", Round::Down)?.ok_or_else(|| invalid("no \"exp\""))?;
    let iat = numeric_date(claims, "iat", Round::Up)?.ok_or_else(|| invalid("no \"iat\""))?;
    let nbf = numeric_date(claims, "nbf", Round::Up)?;
    check_not_ahead(iat.max(nbf.unwrap_or_default()), now)?;
    if exp.plus(CLOCK_SKEW) <= now {
        return Err(Denial::new(Code::TokenExpired, "\"exp\" has passed"));
    }
    Ok(())
}

/// Said in seconds, because the remedy is to set a clock.
pub(super) fn check_not_ahead(start: UnixTime, now: UnixTime) -> Result<(), Denial> {
    if start > now.plus(CLOCK_SKEW) {
        let ahead = start.since(now).as_secs();
        return Err(Denial::new(Code::TokenInvalid, format!("the provider's clock is {ahead} s ahead of ours")));
    }
    Ok(())
}

fn check_nonce(claims: &Map<String, Value>, nonce: &Unguessable) -> Result<(), Denial> {
    match claims.get("nonce") {
        Some(Value::String(found)) if nonce.matches(found) => Ok(()),
        Some(_) => Err(invalid("\"nonce\" is not that of the attempt")),
        None => Err(invalid("no \"nonce\"")),
    }
}

/// Asked for an age, the provider must answer with a time: its silence would let any old sign-in pass for a fresh one.
fn check_age(auth_time: Option<UnixTime>, max_age: Option<Duration>, now: UnixTime) -> Result<(), Denial> {
    let Some(max_age) = max_age else {
        return Ok(());
    };
    let auth_time = auth_time.ok_or_else(|| invalid("no \"auth_time\", although max_age was asked for"))?;
    if now.since(auth_time) > max_age.saturating_add(CLOCK_SKEW) {
        return Err(invalid("the sign-in is older than max_age"));
    }
    check_not_ahead(auth_time, now)
}

/// The access token is the one this ID token came with (OpenID Connect Core section 3.1.3.6), where it says so.
fn check_hash(claims: &Map<String, Value>, algorithm: Algorithm, access_token: &[u8]) -> Result<(), Denial> {
    let Some(found) = claims.get("at_hash") else {
        return Ok(());
    };
    // Ed25519 hashes with SHA-512 inside
    let digest = if algorithm == Algorithm::EdDSA {
        Sha512::digest(access_token).to_vec()
    } else {
        Sha256::digest(access_token).to_vec()
    };
    let (left, _) = digest.split_at(digest.len() / 2);
    if *found == URL_SAFE_NO_PAD.encode(left) {
        Ok(())
    } else {
        Err(invalid("\"at_hash\" is not that of the access token"))
    }
}

pub(super) fn invalid(detail: &'static str) -> Denial {
    Denial::new(Code::TokenInvalid, detail)
}

/// The access token is a credential.
impl std::fmt::Debug for Occasion<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::SignIn { .. } => "SignIn(..)",
            Self::Refresh { .. } => "Refresh(..)",
        })
    }
}

#[cfg(test)]
#[path = "id_token_tests.rs"]
mod tests;
