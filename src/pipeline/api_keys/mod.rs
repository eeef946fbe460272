//! API keys, kept with the other replicas.
//!
//! All of them lie in one document of a vault, sealed, and every replica holds a copy: a request is decided in memory. A
//! key that is not in the copy makes the replica look again, so that a new one counts everywhere at once; how often
//! strangers can make it look is bounded. What is deleted counts no more from the moment the list of revocations says so,
//! which is pushed; the document follows.
//!
//! While the vault is away known keys count for an hour, and whether an unknown one exists cannot be told.

mod caller;
mod keep;

pub use caller::KeyFacts;

use crate::domain::api_key::{ApiKey, KeyHash, KeyId, KeyList, KeyText, Unreadable, MOST_KEYS};
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::SourceName;
use crate::domain::seal::Seals;
use crate::domain::time::UnixTime;
use crate::pipeline::session::random;
use crate::ports::store::{StoreError, Vault};
use crate::ports::Revocations;
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
#[derive(Clone, Debug, Default)]
struct Known {
    list: KeyList,
    /// As it was stored; `None`: there was nothing.
    stored: Option<Vec<u8>>,
    version: u64,
    /// Changes with the list.
    generation: u64,
    /// `None`: never.
    read: Option<UnixTime>,
    /// When the store last had all of it.
    whole: Option<UnixTime>,
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

impl Known {
    /// The key whose text this is, by what is known.
    fn find(&self, text: &str, now: UnixTime) -> Result<&ApiKey, Denial> {
        let id = KeyId::of_key(text).ok_or_else(|| wrong("by its form it never was a key of ours"))?;
        let key = self.list.find(id).ok_or_else(|| wrong("there is no such key"))?;
        if !key.hash.is_of(text) {
            return Err(wrong("another key has this id"));
        }
        if key.has_expired(now) {
            return Err(wrong("it has expired"));
        }
        Ok(key)
    }
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

    /// Whether the copy can still be gone by.
    ///
    /// # Errors
    /// 503: the store was not heard of for too long.
    fn check_age(&self, now: UnixTime) -> Result<(), Denial> {
        let read = self.known.load().read;
        match read {
            Some(read) if now.since(read) < KNOWN_FOR => Ok(()),
            Some(_) | None => {
                Err(Denial::new(Code::StoreUnavailable, "the API keys were not heard of for an hour, or never"))
            }
        }
    }

    /// The key whose text this is, and the generation of keys it was found in. Looks again for one that is not known.
    ///
    /// # Errors
    /// 401: it is none. 503: that cannot be told.
    async fn find(&self, text: &str, now: UnixTime) -> Result<(ApiKey, u64), Denial> {
        let id = KeyId::of_key(text).ok_or_else(|| wrong("by its form it never was a key of ours"))?;
        if self.known.load().list.find(id).is_none() {
            self.look_again(now).await.map_err(|error| cannot_tell(&error))?;
        }
        self.check_age(now)?;
        let known = self.known.load();
        known.find(text, now).map(|key| (key.clone(), known.generation))
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
        self.change(now, |_| Ok(None)).await.map(drop)
    }

    /// All keys, as the store has them now.
    ///
    /// # Errors
    /// [`ApiKeysError`]
    pub async fn list(&self, now: UnixTime) -> Result<Vec<ApiKey>, ApiKeysError> {
        Ok(self.looked(now).await?.list.keys().to_vec())
    }

    /// Makes a key. Its text is nowhere else.
    ///
    /// # Errors
    /// [`ApiKeysError`]
    pub async fn create(&self, wanted: Wanted, now: UnixTime) -> Result<(KeyId, KeyText), ApiKeysError> {
        // What was revoked up to now does not hit it, so all of that has to be known.
        if !self.revocations.caught_up().await {
            return Err(StoreError("the log of revocations does not answer".to_owned()).into());
        }
        let (id, text) = KeyText::mint(random(), &random());
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
