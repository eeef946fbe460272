//! Sessions and families in memory. The verdicts are the domain's; here is only where they are kept.

use super::{Kept, Memory, State, Timer, User};
use crate::domain::family::{present, Family, Presentation, Rules};
use crate::domain::session::{FamilyId, HandleHash, Millis, OnLimit, ProviderSid, SessionId, Times, UserHash};
use crate::ports::store::{Created, Families, Limit, NewSession, Rewrote, Ruling, Sessions, StoreError, Stored, Touch};
use async_trait::async_trait;
use std::sync::Arc;

#[async_trait]
impl Sessions for Memory {
    async fn create(&self, new: &NewSession, limit: &Limit<'_>) -> Result<Created, StoreError> {
        self.change(|state, now| {
            if let Some(kept) = state.live(new.user, new.id, now) {
                return Ok(Created::Done(kept.times));
            }
            let victims = match state.make_room(new.user, limit, now) {
                Room::Full => return Ok(Created::Full),
                Room::Needs(missing) => return Ok(Created::Revoke(missing)),
                Room::After(victims) => victims,
            };
            if victims.is_empty() {
                self.room(state, now, |state| state.sessions, self.bounds.sessions)?;
            }
            for victim in victims {
                state.end(new.user, victim);
            }
            Ok(Created::Done(state.insert(new, now)))
        })
    }

    async fn load(&self, user: UserHash, id: SessionId) -> Result<Option<Stored>, StoreError> {
        Ok(self.with(|state, now| state.live(user, id, now).map(|kept| kept.stored())))
    }

    async fn by_handle(&self, user: UserHash, handle: HandleHash) -> Result<Option<Stored>, StoreError> {
        Ok(self.with(|state, now| {
            let known = state.users.get(&user)?;
            let found = known.sessions.iter().find(|kept| kept.handle == Some(handle) && !kept.times.is_over(now));
            found.map(Kept::stored)
        }))
    }

    async fn list(&self, user: UserHash) -> Result<Vec<Stored>, StoreError> {
        Ok(self.with(|state, now| {
            let known = state.users.get(&user).map_or(&[][..], |known| &known.sessions);
            known.iter().filter(|kept| !kept.times.is_over(now)).map(Kept::stored).collect()
        }))
    }

    async fn touch(&self, touches: &[Touch]) -> Result<Vec<bool>, StoreError> {
        Ok(self.change(|state, now| {
            let touched = touches.iter().map(|touch| {
                let Some(kept) = state.live(touch.user, touch.id, now) else { return false };
                kept.times.touch(touch.last_seen, touch.idle, now);
                true
            });
            touched.collect()
        }))
    }

    async fn rewrite(&self, user: UserHash, id: SessionId, seen: u64, body: &[u8]) -> Result<Rewrote, StoreError> {
        Ok(self.change(|state, now| match state.live(user, id, now) {
            None => Rewrote::Gone,
            Some(kept) if kept.version != seen => Rewrote::Stale(kept.stored()),
            Some(kept) => {
                kept.version = kept.version.saturating_add(1);
                kept.body = body.into();
                Rewrote::Done(kept.version)
            }
        }))
    }

    async fn end(&self, user: UserHash, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.change(|state, now| {
            let lived = state.live(user, id, now).is_some();
            state.end(user, id);
            lived
        }))
    }

    async fn end_all(&self, user: UserHash) -> Result<Vec<SessionId>, StoreError> {
        Ok(self.change(|state, now| {
            let live = state.live_ids(user, now);
            live.iter().for_each(|id| state.end(user, *id));
            live
        }))
    }

    async fn by_provider_sid(&self, sid: ProviderSid) -> Result<Vec<(UserHash, SessionId)>, StoreError> {
        Ok(self.with(|state, now| {
            let known = state.providers.get(&sid).map_or(&[][..], Vec::as_slice);
            known.iter().filter(|(.., until)| *until > now).map(|(user, id, _)| (*user, *id)).collect()
        }))
    }
}

#[async_trait]
impl Families for Memory {
    async fn present(
        &self,
        user: UserHash,
        family: FamilyId,
        shown: &Presentation,
        rules: &Rules,
    ) -> Result<Option<Ruling>, StoreError> {
        Ok(self.change(|state, now| {
            let family = state.family(user, family)?;
            let verdict = present(family, shown, rules, now);
            Some(Ruling { verdict, session: family.session, absolute: family.absolute })
        }))
    }

    async fn confirm(&self, user: UserHash, family: FamilyId, generation: u32) -> Result<bool, StoreError> {
        Ok(self.change(|state, now| {
            let known = state.family(user, family).filter(|family| family.kept_until() > now);
            known.map(|family| family.confirm(generation)).is_some()
        }))
    }

    async fn revoke(&self, user: UserHash, family: FamilyId) -> Result<bool, StoreError> {
        Ok(self.change(|state, now| {
            let known = state.family(user, family).filter(|family| family.kept_until() > now);
            known.map(|family| family.revoked = true).is_some()
        }))
    }
}

/// Whether one more session fits.
enum Room {
    Full,
    /// These are in the way and not revoked yet.
    Needs(Vec<SessionId>),
    /// When these are gone.
    After(Vec<SessionId>),
}

impl State {
    fn make_room(&self, user: UserHash, limit: &Limit<'_>, now: Millis) -> Room {
        let live = self.live_ids(user, now);
        let over = match limit.on_limit {
            OnLimit::Single => live.len(),
            OnLimit::EvictOldest | OnLimit::Reject => (live.len() + 1).saturating_sub(limit.cap.max(1)),
        };
        if over > 0 && limit.on_limit == OnLimit::Reject {
            return Room::Full;
        }
        let victims: Vec<SessionId> = live.into_iter().take(over).collect();
        let missing: Vec<SessionId> = victims.iter().filter(|id| !limit.revoked.contains(id)).copied().collect();
        if missing.is_empty() {
            Room::After(victims)
        } else {
            Room::Needs(missing)
        }
    }

    fn insert(&mut self, new: &NewSession, now: Millis) -> Times {
        let times = Times::begin(now, new.lifetimes);
        let family = new.family.map(|family| family.id);
        self.remove_session(new.user, new.id);
        let user = Arc::make_mut(self.users.entry(new.user).or_default());
        let (id, handle, body) = (new.id, new.handle, new.body.as_slice().into());
        user.sessions.push(Kept { id, handle, family, version: 1, times, body });
        self.sessions += 1;
        self.timers.insert((times.expires(), Timer::Session(new.user, id)));
        if let Some(begun) = new.family {
            let family = Family::begin(id, now, begun.lifetimes);
            self.timers.insert((family.kept_until(), Timer::Family(new.user, begun.id)));
            user.families.insert(begun.id, family);
        }
        if let Some(sid) = new.provider_sid {
            self.providers.entry(sid).or_default().push((new.user, id, times.absolute));
            self.timers.insert((times.absolute, Timer::Provider(sid)));
        }
        times
    }

    pub(super) fn session(&mut self, user: UserHash, id: SessionId) -> Option<&mut Kept> {
        self.user(user)?.sessions.iter_mut().find(|kept| kept.id == id)
    }

    pub(super) fn family(&mut self, user: UserHash, id: FamilyId) -> Option<&mut Family> {
        self.user(user)?.families.get_mut(&id)
    }

    fn user(&mut self, user: UserHash) -> Option<&mut User> {
        self.users.get_mut(&user).map(Arc::make_mut)
    }

    fn live(&mut self, user: UserHash, id: SessionId, now: Millis) -> Option<&mut Kept> {
        self.session(user, id).filter(|kept| !kept.times.is_over(now))
    }

    fn live_ids(&self, user: UserHash, now: Millis) -> Vec<SessionId> {
        let known = self.users.get(&user).map_or(&[][..], |known| &known.sessions);
        known.iter().filter(|kept| !kept.times.is_over(now)).map(|kept| kept.id).collect()
    }

    fn end(&mut self, user: UserHash, id: SessionId) {
        let family = self.remove_session(user, id).and_then(|kept| kept.family);
        if let Some(family) = family.and_then(|family| self.family(user, family)) {
            family.revoked = true;
        }
    }

    pub(super) fn remove_session(&mut self, user: UserHash, id: SessionId) -> Option<Kept> {
        let known = self.user(user)?;
        let at = known.sessions.iter().position(|kept| kept.id == id)?;
        let removed = known.sessions.remove(at);
        self.sessions -= 1;
        self.forget_if_empty(user);
        Some(removed)
    }

    pub(super) fn remove_family(&mut self, user: UserHash, id: FamilyId) {
        if let Some(known) = self.user(user) {
            known.families.remove(&id);
        }
        self.forget_if_empty(user);
    }

    fn forget_if_empty(&mut self, user: UserHash) {
        let empty = |known: &Arc<User>| known.sessions.is_empty() && known.families.is_empty();
        if self.users.get(&user).is_some_and(empty) {
            self.users.remove(&user);
        }
    }
}
