//! GCRA: a token bucket as one number, the moment at which it will be full again.
//!
//! Requests are spaced `interval` apart in theory; `TAT`, the theoretical arrival time of the next one, may run ahead of
//! the clock by what the burst allows. In every window `W` at most `burst + W / interval` tokens are taken, not only in
//! windows that begin on the minute. Times are whole microseconds of whichever clock the caller keeps.

use std::time::Duration;

/// Microseconds, as a moment or as a span.
pub type Micros = u64;

const SECOND: Micros = 1_000_000;

/// So many in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// At least one.
    pub count: u32,
    pub per: Period,
}

/// The spans a rate can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Second,
    Minute,
    Hour,
    Day,
}

/// The shape of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// From one token to the next; at least 1.
    pub interval: Micros,
    /// The most tokens it holds; at least 1.
    pub burst: u32,
}

/// What came of asking for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub granted: u32,
    /// Whole tokens left.
    pub remaining: u32,
    /// The new theoretical arrival time.
    pub tat: Micros,
    /// Until the least that was asked for will be there; 0 when it was granted.
    pub retry: Micros,
}

impl Period {
    #[must_use]
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "min",
            Self::Hour => "h",
            Self::Day => "d",
        }
    }
}

impl Rate {
    #[must_use]
    pub fn per_second(count: u32) -> Self {
        Self { count, per: Period::Second }
    }

    #[must_use]
    pub fn per_minute(count: u32) -> Self {
        Self { count, per: Period::Minute }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.count, self.per.name())
    }
}

impl Bucket {
    /// Rounded so that never more than `rate` pass.
    #[must_use]
    pub fn new(rate: Rate, burst: u32) -> Self {
        let interval = (rate.per.seconds() * SECOND).div_ceil(u64::from(rate.count.max(1)));
        Self { interval: interval.max(1), burst: burst.max(1) }
    }

    /// The part of one among `replicas` that share this bucket without talking: together never more than the whole, as
    /// long as each may hold at least one token.
    #[must_use]
    pub fn share(self, replicas: u32) -> Self {
        let replicas = replicas.max(1);
        let interval = self.interval.saturating_mul(u64::from(replicas));
        Self { interval, burst: (self.burst / replicas).max(1) }
    }

    /// From empty to full.
    #[must_use]
    pub fn fill(self) -> Micros {
        self.interval.saturating_mul(u64::from(self.burst))
    }

    /// How far ahead of the clock the next arrival may be and still be let through.
    #[must_use]
    pub fn tolerance(self) -> Micros {
        self.interval.saturating_mul(u64::from(self.burst - 1))
    }

    /// Whole tokens at `now` of a bucket that is full again at `tat`.
    #[must_use]
    pub fn available(self, tat: Micros, now: Micros) -> u32 {
        // the room between now and the farthest arrival, in tokens: (now + tolerance - tat) / interval + 1
        let room = now.saturating_add(self.fill()).saturating_sub(tat.max(now));
        u32::try_from(room / self.interval).unwrap_or(u32::MAX)
    }

    /// Until there are `least` tokens in a bucket that is full again in `reset`.
    #[must_use]
    pub fn lacks(self, reset: Micros, least: u32) -> Micros {
        reset.saturating_add(self.interval.saturating_mul(u64::from(least))).saturating_sub(self.fill())
    }

    /// Takes up to `want` tokens, and none if there are fewer than `least`.
    #[must_use]
    pub fn take(self, tat: Micros, now: Micros, (want, least): (u32, u32)) -> Taken {
        // one that was of another shape is empty at worst
        let tat = tat.clamp(now, now.saturating_add(self.fill()));
        let available = self.available(tat, now);
        if available < least {
            return Taken { granted: 0, remaining: available, tat, retry: self.lacks(tat - now, least) };
        }
        let granted = want.min(available);
        let tat = tat.saturating_add(self.interval.saturating_mul(u64::from(granted)));
        Taken { granted, remaining: available - granted, tat, retry: 0 }
    }

    /// The moment at which a bucket is full again that holds `tokens` at `now`.
    #[must_use]
    pub fn holding(self, tokens: u32, now: Micros) -> Micros {
        let missing = self.burst.saturating_sub(tokens);
        now.saturating_add(self.interval.saturating_mul(u64::from(missing)))
    }
}

/// `span` in whole microseconds.
#[must_use]
pub fn micros(span: Duration) -> Micros {
    span.as_secs().saturating_mul(SECOND).saturating_add(u64::from(span.subsec_micros()))
}

/// `span` in seconds, begun ones counted: whoever waits that long has waited long enough.
#[must_use]
pub fn seconds(span: Micros) -> u64 {
    span.div_ceil(SECOND)
}

#[cfg(test)]
#[path = "bucket_tests.rs"]
mod tests;
