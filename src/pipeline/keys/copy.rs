//! A copy of the ring outside of the vault: for a process that starts while the vault is away.
//!
//! With it the tokens that people hold can be told from forged ones. It never outweighs the vault: as soon as that shows
//! a ring, the copy is forgotten, because nobody knows how old it is.

use super::generate::sealed;
use super::live::Live;
use super::{crypto, KeysError, SigningRing, DOCUMENT};
use crate::domain::time::UnixTime;
use sha2::{Digest, Sha256};
use std::sync::atomic::Ordering;
use std::sync::Arc;

/// Tells one copy from another, whatever nonces they were sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyMark([u8; 32]);

impl SigningRing {
    /// The ring as it is, sealed as it lies in the vault; `None` before there is one, and for the one of mark `known`.
    ///
    /// # Errors
    /// The cryptographic library refused.
    pub fn copy(&self, known: Option<CopyMark>) -> Result<Option<(CopyMark, Vec<u8>)>, KeysError> {
        let live = self.live.load();
        if live.ring.is_empty() {
            return Ok(None);
        }
        let document = live.ring.to_document()?;
        let mark = CopyMark(Sha256::digest(document.expose()).into());
        if known == Some(mark) {
            return Ok(None);
        }
        let bytes = sealed(&self.seals, DOCUMENT, &document).map_err(|e| crypto(&e))?;
        Ok(Some((mark, bytes)))
    }

    /// Goes by what [`copy`](Self::copy) gave, until the vault has a ring to show. Nothing happens when there is one
    /// already.
    ///
    /// # Errors
    /// It was sealed with another secret, or it is damaged: nothing has changed.
    pub fn restore(&self, copy: &[u8], now: UnixTime) -> Result<(), KeysError> {
        let ring = self.opened(copy)?;
        self.told.fetch_max(now.0, Ordering::Relaxed);
        let _held = self.publishing.lock();
        let (before, schedule) = (self.live.load_full(), self.schedule.load_full());
        if before.ring.is_empty() {
            let live = Live::new(&before, ring, None, &schedule)?;
            self.live.store(Arc::new(Live { copied: true, ..live }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::super::{Mode, Reach, SignError};
    use super::*;
    use crate::domain::signing::fixture::{minutes, schedule, token, ISSUER, START};

    /// A process that starts while the vault is away.
    async fn restarted(shelf: &Arc<Shelf>, copy: &[u8]) -> Arc<SigningRing> {
        let ring = SigningRing::new(Arc::clone(shelf) as _, seals(&[1]), schedule());
        shelf.set_down(true);
        assert!(matches!(ring.tick(START).await, Err(KeysError::Store(_))));
        ring.restore(copy, START).unwrap();
        ring
    }

    fn copied(ring: &Arc<SigningRing>) -> Vec<u8> {
        ring.copy(None).unwrap().unwrap().1
    }

    #[tokio::test]
    async fn with_a_copy_a_process_that_starts_without_the_vault_knows_the_tokens_of_before() {
        let shelf = Arc::new(Shelf::default());
        let before = replica(&shelf).await;
        let ring = restarted(&shelf, &copied(&before)).await;
        assert_eq!(accepts(&ring, &mint(&before, START), START), Ok("u1".to_owned()));
        assert_eq!(accepts(&before, &mint(&ring, START), START), Ok("u1".to_owned()));
        shelf.set_down(false);
        ring.tick(START).await.unwrap();
        assert_eq!((ring.list(), shelf.version()), (before.list(), 1), "and nothing is written");
    }

    #[tokio::test]
    async fn the_vault_outweighs_a_copy() {
        let shelf = Arc::new(Shelf::default());
        let other = replica(&shelf).await;
        let (copy, stolen) = (copied(&other), mint(&other, START));
        other.rotate(Mode::Emergency, START).await.unwrap();
        let ring = restarted(&shelf, &copy).await;
        assert!(accepts(&ring, &stolen, START).is_ok(), "nobody has told it");
        shelf.set_down(false);
        ring.tick(START).await.unwrap();
        assert_eq!((ring.list(), shelf.version()), (other.list(), 2));
        assert!(accepts(&ring, &stolen, START).is_err());

        *shelf.document.lock() = None;
        let fresh = replica(&shelf).await;
        let ring = restarted(&shelf, &copy).await;
        shelf.set_down(false);
        ring.tick(START).await.unwrap();
        assert_eq!((ring.list(), shelf.version()), (fresh.list(), 1), "not even an old key is brought back");
    }

    #[tokio::test]
    async fn in_an_empty_vault_a_copy_counts_until_it_is_written_there_or_another_ring_is() {
        let shelf = Arc::new(Shelf::default());
        let before = replica(&shelf).await;
        let (copy, known) = (copied(&before), mint(&before, START));
        *shelf.document.lock() = None;
        let ring = restarted(&shelf, &copy).await;
        shelf.set_down(false);
        shelf.set_read_only(true);
        assert!(ring.tick(START).await.is_err());
        assert!(accepts(&ring, &known, START).is_ok(), "it goes on meanwhile");
        shelf.set_read_only(false);
        let another = replica(&shelf).await;
        ring.tick(START).await.unwrap();
        assert_eq!((ring.list(), shelf.version()), (another.list(), 1), "who wrote first has the ring");

        *shelf.document.lock() = None;
        let ring = restarted(&shelf, &copy).await;
        shelf.set_down(false);
        ring.tick(START).await.unwrap();
        let next = replica(&shelf).await;
        assert_eq!((next.list(), shelf.version()), (before.list(), 1), "else it is written");
        assert!(accepts(&next, &known, START).is_ok());
    }

    #[tokio::test]
    async fn an_emergency_without_the_vault_is_carried_there_and_stands_in_the_next_copy() {
        let shelf = Arc::new(Shelf::default());
        let other = replica(&shelf).await;
        let stolen = mint(&other, START);
        let ring = restarted(&shelf, &copied(&other)).await;
        assert_eq!(ring.rotate(Mode::Emergency, START).await.unwrap(), Reach::HereOnly);
        let ring = restarted(&shelf, &copied(&ring)).await;
        assert!(accepts(&ring, &stolen, START).is_err());
    }

    #[tokio::test]
    async fn a_copy_is_made_once_for_each_change() {
        let shelf = Arc::new(Shelf::default());
        let empty = SigningRing::new(Arc::clone(&shelf) as _, seals(&[1]), schedule());
        assert!(empty.copy(None).unwrap().is_none(), "there is nothing to keep");
        let ring = replica(&shelf).await;
        let (mark, _) = ring.copy(None).unwrap().unwrap();
        ring.tick(START).await.unwrap();
        assert!(ring.copy(Some(mark)).unwrap().is_none());
        ring.rotate(Mode::Now, START).await.unwrap();
        assert!(ring.copy(Some(mark)).unwrap().is_some());
    }

    #[tokio::test]
    async fn what_another_secret_sealed_changes_nothing() {
        let shelf = Arc::new(Shelf::default());
        let copy = copied(&replica(&shelf).await);
        let stranger = SigningRing::new(Arc::new(Shelf::default()), seals(&[2]), schedule());
        assert!(matches!(stranger.restore(&copy, START), Err(KeysError::Sealed)));
        let audience = [ISSUER.to_owned()];
        assert_eq!(stranger.sign(&token(&audience, &[], START, minutes(1))), Err(SignError::NoKey));
    }
}
