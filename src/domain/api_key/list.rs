//! All API keys as one document, to be sealed and stored. Other releases read it: members may be added, never given
//! another meaning.

use super::{KeyHash, KeyId};
use crate::domain::revocation::Position;
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const VERSION: u32 = 1;
/// All of them lie in one document that every replica holds.
pub const MOST_KEYS: usize = 1000;

/// A key and whom it speaks for.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: KeyId,
    /// For people: what it is used for.
    pub name: String,
    pub subject: String,
    pub roles: Vec<String>,
    pub scopes: Vec<String>,
    pub created: UnixTime,
    /// `None`: it counts until it is deleted.
    pub expires: Option<UnixTime>,
    /// Where the list of revocations stood when it was made: what was revoked before does not hit it.
    pub minted_at: Position,
    pub hash: KeyHash,
}

/// Every key there is, in the order they were made.
#[derive(Clone, Debug, Default)]
pub struct KeyList(Vec<ApiKey>);

/// An opened document makes no sense. It was sealed by us, so another release wrote it.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it is of version {0}, which this release does not know")]
    Version(u32),
    #[error("it is not what this release writes: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it holds a key that is none")]
    NoKey,
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct RawList {
    v: u32,
    keys: Vec<RawKey>,
}

#[derive(Serialize, Deserialize)]
struct RawKey {
    id: String,
    name: String,
    sub: String,
    roles: Vec<String>,
    scopes: Vec<String>,
    iat: u64,
    exp: Option<u64>,
    rv: String,
    hash: String,
}

impl ApiKey {
    /// Whether it is over, by its own word.
    #[must_use]
    pub fn has_expired(&self, now: UnixTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

impl KeyList {
    #[must_use]
    pub fn keys(&self) -> &[ApiKey] {
        &self.0
    }

    /// Their names, whatever the order.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<KeyId> {
        self.0.iter().map(|key| key.id).collect()
    }

    #[must_use]
    pub fn find(&self, id: KeyId) -> Option<&ApiKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The same list and one more.
    #[must_use]
    pub fn with(&self, key: ApiKey) -> Self {
        Self(self.0.iter().cloned().chain([key]).collect())
    }

    /// Those that `stays` says yes to.
    #[must_use]
    pub fn only(&self, stays: impl Fn(&ApiKey) -> bool) -> Self {
        Self(self.0.iter().filter(|key| stays(key)).cloned().collect())
    }

    /// The document. It holds no key, and tells whom there are keys for.
    ///
    /// # Errors
    /// Not known to happen.
    pub fn to_document(&self) -> Result<Secret, Unreadable> {
        let keys = self.0.iter().map(RawKey::from).collect();
        Ok(Secret::new(serde_json::to_vec(&RawList { v: VERSION, keys })?))
    }

    /// # Errors
    /// Another release wrote it.
    pub fn from_document(document: &Secret) -> Result<Self, Unreadable> {
        let Version { v } = serde_json::from_slice(document.expose())?;
        if v != VERSION {
            return Err(Unreadable::Version(v));
        }
        let raw: RawList = serde_json::from_slice(document.expose())?;
        let keys = raw.keys.into_iter().map(|key| key.read().ok_or(Unreadable::NoKey));
        Ok(Self(keys.collect::<Result<_, _>>()?))
    }
}

impl From<&ApiKey> for RawKey {
    fn from(key: &ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name.clone(),
            sub: key.subject.clone(),
            roles: key.roles.clone(),
            scopes: key.scopes.clone(),
            iat: key.created.0,
            exp: key.expires.map(|expires| expires.0),
            rv: key.minted_at.to_string(),
            hash: URL_SAFE_NO_PAD.encode(key.hash.0),
        }
    }
}

impl RawKey {
    fn read(self) -> Option<ApiKey> {
        Some(ApiKey {
            id: KeyId::parse(&self.id)?,
            name: self.name,
            subject: self.sub,
            roles: self.roles,
            scopes: self.scopes,
            created: UnixTime(self.iat),
            expires: self.exp.map(UnixTime),
            minted_at: self.rv.parse().ok()?,
            hash: KeyHash(URL_SAFE_NO_PAD.decode(self.hash).ok()?.try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyText;
    use super::*;

    fn key(seed: u8) -> ApiKey {
        let (id, text) = KeyText::mint([seed; 8], &[seed; 32]);
        ApiKey {
            id,
            name: "nightly export".to_owned(),
            subject: "exporter".to_owned(),
            roles: vec!["reader".to_owned()],
            scopes: Vec::new(),
            created: UnixTime(1_800_000_000),
            expires: (seed > 1).then_some(UnixTime(1_800_000_060)),
            minted_at: Position::new(7, 1),
            hash: KeyHash::of(text.expose()),
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let list = KeyList::default().with(key(1)).with(key(2));
        let read = KeyList::from_document(&list.to_document().unwrap()).unwrap();
        assert_eq!(format!("{read:?}"), format!("{list:?}"));
        let (_, text) = KeyText::mint([2; 8], &[2; 32]);
        assert!(read.find(key(2).id).is_some_and(|key| key.hash.is_of(text.expose())));
    }

    #[test]
    fn what_another_release_wrote_is_not_guessed_at() {
        let read = |text: &str| KeyList::from_document(&Secret::new(text.as_bytes().to_vec()));
        assert!(matches!(read(r#"{"v":2,"lists":[]}"#), Err(Unreadable::Version(2))));
        assert!(matches!(read(r#"{"v":1}"#), Err(Unreadable::Malformed(_))));
        let odd = r#"{"v":1,"keys":[{"id":"!","name":"","sub":"","roles":[],"scopes":[],"iat":0,"exp":null,"rv":"0-0","hash":""}]}"#;
        assert!(matches!(read(odd), Err(Unreadable::NoKey)));
        assert!(read(r#"{"v":1,"keys":[],"more":1}"#).is_ok(), "members may be added");
    }

    #[test]
    fn a_key_counts_until_the_second_it_expires_in() {
        let key = key(2);
        assert!(!key.has_expired(UnixTime(1_800_000_059)) && key.has_expired(UnixTime(1_800_000_060)));
    }
}
