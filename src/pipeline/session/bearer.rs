//! Our own access tokens as bearer tokens: clients that hold their tokens themselves present them so.
//!
//! What holds for the cookie holds here: a session that was ended is ended, and one that turns up on another device is
//! not believed. Otherwise whoever copied a cookie would only have to send it by another name.

use super::recognise::Asking;
use super::House;
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::AuthMethod;
use crate::domain::signing::jwe;
use crate::domain::time::UnixTime;
use crate::domain::token::jose::Unverified;
use crate::pipeline::cache::Verified;
use crate::pipeline::permit::Memory;
use crate::ports::{Credential, KeySource};
use std::sync::Arc;

impl House {
    /// Whether tokens with this `iss` are ours.
    #[must_use]
    pub fn issues(&self, iss: &str) -> bool {
        self.own.issuer == iss
    }

    /// Whether `verified`, a token of ours, was read with the keys of today.
    #[must_use]
    pub fn is_current(&self, verified: &Verified) -> bool {
        self.ground.ring.generation() == verified.generation
    }

    /// Reads a token that may be ours. Both forms count, whatever `tokens.nesting` says today: tokens outlive a reload.
    ///
    /// # Errors
    /// `token_invalid`: it is not exactly one signed JWT, or its claims are encrypted for somebody else.
    pub fn unverified<'t>(&self, token: &'t str) -> Result<Unverified<'t>, Denial> {
        Unverified::parse_nested(token, &|inside| jwe::decrypt(&self.ground.seals, inside))
    }

    /// What a bearer token of ours says.
    ///
    /// # Errors
    /// As for any other token.
    pub async fn read_bearer(&self, token: &str, now: UnixTime) -> Result<Verified, Denial> {
        let mut verified = self.read(token, now).await.map_err(expired)?;
        verified.principal.method = AuthMethod::Bearer;
        verified.identity = self.identity.values(&verified.principal);
        Ok(verified)
    }

    /// The same for our own endpoints, where it makes no difference how a token came: what was seen is remembered.
    ///
    /// # Errors
    /// As for any other token.
    pub async fn know_bearer(&self, token: &str, now: UnixTime) -> Result<(Arc<Verified>, Memory), Denial> {
        self.read_once(token, now).await.map_err(expired)
    }

    /// Whether the session behind a bearer token of ours goes on, and is still where it began.
    ///
    /// # Errors
    /// It does not.
    pub async fn check_bearer(&self, verified: &Verified, asking: &Asking<'_>) -> Result<(), Denial> {
        self.check_bearer_revoked(verified)?;
        self.check_device(verified, asking).await.map_err(|elsewhere| elsewhere.denial)
    }

    /// Whether an API key still counts. One that was deleted is told as one that never was: before long nobody knows the
    /// difference.
    ///
    /// # Errors
    /// It does not.
    pub fn check_key(&self, verified: &Verified) -> Result<(), Denial> {
        self.check_revoked(verified).map_err(|denial| match denial.code {
            Code::TokenRevoked => Denial { code: Code::ApiKeyInvalid, ..denial },
            _ => denial,
        })
    }

    /// Whether a bearer token of anybody's, or an API key, still counts.
    pub(super) fn check_bearer_revoked(&self, verified: &Verified) -> Result<(), Denial> {
        if verified.api_key().is_some() {
            return self.check_key(verified);
        }
        self.check_revoked(verified).map_err(|denial| match denial.code {
            Code::SessionTerminated if !self.is_over(verified) => Denial::new(Code::TokenRevoked, "given up"),
            _ => denial,
        })
    }

    /// Whether more than this one token has ended: another one of its session would not help.
    fn is_over(&self, verified: &Verified) -> bool {
        self.ground.revocations.refuses(&Credential { jti: None, ..verified.credential() })
    }
}

/// Whoever sends a token can get another one; that the session has ended nobody has said.
fn expired(denial: Denial) -> Denial {
    match denial.code {
        Code::SessionExpired => Denial { code: Code::TokenExpired, ..denial },
        _ => denial,
    }
}
