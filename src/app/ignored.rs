//! What others revoked and this replica cannot read: told to operators, for nobody else notices.

use crate::observe::clock;
use crate::observe::metrics::Metrics;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// A neighbour with another secret may revoke many times a second.
const SAID_EVERY: Duration = Duration::from_mins(1);

#[derive(Debug, Default)]
pub(super) struct Ignored(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    counted: u64,
    said: Option<Instant>,
    /// Since the last line.
    untold: u64,
}

impl Ignored {
    /// `ignored` of them since the start.
    pub(super) fn note(&self, ignored: u64, metrics: &Metrics) {
        let mut noted = self.0.lock();
        let more = ignored.saturating_sub(noted.counted);
        noted.counted = ignored;
        noted.untold = noted.untold.saturating_add(more);
        metrics.revocations_ignored.add(more);
        if noted.untold == 0 || noted.said.is_some_and(|at| at.elapsed() < SAID_EVERY) {
            return;
        }
        noted.said = Some(clock::instant());
        tracing::error!(
            entries = std::mem::take(&mut noted.untold),
            "revocations of other replicas cannot be read here, and what they revoke is let in: all replicas need the same \
             store.secret, and a version that knows these entries; if they do, somebody else writes into the store"
        );
    }
}
