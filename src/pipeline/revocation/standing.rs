//! Where this replica stands in the log.

use crate::domain::revocation::Position;
use crate::domain::time::UnixTime;
use crate::ports::revocation::{Batch, Entry, Epoch};

/// How much of the log this replica has verifiably read. The position moves along entries that name each other, or is
/// set after the whole log was read; so at all times everything up to it is enforced.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// `None` until the log was read once.
    pub(super) epoch: Option<Epoch>,
    pub(super) position: Position,
    /// The log's clock less ours, in milliseconds.
    pub(super) ahead_ms: i64,
    /// Replicas, ourselves included, when we last heard.
    pub(super) live: u32,
    /// Something was made here that could not be delivered.
    pub(super) owes: bool,
    pub(super) log: Log,
    /// Read to the end, in an epoch that every replica had the time to fill.
    pub(super) has_seen: bool,
    /// Started with a list recent enough to serve with.
    pub(super) restored: bool,
    /// When the list it started with was complete.
    pub(super) as_of: UnixTime,
    /// The furthest place on the list it started with. A token minted before the log was read comes after all of it.
    pub(super) floor: Position,
}

/// Whether the log has everything that is known here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Log {
    #[default]
    Whole,
    /// It was found to be another one, or to have lost something, and was not filled again yet.
    MayLack,
}

/// Whether entries went on where we stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Whole,
    /// Something is missing between where we stand and these.
    Gap,
}

impl Standing {
    /// Steps along `batch` as far as it leads on from here.
    pub(super) fn follow(&mut self, batch: &Batch) -> Link {
        if self.epoch != Some(batch.epoch) {
            return Link::Gap;
        }
        self.step(&batch.entries)
    }

    /// The same for entries read behind our position, whose epoch is known by their leading on.
    pub(super) fn step(&mut self, entries: &[Entry]) -> Link {
        for entry in entries {
            if entry.position <= self.position {
                continue;
            }
            if entry.previous != self.position {
                return Link::Gap;
            }
            self.position = entry.position;
        }
        Link::Whole
    }

    /// A moment of our clock on the clock of the log.
    pub(super) fn log_time(&self, unix_ms: u64) -> u64 {
        unix_ms.saturating_add_signed(self.ahead_ms)
    }

    pub(super) fn note_time(&mut self, log_ms: u64, unix_ms: u64) {
        self.ahead_ms = i64::try_from(i128::from(log_ms) - i128::from(unix_ms)).unwrap_or_default();
    }
}
