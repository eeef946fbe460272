//! Counters of failed sign-ins in this process: those of the memory store, and those a replica counts by while a shared
//! store is away.
//!
//! Strangers fill them, so there are only so many. When one has to go, it is the one with the fewest failures, of those
//! the oldest: to have a block forgotten, somebody would have to make everybody else fail as often as they did, and each
//! of those failures costs a password's comparison.

use crate::domain::failures::{Charged, Schedule, Tally, TallyKey};
use crate::domain::session::Millis;
use crate::ports::store::{Failures, StoreError};
use crate::store::Clock;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

/// How often what nobody remembers is cleared away.
const SWEPT_EVERY: Duration = Duration::from_secs(60);

pub struct Tallies {
    clock: Clock,
    most: usize,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    by_key: HashMap<TallyKey, Tally>,
    /// Failures, when the last one was, and whose: the first goes first.
    by_worth: BTreeSet<(u32, Millis, TallyKey)>,
    swept: Millis,
}

impl Tallies {
    /// At most `most` counters.
    #[must_use]
    pub fn new(clock: Clock, most: usize) -> Self {
        Self { clock, most: most.max(1), shelf: Mutex::default() }
    }

    /// Changes one counter, at one moment.
    fn change<T>(&self, key: TallyKey, act: impl FnOnce(&mut Tally, Millis) -> T) -> T {
        let mut shelf = self.shelf.lock();
        let now = self.clock.now();
        shelf.sweep(now);
        let mut tally = shelf.take(key).unwrap_or_default();
        let acted = act(&mut tally, now);
        if !tally.is_forgotten(now) {
            // room is made among the others: whoever was charged just now is counted
            while shelf.by_key.len() >= self.most {
                let Some((_, _, least)) = shelf.by_worth.first().copied() else { break };
                shelf.take(least);
            }
            shelf.by_worth.insert((tally.failures, tally.last, key));
            shelf.by_key.insert(key, tally);
        }
        acted
    }
}

impl Shelf {
    fn take(&mut self, key: TallyKey) -> Option<Tally> {
        let tally = self.by_key.remove(&key)?;
        self.by_worth.remove(&(tally.failures, tally.last, key));
        Some(tally)
    }

    fn sweep(&mut self, now: Millis) {
        if now.since(self.swept) < SWEPT_EVERY {
            return;
        }
        self.swept = now;
        let Self { by_key, by_worth, .. } = self;
        by_key.retain(|key, tally| {
            let forgotten = tally.is_forgotten(now);
            if forgotten {
                by_worth.remove(&(tally.failures, tally.last, *key));
            }
            !forgotten
        });
    }
}

#[async_trait]
impl Failures for Tallies {
    async fn charge(&self, key: TallyKey, schedule: &Schedule) -> Result<Charged, StoreError> {
        Ok(self.change(key, |tally, now| tally.charge(schedule, now)))
    }

    async fn give_back(&self, key: TallyKey, serial: u32, schedule: &Schedule) -> Result<(), StoreError> {
        self.change(key, |tally, _| tally.give_back(serial, schedule));
        Ok(())
    }

    async fn failed(&self, key: TallyKey, schedule: &Schedule) -> Result<(), StoreError> {
        self.change(key, |tally, now| tally.confirm(schedule, now));
        Ok(())
    }

    async fn tally(&self, key: TallyKey) -> Result<(Tally, Millis), StoreError> {
        let shelf = self.shelf.lock();
        Ok((shelf.by_key.get(&key).copied().unwrap_or_default(), self.clock.now()))
    }

    async fn forget(&self, key: TallyKey) -> Result<(), StoreError> {
        self.shelf.lock().take(key);
        Ok(())
    }
}

impl fmt::Debug for Tallies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tallies").field("most", &self.most).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;

    const TERMS: Schedule =
        Schedule { free: 9, block: Duration::from_secs(60), block_max: Duration::from_secs(3600), fades: None };

    fn tallies(most: usize) -> (Arc<AtomicU64>, Tallies) {
        let time = Arc::new(AtomicU64::new(1_000_000));
        let read = Arc::clone(&time);
        (time, Tallies::new(Clock::new(move || Millis(read.load(Ordering::SeqCst))), most))
    }

    fn key(number: u128) -> TallyKey {
        TallyKey::from_bytes(number.to_be_bytes())
    }

    async fn fails(tallies: &Tallies, number: u128, times: u32) -> Charged {
        let mut charged = Charged::Taken { serial: 0 };
        for _ in 0..times {
            charged = tallies.charge(key(number), &TERMS).await.unwrap();
        }
        charged
    }

    /// Somebody who is blocked tries thousands of other names, from wherever, to be forgotten.
    #[tokio::test]
    async fn a_flood_of_strangers_forgets_no_block_and_no_guesser() {
        let (time, tallies) = tallies(50);
        fails(&tallies, 1, 10).await;
        fails(&tallies, 2, 9).await;
        for stranger in 100..5_000 {
            time.fetch_add(1, Ordering::SeqCst);
            fails(&tallies, stranger, 1).await;
        }
        assert!(matches!(fails(&tallies, 1, 1).await, Charged::Blocked { .. }));
        assert_eq!(fails(&tallies, 2, 1).await, Charged::Taken { serial: 10 });
        assert!(matches!(fails(&tallies, 2, 1).await, Charged::Blocked { .. }));
        let shelf = tallies.shelf.lock();
        assert_eq!((shelf.by_key.len(), shelf.by_worth.len()), (50, 50));
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_nobody_remembers() {
        let (time, tallies) = tallies(50);
        for stranger in 0..40 {
            fails(&tallies, stranger, 1).await;
        }
        time.fetch_add(86_400_000, Ordering::SeqCst);
        fails(&tallies, 99, 1).await;
        {
            let shelf = tallies.shelf.lock();
            assert_eq!((shelf.by_key.len(), shelf.by_worth.len()), (1, 1));
        }
        tallies.give_back(key(99), 1, &TERMS).await.unwrap();
        assert!(tallies.shelf.lock().by_key.is_empty(), "who never failed takes no room");
    }
}
