//! The way of a request: canonicalise → choose a route → cheap limits → identify → authorise → callers' limits → permit.
//!
//! [`Gate::admit`] tells the story; each step is a file of its own. A [`Permit`] is the proof that the story was told
//! to the end: only `admit` makes one, and nothing is forwarded without it.

pub mod account;
pub mod answer;
pub mod api_keys;
mod browser;
pub mod cache;
pub mod clock_watch;
pub mod degraded;
mod facts;
mod identify;
pub mod keys;
pub mod lasting;
pub mod limits;
pub mod own;
pub mod permit;
pub mod revocation;
mod sensitive;
pub mod session;
pub mod usage;

pub use answer::Answer;
pub use permit::{Caller, Permit};

use crate::domain::denial::{Code, Denial};
use crate::domain::headers::forwarded::{client, Client, Peer};
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::headers::managed::Managed;
use crate::domain::network::Trusted;
use crate::domain::policy::expression::Facts;
use crate::domain::policy::route::EncodedSlash;
use crate::domain::policy::table::Chosen;
use crate::domain::policy::{Route, RouteTable};
use crate::domain::request::{canonicalise, declared_length, Canonical, RawHead};
use crate::domain::time::UnixTime;
use crate::domain::token::issuer::Issuer;
use crate::ports::KeySource;
use api_keys::ApiKeys;
use browser::Visit;
use cache::CredentialCache;
use http::{HeaderMap, HeaderName, HeaderValue};
use limits::{Guard, Met, Over, Paid, UnderWay};
use own::{Endpoints, OwnRequest};
use session::House;
use std::collections::HashMap;
use std::sync::Arc;
use usage::TokenUsage;

/// Admits requests, or says why not. One configuration, immutable: a request meets the same gate from its first
/// byte to its last.
#[derive(Debug)]
pub struct Gate {
    routes: RouteTable,
    issuers: Vec<Desk>,
    by_iss: HashMap<String, usize>,
    identity: Arc<IdentityHeaders>,
    /// What a backend is told of a caller who is nobody in particular.
    anonymous: Vec<(HeaderName, HeaderValue)>,
    managed: Managed,
    trusted: Trusted,
    prefix: String,
    endpoints: Option<Arc<dyn Endpoints>>,
    house: Option<Arc<House>>,
    limits: Option<Arc<Guard>>,
    usage: Option<TokenUsage>,
    api_keys: Option<Arc<ApiKeys>>,
    cache: CredentialCache,
}

/// Where the tokens of one issuer are checked.
#[derive(Debug)]
pub struct Desk {
    pub terms: Arc<Issuer>,
    pub keys: Arc<dyn KeySource>,
}

/// What a gate is made of.
#[derive(Debug)]
pub struct Plan {
    pub routes: RouteTable,
    pub issuers: Vec<Desk>,
    pub identity: Arc<IdentityHeaders>,
    pub trusted: Trusted,
    /// Our own endpoints live below it; nothing there reaches a backend.
    pub prefix: String,
    /// What answers there; `None` where nobody signs in.
    pub endpoints: Option<Arc<dyn Endpoints>>,
    /// The sessions of those who do.
    pub house: Option<Arc<House>>,
    /// `None`: nobody is counted, as when somebody only asks what the gate would say.
    pub limits: Option<Arc<Guard>>,
    /// `None`: nobody could have one, so none counts.
    pub api_keys: Option<Arc<ApiKeys>>,
}

/// A request as it arrived, and the moment everything about it happens.
#[derive(Debug)]
pub struct Arrival<'a> {
    pub head: RawHead<'a>,
    pub peer: Peer,
    pub now: UnixTime,
}

impl Gate {
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let by_iss = plan.issuers.iter().enumerate().map(|(at, desk)| (desk.terms.issuer.clone(), at)).collect();
        Self {
            anonymous: plan.identity.anonymous(),
            managed: Managed::new(plan.identity.names()),
            routes: plan.routes,
            issuers: plan.issuers,
            by_iss,
            identity: plan.identity,
            trusted: plan.trusted,
            prefix: plan.prefix,
            endpoints: plan.endpoints,
            house: plan.house,
            limits: plan.limits,
            usage: None,
            api_keys: plan.api_keys,
            cache: CredentialCache::default(),
        }
    }

    /// The same, counting how often each token is used.
    #[must_use]
    pub fn counting(self, usage: Option<TokenUsage>) -> Self {
        Self { usage, ..self }
    }

    /// Whether a connection from `peer` may tell us about its client.
    #[must_use]
    pub fn trusts(&self, ip: Option<std::net::IpAddr>) -> bool {
        ip.map_or(self.trusted.unix, |ip| self.trusted.trusts(ip))
    }

    /// Decides about one request.
    ///
    /// # Errors
    /// The [`Answer`] to send instead of forwarding: a refusal, or a CORS preflight answered here.
    pub async fn admit(&self, arrival: &Arrival<'_>) -> Result<Permit, Answer> {
        let request = canonicalise(&arrival.head)?;
        let client = client(arrival.head.headers, &arrival.peer, |ip| self.trusted.trusts(ip), request.authority);
        let ip = client.ip;
        let admitted = self.admit_client(&request, client, arrival).await;
        admitted.map_err(|answer| Answer { client: ip, ..answer })
    }

    async fn admit_client(
        &self,
        request: &Canonical<'_>,
        client: Client,
        arrival: &Arrival<'_>,
    ) -> Result<Permit, Answer> {
        if self.is_ours(&request.path) {
            return Err(match &self.endpoints {
                // Boxed: no application is asked for so.
                Some(_) => Box::pin(self.own(request, client, arrival)).await?,
                None => Denial::new(Code::NoRoute, "nobody signs in here, so there is nothing below our prefix").into(),
            });
        }
        let chosen = self.routes.choose(&request.host, &request.path)?;
        if let Some(preflight) = Answer::to_preflight(chosen, &arrival.head) {
            return Err(preflight);
        }
        let route = method_route(chosen, &arrival.head)?;
        self.admit_to(route, request, client, arrival).await
    }

    /// A request to one of our own endpoints. They work for anybody, so an address may not ask for them without end.
    async fn own(&self, request: &Canonical<'_>, client: Client, arrival: &Arrival<'_>) -> Result<Answer, Answer> {
        let below = request.path.strip_prefix(self.prefix.as_str()).unwrap_or_default();
        if let Some(limits) = &self.limits {
            let (which, facts) = (own::counted_by(arrival.head.method, below), facts_of(arrival, &client));
            limits.charge_own(which, &facts).await.map_err(|over| Answer::from(over.denial).with(over.headers))?;
        }
        Ok(Answer::own(OwnRequest::of(request, &arrival.head, client, arrival.now)))
    }

    /// The steps that stand on a route: whatever they refuse is answered in the route's own manner.
    async fn admit_to(
        &self,
        route: &Route,
        request: &Canonical<'_>,
        client: Client,
        arrival: &Arrival<'_>,
    ) -> Result<Permit, Answer> {
        let refused = |denial| Answer::refused(denial, route, arrival.head.headers);
        if request.encoded_slash && route.forwarding.encoded_slash == EncodedSlash::Reject {
            return Err(refused(Denial::new(Code::BadPath, "%2F in the path, which this route does not keep")));
        }
        let visit = Visit { route, request, client: &client, arrival };
        let mut met = Met::default();
        if !route.limits.before.is_empty() {
            self.count(&visit, None, &mut met).await.map_err(|over| refused(over.denial).with(over.headers))?;
        }
        let recognised = self.identify(&visit).await?;
        let caller = &recognised.caller;
        let facts = Facts {
            method: arrival.head.method.as_str(),
            host: &request.host,
            path: &request.path,
            query: request.query,
            headers: arrival.head.headers,
            managed: &self.managed,
            ip: client.ip,
            now: arrival.now,
        };
        if let Err(denial) = route.rule.decide(caller.principal(), &facts) {
            let cookies = recognised.cookies.iter();
            return Err(Answer { caller: Some(caller.clone()), ..self.turned_away(denial, &visit) }
                .with_cookies(cookies.cloned()));
        }
        let counted = route.limits.is_counted();
        let under_way = match self.count_use(caller, arrival.now) {
            Ok(()) if counted => self.admit_counted(&visit, caller, &mut met).await,
            Ok(()) => Ok(None),
            Err(over) => Err(over),
        };
        let under_way = under_way.map_err(|over| {
            let cookies = recognised.cookies.iter().cloned();
            Answer { caller: Some(caller.clone()), ..refused(over.denial) }.with(over.headers).with_cookies(cookies)
        })?;
        self.note_use(route, caller, arrival.now).await;
        let cookies = recognised.cookies.clone();
        let permit = Permit::new(route, recognised, client, request, arrival.head.headers);
        let permit = permit.and_then(|permit| fits(route, arrival.head.headers).map(|()| permit));
        let mut permit = permit.map_err(|denial| refused(denial).with_cookies(cookies))?;
        if route.sensitive {
            // Boxed: few routes are.
            permit.hand_over(Box::pin(self.use_up(&permit, (route, request, arrival))).await?);
        }
        if counted {
            permit.counted(self.limits.as_ref().and_then(|limits| limits.fields(route, met)), under_way);
        }
        Ok(permit)
    }

    /// Of this token, whatever the route.
    fn count_use(&self, caller: &Caller, now: UnixTime) -> Result<(), Over> {
        match (&self.usage, caller) {
            (Some(usage), Caller::Known { verified, .. }) => usage.count(verified, now),
            (Some(_) | None, _) => Ok(()),
        }
    }

    /// The limits of a route that count its callers, and how many of them are under way.
    async fn admit_counted(&self, visit: &Visit<'_>, caller: &Caller, met: &mut Met) -> Result<Option<UnderWay>, Over> {
        let Some(limits) = &self.limits else { return Ok(None) };
        // Last what is held: whoever waits for the store is not under way yet, and shuts out nobody.
        self.count(visit, Some(caller), met).await?;
        limits.begin(visit.route, caller.principal())
    }

    /// The limits of a route: without a caller those that need none, with one the others.
    async fn count(&self, visit: &Visit<'_>, caller: Option<&Caller>, met: &mut Met) -> Result<(), Over> {
        let Some(limits) = &self.limits else { return Ok(()) };
        let charges = if caller.is_some() { &visit.route.limits.after } else { &visit.route.limits.before };
        let verified = caller.and_then(|caller| match caller {
            Caller::Anonymous => None,
            Caller::Known { verified, .. } => Some(&**verified),
        });
        let facts = limits::Facts { route: Some(visit.route), verified, ..facts_of(visit.arrival, visit.client) };
        match limits.charge_now(charges, &facts, met)? {
            Paid::InFull => Ok(()),
            // Boxed: most find what they need in memory.
            Paid::InPart => Box::pin(limits.charge_rest(charges, &facts, met)).await,
        }
    }

    /// The route a permit was given on.
    #[must_use]
    pub fn route(&self, permit: &Permit) -> Option<&Route> {
        self.routes.routes().get(permit.route())
    }

    /// What the backend is told about the holder of `permit`.
    #[must_use]
    pub fn identity_of<'g>(&'g self, permit: &'g Permit) -> &'g [(HeaderName, HeaderValue)] {
        match permit.caller() {
            Caller::Anonymous => &self.anonymous,
            Caller::Known { verified, .. } => &verified.identity,
        }
    }

    #[must_use]
    pub fn managed(&self) -> &Managed {
        &self.managed
    }

    /// What backends are told while something runs on its fallback.
    #[must_use]
    pub fn degraded(&self) -> Option<HeaderValue> {
        self.house.as_ref()?.ground.degraded.header()
    }

    #[must_use]
    pub fn forwards_authorization(&self) -> bool {
        self.identity.forward_authorization
    }

    /// Sessions, where people sign in.
    #[must_use]
    pub fn house(&self) -> Option<&Arc<House>> {
        self.house.as_ref()
    }

    /// The limits of this configuration.
    #[must_use]
    pub fn limits(&self) -> Option<&Arc<Guard>> {
        self.limits.as_ref()
    }

    /// What answers requests to our own endpoints.
    #[must_use]
    pub fn endpoints(&self) -> Option<&Arc<dyn Endpoints>> {
        self.endpoints.as_ref()
    }

    fn is_ours(&self, path: &str) -> bool {
        path.strip_prefix(self.prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            || self.endpoints.as_ref().is_some_and(|endpoints| endpoints.takes(path))
    }
}

/// What the client says its body is like; more than it said is cut while it is forwarded.
fn fits(route: &Route, headers: &HeaderMap) -> Result<(), Denial> {
    match declared_length(headers) {
        Some(length) if length > route.forwarding.max_body => Err(Denial::too_large()),
        Some(_) | None => Ok(()),
    }
}

/// What limits look at before anybody is known.
fn facts_of<'a>(arrival: &Arrival<'a>, client: &Client) -> limits::Facts<'a> {
    limits::Facts {
        ip: client.ip,
        trusted: arrival.peer.trusted,
        headers: arrival.head.headers,
        route: None,
        verified: None,
    }
}

fn method_route<'t>(chosen: Chosen<'t>, head: &RawHead<'_>) -> Result<&'t Route, Answer> {
    chosen.for_method(head.method).map_err(|refusal| Answer::method_not_allowed(chosen, &refusal, head.headers))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
