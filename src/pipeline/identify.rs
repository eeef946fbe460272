//! From what the caller presents to who the caller is.

use super::cache::Verified;
use super::permit::{Caller, Memory};
use super::{Arrival, Desk, Gate};
use crate::domain::credential::{presented, Presented};
use crate::domain::denial::{Code, Denial};
use crate::domain::policy::rule::{Access, Rule};
use crate::domain::time::UnixTime;
use crate::domain::token::jose::Unverified;
use crate::domain::token::verify::{verify, Rejection};
use crate::ports::{Keys, Looked};
use std::sync::Arc;

impl Gate {
    /// Who the caller is. A credential that was presented is accepted or refused; it is never retried as anonymous.
    pub(super) async fn identify(&self, rule: &Rule, arrival: &Arrival<'_>) -> Result<Caller, Denial> {
        if rule.access == Access::Public {
            return Ok(Caller::Anonymous);
        }
        match presented(arrival.head.headers)? {
            Presented::Nothing => Ok(Caller::Anonymous),
            Presented::Bearer(_) if !rule.accepts_bearer => {
                Err(Denial::new(Code::Unauthenticated, "bearer tokens do not count on this route"))
            }
            Presented::Bearer(token) => self.bearer(token, arrival.now).await,
        }
    }

    async fn bearer(&self, token: &str, now: UnixTime) -> Result<Caller, Denial> {
        let mut memory = Memory::Miss;
        if let Some(seen) = self.cache.find(token) {
            if seen.principal.expires <= now {
                self.cache.forget(&seen);
                return Err(Denial::new(Code::TokenExpired, "the token has expired since it was last seen"));
            }
            if self.issuers.get(seen.issuer).is_some_and(|desk| desk.keys.generation() == seen.generation) {
                return Ok(Caller::Known { verified: seen, memory: Memory::Hit });
            }
            memory = Memory::Stale;
        }
        // Boxed: rare, and large for a future that every request carries.
        let verified = Arc::new(Box::pin(self.verify_anew(token, now)).await?);
        self.cache.remember(Arc::clone(&verified));
        Ok(Caller::Known { verified, memory })
    }

    async fn verify_anew(&self, token: &str, now: UnixTime) -> Result<Verified, Denial> {
        let unverified = Unverified::parse(token)?;
        let issuer = unverified.unverified_issuer().and_then(|iss| self.by_iss.get(iss)).copied();
        let known = issuer.and_then(|at| self.issuers.get(at).map(|desk| (at, desk)));
        let (at, desk) = known.ok_or_else(|| Denial::new(Code::TokenInvalid, "no configured issuer has this `iss`"))?;
        let keys = desk.keys.current();
        match self.verify_at((at, desk), (token, &unverified), &keys, now) {
            Err(Rejection::UnknownKey) => {}
            Err(Rejection::Denied(denial)) => return Err(denial),
            Ok(verified) => return Ok(verified),
        }
        match desk.keys.look_for_new_keys(keys.generation).await {
            Looked::CannotTell => return Err(unavailable(desk)),
            Looked::Unknown => return Err(Rejection::UnknownKey.into_denial()),
            Looked::Again => {}
        }
        self.verify_at((at, desk), (token, &unverified), &desk.keys.current(), now).map_err(Rejection::into_denial)
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
