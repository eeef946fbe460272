//! API keys, kept with the other replicas.
//!
//! All of them lie in one document of a vault, sealed, and every replica holds a copy: a request is decided in memory. A
//! key that is not in the copy makes the replica look again, so that a new one counts everywhere at once; how often
//! strangers can make it look is bounded. What is deleted counts no more from the moment the list of revocations says so,
//! which is pushed; the document follows.
//!
//! While the vault is away known keys count for an hour, and whether an unknown one exists cannot be told.

mod caller;

pub use caller::KeyFacts;

use crate::domain::api_key::{ApiKey, KeyHash, KeyId, KeyList, KeyText, Unreadable, MOST_KEYS};
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::SourceName;
use crate::domain::seal::{Purpose, Seals};
use crate::domain::time::UnixTime;
use crate::pipeline::session::random;
use crate::ports::store::{StoreError, Vault};
use crate::ports::{Credential, Revocations};
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The source of whoever shows an API key.
pub const SOURCE: &str = "api_key";
/// While the store is away its last word counts for this long. No revocation may be forgotten sooner.
pub const KNOWN_FOR: Duration = Duration::from_hours(1);
/// The name of the document; also what its seal is bound to.
const DOCUMENT: &str = "api_keys";
/// Between two looks that nobody asked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How often a second unknown keys may make us look, whatever strangers send.
const LOOKS: u32 = 4;
/// How often a write may lose before we give up. Somebody else's write won each time.
const ATTEMPTS: u32 = 16;

/// The keys, as this replica knows them.
pub struct ApiKeys {
    vault: Arc<dyn Vault>,
    seals: Arc<Seals>,
    revocations: Arc<dyn Revocations>,
    source: SourceName,
    known: ArcSwap<Known>,
    /// Held while the vault is asked: whoever waits for that needs no look of their own, if it began after they came.
    looking: Mutex<()>,
    begun: AtomicU64,
    /// The last look that was answered, of those that were begun.
    heard: AtomicU64,
    looks: AtomicU32,
    /// Once seen sealed by the secret that seals now; not looked after beyond that, for replicas that have their secrets in
    /// different order would undo each other.
    resealed: AtomicBool,
}

/// The copy.
#[derive(Debug, Default)]
struct Known {
    list: KeyList,
    /// As it was stored; `None`: there was nothing.
    stored: Option<Vec<u8>>,
    version: u64,
    /// Changes with the list.
    generation: u64,
    /// `None`: never.
    read: Option<UnixTime>,
}

/// A key to be made.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub subject: String,
    pub roles: Vec<String>,
    pub scopes: Vec<String>,
    pub expires: Option<UnixTime>,
}

/// Why the keys could not be loaded, kept or changed. In words for an operator.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "the API keys in the store cannot be opened: they were sealed with another store.secret, or are damaged. \
         Nothing was changed. Give back the secret they were sealed with, as a further one in store.secret"
    )]
    Sealed,
    #[error("the API keys in the store cannot be read: {0}. Nothing was changed")]
    Unreadable(#[from] Unreadable),
    #[error("the API keys change faster than they can be read; try again")]
    Contended,
    #[error("there are {MOST_KEYS} API keys, which is the most there may be; delete one")]
    TooMany,
    #[error("the API keys cannot be sealed")]
    Crypto,
}

impl ApiKeys {
    /// Without keys, until the first look.
    #[must_use]
    pub fn new(vault: Arc<dyn Vault>, seals: Arc<Seals>, revocations: Arc<dyn Revocations>) -> Arc<Self> {
        Arc::new(Self {
            vault,
            seals,
            revocations,
            source: SourceName::new(SOURCE),
            known: ArcSwap::default(),
            looking: Mutex::default(),
            begun: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            looks: AtomicU32::new(LOOKS),
            resealed: AtomicBool::new(false),
        })
    }

    /// Changes whenever the keys do. Read on every request with a key, so it costs no more than a load.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.known.load().generation
    }

    /// Whether the copy can still be gone by.
    ///
    /// # Errors
    /// 503: the store was not heard of for too long.
    pub fn check_age(&self, now: UnixTime) -> Result<(), Denial> {
        let read = self.known.load().read;
        match read {
            Some(read) if now.since(read) < KNOWN_FOR => Ok(()),
            Some(_) | None => {
                Err(Denial::new(Code::StoreUnavailable, "the API keys were not heard of for an hour, or never"))
            }
        }
    }

    /// The key whose text this is, and the generation of keys it was found in.
    ///
    /// # Errors
    /// 401: it is none. 503: that cannot be told.
    pub async fn find(&self, text: &str, now: UnixTime) -> Result<(ApiKey, u64), Denial> {
        let id = KeyId::of_key(text).ok_or_else(|| wrong("by its form it never was a key of ours"))?;
        let mut known = self.known.load_full();
        if known.list.find(id).is_none() {
            self.look_again(now).await.map_err(|error| cannot_tell(&error))?;
            known = self.known.load_full();
        }
        self.check_age(now)?;
        let key = known.list.find(id).ok_or_else(|| wrong("there is no such key"))?;
        if !key.hash.is_of(text) {
            return Err(wrong("another key has this id"));
        }
        if key.has_expired(now) {
            return Err(wrong("it has expired"));
        }
        Ok((key.clone(), known.generation))
    }

    /// Every second: looks where it is time to.
    ///
    /// # Errors
    /// What is wrong, for the log. What is known serves on.
    pub async fn tick(&self, now: UnixTime) -> Result<(), ApiKeysError> {
        self.looks.store(LOOKS, Ordering::Relaxed);
        let read = self.known.load().read;
        if read.is_some_and(|read| read <= now && now.since(read) < LOOK_EVERY) {
            return Ok(());
        }
        let _looking = self.looking.lock().await;
        self.look(now).await
    }

    /// All keys, as the store has them now.
    ///
    /// # Errors
    /// [`ApiKeysError`]
    pub async fn list(&self, now: UnixTime) -> Result<Vec<ApiKey>, ApiKeysError> {
        let _looking = self.looking.lock().await;
        self.look(now).await?;
        Ok(self.known.load().list.keys().to_vec())
    }

    /// Makes a key. Its text is nowhere else.
    ///
    /// # Errors
    /// [`ApiKeysError`]
    pub async fn create(&self, wanted: Wanted, now: UnixTime) -> Result<(KeyId, KeyText), ApiKeysError> {
        // What was revoked up to now does not hit it, so all of that has to be known.
        self.revocations.caught_up().await;
        let (id, text) = KeyText::mint((random(), &random()));
        let Wanted { name, subject, roles, scopes, expires } = wanted;
        let (hash, minted_at) = (KeyHash::of(text.expose()), self.revocations.position());
        let key = ApiKey { id, name, subject, roles, scopes, created: now, expires, minted_at, hash };
        self.change(now, |list| {
            if list.keys().len() >= MOST_KEYS {
                return Err(ApiKeysError::TooMany);
            }
            Ok(Some(list.with(key.clone())))
        })
        .await?;
        Ok((id, text))
    }

    /// Takes a key out of the document. `false`: it was not there.
    ///
    /// # Errors
    /// [`ApiKeysError`]
    pub async fn delete(&self, id: KeyId, now: UnixTime) -> Result<bool, ApiKeysError> {
        self.change(now, |list| Ok(list.find(id).map(|_| list.only(|key| key.id != id)))).await
    }

    /// Looks once more, for somebody who just came; `Ok` without a look where there were too many.
    async fn look_again(&self, now: UnixTime) -> Result<(), ApiKeysError> {
        let came = self.begun.load(Ordering::Acquire);
        let _looking = self.looking.lock().await;
        let heard_since = self.heard.load(Ordering::Acquire) > came;
        let fewer = |left: u32| left.checked_sub(1);
        if heard_since || self.looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err() {
            return Ok(());
        }
        self.look(now).await
    }

    /// Takes over what the store holds, and puts right what is wrong with it. Nobody else looks meanwhile.
    async fn look(&self, now: UnixTime) -> Result<(), ApiKeysError> {
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
    async fn change(
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
    async fn write(&self, list: &KeyList, now: UnixTime) -> Result<bool, ApiKeysError> {
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

fn wrong(detail: &'static str) -> Denial {
    Denial::new(Code::ApiKeyInvalid, detail)
}

fn cannot_tell(error: &ApiKeysError) -> Denial {
    Denial::new(Code::StoreUnavailable, error.to_string())
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("known", &self.known.load().list.keys().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "api_keys_tests.rs"]
mod tests;
