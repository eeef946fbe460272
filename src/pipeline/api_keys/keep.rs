//! The copy and the document: looking, writing, and putting right what is wrong with either.

use super::{ApiKeys, ApiKeysError, Known, DOCUMENT, KNOWN_FOR};
use crate::domain::api_key::{ApiKey, KeyList};
use crate::domain::seal::Purpose;
use crate::domain::time::UnixTime;
use crate::pipeline::session::random;
use crate::ports::store::{Document, StoreError};
use crate::ports::Credential;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::Duration;

/// How often a write may lose before we give up. Somebody else's write won each time.
const ATTEMPTS: u32 = 16;
/// What was heard so long ago, somebody asked for within this second.
const A_MOMENT: Duration = Duration::from_secs(1);
/// An expired key stays on the list for so long: whoever wonders finds it there.
const SHOWN_FOR: Duration = Duration::from_hours(7 * 24);
/// By how much the clocks of replicas may differ.
const CLOCKS: Duration = Duration::from_secs(10);

/// What a look came to.
struct Found {
    list: KeyList,
    /// Of the document that is to be replaced.
    version: u64,
    /// The document should say so, and does not.
    behind: bool,
}

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

    /// Looks. That something due could not be written is for whoever looks after that: what was read, was read.
    async fn look(&self, now: UnixTime) -> Result<(), ApiKeysError> {
        let came = self.begun.load(Ordering::Acquire);
        match self.alter(now, |_| Ok(None)).await {
            Err(_) if self.heard.load(Ordering::Acquire) > came => Ok(()),
            looked => looked.map(drop),
        }
    }

    /// All keys, as the store has them now.
    pub(super) async fn looked(&self, now: UnixTime) -> Result<Arc<Known>, ApiKeysError> {
        let _looking = self.looking.lock().await;
        self.look(now).await?;
        Ok(self.known.load_full())
    }

    /// Does to the list what `change` says; `false`: there was nothing to do.
    pub(super) async fn change(
        &self,
        now: UnixTime,
        change: impl Fn(&KeyList) -> Result<Option<KeyList>, ApiKeysError>,
    ) -> Result<bool, ApiKeysError> {
        let _looking = self.looking.lock().await;
        self.alter(now, change).await
    }

    /// The same, and besides that what is due in any case: keys whose end was ordered go, and so do those that expired long
    /// ago; what another secret sealed is sealed anew. Nobody else looks meanwhile.
    async fn alter(
        &self,
        now: UnixTime,
        change: impl Fn(&KeyList) -> Result<Option<KeyList>, ApiKeysError>,
    ) -> Result<bool, ApiKeysError> {
        for _ in 0..ATTEMPTS {
            let Found { list, version, behind } = self.read(now).await?;
            let changed = change(&list)?;
            let did = changed.is_some();
            let list = changed.unwrap_or(list);
            let living = list.only(|key| self.stays(key, now));
            let due = did || behind || living.keys().len() < list.keys().len();
            if !due || self.write(&living, version, now).await? {
                return Ok(did);
            }
        }
        Err(ApiKeysError::Contended)
    }

    /// Reads the document into the copy.
    async fn read(&self, now: UnixTime) -> Result<Found, ApiKeysError> {
        let look = self.begun.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        let found = self.vault.read(DOCUMENT).await?;
        let before = self.known.load_full();
        let version = found.as_ref().map_or(0, |found| found.version);
        let bytes = found.as_ref().map(|found| found.bytes.as_slice());
        let (theirs, reseal) = match &found {
            Some(found) => self.opened(found, &before)?,
            None => Default::default(),
        };
        let ahead = before.is_ahead(bytes, version, now).then(|| before.joined(&theirs));
        let found = match ahead.filter(|ours| ours.ids() != theirs.ids()) {
            Some(list) => {
                let read = Some(now);
                self.known.store(Arc::new(Known { list: list.clone(), read, ..Known::clone(&before) }));
                Found { list, version, behind: true }
            }
            None => {
                self.know(theirs.clone(), (bytes.map(<[u8]>::to_vec), version), now);
                Found { list: theirs, version, behind: reseal }
            }
        };
        self.heard.store(look, Ordering::Release);
        Ok(found)
    }

    /// What a document says, and whether it should be sealed anew.
    fn opened(&self, found: &Document, before: &Known) -> Result<(KeyList, bool), ApiKeysError> {
        let current = self.seals.is_current(&found.bytes);
        let reseal = !self.resealed.fetch_or(current, Ordering::Relaxed) && !current;
        if before.whole == before.read && before.stored.as_ref() == Some(&found.bytes) {
            return Ok((before.list.clone(), reseal));
        }
        let opened = self.seals.open(Purpose::ApiKeys, DOCUMENT.as_bytes(), &found.bytes);
        Ok((KeyList::from_document(&opened.ok_or(ApiKeysError::Sealed)?)?, reseal))
    }

    /// `false`: somebody was quicker.
    async fn write(&self, list: &KeyList, seen: u64, now: UnixTime) -> Result<bool, ApiKeysError> {
        let document = list.to_document()?;
        let sealed = self.seals.seal(Purpose::ApiKeys, DOCUMENT.as_bytes(), random(), document.expose());
        let bytes = sealed.map_err(|_| ApiKeysError::Crypto)?;
        let done = self.vault.replace(DOCUMENT, seen, &bytes).await?;
        if done {
            self.know(list.clone(), (Some(bytes), seen.saturating_add(1)), now);
        }
        Ok(done)
    }

    /// Not a key that was revoked, by whatever name. A block can be lifted, and ends none.
    fn stays(&self, key: &ApiKey, now: UnixTime) -> bool {
        let credential = Credential {
            client: Some(key.id.as_str()),
            subject: &key.subject,
            issued: key.created.0,
            minted_at: Some(key.minted_at),
            ..Credential::of_nobody(&self.source)
        };
        let shown = key.expires.is_none_or(|expires| expires.plus(SHOWN_FOR) > now);
        shown && !self.revocations.has_ended(&credential)
    }

    fn know(&self, list: KeyList, (stored, version): (Option<Vec<u8>>, u64), now: UnixTime) {
        let before = self.known.load();
        // a copy that is ahead of the store is another one than what is stored, until both agree
        let same = before.stored == stored && before.whole == before.read && before.read.is_some();
        let generation = before.generation.saturating_add(u64::from(!same));
        self.known.store(Arc::new(Known { list, stored, version, generation, read: Some(now), whole: Some(now) }));
    }
}

impl Known {
    /// Whether the store has lost its data, or went back to an older copy of it, or to another one of the same age; and
    /// whether everything that was revoked since we last saw it whole is still remembered.
    fn is_ahead(&self, stored: Option<&[u8]>, version: u64, now: UnixTime) -> bool {
        let recent = self.whole.is_some_and(|whole| now.since(whole) < KNOWN_FOR);
        let differs = version == self.version && self.stored.as_deref() != stored;
        recent && (version < self.version || differs)
    }

    /// What such a store should say: what is known here, and besides that keys that were made since we last saw it whole. Of
    /// the others that are not known here it has forgotten the end.
    fn joined(&self, theirs: &KeyList) -> KeyList {
        let since = |key: &&ApiKey| self.whole.is_some_and(|whole| key.created.plus(CLOCKS) >= whole);
        let news = theirs.keys().iter().filter(|key| self.list.find(key.id).is_none()).filter(since);
        news.fold(self.list.clone(), |list, key| list.with(key.clone()))
    }
}
