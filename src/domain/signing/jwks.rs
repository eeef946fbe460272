//! Our key set, as others read it (RFC 7517 section 5). Public halves only: they are all this is made from.

use super::key::{Kid, PublicKey};
use super::ring::{Ring, Schedule, State};
use crate::domain::time::UnixTime;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// What readers may keep a key set for, at most.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// After a revocation they should come back soon: it is likely that a key is in use they have not seen.
const HURRIED_AGE: Duration = Duration::from_secs(60);
/// For how long.
const HURRY: Duration = Duration::from_secs(24 * 3600);

/// The document and how it may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// `application/jwk-set+json`.
    pub body: Vec<u8>,
    /// Strong, with its quotes (RFC 9110 section 8.8.3).
    pub etag: String,
    /// The latest revocation, if there was one.
    revoked: Option<UnixTime>,
    longest_age: Duration,
}

impl Jwks {
    #[must_use]
    pub fn of(ring: &Ring, schedule: &Schedule) -> Self {
        let keys: Vec<_> = ring
            .published()
            .map(|key| Jwk { public: &key.public, r#use: "sig", alg: key.algorithm.name(), kid: &key.kid })
            .collect();
        // strings, and nothing else: there is nothing that could not be written
        let body = serde_json::to_vec(&Set { keys }).unwrap_or_else(|_| br#"{"keys":[]}"#.to_vec());
        let digest = Sha256::digest(&body);
        let etag = digest.iter().take(16).fold(String::from("\""), |etag, byte| format!("{etag}{byte:02x}")) + "\"";
        let revocations = ring.keys().iter().filter_map(|key| match key.state() {
            State::Revoked { since } => Some(*since),
            State::Pending { .. } | State::Active { .. } | State::Retiring { .. } => None,
        });
        // a set kept for longer than keys are published ahead would not have the key that signs
        let longest_age = MAX_AGE.min(schedule.publish_ahead / 2);
        Self { body, etag, revoked: revocations.max(), longest_age }
    }

    /// The value of `Cache-Control`. No `stale-while-revalidate`: whoever serves a set past its age may serve one from
    /// before the key that signs, or with a key that was revoked.
    #[must_use]
    pub fn cache_control(&self, now: UnixTime) -> String {
        let hurried = self.revoked.is_some_and(|at| now.since(at) < HURRY);
        let age = if hurried { self.longest_age.min(HURRIED_AGE) } else { self.longest_age };
        format!("public, max-age={}", age.as_secs())
    }
}

#[derive(Serialize)]
struct Set<'r> {
    keys: Vec<Jwk<'r>>,
}

#[derive(Serialize)]
struct Jwk<'r> {
    #[serde(flatten)]
    public: &'r PublicKey,
    r#use: &'static str,
    alg: &'static str,
    kid: &'r Kid,
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
