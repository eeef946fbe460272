//! Request and trace identifiers: where a request came from is believed only of trusted peers.

use crate::domain::headers::rewrite::{TRACEPARENT, X_REQUEST_ID};
use crate::domain::headers::trace::{request_id_is_sound, Traceparent};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The identifiers of one request, ready to be sent on.
#[derive(Debug)]
pub(super) struct Ids {
    pub(super) request_id: HeaderValue,
    pub(super) traceparent: HeaderValue,
    /// The trace was begun by a trusted peer, so its `tracestate` stays.
    pub(super) continued: bool,
}

impl Ids {
    /// From the generator of this thread; `trusted` peers may bring their own.
    pub(super) fn of(headers: &HeaderMap, trusted: bool) -> Self {
        let ours = Text::new();
        if !trusted {
            return Self { request_id: ours.request_id(), traceparent: ours.traceparent(), continued: false };
        }
        let brought = headers.get(X_REQUEST_ID).filter(|id| request_id_is_sound(id.as_bytes())).cloned();
        let parent = headers.get(TRACEPARENT).and_then(|value| Traceparent::parse(value.as_bytes()));
        Self {
            request_id: brought.unwrap_or_else(|| ours.request_id()),
            continued: parent.is_some(),
            traceparent: parent.map_or_else(|| ours.traceparent(), |parent| parent.child(fastrand::u64(1..))),
        }
    }

    pub(super) fn request_id(&self) -> &str {
        self.request_id.to_str().unwrap_or_default()
    }

    /// The second field of `traceparent` (W3C Trace Context section 3.2).
    pub(super) fn trace_id(&self) -> &str {
        self.traceparent.to_str().ok().and_then(|text| text.get(3..35)).unwrap_or_default()
    }
}

/// A trace that begins here, as `traceparent` writes it. It is not sampled: whether to record is for whoever records.
/// Its trace id is our request id too; both values share these bytes.
struct Text(Bytes);

impl Text {
    fn new() -> Self {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        for (at, number) in [(3, fastrand::u64(1..)), (19, fastrand::u64(..)), (36, fastrand::u64(1..))] {
            hex(number, text.get_mut(at..at + 16).unwrap_or_default());
        }
        Self(Bytes::copy_from_slice(&text))
    }

    fn request_id(&self) -> HeaderValue {
        value(self.0.slice(3..35))
    }

    fn traceparent(&self) -> HeaderValue {
        value(self.0.clone())
    }
}

fn hex(mut number: u64, into: &mut [u8]) {
    for place in into.iter_mut().rev() {
        *place = HEX.get(usize::from(number.to_le_bytes()[0] & 15)).copied().unwrap_or(b'0');
        number >>= 4;
    }
}

/// Digits and dashes are always a header value.
fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("abc-1"));
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert(TRACEPARENT, HeaderValue::from_static(parent));
        headers
    }

    #[test]
    fn a_stranger_brings_no_identifiers() {
        let ids = Ids::of(&headers(), false);
        assert_ne!(ids.request_id(), "abc-1");
        assert_ne!(ids.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(Traceparent::parse(ids.traceparent.as_bytes()).is_some());
        assert_eq!(ids.request_id().len(), 32);
    }

    #[test]
    fn a_trusted_peer_s_trace_goes_on_with_a_span_of_ours() {
        let ids = Ids::of(&headers(), true);
        assert_eq!(ids.request_id(), "abc-1");
        assert_eq!(ids.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert!(!ids.traceparent.to_str().unwrap().contains("00f067aa0ba902b7"));
        assert!(ids.continued);
    }
}
