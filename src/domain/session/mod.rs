//! Sessions: by which names they are known, and how long they live.
//!
//! A session ends by neglect (`idle`) or by age (`absolute`), whichever comes first. What it says about its user is
//! sealed bytes that are made and read elsewhere.

pub mod handle;
pub mod id;

pub use id::{FamilyId, HandleHash, HandleKey, ProviderSid, SessionId, UserHash};

use super::time::UnixTime;
use std::time::Duration;

/// Whole milliseconds since 1970-01-01T00:00:00Z: the time of records, because a second is long among tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment and `span` later; at the end of time it stays there.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(whole(span)))
    }

    /// How long ago `earlier` was; nothing when it is still to come.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<Millis> for UnixTime {
    /// Rounded up: the first whole second by which this moment has come.
    fn from(moment: Millis) -> Self {
        Self(moment.0.div_ceil(1000))
    }
}

impl From<UnixTime> for Millis {
    fn from(time: UnixTime) -> Self {
        Self(time.0.saturating_mul(1000))
    }
}

/// `span` in whole milliseconds.
#[must_use]
pub fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How long something lives that use keeps alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Without use.
    pub idle: Duration,
    /// In any case.
    pub absolute: Duration,
}

/// The times of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub created: Millis,
    pub last_seen: Millis,
    pub idle: Duration,
    /// Fixed when the session is created; nothing extends it.
    pub absolute: Millis,
}

impl Times {
    #[must_use]
    pub fn begin(now: Millis, lifetimes: Lifetimes) -> Self {
        Self { created: now, last_seen: now, idle: lifetimes.idle, absolute: now.plus(lifetimes.absolute) }
    }

    /// The first moment at which the session is no more.
    #[must_use]
    pub fn expires(&self) -> Millis {
        self.last_seen.plus(self.idle).min(self.absolute)
    }

    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        now >= self.expires()
    }

    /// Notes that the session was in use at `seen`. News may arrive late and out of order, and a clock ahead of ours
    /// must not buy time: the latest moment counts, and none beyond `now`.
    pub fn touch(&mut self, seen: Millis, idle: Duration, now: Millis) {
        self.last_seen = self.last_seen.max(seen.min(now));
        self.idle = idle;
    }
}

/// What happens to one more session than a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    /// The session created first makes room.
    EvictOldest,
    /// The newcomer is turned away.
    Reject,
    /// Every other session ends, whatever the cap.
    Single,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Lifetimes = Lifetimes { idle: Duration::from_secs(30), absolute: Duration::from_secs(100) };

    #[test]
    fn a_session_lives_until_the_last_millisecond_of_its_idle_time() {
        let times = Times::begin(Millis(1_000), TERMS);
        assert!(!times.is_over(Millis(30_999)));
        assert!(times.is_over(Millis(31_000)));
    }

    #[test]
    fn use_extends_a_session_up_to_its_absolute_deadline() {
        let mut times = Times::begin(Millis(0), TERMS);
        times.touch(Millis(20_000), TERMS.idle, Millis(20_000));
        assert_eq!(times.expires(), Millis(50_000));
        times.touch(Millis(95_000), TERMS.idle, Millis(95_000));
        assert_eq!(times.expires(), Millis(100_000));
    }

    #[test]
    fn late_news_takes_nothing_back_and_a_fast_clock_buys_nothing() {
        let mut times = Times::begin(Millis(0), TERMS);
        times.touch(Millis(20_000), TERMS.idle, Millis(21_000));
        times.touch(Millis(10_000), TERMS.idle, Millis(22_000));
        assert_eq!(times.last_seen, Millis(20_000));
        times.touch(Millis(80_000), TERMS.idle, Millis(23_000));
        assert_eq!(times.last_seen, Millis(23_000));
    }
}
