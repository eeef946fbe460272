//! What a browser carries where sessions are opaque: `v1.<user>.<handle>.<mac>`.
//!
//! The handle is 256 random bits and means nothing. The user stands beside it so that a store finds everything about
//! one user in one place. The MAC keeps strangers from reaching the store at all; and as it tells which of our secrets
//! was at work, a ring of them costs no second look-up.

use super::id::first_half;
use super::{HandleHash, HandleKey, UserHash};
use crate::domain::secret::Secret;
use aws_lc_rs::hmac;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const VERSION: &str = "v1";
/// The version, a name, the handle, the MAC, and three dots. There is no other length.
const LENGTH: usize = 2 + 22 + 43 + 22 + 3;

/// A handle as a browser carries it. Whoever holds it is the user, so it is never stored or printed.
pub struct Handle {
    text: Zeroizing<String>,
    hash: HandleHash,
}

/// Where the session of a handle is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub user: UserHash,
    pub hash: HandleHash,
}

/// The keys of handles: the first one makes them, all of them read.
#[derive(Debug)]
pub struct HandleRing {
    first: HandleKey,
    others: Vec<HandleKey>,
}

impl HandleRing {
    /// `None` for a key that is not one.
    #[must_use]
    pub fn new(first: &Secret, others: &[Secret]) -> Option<Self> {
        let key = |secret: &Secret| secret.expose().try_into().ok().map(HandleKey::new);
        Some(Self { first: key(first)?, others: others.iter().map(key).collect::<Option<_>>()? })
    }

    /// A handle made of these random bits.
    #[must_use]
    pub fn mint(&self, user: UserHash, bits: &[u8; 32]) -> Handle {
        let said = Zeroizing::new(format!("{VERSION}.{user}.{}", URL_SAFE_NO_PAD.encode(bits)));
        let mac = URL_SAFE_NO_PAD.encode(mac(&self.first, &said));
        Handle { text: Zeroizing::new(format!("{}.{mac}", *said)), hash: HandleHash::of(&self.first, bits) }
    }

    /// Where the session of this handle is found, if we made it. Everything else is `None`, and cost no store.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Found> {
        if text.len() != LENGTH {
            return None;
        }
        let (said, presented) = text.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (version, user, handle) = (parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() {
            return None;
        }
        let user = UserHash::parse(user)?;
        let handle = Secret::new(URL_SAFE_NO_PAD.decode(handle).ok()?);
        let presented = URL_SAFE_NO_PAD.decode(presented).ok()?;
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        let key = keys.find(|key| mac(key, said).ct_eq(presented.as_slice()).into())?;
        Some(Found { user, hash: HandleHash::of(key, handle.expose().try_into().ok()?) })
    }
}

impl Handle {
    /// For the cookie it leaves in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the store keeps of it.
    #[must_use]
    pub fn hash(&self) -> HandleHash {
        self.hash
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(..)")
    }
}

/// Over the text, which is longer than the 32 bytes that are hashed for the store: neither is ever the other.
fn mac(key: &HandleKey, said: &str) -> [u8; 16] {
    let mut whole = [0; 32];
    whole.iter_mut().zip(hmac::sign(&key.0, said.as_bytes()).as_ref()).for_each(|(into, from)| *into = *from);
    first_half(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserHash = UserHash::from_bytes([1; 16]);

    fn key(byte: u8) -> Secret {
        Secret::new(vec![byte; 32])
    }

    fn ring(first: u8, others: &[u8]) -> HandleRing {
        HandleRing::new(&key(first), &others.iter().map(|byte| key(*byte)).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn a_handle_leads_to_what_the_store_keeps_of_it() {
        let handle = ring(1, &[]).mint(USER, &[7; 32]);
        assert_eq!(handle.as_str().len(), LENGTH);
        assert_eq!(ring(1, &[]).read(handle.as_str()), Some(Found { user: USER, hash: handle.hash() }));
        assert!(!handle.as_str().contains(&handle.hash().text()), "what is stored is not what is carried");
    }

    #[test]
    fn a_handle_of_the_secret_before_is_found_under_the_hash_it_was_stored_with() {
        let old = ring(1, &[]).mint(USER, &[7; 32]);
        assert_eq!(ring(2, &[1]).read(old.as_str()), Some(Found { user: USER, hash: old.hash() }));
        assert_ne!(ring(2, &[1]).mint(USER, &[7; 32]).hash(), old.hash());
        assert_eq!(ring(2, &[]).read(old.as_str()), None, "its secret has left the ring");
    }

    #[test]
    fn whatever_is_changed_it_is_no_handle_of_ours() {
        let ring = ring(1, &[]);
        let handle = ring.mint(USER, &[7; 32]);
        let good = handle.as_str();
        for at in 0..good.len() {
            for with in ['A', 'B', '.', '=', 'é'] {
                let changed = format!("{}{with}{}", &good[..at], &good[at + 1..]);
                assert!(changed == good || ring.read(&changed).is_none(), "{changed}");
            }
            assert_eq!(ring.read(&good[..at]), None, "cut at {at}");
        }
        assert_eq!(ring.read(&format!("{good}A")), None);
        assert_eq!(ring.read(&".".repeat(LENGTH)), None);
    }

    #[test]
    fn a_handle_copied_to_another_user_is_nobodys() {
        let ring = ring(1, &[]);
        let other = UserHash::from_bytes([2; 16]);
        let moved = ring.mint(USER, &[7; 32]).as_str().replace(&USER.to_string(), &other.to_string());
        assert_eq!(ring.read(&moved), None);
    }

    #[test]
    fn debug_output_never_shows_a_handle_or_a_key() {
        let ring = ring(1, &[]);
        let shown = format!("{:?} {ring:?}", ring.mint(USER, &[7; 32]));
        assert_eq!(shown, "Handle(..) HandleRing { first: HandleKey(..), others: [] }");
    }
}
