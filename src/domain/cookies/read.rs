//! What a request holds of our cookies.

use super::name::AttemptId;
use super::{checksum, name, pairs, CookiePlan, Name, Parity, MOST_PIECES};
use crate::domain::denial::{Code, Denial};
use http::header::COOKIE;
use http::HeaderMap;
use std::borrow::Cow;
use std::fmt;

/// Sign-ins under way in one browser. The oldest gives way.
const MOST_ATTEMPTS: usize = 5;
/// How many attempts of one request are looked at; the others end by themselves within minutes.
const MOST_READ: usize = 32;

/// Our cookies in one request; nothing of them has been verified.
#[derive(Clone, Default)]
pub struct OurCookies<'h> {
    whole: Option<&'h str>,
    pieces: [Option<&'h str>; MOST_PIECES],
    renewals: [Option<&'h str>; 2],
    bounced: Option<&'h str>,
    known_device: Option<&'h str>,
    /// In the order of the request. Browsers send the oldest first (RFC 6265 section 5.4).
    attempts: Vec<(AttemptId, &'h str)>,
}

/// The session cookie, before anybody has looked whether it is any good.
#[derive(Clone, PartialEq, Eq)]
pub enum SessionCookie<'h> {
    Absent,
    Value(Cow<'h, str>),
    /// Pieces that are no whole: an answer that was cut short, or two at once. To be treated like an expired one.
    Torn,
}

impl CookiePlan {
    /// Our cookies in `headers`, over all their `Cookie` fields, for HTTP/2 splits them.
    ///
    /// # Errors
    /// `conflicting_credentials` for one name twice: somebody planted a cookie beside ours, and it is not for us to
    /// guess which is which.
    pub fn read<'h>(&self, headers: &'h HeaderMap) -> Result<OurCookies<'h>, Denial> {
        let mut found = OurCookies::default();
        for pair in headers.get_all(COOKIE).iter().flat_map(|field| pairs(field.as_bytes())) {
            let mut parts = pair.splitn(2, |byte| *byte == b'=');
            let (Some(name), Some(value)) = (parts.next(), parts.next()) else { continue };
            let Some(name) = name::read(name.trim_ascii(), self.prefix) else { continue };
            // what we did not write is present all the same, and unreadable
            found.keep(name, std::str::from_utf8(value.trim_ascii()).unwrap_or_default())?;
        }
        Ok(found)
    }
}

impl<'h> OurCookies<'h> {
    /// The value of the session cookie, put together again where it was cut.
    #[must_use]
    pub fn session(&self) -> SessionCookie<'h> {
        let cut = self.pieces.iter().any(Option::is_some);
        match (self.whole, cut) {
            (None, false) => SessionCookie::Absent,
            (Some(value), false) => SessionCookie::Value(Cow::Borrowed(value)),
            (None, true) => self.joined().map_or(SessionCookie::Torn, |value| SessionCookie::Value(Cow::Owned(value))),
            (Some(_), true) => SessionCookie::Torn,
        }
    }

    #[must_use]
    pub fn renewal(&self, parity: Parity) -> Option<&'h str> {
        match (&self.renewals, parity) {
            ([even, _], Parity::Even) => *even,
            ([_, odd], Parity::Odd) => *odd,
        }
    }

    /// The generation that was sent back.
    #[must_use]
    pub fn bounced(&self) -> Option<&'h str> {
        self.bounced
    }

    /// What a sign-in with a password left here.
    #[must_use]
    pub fn known_device(&self) -> Option<&'h str> {
        self.known_device
    }

    /// What `/login` put down under this id.
    #[must_use]
    pub fn attempt(&self, id: AttemptId) -> Option<&'h str> {
        self.attempts.iter().find(|(known, _)| *known == id).map(|(_, value)| *value)
    }

    /// Attempts to clear when one more begins, so that a browser never holds more than five.
    pub fn surplus_attempts(&self) -> impl Iterator<Item = Name> + '_ {
        let surplus = (self.attempts.len() + 1).saturating_sub(MOST_ATTEMPTS);
        self.attempts.iter().take(surplus).map(|(id, _)| Name::Attempt(*id))
    }

    /// Whether the request holds anything a session could come from.
    #[must_use]
    pub fn holds_session(&self) -> bool {
        self.session_names().next().is_some() || self.renewals.iter().any(Option::is_some)
    }

    /// The cookies that make up the session value.
    pub(super) fn session_names(&self) -> impl Iterator<Item = Name> + '_ {
        let pieces = self.pieces.iter().zip(0_u8..).filter(|(piece, _)| piece.is_some());
        let whole = self.whole.map(|_| Name::Session);
        whole.into_iter().chain(pieces.map(|(_, at)| Name::SessionPiece(at)))
    }

    fn keep(&mut self, name: Name, value: &'h str) -> Result<(), Denial> {
        let place = match name {
            Name::Session => Some(&mut self.whole),
            Name::SessionPiece(at) => self.pieces.get_mut(usize::from(at)),
            Name::Renewal(Parity::Even) => self.renewals.first_mut(),
            Name::Renewal(Parity::Odd) => self.renewals.last_mut(),
            Name::Bounced => Some(&mut self.bounced),
            Name::KnownDevice => Some(&mut self.known_device),
            Name::Attempt(id) => return self.keep_attempt(id, value),
        };
        match place {
            Some(place) if place.is_none() => *place = Some(value),
            Some(_) => return Err(doubled()),
            None => {}
        }
        Ok(())
    }

    fn keep_attempt(&mut self, id: AttemptId, value: &'h str) -> Result<(), Denial> {
        if self.attempt(id).is_some() {
            return Err(doubled());
        }
        if self.attempts.len() < MOST_READ {
            self.attempts.push((id, value));
        }
        Ok(())
    }

    /// `count~sum~value`, over the first `count` pieces. Those beyond are left from a longer value.
    fn joined(&self) -> Option<String> {
        let (count, _) = self.pieces.first().copied().flatten()?.split_once('~')?;
        let count: usize = count.parse().ok().filter(|count| (1..=MOST_PIECES).contains(count))?;
        let text = self.pieces.iter().take(count).copied().collect::<Option<Vec<_>>>()?.concat();
        let (_, summed) = text.split_once('~')?;
        let (sum, value) = summed.split_once('~')?;
        (checksum(value) == sum).then(|| value.to_owned())
    }
}

impl SessionCookie<'_> {
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Torn => None,
        }
    }
}

fn doubled() -> Denial {
    Denial::new(Code::ConflictingCredentials, "one of our cookies stands there twice")
}

/// Whoever holds a value is the user, so only names are shown.
impl fmt::Debug for OurCookies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let renewals = Parity::BOTH.into_iter().filter(|parity| self.renewal(*parity).is_some()).map(Name::Renewal);
        let attempts = self.attempts.iter().map(|(id, _)| Name::Attempt(*id));
        let names = self.session_names().chain(renewals).chain(attempts).map(|name| name.to_string());
        f.debug_tuple("OurCookies").field(&names.collect::<Vec<_>>()).finish()
    }
}

impl fmt::Debug for SessionCookie<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Value(_) => "Value(..)",
            Self::Torn => "Torn",
        })
    }
}
