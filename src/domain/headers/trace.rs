//! Request ids and W3C trace context that a trusted proxy sent: which may be taken up.

use http::HeaderValue;

const LONGEST_REQUEST_ID: usize = 64;

/// The trace a caller asks us to continue (W3C Trace Context level 1, version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traceparent {
    /// Never zero.
    trace: u128,
    sampled: bool,
}

impl Traceparent {
    /// Reads `traceparent`: lower-case hex, version 00, no id all zero.
    #[must_use]
    pub fn parse(traceparent: &[u8]) -> Option<Self> {
        let rest = traceparent.strip_prefix(b"00-")?;
        let (id, rest) = rest.split_at_checked(32)?;
        let (parent, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
        let flags = rest.strip_prefix(b"-").filter(|flags| flags.len() == 2)?;
        let (trace, flags) = (hex(id)?, hex(flags)?);
        (trace != 0 && hex(parent)? != 0).then_some(Self { trace, sampled: flags & 1 == 1 })
    }

    /// The `traceparent` of our span within this trace. Of the flags only `sampled` is passed on: version 00 knows
    /// no other.
    #[must_use]
    pub fn child(&self, span: u64) -> HeaderValue {
        let text = format!("00-{:032x}-{:016x}-{:02x}", self.trace, span.max(1), u8::from(self.sampled));
        // digits and dashes are always a header value
        HeaderValue::from_maybe_shared(bytes::Bytes::from(text)).unwrap_or(HeaderValue::from_static(""))
    }
}

/// Whether a request id that a trusted proxy sent may be used as it is. Others could break a log line or a terminal.
#[must_use]
pub fn request_id_is_sound(id: &[u8]) -> bool {
    (1..=LONGEST_REQUEST_ID).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |sum, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(sum << 4 | u128::from(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &[u8] = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_child_stays_in_the_trace_and_keeps_whether_it_is_sampled() {
        let trace = Traceparent::parse(SENT).unwrap();
        assert_eq!(trace.child(0xABC), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
        assert_eq!(Traceparent::parse(trace.child(7).as_bytes()), Some(trace));
    }

    #[test]
    fn flags_of_later_versions_are_not_passed_on() {
        let sent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-fe";
        let child = Traceparent::parse(sent).unwrap().child(0);
        assert_eq!(child, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-00");
    }

    #[test]
    fn a_malformed_parent_is_no_parent() {
        for sent in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(sent.as_bytes()), None, "{sent}");
        }
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_not_sound() {
        assert!(request_id_is_sound(b"0a.B_c-9"));
        assert!(request_id_is_sound(&[b'a'; 64]));
        for id in [b"".as_slice(), &[b'a'; 65], b"a b", b"a\n", b"../x", b"\x1b[2J", b"\xC3\xA9", b"a\"b"] {
            assert!(!request_id_is_sound(id), "{id:?}");
        }
    }
}
