//! Two copies of one ring that have grown apart: a store lost its last writes, was emptied, or was put back from an
//! older copy while replicas lived on.
//!
//! The later copy counts, and what the other knows besides is not forgotten: what was revoked anywhere stays revoked,
//! and a key that has signed verifies a while longer.

use super::ring::{Ring, RingKey, Schedule, State, MAX_REVOKED};
use crate::domain::time::UnixTime;

impl Ring {
    /// `stored` and this copy in one. Equal to `stored` in its [serial](Ring::serial) exactly when `stored` lacks
    /// nothing, so that whoever sees a difference writes it back.
    #[must_use]
    pub fn joined(&self, stored: &Self, now: UnixTime, schedule: &Schedule) -> Self {
        let (later, earlier) = if self.serial > stored.serial { (self, stored) } else { (stored, self) };
        let mut ring = later.clone();
        let mut changed = self.serial > stored.serial;
        for old in &earlier.keys {
            let (revoked, full) = (is_revoked(old), remembered(&ring) >= MAX_REVOKED);
            match ring.keys.iter_mut().find(|key| key.kid == old.kid) {
                Some(key) if revoked && !is_revoked(key) => key.revoke(now),
                Some(_) => continue,
                // one that the later copy has forgotten for good reason is not told it again
                None if revoked && (full || old.is_over(now)) => continue,
                None if revoked => ring.keys.push(old.clone()),
                // it may have signed what the later copy knows nothing of
                None if matches!(old.state, State::Active { .. }) => {
                    let mut lost = old.clone();
                    lost.retire(now, schedule);
                    ring.keys.push(lost);
                }
                // it never signed, or had its time
                None => continue,
            }
            changed = true;
        }
        if changed {
            ring.serial = ring.serial.max(stored.serial).saturating_add(1);
        }
        ring
    }

    /// Grows with every change.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }
}

fn is_revoked(key: &RingKey) -> bool {
    matches!(key.state, State::Revoked { .. })
}

fn remembered(ring: &Ring) -> usize {
    ring.keys.iter().filter(|key| is_revoked(key)).count()
}

#[cfg(test)]
#[path = "join_tests.rs"]
mod tests;
