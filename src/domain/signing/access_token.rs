//! Our access tokens: JWTs by the profile of RFC 9068, with what our own gate wants to know besides.

use super::jwe::{self, Fresh};
use super::key::{CannotSign, Signer};
use crate::domain::seal::Seals;
use crate::domain::time::UnixTime;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The claims of one access token, borrowed from whatever knows them. What is `None` or empty is not in the token.
#[derive(Clone, Debug, Serialize)]
pub struct AccessToken<'a> {
    pub iss: &'a str,
    pub sub: &'a str,
    pub aud: Audience<'a>,
    #[serde(serialize_with = "seconds")]
    pub exp: UnixTime,
    #[serde(serialize_with = "seconds")]
    pub iat: UnixTime,
    /// Random (version 4): who sees one token cannot name another.
    #[serde(serialize_with = "hyphenated")]
    pub jti: Uuid,
    /// Who asked for the token (RFC 9068 section 2.2).
    pub client_id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub scope: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub roles: &'a [String],
    #[serde(flatten)]
    pub session: Option<Session<'a>>,
    /// The configured name of the provider. A user is this and `sub`, never `sub` alone.
    pub provider: &'a str,
    /// SHA-256 over the parts of the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_fingerprint: Option<&'a str>,
    /// The parts, each hashed alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dfp: Option<&'a str>,
    /// Where the log of revocations stood when this was minted: "issued before" compares positions, not clocks.
    pub rv: &'a str,
    /// The family of renewals this belongs to, and which generation of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#gen: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "some_seconds")]
    pub auth_time: Option<UnixTime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub amr: &'a [String],
}

/// One audience is a string, several are a list (RFC 7519 section 4.1.3).
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a>(pub &'a [String]);

/// The public name of the session, under the name the operator chose for it.
#[derive(Clone, Copy, Debug, Serialize)]
pub enum Session<'a> {
    #[serde(rename = "sid")]
    Sid(&'a str),
    #[serde(rename = "session_id")]
    SessionId(&'a str),
}

/// Which of the two: `tokens.session_claim`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SessionClaim {
    #[default]
    Sid,
    SessionId,
}

impl AccessToken<'_> {
    /// The signed token.
    ///
    /// # Errors
    /// [`CannotSign`], which is not known to happen.
    pub fn sign(&self, signer: &Signer) -> Result<String, CannotSign> {
        signer.access_token(&self.payload()?)
    }

    /// The signed token, with claims that only `seals` can read.
    ///
    /// # Errors
    /// As [`AccessToken::sign`].
    pub fn sign_encrypted(&self, signer: &Signer, seals: &Seals, fresh: &Fresh) -> Result<String, CannotSign> {
        let encrypted = jwe::encrypt(seals, fresh, &self.payload()?).map_err(|_| CannotSign)?;
        signer.nested_token(&encrypted)
    }

    fn payload(&self) -> Result<Vec<u8>, CannotSign> {
        // an ordinary token has some 600 bytes
        let mut payload = Vec::with_capacity(1024);
        serde_json::to_writer(&mut payload, self).map_err(|_| CannotSign)?;
        Ok(payload)
    }
}

impl SessionClaim {
    /// The name of the claim.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::SessionId => "session_id",
        }
    }

    /// `sid` under this name.
    #[must_use]
    pub fn holding(self, sid: &str) -> Session<'_> {
        match self {
            Self::Sid => Session::Sid(sid),
            Self::SessionId => Session::SessionId(sid),
        }
    }
}

impl Serialize for Audience<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [one] => serializer.serialize_str(one),
            several => several.serialize(serializer),
        }
    }
}

fn hyphenated<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

fn seconds<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.0)
}

fn some_seconds<S: Serializer>(time: &Option<UnixTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.0).serialize(serializer)
}

#[cfg(test)]
#[path = "access_token_tests.rs"]
mod tests;
