//! Failed sign-ins: how many are forgiven, how long a block lasts, and under which names they are counted.
//!
//! Nothing is counted for an account alone: anybody can name one, and could lock its owner out. Counted are an account
//! at an address, the address by itself at ten times the allowance, and an account on a device its owner has signed in
//! on before. Whoever guesses from elsewhere fills none of the owner's counters.

mod names;

pub use names::{DeviceId, TallyKey, TallyKeys, KNOWN_FOR};

use super::session::Millis;
use std::time::Duration;

/// A failure is remembered this long after the last one. No block is longer.
pub const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// So many times as often may a whole address be wrong: people share them.
const ADDRESS_SHARE: u32 = 10;

/// `[brute_force]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Failures without a block; the next one begins it.
    pub free: u32,
    /// The first block. Each further failure doubles it.
    pub block: Duration,
    pub block_max: Duration,
}

/// What is counted under one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub failures: u32,
    /// How often was charged, what was given back included: the number of the last charge.
    pub serial: u32,
    pub blocked_until: Millis,
    /// When the last one was charged.
    pub last: Millis,
}

/// Whether an attempt may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// As a failure, until charge number `serial` is known to be none.
    Taken { serial: u32 },
    /// Not counted: whoever only waits does not wait longer.
    Blocked { again_in: Duration },
}

impl Schedule {
    /// The same for a whole address.
    #[must_use]
    pub fn of_address(self) -> Self {
        Self { free: self.free.saturating_mul(ADDRESS_SHARE), ..self }
    }

    /// The block that failure number `failures` begins.
    #[must_use]
    pub fn block_after(&self, failures: u32) -> Option<Duration> {
        let doublings = failures.checked_sub(self.free)?.checked_sub(1)?;
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        Some(self.block.saturating_mul(factor).min(self.block_max))
    }
}

impl Tally {
    /// Charges one attempt before anybody knows how it ends: of a thousand at once no more go on than of a thousand one
    /// after the other.
    pub fn charge(&mut self, schedule: &Schedule, now: Millis) -> Charged {
        if self.is_forgotten(now) {
            *self = Self::default();
        }
        if self.blocked_until > now {
            return Charged::Blocked { again_in: self.blocked_until.since(now) };
        }
        self.failures = self.failures.saturating_add(1);
        self.serial = self.serial.saturating_add(1);
        self.last = now;
        self.blocked_until = schedule.block_after(self.failures).map_or(Millis(0), |block| now.plus(block));
        Charged::Taken { serial: self.serial }
    }

    /// Charge number `serial` was no failure. The block goes with the charge that began it, and when nothing is left that
    /// deserves one. A tally that was emptied since has nothing to give back.
    pub fn give_back(&mut self, serial: u32, schedule: &Schedule) {
        if serial > self.serial {
            return;
        }
        let began_the_block = serial == self.serial;
        self.failures = self.failures.saturating_sub(1);
        if began_the_block || self.failures <= schedule.free {
            self.blocked_until = Millis(0);
        }
    }

    /// Nothing in it counts any more.
    #[must_use]
    pub fn is_forgotten(&self, now: Millis) -> bool {
        self.failures == 0 || now >= self.last.plus(MEMORY).max(self.blocked_until)
    }
}

#[cfg(test)]
#[path = "failures_tests.rs"]
mod tests;
