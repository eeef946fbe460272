//! What is asked of the admin API, read strictly: a misspelt name must not read as one that was left out.

use super::answer::Refusal;
use super::Access;
use crate::domain::denial::Code;
use crate::domain::principal::SourceName;
use crate::pipeline::revocation::Wait;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;
use std::time::Duration;

const MAX_BODY: usize = 64 * 1024;
/// Within this time a body is here.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Nobody waits for replicas longer, whatever they ask.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
const DEFAULT_WAIT: Duration = Duration::from_millis(500);
/// Names of users, tokens and sessions, bytes.
const LONGEST_NAME: usize = 1024;

/// A request that was admitted.
#[derive(Debug)]
pub(super) struct Asked {
    query: Vec<(String, String)>,
    body: Bytes,
}

impl Asked {
    pub(super) async fn read(head: &Parts, body: Incoming) -> Result<Self, Refusal> {
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
        let late = |_| Refusal::new(Code::RequestTimeout, "the body took too long");
        let body = collected.map_err(late)?.map_err(|error| match error.downcast_ref::<LengthLimitError>() {
            Some(_) => Refusal::new(Code::BodyTooLarge, "a body has 64 KiB at most"),
            None => Refusal::bad("the body broke off"),
        })?;
        Ok(Self { query, body: body.to_bytes() })
    }

    /// Refuses a parameter that is not among `known`, or stands there twice.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        for (at, (name, _)) in self.query.iter().enumerate() {
            let shown: String = name.chars().take(64).collect();
            if !known.contains(&name.as_str()) {
                return Err(Refusal::bad(format!("unknown parameter {shown:?}")));
            }
            if self.query.iter().skip(at + 1).any(|(other, _)| other == name) {
                return Err(Refusal::bad(format!("the parameter {shown:?} stands there twice")));
            }
        }
        Ok(())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| Refusal::bad(format!("the body: {error}")))
    }

    pub(super) fn has_body(&self) -> bool {
        !self.body.trim_ascii().is_empty()
    }

    /// Clients send `{}` where nothing is to be said.
    pub(super) fn no_body(&self) -> Result<(), Refusal> {
        match self.body.trim_ascii() {
            b"" | b"{}" => Ok(()),
            _ => Err(Refusal::bad("this takes no body")),
        }
    }

    /// `wait` and `timeout`.
    pub(super) fn patience(&self) -> Result<(Wait, Duration), Refusal> {
        let wait = match self.parameter("wait") {
            None | Some("all") => Wait::All,
            Some("none") => Wait::None,
            Some(_) => return Err(Refusal::bad("wait is \"all\" or \"none\"")),
        };
        let timeout = self.parameter("timeout").map(span).unwrap_or(Some(DEFAULT_WAIT));
        let timeout = timeout.ok_or_else(|| Refusal::bad("timeout is a span like \"500ms\" or \"2s\", up to 30s"))?;
        Ok((wait, timeout))
    }
}

impl Access {
    /// The source of that name. A misspelt one would revoke nothing, and nobody would notice.
    pub(super) fn source(&self, name: Option<&str>) -> Result<Option<SourceName>, Refusal> {
        let Some(name) = name else { return Ok(None) };
        let known = self.providers.iter().chain(&self.issuers).find(|known| known.as_str() == name);
        let unknown = || Refusal::bad("source names no provider and no issuer of this gate, and is not \"api_key\"");
        known.cloned().map(Some).ok_or_else(unknown)
    }

    /// Where somebody may have sessions.
    pub(super) fn signs_in<'a>(&'a self, source: Option<&'a SourceName>) -> Vec<&'a SourceName> {
        source.map_or_else(|| self.providers.iter().collect(), |source| vec![source])
    }
}

/// A name that was given, and is one.
pub(super) fn name(text: &str, what: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > LONGEST_NAME {
        return Err(Refusal::bad(format!("{what} has 1 to {LONGEST_NAME} bytes")));
    }
    Ok(text.to_owned())
}

fn span(text: &str) -> Option<Duration> {
    let (digits, unit) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1),
        None => (text.strip_suffix('s')?, 1000),
    };
    let plain = !digits.is_empty() && digits.len() < 9 && digits.bytes().all(|b| b.is_ascii_digit());
    let span = Duration::from_millis(digits.parse::<u64>().ok().filter(|_| plain)?.checked_mul(unit)?);
    (span <= LONGEST_WAIT).then_some(span)
}

/// A segment of a path without its escapes (RFC 3986 section 2.1); `None` for one that is malformed or no UTF-8.
pub(super) fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, others)) = rest.split_first() {
        rest = others;
        if first != b'%' {
            bytes.push(first);
            continue;
        }
        let (&[high, low], others) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(high)? << 4 | digit(low)?);
        rest = others;
    }
    String::from_utf8(bytes).ok()
}
