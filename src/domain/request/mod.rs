//! The one canonical request.
//!
//! Whoever decides on one spelling of a request and forwards another has built a bypass. So a head is read once, here:
//! what comes out is what the policy sees, and [`Canonical::target`] is what the backend receives. What can be read in
//! more than one way is refused; only what every reader resolves alike (`.`, `..`, `//`, escapes of unreserved
//! characters) is resolved for them.
//!
//! A request that is already canonical costs a few passes over its bytes and no allocation.

mod fields;
mod framing;
mod host;
mod target;
mod upgrade;

pub use upgrade::Upgrade;

use super::denial::{Code, Denial};
use fields::{Field, Fields};
use framing::Framing;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Version};
use std::borrow::Cow;
use std::fmt;

pub(super) use host::{parse as parse_authority, parse_port};

/// A request head as it came off the wire.
#[derive(Clone, Copy)]
pub struct RawHead<'a> {
    pub version: Version,
    pub method: &'a Method,
    /// As received, the fragment excepted: the parser underneath cuts it off.
    pub target: &'a [u8],
    /// `:authority` of HTTP/2.
    pub authority: Option<&'a str>,
    pub headers: &'a HeaderMap,
    /// HTTP/1 only: the head as received, from the request line to the blank line. The parser underneath repairs
    /// some of what is refused here, and these bytes are the only witness.
    pub wire: Option<&'a [u8]>,
}

impl RawHead<'_> {
    /// Bytes of the head: as received, or for HTTP/2 as HTTP/1 would have written them.
    #[must_use]
    pub fn size(&self) -> usize {
        self.wire.map_or_else(
            || {
                self.target.len()
                    + self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
            },
            <[u8]>::len,
        )
    }
}

/// A request that has one reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical<'a> {
    /// For matching: lower case, no port, no trailing dot.
    pub host: Cow<'a, str>,
    /// As sent, for the `Host` header.
    pub authority: &'a str,
    /// Begins with `/`. No dot segment, no `//`, ASCII only; escapes in upper case, none of an unreserved character.
    pub path: Cow<'a, str>,
    /// As sent, escapes included, without the `?`.
    pub query: Option<&'a str>,
    /// The path holds `%2F`: only a route that keeps those may take it.
    pub encoded_slash: bool,
    pub upgrade: Upgrade,
    rewritten: bool,
}

/// The only reading of `head`.
///
/// # Errors
/// `bad_framing` when it is unclear where the message ends, `bad_host` when it is unclear whom it is for, `bad_path`
/// when two readers could resolve the target to different resources, `bad_request` for a second `Authorization`.
pub fn canonicalise<'a>(head: &RawHead<'a>) -> Result<Canonical<'a>, Denial> {
    let fields = Fields::of(head.headers);
    let framing = framing::check(head, &fields)?;
    let authority = host::of(head, fields.host)?;
    let target = target::canonicalise(head, &authority)?;
    if matches!(fields.authorization, Field::Repeated) {
        return Err(Denial::new(Code::BadRequest, "Authorization stands there twice"));
    }
    Ok(Canonical {
        host: authority.folded(),
        authority: authority.text,
        path: target.path,
        query: target.query,
        encoded_slash: target.encoded_slash,
        upgrade: upgrade::asked_for(head, fields.upgrade, framing),
        rewritten: target.rewritten,
    })
}

/// How many bytes of body a head announces; `None` where it does not say.
#[must_use]
pub fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Canonical<'_> {
    /// Whether the target differs from what was sent and must be replaced before forwarding.
    #[must_use]
    pub fn rewritten(&self) -> bool {
        self.rewritten
    }

    /// The target to forward, in origin-form.
    #[must_use]
    pub fn target(&self) -> String {
        match self.query {
            None => self.path.clone().into_owned(),
            Some(query) => [&self.path, "?", query].concat(),
        }
    }
}

/// Headers and targets carry credentials; neither is shown.
impl fmt::Debug for RawHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawHead").field("version", &self.version).field("method", self.method).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;

#[cfg(test)]
mod target_tests;

#[cfg(test)]
#[path = "request_properties.rs"]
mod properties;
