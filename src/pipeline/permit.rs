//! The proof that a request was admitted.

use super::cache::Verified;
use super::limits::UnderWay;
use super::session::Recognised;
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::backward::Backward;
use crate::domain::headers::forwarded::Client;
use crate::domain::limit::fields::RateFields;
use crate::domain::policy::cors::Grant;
use crate::domain::policy::Route;
use crate::domain::principal::Principal;
use crate::domain::request::{Canonical, Upgrade};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;

/// Who is asking.
#[derive(Clone, Debug)]
pub enum Caller {
    Anonymous,
    Known { verified: Arc<Verified>, memory: Memory },
}

/// What the cache of verified credentials knew of the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Known: no signature was checked for this request.
    Hit,
    Miss,
    /// Known, but verified with keys that have been replaced since.
    Stale,
}

/// Permission to forward one request. Only [`super::Gate::admit`] makes one.
#[derive(Debug)]
pub struct Permit {
    route: usize,
    upstream: usize,
    caller: Caller,
    client: Client,
    upgrade: Upgrade,
    /// What the request target becomes; `None` where it was canonical as it came.
    target: Option<PathAndQuery>,
    cors: Option<Grant>,
    /// For the browser, on the answer.
    cookies: Vec<HeaderValue>,
    /// Boxed: few routes have limits, and a permit is moved about with every request.
    counted: Option<Box<Counted>>,
}

/// What limits have to do with a request they let pass.
#[derive(Debug)]
struct Counted {
    fields: Option<RateFields>,
    /// Counted among those under way for as long as this is here.
    under_way: Option<UnderWay>,
}

impl Caller {
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        match self {
            Self::Anonymous => None,
            Self::Known { verified, .. } => Some(&verified.principal),
        }
    }
}

impl Permit {
    pub(super) fn new(
        route: &Route,
        recognised: Recognised,
        client: Client,
        request: &Canonical<'_>,
        headers: &HeaderMap,
    ) -> Result<Self, Denial> {
        let Recognised { caller, cookies } = recognised;
        Ok(Self {
            route: route.index,
            upstream: route.upstream,
            caller,
            client,
            upgrade: granted_upgrade(route, request.upgrade)?,
            target: target(route, request)?,
            cors: route.cors.as_ref().map(|cors| cors.grant(headers)),
            cookies,
            counted: None,
        })
    }

    /// Further cookies for the answer.
    pub(super) fn hand_over(&mut self, cookies: Vec<HeaderValue>) {
        self.cookies.extend(cookies);
    }

    /// It was counted by limits.
    pub(super) fn counted(&mut self, limits: Option<RateFields>, under_way: Option<UnderWay>) {
        self.counted = Some(Box::new(Counted { fields: limits, under_way }));
    }

    /// The backend is done with it: it is under way no longer.
    pub fn is_done(&mut self) {
        if let Some(counted) = &mut self.counted {
            counted.under_way = None;
        }
    }

    #[must_use]
    pub fn route(&self) -> usize {
        self.route
    }

    #[must_use]
    pub fn upstream(&self) -> usize {
        self.upstream
    }

    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    #[must_use]
    pub fn upgrade(&self) -> Upgrade {
        self.upgrade
    }

    #[must_use]
    pub fn target(&self) -> Option<&PathAndQuery> {
        self.target.as_ref()
    }

    /// For the browser, whatever the answer is.
    #[must_use]
    pub fn cookies(&self) -> &[HeaderValue] {
        &self.cookies
    }

    /// What a response needs to know of the request. `last`: no other one comes. It alone says how the request stands with
    /// limits, and takes that along.
    pub fn backward(&mut self, last: bool) -> Backward<'_> {
        let counted = self.counted.as_mut().filter(|_| last);
        Backward {
            authenticated: self.caller.principal().is_some(),
            grant: self.cors.as_ref(),
            cookies: &self.cookies,
            limits: counted.and_then(|counted| counted.fields.take()),
        }
    }
}

fn granted_upgrade(route: &Route, asked: Upgrade) -> Result<Upgrade, Denial> {
    match asked {
        Upgrade::WebSocket if !route.forwarding.websocket => {
            Err(Denial::new(Code::Forbidden, "this route takes no WebSocket"))
        }
        other => Ok(other),
    }
}

/// The target for the backend, without the route's `strip_prefix`.
fn target(route: &Route, request: &Canonical<'_>) -> Result<Option<PathAndQuery>, Denial> {
    let prefix = route.forwarding.strip_prefix.as_str();
    if prefix.is_empty() && !request.rewritten() {
        return Ok(None);
    }
    let target = request.target();
    let whole_segments = |rest: &&str| rest.is_empty() || rest.starts_with(['/', '?']);
    let rest = target.strip_prefix(prefix).filter(whole_segments).unwrap_or(&target);
    let rooted = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let parsed = PathAndQuery::try_from(rooted);
    parsed.map(Some).map_err(|_| Denial::new(Code::BadPath, "the canonical target is no valid request target"))
}
