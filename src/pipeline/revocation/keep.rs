//! The list on disk: what a replica that restarts while the store is away begins with.

use super::Revocations;
use crate::domain::revocation::{Placed, Position, Snapshot, Spoilt};

impl Revocations {
    /// Everything known now, to be written to disk. `None` without a key to protect it with.
    #[must_use]
    pub fn snapshot(&self) -> Option<Vec<u8>> {
        let index = self.index.load_full();
        let snapshot =
            Snapshot { taken: self.now(), logged: index.records().collect(), waiting: index.waiting().collect() };
        snapshot.to_bytes(&self.terms.keys)
    }

    /// Adds what a snapshot holds. One that is younger than an access token also makes this replica ready: what was
    /// revoked since and is not in it, nobody here could have learned. An older one does not, though everything in it
    /// that can still hit anything is enforced, blocks for good.
    ///
    /// # Errors
    /// [`Spoilt`]: nothing of it was taken.
    pub fn restore(&self, bytes: &[u8]) -> Result<(), Spoilt> {
        let snapshot = Snapshot::from_bytes(bytes, &self.terms.keys)?;
        let logged = snapshot.logged.iter().map(|record| (*record, Placed::At(Position::ZERO)));
        let waiting = snapshot.waiting.iter().map(|record| (*record, Placed::Waiting));
        let mut standing = self.standing.lock();
        let news = self.learn(&mut standing, logged.chain(waiting));
        standing.owes |= !snapshot.waiting.is_empty();
        standing.restored |= snapshot.taken.plus(self.terms.access_ttl) >= self.now();
        drop(standing);
        self.tell(&news);
        Ok(())
    }
}
