//! A request nobody sent, as it would arrive.

use crate::domain::request::RawHead;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderValue, Method, Version};

/// A request nobody sent.
pub(in crate::cli) struct Question {
    pub method: Method,
    /// As it would stand in the request line.
    pub target: String,
    /// `Host` is among them.
    pub headers: HeaderMap,
    pub(super) tls: bool,
}

impl Question {
    /// `url` is a path, or begins with `http://` or `https://`. It is not made canonical: that is the gate's work.
    ///
    /// # Errors
    /// In words.
    pub(in crate::cli) fn new(method: &str, url: &str, mut headers: HeaderMap) -> Result<Self, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("{method:?} is no method"))?;
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if !url.starts_with('/') => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), url),
        };
        let at = match scheme.as_str() {
            "" => 0,
            "http" | "https" => rest.find(['/', '?', '#']).unwrap_or(rest.len()),
            _ => return Err(format!("{url:?} does not begin with http:// or https://")),
        };
        let (authority, target) = rest.split_at(at);
        let target =
            if scheme.is_empty() || target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        if !target.starts_with('/') {
            return Err(format!("{url:?} is neither a path nor a URL"));
        }
        if !scheme.is_empty() {
            if headers.contains_key(HOST) {
                return Err("the URL names the host; a Host header goes with a path".to_owned());
            }
            let host = HeaderValue::from_str(authority).map_err(|_| format!("{authority:?} is no host"))?;
            headers.insert(HOST, host);
        }
        headers.entry(HOST).or_insert(HeaderValue::from_static("localhost"));
        Ok(Self { method, target, headers, tls: scheme == "https" })
    }

    /// Presents `token` (RFC 6750 section 2.1), in the place of any other.
    ///
    /// # Errors
    /// It holds what no header may hold.
    pub(in crate::cli) fn bear(&mut self, token: &str) -> Result<(), String> {
        let mut value =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| "the token is no header value".to_owned())?;
        value.set_sensitive(true);
        self.headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    pub(in crate::cli) fn head<'q>(&'q self, wire: &'q [u8]) -> RawHead<'q> {
        RawHead {
            version: Version::HTTP_11,
            method: &self.method,
            target: self.target.as_bytes(),
            authority: None,
            headers: &self.headers,
            wire: Some(wire),
        }
    }

    /// The head as HTTP/1.1 would carry it.
    pub(in crate::cli) fn wire(&self) -> Vec<u8> {
        let mut wire = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            wire.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        wire.extend(b"\r\n");
        wire
    }
}
