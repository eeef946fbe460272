//! One snapshot of the ring, ready to sign and to verify with, and the list operators read.

use super::{crypto, KeysError};
use crate::domain::signing::jwks::Jwks;
use crate::domain::signing::key::BadKey;
use crate::domain::signing::ring::RingKey;
use crate::domain::signing::{Ring, Schedule, Signer};
use crate::domain::time::UnixTime;
use crate::domain::token::keys::{KeySet, Malformed};
use crate::ports::Keys;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Counts our key sets. Others count theirs from one; no two sets of a process may share a number.
static GENERATION: AtomicU64 = AtomicU64::new(1 << 63);

/// One snapshot.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) ring: Ring,
    /// It comes from a copy of unknown age, and counts until the vault shows one.
    pub(super) copied: bool,
    /// What the vault holds when it holds just this ring.
    pub(super) stored: Option<Vec<u8>>,
    pub(super) signer: Option<(Arc<Signer>, Duration)>,
    pub(super) keys: Arc<Keys>,
    pub(super) jwks: Arc<Jwks>,
}

/// A key as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub kid: String,
    pub algorithm: &'static str,
    pub state: &'static str,
    pub created: UnixTime,
    /// When this state began or will end: a pending key signs from then, an active one signs since, a retiring one
    /// verifies until, a revoked one is dead since.
    pub moment: UnixTime,
}

impl Live {
    /// Before anything is known.
    pub(super) fn empty(schedule: &Schedule) -> Self {
        let ring = Ring::default();
        let jwks = Arc::new(Jwks::of(&ring, schedule));
        let keys = Arc::new(Keys { set: KeySet::default(), generation: next_generation() });
        Self { ring, copied: false, stored: None, signer: None, keys, jwks }
    }

    /// What did not change is kept, and above all the generation of the keys: a new one has every token verified anew.
    pub(super) fn new(
        before: &Self,
        ring: Ring,
        stored: Option<Vec<u8>>,
        schedule: &Schedule,
    ) -> Result<Self, KeysError> {
        let jwks = Jwks::of(&ring, schedule);
        let keys = if jwks.body == before.jwks.body {
            Arc::clone(&before.keys)
        } else {
            let set = KeySet::from_jwks(&jwks.body).map_err(|e: Malformed| crypto(&e))?;
            Arc::new(Keys { set, generation: next_generation() })
        };
        let signer = match ring.active() {
            None => None,
            Some(key) => match &before.signer {
                Some((signer, _)) if signer.kid() == key.kid() => Some((Arc::clone(signer), key.longest())),
                Some(_) | None => {
                    let signer = key.signer().map_err(|e: BadKey| crypto(&e))?;
                    signer.map(|signer| (Arc::new(signer), key.longest()))
                }
            },
        };
        Ok(Self { ring, copied: false, stored, signer, keys, jwks: Arc::new(jwks) })
    }
}

impl From<&RingKey> for Listed {
    fn from(key: &RingKey) -> Self {
        Self {
            kid: key.kid().as_str().to_owned(),
            algorithm: key.algorithm().name(),
            state: key.state().name(),
            created: key.created(),
            moment: key.state().moment(),
        }
    }
}

fn next_generation() -> u64 {
    GENERATION.fetch_add(1, Ordering::Relaxed)
}
