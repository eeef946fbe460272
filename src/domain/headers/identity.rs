//! Identity headers: what the backend is told about the caller, and how it is spelt.

use crate::domain::principal::{AuthMethod, Principal};
use http::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// Longest value we send. Many backends refuse a request whose headers exceed 8 KiB, and a caller with a claim that
/// long would be locked out by it; the header is left out instead.
pub const LONGEST_VALUE: usize = 8 * 1024;

const DEFAULT: [(HeaderName, &str); 8] = [
    (HeaderName::from_static("x-auth-subject"), "sub"),
    (HeaderName::from_static("x-auth-email"), "email"),
    (HeaderName::from_static("x-auth-name"), "name"),
    (HeaderName::from_static("x-auth-roles"), "roles"),
    (HeaderName::from_static("x-auth-scopes"), "scope"),
    (HeaderName::from_static("x-auth-session"), "sid"),
    (METHOD_HEADER, METHOD),
    (HeaderName::from_static("x-auth-provider"), "provider"),
];

/// Sent with every request, whatever set of headers was chosen.
pub const METHOD_HEADER: HeaderName = HeaderName::from_static("x-auth-method");
/// Our own word among the claims: how the caller was identified.
pub const METHOD: &str = "method";

/// `[identity.headers]`: which header carries which claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    pub entries: Vec<(HeaderName, String)>,
    /// Pass the caller's own `Authorization` on.
    pub forward_authorization: bool,
}

impl Default for IdentityHeaders {
    fn default() -> Self {
        let entries = DEFAULT.into_iter().map(|(name, path)| (name, path.to_owned())).collect();
        Self { entries, forward_authorization: false }
    }
}

impl IdentityHeaders {
    /// The headers that only we may set, for [`super::Managed`].
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.entries.iter().map(|(name, _)| name)
    }

    /// What the backend is told about `principal`. A claim that is absent, null, an object or longer than
    /// [`LONGEST_VALUE`] when encoded has no header.
    #[must_use]
    pub fn values(&self, principal: &Principal) -> Vec<(HeaderName, HeaderValue)> {
        let values = self.entries.iter().filter_map(|(name, path)| Some((name.clone(), value(principal, path)?)));
        values.collect()
    }

    /// What the backend is told when nobody is known: that nobody is.
    #[must_use]
    pub fn anonymous(&self) -> Vec<(HeaderName, HeaderValue)> {
        let anonymous = HeaderValue::from_static(AuthMethod::Anonymous.name());
        let names = self.entries.iter().filter(|(_, path)| path == METHOD).map(|(name, _)| name);
        names.map(|name| (name.clone(), anonymous.clone())).collect()
    }
}

fn value(principal: &Principal, path: &str) -> Option<HeaderValue> {
    match path {
        "sub" => text(&principal.subject),
        "roles" => joined(principal.roles.iter().map(String::as_str), Within::List),
        "scope" => joined(principal.scopes.iter().map(String::as_str), Within::Scope),
        METHOD => Some(HeaderValue::from_static(principal.method.name())),
        "provider" => text(principal.source.as_str()),
        // backends treat an address as an account: one that nobody verified is somebody else's
        "email" if !principal.email_trusted => None,
        _ => claim(lookup(&principal.claims, path)?),
    }
}

/// The claim of that whole name, else the one that its dots lead to: `realm_access.roles`.
fn lookup<'c>(claims: &'c Map<String, Value>, path: &str) -> Option<&'c Value> {
    if let Some(whole) = claims.get(path) {
        return Some(whole);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, part| value.get(part))
}

fn claim(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(scalar).collect();
            joined(items?.iter().map(String::as_str), Within::List)
        }
        Value::String(said) => text(said),
        scalar_or_none => text(&scalar(scalar_or_none)?),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(said) => Some(said.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What a text stands among, and so what it must not contain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    /// Items joined by `,`.
    List,
    /// Items joined by a space.
    Scope,
}

fn text(said: &str) -> Option<HeaderValue> {
    joined(std::iter::once(said), Within::Nothing)
}

/// `None` for no item at all, or when the value grows too long.
fn joined<'i>(items: impl Iterator<Item = &'i str>, within: Within) -> Option<HeaderValue> {
    let separator = if within == Within::Scope { b' ' } else { b',' };
    let mut value = Vec::new();
    let mut empty = true;
    for item in items {
        if !empty {
            value.push(separator);
        }
        empty = false;
        encode(item, within, &mut value);
        if value.len() > LONGEST_VALUE {
            return None;
        }
    }
    if empty {
        None
    } else {
        HeaderValue::from_maybe_shared(bytes::Bytes::from(value)).ok()
    }
}

/// Percent-encodes what a header cannot carry, what would split a list, spaces that a parser would trim, and `%`, so
/// that decoding gives the text back exactly.
fn encode(text: &str, within: Within, value: &mut Vec<u8>) {
    let trimmed = text.trim_matches(' ');
    let leading = text.len() - text.trim_start_matches(' ').len();
    for (at, byte) in text.bytes().enumerate() {
        let plain = match byte {
            b' ' => within != Within::Scope && (leading..leading + trimmed.len()).contains(&at),
            b',' => within != Within::List,
            b'%' => false,
            _ => byte.is_ascii_graphic(),
        };
        if plain {
            value.push(byte);
        } else {
            value.extend([b'%', hex(byte >> 4), hex(byte & 0xF)]);
        }
    }
}

fn hex(digit: u8) -> u8 {
    if digit < 10 {
        b'0' + digit
    } else {
        b'A' + digit - 10
    }
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
