//! Sessions: how a sign-in becomes cookies, cookies become a caller again, and how all of that ends.
//!
//! A live access token is checked in memory. Only what memory cannot know asks the store: whether a renewal token is
//! the current one, and what the session says of its user. "Cannot tell" never signs anybody out.

pub mod activity;
mod admit;
mod bearer;
mod elsewhere;
mod end;
mod flight;
mod issue;
mod leaked;
pub mod lease;
mod once;
mod opaque;
mod recognise;
mod record;
mod renew;
mod reread;
mod watch;

pub use admit::{Arrived, Full, Refused, SignedIn};
pub use end::{Kept, Listed};
pub use issue::Issued;
pub use once::Unused;
pub use opaque::left;
pub use recognise::{cleared, Asking, Recognised, Turned, SHARED};
pub use record::{Place, ProviderTokens, Record, Unopened};
pub use renew::{Occasion, Renewed, Renewing};
pub use watch::{Left, News, Watch};

use super::cache::{CredentialCache, Verified};
use super::degraded::Degraded;
use super::keys::SigningRing;
use super::limits::Guard;
use crate::domain::cookies::{CookiePlan, SameSite};
use crate::domain::device;
use crate::domain::family::{MacRing, Rules};
use crate::domain::headers::forwarded::Proto;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::origins::{is_within, Origin, PublicOrigins};
use crate::domain::principal::SourceName;
use crate::domain::seal::{Purpose, Seals};
use crate::domain::secret::Secret;
use crate::domain::session::handle::HandleRing;
use crate::domain::session::{FamilyId, Lifetimes, OnLimit, SessionId};
use crate::domain::signing::access_token::SessionClaim;
use crate::domain::signing::own;
use crate::domain::token::issuer::Issuer;
use crate::ports::provider::Provider;
use crate::ports::store::Store;
use crate::ports::users::LocalUsers;
use crate::ports::{Revocations, SessionEvents};
use activity::Activity;
use flight::Flights;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use watch::Audience;

/// `[session]`, `[tokens]` and `[device]`, as far as they say what a session is.
#[derive(Clone, Debug)]
pub struct Terms {
    pub mode: Mode,
    /// Life of an access token.
    pub access_ttl: Duration,
    pub lifetimes: Lifetimes,
    /// Sessions a user may have, and what happens to one more.
    pub cap: usize,
    pub on_limit: OnLimit,
    pub renewal: Renewal,
    /// What renewal tokens are judged by.
    pub family: Rules,
    /// The grace of a renewal token at the token endpoint, whose clients have no tabs that race.
    pub token_grace: Duration,
    /// A family ends after this or with its session, whichever comes first.
    pub refresh_ttl: Duration,
    pub audience: Vec<String>,
    pub session_claim: SessionClaim,
    /// Whether the claims of access tokens are encrypted.
    pub nesting: Nesting,
    pub device: device::Terms,
    pub same_site: SameSite,
    pub cookie_domain: Option<String>,
    /// Other origins whose pages may send unsafe requests with our cookies.
    pub csrf_origins: Vec<Origin>,
}

/// `session.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The cookie is a signed access token, checked in memory.
    Jwt,
    /// The cookie is a handle; only the store knows whose.
    Opaque,
}

/// `tokens.nesting`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// Signed claims, which whoever holds the token can read.
    None,
    /// Signed, around claims that only we can read.
    JwsOfJwe,
}

/// `session.renewal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// On any request, unseen.
    Transparent,
    /// By `POST /refresh` only.
    Endpoint,
    /// Not at all.
    Off,
}

/// What outlives a configuration: two of them must not each renew the same session.
pub struct Ground {
    pub store: Arc<dyn Store>,
    pub ring: Arc<SigningRing>,
    pub seals: Arc<Seals>,
    pub revocations: Arc<dyn Revocations>,
    pub events: Arc<dyn SessionEvents>,
    pub activity: Activity,
    audience: Arc<Audience>,
    /// Of the newest configuration, for what ends without one.
    providers: Mutex<Providers>,
    pub degraded: Degraded,
    macs: MacRing,
    handle_ring: HandleRing,
    /// Current first.
    device_keys: Vec<Secret>,
    renewals: Flights<renew::Flight, Renewed>,
    rereads: Flights<SessionId, reread::Reread>,
    looks: Flights<opaque::Question, opaque::Looked>,
    /// Opaque sessions in use: they outlive a configuration, for the store may be away when it is replaced.
    handles: CredentialCache,
    houses: AtomicU64,
}

/// Sessions under one configuration.
pub struct House {
    pub ground: Arc<Ground>,
    pub terms: Terms,
    pub origins: PublicOrigins,
    pub providers: Providers,
    pub users: LocalProviders,
    /// Tells what was remembered under another configuration.
    number: u64,
    /// What our own tokens must say.
    own: Issuer,
    identity: Arc<IdentityHeaders>,
    /// `None`: renewals are not counted.
    limits: Option<Arc<Guard>>,
    cache: CredentialCache,
}

impl Ground {
    /// # Errors
    /// In words: the secret gives no key.
    pub fn new(
        store: Arc<dyn Store>,
        ring: Arc<SigningRing>,
        seals: Arc<Seals>,
        revocations: Arc<dyn Revocations>,
        events: Arc<dyn SessionEvents>,
    ) -> Result<Arc<Self>, String> {
        let no_key = "store.secret gives no key";
        let (macs, handles) = (seals.mac_keys(Purpose::Renewal), seals.mac_keys(Purpose::Handle));
        let (first, others) = macs.split_first().ok_or(no_key)?;
        let handle_ring = handles.split_first().and_then(|(first, others)| HandleRing::new(first, others));
        Ok(Arc::new(Self {
            macs: MacRing::new(first, others),
            handle_ring: handle_ring.ok_or(no_key)?,
            device_keys: seals.mac_keys(Purpose::Device),
            renewals: Flights::default(),
            rereads: Flights::default(),
            looks: Flights::default(),
            handles: CredentialCache::of_sessions(),
            houses: AtomicU64::new(0),
            activity: Activity::default(),
            audience: Arc::default(),
            providers: Mutex::default(),
            degraded: Degraded::default(),
            store,
            ring,
            seals,
            revocations,
            events,
        }))
    }
}

impl Ground {
    /// What is remembered of an opaque session, whether or not it goes on.
    pub(in crate::pipeline) fn known_handle(&self, handle: &str) -> Option<Arc<Verified>> {
        self.handles.find(handle)
    }
}

impl House {
    #[must_use]
    pub fn new(
        ground: Arc<Ground>,
        terms: Terms,
        origins: PublicOrigins,
        (providers, users): (Providers, LocalProviders),
        (identity, limits): (Arc<IdentityHeaders>, Option<Arc<Guard>>),
    ) -> Arc<Self> {
        let own = own::terms(origins.issuer().as_str(), &terms.audience, terms.session_claim);
        ground.providers.lock().clone_from(&providers);
        let (number, cache) = (ground.houses.fetch_add(1, Ordering::Relaxed), CredentialCache::default());
        Arc::new(Self { ground, terms, origins, providers, users, number, own, identity, limits, cache })
    }

    /// How cookies are written for a request to `authority`. A request that came by a name that is not public gets the
    /// cookies of the first public one: it could not read them anyway. A host outside of `cookie.domain` keeps its cookies to
    /// itself: with the domain on them, browsers would drop them.
    #[must_use]
    pub fn cookies(&self, authority: &str, proto: Proto) -> CookiePlan {
        let origin = self.origins.named(authority, proto).unwrap_or_else(|| self.origins.issuer());
        let domain = self.terms.cookie_domain.as_deref().filter(|domain| is_within(authority, domain));
        CookiePlan::new(origin, domain, self.terms.same_site)
    }
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod device_tests;

/// OpenID providers by their configured names.
pub type Providers = HashMap<SourceName, Arc<dyn Provider>>;

/// Providers whose users we keep ourselves, by their configured names.
pub type LocalProviders = HashMap<SourceName, Arc<dyn LocalUsers>>;

/// A session has one family of renewals, and the two share their name: whoever holds the token of one finds the other.
fn family_of(session: SessionId) -> FamilyId {
    FamilyId::from_bytes(*session.as_bytes())
}

/// The session that a renewal token belongs to.
#[must_use]
pub fn session_of(family: FamilyId) -> SessionId {
    SessionId::from_bytes(*family.as_bytes())
}

/// From the operating system, by way of the cryptographic library.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only where the system has no randomness at all, and then nothing here may go on.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    bytes
}

impl fmt::Debug for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ground").field("store", &self.store).finish_non_exhaustive()
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("terms", &self.terms).finish_non_exhaustive()
    }
}
