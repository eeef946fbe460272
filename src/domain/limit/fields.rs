//! What a client is told about its limits: `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-11,
//! lists of structured fields (RFC 9651).

use super::bucket::{seconds, Micros};
use super::Limit;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use std::fmt::Write;

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
pub fn policy(list: &mut String, limit: &Limit) {
    let quota = u64::from(limit.bucket.burst) + u64::from(limit.rate.count);
    // writing to a `String` cannot fail
    let _ = write!(list, "{}\"{}\";q={quota};w={}", separator(list), limit.name, limit.rate.per.seconds());
}

/// One item of `RateLimit`.
pub fn state(list: &mut String, limit: &Limit, standing: Standing) {
    let (mut remaining, mut until) = ([0; DIGITS], [0; DIGITS]);
    let (remaining, until) =
        (number(&mut remaining, standing.remaining.into()), number(&mut until, seconds(standing.until)));
    // It is written for every admitted request: one allocation, which the value of the field takes over as it is.
    let pieces = [separator(list), "\"", &limit.name, "\";r=", remaining, ";t=", until];
    list.reserve_exact(pieces.iter().map(|piece| piece.len()).sum());
    for piece in pieces {
        list.push_str(piece);
    }
}

/// The list as the value of a field.
#[must_use]
pub fn value(list: String) -> Option<HeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(list)).ok()
}

fn separator(list: &str) -> &'static str {
    if list.is_empty() {
        ""
    } else {
        ", "
    }
}

/// By hand: it stands on every admitted request, and the formatting machinery takes several times as long.
fn number(digits: &mut [u8; DIGITS], mut number: u64) -> &str {
    let mut begin = DIGITS;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        begin = at;
        if number == 0 {
            break;
        }
    }
    digits.get(begin..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
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
        let (mut policies, mut states) = (String::new(), String::new());
        for (name, remaining) in [("per-user", 0), ("b", 4_294_967_295)] {
            policy(&mut policies, &limit(name));
            state(&mut states, &limit(name), Standing { remaining, until: 1_000_001 });
        }
        assert_eq!(value(policies).unwrap(), "\"per-user\";q=120;w=60, \"b\";q=120;w=60");
        assert_eq!(value(states).unwrap(), "\"per-user\";r=0;t=2, \"b\";r=4294967295;t=2");
    }
}
