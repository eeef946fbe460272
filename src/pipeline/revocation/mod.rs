//! Revocation as a request and an operator meet it: one question from memory, one order that reaches every replica.
//!
//! [`Revocations::check`] asks the index of everything this replica ever learned; it waits for nobody. An order is
//! enforced here before anything is sent, so that nothing is accepted once [`Revocations::revoke`] has returned, and
//! appended to the log that the others follow. While the log is away orders wait in the index itself: refused here at
//! once, delivered when it is back. [`follow`] keeps the index up to the log, and the log up to the index.

mod follow;
mod keep;
mod order;
pub(super) mod sessions;
mod standing;
mod terms;

pub use keep::Awaited;
pub use order::{Order, Receipt, Wait};
pub use terms::Terms;

use crate::domain::revocation::{Hit, Index, Kind, Placed, Position, Record, Subject};
use crate::domain::time::UnixTime;
use crate::ports::limits::Fleet;
use crate::ports::revocation::{Clock, RevocationLog, Witness};
use arc_swap::ArcSwap;
use keep::Keeper;
use parking_lot::{Mutex, RwLock};
use standing::Standing;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use terms::Spans;

/// What a replica refuses, and how it hears of it.
#[derive(Debug)]
pub struct Revocations {
    terms: Terms,
    spans: Spans,
    log: Arc<dyn RevocationLog>,
    clock: Arc<dyn Clock>,
    index: ArcSwap<Index>,
    generation: AtomicU64,
    /// Steady milliseconds before the last question that was answered with "nothing missing"; 0: never.
    confirmed: AtomicU64,
    /// Records that were not ours by their MAC, or that this build does not understand.
    ignored: AtomicU64,
    reading: AtomicBool,
    /// The log was found to be another one, or to lack something, and is not yet known to be whole again.
    broken: AtomicBool,
    /// When that was last found, or the log began, in seconds since 1970; 0: never.
    forgot: AtomicU64,
    standing: Mutex<Standing>,
    witnesses: RwLock<Vec<Arc<dyn Witness>>>,
    chance: Mutex<fastrand::Rng>,
    keeper: Option<Keeper>,
}

/// What records brought: those that changed the list, and those of them that were not known before, each with how long it
/// was on its way.
#[derive(Debug, Default)]
struct News {
    changed: Vec<Record>,
    first: Vec<(Kind, Option<Duration>)>,
}

/// How far the list can be trusted to be complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    Fresh,
    /// Not confirmed for too long, or the log has lost something and is being filled again: what is on the list is
    /// revoked, what is not may be.
    Stale,
    /// Never confirmed since this process started.
    Blind,
}

impl Revocations {
    #[must_use]
    pub fn new(terms: Terms, log: Arc<dyn RevocationLog>, clock: Arc<dyn Clock>) -> Self {
        let mut chance = fastrand::Rng::with_seed(terms.seed);
        Self {
            index: ArcSwap::from_pointee(Index::new(chance.u64(..))),
            spans: Spans::of(&terms),
            terms,
            log,
            clock,
            generation: AtomicU64::new(1),
            confirmed: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
            reading: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            forgot: AtomicU64::new(0),
            standing: Mutex::default(),
            witnesses: RwLock::default(),
            chance: Mutex::new(chance),
            keeper: None,
        }
    }

    /// Whether the credential is refused, and by what. Some look-ups in memory, no lock, no store.
    #[must_use]
    pub fn check(&self, subject: &Subject) -> Option<Hit> {
        self.index.load().check(subject)
    }

    /// The same for a credential seen before: `cleared` holds the generation it was last found clean at, 0 at first,
    /// and while nothing has changed since, this is two loads.
    #[must_use]
    pub fn check_again(&self, subject: &Subject, cleared: &AtomicU64) -> Option<Hit> {
        // Read before the index: a record that comes in between is looked up once too often, never once too seldom.
        let generation = self.generation();
        if cleared.load(Ordering::Relaxed) == generation {
            return None;
        }
        let hit = self.check(subject);
        if hit.is_none() {
            cleared.store(generation, Ordering::Relaxed);
        }
        hit
    }

    /// Changes with every record that changes the list. To be read before asking, not after.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether this user may not even sign in.
    #[must_use]
    pub fn is_blocked(&self, source: &str, subject: &str) -> bool {
        self.index.load().is_blocked(source, subject)
    }

    /// Where the log stands as far as we know: what a token minted now carries as `rv`. Ask
    /// [`catch_up`](Self::catch_up) first where the store can be waited for.
    #[must_use]
    pub fn position(&self) -> Position {
        let standing = self.standing.lock();
        standing.position.max(standing.floor)
    }

    #[must_use]
    pub fn freshness(&self) -> Freshness {
        match self.confirmed_ago() {
            None => Freshness::Blind,
            Some(ago) if ago > self.terms.max_staleness || self.broken.load(Ordering::Relaxed) => Freshness::Stale,
            Some(_) => Freshness::Fresh,
        }
    }

    /// Since the last confirmation that nothing is missing; `None`: there was none.
    #[must_use]
    pub fn confirmed_ago(&self) -> Option<Duration> {
        let at = self.confirmed.load(Ordering::Relaxed);
        (at > 0).then(|| self.clock.steady().saturating_sub(Duration::from_millis(at)))
    }

    /// How many milliseconds the clock of the log is ahead of ours, when we last heard; nothing before.
    #[must_use]
    pub fn clock_ahead_ms(&self) -> i64 {
        self.standing.lock().ahead_ms
    }

    /// Whether there is a list to serve with. A replica that never saw the log would let in everybody who was ever
    /// thrown out.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let standing = self.standing.lock();
        standing.has_seen || standing.restored
    }

    #[must_use]
    pub fn entries(&self) -> usize {
        self.index.load().entries()
    }

    /// Records of the log that were passed over: a sign of a replica with other secrets, or of somebody in the store.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.ignored.load(Ordering::Relaxed)
    }

    /// `witness` hears of everything that is enforced from now on.
    pub fn watch(&self, witness: Arc<dyn Witness>) {
        self.witnesses.write().push(witness);
    }

    /// Adds records to the index. The standing is held throughout: it makes one writer at a time, and nobody
    /// acknowledges a position before what stands there is enforced.
    fn learn(&self, writer: &mut Standing, records: impl Iterator<Item = (Record, Placed)>) -> News {
        let mut index = Index::clone(&self.index.load());
        let now = writer.log_time(self.clock.unix_ms());
        let mut news = News::default();
        for (record, placed) in records {
            let known = index.knows(&record);
            if !index.apply(&record, placed) {
                continue;
            }
            news.changed.push(record);
            if !known {
                let appended = match placed {
                    Placed::At(position) if writer.has_seen => Some(position.ms),
                    Placed::At(_) | Placed::Waiting => None,
                };
                let lag = appended.map(|ms| Duration::from_millis(now.saturating_sub(ms)));
                news.first.push((record.kind, lag));
            }
        }
        if !news.changed.is_empty() {
            self.index.store(Arc::new(index));
            self.generation.fetch_add(1, Ordering::Release);
        }
        news
    }

    fn tell(&self, news: &News) {
        if news.changed.is_empty() {
            return;
        }
        for witness in &*self.witnesses.read() {
            witness.revoked(&news.changed);
            news.first.iter().for_each(|(kind, lag)| witness.learned(*kind, *lag));
        }
    }

    fn now(&self) -> UnixTime {
        UnixTime(self.clock.unix_ms() / 1000)
    }

    /// Entries of the log older than this have nothing left to hit; blocks are appended again before.
    fn logged_for(&self) -> Duration {
        self.spans.longest_token().saturating_add(Duration::from_mins(5))
    }

    /// A random part of `span`.
    fn some_of(&self, span: Duration) -> Duration {
        span.mul_f64(self.chance.lock().f64())
    }
}

impl Fleet for Revocations {
    fn replicas(&self) -> u32 {
        let live = self.standing.lock().live;
        live.max(u32::from(!self.terms.shared))
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod service_tests;
