//! For how long a replica goes by what the store last said of an opaque session.
//!
//! A lease may say "alive" by itself: what it knows of the last use is never later than the truth. It never says "over"
//! by itself, for the session may have been in use at another replica; only the store knows that.

use super::activity::interval;
use crate::domain::session::{Millis, Times};
use crate::domain::time::UnixTime;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The store is asked again after this.
const TRUSTED: Duration = Duration::from_secs(60);

/// What the store said of a session, and when.
#[derive(Debug)]
pub struct Lease {
    times: Times,
    /// In seconds; 0: the store is to be asked before the next use.
    asked: AtomicU64,
    /// When the store was asked in vain, in seconds.
    tried: AtomicU64,
    /// The last use that the store knows of, in milliseconds.
    told: AtomicU64,
}

impl Lease {
    #[must_use]
    pub fn new(times: Times, now: UnixTime) -> Self {
        let told = AtomicU64::new(times.last_seen.0);
        Self { times, asked: AtomicU64::new(now.0), tried: AtomicU64::new(0), told }
    }

    #[must_use]
    pub fn is_fresh(&self, now: UnixTime) -> bool {
        let asked = self.asked.load(Ordering::Relaxed);
        // a clock that was set back makes nothing last longer
        asked != 0 && asked <= now.0 && now.since(UnixTime(asked)) < TRUSTED
    }

    /// The session may have ended: the store is asked before the next use.
    pub fn doubt(&self) {
        self.asked.store(0, Ordering::Relaxed);
    }

    /// Whether the session is alive for certain, last in use here at `last_use`, if at all.
    #[must_use]
    pub fn is_alive(&self, last_use: Option<UnixTime>, now: UnixTime) -> bool {
        self.ends(last_use, now) > Millis::from(now)
    }

    /// When the session ends by what is known here, if nobody uses it any more; it was last in use here at `last_use`.
    #[must_use]
    pub fn ends(&self, last_use: Option<UnixTime>, now: UnixTime) -> Millis {
        let mut times = self.times;
        if let Some(last_use) = last_use {
            times.touch(end_of(last_use), times.idle, end_of(now));
        }
        times.expires()
    }

    /// The same knowledge, to be asked about again before long.
    #[must_use]
    pub fn again(&self) -> Self {
        let copy = |number: &AtomicU64| AtomicU64::new(number.load(Ordering::Relaxed));
        Self { times: self.times, asked: AtomicU64::new(0), tried: copy(&self.tried), told: copy(&self.told) }
    }

    /// Once a second: a store that is away is not asked for every request.
    #[must_use]
    pub fn may_try(&self, now: UnixTime) -> bool {
        self.tried.load(Ordering::Relaxed) != now.0
    }

    /// The store was asked and did not answer.
    pub fn tried(&self, now: UnixTime) {
        self.tried.store(now.0, Ordering::Relaxed);
    }

    /// Whether a use at `now` must be told to the store before the next flush: by then it might have let the session
    /// end by neglect. True for one of those who ask at once.
    #[must_use]
    pub fn must_tell(&self, now: UnixTime) -> bool {
        let told = Millis(self.told.load(Ordering::Relaxed));
        let left = told.plus(self.times.idle).since(Millis::from(now));
        let late = left < (self.times.idle / 4).max(interval(self.times.idle) * 2);
        late && told.plus(self.times.idle) < self.times.absolute && self.tried.swap(now.0, Ordering::Relaxed) != now.0
    }

    /// The store knows of this use now.
    pub fn told(&self, use_at: Millis) {
        self.told.fetch_max(use_at.0, Ordering::Relaxed);
    }
}

/// The last moment of a second. A use within it is noted for then: a session may last a second longer by that, and never
/// ends too early. A store takes no moment that is still to come.
#[must_use]
pub fn end_of(second: UnixTime) -> Millis {
    Millis::from(second).plus(Duration::from_millis(999))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::session::Lifetimes;

    const IDLE: Duration = Duration::from_secs(1800);
    const START: UnixTime = UnixTime(1_800_000_000);

    fn lease() -> Lease {
        let lifetimes = Lifetimes { idle: IDLE, absolute: Duration::from_secs(43_200) };
        Lease::new(Times::begin(Millis::from(START), lifetimes), START)
    }

    fn at(seconds: u64) -> UnixTime {
        UnixTime(START.0 + seconds)
    }

    #[test]
    fn the_store_is_believed_for_a_minute() {
        let lease = lease();
        assert!(lease.is_fresh(START) && lease.is_fresh(at(59)) && !lease.is_fresh(at(60)));
        assert!(!lease.is_fresh(UnixTime(START.0 - 1)), "the clock was set back");
        lease.doubt();
        assert!(!lease.is_fresh(at(1)));
    }

    #[test]
    fn a_use_here_counts_before_the_store_knows_of_it() {
        let lease = lease();
        assert!(lease.is_alive(None, at(1799)) && !lease.is_alive(None, at(1800)));
        assert!(lease.is_alive(Some(at(1700)), at(3499)));
        // never early, and a second late at most
        assert!(lease.is_alive(Some(at(1700)), at(3500)) && !lease.is_alive(Some(at(1700)), at(3501)));
        assert!(!lease.is_alive(Some(at(43_190)), at(43_200)), "beyond the absolute deadline");
    }

    #[test]
    fn a_use_shortly_before_the_end_is_told_at_once_and_by_one_only() {
        let lease = lease();
        assert!(!lease.must_tell(at(1300)), "there is time for a flush");
        assert!(lease.must_tell(at(1400)));
        assert!(!lease.must_tell(at(1400)), "somebody is at it");
        lease.told(end_of(at(1400)));
        assert!(!lease.must_tell(at(1401)));
    }
}
