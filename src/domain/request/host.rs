//! Whom a request is for: `Host`, `:authority`, and the rule that they agree.

use super::{Code, Denial, Field, RawHead};
use std::borrow::Cow;
use std::net::Ipv6Addr;

/// A name in DNS has at most 253 characters; an IPv6 literal and a port are shorter still.
const LONGEST: usize = 262;

/// A checked `host[:port]`, without user-info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) struct Authority<'a> {
    /// As sent.
    pub(in crate::domain) text: &'a str,
    /// Without port and trailing dot, in the case it was sent in.
    name: &'a str,
    port: Option<u16>,
}

/// The one host this head names.
pub(super) fn of<'a>(head: &RawHead<'a>, host: Field<'a>) -> Result<Authority<'a>, Denial> {
    let field = match host {
        Field::Absent => None,
        Field::Once(value) => Some(parse(value.as_bytes())?),
        Field::Repeated => return Err(bad_host("more than one Host")),
    };
    let pseudo = head.authority.map(|text| parse(text.as_bytes())).transpose()?;
    match (pseudo, field) {
        (None, None) => Err(bad_host("no Host")),
        (Some(one), None) | (None, Some(one)) => Ok(one),
        (Some(pseudo), Some(field)) if pseudo.agrees(&field, None) => Ok(pseudo),
        (Some(_), Some(_)) => Err(bad_host("Host and :authority disagree")),
    }
}

/// `host[:port]`: a registered name, an IPv4 address or a bracketed IPv6 literal, and a port from 1 to 65535
/// (RFC 3986 section 3.2, without user-info and without escapes).
pub(in crate::domain) fn parse(text: &[u8]) -> Result<Authority<'_>, Denial> {
    if text.len() > LONGEST {
        return Err(bad_host("the host is longer than any name"));
    }
    let text = std::str::from_utf8(text).map_err(|_| bad_host("the host is not ASCII"))?;
    let (name, port) = match text.strip_prefix('[') {
        Some(literal) => split_literal(text, literal)?,
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let name = if name.starts_with('[') { name } else { checked_name(name)? };
    let port = match port {
        None => None,
        Some(digits) => Some(parse_port(digits.as_bytes()).ok_or_else(|| bad_host("no port from 1 to 65535"))?),
    };
    Ok(Authority { text, name, port })
}

/// A port: one to five digits, not zero.
pub(in crate::domain) fn parse_port(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let port = digits.iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    u16::try_from(port).ok().filter(|port| *port != 0)
}

fn split_literal<'a>(text: &'a str, literal: &'a str) -> Result<(&'a str, Option<&'a str>), Denial> {
    let (address, after) = literal.split_once(']').ok_or_else(|| bad_host("\"[\" without \"]\""))?;
    if address.parse::<Ipv6Addr>().is_err() {
        return Err(bad_host("no IPv6 address in brackets"));
    }
    let name = text.strip_suffix(after).unwrap_or(text);
    match after.strip_prefix(':') {
        Some(port) => Ok((name, Some(port))),
        None if after.is_empty() => Ok((name, None)),
        None => Err(bad_host("something stands behind \"]\"")),
    }
}

fn checked_name(name: &str) -> Result<&str, Denial> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut label = 0_usize;
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => label += 1,
            b'.' if label > 0 => label = 0,
            _ => return Err(bad_host("a byte that no host name has")),
        }
    }
    if label == 0 {
        Err(bad_host("an empty name"))
    } else {
        Ok(name)
    }
}

impl<'a> Authority<'a> {
    /// For matching: lower case, no port, no trailing dot.
    pub(super) fn folded(&self) -> Cow<'a, str> {
        if self.name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(self.name.to_ascii_lowercase())
        } else {
            Cow::Borrowed(self.name)
        }
    }

    /// Whether both name the same host and port, where `default` is as good as no port.
    pub(super) fn agrees(&self, other: &Self, default: Option<u16>) -> bool {
        let port = |authority: &Self| authority.port.filter(|port| Some(*port) != default);
        self.name.eq_ignore_ascii_case(other.name) && port(self) == port(other)
    }
}

fn bad_host(detail: &'static str) -> Denial {
    Denial::new(Code::BadHost, detail)
}
