//! The keys of one issuer: what its signatures are checked with.
//!
//! A key set is somebody else's document. What cannot be used is left out rather than guessed at, and a key answers
//! only for the algorithms of its own type: no header can make an RSA key into an HMAC secret.

use super::{jose, json};
use crate::domain::secret::Secret;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt;

/// The longest key set we read, in bytes.
pub const MAX_DOCUMENT: usize = 1024 * 1024;
/// The keys beyond are not looked at.
const MAX_KEYS: usize = 100;
/// How many keys a token without `kid` may cost.
const MAX_TRIED: usize = 8;

/// Keys that may verify; possibly none.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
    /// Over everything that matters for verification, in order.
    digest: [u8; 32],
}

/// One usable key.
#[derive(Clone)]
pub struct Key {
    kid: Option<String>,
    kind: Kind,
    /// The only algorithm this key is meant for, when the set says so.
    alg: Option<Algorithm>,
    key: DecodingKey,
}

/// Type and curve: what decides which algorithms fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
    Shared,
}

/// The document is no key set at all. Says nothing about the keys that were known before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("the key set is larger than 1 MiB")]
    TooLarge,
    #[error("the key set is not a JSON object with a list \"keys\"")]
    NotAKeySet,
}

impl KeySet {
    /// The usable keys of a JWK Set (RFC 7517 section 5). May be empty: an issuer can withdraw all its keys.
    ///
    /// # Errors
    /// The document is no key set.
    pub fn from_jwks(document: &[u8]) -> Result<Self, Malformed> {
        if document.len() > MAX_DOCUMENT {
            return Err(Malformed::TooLarge);
        }
        let set = json::parse_object(document).map_err(|_| Malformed::NotAKeySet)?;
        let listed = set.get("keys").and_then(Value::as_array).ok_or(Malformed::NotAKeySet)?;
        let mut digest = Sha256::new();
        let keys = listed.iter().take(MAX_KEYS).filter_map(Value::as_object);
        let keys = keys.filter_map(|jwk| Key::from_jwk(jwk, &mut digest)).collect();
        Ok(Self { keys, digest: digest.finalize().into() })
    }

    /// The one key of an HS256 issuer. A `kid` in its tokens names nothing we could look up.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        let key = DecodingKey::from_secret(secret.expose());
        let key = Key { kid: None, kind: Kind::Shared, alg: Some(Algorithm::HS256), key };
        Self { keys: vec![key], digest: Sha256::digest(secret.expose()).into() }
    }

    /// The keys a token with this `kid` and `algorithm` may be signed with: those of that `kid`, or, without one, at
    /// most eight that fit the algorithm.
    pub fn find<'k>(&'k self, kid: Option<&'k str>, algorithm: Algorithm) -> impl Iterator<Item = &'k Key> {
        self.keys.iter().filter(move |key| key.is_named(kid) && key.fits(algorithm)).take(MAX_TRIED)
    }

    /// Whether a key of this name is known, whatever it is good for.
    #[must_use]
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.is_named(Some(kid)))
    }

    /// A shared secret: there is nothing more to fetch.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.keys.iter().any(|key| key.kind == Kind::Shared)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Same keys under the same names for the same algorithms.
impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.keys.len() == other.keys.len()
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.keys).finish()
    }
}

impl Key {
    /// What `jsonwebtoken` checks signatures with.
    #[must_use]
    pub fn decoding_key(&self) -> &DecodingKey {
        &self.key
    }

    fn is_named(&self, kid: Option<&str>) -> bool {
        self.kind == Kind::Shared || kid.is_none() || self.kid.as_deref() == kid
    }

    /// Exact on purpose: ES384 with a P-256 key, or PS256 with a key meant for RS256, is a confusion attack or a
    /// broken issuer, and both are refused.
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.kind.fits(algorithm) && self.alg.is_none_or(|only| only == algorithm)
    }

    /// `None` for a key we could not use: of an unknown type or curve, not for verifying signatures, too weak,
    /// or symmetric, which has no place in a public document (RFC 8725 section 2.6).
    fn from_jwk(jwk: &Map<String, Value>, digest: &mut Sha256) -> Option<Self> {
        if !is_for_verifying(jwk) {
            return None;
        }
        let kid = match jwk.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let (kind, key, material) = match jwk.get("kty")?.as_str()? {
            "RSA" => rsa(jwk)?,
            "EC" => ec(jwk)?,
            "OKP" => ed25519(jwk)?,
            _ => return None,
        };
        let alg = match jwk.get("alg") {
            None => None,
            Some(name) => Some(name.as_str().and_then(jose::algorithm).filter(|alg| kind.fits(*alg))?),
        };
        let summary = (kid.as_deref(), format!("{kind:?} {alg:?}"), material);
        // JSON keeps the parts apart: no two different keys have one summary
        digest.update(serde_json::to_vec(&summary).ok()?);
        Some(Self { kid, kind, alg, key })
    }
}

/// A kid is the issuer's public name for a key; the key itself is not shown, for it may be a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kid = self.kid.as_deref().map(str::escape_debug).map(|kid| kid.to_string());
        f.debug_struct("Key").field("kind", &self.kind).field("kid", &kid).finish_non_exhaustive()
    }
}

impl Kind {
    fn fits(self, algorithm: Algorithm) -> bool {
        use Algorithm as A;
        match self {
            Self::Rsa => matches!(algorithm, A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512),
            Self::P256 => algorithm == A::ES256,
            Self::P384 => algorithm == A::ES384,
            Self::Ed25519 => algorithm == A::EdDSA,
            Self::Shared => algorithm == A::HS256,
        }
    }
}

/// `use` and `key_ops` when present must both allow it (RFC 7517 sections 4.2 and 4.3).
fn is_for_verifying(jwk: &Map<String, Value>) -> bool {
    let used = jwk.get("use").is_none_or(|value| value == "sig");
    let listed = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    used && jwk.get("key_ops").is_none_or(listed)
}

/// A key, and its public numbers for the digest.
type Material = (Kind, DecodingKey, Vec<Vec<u8>>);

/// 2048 bits is the least RFC 7518 section 3.3 allows, 8192 the most our verifier takes. An even or tiny exponent is no
/// RSA key.
fn rsa(jwk: &Map<String, Value>) -> Option<Material> {
    let (n, e) = (number(jwk, "n")?, number(jwk, "e")?);
    let bits = n.len().checked_mul(8)?.checked_sub(usize::try_from(n.first()?.leading_zeros()).ok()?)?;
    let odd = e.last().is_some_and(|last| last % 2 == 1);
    if !(2048..=8192).contains(&bits) || !odd || e == [1] || e.len() > 4 {
        return None;
    }
    Some((Kind::Rsa, DecodingKey::from_rsa_raw_components(&n, &e), vec![n, e]))
}

/// Coordinates have their full length (RFC 7518 section 6.2.1.2); that the point is on the curve is checked whenever
/// the key is used.
fn ec(jwk: &Map<String, Value>) -> Option<Material> {
    let (kind, length) = match jwk.get("crv")?.as_str()? {
        "P-256" => (Kind::P256, 32),
        "P-384" => (Kind::P384, 48),
        _ => return None,
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != length || y.len() != length {
        return None;
    }
    let point = [&[0x04], x.as_slice(), y.as_slice()].concat();
    Some((kind, DecodingKey::from_ec_der(&point), vec![x, y]))
}

fn ed25519(jwk: &Map<String, Value>) -> Option<Material> {
    let x = bytes(jwk, "x")?;
    let usable = jwk.get("crv")? == "Ed25519" && x.len() == 32;
    usable.then(|| (Kind::Ed25519, DecodingKey::from_ed_der(&x), vec![x]))
}

/// A big-endian number; leading zeros, which some issuers send, say nothing.
fn number(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    let bytes = bytes(jwk, name)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    bytes.get(start..).map(<[u8]>::to_vec)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(jwk.get(name)?.as_str()?).ok()
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
