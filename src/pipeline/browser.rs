//! Callers with cookies: recognised, renewed on the way, or sent to sign in.

use super::session::{Asking, House, Mode, Recognised, Turned};
use super::{Answer, Arrival, Caller, Gate};
use crate::domain::cookies::OurCookies;
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::forwarded::{Client, Proto};
use crate::domain::navigation::wants_page;
use crate::domain::policy::route::OnUnauthenticated;
use crate::domain::policy::rule::Access;
use crate::domain::policy::Route;
use crate::domain::request::{declared_length, Canonical, Upgrade};
use crate::domain::time::UnixTime;
use http::header::RETRY_AFTER;
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// A browser that is sent back sends its body again; with more than this it is asked to begin anew.
const RESENT: u64 = 1024 * 1024;

/// A request on its route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit<'a> {
    pub(super) route: &'a Route,
    pub(super) request: &'a Canonical<'a>,
    pub(super) client: &'a Client,
    pub(super) arrival: &'a Arrival<'a>,
}

impl Gate {
    pub(super) async fn session(
        &self,
        house: &Arc<House>,
        held: &OurCookies<'_>,
        visit: &Visit<'_>,
    ) -> Result<Recognised, Answer> {
        let route = visit.route;
        let mut asking = self.asking(visit);
        // There its name counts once, so a token that lives is the one that is used, and not its successor. A handle has no
        // successor, and only the store knows whether it lives: not for a request that may be forged.
        let tokens = house.terms.mode == Mode::Jwt;
        if tokens && route.sensitive && house.known(held, asking.now).await.is_ok() {
            asking.renews = false;
        }
        match house.recognise(held, &asking).await {
            Ok(recognised) => Ok(recognised.unwrap_or(Recognised { caller: Caller::Anonymous, cookies: Vec::new() })),
            Err(Turned::Away(denial, cookies)) if forgiven(route, &denial) => {
                Ok(Recognised { caller: Caller::Anonymous, cookies })
            }
            Err(Turned::Away(denial, cookies)) => Err(self.turned_away(denial, visit).with_cookies(cookies)),
            Err(Turned::Back(cookies)) => Err(back(visit.route, visit.request, visit.arrival).with_cookies(cookies)),
            Err(Turned::TooOften(over)) => Err(self.turned_away(over.denial, visit).with(over.headers)),
        }
    }

    /// What sessions want to know of a request.
    pub(super) fn asking<'a>(&self, visit: &Visit<'a>) -> Asking<'a> {
        let Visit { route, request, client, arrival } = *visit;
        Asking {
            method: arrival.head.method,
            headers: arrival.head.headers,
            authority: request.authority,
            proto: client.proto,
            ip: client.ip,
            websocket: request.upgrade == Upgrade::WebSocket,
            csrf: route.csrf,
            uses: route.activity,
            renews: self.house.as_ref().is_some_and(|house| house.renews_unseen()),
            now: arrival.now,
        }
    }

    /// Where people sign in. Without endpoints to do that at there is a house for what was revoked, and no cookie counts.
    pub(super) fn people(&self) -> Option<&Arc<House>> {
        self.house.as_ref().filter(|_| self.endpoints.is_some())
    }

    /// A refusal, or for a person who could sign in the way to do so.
    pub(super) fn turned_away(&self, denial: Denial, visit: &Visit<'_>) -> Answer {
        let Visit { route, request, arrival, .. } = *visit;
        let signs_in = self.people().filter(|_| route.rule.accepts_session && denial.code.status() == 401);
        let looks = [Method::GET, Method::HEAD].contains(arrival.head.method);
        let person = match route.unauthenticated {
            OnUnauthenticated::Auto => wants_page(arrival.head.headers),
            OnUnauthenticated::Login => true,
            OnUnauthenticated::Refuse => false,
        };
        let location = signs_in.filter(|_| looks && person).and_then(|house| self.login(house, request));
        match location {
            Some(location) => Answer::redirect(StatusCode::FOUND, location, route, &denial),
            None => Answer::refused(denial, route, arrival.head.headers),
        }
    }

    /// Where to sign in, to come back to what was asked for. On a host that is not public no cookie could be set, so
    /// that happens at the first one that is.
    fn login(&self, house: &House, request: &Canonical<'_>) -> Option<HeaderValue> {
        let here = house.origins.named(request.authority, Proto::Https).is_some();
        let base = if here { "" } else { house.origins.issuer().as_str() };
        let target = form_urlencoded::byte_serialize(request.target().as_bytes()).collect::<String>();
        HeaderValue::try_from(format!("{base}{}/login?return_to={target}", self.prefix)).ok()
    }

    pub(super) async fn note_use(&self, route: &Route, caller: &Caller, now: UnixTime) {
        if let (Some(house), Caller::Known { verified, .. }, true) = (&self.house, caller, route.activity) {
            house.note_use(verified, now).await;
        }
    }
}

/// On a route that anybody may use, a session that has ended is no session.
fn forgiven(route: &Route, denial: &Denial) -> bool {
    route.rule.access == Access::Optional && denial.code.status() == 401
}

/// Here again, with the cookies the browser holds by then. Nothing has been forwarded, so any method may come again.
pub(super) fn back(route: &Route, request: &Canonical<'_>, arrival: &Arrival<'_>) -> Answer {
    let denial = Denial::new(Code::SessionExpired, "sent back, to come again with the cookies it holds then");
    // Without a length nobody knows how much would come again.
    let bodiless = [Method::GET, Method::HEAD].contains(arrival.head.method);
    let unsaid = if bodiless { 0 } else { u64::MAX };
    let location = HeaderValue::try_from(request.target());
    match location {
        Ok(location)
            if declared_length(arrival.head.headers).unwrap_or(unsaid) <= RESENT
                && request.upgrade != Upgrade::WebSocket =>
        {
            let mut answer = Answer::redirect(StatusCode::TEMPORARY_REDIRECT, location, route, &denial);
            answer.headers.extend(
                route.cors.iter().flat_map(|cors| cors.grant(arrival.head.headers).headers().collect::<Vec<_>>()),
            );
            answer
        }
        _ => {
            let mut answer =
                Answer::refused(Denial::new(Code::TryAgain, "sent back once"), route, arrival.head.headers);
            answer.headers.push((RETRY_AFTER, HeaderValue::from_static("0")));
            answer
        }
    }
}
