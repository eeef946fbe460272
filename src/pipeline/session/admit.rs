//! A sign-in that succeeded becomes a session; or, while the store is away, a token for some minutes.

use super::issue::Given;
use super::{family_of, random, House, Issued, Mode, Place, ProviderTokens, Record, Renewal};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::{Device, PerMille};
use crate::domain::oidc::Identity;
use crate::domain::principal::SourceName;
use crate::domain::session::handle::Handle;
use crate::domain::session::{Lifetimes, Millis, ProviderSid, SessionId, Times, UserHash};
use crate::domain::time::UnixTime;
use crate::pipeline::degraded::Feature;
use crate::ports::store::{Created, Limit, NewFamily, NewSession, StoreError};
use crate::ports::{Credential, SessionEvent};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use zeroize::Zeroizing;

/// How often others may take the place that was just made free. Of sixty-four at once the unluckiest needs about as many.
const ATTEMPTS: usize = 128;

/// Life of a token that nobody could list, renew or count.
const WITHOUT_STORE: Duration = Duration::from_mins(5);

/// Whether there is a place for one more session.
enum Room {
    Made(Times),
    /// There is none, and none is to be made.
    Full,
    /// Others were always quicker.
    Contended,
}

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
    Full(Box<Full>),
    Denied(Denial),
}

/// A sign-in that waits for a free place.
#[derive(Debug, Serialize, Deserialize)]
pub struct Full {
    #[serde(with = "user_text")]
    pub user: UserHash,
    provider_sid: Option<String>,
    record: Record,
}

impl Full {
    /// To be sealed, and handed to the browser.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(serde_json::to_vec(self).unwrap_or_default())
    }

    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

mod user_text {
    use super::UserHash;
    use serde::{de, Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(user: &UserHash, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(user)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<UserHash, D::Error> {
        let text = String::deserialize(deserializer)?;
        UserHash::parse(&text).ok_or_else(|| de::Error::custom("no user"))
    }
}

impl House {
    /// # Errors
    /// [`Refused`]; a store that cannot be asked is 503, and the user tries again.
    pub async fn admit(&self, arrived: Arrived<'_>) -> Result<SignedIn, Refused> {
        let user = UserHash::of(arrived.provider, &arrived.identity.subject);
        // Before the record is made: it says where the list stood at the sign-in, and a revocation of this user that was
        // made elsewhere a moment ago stands before that.
        self.ground.revocations.caught_up().await;
        let (from, now, provider_sid) = (arrived.ip, arrived.now, arrived.identity.idp_sid.clone());
        self.admit_known(Full { user, provider_sid, record: self.record(arrived) }, from, now).await
    }

    /// A sign-in that had to wait. What was revoked meanwhile hits it.
    ///
    /// # Errors
    /// As [`House::admit`].
    pub async fn admit_record(&self, full: Full, from: Option<IpAddr>, now: UnixTime) -> Result<SignedIn, Refused> {
        self.ground.revocations.caught_up().await;
        self.admit_known(full, from, now).await
    }

    async fn admit_known(&self, full: Full, from: Option<IpAddr>, now: UnixTime) -> Result<SignedIn, Refused> {
        let record = &full.record;
        self.check_arrival(record).map_err(Refused::Denied)?;
        // Never an id the browser brought: a session fixed by somebody else would be theirs too.
        let place = Place { user: full.user, id: SessionId::from_bytes(random()) };
        let provider = SourceName::new(&record.provider);
        let handle = (self.terms.mode == Mode::Opaque).then(|| self.new_handle(full.user));
        let renews = self.terms.renewal != Renewal::Off && handle.is_none();
        let new = NewSession {
            user: full.user,
            id: place.id,
            handle: handle.as_ref().map(Handle::hash),
            family: renews.then(|| NewFamily { id: family_of(place.id), lifetimes: self.family_lifetimes() }),
            lifetimes: self.terms.lifetimes,
            body: record.seal(&self.ground.seals, place, random()).map_err(|error| broken(&error))?,
            provider_sid: full.provider_sid.as_deref().map(|sid| ProviderSid::of(&provider, sid)),
        };
        let times = match self.make_room(&new, from).await {
            Ok(Room::Made(times)) => {
                self.ground.degraded.note(Feature::SignIn, false);
                times
            }
            Ok(Room::Full) => return Err(Refused::Full(Box::new(full))),
            Ok(Room::Contended) => {
                let words = "too many sign-ins of one user at once";
                return Err(Refused::Denied(Denial::new(Code::StoreUnavailable, words)));
            }
            Err(_) if self.terms.mode == Mode::Jwt => {
                return self.admit_without_store(full.record, place, (from, now));
            }
            Err(error) => return Err(Refused::Denied(error.into())),
        };
        let issued = match handle {
            Some(handle) => Self::hand_out(&handle, &times, now),
            None => {
                let given = if renews { Given::New(0) } else { Given::None };
                self.issue((record, place), (&times, times.absolute), given, now).map_err(Refused::Denied)?
            }
        };
        self.ground.events.noted(&SessionEvent {
            name: "sign_in",
            session: Some(place.id),
            provider: &record.provider,
            subject: &record.subject,
            client: from,
            detail: &record.device,
        });
        Ok(SignedIn { place, issued, record: full.record })
    }

    /// Whether the user may enter, and was not thrown out since they proved who they are. While the store is away, what is
    /// known here has to do; but a list that was never seen says nothing of anybody.
    fn check_arrival(&self, record: &Record) -> Result<(), Denial> {
        let list = &self.ground.revocations;
        if list.is_blind() {
            return Err(Denial::new(Code::StoreUnavailable, "who is blocked was never seen"));
        }
        if list.is_blocked(&record.provider, &record.subject) {
            return Err(Denial::new(Code::UserBlocked, "a blocked user signed in"));
        }
        let credential = Credential {
            jti: None,
            session: None,
            foreign_session: None,
            source: &SourceName::new(&record.provider),
            subject: &record.subject,
            client: None,
            key: None,
            issued: record.claims_at,
            minted_at: record.revocations_at(),
        };
        if list.refuses(&credential) {
            return Err(Denial::new(Code::BadState, "the user was revoked while the sign-in waited"));
        }
        Ok(())
    }

    /// The store is away, and somebody has proved who they are: for some minutes they get in, by a token that nothing
    /// renews. No record of it is made, now or later, so there is no cap to hold it and no list to show it on; but it has
    /// a name to be revoked by, and that of the record that the store may have made before its answer was lost.
    fn admit_without_store(
        &self,
        record: Record,
        place: Place,
        (from, now): (Option<IpAddr>, UnixTime),
    ) -> Result<SignedIn, Refused> {
        let issued = self.issue_once((&record, place), WITHOUT_STORE, now).map_err(Refused::Denied)?;
        self.ground.degraded.note(Feature::SignIn, true);
        self.ground.events.noted(&SessionEvent {
            name: "sign_in_degraded",
            session: Some(place.id),
            provider: &record.provider,
            subject: &record.subject,
            client: from,
            detail:
                "the store is away: a token for some minutes, without a session, a cap or shared counts of failures",
        });
        Ok(SignedIn { place, issued, record })
    }

    /// Whether sign-ins fall back at this moment. `answers`: the last question to the store was answered. Where they did
    /// fall back, that proves nothing: a store without room, or without its replicas, still answers whoever only reads. So
    /// something is written then.
    pub async fn falls_back(&self, answers: bool, now: UnixTime) -> bool {
        let degraded = &self.ground.degraded;
        // Where sessions are opaque there is nothing to fall back to.
        if self.terms.mode != Mode::Jwt {
            degraded.note(Feature::SignIn, false);
        } else if !answers {
            degraded.note(Feature::SignIn, true);
        } else if degraded.is(Feature::SignIn) {
            let probe = format!("probe:{:032x}", u128::from_be_bytes(random()));
            if self.ground.store.first(&probe, Millis::from(now)).await.is_ok() {
                degraded.note(Feature::SignIn, false);
            }
        }
        degraded.is(Feature::SignIn)
    }

    /// Victims are revoked before they are deleted: whatever crashes in between, none of their tokens outlives them.
    async fn make_room(&self, new: &NewSession, from: Option<IpAddr>) -> Result<Room, StoreError> {
        let mut revoked = Vec::new();
        for _ in 0..ATTEMPTS {
            let limit = Limit { cap: self.terms.cap, on_limit: self.terms.on_limit, revoked: &revoked };
            match self.ground.store.create(new, &limit).await? {
                Created::Done(times) => return Ok(Room::Made(times)),
                Created::Full => return Ok(Room::Full),
                Created::Revoke(victims) => {
                    for victim in &victims {
                        self.evict(Place { user: new.user, id: *victim }, from).await;
                    }
                    revoked.extend(victims);
                }
            }
        }
        Ok(Room::Contended)
    }

    fn family_lifetimes(&self) -> Lifetimes {
        let absolute = self.terms.lifetimes.absolute.min(self.terms.refresh_ttl);
        // The device that signs in is the one it is compared with from now on.
        let verdict = self.terms.device.verdict(PerMille::ALL);
        let rules = self.terms.family.within(self.terms.device.renewal_life(&verdict));
        Lifetimes { idle: rules.idle, absolute }
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
            revocations_at: Some(self.ground.revocations.position().to_string()),
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

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
