//! Our cookies: what they are called, how they are set, cleared and read.
//!
//! `__Host-` makes the browser promise that nobody but this very host set a cookie, over TLS. With a `cookie.domain`
//! only `__Secure-` can be promised, and without TLS nothing. Whoever reads a request asks for exactly the names the
//! plan would set: a sister host that plants a bare `doorward` next to them plants nothing.

mod name;
mod read;
mod response;

pub use name::{is_ours, AttemptId, Name, Parity};
pub use read::{OurCookies, SessionCookie};
pub use response::attach;

use super::origins::Origin;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::time::Duration;

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

/// Browsers drop a cookie whose name, value and attributes exceed this, silently.
const LONGEST: usize = 4096;
/// How many cookies one session value may fill. More would exceed the header budget (16 KiB) of many a server in front.
pub(super) const MOST_PIECES: usize = 4;
/// No browser keeps a cookie for longer than 400 days.
const LONGEST_LIFE: Duration = Duration::from_secs(400 * 24 * 3600);
/// Characters of the checksum in a cut value.
const SUM: usize = 6;

/// `session.cookie.same_site`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    Strict,
    #[default]
    Lax,
    None,
}

/// What a name begins with; says what the browser guarantees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prefix {
    Host,
    Secure,
    Bare,
}

/// How cookies are written under one public origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookiePlan {
    prefix: Prefix,
    same_site: SameSite,
    domain: Option<Box<str>>,
}

/// Why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the cookie would be larger than a browser keeps")]
    TooLarge,
    #[error("the value holds a byte that no cookie may")]
    BadByte,
}

impl CookiePlan {
    /// `domain` shares the cookies with all hosts below it.
    #[must_use]
    pub fn new(public_url: &Origin, domain: Option<&str>, same_site: SameSite) -> Self {
        let domain = domain.filter(|domain| !domain.is_empty());
        let prefix = match (public_url.is_https(), domain) {
            (true, None) => Prefix::Host,
            (true, Some(_)) => Prefix::Secure,
            (false, _) => Prefix::Bare,
        };
        Self { prefix, same_site, domain: domain.map(Into::into) }
    }

    /// The `Set-Cookie` that makes a browser hold `value` for `max_age`.
    ///
    /// # Errors
    /// A value that does not fit into one cookie, or could not be read back. A session may be longer:
    /// [`CookiePlan::set_session`].
    pub fn set(&self, name: Name, value: &str, max_age: Duration) -> Result<HeaderValue, Unfit> {
        if !value.bytes().all(is_cookie_octet) {
            return Err(Unfit::BadByte);
        }
        self.line(name, value, max_age).and_then(|line| HeaderValue::try_from(line).map_err(|_| Unfit::BadByte))
    }

    /// The `Set-Cookie` lines that make a browser hold the session `value`, in as many cookies as it takes, and forget
    /// whatever else it `held` of one.
    ///
    /// # Errors
    /// A value beyond four cookies: the caller has claims that belong into an opaque session.
    pub fn set_session(
        &self,
        value: &str,
        max_age: Duration,
        held: &OurCookies<'_>,
    ) -> Result<Vec<HeaderValue>, Unfit> {
        let whole = self.set(Name::Session, value, max_age);
        let (mut lines, used) = match whole {
            Ok(line) => (vec![line], vec![Name::Session]),
            Err(Unfit::TooLarge) => self.set_pieces(value, max_age)?,
            Err(Unfit::BadByte) => return Err(Unfit::BadByte),
        };
        lines.extend(held.session_names().filter(|name| !used.contains(name)).map(|name| self.clear(name)));
        Ok(lines)
    }

    /// The `Set-Cookie` that makes a browser forget a cookie. Browsers match name, domain and path; the other
    /// attributes are the same because a `__Host-` name is not even looked at without them.
    #[must_use]
    pub fn clear(&self, name: Name) -> HeaderValue {
        let line = self.line(name, "", Duration::ZERO).ok().and_then(|line| HeaderValue::try_from(line).ok());
        line.unwrap_or(HeaderValue::from_static(""))
    }

    /// Makes a browser forget everything of ours that it `held`, attempts in other tabs excepted.
    #[must_use]
    pub fn clear_session(&self, held: &OurCookies<'_>) -> Vec<HeaderValue> {
        let renewals = Parity::BOTH.into_iter().filter(|parity| held.renewal(*parity).is_some()).map(Name::Renewal);
        let bounced = held.bounced().map(|_| Name::Bounced);
        held.session_names().chain(renewals).chain(bounced).map(|name| self.clear(name)).collect()
    }

    fn set_pieces(&self, value: &str, max_age: Duration) -> Result<(Vec<HeaderValue>, Vec<Name>), Unfit> {
        let first = Name::SessionPiece(0);
        let room = LONGEST.checked_sub(self.line(first, "", max_age)?.len()).filter(|room| *room > 16);
        // all of the value is ASCII, so it may be cut anywhere; the seam says into how many
        let text = |count: usize| format!("{count}~{}~{value}", checksum(value));
        let count = text(0).len().div_ceil(room.ok_or(Unfit::TooLarge)?);
        if count > MOST_PIECES {
            return Err(Unfit::TooLarge);
        }
        let (text, room) = (text(count), room.unwrap_or(1));
        let pieces = text.as_bytes().chunks(room).zip(0_u8..).map(|(piece, at)| (Name::SessionPiece(at), piece));
        let lines = pieces.clone().map(|(name, piece)| {
            let piece = std::str::from_utf8(piece).map_err(|_| Unfit::BadByte)?;
            self.set(name, piece, max_age)
        });
        Ok((lines.collect::<Result<_, _>>()?, pieces.map(|(name, _)| name).collect()))
    }

    fn line(&self, name: Name, value: &str, max_age: Duration) -> Result<String, Unfit> {
        let mut line = String::with_capacity(value.len() + 128);
        self.write(&mut line, name, value, max_age).map_err(|_| Unfit::BadByte)?;
        if line.len() > LONGEST {
            return Err(Unfit::TooLarge);
        }
        Ok(line)
    }

    fn write(&self, line: &mut String, name: Name, value: &str, max_age: Duration) -> std::fmt::Result {
        let seconds = max_age.min(LONGEST_LIFE).as_secs();
        write!(line, "{}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly", self.prefix.text())?;
        write!(line, "; SameSite={}", self.same_site_of(name).text())?;
        if self.prefix != Prefix::Bare {
            line.push_str("; Secure");
        }
        match &self.domain {
            Some(domain) => write!(line, "; Domain={domain}"),
            None => Ok(()),
        }
    }

    /// A provider sends the browser back from another site, which a strict cookie would not survive. And `None`
    /// without `Secure` is a cookie that browsers do not take.
    fn same_site_of(&self, name: Name) -> SameSite {
        match (self.same_site, name) {
            (SameSite::Strict, Name::Attempt(_)) => SameSite::Lax,
            (SameSite::None, _) if self.prefix == Prefix::Bare => SameSite::Lax,
            (same_site, _) => same_site,
        }
    }
}

impl Prefix {
    fn text(self) -> &'static str {
        match self {
            Self::Host => "__Host-",
            Self::Secure => "__Secure-",
            Self::Bare => "",
        }
    }
}

impl SameSite {
    fn text(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// Tells a value put together from pieces of two others, which is nobody's forgery and only has to be renewed.
fn checksum(value: &str) -> String {
    let mut sum = URL_SAFE_NO_PAD.encode(Sha256::digest(value.as_bytes()));
    sum.truncate(SUM);
    sum
}

/// RFC 6265 section 4.1.1.
fn is_cookie_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2B | 0x2D..=0x3A | 0x3C..=0x5B | 0x5D..=0x7E)
}

/// The pairs of a `Cookie` field, with the spaces round them. Ours hold a kilobyte of token, so no byte is looked at by
/// itself.
pub(super) fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let field = rest?;
        let (pair, after) = field.split_at(memchr::memchr(b';', field).unwrap_or(field.len()));
        rest = after.get(1..);
        Some(pair)
    })
}

#[cfg(test)]
#[path = "cookies_tests.rs"]
mod tests;
