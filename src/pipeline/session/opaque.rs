//! Opaque sessions: the cookie is a handle that says nothing, and the store knows the rest.
//!
//! Each replica remembers what the store said for a minute. What was revoked counts at once, as for every credential;
//! and while the store is away a session that is remembered goes on until it would have ended anyway.

use super::lease::{end_of, Lease};
use super::recognise::{cleared, ended};
use super::{activity, random, Asking, House, Place, Recognised, Record, Turned};
use crate::domain::cookies::{CookiePlan, OurCookies, SessionCookie};
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::{AuthMethod, Principal};
use crate::domain::session::handle::{Found, Handle};
use crate::domain::session::{HandleHash, Millis, Times, UserHash};
use crate::domain::signing::access_token::AccessToken;
use crate::domain::signing::own;
use crate::domain::time::UnixTime;
use crate::domain::token::claims;
use crate::domain::token::jose::Kind;
use crate::pipeline::cache::{SessionFacts, Verified};
use crate::pipeline::limits::Over;
use crate::pipeline::permit::{Caller, Memory};
use crate::ports::store::Touch;
use http::HeaderValue;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What tells one question to the store from another: the configuration it is asked under, and the handle.
pub(super) type Question = (u64, HandleHash);

/// What the store said.
#[derive(Clone, Debug)]
pub(super) enum Looked {
    Alive(Arc<Verified>),
    Over(Denial),
    CannotTell(Denial),
}

impl House {
    /// The caller whose handle this is.
    pub(super) async fn recognise_handle(
        self: &Arc<Self>,
        held: &OurCookies<'_>,
        asking: &Asking<'_>,
        plan: &CookiePlan,
    ) -> Result<Recognised, Turned> {
        let away = |denial, ends| {
            let clear = if ends { cleared(&denial, plan, held, asking.headers) } else { Vec::new() };
            Turned::Away(denial, clear)
        };
        let found = self.hold(held, asking.now).await;
        let (verified, memory) = found.map_err(|denial| {
            let ends = denial.code.status() == 401;
            away(denial, ends)
        })?;
        self.check_device(&verified, asking).await.map_err(|it| away(it.denial, it.ends))?;
        let cookies: Vec<HeaderValue> = Vec::new();
        Ok(Recognised { caller: Caller::Known { verified, memory }, cookies })
    }

    /// The session of the handle among these cookies, from memory where the store was asked within the last minute.
    pub(super) async fn hold(
        self: &Arc<Self>,
        held: &OurCookies<'_>,
        now: UnixTime,
    ) -> Result<(Arc<Verified>, Memory), Denial> {
        let SessionCookie::Value(text) = held.session() else { return Err(ended("no handle")) };
        let known = self.ground.handles.find(&text);
        let (verified, memory) = match known {
            Some(known) if self.is_sure_of(&known, now) => (known, Memory::Hit),
            known => {
                let memory = if known.is_some() { Memory::Stale } else { Memory::Miss };
                // Boxed: once a minute and session.
                (Box::pin(self.look_up(&text, known, now)).await?, memory)
            }
        };
        // What was revoked is remembered for its minute all the same: the store could only say that it knows no such
        // handle, and whoever comes late would not hear that the session was ended.
        self.check_revoked(&verified)?;
        Ok((verified, memory))
    }

    fn is_sure_of(&self, known: &Verified, now: UnixTime) -> bool {
        known.generation == self.number && is_alive(known, now) && lease(known).is_some_and(|lease| lease.is_fresh(now))
    }

    /// Asks the store, once however many ask at the same time, and no store at all for what we did not make.
    async fn look_up(
        self: &Arc<Self>,
        text: &str,
        known: Option<Arc<Verified>>,
        now: UnixTime,
    ) -> Result<Arc<Verified>, Denial> {
        let found = self.ground.handle_ring.read(text).ok_or_else(|| ended("no handle of ours"))?;
        let standby = known.clone().filter(|known| is_alive(known, now));
        if let Some(standby) = standby.as_ref().filter(|it| lease(it).is_some_and(|lease| !lease.may_try(now))) {
            return Ok(self.dressed(standby));
        }
        let (house, owned, before) = (Arc::clone(self), text.to_owned(), known.clone());
        let question = async move { house.ask(found, &owned, before.as_deref(), now).await };
        match self.ground.looks.join((self.number, found.hash), question).await {
            Some(Looked::Alive(verified)) => Ok(verified),
            Some(Looked::Over(denial)) => {
                known.iter().for_each(|known| self.ground.handles.forget(known));
                Err(denial)
            }
            Some(Looked::CannotTell(denial)) => self.without_store(standby, now, denial),
            None => self.without_store(standby, now, Denial::new(Code::Internal, "a look-up broke off")),
        }
    }

    /// "Cannot tell" ends no session.
    fn without_store(
        &self,
        standby: Option<Arc<Verified>>,
        now: UnixTime,
        denial: Denial,
    ) -> Result<Arc<Verified>, Denial> {
        let standby = standby.ok_or(denial)?;
        lease(&standby).into_iter().for_each(|lease| lease.tried(now));
        Ok(self.dressed(&standby))
    }

    async fn ask(self: &Arc<Self>, found: Found, text: &str, before: Option<&Verified>, now: UnixTime) -> Looked {
        let stored = match self.ground.store.by_handle(found.user, found.hash).await {
            Ok(Some(stored)) => stored,
            Ok(None) if before.is_some_and(|before| is_alive(before, now)) => {
                return Looked::Over(Denial::new(Code::SessionTerminated, "the session has been ended"))
            }
            Ok(None) => return Looked::Over(ended("the store knows no such handle")),
            Err(error) => return Looked::CannotTell(error.into()),
        };
        let place = Place { user: found.user, id: stored.id };
        let record = match Record::open(&self.ground.seals, place, &stored.body) {
            Ok(record) => record,
            Err(unopened) => return Looked::CannotTell(unopened.into()),
        };
        let record = match self.refreshed(place, record, now).await {
            Ok(record) => record,
            Err(denial) => return Looked::Over(denial),
        };
        match self.verified(text, (&record, place), &stored.times, now) {
            Ok(verified) => Looked::Alive(self.remember(verified, before)),
            // The store says that it lives, and only the store can say that it does not: a clock here that is ahead of
            // the store's signs nobody out.
            Err(denial) if denial.code.status() == 401 => {
                Looked::CannotTell(Denial { code: Code::StoreUnavailable, ..denial })
            }
            Err(denial) => Looked::CannotTell(denial),
        }
    }

    /// The very caller that an access token of this session would name: the claims are those of a token, read back by
    /// the code that reads tokens. Only there is none, so nothing has its name.
    fn verified(
        &self,
        text: &str,
        (record, place): (&Record, Place),
        times: &Times,
        now: UnixTime,
    ) -> Result<Verified, Denial> {
        let began = UnixTime(times.created.0 / 1000).min(now);
        let ends = times.absolute.into();
        let claims = self.say((record, place), None, (began, ends), |token| {
            let minted_at = record.revocations_at.as_deref().unwrap_or("0-0");
            serde_json::to_vec(&AccessToken { rv: minted_at, ..token.clone() })
        });
        let broken = |error: serde_json::Error| Denial::new(Code::Internal, error.to_string());
        let claims = claims.map_err(broken)?;
        let mut said: Map<String, Value> = serde_json::from_slice(&claims).map_err(broken)?;
        said.remove("jti");
        let principal = claims::principal(&said, Kind::AccessToken, &self.own, now)?;
        let principal = Principal { method: AuthMethod::Session, ..own::principal(principal, Kind::AccessToken)? };
        self.remembering(text, principal, Lease::new(*times, now)).map(|verified| verified.with_claims_of(claims.len()))
    }

    fn remembering(&self, text: &str, principal: Principal, lease: Lease) -> Result<Verified, Denial> {
        let facts = SessionFacts::read(&principal.claims);
        let facts = facts.ok_or_else(|| Denial::new(Code::Internal, "a session without its name"))?;
        let identity = self.identity.values(&principal);
        Ok(Verified::new(text, principal, identity).by(usize::MAX, self.number).of_session(facts.leased(lease)))
    }

    fn remember(&self, verified: Verified, before: Option<&Verified>) -> Arc<Verified> {
        if let Some((facts, old)) = verified.session().zip(before.and_then(Verified::session)) {
            facts.go_on_from(old);
            if before.is_some_and(|before| before.generation == self.number) {
                facts.go_on_with_device(old);
            }
        }
        let verified = Arc::new(verified);
        self.ground.handles.remember(Arc::clone(&verified));
        verified
    }

    /// What was remembered under another configuration, as this one shows it to backends.
    fn dressed(&self, known: &Arc<Verified>) -> Arc<Verified> {
        if known.generation == self.number {
            return Arc::clone(known);
        }
        let Some(before) = lease(known) else { return Arc::clone(known) };
        let again = self.remembering(known.token(), known.principal.clone(), before.again());
        again.map_or_else(
            |_| Arc::clone(known),
            |again| self.remember(again.with_claims_of(known.claims()), Some(known)),
        )
    }

    /// A request of `verified` was let through, and counts as a use.
    pub async fn note_use(&self, verified: &Arc<Verified>, now: UnixTime) {
        self.ground.activity.note(verified, now);
        if lease(verified).is_some_and(|lease| lease.must_tell(now)) {
            // What could not be told now stands on the list of the next flush.
            let _ = Box::pin(self.tell(verified, now)).await;
        }
    }

    /// Puts off the idle end of a session, on request; counted as a renewal is, for it asks as much of the store. `false`:
    /// it has ended.
    ///
    /// # Errors
    /// Too often; or 503: the store cannot be asked.
    pub async fn extend(&self, verified: &Arc<Verified>, now: UnixTime) -> Result<bool, Over> {
        if let Some((limits, facts)) = self.limits.as_ref().zip(verified.session()) {
            limits.charge_family(facts.id).await?;
            limits.charge_user(facts.user).await?;
        }
        self.ground.activity.note(verified, now);
        self.tell(verified, now).await.map_err(|denial| Over { denial, headers: Vec::new() })
    }

    async fn tell(&self, verified: &Verified, now: UnixTime) -> Result<bool, Denial> {
        let Some(facts) = verified.session() else { return Ok(false) };
        let idle = self.terms.lifetimes.idle;
        let touch = Touch { user: facts.user, id: facts.id, last_seen: end_of(now), idle };
        let alive = self.ground.store.touch(&[touch]).await?.first() == Some(&true);
        activity::told(verified, &touch, alive);
        Ok(alive)
    }

    /// Whose session a handle is, whether or not it may still be used.
    pub(super) async fn place_of_handle(&self, held: &OurCookies<'_>) -> Result<Option<Place>, Denial> {
        let SessionCookie::Value(text) = held.session() else { return Ok(None) };
        let Some(found) = self.ground.handle_ring.read(&text) else { return Ok(None) };
        if let Some(known) = self.ground.handles.find(&text) {
            return Ok(known.session().map(|facts| Place { user: facts.user, id: facts.id }));
        }
        let stored = self.ground.store.by_handle(found.user, found.hash).await?;
        Ok(stored.map(|stored| Place { user: found.user, id: stored.id }))
    }

    pub(super) fn new_handle(&self, user: UserHash) -> Handle {
        self.ground.handle_ring.mint(user, &random())
    }
}

/// Alive for certain, by what is known here.
fn is_alive(verified: &Verified, now: UnixTime) -> bool {
    let Some(facts) = verified.session() else { return false };
    facts.lease().is_some_and(|lease| lease.is_alive(facts.last_use(), now))
}

fn lease(verified: &Verified) -> Option<&Lease> {
    verified.session().and_then(SessionFacts::lease)
}

/// How long a session lasts if nobody uses it.
#[must_use]
pub fn left(times: &Times, now: UnixTime) -> std::time::Duration {
    times.expires().since(Millis::from(now))
}

#[cfg(test)]
#[path = "opaque_tests.rs"]
mod tests;
