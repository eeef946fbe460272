//! What a page wants to know of its session while it lies open: that it is about to end, that it goes on after all, and
//! that it has ended.
//!
//! A page that waits is no use of a session, so nothing here puts off its end. The store is asked when something may have
//! happened, and not otherwise: when a warning is due by what is known, now and then while one stands, and at the end.

use super::{House, Place, Renewal};
use crate::domain::denial::{Code, Denial};
use crate::domain::session::{whole, Millis, SessionId, Times};
use crate::domain::time::UnixTime;
use crate::pipeline::cache::Verified;
use crate::pipeline::lasting::Holder;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Pages that may wait for news of one session: more than anybody has tabs at work.
const MOST_OF_ONE: usize = 16;
/// On one replica, for all sessions together: each costs a connection and some kilobytes.
const MOST: usize = 10_000;
/// Between two questions to the store, for one page.
const PAUSE: Duration = Duration::from_secs(1);
/// The same while the store is away.
const AGAIN: Duration = Duration::from_secs(5);
/// How often a page that was warned is looked after, in parts of `warn_before`.
const LOOKS: u32 = 10;

/// One page that waits.
#[derive(Debug)]
pub struct Watch {
    house: Arc<House>,
    verified: Arc<Verified>,
    place: Place,
    times: Times,
    warn_before: Duration,
    warned: bool,
    asked: UnixTime,
    pause: Duration,
    _seat: Seat,
}

/// What it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Expiring(Left),
    /// Somebody has used the session since the warning.
    Extended(Left),
    Ended(Denial),
}

/// How long it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Whatever happens.
    pub at_most: Duration,
    /// If nobody uses it.
    pub idle: Duration,
}

impl House {
    /// A page waits for news of the session of `verified`; `None`: too many do.
    #[must_use]
    pub fn watch(
        self: &Arc<Self>,
        verified: &Arc<Verified>,
        times: Times,
        warn_before: Duration,
        now: UnixTime,
    ) -> Option<Watch> {
        let facts = verified.session()?;
        Some(Watch {
            _seat: self.ground.audience.seat(facts.id)?,
            house: Arc::clone(self),
            place: Place { user: facts.user, id: facts.id },
            verified: Arc::clone(verified),
            times,
            warn_before,
            warned: false,
            asked: now,
            pause: Duration::ZERO,
        })
    }
}

impl Watch {
    /// On what the page waits: a revocation ends it at once.
    #[must_use]
    pub fn holder(&self) -> Holder {
        Holder::watched(&self.verified, &self.house)
    }

    /// Nothing happens before, as far as is known here.
    #[must_use]
    pub fn next_look(&self) -> UnixTime {
        let end = self.end().0;
        let wanted = if self.warned {
            let step = (self.warn_before / LOOKS).max(AGAIN);
            end.min(Millis::from(self.asked).plus(step).0)
        } else {
            end.saturating_sub(whole(self.warn_before))
        };
        UnixTime::from(Millis(wanted)).max(self.asked.plus(self.pause))
    }

    /// What has happened by `now`, if anything.
    pub async fn look(&mut self, now: UnixTime) -> Option<News> {
        if now < self.next_look() {
            return None;
        }
        self.asked = now;
        self.pause = PAUSE;
        let ground = &self.house.ground;
        // What the store has not been told yet would look like neglect. Not told now, it waits for the next flush.
        let _ = ground.activity.flush(&*ground.store, self.house.terms.lifetimes.idle).await;
        match self.house.look(self.place).await {
            Ok(Some((_, times))) => self.times = self.with_uses(times, now),
            Ok(None) => return Some(over()),
            Err(_) => {
                self.pause = AGAIN;
                return None;
            }
        }
        self.judge(now)
    }

    /// `times` as the store has them, and the uses here that it could not be told of. An opaque session that was looked up
    /// since goes on in what was remembered then.
    fn with_uses(&self, times: Times, now: UnixTime) -> Times {
        let known = self.house.ground.known_handle(self.verified.token());
        let facts = known.as_deref().unwrap_or(&self.verified).session();
        facts.map_or(times, |facts| facts.with_uses(times, now))
    }

    fn judge(&mut self, now: UnixTime) -> Option<News> {
        let left = self.left(now);
        if left.idle.is_zero() {
            return Some(over());
        }
        let near = left.idle <= self.warn_before;
        match (near, std::mem::replace(&mut self.warned, near)) {
            (true, false) => Some(News::Expiring(left)),
            (false, true) => Some(News::Extended(left)),
            (true, true) | (false, false) => None,
        }
    }

    fn left(&self, now: UnixTime) -> Left {
        let now = Millis::from(now);
        Left { at_most: self.bound().since(now), idle: self.end().since(now) }
    }

    /// When it ends if nobody uses it.
    fn end(&self) -> Millis {
        self.times.expires().min(self.bound())
    }

    /// When it ends in any case; without renewal with its only token.
    fn bound(&self) -> Millis {
        match self.house.terms.renewal {
            Renewal::Off => self.times.absolute.min(Millis::from(self.verified.principal.expires)),
            Renewal::Transparent | Renewal::Endpoint => self.times.absolute,
        }
    }
}

fn over() -> News {
    News::Ended(Denial::new(Code::SessionExpired, "the session has ended while a page waited for news of it"))
}

/// Who waits, counted.
#[derive(Default)]
pub(super) struct Audience(Mutex<Taken>);

#[derive(Default)]
struct Taken {
    all: usize,
    of: HashMap<SessionId, usize>,
}

impl Audience {
    fn seat(self: &Arc<Self>, session: SessionId) -> Option<Seat> {
        let mut taken = self.0.lock();
        let free = taken.all < MOST && taken.of.get(&session).is_none_or(|mine| *mine < MOST_OF_ONE);
        free.then(|| {
            taken.all += 1;
            *taken.of.entry(session).or_default() += 1;
            Seat { audience: Arc::clone(self), session }
        })
    }
}

/// A place in the audience, for as long as this lives.
struct Seat {
    audience: Arc<Audience>,
    session: SessionId,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.audience.0.lock();
        taken.all = taken.all.saturating_sub(1);
        let left = taken.of.get_mut(&self.session).map(|mine| {
            *mine = mine.saturating_sub(1);
            *mine
        });
        if left == Some(0) {
            taken.of.remove(&self.session);
        }
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience").field("taken", &self.0.lock().all).finish()
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat(..)")
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
