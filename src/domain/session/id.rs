//! The names of sessions, of their users and of renewal families. Names open nothing: a caller who knows one is still
//! nobody. What opens something is kept as a keyed hash only.

use crate::domain::principal::SourceName;
use aws_lc_rs::hmac;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::fmt;

/// Names of 128 bits, written as 22 characters of base64url. One spelling each: what is not canonical is no name.
macro_rules! name {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        impl $name {
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                // decoding stops at 24 bytes whatever a stranger sends
                if text.len() != 22 {
                    return None;
                }
                let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

name! {
    /// The public name of a session, `sid`: 128 random bits. In logs, in tokens, in lists; never a credential.
    SessionId
}
name! {
    /// One sign-in's line of renewal tokens: 128 random bits.
    FamilyId
}
name! {
    /// A user without saying who: everything a store keeps of one user is found below it.
    UserHash
}
name! {
    /// The `sid` by which a provider knows a session, for back-channel logout.
    ProviderSid
}

impl UserHash {
    #[must_use]
    pub fn of(source: &SourceName, subject: &str) -> Self {
        Self(short_hash(source, subject))
    }
}

impl ProviderSid {
    #[must_use]
    pub fn of(source: &SourceName, sid: &str) -> Self {
        Self(short_hash(source, sid))
    }
}

/// Half of SHA-256 over source NUL rest. No source has a NUL in its name, so no two pairs share a reading.
fn short_hash(source: &SourceName, rest: &str) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(source.as_str().as_bytes());
    hash.update([0]);
    hash.update(rest.as_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    first_half(digest)
}

pub(crate) fn first_half(digest: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(into, from)| *into = from);
    half
}

/// What hashes handles. Without it a copy of the store cannot even test a guess.
pub struct HandleKey(pub(super) hmac::Key);

impl HandleKey {
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }
}

impl fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleKey(..)")
    }
}

/// HMAC-SHA-256 of the 256-bit handle a browser carries: finds a session, opens none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandleHash([u8; 32]);

impl HandleHash {
    #[must_use]
    pub fn of(key: &HandleKey, handle: &[u8; 32]) -> Self {
        let mut hash = [0; 32];
        hash.iter_mut().zip(hmac::sign(&key.0, handle).as_ref()).for_each(|(into, from)| *into = *from);
        Self(hash)
    }

    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As it stands in the keys of a store.
    #[must_use]
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl fmt::Debug for HandleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_written_and_in_no_other_spelling() {
        let id = SessionId::from_bytes([0xfb; 16]);
        let text = id.to_string();
        assert_eq!(text.len(), 22);
        assert_eq!(SessionId::parse(&text), Some(id));
        let last_bits_set = format!("{}x", &text[..21]);
        for wrong in ["", &text[..21], &format!("{text}A"), &text.replace('-', "+"), &last_bits_set, &"=".repeat(22)] {
            assert_eq!(SessionId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn one_subject_of_two_sources_is_two_users() {
        let (a, b) = (SourceName::new("a"), SourceName::new("b"));
        assert_ne!(UserHash::of(&a, "1"), UserHash::of(&b, "1"));
        assert_ne!(UserHash::of(&SourceName::new("ab"), "c"), UserHash::of(&a, "bc"));
        assert_eq!(UserHash::of(&a, "1"), UserHash::of(&SourceName::new("a"), "1"));
    }

    #[test]
    fn a_handle_is_found_only_with_the_key_that_hashed_it() {
        let handle = [7; 32];
        let (one, other) = (HandleKey::new(&[1; 32]), HandleKey::new(&[2; 32]));
        assert_eq!(HandleHash::of(&one, &handle), HandleHash::of(&one, &handle));
        assert_ne!(HandleHash::of(&one, &handle), HandleHash::of(&other, &handle));
        assert_ne!(HandleHash::of(&one, &handle), HandleHash::of(&one, &[8; 32]));
        assert_eq!(format!("{:?} {one:?}", HandleHash::of(&one, &handle)), "HandleHash(..) HandleKey(..)");
    }
}
