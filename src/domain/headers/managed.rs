//! Names that only we, or a proxy we trust, may set: whoever else sends one is forging.
//!
//! CGI, WSGI and PHP turn every punctuation mark of a header name into `_`, so that `X.Auth.Subject` and
//! `X-Auth-Subject` become one variable. Names are folded the same way before they are compared.

use http::HeaderName;

/// Which names are managed under one configuration.
#[derive(Clone, Debug, Default)]
pub struct Managed {
    /// Folded names of identity headers that the built-in list does not cover already.
    extra: Vec<Box<[u8]>>,
}

impl Managed {
    /// `names` are the identity headers and, when assertions are sent, their header.
    pub fn new<'n>(names: impl IntoIterator<Item = &'n HeaderName>) -> Self {
        let names = names.into_iter().filter(|name| !built_in(name.as_str().as_bytes()));
        Self { extra: names.map(|name| name.as_str().bytes().map(fold).collect()).collect() }
    }

    /// Whether `name` is managed. Asked for every header of every request, so an ordinary one is settled by a byte
    /// or two.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        let name = name.as_bytes();
        built_in(name) || self.extra.iter().any(|extra| is(name, extra))
    }
}

fn built_in(name: &[u8]) -> bool {
    match name {
        [b'x' | b'X', _, rest @ ..] => begins(name, b"x-") && built_in_x(rest),
        [b'f' | b'F', ..] => is(name, b"forwarded"),
        [b't' | b'T', ..] => is(name, b"true-client-ip") || is(name, b"txn-token"),
        [b'c' | b'C', ..] => is(name, b"cf-connecting-ip") || begins(name, b"client-cert"),
        [b'r' | b'R', ..] => begins(name, b"remote-"),
        [b's' | b'S', ..] => begins(name, b"ssl-client-"),
        [b'i' | b'I', ..] => begins(name, b"impersonate-"),
        [b'd' | b'D', ..] => is(name, b"dpop"),
        _ => false,
    }
}

/// What may not follow `x-`.
fn built_in_x(rest: &[u8]) -> bool {
    match rest.first().map(u8::to_ascii_lowercase) {
        Some(b'a') => begins(rest, b"auth-"),
        Some(b'c') => is(rest, b"client-ip") || begins(rest, b"client-cert") || is(rest, b"cluster-client-ip"),
        Some(b'd') => begins(rest, b"doorward-"),
        Some(b'e') => begins(rest, b"envoy-"),
        Some(b'f') => begins(rest, b"forwarded"),
        Some(b'h') => is(rest, b"http-method-override"),
        Some(b'm') => begins(rest, b"middleware-") || is(rest, b"method-override"),
        Some(b'o') => begins(rest, b"original-"),
        Some(b'p') => begins(rest, b"pomerium-"),
        Some(b'r') => is(rest, b"real-ip") || begins(rest, b"remote-") || begins(rest, b"rewrite-"),
        Some(b's') => begins(rest, b"ssl-client-"),
        Some(b'w') => begins(rest, b"webauth-"),
        _ => false,
    }
}

fn is(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && begins(name, folded)
}

fn begins(name: &[u8], folded: &[u8]) -> bool {
    name.len() >= folded.len() && name.iter().zip(folded).all(|(byte, folded)| fold(*byte) == *folded)
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

#[cfg(test)]
#[path = "managed_tests.rs"]
mod tests;
