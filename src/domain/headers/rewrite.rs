//! The one function that edits a request head on its way to the backend, for the proxy and the WebSocket tunnel
//! alike: two functions would forget different headers.

use super::forwarded::{X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PORT, X_FORWARDED_PROTO};
use super::{Client, Managed};
use crate::domain::policy::route::Forwarding;
use crate::domain::{cookies, credential};
use http::header::{self, CONNECTION, COOKIE, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Everything the backend is told, or not told, about one request.
#[derive(Clone, Copy, Debug)]
pub struct Onward<'a> {
    pub managed: &'a Managed,
    pub identity: &'a [(HeaderName, HeaderValue)],
    pub forward_authorization: bool,
    pub forwarding: &'a Forwarding,
    pub client: &'a Client,
    /// What `Host` to send.
    pub host: &'a HeaderValue,
    pub request_id: &'a HeaderValue,
    pub traceparent: &'a HeaderValue,
    /// A trusted peer sent it, and its `traceparent` was taken up.
    pub keep_tracestate: bool,
    /// What runs on its fallback, under our own name for that.
    pub degraded: Option<&'a (HeaderName, HeaderValue)>,
    /// For the tunnel: `Connection` and `Upgrade` are the caller's to set.
    pub upgrade: bool,
}

/// Takes off what was forged, what is between the client and us only, and our cookies; then does what the route
/// says; then sets what is true. That comes last, so that nothing before could have changed it.
pub fn rewrite(head: &mut HeaderMap, onward: &Onward<'_>) {
    remove_where(head, |headers, name, value| onward.drops(headers, name, value));
    strip_cookies(head);
    for name in &onward.forwarding.remove_headers {
        head.remove(name);
    }
    for (name, value) in &onward.forwarding.set_headers {
        head.insert(name, value.clone());
    }
    for (name, value) in onward.identity {
        head.insert(name, value.clone());
    }
    if let Some((name, value)) = onward.degraded {
        head.insert(name, value.clone());
    }
    if let Some(chain) = &onward.client.forwarded_for {
        head.insert(&X_FORWARDED_FOR, chain.clone());
    }
    head.insert(&X_FORWARDED_PROTO, HeaderValue::from_static(onward.client.proto.name()));
    head.insert(&X_FORWARDED_HOST, onward.client.host.clone());
    if let Some(port) = onward.client.port {
        head.insert(&X_FORWARDED_PORT, HeaderValue::from(port));
    }
    head.insert(&HOST, onward.host.clone());
    head.insert(&X_REQUEST_ID, onward.request_id.clone());
    head.insert(&TRACEPARENT, onward.traceparent.clone());
}

impl Onward<'_> {
    fn drops(&self, headers: &HeaderMap, name: &HeaderName, value: &HeaderValue) -> bool {
        match name.as_str() {
            // of HTTP/2 only "trailers" means anything (RFC 9113 section 8.2.2); gRPC needs it
            "te" => self.upgrade || !value.as_bytes().eq_ignore_ascii_case(b"trailers"),
            "upgrade" => !self.upgrade,
            "authorization" => !self.forward_authorization,
            // an application may have keys of its own
            "x-api-key" => !self.forward_authorization && credential::is_ours(value),
            "tracestate" => !self.keep_tracestate,
            // CGI makes HTTP_PROXY of it, which many HTTP clients obey
            "proxy" => true,
            "proxy-authorization" | "proxy-connection" | "keep-alive" | "http2-settings" => true,
            // the proxy underneath sees to these for all but the tunnel (RFC 9110 section 7.6.1)
            other if self.upgrade && nominated(headers, other) => true,
            other => self.managed.covers(other),
        }
    }
}

fn nominated(headers: &HeaderMap, name: &str) -> bool {
    let fields = headers.get_all(CONNECTION).iter();
    let mut tokens = fields.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    name != "connection" && tokens.any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}

/// Takes managed names out of the trailers of a request, and those that RFC 9110 section 6.5.1 keeps out of any:
/// a backend that merges trailers into its headers would believe them.
pub fn erase_from_trailers(trailers: &mut HeaderMap, managed: &Managed) {
    remove_where(trailers, |_, name, _| {
        NEVER_TRAILERS.contains(name) || name.as_str() == "proxy" || managed.covers(name.as_str())
    });
}

const NEVER_TRAILERS: [HeaderName; 20] = [
    header::AUTHORIZATION,
    CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_TYPE,
    COOKIE,
    header::EXPECT,
    HOST,
    header::PROXY_AUTHORIZATION,
    header::RANGE,
    SET_COOKIE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::ORIGIN,
    X_REQUEST_ID,
    TRACEPARENT,
    TRACESTATE,
];

/// Takes out of a response what a backend has no business to say: hop-by-hop and managed names, and cookies under our
/// names, with which it could sign a browser in as somebody.
pub fn erase_from_response(head: &mut HeaderMap, managed: &Managed) {
    remove_where(head, |_, name, _| may_not_pass(name, managed));
    if head.get_all(SET_COOKIE).iter().any(sets_ours) {
        let kept: Vec<HeaderValue> =
            head.get_all(SET_COOKIE).iter().filter(|value| !sets_ours(value)).cloned().collect();
        head.remove(&SET_COOKIE);
        for value in kept {
            head.append(&SET_COOKIE, value);
        }
    }
}

/// Whether no response of a backend may bring `name` to the client.
pub(super) fn may_not_pass(name: &HeaderName, managed: &Managed) -> bool {
    is_hop_by_hop(name) || managed.covers(name.as_str())
}

/// Between the backend and us only (RFC 9110 section 7.6.1); what `Connection` names comes on top.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(name.as_str(), "connection" | "keep-alive" | "proxy-authenticate" | "proxy-connection" | "upgrade")
}

/// How many names one pass collects. Ordinary requests lose one to three; a flood only costs more passes.
const BATCH: usize = 8;

fn remove_where(head: &mut HeaderMap, drops: impl Fn(&HeaderMap, &HeaderName, &HeaderValue) -> bool) {
    loop {
        let mut batch = [const { None::<HeaderName> }; BATCH];
        let headers = &*head;
        let mut doomed = headers.iter().filter(|(name, value)| drops(headers, name, value)).map(|(name, _)| name);
        for place in &mut batch {
            *place = doomed.next().cloned();
        }
        let more = doomed.next().is_some();
        for name in batch.iter().flatten() {
            head.remove(name);
        }
        if !more {
            return;
        }
    }
}

/// Takes our cookies out and leaves the others as they are. Several fields become one, as every HTTP/1 reader
/// expects (RFC 9113 section 8.2.3).
fn strip_cookies(head: &mut HeaderMap) {
    let mut fields = head.get_all(COOKIE).iter();
    let (Some(first), second) = (fields.next(), fields.next()) else {
        return;
    };
    if second.is_none() && !pairs(first).any(is_ours) {
        return;
    }
    let mut kept = Vec::new();
    for pair in head.get_all(COOKIE).iter().flat_map(pairs).filter(|pair| !is_ours(pair)) {
        if !kept.is_empty() {
            kept.extend_from_slice(b"; ");
        }
        kept.extend_from_slice(pair);
    }
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(kept)) {
        Ok(value) if !value.is_empty() => head.insert(COOKIE, value),
        _ => head.remove(COOKIE),
    };
}

fn pairs(field: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    cookies::pairs(field.as_bytes()).map(<[u8]>::trim_ascii_start)
}

fn sets_ours(value: &HeaderValue) -> bool {
    pairs(value).next().is_some_and(is_ours)
}

/// Whether a `name=value` is a cookie of ours.
fn is_ours(pair: &[u8]) -> bool {
    cookies::is_ours(pair.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii())
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
