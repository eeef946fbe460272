//! The ring as a document, to be sealed and stored. Other releases read it: members may be added, never given another
//! meaning.

use super::key::{Algorithm, Kid, PublicKey};
use super::ring::{Ring, RingKey, State};
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::time::Duration;
use zeroize::Zeroizing;

const VERSION: u32 = 1;
/// Larger than any ring there can be, so that the private keys in it are not moved about in memory while it is written.
const ROOM: usize = 128 * 1024;

/// An opened document makes no sense. It was sealed by us, so another release wrote it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it is of version {0}, which this release does not know")]
    Version(u32),
    #[error("it is not what this release writes: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it has more than one active key, or one key twice")]
    Inconsistent,
}

impl Ring {
    /// The document; it holds private keys.
    ///
    /// # Errors
    /// Not known to happen.
    pub fn to_document(&self) -> Result<Secret, Unreadable> {
        let keys = self.keys.iter().map(RawKey::from).collect();
        let mut text = Vec::with_capacity(ROOM);
        serde_json::to_writer(&mut text, &RawRing { v: VERSION, serial: self.serial, keys })?;
        Ok(Secret::new(text))
    }

    /// # Errors
    /// Another release wrote it.
    pub fn from_document(document: &Secret) -> Result<Self, Unreadable> {
        let Version { v } = serde_json::from_slice(document.expose())?;
        if v != VERSION {
            return Err(Unreadable::Version(v));
        }
        let raw: RawRing<'_> = serde_json::from_slice(document.expose())?;
        let ring = Self { serial: raw.serial, keys: raw.keys.into_iter().map(RingKey::from).collect() };
        let active = ring.keys.iter().filter(|key| matches!(key.state, State::Active { .. })).count();
        let mut kids: Vec<&Kid> = ring.keys.iter().map(|key| &key.kid).collect();
        kids.sort_unstable();
        kids.dedup();
        if active > 1 || kids.len() != ring.keys.len() {
            return Err(Unreadable::Inconsistent);
        }
        Ok(ring)
    }
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct RawRing<'r> {
    v: u32,
    serial: u64,
    #[serde(borrow)]
    keys: Vec<RawKey<'r>>,
}

#[derive(Serialize, Deserialize)]
struct RawKey<'r> {
    #[serde(borrow)]
    kid: Cow<'r, Kid>,
    alg: Algorithm,
    public: Cow<'r, PublicKey>,
    created: u64,
    longest: u64,
    state: RawState,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawState {
    Pending { sign_from: u64, private: Private },
    Active { since: u64, private: Private },
    Retiring { until: u64 },
    Revoked { since: u64 },
}

/// Base64url on its way into the document or out of it; no copy of it is left behind.
struct Private(Secret);

impl Serialize for Private {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = Zeroizing::new(String::with_capacity(self.0.expose().len() / 3 * 4 + 4));
        URL_SAFE_NO_PAD.encode_string(self.0.expose(), &mut text);
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Private {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| de::Error::custom("a private key is not base64url"))?;
        Ok(Self(Secret::new(bytes)))
    }
}

impl<'r> From<&'r RingKey> for RawKey<'r> {
    fn from(key: &'r RingKey) -> Self {
        let private = |secret: &Secret| Private(secret.clone());
        let state = match &key.state {
            State::Pending { sign_from, private: key } => {
                RawState::Pending { sign_from: sign_from.0, private: private(key) }
            }
            State::Active { since, private: key } => RawState::Active { since: since.0, private: private(key) },
            State::Retiring { until } => RawState::Retiring { until: until.0 },
            State::Revoked { since } => RawState::Revoked { since: since.0 },
        };
        Self {
            kid: Cow::Borrowed(&key.kid),
            alg: key.algorithm,
            public: Cow::Borrowed(&key.public),
            created: key.created.0,
            longest: key.longest.as_secs(),
            state,
        }
    }
}

impl From<RawKey<'_>> for RingKey {
    fn from(raw: RawKey<'_>) -> Self {
        let state = match raw.state {
            RawState::Pending { sign_from, private } => {
                State::Pending { sign_from: UnixTime(sign_from), private: private.0 }
            }
            RawState::Active { since, private } => State::Active { since: UnixTime(since), private: private.0 },
            RawState::Retiring { until } => State::Retiring { until: UnixTime(until) },
            RawState::Revoked { since } => State::Revoked { since: UnixTime(since) },
        };
        Self {
            kid: raw.kid.into_owned(),
            algorithm: raw.alg,
            public: raw.public.into_owned(),
            created: UnixTime(raw.created),
            longest: Duration::from_secs(raw.longest),
            state,
        }
    }
}
