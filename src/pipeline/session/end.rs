//! Sessions seen by their user, and ended.

use super::{Ground, House, Place, Record};
use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::logout::Ends;
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::domain::session::{ProviderSid, SessionId, Times, UserHash};
use crate::pipeline::cache::Verified;
use crate::ports::store::{StoreError, Stored};
use crate::ports::{RevokedFor, SessionEvent};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// One session, as its user is shown it.
#[derive(Debug)]
pub struct Listed {
    pub id: SessionId,
    pub times: Times,
    pub record: Record,
}

/// One session, as it is kept.
#[derive(Debug)]
pub struct Kept {
    pub id: SessionId,
    pub times: Times,
    /// `None`: it cannot be opened here, and the session lives all the same.
    pub record: Option<Record>,
}

impl House {
    /// The sessions of one user, oldest first; those that cannot be opened have nothing to show.
    ///
    /// # Errors
    /// 503: the store cannot be asked.
    pub async fn list(&self, user: UserHash) -> Result<Vec<Listed>, Denial> {
        let kept = self.ground.list(user).await?;
        let shown = |Kept { id, times, record }| Some(Listed { id, times, record: record? });
        Ok(kept.into_iter().filter_map(shown).collect())
    }

    /// What one session says, and how long it lives; `None` when it has ended.
    ///
    /// # Errors
    /// 503: the store cannot be asked, or what it says cannot be opened.
    pub async fn look(&self, place: Place) -> Result<Option<(Record, Times)>, Denial> {
        let Some(stored) = self.ground.store.load(place.user, place.id).await? else { return Ok(None) };
        Ok(Some((Record::open(&self.ground.seals, place, &stored.body)?, stored.times)))
    }

    /// Whether the store has this session, be its record readable or not.
    ///
    /// # Errors
    /// 503: the store cannot be asked.
    pub async fn is_there(&self, place: Place) -> Result<bool, Denial> {
        Ok(self.ground.store.load(place.user, place.id).await?.is_some())
    }

    /// Ends one session of `user`, whether or not its record can be opened. `false`: they have none of that name, and
    /// nothing was done; for names are public, and nobody may end a session that is not theirs by naming it. `from` is
    /// where that was asked for.
    ///
    /// # Errors
    /// 503: the store cannot be asked.
    pub async fn end(self: &Arc<Self>, place: Place, from: Option<IpAddr>) -> Result<bool, Denial> {
        let Place { user, id } = place;
        let Some(stored) = self.ground.store.load(user, id).await? else { return Ok(false) };
        self.ground.revocations.revoke_session(id, RevokedFor::SignOut).await;
        let ended = self.ground.store.end(user, id).await;
        let record = Record::open(&self.ground.seals, place, &stored.body).ok();
        let detail = if record.is_some() { "" } else { "its record could not be opened" };
        self.told_end(Ending { name: "sign_out", detail, from }, id, record);
        // Revoked it is already, should the record have stayed.
        Ok(ended.map(|_| true)?)
    }

    /// Ends the session whose holder is asking, also when the store cannot be asked: here its tokens count no longer. One
    /// without a record may still have a token that lives; that is written down once, or an old renewal token could fill
    /// the list.
    ///
    /// # Errors
    /// 503: other replicas may not have heard of it.
    pub async fn sign_out(self: &Arc<Self>, place: Place, from: Option<IpAddr>) -> Result<(), Denial> {
        match self.end(place, from).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                if !self.is_revoked(place.id) {
                    self.ground.revocations.revoke_session(place.id, RevokedFor::SignOut).await;
                }
                Ok(())
            }
            Err(denial) => {
                self.ground.revocations.revoke_session(place.id, RevokedFor::SignOut).await;
                Err(denial)
            }
        }
    }

    /// Ends one access token; its session goes on. Of one that counts no longer nothing is written down.
    pub async fn revoke_token(&self, verified: &Verified, from: Option<IpAddr>) {
        let jti = verified.principal.claims.get("jti").and_then(Value::as_str);
        // Only what is revoked already: while the user is blocked or the list was never seen it may come to count again.
        let over = self
            .check_revoked(verified)
            .is_err_and(|denial| [Code::TokenRevoked, Code::SessionTerminated].contains(&denial.code));
        let Some(jti) = jti.filter(|_| !over) else { return };
        self.ground.revocations.revoke_token(jti, verified.principal.expires, RevokedFor::SignOut).await;
        self.ground.events.noted(&SessionEvent {
            name: "token_revoked",
            session: verified.session().map(|facts| facts.id),
            provider: verified.principal.source.as_str(),
            subject: &verified.principal.subject,
            client: from,
            detail: "given up by whoever held it",
        });
    }

    /// Ends every session of `user` but `kept`.
    ///
    /// # Errors
    /// As [`House::end`].
    pub async fn end_others(
        self: &Arc<Self>,
        user: UserHash,
        kept: Option<SessionId>,
        from: Option<IpAddr>,
    ) -> Result<(), Denial> {
        for Stored { id, .. } in self.ground.store.list(user).await? {
            if Some(id) != kept {
                self.end(Place { user, id }, from).await?;
            }
        }
        Ok(())
    }

    /// What a provider's logout token ends.
    ///
    /// # Errors
    /// 503: the store cannot be asked, and the provider shall try again.
    pub async fn end_by_provider(self: &Arc<Self>, provider: &SourceName, ends: &Ends) -> Result<(), Denial> {
        match ends {
            Ends::Everything { subject } => {
                let user = UserHash::of(provider, subject);
                self.ground.revocations.revoke_user(provider, subject, RevokedFor::Provider).await;
                // Once they have ended nobody can read any more what they held.
                let mut known = self.list(user).await?;
                for id in self.ground.store.end_all(user).await? {
                    self.ground.revocations.revoke_session(id, RevokedFor::Provider).await;
                    let at = known.iter().position(|listed| listed.id == id);
                    self.told_end(BY_PROVIDER, id, at.map(|at| known.swap_remove(at).record));
                }
            }
            Ends::Session { sid, subject } => {
                let expected = subject.as_ref().map(|subject| UserHash::of(provider, subject));
                let found = self.ground.store.by_provider_sid(ProviderSid::of(provider, sid)).await?;
                let meant = |user: UserHash| expected.is_none_or(|expected| expected == user);
                for (user, id) in found.into_iter().filter(|(user, _)| meant(*user)) {
                    self.ground.revocations.revoke_session(id, RevokedFor::Provider).await;
                    let record = self.open(Place { user, id }).await.map(|(record, _)| record);
                    if self.ground.store.end(user, id).await? {
                        self.told_end(BY_PROVIDER, id, record);
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends a session that is not to go on, and gives back what its provider gave for it. `why` it is done is for its
    /// caller to write down.
    pub(super) async fn end_revoked(&self, place: Place, why: RevokedFor) {
        self.ground.revocations.revoke_session(place.id, why).await;
        let record = self.open(place).await.map(|(record, _)| record);
        // Revoked it is already; a record that stays behind ends by itself.
        let _ = self.ground.store.end(place.user, place.id).await;
        // What a provider takes away need not be given back.
        record.filter(|_| why != RevokedFor::Provider).into_iter().for_each(|record| self.ground.give_back(record));
    }

    /// A session has made room for a newer one of its user. It is revoked; its record goes when the newer one is made.
    pub(super) async fn evict(&self, place: Place, from: Option<IpAddr>) {
        self.ground.revocations.revoke_session(place.id, RevokedFor::Limit).await;
        self.ground.events.evicted(self.terms.on_limit);
        let record = self.open(place).await.map(|(record, _)| record);
        let detail = "its user signed in once more, and had as many sessions as they may";
        self.told_end(Ending { name: "session_evicted", detail, from }, place.id, record);
    }

    /// Writes down that a session has ended, and gives back what its provider gave for it.
    fn told_end(&self, Ending { name, detail, from }: Ending, id: SessionId, record: Option<Record>) {
        let said = record.as_ref().map(|record| (&*record.provider, &*record.subject));
        let (provider, subject) = said.unwrap_or_default();
        self.ground.events.noted(&SessionEvent { name, session: Some(id), provider, subject, client: from, detail });
        record.into_iter().for_each(|record| self.ground.give_back(record));
    }
}

impl Ground {
    /// Every session of one user, oldest first.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn list(&self, user: UserHash) -> Result<Vec<Kept>, StoreError> {
        let open = |Stored { id, times, body, .. }| {
            let record = Record::open(&self.seals, Place { user, id }, &body);
            let record = record.inspect_err(|unopened| tracing::warn!(session = %id, "cannot be opened: {unopened}"));
            Kept { id, times, record: record.ok() }
        };
        Ok(self.store.list(user).await?.into_iter().map(open).collect())
    }

    /// Ends the session of an operator's order, which is revoked already. Whether it was there.
    ///
    /// # Errors
    /// The record may have stayed.
    pub async fn end_ordered(&self, place: Place) -> Result<bool, StoreError> {
        let stored = self.store.load(place.user, place.id).await.ok().flatten();
        let ended = self.store.end(place.user, place.id).await;
        let record = stored.and_then(|stored| Record::open(&self.seals, place, &stored.body).ok());
        record.into_iter().for_each(|record| self.give_back(record));
        ended
    }

    /// Tells the provider that nobody needs its refresh token any more. Nobody waits for that.
    fn give_back(&self, record: Record) {
        let provider = self.providers.lock().get(&SourceName::new(&record.provider)).map(Arc::clone);
        let refresh = record.provider_tokens.and_then(|tokens| tokens.refresh);
        if let Some((provider, refresh)) = provider.zip(refresh) {
            tokio::spawn(async move { provider.revoke(&Secret::new(refresh.into_bytes())).await });
        }
    }
}

/// How a session ended, for the audit log.
struct Ending {
    name: &'static str,
    detail: &'static str,
    from: Option<IpAddr>,
}

const BY_PROVIDER: Ending =
    Ending { name: "provider_ended_session", detail: "the provider sent a logout token", from: None };

#[cfg(test)]
#[path = "end_tests.rs"]
mod tests;
