//! The ring of our signing keys, kept with the other replicas.
//!
//! The ring lives in a vault, sealed. Every replica looks at it once a second, and whichever sees first that something
//! is due does it; a write names the copy it replaces, so one wins and the others take over what it wrote. While the
//! vault is away a replica goes on with the ring it has and changes nothing: a second ring would be one whose tokens
//! nobody else takes.
//!
//! Signing and verifying read one snapshot and wait for nobody.

mod copy;
mod generate;
mod live;

#[cfg(test)]
mod fixture;

pub use copy::CopyMark;
pub use live::Listed;

use crate::domain::seal::{Purpose, Seals};
use crate::domain::signing::document::Unreadable;
use crate::domain::signing::jwks::Jwks;
use crate::domain::signing::key::CannotSign;
use crate::domain::signing::ring::{NoKey, Refused, State};
use crate::domain::signing::{AccessToken, Algorithm, Change, FreshKey, Mode, Ring, Schedule, Signer};
use crate::domain::time::UnixTime;
use crate::ports::store::{StoreError, Vault};
use crate::ports::{KeySource, Keys, Looked};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use generate::{fresh_key, sealed};
use live::Live;
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

/// The name of the ring in the vault; also what its seal is bound to.
pub const DOCUMENT: &str = "keys";
/// How often a write may lose before we leave it for the next second. Somebody else's write won each time.
const ATTEMPTS: u32 = 16;
/// Steps in one go: a ring that slept for months catches up over a few of them.
const STEPS: u32 = 32;
/// How often between two ticks unknown keys may make us look at the vault, whatever strangers send.
const LOOKS: u32 = 4;
/// The end of the year 9999. A clock beyond is broken, and a ring that believed it would be broken for everybody.
const LAST_BELIEVABLE: UnixTime = UnixTime(253_402_300_799);

/// Our signing keys, as this replica knows them.
pub struct SigningRing {
    vault: Arc<dyn Vault>,
    seals: Arc<Seals>,
    schedule: ArcSwap<Schedule>,
    live: ArcSwap<Live>,
    /// Held while a new snapshot is made of the last one; never by those who sign or verify.
    publishing: Mutex<()>,
    looks: AtomicU32,
    /// The latest moment anybody told us, in seconds.
    told: AtomicU64,
    /// The stored ring was once seen sealed by the secret that seals now. Looked after until then and no longer:
    /// replicas that have their secrets in different order would undo each other for ever.
    resealed: AtomicBool,
}

/// Why the ring could not be loaded, kept or changed. In words for an operator; never with a key in it.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Overwriting it would end every session and lose the keys for good.
    #[error(
        "the key ring in the store cannot be opened: it was sealed with another store.secret, or it is damaged. \
         Nothing was changed. Give back the secret it was sealed with, as a further one in store.secret"
    )]
    Sealed,
    #[error("the key ring in the store cannot be read: {0}. Nothing was changed")]
    Unreadable(#[from] Unreadable),
    #[error("the key ring changes faster than it can be read; trying again")]
    Contended,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the clock of this machine stands beyond the year 9999; keys are left as they are")]
    Clock,
    #[error("the key ring cannot be used: {0}")]
    Crypto(String),
}

/// Why a token was not signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("there is no signing key yet: the store has not been reached since the start")]
    NoKey,
    /// The key could be gone before the token is.
    #[error("the token lives longer than its key has promised to")]
    TooLong,
    #[error(transparent)]
    Failed(#[from] CannotSign),
}

/// How far a rotation got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It is stored: the others take it over.
    Everywhere,
    /// The store is away. Here the old keys are dead; elsewhere they live until it is back, and what is signed here
    /// meanwhile is not known there.
    HereOnly,
}

impl SigningRing {
    /// Without keys: until the first [`tick`](Self::tick) has reached the vault, signing says [`SignError::NoKey`] and
    /// verifying "cannot tell".
    #[must_use]
    pub fn new(vault: Arc<dyn Vault>, seals: Arc<Seals>, schedule: Schedule) -> Arc<Self> {
        Arc::new(Self {
            vault,
            seals,
            schedule: ArcSwap::from_pointee(schedule),
            live: ArcSwap::from_pointee(Live::empty(&schedule)),
            publishing: Mutex::new(()),
            looks: AtomicU32::new(LOOKS),
            told: AtomicU64::new(0),
            resealed: AtomicBool::new(false),
        })
    }

    /// [`new`](Self::new), and the ring is loaded, or made when there is none.
    ///
    /// # Errors
    /// The vault cannot be asked, or holds a ring we cannot open, which is then left alone.
    pub async fn open(
        vault: Arc<dyn Vault>,
        seals: Arc<Seals>,
        schedule: Schedule,
        now: UnixTime,
    ) -> Result<Arc<Self>, KeysError> {
        let ring = Self::new(vault, seals, schedule);
        ring.tick(now).await?;
        Ok(ring)
    }

    /// Looks at the vault and does what is due. Once a second; costs one read when nothing happened.
    ///
    /// # Errors
    /// What is wrong, for the log. The keys of before serve on.
    pub async fn tick(&self, now: UnixTime) -> Result<(), KeysError> {
        self.looks.store(LOOKS, Ordering::Relaxed);
        self.change(Wish::Due, now).await
    }

    /// Rotates as `mode` says, for all replicas: they follow within their next tick. An emergency does not wait for a
    /// vault that is away.
    ///
    /// # Errors
    /// As [`tick`](Self::tick), or there are too many keys. Nothing has changed then, except perhaps when the vault did
    /// not answer the write.
    pub async fn rotate(&self, mode: Mode, now: UnixTime) -> Result<Reach, KeysError> {
        match self.change(Wish::Rotate(mode), now).await {
            Ok(()) => Ok(Reach::Everywhere),
            Err(KeysError::Store(away)) if mode == Mode::Emergency => self.revoke_here(away, now).await,
            Err(error) => Err(error),
        }
    }

    /// Takes the key `kid` out of use, without harm to the tokens it has signed.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate), or there is no such key.
    pub async fn retire(&self, kid: &str, now: UnixTime) -> Result<(), KeysError> {
        self.change(Wish::Retire(kid), now).await
    }

    /// The signed token.
    ///
    /// # Errors
    /// There is no key, or the token outlives what its key has promised: then the next tick promises more.
    pub fn sign(&self, token: &AccessToken<'_>) -> Result<String, SignError> {
        self.sign_as(token, |signer| token.sign(signer))
    }

    /// The same for a token that is written in another form.
    ///
    /// # Errors
    /// As [`sign`](Self::sign).
    pub fn sign_as(
        &self,
        token: &AccessToken<'_>,
        write: impl FnOnce(&Signer) -> Result<String, CannotSign>,
    ) -> Result<String, SignError> {
        let live = self.live.load();
        let (signer, longest) = live.signer.as_ref().ok_or(SignError::NoKey)?;
        if token.exp.since(token.iat) > *longest {
            return Err(SignError::TooLong);
        }
        Ok(write(signer)?)
    }

    /// What `/.well-known/jwks.json` answers.
    #[must_use]
    pub fn jwks(&self) -> Arc<Jwks> {
        Arc::clone(&self.live.load().jwks)
    }

    /// Every key, the revoked ones included, in the order they were made.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        self.live.load().ring.keys().iter().map(Listed::from).collect()
    }

    /// Whether `kid` is known to be revoked: then nothing need be looked up.
    #[must_use]
    pub fn has_revoked(&self, kid: &str) -> bool {
        let live = self.live.load();
        live.ring.keys().iter().any(|key| key.kid().as_str() == kid && matches!(key.state(), State::Revoked { .. }))
    }

    /// Another schedule, from a configuration read anew. The next tick acts by it.
    pub fn set_schedule(&self, schedule: Schedule) {
        self.schedule.store(Arc::new(schedule));
        let _held = self.publishing.lock();
        let before = self.live.load_full();
        let jwks = Arc::new(Jwks::of(&before.ring, &schedule));
        self.live.store(Arc::new(Live { jwks, ..Live::clone(&before) }));
    }

    /// Looks, does what `wish` says and what is due, and writes it back; all over again when somebody was quicker.
    async fn change(&self, wish: Wish<'_>, now: UnixTime) -> Result<(), KeysError> {
        if now > LAST_BELIEVABLE {
            return Err(KeysError::Clock);
        }
        self.told.fetch_max(now.0, Ordering::Relaxed);
        let mut spare = None;
        for _ in 0..ATTEMPTS {
            let found = self.look(now).await?;
            let next = match self.steps(&found.ring, wish, now, &mut spare).await? {
                Some(next) => next,
                None if found.behind => found.ring,
                None => return Ok(()),
            };
            let bytes = sealed(&self.seals, DOCUMENT, &next.to_document()?).map_err(|e| crypto(&e))?;
            if self.vault.replace(DOCUMENT, found.version, &bytes).await? {
                return self.publish(&next, Some(bytes), now).map(|_| ());
            }
        }
        Err(KeysError::Contended)
    }

    /// `ring` after everything that is to be done now; `None`: nothing is. One go makes one key, and what needs another
    /// waits for the next second.
    async fn steps(
        &self,
        ring: &Ring,
        wish: Wish<'_>,
        now: UnixTime,
        spare: &mut Option<FreshKey>,
    ) -> Result<Option<Ring>, KeysError> {
        let schedule = self.schedule.load_full();
        let mut next = wish.of(ring, now, &schedule)?.or_else(|| ring.due(now, &schedule));
        let (mut after, mut made) = (None::<Ring>, false);
        for _ in 0..STEPS {
            let Some(change) = next.take().filter(|change| !(made && change.needs_key())) else {
                break;
            };
            let fresh = if change.needs_key() { Some(spared(spare, schedule.algorithm).await?) } else { None };
            made |= fresh.is_some();
            let changed = after.as_ref().unwrap_or(ring).after(&change, now, &schedule, fresh);
            let changed = changed.map_err(|e: NoKey| crypto(&e))?;
            next = changed.due(now, &schedule);
            after = Some(changed);
        }
        Ok(after)
    }

    /// Reads the vault and takes over what it holds.
    async fn look(&self, now: UnixTime) -> Result<Found, KeysError> {
        let found = self.vault.read(DOCUMENT).await?;
        let before = self.live.load_full();
        let Some(found) = found else {
            if before.ring.is_empty() {
                return Ok(Found { version: 0, ring: Ring::default(), behind: false });
            }
            let (ring, behind) = self.publish(&Ring::default(), None, now)?;
            return Ok(Found { version: 0, ring, behind });
        };
        let (version, bytes) = (found.version, found.bytes);
        let current = self.seals.is_current(&bytes);
        let reseal = !self.resealed.fetch_or(current, Ordering::Relaxed) && !current;
        // versions begin again in a store that was emptied; the bytes, sealed with a nonce each, never repeat
        if before.stored.as_ref() == Some(&bytes) {
            return Ok(Found { version, ring: before.ring.clone(), behind: reseal });
        }
        let theirs = self.opened(&bytes)?;
        let (ring, behind) = self.publish(&theirs, Some(bytes), now)?;
        Ok(Found { version, ring, behind: behind || reseal })
    }

    /// The ring as it would be after an emergency, for this replica alone. It is later than the stored one, so the first
    /// tick that reaches the vault carries it there.
    async fn revoke_here(&self, away: StoreError, now: UnixTime) -> Result<Reach, KeysError> {
        let schedule = self.schedule.load_full();
        let fresh = fresh_key(schedule.algorithm).await.map_err(|e| crypto(&e))?;
        let _held = self.publishing.lock();
        let before = self.live.load_full();
        if before.ring.is_empty() {
            return Err(away.into());
        }
        let ring = before.ring.after(&Change::RevokeAll, now, &schedule, Some(fresh)).map_err(|e| crypto(&e))?;
        self.live.store(Arc::new(Live::new(&before, ring, None, &schedule)?));
        Ok(Reach::HereOnly)
    }

    fn opened(&self, bytes: &[u8]) -> Result<Ring, KeysError> {
        let document = self.seals.open(Purpose::KeyRing, DOCUMENT.as_bytes(), bytes).ok_or(KeysError::Sealed)?;
        Ok(Ring::from_document(&document)?)
    }

    /// Makes what the vault holds, joined with what we know, the ring of this replica. `true`: the vault lacks some of
    /// it.
    fn publish(&self, theirs: &Ring, bytes: Option<Vec<u8>>, now: UnixTime) -> Result<(Ring, bool), KeysError> {
        let _held = self.publishing.lock();
        let (before, schedule) = (self.live.load_full(), self.schedule.load_full());
        let ours = if before.copied && bytes.is_some() { &Ring::default() } else { &before.ring };
        let ring = ours.joined(theirs, now, &schedule);
        let behind = ring.serial() != theirs.serial();
        // An empty vault shows no ring: until a write there has succeeded, another replica may come first with one.
        let copied = before.copied && bytes.is_none();
        let stored = bytes.filter(|_| !behind);
        let live = Live::new(&before, ring.clone(), stored, &schedule)?;
        self.live.store(Arc::new(Live { copied, ..live }));
        Ok((ring, behind))
    }
}

#[async_trait]
impl KeySource for SigningRing {
    fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.live.load().keys)
    }

    fn generation(&self) -> u64 {
        self.live.load().keys.generation
    }

    /// Another replica may have begun to sign with a key within the last second. Beyond a few looks a tick nobody is asked,
    /// and so nobody can tell: "no" would sign people out whenever strangers make up enough keys.
    async fn look_for_new_keys(&self, seen: u64) -> Looked {
        if self.generation() != seen {
            return Looked::Again;
        }
        let may_look =
            self.looks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let reached = may_look && self.look(UnixTime(self.told.load(Ordering::Relaxed))).await.is_ok();
        match (reached, self.generation() != seen) {
            (_, true) => Looked::Again,
            (true, false) if !self.current().set.is_empty() => Looked::Unknown,
            (true | false, false) => Looked::CannotTell,
        }
    }
}

/// What a change is for.
#[derive(Clone, Copy)]
enum Wish<'a> {
    Due,
    Rotate(Mode),
    Retire(&'a str),
}

impl Wish<'_> {
    fn of(self, ring: &Ring, now: UnixTime, schedule: &Schedule) -> Result<Option<Change>, Refused> {
        match self {
            // nothing can follow before something stands
            _ if ring.active().is_none() => Ok(None),
            Self::Due => Ok(None),
            Self::Rotate(mode) => ring.rotate(mode, now, schedule),
            Self::Retire(kid) => ring.retire(kid, now, schedule),
        }
    }
}

/// What a look at the vault came to.
struct Found {
    version: u64,
    ring: Ring,
    /// The vault should be written though nothing is due.
    behind: bool,
}

/// A fresh key, the one of a lost write if there was one.
async fn spared(spare: &mut Option<FreshKey>, algorithm: Algorithm) -> Result<FreshKey, KeysError> {
    if let Some(key) = spare.as_ref().filter(|key| key.algorithm() == algorithm) {
        return Ok(key.clone());
    }
    let key = fresh_key(algorithm).await.map_err(|e| crypto(&e))?;
    *spare = Some(key.clone());
    Ok(key)
}

fn crypto(error: &dyn fmt::Display) -> KeysError {
    KeysError::Crypto(error.to_string())
}

impl fmt::Debug for SigningRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRing").field("ring", &self.live.load().ring).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

#[cfg(test)]
mod fleet_tests;
