//! The buckets this replica knows, by their keys: bounded, and in many shards, so that threads rarely meet.
//!
//! Each bucket has a page with a lock of its own, held for some arithmetic. Whoever was here before has a bookmark and
//! needs neither key nor shard, which is most of what a limit costs. What is forgotten for want of room costs a question to
//! the store: the truth is there.

use crate::domain::limit::bucket::Micros;
use crate::domain::limit::lease::Lease;
use foldhash::quality::RandomState;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;

const SHARDS: usize = 256;
/// Some four hundred bytes each.
const PER_SHARD: usize = 256;
/// Between two searches for entries nobody needs.
const SWEEP_EVERY: Micros = 100_000;

pub(super) struct Book {
    /// Keyed anew in every process: nobody outside can aim at one shard.
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
}

/// One bucket. What a request needs of it lies in two neighbouring lines of memory, which are fetched together.
#[repr(align(128))]
pub(super) struct Page {
    key: Box<[u8]>,
    /// The book has forgotten it, and may have another of the same key.
    torn_out: AtomicBool,
    /// Taken behind the lock of a shard, where both are, and never before it.
    entry: Mutex<Entry>,
}

/// Where a caller's page is, kept beside a credential that is remembered. It is put once: whatever else the caller is
/// counted by is looked up.
#[derive(Default)]
pub struct Bookmark(OnceLock<(u64, Arc<Page>)>);

/// What stands on a page.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) lease: Lease,
    /// Ends when the answer to the question under way is here.
    pub(super) question: Option<watch::Receiver<()>>,
    /// This bucket could not be asked about while others could. Boxed: it is rare.
    pub(super) missed: Option<Box<Missed>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Missed {
    pub(super) since: Micros,
    /// It is not asked about again before.
    pub(super) until: Micros,
}

#[derive(Default)]
struct Shard {
    pages: HashMap<Box<[u8]>, Arc<Page>, RandomState>,
    swept: Micros,
}

impl Book {
    pub(super) fn new() -> Self {
        Self { hasher: RandomState::default(), shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<Arc<Page>> {
        self.shard(key)?.pages.get(key).map(Arc::clone)
    }

    /// The page of `key`, made if need be; `None` when everybody beside it waits for an answer.
    pub(super) fn open(&self, key: &[u8], now: Micros) -> Option<Arc<Page>> {
        let mut shard = self.shard(key)?;
        let has_room = shard.pages.contains_key(key) || shard.make_room(now);
        has_room.then(|| shard.page(key))
    }

    /// The same while the store is away, when what is forgotten is known to nobody: nobody makes room by it. Those who
    /// find none share one page with everybody else of their limit, called `crowd`, which is in another shard maybe.
    pub(super) fn open_alone(&self, key: &[u8], crowd: &[u8], now: Micros) -> Option<Arc<Page>> {
        let mut shard = self.shard(key)?;
        if !shard.pages.contains_key(key) && shard.is_full() {
            shard.sweep(now);
            if shard.is_full() {
                drop(shard);
                // there are as many of them as limits, so they need no room
                return Some(self.shard(crowd)?.page(crowd));
            }
        }
        Some(shard.page(key))
    }

    pub(super) fn forget(&self, key: &[u8]) {
        if let Some(page) = self.find(key) {
            page.entry().lease.forget();
        }
    }

    /// The shard of `key`, locked.
    fn shard(&self, key: &[u8]) -> Option<MutexGuard<'_, Shard>> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(at).map(Mutex::lock)
    }

    /// As if newcomers had needed all the room there is.
    #[cfg(test)]
    pub(super) fn tear_out_all(&self) {
        for shard in &self.shards {
            for (_, page) in shard.lock().pages.drain() {
                page.tear_out_unless(|_| false);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().pages.len()).sum()
    }
}

impl Page {
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    /// What stands on it, locked. Not to be held across anything that waits.
    pub(super) fn entry(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock()
    }

    /// Whether whoever looks for its key finds this one. Without its lock it may be torn out a moment later, and is still
    /// good for what was reserved on it.
    pub(super) fn is_in_the_book(&self) -> bool {
        !self.torn_out.load(Ordering::Relaxed)
    }

    /// Whether it goes, now that room is needed.
    fn tear_out_unless(&self, needed: impl FnOnce(&Entry) -> bool) -> bool {
        let entry = self.entry();
        let goes = !needed(&entry);
        if goes {
            self.torn_out.store(true, Ordering::Relaxed);
        }
        goes
    }
}

impl Bookmark {
    /// The page of the limit of this number.
    pub(super) fn page(&self, number: u64) -> Option<&Arc<Page>> {
        self.0.get().filter(|(of, page)| *of == number && page.is_in_the_book()).map(|(_, page)| page)
    }

    pub(super) fn put(&self, number: u64, page: impl FnOnce() -> Option<Arc<Page>>) {
        if self.0.get().is_none() {
            if let Some(page) = page() {
                // another request of the same caller may have been quicker
                let _ = self.0.set((number, page));
            }
        }
    }
}

impl Entry {
    /// Whether somebody has to ask about it, and nobody does.
    pub(super) fn asks(&self, cost: u32, now: Micros) -> bool {
        !self.is_asked() && self.missed.is_none() && self.lease.lacks(cost, now)
    }

    /// Whether it could not be asked about a moment ago.
    pub(super) fn is_missed(&self, now: Micros) -> bool {
        self.missed.as_ref().is_some_and(|missed| now < missed.until)
    }

    /// Whether a question is under way. One that was dropped is none.
    pub(super) fn is_asked(&self) -> bool {
        self.question.as_ref().is_some_and(|question| question.has_changed().is_ok())
    }
}

impl Shard {
    fn page(&mut self, key: &[u8]) -> Arc<Page> {
        if let Some(page) = self.pages.get(key) {
            return Arc::clone(page);
        }
        let page = Arc::new(Page { key: key.into(), torn_out: AtomicBool::new(false), entry: Mutex::default() });
        self.pages.insert(key.into(), Arc::clone(&page));
        page
    }

    fn is_full(&self) -> bool {
        self.pages.len() >= PER_SHARD
    }

    fn sweep(&mut self, now: Micros) {
        if now >= self.swept.saturating_add(SWEEP_EVERY) {
            self.swept = now;
            self.pages.retain(|_, page| !page.tear_out_unless(|entry| entry.is_asked() || !entry.lease.is_idle(now)));
        }
    }

    fn make_room(&mut self, now: Micros) -> bool {
        if !self.is_full() {
            return true;
        }
        self.sweep(now);
        if self.is_full() {
            let victim = self.pages.iter().find(|(_, page)| page.tear_out_unless(Entry::is_asked));
            victim.map(|(key, _)| key.clone()).and_then(|key| self.pages.remove(&key));
        }
        !self.is_full()
    }
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Book(..)")
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page(..)")
    }
}

impl fmt::Debug for Bookmark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bookmark(..)")
    }
}
