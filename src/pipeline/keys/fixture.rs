//! For tests: a vault, and replicas that share it.

use super::SigningRing;
use crate::domain::seal::Seals;
use crate::domain::secret::Secret;
use crate::domain::signing::access_token::SessionClaim;
use crate::domain::signing::fixture::{minutes, schedule, token, ISSUER, START};
use crate::domain::signing::{own, Schedule};
use crate::domain::time::UnixTime;
use crate::domain::token::jose::Unverified;
use crate::domain::token::verify::{verify, Rejection};
use crate::ports::store::{Document, StoreError, Vault};
use crate::ports::KeySource as _;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;
use tokio::task::yield_now;

/// A vault in memory that lets others run between any two of its answers.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) document: Mutex<Option<Document>>,
    pub(super) down: AtomicBool,
    read_only: AtomicBool,
    pub(super) reads: AtomicU32,
}

#[async_trait]
impl Vault for Shelf {
    async fn read(&self, _: &str) -> Result<Option<Document>, StoreError> {
        yield_now().await;
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.up()?;
        let document = self.document.lock().clone();
        yield_now().await;
        Ok(document)
    }

    async fn replace(&self, _: &str, seen: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        yield_now().await;
        self.up()?;
        if self.read_only.load(Ordering::Relaxed) {
            return Err(StoreError("it cannot be written".to_owned()));
        }
        let mut document = self.document.lock();
        let version = document.as_ref().map_or(0, |document| document.version);
        if version == seen {
            *document = Some(Document { version: version + 1, bytes: bytes.to_vec() });
        }
        Ok(version == seen)
    }
}

impl Shelf {
    fn up(&self) -> Result<(), StoreError> {
        if self.down.load(Ordering::Relaxed) {
            return Err(StoreError("it is down".to_owned()));
        }
        Ok(())
    }

    pub(super) fn set_read_only(&self, read_only: bool) {
        self.read_only.store(read_only, Ordering::Relaxed);
    }

    pub(super) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    pub(super) fn version(&self) -> u64 {
        self.document.lock().as_ref().map_or(0, |document| document.version)
    }
}

pub(super) fn seals(fills: &[u8]) -> Arc<Seals> {
    let secrets: Vec<Secret> = fills.iter().map(|fill| Secret::new(vec![*fill; 32])).collect();
    Arc::new(Seals::new(&secrets).unwrap())
}

pub(super) async fn replica(shelf: &Arc<Shelf>) -> Arc<SigningRing> {
    opened(shelf, schedule()).await
}

pub(super) async fn opened(shelf: &Arc<Shelf>, schedule: Schedule) -> Arc<SigningRing> {
    SigningRing::open(Arc::clone(shelf) as _, seals(&[1]), schedule, START).await.unwrap()
}

pub(super) fn mint(ring: &SigningRing, now: UnixTime) -> String {
    let audience = [ISSUER.to_owned()];
    ring.sign(&token(&audience, &[], now, minutes(15))).unwrap()
}

pub(super) fn accepts(ring: &SigningRing, text: &str, now: UnixTime) -> Result<String, Rejection> {
    let terms = own::terms(ISSUER, &[ISSUER.to_owned()], SessionClaim::Sid);
    verify(&Unverified::parse(text).unwrap(), &terms, &ring.current().set, now).map(|principal| principal.subject)
}

pub(super) fn active(ring: &SigningRing) -> String {
    let mut active = ring.list().into_iter().filter(|key| key.state == "active");
    let kid = active.next().unwrap().kid;
    assert!(active.next().is_none());
    kid
}

pub(super) fn states(ring: &SigningRing) -> Vec<&'static str> {
    ring.list().iter().map(|key| key.state).collect()
}
