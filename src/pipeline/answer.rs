//! What we answer ourselves instead of forwarding.

use super::own::OwnRequest;
use super::Caller;
use crate::domain::denial::{Code, Denial};
use crate::domain::policy::cors::{Grant, Preflight};
use crate::domain::policy::table::{Chosen, MethodNotAllowed};
use crate::domain::policy::Route;
use crate::domain::request::RawHead;
use http::header::{ALLOW, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::net::IpAddr;

/// An answer of the gate's own.
#[derive(Debug)]
pub struct Answer {
    pub kind: Kind,
    /// The route it concerns, where one was chosen.
    pub route: Option<usize>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For the logs: who was answered, as far as that was found out before the answer was.
    pub caller: Option<Caller>,
    pub client: Option<IpAddr>,
}

#[derive(Debug)]
pub enum Kind {
    Refusal(Denial),
    /// 204: a CORS preflight that was allowed.
    Preflight,
    /// The browser is sent elsewhere, or here again.
    Redirect(Box<(StatusCode, HeaderValue)>),
    /// One of our own endpoints is asked for.
    Own(Box<OwnRequest>),
    /// It was asked, and said so itself; a no with its reason.
    Served(Option<Denial>),
}

impl From<Denial> for Answer {
    fn from(denial: Denial) -> Self {
        Self::of(Kind::Refusal(denial), None, Vec::new())
    }
}

impl Answer {
    fn of(kind: Kind, route: Option<usize>, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self { kind, route, headers, caller: None, client: None }
    }

    /// A refusal on a route, readable across origins where the route allows that.
    #[must_use]
    pub fn refused(denial: Denial, route: &Route, headers: &HeaderMap) -> Self {
        let grant = route.cors.as_ref().map(|cors| cors.grant(headers));
        let headers = grant.map(|grant| grant.headers().collect()).unwrap_or_default();
        Self::of(Kind::Refusal(denial), Some(route.index), headers)
    }

    pub(super) fn own(request: OwnRequest) -> Self {
        Self::of(Kind::Own(Box::new(request)), None, Vec::new())
    }

    pub(super) fn method_not_allowed(chosen: Chosen<'_>, refusal: &MethodNotAllowed, headers: &HeaderMap) -> Self {
        let denial = Denial::new(Code::MethodNotAllowed, "no route of this pattern takes the method");
        let mut answer = match chosen.routes().find(|route| route.cors.is_some()) {
            Some(route) => Self::refused(denial, route, headers),
            None => denial.into(),
        };
        answer.headers.extend(HeaderValue::try_from(&refusal.allow).map(|allow| (ALLOW, allow)));
        answer
    }

    /// The answer to a CORS preflight for a route of the chosen pattern that lists origins; `None` for any other
    /// request, which goes on as what it is.
    pub(super) fn to_preflight(chosen: Chosen<'_>, head: &RawHead<'_>) -> Option<Self> {
        let preflight = Preflight::read(head.method, head.headers)?;
        let route = chosen.for_method(&preflight.method).ok().filter(|route| route.cors.is_some())?;
        let cors = route.cors.as_ref()?;
        Some(match cors.preflight(&preflight) {
            Ok(headers) => Self::of(Kind::Preflight, Some(route.index), headers),
            Err(denial) => {
                let headers = Grant::refused().headers().collect();
                Self::of(Kind::Refusal(denial), Some(route.index), headers)
            }
        })
    }

    /// Elsewhere, or here again.
    pub(super) fn redirect(status: StatusCode, location: HeaderValue, route: &Route, denial: &Denial) -> Self {
        tracing::debug!(code = denial.code.name(), "redirected");
        Self::of(Kind::Redirect(Box::new((status, location))), Some(route.index), Vec::new())
    }

    /// The same answer, with these header fields on it.
    #[must_use]
    pub fn with(mut self, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The same answer, with our cookies on it.
    #[must_use]
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = HeaderValue>) -> Self {
        self.headers.extend(cookies.into_iter().map(|cookie| (SET_COOKIE, cookie)));
        self
    }

    /// The request to one of our own endpoints, if this is one, and what stays in the books.
    #[must_use]
    pub fn split_own(self) -> (Option<OwnRequest>, Self) {
        match self.kind {
            Kind::Own(request) => (Some(*request), Self { kind: Kind::Served(None), ..self }),
            kind => (None, Self { kind, ..self }),
        }
    }

    /// The status this answer is sent with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match &self.kind {
            Kind::Refusal(denial) => denial.code.status(),
            Kind::Preflight => 204,
            Kind::Redirect(to) => to.0.as_u16(),
            // known only to the endpoint
            Kind::Own(_) | Kind::Served(_) => 0,
        }
    }
}
