//! When sessions were last in use, gathered here and told to the store once an interval: a hundred thousand requests a
//! second must not become as many writes.
//!
//! A session that was used stands in the list once, however often it is used; the moment itself lies with the session.
//! So the last use before a quiet time is always told, at the end of its interval.

use super::lease::end_of;
use crate::domain::time::UnixTime;
use crate::pipeline::cache::{SessionFacts, Verified};
use crate::ports::store::{Store, StoreError, Touch};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Sessions told about in one go.
const BATCH: usize = 256;
/// Arrivals told of in one turn, each with a question of its own: after a reload everybody's token arrives once more.
const TURN: usize = 4096;
/// Sessions waiting to be told about. Beyond, the newest are not listed: their next use lists them again.
const MOST: usize = 1_000_000;

/// Sessions in use since the last flush.
pub struct Activity {
    used: Mutex<Vec<Arc<Verified>>>,
    arrived: Mutex<Vec<Arc<Verified>>>,
    /// How long either list may be.
    most: usize,
}

impl Activity {
    fn of_at_most(most: usize) -> Self {
        Self { used: Mutex::default(), arrived: Mutex::default(), most }
    }

    /// An access token was presented. The first time tells that the answer with it has arrived, and the renewal token
    /// that came along: whoever still holds the one before is late, or a thief.
    pub fn arrived(&self, verified: &Arc<Verified>) {
        let Some(facts) = verified.session() else { return };
        if facts.arrives() {
            let mut arrived = self.arrived.lock();
            if arrived.len() < self.most {
                arrived.push(Arc::clone(verified));
            } else {
                facts.tell_again();
            }
        }
    }

    /// Tells the families what has arrived: once a generation and replica. What is more than a turn waits for the next.
    ///
    /// # Errors
    /// The store cannot be asked; what is untold is told when it is seen again.
    pub async fn confirm(&self, store: &dyn Store) -> Result<(), StoreError> {
        let arrived: Vec<_> = {
            let mut waiting = self.arrived.lock();
            let turn = waiting.len().min(TURN);
            waiting.drain(..turn).collect()
        };
        let mut outcome = Ok(());
        for facts in arrived.iter().filter_map(|verified| verified.session()) {
            let Some(generation) = facts.generation else { continue };
            if outcome.is_ok() {
                outcome = store.confirm(facts.user, super::family_of(facts.id), generation).await.map(|_| ());
            }
            if outcome.is_err() {
                facts.tell_again();
            }
        }
        outcome
    }

    /// `verified` was in use. Costs two relaxed writes, and a lock once an interval.
    pub fn note(&self, verified: &Arc<Verified>, now: UnixTime) {
        let Some(facts) = verified.session() else { return };
        if facts.use_at(now) {
            let mut used = self.used.lock();
            if used.len() < self.most {
                used.push(Arc::clone(verified));
            } else {
                facts.take_use();
            }
        }
    }

    /// Tells the store of everything that was in use. What could not be told is told the next time.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn flush(&self, store: &dyn Store, idle: Duration) -> Result<usize, StoreError> {
        let used = std::mem::take(&mut *self.used.lock());
        for (at, batch) in used.chunks(BATCH).enumerate() {
            let touches: Vec<Touch> = batch.iter().filter_map(|verified| touch(verified, idle)).collect();
            match store.touch(&touches).await {
                Ok(alive) => {
                    batch.iter().zip(touches).zip(alive).for_each(|((one, touch), alive)| told(one, &touch, alive))
                }
                Err(error) => {
                    let untold = used.get(at * BATCH..).unwrap_or_default();
                    self.used.lock().extend(untold.iter().map(Arc::clone));
                    return Err(error);
                }
            }
        }
        Ok(used.len())
    }
}

/// How often to flush: often enough that nobody is signed out while in use, seldom enough to be nothing.
#[must_use]
pub fn interval(idle: Duration) -> Duration {
    (idle / 30).clamp(Duration::from_secs(1), Duration::from_secs(60))
}

fn touch(verified: &Verified, idle: Duration) -> Option<Touch> {
    let facts = verified.session()?;
    Some(Touch { user: facts.user, id: facts.id, last_seen: end_of(facts.take_use()), idle })
}

/// What an opaque session learns from it: how much the store knows, or that it had better be asked.
pub(super) fn told(verified: &Verified, touch: &Touch, alive: bool) {
    match verified.session().and_then(SessionFacts::lease) {
        Some(lease) if alive => lease.told(touch.last_seen),
        Some(lease) => lease.doubt(),
        None => {}
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::of_at_most(MOST)
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("waiting", &self.used.lock().len()).finish()
    }
}

#[cfg(test)]
#[path = "activity_tests.rs"]
mod tests;
