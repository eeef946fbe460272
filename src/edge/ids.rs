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
        let (trace, span) = (fastrand::u128(1..), fastrand::u64(1..));
        if !trusted {
            return Self { request_id: request_id(trace), traceparent: begin(trace, span), continued: false };
        }
        let brought = headers.get(X_REQUEST_ID).filter(|id| request_id_is_sound(id.as_bytes())).cloned();
        let parent = headers.get(TRACEPARENT).and_then(|value| Traceparent::parse(value.as_bytes()));
        Self {
            request_id: brought.unwrap_or_else(|| request_id(trace)),
            continued: parent.is_some(),
            traceparent: parent.map_or_else(|| begin(trace, span), |parent| parent.child(span)),
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

fn request_id(number: u128) -> HeaderValue {
    let mut text = [0_u8; 32];
    hex(number, &mut text);
    value(&text)
}

/// A trace of our own, not sampled: whether to record is for whoever records.
fn begin(trace: u128, span: u64) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    hex(trace, text.get_mut(3..35).unwrap_or_default());
    hex(u128::from(span), text.get_mut(36..52).unwrap_or_default());
    value(&text)
}

fn hex(mut number: u128, into: &mut [u8]) {
    for place in into.iter_mut().rev() {
        *place = HEX.get(usize::try_from(number & 15).unwrap_or(0)).copied().unwrap_or(b'0');
        number >>= 4;
    }
}

fn value(text: &[u8]) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::copy_from_slice(text)).unwrap_or_else(|_| HeaderValue::from_static("0"))
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
