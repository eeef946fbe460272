//! Failed sign-ins: how many are forgiven, how long a block lasts, and under which names they are counted.
//!
//! Nothing is counted for an account alone: anybody can name one, and could lock its owner out. Counted are an account
//! at an address, the address by itself at ten times the allowance, and an account on a device its owner has signed in
//! on before. Whoever guesses from elsewhere fills none of the owner's counters.
//!
//! An account is forgiven by its password, or after a day without a failure. People who share an address would never
//! have such a day, so its failures fade one by one. And they sign in side by side: there only what turned out to be a
//! failure begins a block, while an account is blocked by the charge itself.

mod names;

pub use names::{DeviceId, TallyKey, TallyKeys, KNOWN_FOR};

use super::session::{whole, Millis};
use std::time::Duration;

/// A failure is remembered this long after the last one. No block is longer.
pub const MEMORY: Duration = Duration::from_secs(24 * 3600);
/// So many times as often may a whole address be wrong: people share them.
const ADDRESS_SHARE: u32 = 10;
/// So many more may be under way from an address that has used up its allowance. It bounds what comes at once, and costs
/// a guesser no less: what is over has to fade, too.
const UNDER_WAY: u32 = 64;
/// Whoever finds that many under way is told to come back.
const SOON: Duration = Duration::from_secs(1);

/// `[brute_force]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Failures without a block; the next one begins it.
    pub free: u32,
    /// The first block. Each further failure doubles it.
    pub block: Duration,
    pub block_max: Duration,
    /// Failures fade one by one, each after this long, instead of all together after [`MEMORY`].
    pub fades: Option<Duration>,
}

/// What is counted under one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub failures: u32,
    /// How often was charged, what was given back included: the number of the last charge.
    pub serial: u32,
    pub blocked_until: Millis,
    /// When the last one was charged; of those that fade one by one, since when none has.
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
        let free = self.free.saturating_mul(ADDRESS_SHARE);
        Self { free, fades: Some((MEMORY / free.max(1)).max(Duration::from_millis(1))), ..self }
    }

    /// Charges that may be under way besides the allowance.
    #[must_use]
    pub fn under_way(&self) -> u32 {
        if self.fades.is_some() {
            UNDER_WAY
        } else {
            0
        }
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
        self.fade(schedule, now);
        if let Some(again_in) = self.blocked_for(schedule, now) {
            return Charged::Blocked { again_in };
        }
        if schedule.fades.is_none() || self.failures == 0 {
            self.last = now;
        }
        self.failures = self.failures.saturating_add(1);
        self.serial = self.serial.saturating_add(1);
        self.blocked_until = Millis(0);
        if schedule.fades.is_none() {
            self.begin_block(schedule, now);
        }
        Charged::Taken { serial: self.serial }
    }

    /// A charge has turned out to be a failure. Where failures fade, only that begins a block.
    pub fn confirm(&mut self, schedule: &Schedule, now: Millis) {
        if schedule.fades.is_some() && !self.is_forgotten(now) {
            self.fade(schedule, now);
            self.begin_block(schedule, now);
        }
    }

    /// How long an attempt would have to wait now.
    #[must_use]
    pub fn wait(mut self, schedule: &Schedule, now: Millis) -> Option<Duration> {
        if self.is_forgotten(now) {
            return None;
        }
        self.fade(schedule, now);
        self.blocked_for(schedule, now)
    }

    /// Those that are remembered now.
    #[must_use]
    pub fn failures_at(mut self, schedule: &Schedule, now: Millis) -> u32 {
        self.fade(schedule, now);
        if self.is_forgotten(now) {
            return 0;
        }
        self.failures
    }

    fn blocked_for(&self, schedule: &Schedule, now: Millis) -> Option<Duration> {
        if self.blocked_until > now {
            return Some(self.blocked_until.since(now));
        }
        let most = schedule.free.saturating_add(schedule.under_way());
        (schedule.fades.is_some() && self.failures >= most).then_some(SOON)
    }

    fn begin_block(&mut self, schedule: &Schedule, now: Millis) {
        let block = schedule.block_after(self.failures).map(|block| now.plus(block));
        self.blocked_until = self.blocked_until.max(block.unwrap_or(Millis(0)));
    }

    /// Charges leave `last` alone, so one that is given back has delayed nothing.
    fn fade(&mut self, schedule: &Schedule, now: Millis) {
        let Some(each) = schedule.fades.map(whole).filter(|each| *each > 0) else { return };
        let faded = whole(now.since(self.last)) / each;
        self.failures = self.failures.saturating_sub(u32::try_from(faded).unwrap_or(u32::MAX));
        self.last = Millis(self.last.0.saturating_add(faded.saturating_mul(each)));
    }

    /// Charge number `serial` was no failure. The block goes with the charge that began it, and when nothing is left that
    /// deserves one. A tally that was emptied since has nothing to give back.
    pub fn give_back(&mut self, serial: u32, schedule: &Schedule) {
        if serial > self.serial {
            return;
        }
        let began_the_block = schedule.fades.is_none() && serial == self.serial;
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
