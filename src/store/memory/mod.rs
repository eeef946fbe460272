//! A store within one process: for one replica, for tests, for the demo.
//!
//! Everything is under one lock that is held for microseconds and never across a wait. It is bounded: when it is full it
//! refuses newcomers rather than forget anybody.

mod disk;
mod limits;
mod people;
mod snapshot;
mod tallies;

pub use disk::{CannotKeep, Disk, Found};
pub use limits::MemoryBuckets;
pub use tallies::Tallies;

use super::{Clock, REMEMBERED_LONGER};
use crate::domain::failures::{Charged, Schedule, Tally, TallyKey};
use crate::domain::family::Family;
use crate::domain::session::{FamilyId, HandleHash, Millis, ProviderSid, SessionId, Times, UserHash};
use crate::ports::store::{Document, Failures, Locks, Nonce, Once, Reach, StoreError, Stored, Vault};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// How many expired things one call clears away: nobody waits for a whole night's.
const SWEPT_AT_ONCE: usize = 64;
/// Counters of failed sign-ins: what strangers can fill.
pub const TALLIES: usize = 100_000;

#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub sessions: usize,
    /// Locks and things that happened once.
    pub names: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { sessions: 500_000, names: 500_000 }
    }
}

pub struct Memory {
    clock: Clock,
    bounds: Bounds,
    state: Mutex<State>,
    failures: Tallies,
    /// How often anything was changed that a restart must not lose.
    changes: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// Shared with a copy while that is written: what changes meanwhile changes a user of its own.
    users: HashMap<UserHash, Arc<User>>,
    /// Over all users, those included that have expired and were not swept yet.
    sessions: usize,
    providers: HashMap<ProviderSid, Vec<(UserHash, SessionId, Millis)>>,
    locks: HashMap<String, (Nonce, Millis)>,
    once: HashMap<Arc<str>, Millis>,
    documents: HashMap<String, Document>,
    timers: BTreeSet<(Millis, Timer)>,
}

/// What to look at when its time has come. It may have been prolonged since, or be gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Session(UserHash, SessionId),
    Family(UserHash, FamilyId),
    Provider(ProviderSid),
    Lock(String),
    Once(Arc<str>),
}

#[derive(Clone, Debug, Default)]
struct User {
    /// Oldest first.
    sessions: Vec<Kept>,
    families: HashMap<FamilyId, Family>,
}

#[derive(Clone, Debug)]
struct Kept {
    id: SessionId,
    handle: Option<HandleHash>,
    family: Option<FamilyId>,
    version: u64,
    times: Times,
    body: Arc<[u8]>,
}

impl Memory {
    #[must_use]
    pub fn new(clock: Clock, bounds: Bounds) -> Self {
        let failures = Tallies::new(clock.clone(), TALLIES);
        Self { clock, bounds, state: Mutex::default(), failures, changes: AtomicU64::new(0) }
    }

    /// Clears away what has expired: for housekeeping. What was not swept yet counts as gone all the same.
    pub fn sweep(&self) {
        while self.with(|state, now| state.sweep(now, SWEPT_AT_ONCE)) {}
    }

    /// Everything that a restart must not lose, as bytes to be sealed and written elsewhere. Locks are not among them:
    /// their holders are gone. Everybody waits while pointers are copied, and nobody while bytes are.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let copy = self.state.lock().copy();
        snapshot::write(&copy)
    }

    /// Grows with every change that a snapshot would show; expiring is none.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sweep();
        self.state.lock().sessions
    }

    /// Replaces everything by what [`Self::snapshot`] gave; what has expired meanwhile is gone.
    ///
    /// # Errors
    /// These bytes are no snapshot; nothing was replaced.
    pub fn restore(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let state = snapshot::read(bytes).ok_or_else(|| StoreError("the snapshot cannot be read".to_owned()))?;
        *self.state.lock() = state;
        self.sweep();
        Ok(())
    }

    /// Locks, clears a little away, and acts at one moment.
    fn with<T>(&self, act: impl FnOnce(&mut State, Millis) -> T) -> T {
        let mut state = self.state.lock();
        let now = self.clock.now();
        state.sweep(now, SWEPT_AT_ONCE);
        act(&mut state, now)
    }

    /// As [`Self::with`], for what changes something.
    fn change<T>(&self, act: impl FnOnce(&mut State, Millis) -> T) -> T {
        let acted = self.with(act);
        self.changes.fetch_add(1, Ordering::Release);
        acted
    }

    /// Whether there is room after everything expired has gone.
    fn room(&self, state: &mut State, now: Millis, taken: fn(&State) -> usize, bound: usize) -> Result<(), StoreError> {
        while taken(state) >= bound && state.sweep(now, SWEPT_AT_ONCE) {}
        if taken(state) < bound {
            return Ok(());
        }
        Err(StoreError(format!("the memory of this process is full: {bound}")))
    }
}

impl State {
    /// What a snapshot shows, as it is at this moment.
    fn copy(&self) -> Self {
        let (users, providers) = (self.users.clone(), self.providers.clone());
        Self { users, providers, once: self.once.clone(), documents: self.documents.clone(), ..Self::default() }
    }

    /// Looks at up to `most` timers that are due. `false`: none is left.
    fn sweep(&mut self, now: Millis, most: usize) -> bool {
        for _ in 0..most {
            if self.timers.first().is_none_or(|(due, _)| *due > now) {
                return false;
            }
            if let Some((_, timer)) = self.timers.pop_first() {
                self.look(timer, now);
            }
        }
        true
    }

    /// Removes what has expired and sets the timer anew for what has not.
    fn look(&mut self, timer: Timer, now: Millis) {
        let left = match &timer {
            Timer::Session(user, id) => self.session(*user, *id).map(|kept| kept.times.expires()),
            Timer::Family(user, id) => self.family(*user, *id).map(|family| family.kept_until()),
            Timer::Provider(sid) => self.provider(*sid, now),
            Timer::Lock(name) => self.locks.get(name).map(|(_, until)| *until),
            Timer::Once(name) => self.once.get(name).copied(),
        };
        match (left, timer) {
            (Some(due), timer) if due > now => {
                self.timers.insert((due, timer));
            }
            (None, _) | (_, Timer::Provider(_)) => {}
            (Some(_), Timer::Session(user, id)) => {
                self.remove_session(user, id);
            }
            (Some(_), Timer::Family(user, id)) => self.remove_family(user, id),
            (Some(_), Timer::Lock(name)) => {
                self.locks.remove(&name);
            }
            (Some(_), Timer::Once(name)) => {
                self.once.remove(&*name);
            }
        }
    }

    /// Drops what has expired of one provider session; when the next of it will.
    fn provider(&mut self, sid: ProviderSid, now: Millis) -> Option<Millis> {
        let known = self.providers.get_mut(&sid)?;
        known.retain(|(_, _, until)| *until > now);
        let next = known.iter().map(|(_, _, until)| *until).min();
        if next.is_none() {
            self.providers.remove(&sid);
        }
        next
    }
}

impl Kept {
    fn stored(&self) -> Stored {
        let Self { id, version, times, family, .. } = *self;
        Stored { id, version, times, family, body: self.body.to_vec() }
    }
}

#[async_trait]
impl Locks for Memory {
    async fn acquire(&self, name: &str, nonce: &Nonce, ttl: Duration) -> Result<bool, StoreError> {
        self.with(|state, now| {
            let held = state.locks.get(name).filter(|(_, until)| *until > now);
            if held.is_some_and(|(holder, _)| holder != nonce) {
                return Ok(false);
            }
            self.room(state, now, State::names, self.bounds.names)?;
            let until = now.plus(ttl);
            state.locks.insert(name.to_owned(), (*nonce, until));
            state.timers.insert((until, Timer::Lock(name.to_owned())));
            Ok(true)
        })
    }

    async fn extend(&self, name: &str, nonce: &Nonce, ttl: Duration) -> Result<bool, StoreError> {
        Ok(self.with(|state, now| match state.locks.get_mut(name) {
            Some((holder, until)) if holder == nonce && *until > now => {
                *until = now.plus(ttl);
                true
            }
            _ => false,
        }))
    }

    async fn release(&self, name: &str, nonce: &Nonce) -> Result<bool, StoreError> {
        Ok(self.with(|state, now| {
            let ours = state.locks.get(name).is_some_and(|(holder, until)| holder == nonce && *until > now);
            ours && state.locks.remove(name).is_some()
        }))
    }
}

impl Reach for Memory {
    fn answers(&self) -> bool {
        true
    }
}

#[async_trait]
impl Once for Memory {
    async fn first(&self, name: &str, until: Millis) -> Result<bool, StoreError> {
        self.change(|state, now| {
            if state.once.get(name).is_some_and(|until| *until > now) {
                return Ok(false);
            }
            self.room(state, now, State::names, self.bounds.names)?;
            let until = until.max(now).plus(REMEMBERED_LONGER);
            let name: Arc<str> = name.into();
            state.once.insert(Arc::clone(&name), until);
            state.timers.insert((until, Timer::Once(name)));
            Ok(true)
        })
    }
}

#[async_trait]
impl Vault for Memory {
    async fn read(&self, name: &str) -> Result<Option<Document>, StoreError> {
        Ok(self.with(|state, _| state.documents.get(name).cloned()))
    }

    async fn replace(&self, name: &str, seen: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.change(|state, _| {
            if state.documents.get(name).map_or(0, |document| document.version) != seen {
                return false;
            }
            let document = Document { version: seen.saturating_add(1), bytes: bytes.to_vec() };
            state.documents.insert(name.to_owned(), document);
            true
        }))
    }
}

#[async_trait]
impl Failures for Memory {
    async fn charge(&self, key: TallyKey, schedule: &Schedule) -> Result<Charged, StoreError> {
        self.failures.charge(key, schedule).await
    }

    async fn give_back(&self, key: TallyKey, serial: u32, schedule: &Schedule) -> Result<(), StoreError> {
        self.failures.give_back(key, serial, schedule).await
    }

    async fn failed(&self, key: TallyKey, schedule: &Schedule) -> Result<(), StoreError> {
        self.failures.failed(key, schedule).await
    }

    async fn tally(&self, key: TallyKey) -> Result<(Tally, Millis), StoreError> {
        self.failures.tally(key).await
    }

    async fn forget(&self, key: TallyKey) -> Result<(), StoreError> {
        self.failures.forget(key).await
    }
}

impl State {
    fn names(&self) -> usize {
        self.locks.len() + self.once.len()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
