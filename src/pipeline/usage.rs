//! How often one token is used. More than any honest client would means that it was shared, or stolen, or runs in a loop.
//!
//! Counted where the token is remembered, on this replica alone: one number beside it, no store and no key to look up. A
//! token that was forgotten and verified anew begins again.

use super::cache::Verified;
use super::limits::{refused, Over};
use crate::domain::limit::bucket::Micros;
use crate::domain::limit::fields::Standing;
use crate::domain::limit::{Bucket, BuiltIn, Limit};
use crate::domain::time::UnixTime;
use crate::ports::limits::Tally;
use sha2::{Digest, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Between two lines about one token, in seconds.
const SAY_EVERY: u64 = 60;

/// The limit `token_usage` of one configuration.
#[derive(Debug)]
pub struct TokenUsage {
    limit: Limit,
    over: Arc<dyn Tally>,
    /// The second of the last line, whichever token it was about: a flood is no reason to fill a disk.
    said: AtomicU64,
}

/// What is written down of one token.
#[derive(Debug, Default)]
pub(super) struct Uses {
    /// Its bucket: when that will be full again, in microseconds since 1970.
    full_at: AtomicU64,
    /// The second in which the log last heard of it.
    said: AtomicU64,
}

impl TokenUsage {
    /// The one of `limits`, if it is among them.
    pub fn of(limits: &[Limit], over: impl Fn(&str) -> Arc<dyn Tally>) -> Option<Self> {
        let limit = limits.iter().find(|limit| limit.name == BuiltIn::TokenUsage.name())?.clone();
        Some(Self { over: over(&limit.name), limit, said: AtomicU64::new(0) })
    }

    /// Counts one use.
    ///
    /// # Errors
    /// What to answer instead, where the limit is enforced.
    pub(super) fn count(&self, verified: &Verified, now: UnixTime) -> Result<(), Over> {
        let wait = verified.uses().take(self.limit.bucket, now);
        if wait == 0 {
            return Ok(());
        }
        self.over.over();
        self.say(verified, now);
        if self.limit.shadow {
            return Ok(());
        }
        Err(refused(&self.limit, Standing { remaining: 0, until: wait }))
    }

    fn say(&self, verified: &Verified, now: UnixTime) {
        let last = verified.uses().said.load(Ordering::Relaxed);
        if now.0.saturating_sub(last) < SAY_EVERY || self.said.swap(now.0, Ordering::Relaxed) == now.0 {
            return;
        }
        verified.uses().said.store(now.0, Ordering::Relaxed);
        let principal = &verified.principal;
        let named = principal.claims.get("jti").and_then(|jti| jti.as_str()).unwrap_or_else(|| verified.token());
        let digest = Sha256::digest(named.as_bytes());
        let token: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let reason = if self.limit.shadow { "shadow" } else { "refused" };
        tracing::warn!(
            target: "doorward::limits",
            limit = self.limit.name,
            reason,
            token,
            source = principal.source.as_str(),
            "one token is used more often than it should be"
        );
    }
}

impl Uses {
    /// Takes one; else how long until there is one.
    fn take(&self, bucket: Bucket, now: UnixTime) -> Micros {
        let now = now.0.saturating_mul(1_000_000);
        let taken = |full_at| bucket.take(full_at, now, (1, 1));
        // one that is empty is written to as well if the clock was set back: else it stayed empty until then
        let next = |full_at| Some(taken(full_at).tat).filter(|next| *next != full_at);
        let before = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        match taken(before.unwrap_or_else(|full_at| full_at)) {
            taken if taken.granted > 0 => 0,
            taken => taken.retry.max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::denial::Code;
    use crate::domain::limit::Rate;
    use crate::domain::principal::{AuthMethod, Principal, SourceName};
    use std::sync::atomic::AtomicU32;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    #[derive(Debug, Default)]
    struct Count(AtomicU32);

    impl Tally for Count {
        fn over(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn usage(limit: Limit) -> (TokenUsage, Arc<Count>) {
        let count = Arc::<Count>::default();
        let told = Arc::clone(&count);
        let usage = TokenUsage::of(&[BuiltIn::Ip.limit(), limit], move |_| Arc::clone(&told) as _);
        (usage.unwrap(), count)
    }

    fn after(seconds: u64) -> UnixTime {
        UnixTime(NOW.0 + seconds)
    }

    fn token() -> Verified {
        let principal = Principal {
            source: SourceName::new("idp"),
            subject: "alice".to_owned(),
            method: AuthMethod::Bearer,
            roles: Vec::new(),
            scopes: Vec::new(),
            claims: serde_json::Map::new(),
            email_trusted: false,
            expires: after(3600),
        };
        Verified::new("a.b.c", principal, Vec::new())
    }

    #[test]
    fn a_token_that_is_used_more_than_a_thousand_times_a_minute_is_counted_and_let_through() {
        let ((usage, over), token) = (usage(BuiltIn::TokenUsage.limit()), token());
        for _ in 0..1000 {
            assert!(usage.count(&token, NOW).is_ok());
        }
        assert_eq!(over.0.load(Ordering::Relaxed), 0);
        for _ in 0..5 {
            assert!(usage.count(&token, NOW).is_ok());
        }
        assert_eq!(over.0.load(Ordering::Relaxed), 5);
        for _ in 0..1000 {
            assert!(usage.count(&token, after(60)).is_ok());
        }
        assert_eq!(over.0.load(Ordering::Relaxed), 5, "a minute later all is forgotten");
    }

    #[test]
    fn where_it_is_enforced_the_caller_is_told_when_to_come_again() {
        let limit = BuiltIn::TokenUsage.limit();
        let bucket = Bucket::new(Rate::per_minute(6), 2);
        let ((usage, _), token) = (usage(Limit { shadow: false, bucket, ..limit }), token());
        assert!(usage.count(&token, NOW).is_ok() && usage.count(&token, NOW).is_ok());
        let over = usage.count(&token, NOW).unwrap_err();
        assert_eq!(over.denial.code, Code::RateLimited);
        let told: http::HeaderMap = over.headers.into_iter().collect();
        let told = ["retry-after", "ratelimit-policy", "ratelimit"].map(|name| told[name].to_str().unwrap().to_owned());
        assert_eq!(told, ["10", "\"token_usage\";q=1002;w=60", "\"token_usage\";r=0;t=10"]);
        assert!(usage.count(&token, after(9)).is_err() && usage.count(&token, after(10)).is_ok());
        let other = self::token();
        assert!(usage.count(&other, NOW).is_ok(), "others are not counted with it");
    }

    #[test]
    fn a_clock_that_was_set_back_shuts_nobody_out_for_longer_than_a_bucket_takes_to_fill() {
        let limit = BuiltIn::TokenUsage.limit();
        let bucket = Bucket::new(Rate::per_minute(6), 2);
        let ((usage, _), token) = (usage(Limit { shadow: false, bucket, ..limit }), token());
        assert!(usage.count(&token, after(86_400)).is_ok());
        let back = (0..=60).find(|second| usage.count(&token, after(*second)).is_ok());
        assert_eq!(back, Some(10), "empty at worst");
    }

    #[test]
    fn the_log_hears_of_a_token_once_a_minute() {
        let ((usage, _), token) = (usage(BuiltIn::TokenUsage.limit()), token());
        let mut lines = 0;
        for second in 0..121 {
            let before = token.uses().said.load(Ordering::Relaxed);
            usage.say(&token, after(second));
            lines += u32::from(token.uses().said.load(Ordering::Relaxed) != before);
        }
        assert_eq!(lines, 3);
    }
}
