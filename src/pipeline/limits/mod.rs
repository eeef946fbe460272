//! Limits as a request meets them: which of them count it, under which keys, and what the caller is told.
//!
//! Limits that need no caller stand before any signature check, the others behind the policy. A route without limits
//! pays for one look at an empty list.

mod book;
mod limiter;
mod named;
mod together;
mod under_way;
mod weather;

pub use book::Bookmark;
pub use limiter::{Limiter, Verdict};
pub use named::{Looked, Named};
pub use under_way::{OnRoute, UnderWay};

use super::cache::Verified;
use crate::domain::denial::{Code, Denial};
use crate::domain::limit::bucket::seconds;
use crate::domain::limit::fields::{self, RateFields, Standing, RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::domain::limit::{BuiltIn, Charge, KeyText, Limit, Part, Prefixes};
use crate::domain::policy::Route;
use crate::domain::principal::Principal;
use crate::domain::session::{SessionId, UserHash};
use crate::ports::limits::Tally;
use foldhash::quality::FixedState;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use limiter::Spend;
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use together::Due;
use under_way::Crowded;

/// As whose requests those are counted that met too many under way.
const CROWDED: &str = "max_in_flight";
/// The same for one user.
const CROWDED_BY_ONE: &str = "max_in_flight_per_user";

/// The limits of one configuration.
#[derive(Debug)]
pub struct Guard {
    limiter: Arc<Limiter>,
    kept: Vec<Kept>,
    routes: Vec<RouteGuard>,
    /// Requests turned away because too many were under way.
    crowded: Arc<dyn Tally>,
    crowded_by_one: Arc<dyn Tally>,
    prefixes: Prefixes,
}

/// One limit and what goes with it.
#[derive(Debug)]
struct Kept {
    limit: Limit,
    /// Tells its buckets in this process from those of a limit of another shape.
    number: u64,
    /// A credential has one bucket here.
    of_caller: bool,
    over: Arc<dyn Tally>,
    /// The second in which the log last heard of it.
    said: AtomicU64,
}

#[derive(Debug)]
struct RouteGuard {
    label: Box<str>,
    /// `RateLimit-Policy` of what shows itself.
    policy: Option<HeaderValue>,
    under_way: Arc<OnRoute>,
}

/// What limits look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub ip: Option<IpAddr>,
    /// The peer may tell us about its client.
    pub trusted: bool,
    pub headers: &'a HeaderMap,
    pub route: Option<&'a Route>,
    pub verified: Option<&'a Verified>,
}

/// A request that is over a limit, or of which that cannot be told.
#[derive(Clone, Debug)]
pub struct Over {
    pub denial: Denial,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// How a request stood with the limits it has met.
#[derive(Debug, Default)]
pub struct Met {
    /// Items of `RateLimit`.
    state: Vec<u8>,
    /// Charges that are done.
    done: usize,
}

/// How far a request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    InFull,
    /// The store has to be asked.
    InPart,
}

/// What a guard is made of.
#[derive(Debug)]
pub struct Plan<'a> {
    pub limiter: Arc<Limiter>,
    pub limits: &'a [Limit],
    pub routes: &'a [Route],
    pub prefixes: Prefixes,
}

impl Guard {
    /// `over` counts requests over the limit of a name, `under_way` those of a route: what is under way outlives a
    /// configuration.
    #[must_use]
    pub fn new(
        plan: Plan<'_>,
        over: impl Fn(&str) -> Arc<dyn Tally>,
        under_way: impl Fn(&str) -> Arc<OnRoute>,
    ) -> Arc<Self> {
        let Plan { limiter, limits, routes, prefixes } = plan;
        let kept = |limit: &Limit| Kept {
            number: number(limit),
            of_caller: limit.is_of_caller(),
            over: over(&limit.name),
            said: AtomicU64::new(0),
            limit: limit.clone(),
        };
        let routes = routes.iter().map(|route| {
            let label = route.label();
            RouteGuard { policy: policy(route, limits), under_way: under_way(&label), label: label.into() }
        });
        let routes = routes.collect();
        let kept = limits.iter().map(kept).collect();
        let (crowded, crowded_by_one) = (over(CROWDED), over(CROWDED_BY_ONE));
        Arc::new(Self { limiter, kept, routes, crowded, crowded_by_one, prefixes })
    }

    /// Counts a request in every one of `charges`, as far as that can be done from memory, or in none.
    ///
    /// # Errors
    /// What to answer instead.
    pub fn charge_now(&self, charges: &[Charge], facts: &Facts<'_>, met: &mut Met) -> Result<Paid, Over> {
        met.done = 0;
        // one limit is simply asked; of several each is looked at first
        if charges.len() > 1 && self.foresee(charges, facts, met)? == Paid::InPart {
            return Ok(Paid::InPart);
        }
        while let Some(charge) = charges.get(met.done) {
            if let Some(kept) = self.kept.get(charge.limit) {
                let Some(verdict) = self.spend_now(kept, charge.cost, facts) else { return Ok(Paid::InPart) };
                self.take(kept, verdict, met)?;
            }
            met.done += 1;
        }
        Ok(Paid::InFull)
    }

    /// Counts it in those that were left, and waits for the store.
    ///
    /// # Errors
    /// What to answer instead.
    pub async fn charge_rest(&self, charges: &[Charge], facts: &Facts<'_>, met: &mut Met) -> Result<(), Over> {
        let left: Vec<_> = charges.iter().skip(met.done).filter_map(|charge| self.due(*charge, facts)).collect();
        self.charge_all(&left, met).await?;
        met.done = charges.len();
        Ok(())
    }

    /// Counts one of the requests that only our own endpoints get.
    ///
    /// # Errors
    /// What to answer instead.
    pub async fn charge_own(&self, which: &[BuiltIn], facts: &Facts<'_>) -> Result<(), Over> {
        let kept = which.iter().filter_map(|which| self.built_in(*which));
        let due: Vec<_> = kept.map(|kept| Due { kept, key: self.key(kept, facts), cost: kept.limit.cost }).collect();
        self.charge_all(&due, &mut Met::default()).await
    }

    /// Counts the use of a renewal token whose MAC is good for its sign-in.
    ///
    /// # Errors
    /// What to answer instead.
    pub async fn charge_family(&self, session: SessionId) -> Result<(), Over> {
        self.charge_named(BuiltIn::RefreshFamily, session.as_bytes()).await
    }

    /// Counts it for its user, once the sign-in is known to live.
    ///
    /// # Errors
    /// What to answer instead.
    pub async fn charge_user(&self, user: UserHash) -> Result<(), Over> {
        self.charge_named(BuiltIn::RefreshUser, user.as_bytes()).await
    }

    /// Whether an address has shown so many API keys that were none that the next is not looked at, as far as that is in
    /// memory.
    ///
    /// # Errors
    /// What to answer instead.
    pub fn check_wrong_keys(&self, facts: &Facts<'_>) -> Result<(), Over> {
        let Some(kept) = self.built_in(BuiltIn::ApiKeyInvalid).filter(|kept| !kept.limit.shadow) else {
            return Ok(());
        };
        let key = self.key(kept, facts);
        match self.limiter.recalls(&key, kept.limit.cost) {
            Some(standing) => self.take(kept, Verdict::Refused(standing), &mut Met::default()),
            None => Ok(()),
        }
    }

    /// Counts an API key that was none.
    ///
    /// # Errors
    /// What to answer instead.
    pub async fn charge_wrong_key(&self, facts: &Facts<'_>) -> Result<(), Over> {
        self.charge_own(&[BuiltIn::ApiKeyInvalid], facts).await
    }

    async fn charge_named(&self, which: BuiltIn, name: &[u8]) -> Result<(), Over> {
        let Some(kept) = self.built_in(which) else { return Ok(()) };
        let mut key = KeyText::of(kept.number);
        key.part(&[name]);
        self.spend(kept, &key, kept.limit.cost, &mut Met::default()).await
    }

    /// Counts a request of `caller` as under way on `route` for as long as the answer lives. Nobody in particular is counted
    /// with all others only.
    ///
    /// # Errors
    /// There are as many as there may be.
    pub fn begin(&self, route: &Route, caller: Option<&Principal>) -> Result<Option<UnderWay>, Over> {
        let (most, of_one) = (route.limits.max_in_flight, route.limits.max_in_flight_per_user);
        let bounded = most > 0 || of_one > 0;
        let Some(guard) = self.routes.get(route.index).filter(|_| bounded) else { return Ok(None) };
        let user = caller.filter(|_| of_one > 0).map(|user| (UserHash::of(&user.source, &user.subject), of_one));
        let most = if most > 0 { most } else { u32::MAX };
        UnderWay::begin(&guard.under_way, most, user).map(Some).map_err(|crowded| {
            let detail = match crowded {
                Crowded::Route => {
                    self.crowded.over();
                    format!("{most} requests are under way on this route")
                }
                Crowded::User => {
                    self.crowded_by_one.over();
                    format!("{of_one} requests of this user are under way on this route")
                }
            };
            let denial = Denial::new(Code::RateLimited, detail);
            Over { denial, headers: vec![(RETRY_AFTER, HeaderValue::from_static("1"))] }
        })
    }

    /// What to tell whoever was admitted on `route`.
    #[must_use]
    pub fn fields(&self, route: &Route, met: Met) -> Option<RateFields> {
        if met.state.is_empty() {
            return None;
        }
        let policy = self.routes.get(route.index)?.policy.clone()?;
        Some(RateFields { policy, state: fields::value(met.state)? })
    }

    /// The verdict of one limit, if it is in memory.
    fn spend_now(&self, kept: &Kept, cost: u32, facts: &Facts<'_>) -> Option<Verdict> {
        let spend = |key, page| Spend { limit: &kept.limit, key, page, cost };
        let bookmark = facts.verified.filter(|_| kept.of_caller).map(Verified::bookmark);
        if let Some(page) = bookmark.and_then(|bookmark| bookmark.page(kept.number)) {
            return self.limiter.spend_now(spend(page.key(), Some(page)));
        }
        let key = self.key(kept, facts);
        if let Some(bookmark) = bookmark {
            bookmark.put(kept.number, || self.limiter.page(&key));
        }
        self.limiter.spend_now(spend(key.as_bytes(), None))
    }

    async fn spend(&self, kept: &Kept, key: &KeyText, cost: u32, met: &mut Met) -> Result<(), Over> {
        let verdict = self.limiter.spend(Spend { limit: &kept.limit, key: key.as_bytes(), page: None, cost }).await;
        self.take(kept, verdict, met)
    }

    /// What a verdict comes to.
    fn take(&self, kept: &Kept, verdict: Verdict, met: &mut Met) -> Result<(), Over> {
        match verdict {
            Verdict::Granted(standing) => {
                if is_shown(&kept.limit) {
                    fields::state(&mut met.state, &kept.limit, standing);
                }
                Ok(())
            }
            Verdict::Unlimited => Ok(()),
            Verdict::CannotTell if kept.limit.shadow => Ok(()),
            Verdict::CannotTell => {
                let detail = format!("limit \"{}\" cannot be asked", kept.limit.name);
                Err(Over { denial: Denial::new(Code::StoreUnavailable, detail), headers: Vec::new() })
            }
            Verdict::Refused(standing) => {
                kept.over.over();
                if kept.limit.shadow {
                    self.say(kept);
                    return Ok(());
                }
                Err(refused(&kept.limit, standing))
            }
        }
    }

    /// Once a second at most: a flood is no reason to fill a disk.
    fn say(&self, kept: &Kept) {
        let second = self.limiter.second();
        if kept.said.swap(second, Ordering::Relaxed) != second {
            tracing::info!(target: "doorward::limits", limit = kept.limit.name, reason = "shadow", "over a limit");
        }
    }

    fn built_in(&self, which: BuiltIn) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.limit.name == which.name())
    }

    fn key(&self, kept: &Kept, facts: &Facts<'_>) -> KeyText {
        let mut key = KeyText::of(kept.number);
        for part in &kept.limit.key {
            self.write(part, facts, &mut key);
        }
        key
    }

    fn write(&self, part: &Part, facts: &Facts<'_>, key: &mut KeyText) {
        let principal = facts.verified.map(|verified| &verified.principal);
        let claim = |name| principal.and_then(|principal| principal.claims.get(name)).and_then(|value| value.as_str());
        let source = principal.map_or(&[][..], |principal| principal.source.as_str().as_bytes());
        let text = match part {
            Part::Ip => return key.ip(facts.ip, self.prefixes),
            Part::User => {
                let user = principal.map(|user| [user.source.as_str().as_bytes(), user.subject.as_bytes()]);
                return key.part(user.as_ref().map_or(&[], <[_; 2]>::as_slice));
            }
            Part::Session => match facts.verified.and_then(Verified::session) {
                Some(session) => return key.part(&[session.id.as_bytes()]),
                None => {
                    return key.part(
                        claim("sid").map(|sid| [source, sid.as_bytes()]).as_ref().map_or(&[], <[_; 2]>::as_slice),
                    )
                }
            },
            Part::ApiKey => facts.verified.and_then(Verified::api_key).map(|key| key.id.as_str().as_bytes()),
            Part::Client => {
                let client = claim("client_id").or_else(|| claim("azp")).map(|client| [source, client.as_bytes()]);
                return key.part(client.as_ref().map_or(&[], <[_; 2]>::as_slice));
            }
            Part::Token => match (facts.verified, claim("jti")) {
                (_, Some(jti)) => return key.part(&[source, jti.as_bytes()]),
                // it has no name but itself
                (Some(verified), None) => return key.part(&[source, &[], &Sha256::digest(verified.token())]),
                (None, None) => None,
            },
            Part::Route => {
                let guard = facts.route.and_then(|route| self.routes.get(route.index));
                guard.map(|guard| guard.label.as_bytes())
            }
            Part::Header(name) => {
                // which of two would count is anybody's guess
                let mut values = facts.headers.get_all(name).iter().filter(|_| facts.trusted);
                values.next().filter(|_| values.next().is_none()).map(HeaderValue::as_bytes)
            }
        };
        key.part(text.as_slice());
    }
}

/// The 429 of a request that may come again after `standing.until`.
pub(super) fn refused(limit: &Limit, standing: Standing) -> Over {
    let wait = seconds(standing.until).max(1);
    let (mut policy, mut state) = (Vec::new(), Vec::new());
    fields::policy(&mut policy, limit);
    fields::state(&mut state, limit, Standing { remaining: 0, until: wait.saturating_mul(1_000_000) });
    let mut headers = vec![(RETRY_AFTER, HeaderValue::from(wait))];
    headers.extend(fields::value(policy).map(|policy| (RATE_LIMIT_POLICY, policy)));
    headers.extend(fields::value(state).map(|state| (RATE_LIMIT, state)));
    Over { denial: Denial::new(Code::RateLimited, format!("over the limit \"{}\"", limit.name)), headers }
}

fn policy(route: &Route, limits: &[Limit]) -> Option<HeaderValue> {
    let mut list = Vec::new();
    let charges = route.limits.before.iter().chain(&route.limits.after);
    for limit in charges.filter_map(|charge| limits.get(charge.limit)).filter(|limit| is_shown(limit)) {
        fields::policy(&mut list, limit);
    }
    fields::value(list).filter(|list| !list.is_empty())
}

/// What turns nobody away is nobody's business.
fn is_shown(limit: &Limit) -> bool {
    limit.headers && !limit.shadow
}

/// The same for limits that count alike.
fn number(limit: &Limit) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    limit.name.hash(&mut hasher);
    limit.key.hash(&mut hasher);
    limit.bucket.hash(&mut hasher);
    limit.exact.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
