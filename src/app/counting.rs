//! Composing limits: the buckets, who spends from them, and the limits of each configuration.

use super::compose::Composer;
use super::sign_in::SignIn;
use crate::config::settings::Settings;
use crate::domain::session::{whole, Millis};
use crate::observe::clock::Machine;
use crate::pipeline::limits::{Guard, Limiter, OnRoute, Plan};
use crate::pipeline::usage::TokenUsage;
use crate::ports::limits::{Buckets, Fleet, Single};
use crate::ports::revocation::Clock as _;
use crate::store::{Clock, MemoryBuckets};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// What outlives a configuration: tokens that were reserved, and requests that are under way.
#[derive(Debug, Default)]
pub(super) struct Counting {
    limiter: OnceLock<Arc<Limiter>>,
    under_way: Mutex<HashMap<String, Arc<OnRoute>>>,
}

/// Whether a route counts anything.
pub(super) fn counts(settings: &Settings) -> bool {
    settings.routes.routes().iter().any(|route| route.limits.is_counted() || route.rule.accepts_api_key)
}

impl Counting {
    /// Whether replicas enforce their shares, each for itself.
    pub(super) fn is_alone(&self) -> bool {
        self.limiter.get().is_some_and(|limiter| limiter.is_alone())
    }

    fn limiter(&self, opened: Option<&SignIn>) -> Arc<Limiter> {
        let made = || {
            let machine = Arc::new(Machine::new());
            let shared = opened.and_then(|opened| Some((opened.buckets.clone()?, Arc::clone(&opened.revocations))));
            let (buckets, fleet): (Arc<dyn Buckets>, Arc<dyn Fleet>) = match shared {
                Some((buckets, revocations)) => (buckets, revocations),
                None => {
                    let steady = Arc::clone(&machine);
                    let clock = Clock::new(move || Millis(whole(steady.steady())));
                    (Arc::new(MemoryBuckets::new(clock)), Arc::new(Single))
                }
            };
            Limiter::new(buckets, fleet, machine)
        };
        Arc::clone(self.limiter.get_or_init(made))
    }
}

impl Composer {
    /// How often one token may be used.
    pub(super) fn usage(&self, settings: &Settings) -> Option<TokenUsage> {
        TokenUsage::of(&settings.limits, |name| self.metrics.rate_limited.with(&[name]) as _)
    }

    /// The limits of `settings`; `None` where nothing is counted.
    pub(super) fn guard(&self, settings: &Settings, opened: Option<&SignIn>) -> Option<Arc<Guard>> {
        if settings.providers.is_empty() && !counts(settings) {
            return None;
        }
        let plan = Plan {
            limiter: self.counting.limiter(opened),
            limits: &settings.limits,
            routes: settings.routes.routes(),
            prefixes: settings.limit_prefixes,
        };
        let over = |name: &str| self.metrics.rate_limited.with(&[name]) as _;
        let under_way = |route: &str| {
            let mut known = self.counting.under_way.lock();
            Arc::clone(known.entry(route.to_owned()).or_default())
        };
        Some(Guard::new(plan, over, under_way))
    }
}
