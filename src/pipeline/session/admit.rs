//! A sign-in that succeeded becomes a session.

use super::issue::Given;
use super::{family_of, random, House, Issued, Mode, Place, ProviderTokens, Record, Renewal};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::Device;
use crate::domain::oidc::Identity;
use crate::domain::principal::SourceName;
use crate::domain::session::handle::Handle;
use crate::domain::session::{Lifetimes, ProviderSid, SessionId, Times, UserHash};
use crate::domain::time::UnixTime;
use crate::ports::store::{Created, Limit, NewFamily, NewSession};
use crate::ports::{RevokedFor, SessionEvent};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use zeroize::Zeroizing;

/// How often others may take the place that was just made free. Of sixty-four at once the unluckiest needs about as many.
const ATTEMPTS: usize = 128;

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
        let (from, now, provider_sid) = (arrived.ip, arrived.now, arrived.identity.idp_sid.clone());
        self.admit_record(Full { user, provider_sid, record: self.record(arrived) }, from, now).await
    }

    /// # Errors
    /// As [`House::admit`].
    pub async fn admit_record(&self, full: Full, from: Option<IpAddr>, now: UnixTime) -> Result<SignedIn, Refused> {
        let record = &full.record;
        // A block that was just made elsewhere, and a revocation of this very user: both stand before this sign-in. While
        // the store is away no session is made either, so there is nothing to get wrong.
        self.ground.revocations.caught_up().await;
        if self.ground.revocations.is_blocked(&record.provider, &record.subject) {
            return Err(Refused::Denied(Denial::new(Code::UserBlocked, "a blocked user signed in")));
        }
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
        let Some(times) = self.make_room(&new).await? else { return Err(Refused::Full(Box::new(full))) };
        let issued = match handle {
            Some(handle) => Self::hand_out(&handle, &times, now),
            None => {
                let given = if renews { Given::New(0) } else { Given::None };
                self.issue((record, place), &times, given, now).map_err(Refused::Denied)?
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

    /// `None`: there is no room, and none is to be made. Victims are revoked before they are deleted: whatever crashes in between, none of their tokens outlives them.
    async fn make_room(&self, new: &NewSession) -> Result<Option<Times>, Refused> {
        let mut revoked = Vec::new();
        for _ in 0..ATTEMPTS {
            let limit = Limit { cap: self.terms.cap, on_limit: self.terms.on_limit, revoked: &revoked };
            match self.ground.store.create(new, &limit).await.map_err(|error| Refused::Denied(error.into()))? {
                Created::Done(times) => return Ok(Some(times)),
                Created::Full => return Ok(None),
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
