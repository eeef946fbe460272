//! The copy and the document: looking, writing, and putting right what is wrong with either.

use super::{ApiKeys, ApiKeysError, Known, DOCUMENT};
use crate::domain::api_key::{ApiKey, KeyList};
use crate::domain::seal::Purpose;
use crate::domain::time::UnixTime;
use crate::pipeline::session::random;
use crate::ports::store::StoreError;
use crate::ports::Credential;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// How often a write may lose before we give up. Somebody else's write won each time.
const ATTEMPTS: u32 = 16;
/// What was heard so long ago, somebody asked for within this second.
const A_MOMENT: Duration = Duration::from_secs(1);

impl ApiKeys {
    /// Looks once more, for somebody who just came. Where others just did so as often as may be, what they heard is the answer,
    /// if they were told anything.
    pub(super) async fn look_again(&self, now: UnixTime) -> Result<(), ApiKeysError> {
        let came = self.begun.load(Ordering::Acquire);
        let _looking = self.looking.lock().await;
        if self.heard.load(Ordering::Acquire) > came {
            return Ok(());
        }
        let fewer = |left: u32| left.checked_sub(1);
        if self.looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
            return self.look(now).await;
        }
        let read = self.known.load().read;
        let unheard = || StoreError("it was asked about API keys a moment ago, in vain".to_owned());
        read.filter(|read| now.since(*read) <= A_MOMENT).map(drop).ok_or_else(|| unheard().into())
    }

    /// Takes over what the store holds, and puts right what is wrong with it. Nobody else looks meanwhile.
    pub(super) async fn look(&self, now: UnixTime) -> Result<(), ApiKeysError> {
        for _ in 0..ATTEMPTS {
            let due = self.read(now).await?;
            match due {
                None => return Ok(()),
                Some(list) if self.write(&list, now).await? => return Ok(()),
                Some(_) => {}
            }
        }
        Err(ApiKeysError::Contended)
    }

    /// Does to the list what `change` says; `false`: there was nothing to do.
    pub(super) async fn change(
        &self,
        now: UnixTime,
        change: impl Fn(&KeyList) -> Result<Option<KeyList>, ApiKeysError>,
    ) -> Result<bool, ApiKeysError> {
        let _looking = self.looking.lock().await;
        for _ in 0..ATTEMPTS {
            let due = self.read(now).await?;
            let known = self.known.load_full();
            let changed = change(due.as_ref().unwrap_or(&known.list))?;
            let did = changed.is_some();
            match changed.or(due) {
                None => return Ok(false),
                Some(list) if self.write(&list, now).await? => return Ok(did),
                Some(_) => {}
            }
        }
        Err(ApiKeysError::Contended)
    }

    /// Reads the document into the copy. What comes back should be written instead: without the keys whose end was ordered
    /// since, sealed with the secret of today, or at all, where the store has lost it.
    async fn read(&self, now: UnixTime) -> Result<Option<KeyList>, ApiKeysError> {
        let look = self.begun.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let found = self.vault.read(DOCUMENT).await?;
        let before = self.known.load_full();
        let Some(found) = found else {
            // Deleting the last key leaves an empty document, so one that is gone was lost.
            let lost = before.stored.is_some();
            self.know(before.list.clone(), (before.stored.clone(), 0), now);
            self.heard.store(look, Ordering::Release);
            return Ok(lost.then(|| self.living(&before.list).unwrap_or_else(|| before.list.clone())));
        };
        let current = self.seals.is_current(&found.bytes);
        let reseal = !self.resealed.fetch_or(current, Ordering::Relaxed) && !current;
        let list = if before.stored.as_ref() == Some(&found.bytes) {
            before.list.clone()
        } else {
            let opened = self.seals.open(Purpose::ApiKeys, DOCUMENT.as_bytes(), &found.bytes);
            KeyList::from_document(&opened.ok_or(ApiKeysError::Sealed)?)?
        };
        let due = self.living(&list).or_else(|| reseal.then(|| list.clone()));
        self.know(list, (Some(found.bytes), found.version), now);
        self.heard.store(look, Ordering::Release);
        Ok(due)
    }

    /// `false`: somebody was quicker.
    pub(super) async fn write(&self, list: &KeyList, now: UnixTime) -> Result<bool, ApiKeysError> {
        let document = list.to_document()?;
        let sealed = self.seals.seal(Purpose::ApiKeys, DOCUMENT.as_bytes(), random(), document.expose());
        let (bytes, seen) = (sealed.map_err(|_| ApiKeysError::Crypto)?, self.known.load().version);
        let done = self.vault.replace(DOCUMENT, seen, &bytes).await?;
        if done {
            self.know(list.clone(), (Some(bytes), seen.saturating_add(1)), now);
        }
        Ok(done)
    }

    /// `list` without the keys that were revoked, by whatever name; `None`: none was. A block can be lifted, and ends none.
    fn living(&self, list: &KeyList) -> Option<KeyList> {
        let lives = |key: &ApiKey| !self.revocations.has_ended(&self.credential(key));
        let living = list.only(lives);
        (living.keys().len() < list.keys().len()).then_some(living)
    }

    fn credential<'k>(&'k self, key: &'k ApiKey) -> Credential<'k> {
        Credential {
            client: Some(key.id.as_str()),
            subject: &key.subject,
            issued: key.created.0,
            minted_at: Some(key.minted_at),
            ..Credential::of_nobody(&self.source)
        }
    }

    fn know(&self, list: KeyList, (stored, version): (Option<Vec<u8>>, u64), now: UnixTime) {
        let before = self.known.load();
        let same = before.stored == stored && before.read.is_some();
        let generation = before.generation.saturating_add(u64::from(!same));
        self.known.store(Arc::new(Known { list, stored, version, generation, read: Some(now) }));
    }
}
