//! From our cookies to the caller.

use super::renew::{Renewed, Renewing};
use super::{session_of, House, Mode, Place, Renewal};
use crate::domain::cookies::{CookiePlan, Name, OurCookies, Parity, SessionCookie};
use crate::domain::csrf::{self, Cause, Csrf, Friends};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::{Device, Level, OnMismatch, Prints};
use crate::domain::family::{Renewal as Said, Transport};
use crate::domain::headers::forwarded::Proto;
use crate::domain::principal::AuthMethod;
use crate::domain::session::{FamilyId, SessionId, UserHash};
use crate::domain::signing::own;
use crate::domain::time::UnixTime;
use crate::domain::token::jose::Unverified;
use crate::domain::token::verify::{verify, Rejection};
use crate::pipeline::cache::{SessionFacts, Verified};
use crate::pipeline::permit::{Caller, Memory};
use crate::ports::{KeySource, RevokedFor, SessionEvent};
use http::{HeaderMap, HeaderValue, Method};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long a browser may take to come back.
const BOUNCE: Duration = Duration::from_secs(30);

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
}

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
        let live = self.live(held, asking.now);
        let renewal = self.renewal(held).filter(|_| asking.renews);
        let recognised = match (live, renewal) {
            (Ok((verified, memory)), None) => (verified, memory, Vec::new()),
            (Ok((verified, memory)), Some(_)) if !self.is_due(&verified, asking.now) => (verified, memory, Vec::new()),
            (Ok((verified, memory)), Some(said)) => match self.renew_for(said, held, asking).await {
                Renewed::Issued { verified, issued, .. } => {
                    let cookies = self.hand_over(&issued, &plan, held)?;
                    (verified, Memory::Miss, cookies)
                }
                // The token is good for a while yet; whatever cannot be told now can be told later.
                Renewed::CannotTell(_) | Renewed::Back(_) => (verified, memory, Vec::new()),
                // A store that lost its data knows no session; what was really ended stands on the list, and was looked up.
                Renewed::Ended(denial) if denial.code == Code::SessionExpired => (verified, memory, Vec::new()),
                Renewed::Ended(denial) => return Err(Turned::Away(denial, plan.clear_session(held))),
            },
            // The renewal token that goes with it must not bring back what was revoked.
            (Err(denial), _) if matches!(denial.code, Code::SessionTerminated | Code::UserBlocked) => {
                let ends = denial.code == Code::SessionTerminated;
                return Err(Turned::Away(denial, if ends { plan.clear_session(held) } else { Vec::new() }));
            }
            (Err(_), Some(said)) => match self.renew_for(said, held, asking).await {
                Renewed::Issued { verified, issued, .. } => {
                    let cookies = self.hand_over(&issued, &plan, held)?;
                    (verified, Memory::Miss, cookies)
                }
                Renewed::CannotTell(denial) => return Err(Turned::Away(denial, Vec::new())),
                Renewed::Back(generation) => return Err(Turned::Back(self.marker(&plan, generation))),
                // Whoever is unblocked goes on where they were.
                Renewed::Ended(denial) if denial.code == Code::UserBlocked => {
                    return Err(Turned::Away(denial, Vec::new()))
                }
                Renewed::Ended(denial) => return Err(Turned::Away(denial, plan.clear_session(held))),
            },
            // Not for this route to clear: elsewhere the same cookies may still be renewed.
            (Err(denial), None) if self.renewal(held).is_some() => return Err(Turned::Away(denial, Vec::new())),
            (Err(denial), None) => {
                let clear = if denial.code.status() == 401 { plan.clear_session(held) } else { Vec::new() };
                return Err(Turned::Away(denial, clear));
            }
        };
        let (verified, memory, cookies) = recognised;
        self.ground.activity.arrived(&verified);
        self.check_device(&verified, asking).await.map_err(|(denial, ends)| {
            Turned::Away(denial, if ends { plan.clear_session(held) } else { cookies.clone() })
        })?;
        Ok(Some(Recognised { caller: Caller::Known { verified, memory }, cookies }))
    }

    /// The caller a live access token names, from memory where it was seen before.
    ///
    /// # Errors
    /// It has ended, was revoked, or is none of ours.
    fn live(&self, held: &OurCookies<'_>, now: UnixTime) -> Result<(Arc<Verified>, Memory), Denial> {
        let token = match held.session() {
            SessionCookie::Value(token) => token,
            SessionCookie::Absent | SessionCookie::Torn => return Err(ended("no access token")),
        };
        let (verified, memory) = self.read_once(&token, now)?;
        self.check_revoked(&verified)?;
        Ok((verified, memory))
    }

    /// What an unexpired access token of ours says, from memory where it was seen before. It may have been revoked.
    pub(super) fn read_once(&self, token: &str, now: UnixTime) -> Result<(Arc<Verified>, Memory), Denial> {
        let (verified, memory) = match self.cache.find(token) {
            Some(seen) if seen.generation == self.ground.ring.generation() => (seen, Memory::Hit),
            stale => {
                let memory = if stale.is_some() { Memory::Stale } else { Memory::Miss };
                let verified = Arc::new(self.read(token, now)?);
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
    pub async fn known(self: &Arc<Self>, held: &OurCookies<'_>, now: UnixTime) -> Result<Arc<Verified>, Denial> {
        let found = match self.terms.mode {
            Mode::Jwt => self.live(held, now),
            Mode::Opaque => self.hold(held, now).await,
        };
        found.map(|(verified, _)| verified)
    }

    /// The session these cookies are of, alive or not: whoever signs out is not asked for a fresh token first.
    ///
    /// # Errors
    /// 503: only the store knows whose they are, and it cannot be asked.
    pub async fn place(&self, held: &OurCookies<'_>, now: UnixTime) -> Result<Option<Place>, Denial> {
        if self.terms.mode == Mode::Opaque {
            return self.place_of_handle(held).await;
        }
        let live = self.live(held, now).ok();
        let live = live.and_then(|(verified, _)| verified.session().map(|it| Place { user: it.user, id: it.id }));
        let renewal = || self.renewal(held).map(|said| Place { user: said.user, id: session_of(said.family) });
        Ok(live.or_else(renewal))
    }

    /// What an access token of ours says, its signature and terms checked.
    pub(super) fn read(&self, token: &str, now: UnixTime) -> Result<Verified, Denial> {
        let unverified = Unverified::parse(token)?;
        let keys = self.ground.ring.current();
        let principal = match verify(&unverified, &self.own, &keys.set, now) {
            Ok(principal) => own::principal(principal, unverified.unverified_kind())?,
            Err(Rejection::Denied(denial)) if denial.code == Code::TokenExpired => {
                return Err(ended("the access token has expired"))
            }
            // Before the ring was had, every key is unknown.
            Err(Rejection::UnknownKey) if keys.set.is_empty() => {
                return Err(Denial::new(Code::StoreUnavailable, "our signing keys have not been had yet"))
            }
            Err(rejection) => return Err(rejection.into_denial()),
        };
        let facts = SessionFacts::read(&principal.claims)
            .ok_or_else(|| Denial::new(Code::TokenInvalid, "an access token of ours without a session"))?;
        let principal = crate::domain::principal::Principal { method: AuthMethod::Session, ..principal };
        let identity = self.identity.values(&principal);
        Ok(Verified::new(token, principal, identity).by(usize::MAX, keys.generation).of_session(facts))
    }

    /// Whether what was verified still counts. Looked up anew only when something was revoked since the last look.
    pub(in crate::pipeline) fn check_revoked(&self, verified: &Verified) -> Result<(), Denial> {
        let list = &self.ground.revocations;
        let generation = list.generation();
        if verified.is_cleared(generation) {
            return Ok(());
        }
        if verified.session().is_some() && list.is_blind() {
            return Err(Denial::new(Code::StoreUnavailable, "the list of revocations was never seen"));
        }
        let (principal, facts) = (&verified.principal, verified.session());
        if list.is_blocked(principal.source.as_str(), &principal.subject) {
            return Err(Denial::new(Code::UserBlocked, "a blocked user"));
        }
        if list.refuses(&verified.credential()) {
            let code = if facts.is_some() { Code::SessionTerminated } else { Code::TokenRevoked };
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
        let wanted = match named_family(held) {
            Some(family) => family,
            None if ours.iter().all(|said| said.family == first.family) => first.family,
            None => return None,
        };
        ours.into_iter().filter(|said| said.family == wanted).max_by_key(|said| said.generation)
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

    async fn renew_for(self: &Arc<Self>, said: Said, held: &OurCookies<'_>, asking: &Asking<'_>) -> Renewed {
        let device = Device::from_headers(asking.headers);
        let bounced = self.is_marked(held, said.generation);
        self.renew(Renewing {
            said,
            device,
            bounced,
            transport: Transport::Cookie,
            uses: asking.uses,
            ip: asking.ip,
            now: asking.now,
        })
        .await
    }

    fn hand_over(
        &self,
        issued: &super::Issued,
        plan: &CookiePlan,
        held: &OurCookies<'_>,
    ) -> Result<Vec<HeaderValue>, Turned> {
        issued.cookies(plan, held).map_err(|denial| Turned::Away(denial, Vec::new()))
    }

    /// Whether the session turned up on another device, and whether that ends it.
    pub(super) async fn check_device(&self, verified: &Verified, asking: &Asking<'_>) -> Result<(), (Denial, bool)> {
        let terms = &self.terms.device;
        let Some(facts) = verified.session().filter(|_| terms.level != Level::Off) else { return Ok(()) };
        if facts.is_known_on(asking.headers) {
            return Ok(());
        }
        let remembered = Prints::from_text(&facts.dfp).unwrap_or_default();
        let verdict = terms.judge(&remembered, &Device::from_headers(asking.headers), &self.ground.device_keys);
        self.ground.events.noted(&SessionEvent {
            name: "device_checked",
            session: Some(facts.id),
            provider: verified.principal.source.as_str(),
            subject: &verified.principal.subject,
            client: asking.ip,
            detail: &verdict.to_json().to_string(),
        });
        if verdict.valid || terms.on_mismatch == OnMismatch::Log {
            facts.know_on(asking.headers);
            return Ok(());
        }
        match terms.on_mismatch {
            OnMismatch::Log => Ok(()),
            OnMismatch::StepUp => Err((Denial::new(Code::StepUpRequired, "the session is on another device"), false)),
            OnMismatch::Deny => Err((Denial::new(Code::DeviceMismatch, "the session is on another device"), false)),
            OnMismatch::Logout => {
                self.end_revoked(facts.user, facts.id, RevokedFor::Device).await;
                Err((Denial::new(Code::DeviceMismatch, "the session was on another device and has ended"), true))
            }
        }
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

    /// Whether transparent renewal is on.
    #[must_use]
    pub fn renews_unseen(&self) -> bool {
        self.terms.renewal == Renewal::Transparent
    }

    pub(super) async fn end_revoked(&self, user: UserHash, id: SessionId, why: RevokedFor) {
        self.ground.revocations.revoke_session(id, why).await;
        // Revoked it is already; a record that stays behind ends by itself.
        let _ = self.ground.store.end(user, id).await;
    }
}

/// The family an access token names, alive or not. Nobody has checked the token: it only chooses among renewal tokens
/// whose MAC was checked, and all of them are the browser's own to present.
fn named_family(held: &OurCookies<'_>) -> Option<FamilyId> {
    let SessionCookie::Value(token) = held.session() else { return None };
    let unverified = Unverified::parse(&token).ok()?;
    FamilyId::parse(unverified.unverified_claims().get("fid")?.as_str()?)
}

pub(super) fn ended(detail: &'static str) -> Denial {
    Denial::new(Code::SessionExpired, detail)
}
