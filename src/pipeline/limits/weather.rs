//! Whether the store can be asked. While it cannot, nobody waits for it: one question at a time, beside requests, finds
//! out whether it is back.

use crate::domain::limit::bucket::Micros;
use crate::domain::limit::lease::{Away, Outage};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Between two looks whether the store is back.
pub(super) const LOOK_EVERY: Micros = 200_000;

#[derive(Debug, Default)]
pub(super) struct Weather {
    /// 0: it is there.
    away_since: AtomicU64,
    look_at: AtomicU64,
    /// When a question failed, and none has been answered since; 0: none did.
    failed_at: AtomicU64,
    replicas: AtomicU32,
    last: Mutex<Outage>,
}

impl Weather {
    pub(super) fn away(&self) -> Option<Away> {
        match self.away_since.load(Ordering::Acquire) {
            0 => None,
            since => Some(Away { since, replicas: self.replicas() }),
        }
    }

    /// Replicas when we last heard, and while the store is away; 0: nobody was heard of.
    pub(super) fn replicas(&self) -> u32 {
        self.replicas.load(Ordering::Relaxed)
    }

    /// Whether it is this caller's turn to look.
    pub(super) fn is_time_to_look(&self, now: Micros) -> bool {
        let due = self.look_at.load(Ordering::Relaxed);
        let next = now.saturating_add(LOOK_EVERY);
        now >= due && self.look_at.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A question of `sent` failed; whether that is one too many. One late answer is no outage, and what was under way
    /// together fails together.
    pub(super) fn failed(&self, sent: Micros, now: Micros) -> bool {
        let first = self.failed_at.compare_exchange(0, now.max(1), Ordering::Relaxed, Ordering::Relaxed);
        first.is_err_and(|first| sent.max(1) >= first)
    }

    /// True for the first to notice. There were so many when we last heard.
    pub(super) fn lost(&self, now: Micros, replicas: u32) -> bool {
        if self.away_since.load(Ordering::Relaxed) == 0 {
            self.replicas.store(replicas, Ordering::Relaxed);
        }
        self.look_at.fetch_max(now.saturating_add(LOOK_EVERY), Ordering::Relaxed);
        self.away_since.compare_exchange(0, now.max(1), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// It has answered, when there were so many. True for the first to notice that it is back.
    pub(super) fn answered(&self, now: Micros, replicas: u32) -> bool {
        self.replicas.store(replicas, Ordering::Relaxed);
        // looked at first: threads that all write it would wait for each other
        if self.failed_at.load(Ordering::Relaxed) != 0 {
            self.failed_at.store(0, Ordering::Relaxed);
        }
        if self.away_since.load(Ordering::Relaxed) == 0 {
            return false;
        }
        // written before it counts as back: whoever asks then tells what it knows of the time before
        let mut last = self.last.lock();
        let began = self.away_since.load(Ordering::Acquire);
        if began == 0 {
            return false;
        }
        *last = Outage { began, ended: now };
        self.away_since.store(0, Ordering::Release);
        true
    }

    /// The last outage that is over.
    pub(super) fn last(&self) -> Outage {
        *self.last.lock()
    }
}
