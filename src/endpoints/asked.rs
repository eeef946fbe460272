//! A request to one of our endpoints, read once.

use super::Own;
use crate::domain::cookies::{CookiePlan, OurCookies, SessionCookie};
use crate::domain::credential::{presented, Presented};
use crate::domain::csrf::{self, Cause, Csrf, Friends};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::Device;
use crate::domain::navigation::wants_page;
use crate::domain::origins::Origin;
use crate::domain::return_to::Destinations;
use crate::pipeline::own::OwnRequest;
use crate::pipeline::session::{Asking, Recognised, Turned};
use crate::pipeline::Caller;
use http::header::ACCEPT;
use http::Method;
use std::borrow::Cow;
use std::sync::OnceLock;

/// How many fields of a form or query are read. None of ours has half as many.
const MOST_FIELDS: usize = 32;

/// The request, our cookies on it, and the public origin it came to.
pub(super) struct Asked<'r> {
    pub(super) request: &'r OwnRequest,
    pub(super) origin: &'r Origin,
    pub(super) plan: CookiePlan,
    pub(super) held: OurCookies<'r>,
    caller: OnceLock<Caller>,
}

impl<'r> Asked<'r> {
    pub(super) fn read(own: &'r Own, request: &'r OwnRequest) -> Result<Self, Denial> {
        let house = &own.house;
        let plan = house.cookies(&request.authority, request.client.proto);
        let held = plan.read(&request.headers)?;
        // What a request by another name leads to is meant for the first public one.
        let named = house.origins.named(&request.authority, request.client.proto);
        let origin = named.unwrap_or_else(|| house.origins.issuer());
        Ok(Self { request, origin, plan, held, caller: OnceLock::new() })
    }

    /// It is they who ask: for the books, whatever is answered.
    pub(super) fn is_from(&self, caller: &Caller) {
        self.caller.get_or_init(|| caller.clone());
    }

    pub(super) fn caller(&self) -> Option<Caller> {
        self.caller.get().cloned()
    }

    pub(super) fn reads(&self) -> bool {
        [Method::GET, Method::HEAD].contains(&self.request.method)
    }

    /// The value of a query parameter.
    pub(super) fn query(&self, name: &str) -> Option<Cow<'r, str>> {
        field(self.request.query.as_bytes(), name)
    }

    /// The value of a field of the form in the body.
    pub(super) fn form(&self, name: &str) -> Option<Cow<'r, str>> {
        field(&self.request.body, name)
    }

    /// All values of a field of the form: of what may stand there once, two are a mistake.
    pub(super) fn form_all(&self, name: &str) -> Vec<Cow<'r, str>> {
        let fields = form_urlencoded::parse(&self.request.body).take(MOST_FIELDS);
        fields.filter(|(known, _)| known == name).map(|(_, value)| value).collect()
    }

    /// A script, rather than a person or a form of ours.
    pub(super) fn wants_json(&self) -> bool {
        let accept = self.request.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        accept.contains("application/json") && !accept.contains("text/html")
    }

    pub(super) fn wants_page(&self) -> bool {
        wants_page(&self.request.headers)
    }

    pub(super) fn device(&self) -> Device {
        Device::from_headers(&self.request.headers)
    }

    /// Our own POST and DELETE endpoints take nothing from another site, and nothing whose origin is not known.
    pub(super) fn check_cause(&self, own: &Own) -> Result<(), Denial> {
        let request = self.request;
        let cause = Cause { method: &request.method, headers: &request.headers, websocket: false };
        let origin = own.house.origins.own(&request.authority, request.client.proto);
        let friends = Friends { own: origin.as_deref(), listed: &own.house.terms.csrf_origins };
        csrf::check(&cause, Csrf::Strict, &friends)
    }

    /// As [`Asked::check_cause`], where a bearer token may stand for the cookie: no browser sends one of its own accord.
    pub(super) fn check_cause_of_cookies(&self, own: &Own) -> Result<(), Denial> {
        match self.bearer()? {
            Some(_) => Ok(()),
            None => self.check_cause(own),
        }
    }

    /// The token of a client that keeps its tokens itself. The renewal cookie beside it is no credential of a request.
    pub(super) fn bearer(&self) -> Result<Option<&'r str>, Denial> {
        let token = match presented(&self.request.headers)? {
            Presented::Nothing => return Ok(None),
            Presented::Bearer(token) => token,
            Presented::ApiKey(_) => {
                return Err(Denial::new(Code::Unauthenticated, "these are for people, and API keys are for programs"))
            }
        };
        if self.held.session() != SessionCookie::Absent {
            return Err(Denial::new(Code::ConflictingCredentials, "a session cookie beside a bearer token"));
        }
        Ok(Some(token))
    }

    /// Where a sign-in leads, checked; without a wish to the root.
    pub(super) fn destination(&self, own: &Own, wish: Option<&str>) -> Result<String, Denial> {
        let destinations = Destinations { own: self.origin, listed: &own.destinations, prefix: &own.prefix };
        destinations.check(wish.filter(|wish| !wish.is_empty()).unwrap_or("/"))
    }

    /// Who is asking, by cookie or by our own access token; with cookies renewed on the way where that is due.
    pub(super) async fn recognise(&self, own: &Own) -> Result<Recognised, Turned> {
        let request = self.request;
        let asking = Asking {
            method: &request.method,
            headers: &request.headers,
            authority: &request.authority,
            proto: request.client.proto,
            ip: request.client.ip,
            websocket: false,
            csrf: Csrf::Strict,
            uses: false,
            renews: own.house.renews_unseen(),
            now: request.now,
        };
        let away = |denial| Turned::Away(denial, Vec::new());
        if let Some(token) = self.bearer().map_err(away)? {
            let (verified, memory) = own.house.know_bearer(token, request.now).await.map_err(away)?;
            own.house.check_bearer(&verified, &asking).await.map_err(away)?;
            let caller = Caller::Known { verified, memory };
            self.is_from(&caller);
            return Ok(Recognised { caller, cookies: Vec::new() });
        }
        let recognised = own.house.recognise(&self.held, &asking).await?;
        let recognised = recognised.ok_or_else(|| away(Denial::new(Code::Unauthenticated, "no session")))?;
        self.is_from(&recognised.caller);
        Ok(recognised)
    }
}

fn field<'i>(input: &'i [u8], name: &str) -> Option<Cow<'i, str>> {
    form_urlencoded::parse(input).take(MOST_FIELDS).find(|(known, _)| known == name).map(|(_, value)| value)
}
