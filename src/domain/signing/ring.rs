//! The life of our signing keys, as arithmetic on values.
//!
//! ```text
//! PENDING ── published long enough ──> ACTIVE ── the next one signs ──> RETIRING ── its tokens are over ──> gone
//!    └──────────────────── emergency ──────┴──────────────────────────────┘────> REVOKED
//! ```
//!
//! Others learn of a key by reading our key set now and then. So a key is published before it signs, it stays
//! published until the last token it may have signed is over, and exactly one key signs. Only somebody in a hurry
//! breaks the first rule, and only an emergency the second.

use super::key::{Algorithm, BadKey, FreshKey, Kid, PublicKey, Signer};
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use std::time::Duration;

/// Clocks that differ, the second a replica needs to hear of a change, and the leeway verifiers grant.
pub const SKEW: Duration = Duration::from_secs(120);
/// How long a revoked key is remembered as such: a store that was put back from an older copy must not bring it back.
pub const TOMBSTONE: Duration = Duration::from_secs(400 * 24 * 3600);
/// Keys that are published at one time. Key sets are read by others, and some read only the first few.
pub const MAX_PUBLISHED: usize = 16;
/// Revoked keys that are remembered; the oldest go first.
pub(super) const MAX_REVOKED: usize = 64;

/// All keys that matter, in the order they were made. Empty only before the first key.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// Grows with every change: of two copies of one ring the higher is the later.
    pub(super) serial: u64,
    pub(super) keys: Vec<RingKey>,
}

/// One key in the ring.
#[derive(Clone, Debug)]
pub struct RingKey {
    pub(super) kid: Kid,
    pub(super) algorithm: Algorithm,
    pub(super) public: PublicKey,
    pub(super) created: UnixTime,
    /// The longest life any token of this key may have. Promised before such a token is signed, so that lowering
    /// `access_ttl` later cannot cut short what is already out.
    pub(super) longest: Duration,
    pub(super) state: State,
}

/// Only a key that signs, or will, has a private half: what has retired cannot be stolen any more.
#[derive(Clone, Debug)]
pub enum State {
    /// Published, not signing before `sign_from`.
    Pending {
        sign_from: UnixTime,
        private: Secret,
    },
    Active {
        since: UnixTime,
        private: Secret,
    },
    /// Verifies until then.
    Retiring {
        until: UnixTime,
    },
    /// Its tokens are dead.
    Revoked {
        since: UnixTime,
    },
}

/// How keys are to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub algorithm: Algorithm,
    pub rotate_every: Duration,
    /// Between a key's publication and its first signature. Must be longer than anybody keeps a key set.
    pub publish_ahead: Duration,
    /// The least a key verifies after its last signature.
    pub overlap: Duration,
    /// The longest life of a token as they are minted now.
    pub token_life: Duration,
}

/// How an operator rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Publish the next key today; it signs after `publish_ahead`.
    Scheduled,
    /// The next key signs at once. Who verifies our tokens elsewhere must look for keys they do not know.
    Now,
    /// Keys have leaked: every one there is dies with all its tokens, and a new one signs at once.
    Emergency,
}

/// One step in the life of a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A fresh key is published, to sign from then on.
    Publish { sign_from: UnixTime },
    /// The pending key signs from now on, the active one retires.
    Promote,
    /// A fresh key signs from now on. With nobody waiting for it: the very first, or in a hurry.
    Replace,
    /// Every key is revoked, and a fresh one signs.
    RevokeAll,
    /// A pending key is revoked before it has signed anything.
    Discard(Kid),
    /// The active key promises to stay for longer tokens.
    Promise,
    /// Keys whose time is over are dropped.
    Forget,
}

/// Why an operator's wish is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("there is no key {0:?}")]
    Unknown(String),
    #[error("16 keys are published already: wait until some have retired, or rotate in emergency mode")]
    TooMany,
}

/// A change that needs a fresh key was to be made without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no fresh key was given")]
pub struct NoKey;

impl Ring {
    /// The next thing that is due at `now`; asked again after every change, until nothing is.
    #[must_use]
    pub fn due(&self, now: UnixTime, schedule: &Schedule) -> Option<Change> {
        let Some((active, since)) = self.active().and_then(|key| Some((key, key.since()?))) else {
            return Some(Change::Replace);
        };
        if active.longest < schedule.token_life {
            return Some(Change::Promise);
        }
        if self.keys.iter().any(|key| key.is_over(now)) {
            return Some(Change::Forget);
        }
        let Some(pending) = self.pending() else {
            let (over, ahead) = (since.plus(schedule.rotate_every), now.plus(schedule.publish_ahead));
            let sign_from = if active.algorithm == schedule.algorithm { over.max(ahead) } else { ahead };
            return (sign_from <= ahead && self.has_room()).then_some(Change::Publish { sign_from });
        };
        pending.may_sign(now, schedule).then_some(Change::Promote)
    }

    /// What `mode` comes to. `None`: the next key is published already and will sign in its time.
    ///
    /// # Errors
    /// [`Refused::TooMany`], never in an emergency.
    pub fn rotate(&self, mode: Mode, now: UnixTime, schedule: &Schedule) -> Result<Option<Change>, Refused> {
        let pending = self.pending().filter(|key| key.algorithm == schedule.algorithm);
        match mode {
            Mode::Emergency => Ok(Some(Change::RevokeAll)),
            // one that is already known to some is better than one known to nobody
            Mode::Now if pending.is_some() => Ok(Some(Change::Promote)),
            Mode::Scheduled if self.pending().is_some() => Ok(None),
            Mode::Now | Mode::Scheduled if !self.has_room() => Err(Refused::TooMany),
            Mode::Now => Ok(Some(Change::Replace)),
            Mode::Scheduled => Ok(Some(Change::Publish { sign_from: now.plus(schedule.publish_ahead) })),
        }
    }

    /// Takes `kid` out of use: a pending key is discarded, the active one makes place at once. Tokens stay good; what
    /// retires or is gone already stays as it is, so that asking twice does no harm.
    ///
    /// # Errors
    /// There is no such key, or no room for its successor.
    pub fn retire(&self, kid: &str, now: UnixTime, schedule: &Schedule) -> Result<Option<Change>, Refused> {
        let key = self.keys.iter().find(|key| key.kid.as_str() == kid);
        let key = key.ok_or_else(|| Refused::Unknown(kid.chars().take(64).collect()))?;
        match key.state {
            State::Pending { .. } => Ok(Some(Change::Discard(key.kid.clone()))),
            State::Active { .. } => self.rotate(Mode::Now, now, schedule),
            State::Retiring { .. } | State::Revoked { .. } => Ok(None),
        }
    }

    /// This ring after `change`.
    ///
    /// # Errors
    /// [`Change::needs_key`], and there is none.
    pub fn after(
        &self,
        change: &Change,
        now: UnixTime,
        schedule: &Schedule,
        fresh: Option<FreshKey>,
    ) -> Result<Self, NoKey> {
        let mut ring = self.clone();
        ring.serial = ring.serial.saturating_add(1);
        match change {
            Change::Publish { sign_from } => {
                let sign_from = *sign_from;
                ring.add(fresh.ok_or(NoKey)?, now, schedule, |private| State::Pending { sign_from, private });
            }
            Change::Promote => ring.promote(now, schedule),
            Change::Replace => ring.replace(fresh.ok_or(NoKey)?, now, schedule),
            Change::RevokeAll => {
                let fresh = fresh.ok_or(NoKey)?;
                ring.keys.iter_mut().for_each(|key| key.revoke(now));
                ring.replace(fresh, now, schedule);
            }
            Change::Discard(kid) => ring.keys.iter_mut().filter(|key| key.kid == *kid).for_each(|key| key.revoke(now)),
            Change::Promise => ring.keys.iter_mut().filter(|key| key.private().is_some()).for_each(|key| {
                key.longest = key.longest.max(schedule.token_life);
            }),
            Change::Forget => ring.keys.retain(|key| !key.is_over(now)),
        }
        ring.forget_oldest_revoked();
        Ok(ring)
    }

    /// The one key that signs; `None` only before the first.
    #[must_use]
    pub fn active(&self) -> Option<&RingKey> {
        self.keys.iter().find(|key| matches!(key.state, State::Active { .. }))
    }

    /// Every key, the revoked ones included, in the order they were made.
    #[must_use]
    pub fn keys(&self) -> &[RingKey] {
        &self.keys
    }

    /// The keys tokens may be verified with: what others are told. The active one comes first, for readers that take
    /// only one.
    pub fn published(&self) -> impl Iterator<Item = &RingKey> {
        let rest = self.keys.iter().filter(|key| matches!(key.state, State::Pending { .. } | State::Retiring { .. }));
        self.active().into_iter().chain(rest)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    fn pending(&self) -> Option<&RingKey> {
        self.keys.iter().find(|key| matches!(key.state, State::Pending { .. }))
    }

    fn has_room(&self) -> bool {
        self.published().count() < MAX_PUBLISHED
    }

    fn promote(&mut self, now: UnixTime, schedule: &Schedule) {
        let Some(next) = self.pending().map(|key| key.kid.clone()) else {
            return;
        };
        for key in &mut self.keys {
            key.retire(now, schedule);
            if key.kid == next {
                key.activate(now, schedule);
            }
        }
    }

    /// A key that waits is of another algorithm, or as suspect as the one it should have followed.
    fn replace(&mut self, fresh: FreshKey, now: UnixTime, schedule: &Schedule) {
        for key in &mut self.keys {
            key.retire(now, schedule);
            if matches!(key.state, State::Pending { .. }) {
                key.revoke(now);
            }
        }
        self.add(fresh, now, schedule, |private| State::Active { since: now, private });
    }

    fn add(&mut self, fresh: FreshKey, now: UnixTime, schedule: &Schedule, state: impl FnOnce(Secret) -> State) {
        let FreshKey { kid, algorithm, public, private } = fresh;
        let (longest, state) = (schedule.token_life, state(private));
        self.keys.push(RingKey { kid, algorithm, public, created: now, longest, state });
    }

    fn forget_oldest_revoked(&mut self) {
        let revoked = |key: &RingKey| matches!(key.state, State::Revoked { .. });
        let mut too_many = self.keys.iter().filter(|key| revoked(key)).count().saturating_sub(MAX_REVOKED);
        self.keys.retain(|key| {
            let goes = too_many > 0 && revoked(key);
            too_many -= usize::from(goes);
            !goes
        });
    }
}

impl RingKey {
    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    #[must_use]
    pub fn created(&self) -> UnixTime {
        self.created
    }

    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The longest life a token of this key may have.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// `None` for a key that does not sign, now or later.
    ///
    /// # Errors
    /// Its private half is damaged.
    pub fn signer(&self) -> Result<Option<Signer>, BadKey> {
        self.private().map(|private| Signer::new(&self.kid, self.algorithm, private)).transpose()
    }

    fn private(&self) -> Option<&Secret> {
        match &self.state {
            State::Pending { private, .. } | State::Active { private, .. } => Some(private),
            State::Retiring { .. } | State::Revoked { .. } => None,
        }
    }

    fn since(&self) -> Option<UnixTime> {
        match self.state {
            State::Active { since, .. } => Some(since),
            State::Pending { .. } | State::Retiring { .. } | State::Revoked { .. } => None,
        }
    }

    /// A schedule that has become slower since this key was published counts too: there may be readers that are as
    /// slow.
    fn may_sign(&self, now: UnixTime, schedule: &Schedule) -> bool {
        match self.state {
            State::Pending { sign_from, .. } => sign_from <= now && self.created.plus(schedule.publish_ahead) <= now,
            State::Active { .. } | State::Retiring { .. } | State::Revoked { .. } => false,
        }
    }

    pub(super) fn is_over(&self, now: UnixTime) -> bool {
        match self.state {
            State::Retiring { until } => until <= now,
            State::Revoked { since } => since.plus(TOMBSTONE) <= now,
            State::Pending { .. } | State::Active { .. } => false,
        }
    }

    fn activate(&mut self, now: UnixTime, schedule: &Schedule) {
        if let State::Pending { private, .. } = &self.state {
            self.longest = self.longest.max(schedule.token_life);
            self.state = State::Active { since: now, private: private.clone() };
        }
    }

    /// No other state changes: in particular nothing that was revoked verifies again.
    pub(super) fn retire(&mut self, now: UnixTime, schedule: &Schedule) {
        if matches!(self.state, State::Active { .. }) {
            let stays = schedule.overlap.max(self.longest.saturating_add(SKEW));
            self.state = State::Retiring { until: now.plus(stays) };
        }
    }

    pub(super) fn revoke(&mut self, now: UnixTime) {
        if !matches!(self.state, State::Revoked { .. }) {
            self.state = State::Revoked { since: now };
        }
    }
}

impl State {
    /// As operators read it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending { .. } => "pending",
            Self::Active { .. } => "active",
            Self::Retiring { .. } => "retiring",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// When it began, or, for a key that waits or retires, will end.
    #[must_use]
    pub fn moment(&self) -> UnixTime {
        match *self {
            Self::Pending { sign_from: at, .. }
            | Self::Active { since: at, .. }
            | Self::Retiring { until: at }
            | Self::Revoked { since: at } => at,
        }
    }
}

impl Change {
    /// Whether a fresh key must be made for it first.
    #[must_use]
    pub fn needs_key(&self) -> bool {
        match self {
            Self::Publish { .. } | Self::Replace | Self::RevokeAll => true,
            Self::Promote | Self::Discard(_) | Self::Promise | Self::Forget => false,
        }
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
