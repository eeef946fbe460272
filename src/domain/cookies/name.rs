//! The names of our cookies, in one place: who sets them, who reads them and who keeps them from backends agree.

use super::Prefix;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use std::fmt;

const STEM: &str = "doorward";
const PREFIXES: [&str; 2] = ["__Host-", "__Secure-"];

/// A cookie of ours. Its `Display` is the name without its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// The access token or the opaque handle.
    Session,
    /// Part of a session value too long for one cookie, counting from 0.
    SessionPiece(u8),
    /// The renewal token. Generations alternate between two cookies, so that a late answer with an older one cannot
    /// overwrite the newer.
    Renewal(Parity),
    /// The generation that was sent back once to look for a newer one.
    Bounced,
    /// One sign-in under way; several tabs may each have one.
    Attempt(AttemptId),
    /// Somebody has signed in on this device with a password.
    KnownDevice,
}

/// Even and odd generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parity {
    Even,
    Odd,
}

impl Parity {
    pub const BOTH: [Self; 2] = [Self::Even, Self::Odd];

    #[must_use]
    pub fn of(generation: u64) -> Self {
        if generation.is_multiple_of(2) {
            Self::Even
        } else {
            Self::Odd
        }
    }

    fn digit(self) -> char {
        match self {
            Self::Even => '0',
            Self::Odd => '1',
        }
    }
}

/// Six characters that tell the attempts of one browser apart. No secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptId([u8; 6]);

impl AttemptId {
    /// Made from randomness.
    #[must_use]
    pub fn new(random: [u8; 4]) -> Self {
        let mut text = [b'A'; 6];
        // four bytes are exactly six characters
        let _ = URL_SAFE_NO_PAD.encode_slice(random, &mut text);
        Self(text)
    }

    /// Reads what [`AttemptId::as_str`] wrote.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let id: [u8; 6] = text.try_into().ok()?;
        id.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).then_some(Self(id))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whether `name`, as it stands in a `Cookie` or `Set-Cookie`, is one of ours under any configuration: such a cookie
/// reaches no backend, and no backend sets one.
#[must_use]
pub fn is_ours(name: &[u8]) -> bool {
    let [b'_' | b'd', ..] = name else {
        return false;
    };
    if PREFIXES.iter().any(|prefix| behind(name, prefix).is_some_and(|rest| behind(rest, STEM).is_some())) {
        return true;
    }
    let rest = behind(name, STEM);
    rest.is_some_and(|rest| {
        matches!(rest, b"" | b"-r0" | b"-r1" | b"-b" | b"-d") || matches!(rest, [b'.', ..] | [b'-', b'l', b'-', ..])
    })
}

/// The cookie that `name` is under `prefix`.
pub(super) fn read(name: &[u8], prefix: Prefix) -> Option<Name> {
    match behind(behind(name, prefix.text())?, STEM)? {
        b"" => Some(Name::Session),
        b"-r0" => Some(Name::Renewal(Parity::Even)),
        b"-r1" => Some(Name::Renewal(Parity::Odd)),
        b"-b" => Some(Name::Bounced),
        b"-d" => Some(Name::KnownDevice),
        [b'.', digit @ b'0'..=b'3'] => Some(Name::SessionPiece(digit - b'0')),
        [b'-', b'l', b'-', id @ ..] => AttemptId::parse(id).map(Name::Attempt),
        _ => None,
    }
}

fn behind<'n>(name: &'n [u8], prefix: &str) -> Option<&'n [u8]> {
    name.strip_prefix(prefix.as_bytes())
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session => f.write_str(STEM),
            Self::SessionPiece(at) => write!(f, "{STEM}.{at}"),
            Self::Renewal(parity) => write!(f, "{STEM}-r{}", parity.digit()),
            Self::Bounced => write!(f, "{STEM}-b"),
            Self::KnownDevice => write!(f, "{STEM}-d"),
            Self::Attempt(id) => write!(f, "{STEM}-l-{}", id.as_str()),
        }
    }
}

impl fmt::Debug for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
