//! From our cookies to the caller.

use super::elsewhere::Elsewhere;
use super::renew::{Occasion, Renewed, Renewing};
use super::{session_of, House, Mode, Place, Renewal};
use crate::domain::cookies::{CookiePlan, Name, OurCookies, Parity, SessionCookie};
use crate::domain::csrf::{self, Cause, Csrf, Friends};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::Device;
use crate::domain::family::{Renewal as Said, Transport};
use crate::domain::headers::forwarded::Proto;
use crate::domain::navigation::wants_page;
use crate::domain::principal::{AuthMethod, Principal};
use crate::domain::session::FamilyId;
use crate::domain::signing::own;
use crate::domain::time::UnixTime;
use crate::domain::token::jose::Unverified;
use crate::domain::token::verify::{verify, Rejection};
use crate::pipeline::cache::{SessionFacts, Verified};
use crate::pipeline::limits::Over;
use crate::pipeline::permit::{Caller, Memory};
use crate::ports::{with_keys, Credential, KeySource, Keys};
use http::{HeaderMap, HeaderValue, Method};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a browser may take to come back.
pub(super) const BOUNCE: Duration = Duration::from_secs(30);

/// The mark of a browser whose session was ended because somebody else used it as well.
pub const SHARED: &str = "shared";
/// How long it waits for a page on which its user can be told.
const TOLD: Duration = Duration::from_mins(10);

/// A request whose credential is a cookie.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    pub authority: &'a str,
    pub proto: Proto,
    pub ip: Option<IpAddr>,
    pub websocket: bool,
    pub csrf: Csrf,
    /// Whether the session may be renewed on this request.
    pub renews: bool,
    /// Whether the request counts as use of the session: a page that asks how long it has left does not.
    pub uses: bool,
    pub now: UnixTime,
}

/// The caller, and what to hand to the browser on this occasion.
#[derive(Debug)]
pub struct Recognised {
    pub caller: Caller,
    pub cookies: Vec<HeaderValue>,
}

/// There is no caller.
#[derive(Debug)]
pub enum Turned {
    /// The cookies to send along: a session that has ended is cleared.
    Away(Denial, Vec<HeaderValue>),
    /// The browser may hold newer cookies than this request: it is sent back once.
    Back(Vec<HeaderValue>),
    /// Renewed too often. The session goes on, and its cookies stay.
    TooOften(Over),
}

/// A caller, and whether they were remembered.
type Live = Result<(Arc<Verified>, Memory), Denial>;

impl House {
    /// Who holds these cookies; `None` when there is nothing of a session among them.
    ///
    /// # Errors
    /// [`Turned`]
    pub async fn recognise(
        self: &Arc<Self>,
        held: &OurCookies<'_>,
        asking: &Asking<'_>,
    ) -> Result<Option<Recognised>, Turned> {
        if !held.holds_session() {
            return Ok(None);
        }
        let plan = self.cookies(asking.authority, asking.proto);
        // Before anything is renewed, and before any store is asked: a forged request costs nothing.
        self.check_cause(asking).map_err(|denial| Turned::Away(denial, Vec::new()))?;
        if self.terms.mode == Mode::Opaque {
            return self.recognise_handle(held, asking, &plan).await.map(Some);
        }
        let live = self.live(held, asking.now).await;
        live.iter().for_each(|(verified, _)| self.ground.activity.arrived(verified));
        let (verified, memory, cookies) = match live {
            Ok((verified, memory)) if !(asking.renews && self.is_due(&verified, asking.now)) => {
                (verified, memory, Vec::new())
            }
            // Boxed: few requests renew, and each would carry the room for it.
            live => Box::pin(self.renewed(live, held, asking, &plan)).await?,
        };
        // A renewal has judged the device already.
        if cookies.is_empty() {
            let elsewhere =
                |it: Elsewhere| Turned::Away(it.denial, if it.ends { plan.clear_session(held) } else { Vec::new() });
            self.check_device(&verified, asking).await.map_err(elsewhere)?;
        }
        Ok(Some(Recognised { caller: Caller::Known { verified, memory }, cookies }))
    }

    /// What becomes of a caller whose access token has ended, or soon will.
    async fn renewed(
        self: &Arc<Self>,
        live: Live,
        held: &OurCookies<'_>,
        asking: &Asking<'_>,
        plan: &CookiePlan,
    ) -> Result<(Arc<Verified>, Memory, Vec<HeaderValue>), Turned> {
        if let Err(denial) = &live {
            // The renewal token that goes with it must not bring back what was revoked.
            let ends = denial.code == Code::SessionTerminated;
            if ends || denial.code == Code::UserBlocked {
                let clear = if ends { cleared(denial, plan, held, asking.headers) } else { Vec::new() };
                return Err(Turned::Away(denial.clone(), clear));
            }
        }
        let said = self.renewal(held);
        let renewed = match said {
            Some(said) if asking.renews => Some(self.renew_for(said, held, asking).await),
            Some(_) | None => None,
        };
        match (renewed, live) {
            (Some(Renewed::Issued { verified, issued, .. }), _) => {
                let cookies = issued.cookies(plan, held).map_err(|denial| Turned::Away(denial, Vec::new()))?;
                verified.session().iter().for_each(|facts| facts.know_on(asking.headers));
                Ok((verified, Memory::Miss, cookies))
            }
            (Some(Renewed::Refused(denial)), _) => Err(Turned::Away(denial, Vec::new())),
            // A store that lost its data knows no session; what was really ended stands on the list, and was looked up.
            (Some(Renewed::Ended(denial)), Ok((verified, memory))) if denial.code == Code::SessionExpired => {
                Ok((verified, memory, Vec::new()))
            }
            (Some(Renewed::Ended(denial)), _) => {
                let clear = cleared(&denial, plan, held, asking.headers);
                Err(Turned::Away(denial, clear))
            }
            // The token is good for a while yet; whatever cannot be told now can be told later.
            (None | Some(Renewed::CannotTell(_) | Renewed::Over(_) | Renewed::Back(_)), Ok((verified, memory))) => {
                Ok((verified, memory, Vec::new()))
            }
            (Some(Renewed::Over(over)), Err(_)) => Err(Turned::TooOften(over)),
            (Some(Renewed::CannotTell(denial)), Err(_)) => Err(Turned::Away(denial, Vec::new())),
            (Some(Renewed::Back(generation)), Err(_)) => Err(Turned::Back(self.marker(plan, generation))),
            // Not for this route to clear: elsewhere the same cookies may still be renewed.
            (None, Err(denial)) if said.is_some() || denial.code.status() != 401 => {
                Err(Turned::Away(denial, Vec::new()))
            }
            (None, Err(denial)) => Err(Turned::Away(denial, plan.clear_session(held))),
        }
    }

    /// The caller a live access token names, from memory where it was seen before.
    ///
    /// # Errors
    /// It has ended, was revoked, or is none of ours. 503: it cannot be told.
    async fn live(&self, held: &OurCookies<'_>, now: UnixTime) -> Live {
        let (verified, memory) = self.named(held, now).await?;
        self.check_revoked(&verified)?;
        Ok((verified, memory))
    }

    /// The same, revoked or not.
    async fn named(&self, held: &OurCookies<'_>, now: UnixTime) -> Live {
        let SessionCookie::Value(token) = held.session() else { return Err(ended("no access token")) };
        self.read_once(&token, now).await
    }

    /// What an unexpired access token of ours says, from memory where it was seen before. It may have been revoked.
    pub(super) async fn read_once(&self, token: &str, now: UnixTime) -> Live {
        let (verified, memory) = match self.cache.find(token) {
            Some(seen) if seen.generation == self.ground.ring.generation() => (seen, Memory::Hit),
            stale => {
                let memory = if stale.is_some() { Memory::Stale } else { Memory::Miss };
                // Boxed: once a token and key set, and large for a future that every request carries.
                let verified = Arc::new(Box::pin(self.read(token, now)).await?);
                self.cache.remember(Arc::clone(&verified));
                (verified, memory)
            }
        };
        if verified.principal.expires <= now {
            self.cache.forget(&verified);
            return Err(ended("the access token has expired"));
        }
        Ok((verified, memory))
    }

    /// The caller with these cookies, in whichever form they are, and nothing renewed.
    ///
    /// # Errors
    /// As [`House::recognise`].
    pub async fn known(self: &Arc<Self>, held: &OurCookies<'_>, now: UnixTime) -> Result<Caller, Denial> {
        let (verified, memory) = match self.terms.mode {
            Mode::Jwt => self.live(held, now).await,
            Mode::Opaque => self.hold(held, now).await,
        }?;
        Ok(Caller::Known { verified, memory })
    }

    /// The session these cookies are of, alive or not: whoever signs out is not asked for a fresh token first.
    ///
    /// # Errors
    /// 503: only the store knows whose they are, and it cannot be asked.
    pub async fn place(&self, held: &OurCookies<'_>, now: UnixTime) -> Result<Option<Place>, Denial> {
        if self.terms.mode == Mode::Opaque {
            return self.place_of_handle(held).await;
        }
        let renewal = || self.renewal(held).map(|said| Place { user: said.user, id: session_of(said.family) });
        match self.named(held, now).await {
            Ok((verified, _)) => Ok(verified.session().map(|facts| Place { user: facts.user, id: facts.id })),
            Err(denial) => match renewal() {
                None if denial.code.status() == 503 => Err(denial),
                place => Ok(place),
            },
        }
    }

    /// What an access token of ours says, its signature and terms checked.
    pub(super) async fn read(&self, token: &str, now: UnixTime) -> Result<Verified, Denial> {
        let unverified = self.unverified(token)?;
        let check = |keys: &Keys| self.read_with((token, &unverified), keys, now);
        // Another replica may sign with a key that we have not seen yet.
        let away = || Denial::new(Code::StoreUnavailable, "an unknown key, and our signing keys cannot be looked at");
        with_keys(&*self.ground.ring, check, away).await.map_err(|denial| match denial.code {
            Code::TokenExpired => ended("the access token has expired"),
            _ => denial,
        })
    }

    fn read_with(
        &self,
        (text, token): (&str, &Unverified<'_>),
        keys: &Keys,
        now: UnixTime,
    ) -> Result<Verified, Rejection> {
        // All of ours have one. A thief with a key would leave it out, and nothing would say which key was his.
        let nameless = || Rejection::Denied(Denial::new(Code::TokenInvalid, "a token of ours without a \"kid\""));
        let kid = token.unverified_kid().ok_or_else(nameless)?;
        let principal = match verify(token, &self.own, &keys.set, now) {
            Err(Rejection::UnknownKey) if self.ground.ring.has_revoked(kid) => {
                return Err(Rejection::Denied(Denial::new(Code::TokenRevoked, "signed with a key that was revoked")))
            }
            verified => own::principal(verified?, token.unverified_kind()).map_err(Rejection::Denied)?,
        };
        let none = || Denial::new(Code::TokenInvalid, "an access token of ours without a session");
        let facts = SessionFacts::read(&principal.claims).ok_or_else(none).map_err(Rejection::Denied)?;
        let principal = Principal { method: AuthMethod::Session, ..principal };
        let identity = self.identity.values(&principal);
        let verified = Verified::new(text, principal, identity).by(usize::MAX, keys.generation);
        Ok(verified.signed_with(kid).of_session(facts))
    }

    /// Whether what was verified still counts. Looked up anew only when something was revoked since the last look.
    pub(in crate::pipeline) fn check_revoked(&self, verified: &Verified) -> Result<(), Denial> {
        let list = &self.ground.revocations;
        let generation = list.generation();
        if verified.is_cleared(generation) {
            return Ok(());
        }
        // Whoever issued it: a blocked user is blocked with every credential.
        if list.is_blind() {
            return Err(Denial::new(Code::StoreUnavailable, "the list of revocations was never seen"));
        }
        let (principal, facts) = (&verified.principal, verified.session());
        if list.is_blocked(principal.source.as_str(), &principal.subject) {
            return Err(Denial::new(Code::UserBlocked, "a blocked user"));
        }
        let credential = verified.credential();
        if list.refuses(&credential) {
            // A key that leaked says nothing against the session: whoever can renew it gets a token under another key.
            let over = facts.is_some() && list.refuses(&Credential { key: None, ..credential });
            let code = if over { Code::SessionTerminated } else { Code::TokenRevoked };
            return Err(Denial::new(code, "revoked"));
        }
        verified.clear_until(generation);
        Ok(())
    }

    fn check_cause(&self, asking: &Asking<'_>) -> Result<(), Denial> {
        let cause = Cause { method: asking.method, headers: asking.headers, websocket: asking.websocket };
        let own = self.origins.own(asking.authority, asking.proto);
        let friends = Friends { own: own.as_deref(), listed: &self.terms.csrf_origins };
        csrf::check(&cause, asking.csrf, &friends)
    }

    /// The newest renewal token among the cookies that we made, and of the session the access token names. A browser may
    /// hold one of a former session too, or one that a sister host planted: with two families and nothing to tell which,
    /// there is none.
    #[must_use]
    pub fn renewal(&self, held: &OurCookies<'_>) -> Option<Said> {
        let tokens = Parity::BOTH.into_iter().filter_map(|parity| held.renewal(parity));
        let ours: Vec<Said> = tokens.filter_map(|token| self.ground.macs.parse(token)).collect();
        let first = ours.first()?;
        let wanted = match self.named_family(held) {
            Named::Family(family) => family,
            Named::Nothing => return None,
            Named::Unknown if ours.iter().all(|said| said.family == first.family) => first.family,
            Named::Unknown => return None,
        };
        ours.into_iter().filter(|said| said.family == wanted).max_by_key(|said| said.generation)
    }

    /// The family an access token names, alive or not. Nobody has checked the token: it only chooses among renewal tokens
    /// whose MAC was checked, and all of them are the browser's own to present.
    fn named_family(&self, held: &OurCookies<'_>) -> Named {
        let SessionCookie::Value(token) = held.session() else { return Named::Unknown };
        let Ok(unverified) = self.unverified(&token) else { return Named::Unknown };
        match unverified.unverified_claims().get("fid") {
            None => Named::Nothing,
            Some(fid) => fid.as_str().and_then(FamilyId::parse).map_or(Named::Unknown, Named::Family),
        }
    }

    /// What a renewal token that came some other way says, if we made it.
    #[must_use]
    pub fn parse_renewal(&self, token: &str) -> Option<Said> {
        self.ground.macs.parse(token)
    }

    /// From four fifths of its life on a token is renewed while it still serves.
    fn is_due(&self, verified: &Verified, now: UnixTime) -> bool {
        let age = verified.session().map_or(self.terms.access_ttl, |facts| now.since(facts.issued));
        age * 5 >= self.terms.access_ttl * 4
    }

    pub(super) async fn renew_for(self: &Arc<Self>, said: Said, held: &OurCookies<'_>, asking: &Asking<'_>) -> Renewed {
        let device = Device::from_headers(asking.headers);
        let bounced = self.is_marked(held, said.generation);
        self.renew(Renewing {
            said,
            device,
            bounced,
            transport: Transport::Cookie,
            grace: self.terms.family.grace,
            uses: asking.uses,
            occasion: Occasion::Unseen,
            ip: asking.ip,
            now: asking.now,
        })
        .await
    }

    /// So that the same stale token is not sent back for ever. Whoever forges this is only judged the harder.
    #[must_use]
    pub fn marker(&self, plan: &CookiePlan, generation: u32) -> Vec<HeaderValue> {
        plan.set(Name::Bounced, &generation.to_string(), BOUNCE).into_iter().collect()
    }

    #[must_use]
    pub fn is_marked(&self, held: &OurCookies<'_>, generation: u32) -> bool {
        held.bounced() == Some(generation.to_string().as_str())
    }

    pub(super) fn remember_token(&self, verified: &Arc<Verified>) {
        self.cache.remember(Arc::clone(verified));
    }

    /// Whether transparent renewal is on.
    #[must_use]
    pub fn renews_unseen(&self) -> bool {
        self.terms.renewal == Renewal::Transparent
    }
}

enum Named {
    Family(FamilyId),
    /// A token that was given without anything to renew it: renewal tokens beside it are of another session.
    Nothing,
    Unknown,
}

/// The `Set-Cookie` lines that make a browser forget a session that has ended, for a request with these `headers`.
///
/// A script may have sent its request before somebody signed in anew, which ends the former session in that browser.
/// Cookies of all sessions have the same names, so clearing them with this late answer would sign the new session out.
/// What a script is told of a revoked session therefore clears nothing: at worst the dead cookies come again and cost
/// the store a question each time their token is due, until the next page. A page waits for its answer.
#[must_use]
pub fn cleared(denial: &Denial, plan: &CookiePlan, held: &OurCookies<'_>, headers: &HeaderMap) -> Vec<HeaderValue> {
    let late = denial.code == Code::SessionTerminated && !wants_page(headers);
    if late {
        return Vec::new();
    }
    let mut lines = plan.clear_session(held);
    if denial.code == Code::TokenReused {
        // Behind the line that clears the mark of before: of two for one cookie the last one counts.
        lines.extend(plan.set(Name::Bounced, SHARED, TOLD));
    }
    lines
}

pub(super) fn ended(detail: &'static str) -> Denial {
    Denial::new(Code::SessionExpired, detail)
}

#[cfg(test)]
#[path = "recognise_tests.rs"]
mod tests;
