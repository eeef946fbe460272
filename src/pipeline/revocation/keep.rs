//! The list on disk: what a replica that restarts begins with, be the store away or end with the process.
//!
//! Whole copies, one at a time: whatever changes while one is written goes into the next. An order asks for a copy at
//! once, and where nobody else has it, whoever gave it is answered when the copy is there, could not be made, or takes too
//! long: enforced it is in any case. What came from others is written within seconds; the log has it too.

use super::Revocations;
use crate::domain::revocation::{Placed, Position, Snapshot, Spoilt};
use crate::domain::time::UnixTime;
use crate::ports::revocation::Shelf;
use crate::ports::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks at whether others had something to say.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Copies of a long list take a disk's time: after each comes a pause this many times as long, for what else there is.
const PAUSE: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A disk that takes longer is as good as none: whoever ordered is answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clocks may be set back a little; a list of tomorrow is none of today's.
const AHEAD: Duration = Duration::from_secs(60);

/// Which orders are answered only when the copy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The log ends with the process.
    All,
    /// The log is as good a place, whenever it can be reached.
    Undelivered,
}

#[derive(Debug)]
pub(super) struct Keeper {
    shelf: Arc<dyn Shelf>,
    awaited: Awaited,
    /// How many copies were asked for.
    asked: watch::Sender<u64>,
    /// How many of these were made, or could not be.
    answered: watch::Sender<u64>,
}

/// What was written last.
#[derive(Clone, Copy, Default)]
struct Written {
    generation: u64,
    as_of: UnixTime,
}

impl Revocations {
    /// With copies on `shelf`, as long as [`keep`](Self::keep) is polled.
    #[must_use]
    pub fn kept_on(self, shelf: Arc<dyn Shelf>, awaited: Awaited) -> Self {
        let (asked, answered) = (watch::Sender::new(0), watch::Sender::new(0));
        Self { keeper: Some(Keeper { shelf, awaited, asked, answered }), ..self }
    }

    /// Keeps copies for as long as it is polled. Meant for a task of its own, one in a process.
    pub async fn keep(self: Arc<Self>) {
        let Some(keeper) = &self.keeper else { return };
        let (mut asked, mut written) = (keeper.asked.subscribe(), Written::default());
        // Somebody may have asked before; and a disk that takes nothing is better known at the start.
        asked.mark_changed();
        loop {
            let look = LOOK_EVERY.min(self.spans.access_ttl() / 4).max(LONGEST_PAUSE);
            // Whoever asked, or time: both are reasons to look.
            let _why = tokio::time::timeout(look, asked.changed()).await;
            let turn = *asked.borrow_and_update();
            let began = self.clock.steady();
            if self.is_due(written) {
                let service = Arc::clone(&self);
                // If not, the shelf has said why, and the next look tries again.
                if let Ok(Ok(now)) = tokio::task::spawn_blocking(move || service.write()).await {
                    written = now;
                }
            }
            keeper.answered.send_replace(turn);
            let took = self.clock.steady().saturating_sub(began);
            self.clock.sleep(took.saturating_mul(PAUSE).min(LONGEST_PAUSE)).await;
        }
    }

    /// Asks for a copy and waits for it: for the end of a process.
    pub async fn keep_now(&self) {
        self.ask_to_keep();
        self.wait_for_copy().await;
    }

    pub(super) fn ask_to_keep(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.asked.send_modify(|asked| *asked = asked.saturating_add(1));
        }
    }

    /// Waits where nobody but us has the order, or nobody who outlives us.
    pub(super) async fn keep_before_answering(&self, delivered: bool) {
        let awaited = self.keeper.as_ref().map(|keeper| keeper.awaited);
        if awaited == Some(Awaited::All) || (awaited.is_some() && !delivered) {
            self.wait_for_copy().await;
        }
    }

    async fn wait_for_copy(&self) {
        let Some(keeper) = &self.keeper else { return };
        let turn = *keeper.asked.borrow();
        let mut answered = keeper.answered.subscribe();
        let done = async { drop(answered.wait_for(|done| *done >= turn).await) };
        // Enforced it is in any case, and a disk that fails has raised the alarm.
        let _in_time = tokio::time::timeout(PATIENCE, done).await;
    }

    /// Something has changed; or nothing has for so long that the copy would soon be too old to start with.
    fn is_due(&self, written: Written) -> bool {
        self.generation() != written.generation || self.as_of() > written.as_of.plus(self.spans.access_ttl() / 4)
    }

    fn write(&self) -> Result<Written, StoreError> {
        // Read before the copy is made: what changes meanwhile is written once more rather than never.
        let now = Written { generation: self.generation(), as_of: self.as_of() };
        let bytes = self.snapshot().ok_or_else(|| StoreError("no key to protect a copy with".to_owned()))?;
        match &self.keeper {
            Some(keeper) => keeper.shelf.put(&bytes).map(|()| now),
            None => Ok(now),
        }
    }

    /// The last moment at which the list was known to lack nothing. While the store is away that moves further and
    /// further back, also over restarts: an old list does not become young by being written again.
    fn as_of(&self) -> UnixTime {
        let confirmed = self.confirmed_ago().map(|ago| UnixTime(self.now().0.saturating_sub(ago.as_secs())));
        confirmed.unwrap_or_default().max(self.standing.lock().as_of)
    }

    /// Everything known now, to be written to disk. `None` without a key to protect it with.
    #[must_use]
    pub fn snapshot(&self) -> Option<Vec<u8>> {
        let as_of = self.as_of();
        let index = self.index.load_full();
        let snapshot = Snapshot { as_of, logged: index.records().collect(), waiting: index.waiting().collect() };
        snapshot.to_bytes(&self.terms.keys)
    }

    /// Adds what a copy holds. Every entry counts until it ends by itself, blocks for good, however old the copy is: who
    /// was thrown out is not let in again because a process was down. If it was complete less than the life of an access
    /// token ago, this replica is ready as well, with the store away: what it lacks, nobody here could have learned, and
    /// what it would let in by that soon ends.
    ///
    /// # Errors
    /// [`Spoilt`]: nothing of it was taken.
    pub fn restore(&self, bytes: &[u8]) -> Result<(), Spoilt> {
        let snapshot = Snapshot::from_bytes(bytes, &self.terms.keys)?;
        let cuts = snapshot.logged.iter().filter(|record| record.kind.has_place()).filter_map(|record| record.cut);
        let floor = cuts.max().unwrap_or_default();
        let logged = snapshot.logged.iter().map(|record| (*record, Placed::At(Position::ZERO)));
        let waiting = snapshot.waiting.iter().map(|record| (*record, Placed::Waiting));
        let now = self.now();
        let mut standing = self.standing.lock();
        let news = self.learn(&mut standing, logged.chain(waiting));
        standing.owes |= !snapshot.waiting.is_empty();
        if snapshot.as_of <= now.plus(AHEAD) {
            standing.restored |= snapshot.as_of.plus(self.spans.access_ttl()) >= now;
            standing.as_of = standing.as_of.max(snapshot.as_of);
        }
        standing.floor = standing.floor.max(floor);
        drop(standing);
        self.tell(&news);
        Ok(())
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
