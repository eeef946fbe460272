//! The buckets this replica knows, by their keys: bounded, and in many shards, so that threads rarely meet.
//!
//! A lock is held for one look-up and some arithmetic. What is forgotten for want of room costs a question to the store:
//! the truth is there.

use crate::domain::limit::bucket::Micros;
use crate::domain::limit::lease::Lease;
use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use tokio::sync::watch;

const SHARDS: usize = 256;
/// Some hundred bytes each.
const PER_SHARD: usize = 256;
/// Between two searches for entries nobody needs.
const SWEEP_EVERY: Micros = 100_000;

pub(super) struct Book {
    /// Keyed anew in every process: nobody outside can aim at one shard.
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// One bucket.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) lease: Lease,
    /// Ends when the answer to the question under way is here.
    pub(super) question: Option<watch::Receiver<()>>,
    /// This bucket could not be asked about while others could.
    pub(super) missed: Option<Missed>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Missed {
    pub(super) since: Micros,
    /// It is not asked about again before.
    pub(super) until: Micros,
}

#[derive(Default)]
pub(super) struct Shard {
    entries: HashMap<Box<[u8]>, Entry, RandomState>,
    swept: Micros,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::default(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// The shard of `key`, locked. Not to be held across anything that waits.
    pub(super) fn shard(&self, key: &[u8]) -> Option<MutexGuard<'_, Shard>> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(at).map(Mutex::lock)
    }

    pub(super) fn forget(&self, key: &[u8]) {
        if let Some(entry) = self.shard(key).as_mut().and_then(|shard| shard.find(key)) {
            entry.lease.forget();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().entries.len()).sum()
    }
}

impl Entry {
    /// Whether somebody has to ask about it, and nobody does.
    pub(super) fn asks(&self, cost: u32, now: Micros) -> bool {
        !self.is_asked() && self.missed.is_none() && self.lease.lacks(cost, now)
    }

    /// Whether it could not be asked about a moment ago.
    pub(super) fn is_missed(&self, now: Micros) -> bool {
        self.missed.is_some_and(|missed| now < missed.until)
    }

    /// Whether a question is under way. One that was dropped is none.
    pub(super) fn is_asked(&self) -> bool {
        self.question.as_ref().is_some_and(|question| question.has_changed().is_ok())
    }
}

impl Shard {
    pub(super) fn find(&mut self, key: &[u8]) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// The entry of `key`, made if need be; `None` when everybody in here waits for an answer.
    pub(super) fn open(&mut self, key: &[u8], now: Micros) -> Option<&mut Entry> {
        if !self.entries.contains_key(key) {
            if !self.has_room(now) {
                return None;
            }
            self.entries.insert(key.into(), Entry::default());
        }
        self.entries.get_mut(key)
    }

    /// The same while the store is away, when what is forgotten is known to nobody: nobody makes room by it. Those who
    /// find none share one entry with everybody else of their limit, called `crowd`, which is in another shard maybe.
    pub(super) fn open_alone(&mut self, key: &[u8], now: Micros) -> Option<&mut Entry> {
        if !self.entries.contains_key(key) && self.entries.len() >= PER_SHARD {
            self.sweep(now);
            if self.entries.len() >= PER_SHARD {
                return None;
            }
        }
        Some(self.entries.entry(key.into()).or_default())
    }

    /// There are as many of them as limits, so they need no room.
    pub(super) fn open_crowd(&mut self, crowd: &[u8]) -> &mut Entry {
        self.entries.entry(crowd.into()).or_default()
    }

    fn sweep(&mut self, now: Micros) {
        if now >= self.swept.saturating_add(SWEEP_EVERY) {
            self.swept = now;
            self.entries.retain(|_, entry| entry.is_asked() || !entry.lease.is_idle(now));
        }
    }

    fn has_room(&mut self, now: Micros) -> bool {
        if self.entries.len() < PER_SHARD {
            return true;
        }
        self.sweep(now);
        if self.entries.len() >= PER_SHARD {
            let victim = self.entries.iter().find(|(_, entry)| !entry.is_asked()).map(|(key, _)| key.clone());
            victim.and_then(|key| self.entries.remove(&key));
        }
        self.entries.len() < PER_SHARD
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Book(..)")
    }
}
