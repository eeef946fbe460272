//! API keys: what a program shows that has no provider to get tokens from.
//!
//! A key is a name and 256 random bits: `dwk_<id>_<secret>_<checksum>`. The name is public and stands in lists and logs.
//! The secret is shown once; what is kept is a hash, which needs no salt and no slow function, because nobody guesses
//! that many bits. The checksum is for people and scanners: a key cut short is told from one that was revoked.

mod list;

pub use list::{ApiKey, KeyList, Unreadable, MOST_KEYS};

use super::secret::Secret;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// How every key of ours begins; nothing else a request may carry does.
pub const PREFIX: &str = "dwk_";
/// Characters of an id.
const ID: usize = 10;
/// Characters of the secret, base64url without padding.
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
const LENGTH: usize = PREFIX.len() + ID + 1 + SECRET + 1 + CHECKSUM;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public name of a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID]);

/// What is kept of a key: SHA-256 of its text.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

/// A key as it is shown, once. Whoever holds it is its subject.
pub struct KeyText(Zeroizing<String>);

impl KeyId {
    /// `None` for what is no id.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id: [u8; ID] = text.as_bytes().try_into().ok()?;
        id.iter().all(u8::is_ascii_alphanumeric).then_some(Self(id))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id in a key whose form and checksum are right; `None` for any other text, which then never was one.
    #[must_use]
    pub fn of_key(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let (said, checksum) = text.rsplit_once('_').filter(|(_, checksum)| checksum.len() == CHECKSUM)?;
        let rest = said.strip_prefix(PREFIX)?;
        let (id, secret) = rest.split_at_checked(ID)?;
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(secret.strip_prefix('_')?).ok()?);
        (secret.len() == 32 && checksum.as_bytes() == self::checksum(said)).then_some(())?;
        Self::parse(id)
    }
}

impl KeyHash {
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Whether `text` is the key, in a time that depends on nothing but its length.
    #[must_use]
    pub fn is_of(&self, text: &str) -> bool {
        Secret::new(self.0.to_vec()).matches(&Self::of(text).0)
    }
}

impl KeyText {
    /// The key made of these random bits: its id of the first eight bytes, its secret of the others.
    #[must_use]
    pub fn mint(id: [u8; 8], secret: &[u8; 32]) -> (KeyId, Self) {
        let id = KeyId(base62(u64::from_be_bytes(id)));
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.encode(secret));
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        for part in [PREFIX, id.as_str(), "_", &secret] {
            text.push_str(part);
        }
        let checksum = checksum(&text);
        text.push('_');
        text.extend(checksum.map(char::from));
        (id, Self(text))
    }

    /// The key itself, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// CRC-32 of what stands before the last `_`.
fn checksum(said: &str) -> [u8; CHECKSUM] {
    base62(u64::from(crc32fast::hash(said.as_bytes())))
}

/// The last `N` digits of a number, padded with zeros.
fn base62<const N: usize>(mut number: u64) -> [u8; N] {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        let at = usize::try_from(number % 62).unwrap_or_default();
        *digit = DIGITS.get(at).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(..)")
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn minted(seed: u8) -> (KeyId, KeyText) {
        KeyText::mint([seed; 8], &[seed.wrapping_add(1); 32])
    }

    #[test]
    fn a_key_looks_as_documented() {
        let (id, key) = KeyText::mint([0; 8], &[0; 32]);
        let said = format!("dwk_0000000000_{}", "A".repeat(43));
        // CRC-32 as zlib computes it, written with 0-9A-Za-z
        let checksum = std::str::from_utf8(&checksum(&said)).unwrap().to_owned();
        assert_eq!((id.as_str(), key.expose()), ("0000000000", &*format!("{said}_{checksum}")));
        assert_eq!(base62::<6>(0xffff_ffff), *b"4gfFC3", "the largest checksum has six digits");
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926, "the usual check value of CRC-32");
    }

    #[test]
    fn only_a_whole_key_has_an_id() {
        let (id, key) = minted(7);
        let text = key.expose();
        assert_eq!(KeyId::of_key(text), Some(id));
        for wrong in [
            "",
            "dwk_",
            &text[1..],
            &text[..text.len() - 1],
            &format!("{text} "),
            &text.replace("dwk_", "dwK_"),
            &text.to_ascii_lowercase(),
        ] {
            assert_eq!(KeyId::of_key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_of_one_key_alone() {
        let (one, other) = (minted(1).1, minted(2).1);
        let hash = KeyHash::of(one.expose());
        assert!(hash.is_of(one.expose()) && !hash.is_of(other.expose()));
    }

    #[test]
    fn debug_output_never_shows_a_key() {
        let (_, key) = minted(3);
        assert_eq!(format!("{key:?} {:?}", KeyHash::of(key.expose())), "KeyText(..) KeyHash(..)");
    }

    proptest! {
        #[test]
        fn one_wrong_character_is_always_noticed(id: [u8; 8], secret: [u8; 32], at in 0..LENGTH, other in 33_u8..127) {
            let (_, key) = KeyText::mint(id, &secret);
            let mut text = key.expose().as_bytes().to_vec();
            prop_assume!(text[at] != other);
            text[at] = other;
            prop_assert_eq!(KeyId::of_key(std::str::from_utf8(&text).unwrap()), None);
        }

        #[test]
        fn nothing_a_stranger_sends_is_trouble(text in "\\PC*") {
            let _ = KeyId::of_key(&text);
            let _ = KeyId::of_key(&format!("dwk_{text}"));
        }
    }
}
