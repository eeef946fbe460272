//! Sessions and families in Redis: which script, with which arguments, and how its answer reads.

use super::script::{self, unreadable, Call, Reply};
use super::Redis;
use crate::domain::family::{Presentation, Rotation, Rules, Transport, Verdict};
use crate::domain::session::{whole, FamilyId, HandleHash, Millis, OnLimit, ProviderSid, SessionId, Times, UserHash};
use crate::ports::store::{Created, Families, Limit, NewSession, Rewrote, Ruling, Sessions, StoreError, Stored, Touch};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Users whose sessions are touched at the same time.
const TOUCHED_AT_ONCE: usize = 64;

#[async_trait]
impl Sessions for Redis {
    async fn create(&self, new: &NewSession, limit: &Limit<'_>) -> Result<Created, StoreError> {
        self.note_provider(new).await?;
        let policy = match limit.on_limit {
            OnLimit::EvictOldest => "evict_oldest",
            OnLimit::Reject => "reject",
            OnLimit::Single => "single",
        };
        let (idle, absolute) = (whole(new.lifetimes.idle), whole(new.lifetimes.absolute));
        let call = self.of_user(&script::CREATE, new.user).arg(new.id.to_string()).arg(limit.cap.max(1).to_string());
        let call = call.arg(policy).number(idle).number(absolute);
        let call = call.arg(new.handle.map(|handle| handle.text()).unwrap_or_default());
        let call = match new.family {
            None => call.arg("").arg("").arg(""),
            Some(family) => {
                let (idle, absolute) = (whole(family.lifetimes.idle), whole(family.lifetimes.absolute));
                call.arg(family.id.to_string()).number(idle).number(absolute)
            }
        };
        let call = call.arg(&new.body);
        let call = limit.revoked.iter().fold(call, |call, id| call.arg(id.to_string()));
        let mut reply = self.run(call).await?;
        match reply.text()?.as_str() {
            "DONE" => reply.times().map(Created::Done),
            "FULL" => Ok(Created::Full),
            "REVOKE" => reply.rest(Reply::id).map(Created::Revoke),
            _ => Err(unreadable()),
        }
    }

    async fn load(&self, user: UserHash, id: SessionId) -> Result<Option<Stored>, StoreError> {
        self.run(self.of_user(&script::LOAD, user).arg(id.to_string())).await?.stored()
    }

    async fn by_handle(&self, user: UserHash, handle: HandleHash) -> Result<Option<Stored>, StoreError> {
        self.run(self.of_user(&script::BY_HANDLE, user).arg(handle.text())).await?.stored()
    }

    async fn list(&self, user: UserHash) -> Result<Vec<Stored>, StoreError> {
        let mut reply = self.run(self.of_user(&script::LIST, user)).await?;
        reply.rest(|reply| reply.stored()?.ok_or_else(unreadable))
    }

    async fn touch(&self, touches: &[Touch]) -> Result<Vec<bool>, StoreError> {
        let mut by_user: BTreeMap<UserHash, Vec<(usize, Touch)>> = BTreeMap::new();
        for (at, touch) in touches.iter().enumerate() {
            by_user.entry(touch.user).or_default().push((at, *touch));
        }
        let mut by_user = by_user.into_iter();
        let mut alive = vec![false; touches.len()];
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < TOUCHED_AT_ONCE {
                let Some((user, touches)) = by_user.next() else { break };
                let store = self.clone();
                under_way.spawn(async move { store.touch_user(user, touches).await });
            }
            let Some(done) = under_way.join_next().await else { return Ok(alive) };
            for (at, lives) in done.map_err(|_| StoreError("a task broke off".to_owned()))?? {
                alive.get_mut(at).into_iter().for_each(|slot| *slot = lives);
            }
        }
    }

    async fn rewrite(&self, user: UserHash, id: SessionId, seen: u64, body: &[u8]) -> Result<Rewrote, StoreError> {
        let call = self.of_user(&script::REWRITE, user).arg(id.to_string()).number(seen).arg(body);
        let mut reply = self.run(call).await?;
        match reply.text()?.as_str() {
            "DONE" => reply.number().map(Rewrote::Done),
            "STALE" => reply.stored()?.map(Rewrote::Stale).ok_or_else(unreadable),
            "GONE" => Ok(Rewrote::Gone),
            _ => Err(unreadable()),
        }
    }

    async fn end(&self, user: UserHash, id: SessionId) -> Result<bool, StoreError> {
        self.agree(self.of_user(&script::END, user).arg(id.to_string())).await
    }

    async fn end_all(&self, user: UserHash) -> Result<Vec<SessionId>, StoreError> {
        self.run(self.of_user(&script::END_ALL, user)).await?.rest(Reply::id)
    }

    async fn by_provider_sid(&self, sid: ProviderSid) -> Result<Vec<(UserHash, SessionId)>, StoreError> {
        let mut reply = self.run(self.of_key(&script::PROVIDER_FIND, 'x', &sid.to_string())).await?;
        reply.rest(|reply| {
            let entry = reply.text()?;
            let (user, id) = entry.split_once(':').ok_or_else(unreadable)?;
            Ok((UserHash::parse(user).ok_or_else(unreadable)?, SessionId::parse(id).ok_or_else(unreadable)?))
        })
    }
}

impl Redis {
    /// Before the session exists: its provider must never know of one that we could not find. An entry without a
    /// session does no harm.
    async fn note_provider(&self, new: &NewSession) -> Result<(), StoreError> {
        let Some(sid) = new.provider_sid else { return Ok(()) };
        let entry = format!("{}:{}", new.user, new.id);
        let call = self.of_key(&script::PROVIDER_NOTE, 'x', &sid.to_string());
        self.run(call.arg(entry).number(whole(new.lifetimes.absolute))).await.map(drop)
    }

    async fn touch_user(&self, user: UserHash, touches: Vec<(usize, Touch)>) -> Result<Vec<(usize, bool)>, StoreError> {
        let call = touches.iter().fold(self.of_user(&script::TOUCH, user), |call, (_, touch)| {
            call.arg(touch.id.to_string()).number(touch.last_seen.0).number(whole(touch.idle))
        });
        let mut reply = self.run(call).await?;
        touches.into_iter().map(|(at, _)| Ok((at, reply.flag()?))).collect()
    }
}

#[async_trait]
impl Families for Redis {
    async fn present(
        &self,
        user: UserHash,
        family: FamilyId,
        shown: &Presentation,
        rules: &Rules,
    ) -> Result<Option<Ruling>, StoreError> {
        let mut reply = self.run(self.presented(user, family, shown, rules)).await?;
        if reply.is_empty() {
            return Ok(None);
        }
        let (verdict, generation) = (reply.text()?, reply.number()?);
        let verdict = verdict_of(&verdict, generation).ok_or_else(unreadable)?;
        Ok(Some(Ruling { verdict, session: reply.id()?, absolute: Millis(reply.number()?) }))
    }

    async fn confirm(&self, user: UserHash, family: FamilyId, generation: u32) -> Result<bool, StoreError> {
        self.agree(self.of_user(&script::CONFIRM, user).arg(family.to_string()).number(generation)).await
    }

    async fn revoke(&self, user: UserHash, family: FamilyId) -> Result<bool, StoreError> {
        self.agree(self.of_user(&script::REVOKE, user).arg(family.to_string())).await
    }
}

impl Redis {
    /// The nonce makes it one question, however often a cluster's client repeats it.
    pub(super) fn presented(&self, user: UserHash, family: FamilyId, shown: &Presentation, rules: &Rules) -> Call {
        let flag = |is: bool| if is { "1" } else { "0" };
        let rotation = match rules.rotation {
            Rotation::Always => "always",
            Rotation::Never => "never",
        };
        let transport = match shown.transport {
            Transport::Cookie => "cookie",
            Transport::Body => "body",
        };
        let call = self.of_user(&script::PRESENT, user).arg(family.to_string()).number(shown.generation);
        let call = call.number(whole(rules.grace)).number(whole(rules.idle)).arg(rotation);
        let call = call.number(rules.max_grace_streak).arg(flag(shown.same_device)).arg(flag(shown.bounced));
        call.arg(transport).arg(fastrand::u128(..).to_string())
    }
}

fn verdict_of(word: &str, generation: u32) -> Option<Verdict> {
    Some(match word {
        "ROTATED" => Verdict::Rotated(generation),
        "SAME" => Verdict::Same(generation),
        "REISSUED" => Verdict::Reissued(generation),
        "GRACE" => Verdict::Grace(generation),
        "STEPUP" => Verdict::StepUp,
        "BOUNCE" => Verdict::Bounce,
        "REUSE" => Verdict::Reuse,
        "REVOKED" => Verdict::Revoked,
        "EXPIRED" => Verdict::Expired,
        _ => return None,
    })
}

impl Reply {
    fn id(&mut self) -> Result<SessionId, StoreError> {
        SessionId::parse(&self.text()?).ok_or_else(unreadable)
    }

    fn times(&mut self) -> Result<Times, StoreError> {
        let (created, last_seen) = (Millis(self.number()?), Millis(self.number()?));
        let idle = Duration::from_millis(self.number()?);
        Ok(Times { created, last_seen, idle, absolute: Millis(self.number()?) })
    }

    /// A record as the prelude's `record` lists it, or none.
    fn stored(&mut self) -> Result<Option<Stored>, StoreError> {
        if self.is_empty() {
            return Ok(None);
        }
        let (id, version, times) = (self.id()?, self.number()?, self.times()?);
        let family = match self.text()?.as_str() {
            "" => None,
            name => Some(FamilyId::parse(name).ok_or_else(unreadable)?),
        };
        Ok(Some(Stored { id, version, times, family, body: self.bytes()? }))
    }
}
