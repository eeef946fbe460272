//! Cutting what goes on: sockets, event streams, calls, long downloads and uploads end with the credential they were
//! admitted with.
//!
//! Only what lasts is known here. Each such exchange has its names in the [`Registry`] and watches over itself: a
//! revocation rings at everybody it may concern, and whoever is rung at asks the list, which alone knows whom it hits.
//! So a ring too many does no harm, and telling a thousand streams costs the teller next to nothing. An ordinary request
//! has ended before any of this begins; it costs one look at a flag whenever it waits.

use crate::domain::denial::Denial;
use crate::domain::revocation::{Id, Record};
use crate::domain::time::UnixTime;
use crate::pipeline::lasting::{Extended, Holder};
use crate::ports::revocation::Witness;
use crate::ports::{EdgeEvents, Stream};
use parking_lot::Mutex;
use std::collections::hash_map::RandomState;
use std::collections::HashMap;
use std::fmt;
use std::future::{pending, poll_fn, Future};
use std::hash::BuildHasher;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What goes on for longer is no ordinary answer.
pub(super) const LASTING: Duration = Duration::from_secs(1);
const SHARDS: u64 = 64;
/// How far the last second before an expiry is cut up, so that whole seconds of the clock are good enough.
const TICK: Duration = Duration::from_millis(50);
/// The wall clock may be set: it is looked at this often at least.
const LOOK: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// While the store is away: how often it is asked about a session whose time has come, and for how long.
const AGAIN: Duration = Duration::from_secs(5);
const UNSURE: Duration = Duration::from_secs(60);

/// Everything under way that a revocation may concern, by its names.
pub struct Registry {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    events: Arc<dyn EdgeEvents>,
    clock: fn() -> UnixTime,
}

/// Mostly one stream for each name, a few for each user.
type Shard = HashMap<Id, Vec<Arc<Notify>>>;

impl Registry {
    #[must_use]
    pub fn new(events: Arc<dyn EdgeEvents>, clock: fn() -> UnixTime) -> Arc<Self> {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Arc::new(Self { shards, hasher: RandomState::new(), events, clock })
    }

    fn enter(&self, names: Vec<Id>) -> Entry<'_> {
        let bell = Arc::new(Notify::new());
        for name in &names {
            if let Some(shard) = self.shard(*name) {
                shard.lock().entry(*name).or_default().push(Arc::clone(&bell));
            }
        }
        Entry { registry: self, names, bell }
    }

    fn shard(&self, name: Id) -> Option<&Mutex<Shard>> {
        usize::try_from(self.hasher.hash_one(name) % SHARDS).ok().and_then(|at| self.shards.get(at))
    }
}

impl Witness for Registry {
    fn revoked(&self, records: &[Record]) {
        if records.iter().any(|record| record.kind.is_wide()) {
            // Concerns everybody of a source or a key: rare, and not worth a list that every stream would have to stand in.
            return self.shards.iter().for_each(|shard| shard.lock().values().flatten().for_each(ring));
        }
        for record in records {
            if let Some(shard) = self.shard(record.id) {
                shard.lock().get(&record.id).into_iter().flatten().for_each(ring);
            }
        }
    }
}

fn ring(bell: &Arc<Notify>) {
    bell.notify_one();
}

/// The names of one stream, for as long as it lives.
struct Entry<'r> {
    registry: &'r Registry,
    names: Vec<Id>,
    bell: Arc<Notify>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        for name in &self.names {
            let Some(shard) = self.registry.shard(*name) else { continue };
            let mut shard = shard.lock();
            let Some(bells) = shard.get_mut(name) else { continue };
            if let Some(at) = bells.iter().position(|bell| Arc::ptr_eq(bell, &self.bell)) {
                bells.swap_remove(at);
            }
            if bells.is_empty() {
                shard.remove(name);
            }
        }
    }
}

/// An exchange that goes on, and on what.
pub(super) struct Stay {
    kind: Stream,
    /// `None` for nobody in particular: counted, and never cut.
    holder: Option<Holder>,
    registry: Arc<Registry>,
}

impl Stay {
    pub(super) fn new(kind: Stream, holder: Option<Holder>, registry: &Arc<Registry>) -> Self {
        Self { kind, holder, registry: Arc::clone(registry) }
    }

    /// Counts the exchange while it is polled, and tells when and why it must end.
    pub(super) async fn over(self) -> Denial {
        if self.kind == Stream::Http {
            // Pingora's timer: coarse, and without a lock that all threads share, for many answers end before it rings.
            pingora::prelude::sleep(LASTING).await;
        }
        let _open = Open::new(&self.registry.events, self.kind);
        let Some(holder) = self.holder else { return pending().await };
        // First the names, then the question: what is revoked in between rings.
        let entry = self.registry.enter(holder.subject().names().collect());
        let denial = ended(&holder, &entry.bell, self.registry.clock).await;
        self.registry.events.stream_cut(denial.code.name());
        denial
    }
}

async fn ended(holder: &Holder, bell: &Notify, clock: fn() -> UnixTime) -> Denial {
    let mut until = holder.expires(clock());
    let mut unsure: Option<Instant> = None;
    loop {
        if let Err(denial) = holder.check() {
            return denial;
        }
        let now = clock();
        if now < until {
            let nap = until.since(now).saturating_sub(SECOND).clamp(TICK, LOOK);
            tokio::select! { () = bell.notified() => {}, () = tokio::time::sleep(nap) => {} }
            continue;
        }
        let extended = tokio::select! { extended = holder.extended(now) => extended, () = bell.notified() => continue };
        match extended {
            // At least a second, should the clock of the store be behind ours.
            Extended::Until(later) => (until, unsure) = (later.max(now.plus(SECOND)), None),
            Extended::Over(denial) => return denial,
            Extended::CannotTell(denial) if unsure.get_or_insert_with(Instant::now).elapsed() >= UNSURE => {
                return denial;
            }
            Extended::CannotTell(_) => until = now.plus(AGAIN),
        }
    }
}

/// What ties a request to whoever may cut it. The future of the request itself says that it goes on, and whoever polls
/// that future polls [`Leash::cut`] right after it: so nobody need be woken.
#[derive(Default)]
pub(super) struct Leash {
    /// `next` has changed.
    told: AtomicBool,
    next: Mutex<Option<Stay>>,
    why: OnceLock<Denial>,
}

impl Leash {
    /// From here on the request may be cut. What was said before no longer counts.
    pub(super) fn hold(&self, stay: Stay) {
        self.tell(Some(stay));
    }

    /// The request is over, and its connection goes on.
    pub(super) fn loosen(&self) {
        self.tell(None);
    }

    /// Resolves when the request has to end.
    pub(super) async fn cut(&self) {
        let mut stay: Option<Pin<Box<dyn Future<Output = Denial> + Send>>> = None;
        let denial = poll_fn(|cx| {
            if self.told.load(Ordering::Relaxed) {
                self.told.store(false, Ordering::Relaxed);
                stay = self.next.lock().take().map(|next| Box::pin(next.over()) as _);
            }
            stay.as_mut().map_or(Poll::Pending, |stay| stay.as_mut().poll(cx))
        });
        self.was_cut(denial.await);
    }

    pub(super) fn was_cut(&self, denial: Denial) {
        let _ = self.why.set(denial);
    }

    /// Why it was cut.
    pub(super) fn why(&self) -> Option<&Denial> {
        self.why.get()
    }

    fn tell(&self, next: Option<Stay>) {
        *self.next.lock() = next;
        self.told.store(true, Ordering::Relaxed);
    }
}

/// An open stream, counted for as long as it lives.
struct Open<'e> {
    events: &'e Arc<dyn EdgeEvents>,
    kind: Stream,
}

impl<'e> Open<'e> {
    fn new(events: &'e Arc<dyn EdgeEvents>, kind: Stream) -> Self {
        events.stream_opened(kind);
        Self { events, kind }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.events.stream_closed(self.kind);
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: usize = self.shards.iter().map(|shard| shard.lock().len()).sum();
        f.debug_struct("Registry").field("names", &names).finish_non_exhaustive()
    }
}

impl fmt::Debug for Leash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leash").field("why", &self.why).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "kill_tests.rs"]
mod tests;
