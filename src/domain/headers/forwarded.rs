//! Where a request came from: what proxies in front of us say, as far as they are believed, and what we say onwards.

use crate::domain::address::AddressText;
use crate::domain::request::{parse_authority, parse_port};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, Ipv6Addr};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// How far back along `X-Forwarded-For` we look. No honest chain is this long.
const MOST_HOPS: usize = 32;

/// Who holds the other end of the connection; the PROXY protocol's source where that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `None` on a unix socket.
    pub ip: Option<IpAddr>,
    pub trusted: bool,
    pub tls: bool,
}

/// Who is really asking, and what the backend is told about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The nearest address that no trusted proxy has. `None` when only unix sockets are known.
    pub ip: Option<IpAddr>,
    /// `X-Forwarded-For`: the trusted chain and the peer.
    pub forwarded_for: Option<HeaderValue>,
    pub proto: Proto,
    /// What the request itself names as its host, as sent: `Host` for a backend without one of its own.
    pub authority: HeaderValue,
    /// `X-Forwarded-Host`: what a trusted proxy says was asked for, else the authority.
    pub host: HeaderValue,
    /// `X-Forwarded-Port`, when a trusted proxy sent one.
    pub port: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    Http,
    Https,
}

impl Proto {
    /// The scheme's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The client behind `peer`. From an untrusted peer nothing in `headers` is believed; `authority` is what the request
/// named as its host, and `trusts` knows our own proxies.
///
/// # When the answer is wrong
/// An address too far left is one the client chose: address rules and limits then hold nobody.
#[must_use]
pub fn client(headers: &HeaderMap, peer: &Peer, trusts: impl Fn(IpAddr) -> bool, authority: &str) -> Client {
    let ip = peer.ip.map(|ip| ip.to_canonical());
    let proto = if peer.tls { Proto::Https } else { Proto::Http };
    // a canonical authority is always a header value
    let authority = HeaderValue::from_str(authority).unwrap_or(HeaderValue::from_static(""));
    let direct = Client { ip, forwarded_for: None, proto, host: authority.clone(), authority, port: None };
    if !peer.trusted {
        return Client { forwarded_for: chain(&[], ip), ..direct };
    }
    let mut hops = [IpAddr::V6(Ipv6Addr::UNSPECIFIED); MOST_HOPS];
    let walked = walk(headers, trusts, &mut hops);
    Client {
        ip: walked.last().copied().or(ip),
        forwarded_for: chain(walked, ip),
        proto: only(headers, &X_FORWARDED_PROTO).and_then(|value| proto_of(value.as_bytes())).unwrap_or(proto),
        host: only(headers, &X_FORWARDED_HOST).filter(|value| is_host(value)).cloned().unwrap_or(direct.host),
        port: only(headers, &X_FORWARDED_PORT).and_then(|value| parse_port(value.as_bytes())),
        authority: direct.authority,
    }
}

/// Reads `X-Forwarded-For` from the right, as each proxy appended to it, and ends with the first address that is
/// not trusted: what stands left of it, that host may have made up. So may have been whatever cannot be read.
fn walk<'h>(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool, hops: &'h mut [IpAddr]) -> &'h [IpAddr] {
    let fields = headers.get_all(X_FORWARDED_FOR).iter().rev();
    let mut entries = fields.flat_map(|field| field.as_bytes().rsplit(|byte| *byte == b','));
    let mut taken = 0;
    for hop in hops.iter_mut() {
        let Some(ip) = entries.next().and_then(parse_hop) else {
            break;
        };
        *hop = ip;
        taken += 1;
        if !trusts(ip) {
            break;
        }
    }
    hops.get(..taken).unwrap_or_default()
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn parse_hop(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    if let Some(literal) = entry.strip_prefix('[') {
        let (address, after) = literal.split_once(']')?;
        let fine =
            after.is_empty() || after.strip_prefix(':').is_some_and(|port| parse_port(port.as_bytes()).is_some());
        return fine.then(|| address.parse::<Ipv6Addr>().ok())?.map(|ip| IpAddr::V6(ip).to_canonical());
    }
    match entry.split_once(':') {
        Some((address, port)) if !port.contains(':') => {
            parse_port(port.as_bytes())?;
            Some(IpAddr::V4(address.parse().ok()?))
        }
        _ => entry.parse().ok().map(|ip: IpAddr| ip.to_canonical()),
    }
}

/// `walked` came nearest first; a field goes the other way.
fn chain(walked: &[IpAddr], peer: Option<IpAddr>) -> Option<HeaderValue> {
    let mut hops = walked.iter().rev().chain(&peer).map(|hop| AddressText::of(*hop));
    let first = hops.next()?;
    let Some(second) = hops.next() else {
        return HeaderValue::from_bytes(first.as_bytes()).ok();
    };
    let mut field = first.as_bytes().to_vec();
    for hop in std::iter::once(second).chain(hops) {
        field.extend_from_slice(b", ");
        field.extend_from_slice(hop.as_bytes());
    }
    HeaderValue::from_maybe_shared(Bytes::from(field)).ok()
}

/// The value of a field that stands there once. Of two, one was sent by somebody else.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

fn proto_of(value: &[u8]) -> Option<Proto> {
    match value {
        b"http" => Some(Proto::Http),
        b"https" => Some(Proto::Https),
        _ => None,
    }
}

fn is_host(value: &HeaderValue) -> bool {
    parse_authority(value.as_bytes()).is_ok()
}

#[cfg(test)]
#[path = "forwarded_tests.rs"]
mod tests;
