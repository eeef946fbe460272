//! How long things last, which a reload may lengthen, and who we are.

use super::Revocations;
use crate::domain::revocation::{Index, RecordKeys};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// How long things last, and who we are.
#[derive(Debug)]
pub struct Terms {
    /// Unlike that of any other replica, and new in every process.
    pub replica: String,
    pub keys: RecordKeys,
    /// The longest that anything a mark could hit may still live: tokens of any issuer, cached sessions included.
    pub longest_token: Duration,
    /// A list that was last complete longer ago does not make a replica ready.
    pub access_ttl: Duration,
    /// Without a confirmation for longer, the list may lack something.
    pub max_staleness: Duration,
    /// How long after a log was opened it may still lack what other replicas are about to put back. Longer than they
    /// pause between two attempts to reach it.
    pub settle: Duration,
    /// Whether other replicas write to the log as well. One of this process alone holds nothing that was not seen.
    pub shared: bool,
    /// Random: keys the index, spreads what replicas would otherwise do at the same time.
    pub seed: u64,
}

impl Terms {
    #[must_use]
    pub fn new(replica: String, keys: RecordKeys, longest_token: Duration, seed: u64) -> Self {
        Self {
            replica,
            keys,
            longest_token,
            access_ttl: Duration::from_mins(15),
            max_staleness: Duration::from_secs(5),
            settle: Duration::from_secs(3),
            shared: true,
            seed,
        }
    }
}

/// Those of the terms that grow.
#[derive(Debug)]
pub(super) struct Spans {
    /// Both in milliseconds.
    longest_token: AtomicU64,
    access_ttl: AtomicU64,
    /// Marks last longer here than the log says.
    pub(super) prolonged: AtomicBool,
}

impl Spans {
    pub(super) fn of(terms: &Terms) -> Self {
        let [longest_token, access_ttl] = [terms.longest_token, terms.access_ttl].map(|span| AtomicU64::new(ms(span)));
        Self { longest_token, access_ttl, prolonged: AtomicBool::new(false) }
    }

    pub(super) fn longest_token(&self) -> Duration {
        Duration::from_millis(self.longest_token.load(Ordering::Relaxed))
    }

    pub(super) fn access_ttl(&self) -> Duration {
        Duration::from_millis(self.access_ttl.load(Ordering::Relaxed))
    }
}

impl Revocations {
    /// From now on tokens may live as long as this. Never shortened: what was minted under longer terms lives on.
    ///
    /// A token refused yesterday for living too long may be good today, and a mark that was made for shorter ones would
    /// let it outlive its revocation. So the marks there are grow as well, here and, with the next look at it, in the log.
    pub fn lengthen(&self, longest_token: Duration, access_ttl: Duration) {
        self.spans.access_ttl.fetch_max(ms(access_ttl), Ordering::Relaxed);
        let mut standing = self.standing.lock();
        let before = self.spans.longest_token.fetch_max(ms(longest_token), Ordering::Relaxed);
        let longer = longest_token.saturating_sub(Duration::from_millis(before));
        if longer.is_zero() {
            return;
        }
        let mut index = Index::clone(&self.index.load());
        // whole seconds are what marks are counted in, and a part of one is more than none
        index.prolong(Duration::from_secs(longer.as_secs().saturating_add(1)));
        self.index.store(Arc::new(index));
        self.generation.fetch_add(1, Ordering::Release);
        self.spans.prolonged.store(true, Ordering::Release);
        standing.owes = true;
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
