//! Whether to believe a token: algorithm, then key, then signature, and only then its claims.

use super::claims;
use super::issuer::Issuer;
use super::jose::Unverified;
use super::keys::KeySet;
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::Principal;
use crate::domain::time::UnixTime;
use jsonwebtoken::Algorithm;

/// Why a token was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Rejection {
    /// None of these keys signed it, and a newer set may have the one that did. Final once there is no newer set:
    /// then it is [`Rejection::into_denial`].
    UnknownKey,
    Denied(Denial),
}

/// The caller that `token` speaks for, by the terms of `issuer`, at `now`.
///
/// # Errors
/// [`Rejection::UnknownKey`] is worth one look at fresh keys; everything else is final.
pub fn verify(token: &Unverified<'_>, issuer: &Issuer, keys: &KeySet, now: UnixTime) -> Result<Principal, Rejection> {
    check_signature(token, &issuer.algorithms, keys)?;
    claims::principal(token.unverified_claims(), token.unverified_kind(), issuer, now).map_err(Rejection::Denied)
}

/// Whether one of `keys` signed `token`, in one of these algorithms. Says nothing about its claims.
///
/// # Errors
/// As [`verify`].
pub fn check_signature(token: &Unverified<'_>, algorithms: &[Algorithm], keys: &KeySet) -> Result<(), Rejection> {
    let algorithm = token.unverified_algorithm();
    // from configuration, before any key is touched: a header never chooses how it is checked (RFC 8725 section 3.1)
    if !algorithms.contains(&algorithm) {
        return Err(invalid("the issuer does not use this algorithm"));
    }
    let kid = token.unverified_kid();
    let mut found = false;
    for key in keys.find(kid, algorithm) {
        found = true;
        let (signature, signed) = (token.signature(), token.signing_input().as_bytes());
        if jsonwebtoken::crypto::verify(signature, signed, key.decoding_key(), algorithm).is_ok_and(|good| good) {
            return Ok(());
        }
    }
    if keys.is_shared() {
        return Err(invalid("the signature is wrong"));
    }
    match kid {
        Some(_) if found => Err(invalid("the signature is wrong")),
        Some(kid) if keys.has(kid) => Err(invalid("the key of this kid is not for this algorithm")),
        // without a kid a wrong signature and a key not yet known look alike
        Some(_) | None => Err(Rejection::UnknownKey),
    }
}

impl Rejection {
    /// What the caller is told when there are no newer keys to try.
    #[must_use]
    pub fn into_denial(self) -> Denial {
        match self {
            Self::UnknownKey => Denial::new(Code::TokenInvalid, "no key of the issuer made this signature"),
            Self::Denied(denial) => denial,
        }
    }
}

fn invalid(detail: &'static str) -> Rejection {
    Rejection::Denied(Denial::new(Code::TokenInvalid, detail))
}
