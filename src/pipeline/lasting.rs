//! What an exchange that goes on stands on: the credential it was admitted with, for as long as that counts.
//!
//! A bearer token counts until it expires. A session counts for as long as it lives, whatever became of the access token
//! that the request came with: a browser renews that on its other requests, and no socket would ever hear of it. A token
//! that nothing renews counts until it expires, whoever it is for.

use super::cache::Verified;
use super::revocation::sessions::subject;
use super::session::{House, Place};
use super::{Caller, Gate, Permit};
use crate::domain::denial::{Code, Denial};
use crate::domain::revocation::Subject;
use crate::domain::time::UnixTime;
use std::sync::Arc;

/// Whoever an exchange goes on for.
#[derive(Debug)]
pub struct Holder {
    verified: Arc<Verified>,
    house: Option<Arc<House>>,
    /// Whether what happens there counts as use of the session.
    activity: bool,
    /// Somebody else looks whether the session goes on.
    watched: bool,
}

/// What became of a credential whose time has come.
#[derive(Debug)]
pub enum Extended {
    /// It is a session that lives on until then, at least.
    Until(UnixTime),
    Over(Denial),
    CannotTell(Denial),
}

impl Gate {
    /// `None` for nobody in particular: nothing ends what they were given.
    #[must_use]
    pub fn holder(&self, permit: &Permit) -> Option<Holder> {
        match permit.caller() {
            Caller::Anonymous => None,
            Caller::Known { verified, .. } => {
                let activity = self.route(permit).is_some_and(|route| route.activity);
                Some(Holder {
                    verified: Arc::clone(verified),
                    house: self.house().map(Arc::clone),
                    activity,
                    watched: false,
                })
            }
        }
    }
}

impl Holder {
    /// Of an answer that goes on for as long as the session of `verified` does, which is looked after elsewhere.
    pub(super) fn watched(verified: &Arc<Verified>, house: &Arc<House>) -> Self {
        let (verified, house) = (Arc::clone(verified), Some(Arc::clone(house)));
        Self { verified, house, activity: false, watched: true }
    }

    /// What the credential can be hit by.
    #[must_use]
    pub fn subject(&self) -> Subject {
        subject(&self.verified.credential())
    }

    /// When it has to be asked whether it is [`extended`](Self::extended). An opaque session may end by neglect long
    /// before it ends in any case.
    #[must_use]
    pub fn expires(&self, now: UnixTime) -> UnixTime {
        if self.watched {
            return UnixTime(u64::MAX);
        }
        let expires = self.verified.principal.expires;
        lease_ends(&self.verified, now).map_or(expires, |ends| ends.min(expires))
    }

    /// Whether the credential was revoked, from memory.
    ///
    /// # Errors
    /// It was.
    pub fn check(&self) -> Result<(), Denial> {
        self.house.as_ref().map_or(Ok(()), |house| house.check_revoked(&self.verified))
    }

    /// Something was said: a person who only ever speaks on a socket is not away.
    pub fn note_use(&self, now: UnixTime) {
        if let Some(house) = self.house.as_ref().filter(|_| self.activity) {
            house.ground.activity.note(&self.verified, now);
        }
    }

    /// Whether it counts beyond the time it was given. Asks the store about a session.
    pub async fn extended(&self, now: UnixTime) -> Extended {
        let Some((house, facts)) = self.house.as_ref().zip(self.verified.session()) else {
            return Extended::Over(Denial::new(Code::TokenExpired, "the token has expired while its answer went on"));
        };
        let ended = || Denial::new(Code::SessionExpired, "the session has ended while its answer went on");
        // Given without anything to renew it: its time is all there is.
        if facts.lease().is_none() && facts.generation.is_none() {
            return Extended::Over(ended());
        }
        match house.look(Place { user: facts.user, id: facts.id }).await {
            // Rounded up: asked then, the store knows that it is over.
            Ok(Some((_, times))) => Extended::Until(facts.with_uses(times, now).expires().into()),
            Ok(None) => Extended::Over(ended()),
            Err(denial) => match self.known_until(house, now).filter(|until| *until > now) {
                Some(until) => Extended::Until(until),
                None => Extended::CannotTell(denial),
            },
        }
    }

    /// How long an opaque session lasts by what this replica knows: other requests may have used it meanwhile.
    fn known_until(&self, house: &House, now: UnixTime) -> Option<UnixTime> {
        let known = house.ground.known_handle(self.verified.token());
        let later = known.as_deref().and_then(|known| lease_ends(known, now));
        lease_ends(&self.verified, now).max(later)
    }
}

/// When an opaque session ends unless somebody uses it; `None` for a token, which says itself when it ends.
fn lease_ends(verified: &Verified, now: UnixTime) -> Option<UnixTime> {
    let facts = verified.session()?;
    facts.lease().map(|lease| lease.ends(facts.last_use(), now).into())
}

#[cfg(test)]
#[path = "lasting_tests.rs"]
mod tests;
