//! What a browser is given: an access token and the renewal token that goes with it, or a handle.

use super::{random, Ground, House, Nesting, Place, Record};
use crate::domain::cookies::{CookiePlan, Name, OurCookies, Parity, Unfit};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::Prints;
use crate::domain::family::Renewal as Said;
use crate::domain::secret::Secret;
use crate::domain::session::handle::Handle;
use crate::domain::session::{Millis, Times};
use crate::domain::signing::access_token::{AccessToken, Audience};
use crate::domain::signing::jwe::Fresh;
use crate::domain::time::UnixTime;
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Who asks for tokens on behalf of browsers: we do.
const CLIENT_ID: &str = "doorward";

/// Tokens of one session. Whoever holds them is the user, so they are never printed.
#[derive(Clone)]
pub struct Issued {
    /// Or the handle.
    pub access: Arc<str>,
    /// `None`: the one in use goes on.
    pub renewal: Option<(Parity, Arc<str>)>,
    /// How long a browser should keep them.
    pub keep: Duration,
    pub expires_in: Duration,
}

impl House {
    /// An access token for what `record` says, which ends at `until` at the latest, and the renewal token of `generation`
    /// when there is a new one.
    pub(super) fn issue(
        &self,
        (record, place): (&Record, Place),
        (times, until): (&Times, Millis),
        generation: Given,
        now: UnixTime,
    ) -> Result<Issued, Denial> {
        let left = times.absolute.since(Millis::from(now));
        let life = self.terms.access_ttl.min(until.since(Millis::from(now))).max(Duration::from_secs(1));
        let access = self.access_token((record, place), generation.number(), (now, now.plus(life)))?;
        let renewal = match generation {
            Given::New(number) => Some((Parity::of(u64::from(number)), self.renewal_token(place, number))),
            Given::None | Given::Same(_) => None,
        };
        Ok(Issued { access: access.into(), renewal, keep: left, expires_in: life })
    }

    /// An access token that lives for `life` at most, that nothing renews, and that the browser keeps no longer.
    pub(super) fn issue_once(
        &self,
        session: (&Record, Place),
        life: Duration,
        now: UnixTime,
    ) -> Result<Issued, Denial> {
        let life = life.min(self.terms.access_ttl);
        let access = self.access_token(session, None, (now, now.plus(life)))?;
        Ok(Issued { access: access.into(), renewal: None, keep: life, expires_in: life })
    }

    /// A handle. It lasts as long as the session, so no other follows.
    pub(super) fn hand_out(handle: &Handle, times: &Times, now: UnixTime) -> Issued {
        let keep = times.absolute.since(Millis::from(now));
        Issued { access: handle.as_str().into(), renewal: None, keep, expires_in: super::left(times, now) }
    }

    fn access_token(
        &self,
        session: (&Record, Place),
        generation: Option<u32>,
        span: (UnixTime, UnixTime),
    ) -> Result<String, Denial> {
        self.say(session, generation, span, |token| self.mint(token))
    }

    /// Signs what a token says, in the form that `tokens.nesting` asks for.
    pub(super) fn mint(&self, token: &AccessToken<'_>) -> Result<String, Denial> {
        let Ground { ring, seals, .. } = &*self.ground;
        let signed = match self.terms.nesting {
            Nesting::None => ring.sign(token),
            Nesting::JwsOfJwe => {
                let fresh = Fresh { salt: random(), nonce: random() };
                ring.sign_as(token, |signer| token.sign_encrypted(signer, seals, &fresh))
            }
        };
        signed.map_err(|error| Denial::new(Code::StoreUnavailable, error.to_string()))
    }

    /// What an access token says.
    pub(super) fn say<T>(
        &self,
        (record, place): (&Record, Place),
        generation: Option<u32>,
        (iat, exp): (UnixTime, UnixTime),
        tell: impl FnOnce(&AccessToken<'_>) -> T,
    ) -> T {
        let (sid, fid) = (place.id.to_string(), super::family_of(place.id).to_string());
        let fingerprint = Prints::from_text(&record.dfp).ok().map(|prints| prints.fingerprint());
        let rv = self.ground.revocations.position().to_string();
        tell(&AccessToken {
            iss: self.origins.issuer().as_str(),
            sub: &record.subject,
            aud: Audience(&self.terms.audience),
            exp,
            iat,
            jti: Uuid::new_v4(),
            client_id: CLIENT_ID,
            scope: "",
            roles: &record.roles,
            session: Some(self.terms.session_claim.holding(&sid)),
            provider: &record.provider,
            device_fingerprint: fingerprint.as_deref(),
            dfp: Some(&record.dfp),
            rv: &rv,
            fid: generation.is_some().then_some(&fid),
            r#gen: generation.map(u64::from),
            email: record.email.as_deref(),
            email_verified: record.email.is_some().then_some(record.email_verified),
            name: record.name.as_deref(),
            auth_time: Some(UnixTime(record.auth_time)),
            acr: record.acr.as_deref(),
            amr: &record.amr,
        })
    }

    fn renewal_token(&self, place: Place, generation: u32) -> Arc<str> {
        let said = Said { user: place.user, family: super::family_of(place.id), generation };
        self.ground.macs.mint(&said).as_str().into()
    }

    pub(super) fn device_key(&self) -> Option<&Secret> {
        self.ground.device_keys.first()
    }
}

/// Which renewal token goes along with an access token.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given {
    None,
    /// The browser has it.
    Same(u32),
    New(u32),
}

impl Given {
    fn number(self) -> Option<u32> {
        match self {
            Self::None => None,
            Self::Same(number) | Self::New(number) => Some(number),
        }
    }
}

impl Issued {
    /// The `Set-Cookie` lines that hand them over.
    ///
    /// # Errors
    /// They are larger than what a browser keeps: the user has claims that no cookie holds.
    pub fn cookies(&self, plan: &CookiePlan, held: &OurCookies<'_>) -> Result<Vec<HeaderValue>, Denial> {
        let mut lines = plan.set_session(&self.access, self.keep, held).map_err(unfit)?;
        lines.extend(self.renewal_cookie(plan)?);
        Ok(lines)
    }

    /// The line of the renewal token alone, if there is a new one.
    ///
    /// # Errors
    /// As [`Issued::cookies`].
    pub fn renewal_cookie(&self, plan: &CookiePlan) -> Result<Vec<HeaderValue>, Denial> {
        let line = |(parity, token): &(Parity, Arc<str>)| plan.set(Name::Renewal(*parity), token, self.keep);
        self.renewal.iter().map(line).collect::<Result<_, _>>().map_err(unfit)
    }
}

fn unfit(error: Unfit) -> Denial {
    Denial::new(Code::Internal, error.to_string())
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("expires_in", &self.expires_in).finish_non_exhaustive()
    }
}
