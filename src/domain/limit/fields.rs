//! What a client is told about its limits: `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-11,
//! lists of structured fields (RFC 9651).

use super::bucket::{seconds, Micros};
use super::Limit;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Of the largest number.
const DIGITS: usize = 20;

/// For the answer to an admitted request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateFields {
    pub policy: HeaderValue,
    pub state: HeaderValue,
}

/// How a request stands with one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whole tokens left.
    pub remaining: u32,
    /// Until the bucket is full again or, for a request that was refused, until it may come again.
    pub until: Micros,
}

/// One item of `RateLimit-Policy`: in every `w` seconds at most `q`.
pub fn policy(list: &mut Vec<u8>, limit: &Limit) {
    let quota = u64::from(limit.bucket.burst) + u64::from(limit.rate.count);
    item(list, &limit.name, (";q=", quota), (";w=", limit.rate.per.seconds()));
}

/// One item of `RateLimit`.
pub fn state(list: &mut Vec<u8>, limit: &Limit, standing: Standing) {
    item(list, &limit.name, (";r=", standing.remaining.into()), (";t=", seconds(standing.until)));
}

/// The list as the value of a field.
#[must_use]
pub fn value(list: Vec<u8>) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(list)).ok()
}

/// It is written for every admitted request: one allocation, which the value of the field takes over as it is.
fn item(list: &mut Vec<u8>, name: &str, first: (&str, u64), second: (&str, u64)) {
    let between: &[u8] = if list.is_empty() { b"" } else { b", " };
    let mut digits = [[0; DIGITS]; 2];
    let [of_first, of_second] = &mut digits;
    let numbers = (number(of_first, first.1), number(of_second, second.1));
    let pieces =
        [between, b"\"", name.as_bytes(), b"\"", first.0.as_bytes(), numbers.0, second.0.as_bytes(), numbers.1];
    list.reserve_exact(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        list.extend_from_slice(piece);
    }
}

/// By hand: the formatting machinery takes several times as long.
fn number(digits: &mut [u8; DIGITS], mut number: u64) -> &[u8] {
    let mut begin = DIGITS;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        begin = at;
        if number == 0 {
            break;
        }
    }
    digits.get(begin..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::{Bucket, OnStoreDown, Part, Rate};
    use super::*;

    fn limit(name: &str) -> Limit {
        let rate = Rate::per_minute(100);
        Limit {
            name: name.to_owned(),
            key: vec![Part::User],
            rate,
            bucket: Bucket::new(rate, 20),
            exact: false,
            cost: 1,
            on_store_down: OnStoreDown::Local,
            shadow: false,
            headers: true,
        }
    }

    #[test]
    fn several_limits_are_one_list() {
        let (mut policies, mut states) = (Vec::new(), Vec::new());
        for (name, remaining) in [("per-user", 0), ("b", 4_294_967_295)] {
            policy(&mut policies, &limit(name));
            state(&mut states, &limit(name), Standing { remaining, until: 1_000_001 });
        }
        assert_eq!(value(policies).unwrap(), "\"per-user\";q=120;w=60, \"b\";q=120;w=60");
        assert_eq!(value(states).unwrap(), "\"per-user\";r=0;t=2, \"b\";r=4294967295;t=2");
    }
}
