//! From what the caller presents to who the caller is.

use super::api_keys::ApiKeys;
use super::browser::Visit;
use super::cache::Verified;
use super::limits::Over;
use super::permit::{Caller, Memory};
use super::session::Recognised;
use super::{facts_of, Answer, Desk, Gate};
use crate::domain::cookies::SessionCookie;
use crate::domain::credential::{presented, Presented};
use crate::domain::denial::{Code, Denial};
use crate::domain::policy::rule::Access;
use crate::domain::time::UnixTime;
use crate::domain::token::jose::Unverified;
use crate::domain::token::verify::{verify, Rejection};
use crate::ports::{with_keys, Keys};
use std::sync::Arc;

impl Gate {
    /// Who the caller is. A credential that was presented is accepted or refused; it is never retried as anonymous.
    pub(super) async fn identify(&self, visit: &Visit<'_>) -> Result<Recognised, Answer> {
        let Visit { route, request, client, arrival } = *visit;
        let nobody = || Recognised { caller: Caller::Anonymous, cookies: Vec::new() };
        if route.rule.access == Access::Public {
            return Ok(nobody());
        }
        let refused = |denial| self.turned_away(denial, visit);
        let presented = presented(arrival.head.headers).map_err(refused)?;
        let house = self.house.as_ref();
        let people = self.people();
        let held = people.map(|house| house.cookies(request.authority, client.proto).read(arrival.head.headers));
        let held = held.transpose().map_err(refused)?.unwrap_or_default();
        match presented {
            Presented::Bearer(_) | Presented::ApiKey(_) if held.session() != SessionCookie::Absent => {
                Err(refused(Denial::new(Code::ConflictingCredentials, "a session cookie beside another credential")))
            }
            Presented::Bearer(_) if !route.rule.accepts_bearer => {
                Err(refused(Denial::new(Code::Unauthenticated, "bearer tokens do not count on this route")))
            }
            Presented::Bearer(token) => {
                let (verified, memory) = self.bearer(token, arrival.now).await.map_err(refused)?;
                match house {
                    Some(house) if verified.session().is_some() => {
                        house.check_bearer(&verified, &self.asking(visit)).await.map_err(refused)?;
                    }
                    Some(house) => house.check_revoked(&verified).map_err(refused)?,
                    None => {}
                }
                Ok(Recognised { caller: Caller::Known { verified, memory }, cookies: Vec::new() })
            }
            Presented::ApiKey(_) if !route.rule.accepts_api_key => {
                Err(refused(Denial::new(Code::Unauthenticated, "API keys do not count on this route")))
            }
            // Boxed: few callers have one.
            Presented::ApiKey(key) => Box::pin(self.api_key(key, visit)).await,
            Presented::Nothing => match people.filter(|_| route.rule.accepts_session && held.holds_session()) {
                Some(house) => self.session(house, &held, visit).await,
                None => Ok(nobody()),
            },
        }
    }

    /// The caller with this API key.
    async fn api_key(&self, key: &str, visit: &Visit<'_>) -> Result<Recognised, Answer> {
        let now = visit.arrival.now;
        let refused = |denial| self.turned_away(denial, visit);
        let (Some(keys), Some(house)) = (&self.api_keys, &self.house) else {
            return Err(refused(Denial::new(Code::ApiKeyInvalid, "there is no list of API keys here to look in")));
        };
        let known = keys.known(key, (&self.cache, &self.identity), now);
        let (verified, memory) = match known.map_err(refused)? {
            Some(known) => known,
            None => (self.new_key(keys, key, visit).await?, Memory::Miss),
        };
        house.check_key(&verified).map_err(refused)?;
        Ok(Recognised { caller: Caller::Known { verified, memory }, cookies: Vec::new() })
    }

    /// The caller with a key that is none by all that is known here. It is not looked into while its address has shown too
    /// many of those; good keys go on, whoever else is behind that address.
    async fn new_key(&self, keys: &ApiKeys, key: &str, visit: &Visit<'_>) -> Result<Arc<Verified>, Answer> {
        let refused = |denial| self.turned_away(denial, visit);
        let over = |over: Over| refused(over.denial).with(over.headers);
        let (limits, facts) = (self.limits.as_ref(), facts_of(visit.arrival, visit.client));
        limits.map_or(Ok(()), |limits| limits.check_wrong_keys(&facts)).map_err(over)?;
        let sought = keys.seek(key, (&self.cache, &self.identity), visit.arrival.now).await;
        match (sought, limits) {
            (Err(denial), Some(limits)) if denial.code == Code::ApiKeyInvalid => {
                limits.charge_wrong_key(&facts).await.map_err(over)?;
                Err(refused(denial))
            }
            (sought, _) => sought.map_err(refused),
        }
    }

    async fn bearer(&self, token: &str, now: UnixTime) -> Result<(Arc<Verified>, Memory), Denial> {
        let mut memory = Memory::Miss;
        if let Some(seen) = self.cache.find(token) {
            if seen.principal.expires <= now {
                self.cache.forget(&seen);
                return Err(Denial::new(Code::TokenExpired, "the token has expired since it was last seen"));
            }
            if self.is_current(&seen) {
                return Ok((seen, Memory::Hit));
            }
            memory = Memory::Stale;
        }
        // Boxed: rare, and large for a future that every request carries.
        let verified = Arc::new(Box::pin(self.verify_anew(token, now)).await?);
        self.cache.remember(Arc::clone(&verified));
        Ok((verified, memory))
    }

    fn is_current(&self, seen: &Verified) -> bool {
        match self.issuers.get(seen.issuer) {
            Some(desk) => desk.keys.generation() == seen.generation,
            None => self.house.as_ref().is_some_and(|house| house.is_current(seen)),
        }
    }

    async fn verify_anew(&self, token: &str, now: UnixTime) -> Result<Verified, Denial> {
        let unverified = match self.house.as_ref() {
            Some(house) => house.unverified(token)?,
            None => Unverified::parse(token)?,
        };
        let iss = unverified.unverified_issuer();
        if let Some(house) = self.house.as_ref().filter(|house| iss.is_some_and(|iss| house.issues(iss))) {
            return house.read_bearer(token, now).await;
        }
        let issuer = iss.and_then(|iss| self.by_iss.get(iss)).copied();
        let known = issuer.and_then(|at| self.issuers.get(at).map(|desk| (at, desk)));
        let (at, desk) = known.ok_or_else(|| Denial::new(Code::TokenInvalid, "no configured issuer has this `iss`"))?;
        let check = |keys: &Keys| self.verify_at((at, desk), (token, &unverified), keys, now);
        with_keys(&*desk.keys, check, || unavailable(desk)).await
    }

    fn verify_at(
        &self,
        (at, desk): (usize, &Desk),
        (text, token): (&str, &Unverified<'_>),
        keys: &Keys,
        now: UnixTime,
    ) -> Result<Verified, Rejection> {
        let principal = verify(token, &desk.terms, &keys.set, now)?;
        let identity = self.identity.values(&principal);
        Ok(Verified::new(text, principal, identity).by(at, keys.generation))
    }
}

fn unavailable(desk: &Desk) -> Denial {
    Denial::new(Code::ProviderUnavailable, format!("the keys of issuer \"{}\" cannot be had", desk.terms.name.as_str()))
}
