//! A sign-in that succeeded becomes a session.

use super::issue::Given;
use super::{family_of, random, House, Issued, Place, ProviderTokens, Record, Renewal};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::Device;
use crate::domain::oidc::Identity;
use crate::domain::principal::SourceName;
use crate::domain::session::{Lifetimes, SessionId, UserHash};
use crate::domain::time::UnixTime;
use crate::ports::store::{Created, Limit, NewFamily, NewSession};
use crate::ports::RevokedFor;
use std::net::IpAddr;

/// How often others may take the place that was just made free. Each time somebody got in, so this ends.
const ATTEMPTS: usize = 8;

/// Somebody who has proved who they are.
#[derive(Debug)]
pub struct Arrived<'a> {
    pub provider: &'a SourceName,
    pub identity: Identity,
    /// The address counts whatever the provider says of it.
    pub trust_email: bool,
    pub tokens: Option<ProviderTokens>,
    pub device: Device,
    pub ip: Option<IpAddr>,
    pub now: UnixTime,
}

/// A new session.
#[derive(Debug)]
pub struct SignedIn {
    pub place: Place,
    pub issued: Issued,
    pub record: Record,
}

/// Why there is none.
#[derive(Debug)]
pub enum Refused {
    /// The user has as many sessions as they may.
    Full,
    Denied(Denial),
}

impl House {
    /// # Errors
    /// [`Refused`]; a store that cannot be asked is 503, and the user tries again.
    pub async fn admit(&self, arrived: Arrived<'_>) -> Result<SignedIn, Refused> {
        let user = UserHash::of(arrived.provider, &arrived.identity.subject);
        if self.ground.revocations.is_blocked(arrived.provider.as_str(), &arrived.identity.subject) {
            return Err(Refused::Denied(Denial::new(Code::UserBlocked, "a blocked user signed in")));
        }
        // Never an id the browser brought: a session fixed by somebody else would be theirs too.
        let place = Place { user, id: SessionId::from_bytes(random()) };
        let provider_sid = arrived.identity.idp_sid.as_deref();
        let provider_sid = provider_sid.map(|sid| crate::domain::session::ProviderSid::of(arrived.provider, sid));
        let now = arrived.now;
        let record = self.record(arrived);
        let body = record.seal(&self.ground.seals, place, random()).map_err(|error| broken(&error))?;
        let renews = self.terms.renewal != Renewal::Off;
        let new = NewSession {
            user,
            id: place.id,
            handle: None,
            family: renews.then(|| NewFamily { id: family_of(place.id), lifetimes: self.family_lifetimes() }),
            lifetimes: self.terms.lifetimes,
            body,
            provider_sid,
        };
        let times = self.make_room(&new).await?;
        let given = if renews { Given::New(0) } else { Given::None };
        let issued = self.issue(&record, place, &times, given, now).map_err(Refused::Denied)?;
        Ok(SignedIn { place, issued, record })
    }

    /// Victims are revoked before they are deleted: whatever crashes in between, none of their tokens outlives them.
    async fn make_room(&self, new: &NewSession) -> Result<crate::domain::session::Times, Refused> {
        let mut revoked = Vec::new();
        for _ in 0..ATTEMPTS {
            let limit = Limit { cap: self.terms.cap, on_limit: self.terms.on_limit, revoked: &revoked };
            match self.ground.store.create(new, &limit).await.map_err(|error| Refused::Denied(error.into()))? {
                Created::Done(times) => return Ok(times),
                Created::Full => return Err(Refused::Full),
                Created::Revoke(victims) => {
                    for victim in &victims {
                        self.ground.revocations.revoke_session(*victim, RevokedFor::Limit).await;
                        self.ground.events.evicted(self.terms.on_limit);
                    }
                    revoked.extend(victims);
                }
            }
        }
        Err(Refused::Denied(Denial::new(Code::StoreUnavailable, "too many sign-ins of one user at once")))
    }

    fn family_lifetimes(&self) -> Lifetimes {
        let absolute = self.terms.lifetimes.absolute.min(self.terms.refresh_ttl);
        Lifetimes { idle: self.terms.family.idle, absolute }
    }

    fn record(&self, arrived: Arrived<'_>) -> Record {
        let Arrived { provider, identity, trust_email, tokens, device, ip, now } = arrived;
        let prints = self.device_key().map(|key| device.prints(key)).unwrap_or_default();
        Record {
            provider: provider.as_str().to_owned(),
            subject: identity.subject,
            claims: identity.claims,
            roles: identity.roles,
            email: identity.email,
            email_verified: identity.email_verified || trust_email,
            name: identity.name,
            acr: identity.acr,
            amr: identity.amr,
            auth_time: identity.auth_time.unwrap_or(now).0,
            claims_at: now.0,
            dfp: prints.to_text(),
            device: device.label(),
            place: ip.map(coarse).unwrap_or_default(),
            provider_tokens: tokens,
        }
    }
}

/// An address without the part that says which machine: /24 and /48.
fn coarse(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(ip) => {
            let [a, b, c, ..] = ip.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

fn broken(error: &crate::domain::seal::CannotSeal) -> Refused {
    Refused::Denied(Denial::new(Code::Internal, error.to_string()))
}
