//! Our own tokens when they come back: read by the same code as everybody's, under terms that say what is ours to say.

use super::access_token::SessionClaim;
use super::key::Algorithm;
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::{Principal, SourceName};
use crate::domain::token::issuer::Issuer;
use crate::domain::token::jose::Kind;
use serde_json::Value;
use std::time::Duration;

/// Replicas' clocks may differ by this much.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// Claims that count in our tokens and in nobody else's without a mapping.
const OURS: [&str; 4] = ["provider", "acr", "amr", "auth_time"];

/// The terms for tokens we signed ourselves as `issuer`.
///
/// Every algorithm counts: a key that retires may be of another one than keys are today. The life of a token has no
/// limit here either, for `access_ttl` may have been lowered since; the signature is ours, and the ring promised it.
#[must_use]
pub fn terms(issuer: &str, audience: &[String], session_claim: SessionClaim) -> Issuer {
    let mut claims: Vec<_> = OURS.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    claims.push(("sid".to_owned(), session_claim.name().to_owned()));
    Issuer {
        name: SourceName::new(issuer),
        issuer: issuer.to_owned(),
        audience: audience.to_vec(),
        algorithms: Algorithm::ALL.into_iter().map(Algorithm::for_verifying).collect(),
        leeway: LEEWAY,
        max_token_life: Duration::MAX,
        claims,
        trust_email: false,
    }
}

/// Whom a token of ours, verified under [`terms`], speaks for: a user of the provider they signed in with, not of ours.
///
/// # Errors
/// `token_invalid` for what our keys signed as something else than an access token, or without naming a provider.
pub fn principal(verified: Principal, kind: Kind) -> Result<Principal, Denial> {
    if kind != Kind::AccessToken {
        return Err(Denial::new(Code::TokenInvalid, "signed by us, and no access token"));
    }
    let source = match verified.claims.get("provider") {
        Some(Value::String(name)) if !name.is_empty() => SourceName::new(name),
        Some(_) | None => return Err(Denial::new(Code::TokenInvalid, "signed by us without a \"provider\"")),
    };
    Ok(Principal { source, ..verified })
}
