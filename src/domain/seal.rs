//! Seals: what we hand to a store or a browser to keep, so that nobody else reads it or changes it.
//!
//! Everything comes from `store.secret`, a ring of secrets that replicas share: the first seals, all of them open, so
//! that a secret can be replaced without a moment at which nobody can read. No two purposes share a key: a sealed
//! session taken for a sealed key ring does not open, whoever swaps them.

use super::secret::Secret;
use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce, UnboundKey, AES_256_GCM, NONCE_LEN};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{KeyType, Prk, Salt, HKDF_SHA256};
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine;
use std::fmt;

/// The least a secret may have (RFC 2104 section 3: no less than the output of the hash).
pub const MIN_SECRET: usize = 32;
/// Version, key id and nonce stand before what is sealed.
const HEAD: usize = 1 + KEY_ID + NONCE_LEN;
const KEY_ID: usize = 4;
const VERSION: u8 = 1;
/// Also of every key made here.
const KEY: usize = 32;

/// What a key is for. The label goes into the derivation: changing one makes everything sealed under it unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The private keys that sign our tokens.
    KeyRing,
    /// What a session knows of its user.
    Session,
    /// A sign-in under way, kept by the browser.
    Attempt,
    /// Tokens a provider gave us.
    ProviderTokens,
    /// The keyed hash under which an opaque handle is stored.
    Handle,
    /// The MAC of renewal and refresh tokens.
    Renewal,
    /// What a replica keeps on its disk.
    Snapshot,
    /// The list of what was revoked.
    Revocation,
    /// Tokens in forms against cross-site requests.
    Csrf,
    /// The keyed hash of the parts of a device.
    Device,
    /// Claims of our own tokens that nobody else reads.
    AccessToken,
    /// The keyed hash under which failed sign-ins are counted.
    Failures,
    /// The cookie of a device that somebody has signed in on.
    KnownDevice,
    /// The list of API keys.
    ApiKeys,
}

/// Which secret sealed something.
pub type KeyId = [u8; KEY_ID];

/// What is sealed, taken apart: for other forms than ours of writing the same down.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'s> {
    pub id: KeyId,
    pub nonce: [u8; NONCE_LEN],
    /// Ciphertext, and the tag behind it.
    pub body: &'s [u8],
}

/// The ring of secrets, ready for use.
pub struct Seals {
    /// Never empty; the first one seals.
    roots: Vec<Root>,
}

/// Seals for one record only. Its keys are its own, so random nonces never run out however often the others are
/// written, and what was sealed for another record does not open.
pub struct RecordSeals {
    /// In the order of the secrets.
    keys: Vec<SealKey>,
}

/// Why there are no seals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    #[error("no secret")]
    Missing,
    #[error("the secret is not base64")]
    NotBase64,
    #[error("the secret has fewer than 32 bytes")]
    TooShort,
    #[error("the cryptographic library refused")]
    Refused,
}

/// The library refused to seal: not known to happen for anything shorter than gigabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused to seal")]
pub struct CannotSeal;

impl Seals {
    /// # Errors
    /// There is no secret, or one is too short.
    pub fn new(secrets: &[Secret]) -> Result<Self, BadSecret> {
        if secrets.is_empty() {
            return Err(BadSecret::Missing);
        }
        if secrets.iter().any(|secret| secret.expose().len() < MIN_SECRET) {
            return Err(BadSecret::TooShort);
        }
        let roots: Result<Vec<_>, Unspecified> = secrets.iter().map(Root::new).collect();
        Ok(Self { roots: roots.map_err(|_| BadSecret::Refused)? })
    }

    /// `version | key id | nonce | AES-256-GCM`. The same `aad` opens it again. `nonce` is random and used once:
    /// used twice with one key it gives away what both seals hold and the means to forge more, so what is written
    /// without end belongs under [`Seals::of_record`].
    ///
    /// # Errors
    /// [`CannotSeal`], which is not known to happen.
    pub fn seal(
        &self,
        purpose: Purpose,
        aad: &[u8],
        nonce: [u8; NONCE_LEN],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CannotSeal> {
        let root = self.roots.first().ok_or(CannotSeal)?;
        root.key(purpose, &[]).map_err(|_| CannotSeal)?.seal(aad, nonce, plaintext)
    }

    /// What was sealed for `purpose` with `aad` by any of our secrets; `None` for everything else.
    #[must_use]
    pub fn open(&self, purpose: Purpose, aad: &[u8], sealed: &[u8]) -> Option<Secret> {
        let id = key_id(sealed)?;
        self.roots.iter().filter(|root| root.id == id).find_map(|root| root.key(purpose, &[]).ok()?.open(aad, sealed))
    }

    /// The seals of the record called `record`, which must be unique within its purpose.
    ///
    /// # Errors
    /// [`CannotSeal`], which is not known to happen.
    pub fn of_record(&self, purpose: Purpose, record: &[u8]) -> Result<RecordSeals, CannotSeal> {
        let keys: Result<Vec<_>, Unspecified> = self.roots.iter().map(|root| root.key(purpose, record)).collect();
        Ok(RecordSeals { keys: keys.map_err(|_| CannotSeal)? })
    }

    /// Keys for HMAC-SHA-256: the first one makes MACs, all of them check. None of them is a key that seals.
    #[must_use]
    pub fn mac_keys(&self, purpose: Purpose) -> Vec<Secret> {
        self.roots.iter().filter_map(|root| root.derive(&[b"mac ", purpose.label()]).ok()).collect()
    }

    /// The name of the secret that seals now.
    #[must_use]
    pub fn current(&self) -> Option<KeyId> {
        self.roots.first().map(|root| root.id)
    }

    /// Whether the secret that seals now made this. What was not should be sealed anew before the older secret goes.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let id = key_id(sealed);
        id.is_some() && id == self.current()
    }
}

impl RecordSeals {
    /// As [`Seals::seal`].
    ///
    /// # Errors
    /// [`CannotSeal`], which is not known to happen.
    pub fn seal(&self, aad: &[u8], nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> Result<Vec<u8>, CannotSeal> {
        self.keys.first().ok_or(CannotSeal)?.seal(aad, nonce, plaintext)
    }

    /// As [`Seals::open`].
    #[must_use]
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Secret> {
        let id = key_id(sealed)?;
        self.keys.iter().filter(|key| key.id == id).find_map(|key| key.open(aad, sealed))
    }
}

impl<'s> Parts<'s> {
    /// `None` for what no release of ours sealed.
    #[must_use]
    pub fn of(sealed: &'s [u8]) -> Option<Self> {
        let id = key_id(sealed)?;
        let nonce = sealed.get(HEAD - NONCE_LEN..HEAD)?.try_into().ok()?;
        Some(Self { id, nonce, body: sealed.get(HEAD..)? })
    }

    /// As it is sealed.
    #[must_use]
    pub fn joined(&self) -> Vec<u8> {
        [&[VERSION], self.id.as_slice(), &self.nonce, self.body].concat()
    }
}

/// A secret as operators write it: base64 of either alphabet, with or without padding, of at least 32 bytes.
///
/// # Errors
/// It is something else.
pub fn parse_secret(text: &str) -> Result<Secret, BadSecret> {
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let url_safe = text.contains(['-', '_']);
    let alphabet = if url_safe { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    let bytes = GeneralPurpose::new(alphabet, lenient).decode(text.trim()).map_err(|_| BadSecret::NotBase64)?;
    let secret = Secret::new(bytes);
    if secret.expose().len() < MIN_SECRET {
        return Err(BadSecret::TooShort);
    }
    Ok(secret)
}

/// One secret, and the name it goes by in what it seals.
struct Root {
    id: [u8; KEY_ID],
    prk: Prk,
}

impl Root {
    fn new(secret: &Secret) -> Result<Self, Unspecified> {
        let prk = Salt::new(HKDF_SHA256, b"doorward store secret 1").extract(secret.expose());
        let mut id = [0; KEY_ID];
        // an output of its own: the name of a key says nothing about the key
        prk.expand(&[b"key id"], Length(KEY_ID))?.fill(&mut id)?;
        Ok(Self { id, prk })
    }

    fn key(&self, purpose: Purpose, record: &[u8]) -> Result<SealKey, Unspecified> {
        // labels have no NUL, so no label followed by a record reads as another label
        let key = self.derive(&[b"seal ", purpose.label(), b"\0", record])?;
        Ok(SealKey { id: self.id, key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.expose())?) })
    }

    fn derive(&self, info: &[&[u8]]) -> Result<Secret, Unspecified> {
        let mut key = vec![0; KEY];
        self.prk.expand(info, Length(KEY))?.fill(&mut key)?;
        Ok(Secret::new(key))
    }
}

struct SealKey {
    id: [u8; KEY_ID],
    key: LessSafeKey,
}

impl SealKey {
    fn seal(&self, aad: &[u8], nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> Result<Vec<u8>, CannotSeal> {
        let mut sealed = Vec::with_capacity(HEAD + plaintext.len() + AES_256_GCM.tag_len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let body = sealed.get_mut(HEAD..).ok_or(CannotSeal)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(|_| CannotSeal)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Secret> {
        let nonce = Nonce::try_assume_unique_for_key(sealed.get(HEAD - NONCE_LEN..HEAD)?).ok()?;
        let body = sealed.get(HEAD..)?;
        let mut plain = vec![0; body.len().checked_sub(AES_256_GCM.tag_len())?];
        let (text, tag) = body.split_at_checked(plain.len())?;
        self.key.open_separate_gather(nonce, Aad::from(aad), text, tag, &mut plain).ok()?;
        Some(Secret::new(plain))
    }
}

/// Which secret says it made this; `None` for what no release of ours made.
fn key_id(sealed: &[u8]) -> Option<[u8; KEY_ID]> {
    let (version, rest) = sealed.split_first()?;
    let id = rest.first_chunk::<KEY_ID>()?;
    (*version == VERSION).then_some(*id)
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::KeyRing => b"key ring",
            Self::Session => b"session",
            Self::Attempt => b"attempt",
            Self::ProviderTokens => b"provider tokens",
            Self::Handle => b"handle",
            Self::Renewal => b"renewal",
            Self::Snapshot => b"snapshot",
            Self::Revocation => b"revocation",
            Self::Csrf => b"csrf",
            Self::Device => b"device",
            Self::AccessToken => b"access token",
            Self::Failures => b"failures",
            Self::KnownDevice => b"known device",
            Self::ApiKeys => b"api keys",
        }
    }
}

/// How much to derive, in bytes.
#[derive(Clone, Copy)]
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("secrets", &self.roots.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordSeals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordSeals(..)")
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
