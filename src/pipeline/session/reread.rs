//! What is said of a user, read again while their session goes on: by their provider, or in our own file.
//!
//! A provider's refresh token often counts once. So one replica at a time spends it, in a task that no client can
//! break off, and what came back is saved before anybody else may ask.

use super::{random, House, Place, ProviderTokens, Record};
use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::id_token::{Occasion, Terms};
use crate::domain::oidc::{IdToken, Identity};
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use crate::ports::provider::{keys_out_of_reach, Provider, ProviderError, Tokens};
use crate::ports::store::{Nonce, Rewrote};
use crate::ports::users::LocalUsers;
use crate::ports::{with_keys, Keys, RevokedFor, SessionEvent};
use std::sync::Arc;
use std::time::Duration;

/// Longer than a provider may take, its metadata, a second try and its user information included.
const LOCK: Duration = Duration::from_secs(30);
/// How long a renewal waits for fresh claims before it goes on with those it has.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a save may lose against others.
const SAVES: usize = 5;

/// What came of asking the provider.
#[derive(Clone, Debug)]
pub(super) enum Reread {
    Fresh(Box<Record>),
    /// Somebody else is asking, or nobody answers: what is known goes on.
    Unchanged,
    /// The provider has ended it.
    Ended,
}

impl House {
    /// `record` with claims no older than an access token, if the provider says so in time.
    pub(super) async fn refreshed(
        self: &Arc<Self>,
        place: Place,
        record: Record,
        now: UnixTime,
    ) -> Result<Record, Denial> {
        if let Some(users) = self.users.get(&SourceName::new(&record.provider)) {
            return self.refreshed_here(place, record, &**users, now).await;
        }
        let Some(provider) = self.providers.get(&SourceName::new(&record.provider)).map(Arc::clone) else {
            return Err(Denial::new(Code::SessionTerminated, "the provider of this session is no longer configured"));
        };
        let old = now.since(UnixTime(record.claims_at)) >= self.terms.access_ttl;
        let asks = record.provider_tokens.as_ref().is_some_and(|tokens| tokens.refresh.is_some());
        if !old || !asks {
            return Ok(record);
        }
        let house = Arc::clone(self);
        let work = async move { house.reread(place, &*provider, now).await };
        let asked = self.ground.rereads.join(place.id, work);
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(Reread::Fresh(fresh))) => Ok(*fresh),
            Ok(Some(Reread::Ended)) => Err(Denial::new(Code::SessionTerminated, "the provider has ended the session")),
            Ok(Some(Reread::Unchanged) | None) | Err(_) => Ok(record),
        }
    }

    /// Our own file costs nothing to look at, so it counts at every renewal.
    async fn refreshed_here(
        &self,
        place: Place,
        mut record: Record,
        users: &dyn LocalUsers,
        now: UnixTime,
    ) -> Result<Record, Denial> {
        let Some(user) = users.find(&record.subject) else {
            self.note(&record, place, "user_removed", "the user stands in the file no more");
            self.end_revoked(place, RevokedFor::Provider).await;
            return Err(Denial::new(Code::SessionTerminated, "the user was removed"));
        };
        let identity = user.identity(now);
        let old = now.since(UnixTime(record.claims_at)) >= self.terms.access_ttl;
        if old || !record.agrees_with(&identity) {
            self.keep_claims(place, &identity, now).await;
        }
        record.learn(&identity, true, now);
        Ok(record)
    }

    /// So that others see what is said now. Whoever was quicker read the same file, or reads it next time.
    async fn keep_claims(&self, place: Place, identity: &Identity, now: UnixTime) {
        let Some((mut record, version)) = self.open(place).await else { return };
        record.learn(identity, true, now);
        if let Ok(body) = record.seal(&self.ground.seals, place, random()) {
            let _ = self.ground.store.rewrite(place.user, place.id, version, &body).await;
        }
    }

    async fn reread(&self, place: Place, provider: &dyn Provider, now: UnixTime) -> Reread {
        let (name, nonce) = (format!("provider:{}", place.id), Nonce(random()));
        if !matches!(self.ground.store.acquire(&name, &nonce, LOCK).await, Ok(true)) {
            return Reread::Unchanged;
        }
        let reread = self.reread_alone(place, provider, now).await;
        // It ends by itself, should this be lost.
        let _ = self.ground.store.release(&name, &nonce).await;
        reread
    }

    async fn reread_alone(&self, place: Place, provider: &dyn Provider, now: UnixTime) -> Reread {
        // Whoever had the lock before may just have done it.
        let Some((mut record, version)) = self.open(place).await else { return Reread::Unchanged };
        if now.since(UnixTime(record.claims_at)) < self.terms.access_ttl {
            return Reread::Fresh(Box::new(record));
        }
        let Some(tokens) = &mut record.provider_tokens else { return Reread::Unchanged };
        let Some(spent) = tokens.refresh.clone() else { return Reread::Unchanged };
        // Before it is shown: whoever comes after us, should we vanish, has to know.
        let shown_before = std::mem::replace(&mut tokens.shown, true);
        let Some(version) = self.write(place, &record, version).await else { return Reread::Unchanged };
        match provider.refresh(&Secret::new(spent.into_bytes())).await {
            Ok(tokens) => self.take_over(place, provider, (record, version), (&tokens, now)).await,
            // Spent by us perhaps, and the answer was lost on its way: no word of the provider on the session, which goes
            // on to its own end with the claims it has. And the token will get no other answer, so it is not shown again.
            Err(ProviderError::InvalidGrant) if shown_before => {
                self.note(
                    &record,
                    place,
                    "provider_token_lost",
                    "the provider is not asked about this session any more",
                );
                record.provider_tokens =
                    record.provider_tokens.map(|tokens| ProviderTokens { refresh: None, shown: false, ..tokens });
                let _ = self.write(place, &record, version).await;
                Reread::Unchanged
            }
            Err(ProviderError::InvalidGrant) => {
                self.note(&record, place, "provider_ended_session", "the refresh token counts no longer");
                self.end_revoked(place, RevokedFor::Provider).await;
                Reread::Ended
            }
            // It is as good as it was: a "no" to it later is to be believed, unless an earlier answer was lost.
            Err(error @ (ProviderError::Unsent(_) | ProviderError::Refused(_))) => {
                tracing::warn!(provider = record.provider, "claims not read again: {error}");
                if let Some(tokens) = record.provider_tokens.as_mut().filter(|_| !shown_before) {
                    tokens.shown = false;
                    let _ = self.write(place, &record, version).await;
                }
                Reread::Unchanged
            }
            // Shown, and nobody knows what came of it. Providers forgive a second use for a while, so the next renewal
            // shows it once more; whatever is said to that is the last word.
            Err(error @ ProviderError::Away(_)) => {
                tracing::warn!(provider = record.provider, "claims not read again: {error}");
                Reread::Unchanged
            }
        }
    }

    /// The new version of what is stored; `None` when somebody else was quicker, or the store cannot be asked.
    async fn write(&self, place: Place, record: &Record, version: u64) -> Option<u64> {
        let body = record.seal(&self.ground.seals, place, random()).ok()?;
        match self.ground.store.rewrite(place.user, place.id, version, &body).await {
            Ok(Rewrote::Done(version)) => Some(version),
            Ok(Rewrote::Stale(_) | Rewrote::Gone) | Err(_) => None,
        }
    }

    async fn take_over(
        &self,
        place: Place,
        provider: &dyn Provider,
        (mut record, version): (Record, u64),
        (tokens, now): (&Tokens, UnixTime),
    ) -> Reread {
        match identity(provider, &record.subject, tokens, now).await {
            Ok(Some(identity)) => record.learn(&identity, provider.settings().trust_email, now),
            Ok(None) => {}
            // A new refresh token must be kept even when what came with it cannot be believed.
            Err(denial) => tracing::warn!(provider = record.provider, "claims not read again: {}", denial.detail),
        }
        keep(&mut record, tokens);
        self.save(place, provider, record, version).await
    }

    async fn save(&self, place: Place, provider: &dyn Provider, mut record: Record, mut version: u64) -> Reread {
        for _ in 0..SAVES {
            let Ok(body) = record.seal(&self.ground.seals, place, random()) else { return Reread::Unchanged };
            match self.ground.store.rewrite(place.user, place.id, version, &body).await {
                Ok(Rewrote::Done(_)) => return Reread::Fresh(Box::new(record)),
                Ok(Rewrote::Stale(stored)) => {
                    let Ok(theirs) = Record::open(&self.ground.seals, place, &stored.body) else { break };
                    version = stored.version;
                    record = Record { provider_tokens: record.provider_tokens, ..theirs };
                }
                Ok(Rewrote::Gone) => {
                    // The session was ended meanwhile: nobody will ever use what we were just given.
                    if let Some(refresh) = record.provider_tokens.and_then(|tokens| tokens.refresh) {
                        let _ = provider.revoke(&Secret::new(refresh.into_bytes())).await;
                    }
                    return Reread::Ended;
                }
                Err(_) => break,
            }
        }
        tracing::error!(session = %place.id, "a provider's new refresh token could not be saved");
        Reread::Unchanged
    }

    /// The record of a session and its version; `None` when there is none, or it cannot be told.
    pub(super) async fn open(&self, place: Place) -> Option<(Record, u64)> {
        let stored = self.ground.store.load(place.user, place.id).await.ok()??;
        Record::open(&self.ground.seals, place, &stored.body).ok().map(|record| (record, stored.version))
    }

    fn note(&self, record: &Record, place: Place, name: &'static str, detail: &str) {
        self.ground.events.noted(&SessionEvent {
            name,
            session: Some(place.id),
            provider: &record.provider,
            subject: &record.subject,
            client: None,
            detail,
        });
    }
}

/// Who the refreshed tokens speak of: what the ID token says, and the user information where that is asked for, or where
/// nothing else came and there is some. Where it should be asked and does not answer, half of what is said would take
/// away the other half: roles above all.
async fn identity(
    provider: &dyn Provider,
    subject: &str,
    tokens: &Tokens,
    now: UnixTime,
) -> Result<Option<Identity>, Denial> {
    let away = |error: ProviderError| Denial::new(Code::ProviderUnavailable, error.to_string());
    let settings = provider.settings();
    let metadata = provider.metadata().await.map_err(away)?;
    let asks = settings.userinfo || (tokens.id_token.is_none() && metadata.userinfo_endpoint.is_some());
    let userinfo = if asks { Some(provider.userinfo(&tokens.access_token).await.map_err(away)?) } else { None };
    let Some(id_token) = &tokens.id_token else {
        return userinfo.map(|userinfo| Identity::reread(subject, &userinfo, settings)).transpose();
    };
    let occasion = Occasion::Refresh { subject, access_token: tokens.access_token.expose() };
    let terms = Terms { metadata: &metadata, settings, occasion, now };
    let text = std::str::from_utf8(id_token.expose()).unwrap_or_default();
    let check = |keys: &Keys| IdToken::check(text, &terms, &keys.set);
    let token = with_keys(&*provider.keys(), check, keys_out_of_reach).await?;
    Identity::read(&token, userinfo.as_ref(), settings).map(Some)
}

fn keep(record: &mut Record, tokens: &Tokens) {
    let text = |secret: &Secret| String::from_utf8(secret.expose().to_vec()).ok();
    let before = record.provider_tokens.take();
    record.provider_tokens = Some(ProviderTokens {
        shown: false,
        refresh: tokens
            .refresh_token
            .as_ref()
            .and_then(text)
            .or_else(|| before.as_ref().and_then(|b| b.refresh.clone())),
        id_token: tokens.id_token.as_ref().and_then(text).or_else(|| before.and_then(|before| before.id_token)),
    });
}

#[cfg(test)]
#[path = "reread_tests.rs"]
mod tests;
