//! Devices: whether a session is still where it began.
//!
//! This recognises, it does not prove. Everything here can be copied by whoever knows what to copy; what it catches is
//! the cookie that turns up in another browser. So little is looked at, and only what an honest browser keeps for
//! months: a version number, a list of languages or an address would sign people out over nothing.
//!
//! A session remembers hashes, one for each component: they compare as well as the components do, and say nothing to a
//! backend that reads the token.

mod agent;
mod prints;
mod verdict;

pub use agent::Agent;
pub use prints::{Prints, Unreadable};
pub use verdict::{Level, OnMismatch, PerMille, Risk, RiskTtl, Terms, Verdict, Weights};

use super::secret::Secret;
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use http::{HeaderMap, HeaderName};
use std::fmt::Write;

const X_SCREEN_RESOLUTION: HeaderName = HeaderName::from_static("x-screen-resolution");
const X_TIMEZONE: HeaderName = HeaderName::from_static("x-timezone");

/// The longest component we look at, bytes. The longest name in the time zone database has 32.
const LONGEST: usize = 64;

/// What one request tells about the device it comes from. Whatever is missing here was not told: only a script can
/// tell a screen or a time zone, a plain navigation has but its agent and language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Device {
    pub agent: Option<Agent>,
    /// Longer side first, for a phone that is turned is the same phone.
    screen: Option<Box<[u8]>>,
    timezone: Option<Box<[u8]>>,
    /// The language asked for first. The list behind it is shortened by some browsers on some requests.
    language: Option<Box<[u8]>>,
}

/// One of the things a device is recognised by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    UserAgent,
    ScreenResolution,
    Timezone,
    AcceptLanguage,
}

impl Component {
    pub const ALL: [Self; 4] = [Self::UserAgent, Self::ScreenResolution, Self::Timezone, Self::AcceptLanguage];

    /// As `device.weights` calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserAgent => "user_agent",
            Self::ScreenResolution => "screen_resolution",
            Self::Timezone => "timezone",
            Self::AcceptLanguage => "accept_language",
        }
    }
}

impl Device {
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let text = |name: HeaderName| headers.get(name).map(|value| value.as_bytes());
        Self {
            agent: text(USER_AGENT).and_then(Agent::read),
            screen: text(X_SCREEN_RESOLUTION).and_then(screen),
            timezone: text(X_TIMEZONE).and_then(told),
            language: text(ACCEPT_LANGUAGE).and_then(first_language),
        }
    }

    /// Adds what the body of a request tells; what a header told already stands.
    #[must_use]
    pub fn or_told(mut self, screen_resolution: Option<&str>, timezone: Option<&str>) -> Self {
        self.screen = self.screen.or_else(|| screen_resolution.map(str::as_bytes).and_then(screen));
        self.timezone = self.timezone.or_else(|| timezone.map(str::as_bytes).and_then(told));
        self
    }

    /// For people: "Firefox on Linux".
    #[must_use]
    pub fn label(&self) -> String {
        self.agent.as_ref().map_or_else(|| "Unknown device".to_owned(), ToString::to_string)
    }

    /// The hashes a session remembers, under `key`. Without the key the few values there are could all be tried.
    #[must_use]
    pub fn prints(&self, key: &Secret) -> Prints {
        Prints::of(self, key)
    }

    fn component(&self, component: Component) -> Option<Vec<u8>> {
        match component {
            Component::UserAgent => self.agent.as_ref().map(Agent::canonical),
            Component::ScreenResolution => self.screen.as_deref().map(<[u8]>::to_vec),
            Component::Timezone => self.timezone.as_deref().map(<[u8]>::to_vec),
            Component::AcceptLanguage => self.language.as_deref().map(<[u8]>::to_vec),
        }
    }
}

/// A component as it is: trimmed, in lower case, cut. Nothing where nothing was said.
fn told(text: &[u8]) -> Option<Box<[u8]>> {
    let text = text.trim_ascii();
    let text = text.get(..LONGEST).unwrap_or(text).to_ascii_lowercase();
    (!text.is_empty()).then(|| text.into())
}

/// `1920x1080` and `1080 x 1920` are one screen. What is no pair of numbers still tells screens apart.
fn screen(text: &[u8]) -> Option<Box<[u8]>> {
    let told = told(text)?;
    let sides = std::str::from_utf8(&told)
        .ok()
        .and_then(|text| text.split_once('x'))
        .and_then(|(one, other)| Some((one.trim_end().parse::<u16>().ok()?, other.trim_start().parse::<u16>().ok()?)));
    let Some((one, other)) = sides else { return Some(told) };
    let mut text = String::new();
    write!(text, "{}x{}", one.max(other), one.min(other)).ok()?;
    Some(text.into_bytes().into())
}

fn first_language(text: &[u8]) -> Option<Box<[u8]>> {
    text.split(|byte| matches!(byte, b',' | b';')).next().and_then(told)
}

#[cfg(test)]
#[path = "device_tests.rs"]
mod tests;
