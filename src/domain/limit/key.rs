//! What is counted together: the parts of a key, written down so that no two keys read alike.
//!
//! Each part stands behind its length, so `("a", "bc")` is not `("ab", "c")`, and one that is long is replaced by its
//! hash, so that no stranger decides how much we remember. An absent part is one shared empty value.

use crate::domain::session::id::first_half;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use http::HeaderName;
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Parts of one key; more than anybody needs.
pub const MOST_PARTS: usize = 8;
/// Bytes of a part that is written as it is.
const PLAIN: usize = 56;
/// Before a part that was hashed; no length is that.
const HASHED: u8 = 0xFF;
const ROOM: usize = MOST_PARTS * (PLAIN + 1) + 8;

/// One thing a limit counts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    Ip,
    /// Source and subject.
    User,
    Session,
    ApiKey,
    /// Source and client that the token was issued to: `client_id` (RFC 9068 section 2.2), else `azp` (OpenID Connect Core 1.0
    /// section 2).
    Client,
    /// The `jti`.
    Token,
    Route,
    /// Only from a trusted proxy: anybody else could choose a new value for every request.
    Header(HeaderName),
}

/// How much of an address tells one client from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixes {
    pub ipv4: u8,
    /// A household or a server gets 64 bits and may use each of them.
    pub ipv6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 64 }
    }
}

impl Prefixes {
    /// The network of an address, the rest of it zero.
    #[must_use]
    pub fn of_ipv4(self, ip: Ipv4Addr) -> u128 {
        masked(u32::from(ip).into(), self.ipv4, 32)
    }

    /// The same.
    #[must_use]
    pub fn of_ipv6(self, ip: Ipv6Addr) -> u128 {
        masked(u128::from(ip), self.ipv6, 128)
    }
}

impl Part {
    /// As `Display` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ip" => Self::Ip,
            "user" => Self::User,
            "session" => Self::Session,
            "api_key" => Self::ApiKey,
            "client" => Self::Client,
            "token" => Self::Token,
            "route" => Self::Route,
            other => Self::Header(HeaderName::try_from(other.strip_prefix("header:")?).ok()?),
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip => f.write_str("ip"),
            Self::User => f.write_str("user"),
            Self::Session => f.write_str("session"),
            Self::ApiKey => f.write_str("api_key"),
            Self::Client => f.write_str("client"),
            Self::Token => f.write_str("token"),
            Self::Route => f.write_str("route"),
            Self::Header(name) => write!(f, "header:{name}"),
        }
    }
}

/// A canonical key being written; no allocation.
pub struct KeyText {
    bytes: [u8; ROOM],
    length: usize,
}

/// How a store knows a bucket: half of SHA-256 over limit and key. It tells nobody who is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BucketId(pub [u8; 16]);

impl KeyText {
    /// `limit` is what tells the buckets of one limit from those of another.
    #[must_use]
    pub fn of(limit: u64) -> Self {
        let mut text = Self { bytes: [0; ROOM], length: 0 };
        text.put(&limit.to_be_bytes());
        text
    }

    /// Writes the next part. `pieces` belong together: a user is source and subject.
    pub fn part(&mut self, pieces: &[&[u8]]) {
        // the lengths of pieces count, too
        let whole: usize = pieces.iter().map(|piece| piece.len() + 1).sum();
        let plain = whole <= PLAIN && self.length + whole < ROOM;
        match u8::try_from(whole) {
            Ok(length) if plain => {
                self.put(&[length]);
                for piece in pieces {
                    self.put(&[u8::try_from(piece.len()).unwrap_or(u8::MAX)]);
                    self.put(piece);
                }
            }
            _ => {
                let mut hash = Sha256::new();
                for piece in pieces {
                    hash.update(u64::try_from(piece.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hash.update(piece);
                }
                self.put(&[HASHED]);
                self.put(&hash.finalize());
            }
        }
    }

    /// The network of an address.
    pub fn ip(&mut self, ip: Option<IpAddr>, prefixes: Prefixes) {
        match ip.map(|ip| ip.to_canonical()) {
            None => self.part(&[]),
            Some(IpAddr::V4(ip)) => self.part(&[&prefixes.of_ipv4(ip).to_be_bytes()[12..]]),
            Some(IpAddr::V6(ip)) => self.part(&[&prefixes.of_ipv6(ip).to_be_bytes()]),
        }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }
}

impl BucketId {
    /// Of the limit called `name`, whatever its rate: a bucket goes on when that changes.
    #[must_use]
    pub fn of(name: &str, key: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(name.as_bytes());
        hash.update([0]);
        // without the number that tells limits apart in this process
        hash.update(key.get(8..).unwrap_or_default());
        Self(first_half(hash.finalize().into()))
    }
}

/// What tells the limit of `key` from others: a key without any part, as no request has it.
#[must_use]
pub fn of_limit(key: &[u8]) -> &[u8] {
    key.get(..size_of::<u64>()).unwrap_or_default()
}

fn masked(bits: u128, prefix: u8, width: u8) -> u128 {
    let rest = u32::from(width.saturating_sub(prefix));
    bits.checked_shr(rest).and_then(|kept| kept.checked_shl(rest)).unwrap_or(0)
}

impl fmt::Display for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for BucketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
