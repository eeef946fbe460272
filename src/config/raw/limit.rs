//! `[[limit]]` and `[limits]`.

use super::shape::{table, List};
use super::value::{words, FromText, Name};
use crate::config::reading::Reading;
use crate::config::secrets::Text;
use crate::domain::limit::bucket::Period;
use crate::domain::limit::{OnStoreDown, Part, Rate};
use serde_json::{json, Value as Json};

/// So many a second that whole microseconds still tell them apart.
const FASTEST: u32 = 1_000_000;

table! {
    /// A rate limit.
    Limit {
        /// What routes, metrics and answers call it. The name of a built-in limit changes that one.
        name: Name,
        /// What is counted together: ip, user, session, api_key, client, route, token, "header:X-Tenant".
        key: List<Part> = ["user"],
        /// How many in the long run: "10/s", "100/min", "1000/h", "5000/d".
        rate: Rate,
        /// How many may come at once.
        burst: usize = 20,
        /// Ask the store for every request: none over, one round trip each.
        exact: bool = false,
        /// What a request costs where its route says nothing.
        cost: usize = 1,
        /// While the store is away: each replica enforces its share, or everybody passes, or nobody does.
        on_store_down: OnStoreDown = "local",
        /// Count what is over, and let it through.
        shadow: bool = false,
        /// Tell admitted callers how they stand (RateLimit, RateLimit-Policy).
        headers: bool = true,
    }
}

table! {
    /// What all limits have in common.
    Limits {
        /// Leading bits of an IPv4 address that tell one client from another.
        ipv4_prefix: usize = 32,
        /// The same for IPv6: one household has 64 bits to play with.
        ipv6_prefix: usize = 64,
    }
}

words! { impl OnStoreDown { "local" => Local, "allow" => Allow, "deny" => Deny } }

impl FromText for Part {
    fn describe() -> Json {
        json!({ "type": "string", "pattern": "^(ip|user|session|api_key|client|route|token|header:.+)$" })
    }

    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let words = "ip, user, session, api_key, client, route, token or header:NAME";
        Self::parse(&text.value).ok_or_else(|| format!("{} is nothing to count by; write {words}", text.shown))
    }
}

impl FromText for Rate {
    fn describe() -> Json {
        json!({ "type": "string", "examples": ["10/s", "100/min", "1000/h", "5000/d"] })
    }

    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let hint = || format!("{} is no rate: write a number, \"/\" and s, min, h or d, like \"100/min\"", text.shown);
        let (count, per) = text.value.split_once('/').ok_or_else(hint)?;
        let per = match per {
            "s" => Period::Second,
            "min" => Period::Minute,
            "h" => Period::Hour,
            "d" => Period::Day,
            _ => return Err(hint()),
        };
        let digits = count.bytes().all(|b| b.is_ascii_digit());
        let count: u32 = count.parse().ok().filter(|_| digits).ok_or_else(hint)?;
        if count == 0 || u64::from(count) > u64::from(FASTEST) * per.seconds() {
            return Err(format!("{} lets nobody through or is above {FASTEST} a second", text.shown));
        }
        Ok(Self { count, per })
    }
}
