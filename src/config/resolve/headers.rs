//! Header names that are not the operator's to choose.

use crate::domain::headers::managed::Managed;
use http::HeaderName;

/// Headers that frame the message or belong to one connection (RFC 9110 section 7.6.1). Setting or removing one
/// could make gate and backend disagree about where a request ends.
const FRAMING: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

/// What the gate itself tells about the request, besides identity.
const OURS: [&str; 4] = ["forwarded", "x-request-id", "traceparent", "tracestate"];

/// Why `name` may not be set or removed by a route, if so.
pub(super) fn not_for_routes(name: &HeaderName, managed: &Managed) -> Option<&'static str> {
    if is_framing(name) {
        return Some("frames the message, and is the gate's alone");
    }
    if is_ours(name) || managed.covers(name.as_str()) {
        return Some("is managed by the gate: it is erased and set by it alone");
    }
    None
}

/// Why `name` may not carry a claim, if so.
pub(super) fn not_for_identity(name: &HeaderName) -> Option<&'static str> {
    if is_framing(name)
        || is_ours(name)
        || matches!(name.as_str(), "authorization" | "cookie" | "set-cookie" | "content-type" | "origin")
    {
        return Some("has a meaning of its own and cannot carry a claim");
    }
    None
}

/// The form in which header names are told apart: backends that read them as variables see `_` and `-` alike.
pub(super) fn folded(name: &HeaderName) -> String {
    name.as_str().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn is_framing(name: &HeaderName) -> bool {
    FRAMING.contains(&folded(name).as_str())
}

fn is_ours(name: &HeaderName) -> bool {
    let folded = folded(name);
    OURS.contains(&folded.as_str()) || folded.starts_with("x-forwarded")
}
