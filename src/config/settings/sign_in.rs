//! How people sign in, and what they hold afterwards.

use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// A `[[provider]]`: who signs people in.
#[derive(Clone, Debug)]
pub struct ProviderEntry {
    /// Shared with no other provider and no issuer.
    pub name: SourceName,
    pub kind: ProviderKind,
}

#[derive(Clone, Debug)]
pub enum ProviderKind {
    Oidc {
        /// As its discovery document spells it, byte for byte.
        issuer: String,
        client_id: String,
        /// `None`: a public client, which has PKCE alone.
        client_secret: Option<Secret>,
        /// `openid` is among them.
        scopes: Vec<String>,
        /// A name, or a path of names joined by dots.
        roles_claim: String,
        /// PEM file with the CA of the provider; `None`: the system's.
        ca: Option<PathBuf>,
        /// Whether the userinfo endpoint is asked at sign-in.
        userinfo: bool,
        /// Whether its `email` reaches the backend without `email_verified`.
        trust_email: bool,
    },
    Local {
        /// Read again when it changes.
        users: PathBuf,
    },
}

/// `[session]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    pub mode: Mode,
    /// `Cookie` in opaque mode.
    pub delivery: Delivery,
    /// Never `Transparent` unless everything travels in cookies.
    pub renewal: Renewal,
    /// At least 1.
    pub max_per_user: usize,
    pub on_limit: OnLimit,
    /// Never shorter than `TokenSettings::access_ttl`.
    pub idle_timeout: Duration,
    /// Fixed at sign-in; nothing extends it.
    pub absolute_timeout: Duration,
    /// Shorter than `idle_timeout`.
    pub warn_before: Duration,
    pub same_site: SameSite,
    /// Lower case, without a leading dot. Only for origins that lie within it: see [`Self::domain_for`].
    pub cookie_domain: Option<String>,
}

/// Where the truth about a session stands on the request path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A signed access token in the cookie.
    Jwt,
    /// A random handle.
    Opaque,
}

/// How tokens reach the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All in HttpOnly cookies.
    Cookie,
    /// The access token in JSON, the renewal token in a cookie.
    Memory,
    /// Both in JSON.
    Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Within any request that needs it.
    Transparent,
    /// Only where it is asked for.
    Endpoint,
    /// Never: sign in again.
    Off,
}

/// What a sign-in beyond `max_per_user` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLimit {
    EvictOldest,
    Reject,
    /// A new browser ends the old session.
    Single,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    Lax,
    Strict,
    None,
}

/// `[tokens]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Never empty.
    pub audience: Vec<String>,
    pub access_ttl: Duration,
    /// A family ends at the earlier of this and `SessionSettings::absolute_timeout`.
    pub refresh_ttl: Duration,
    pub rotation: Rotation,
    /// Of renewal tokens as `session.delivery` hands them out. Zero: every second use is theft.
    pub reuse_grace: Duration,
    /// Of refresh tokens at the token endpoint, whose clients have no cookie jar: zero unless the file says otherwise.
    pub token_endpoint_grace: Duration,
    pub nesting: Nesting,
    pub session_claim: SessionClaim,
}

/// How our tokens are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    None,
    /// A signature around claims that only we can read.
    JwsOfJwe,
}

/// Whether a renewal token is replaced when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    Always,
    Never,
}

/// What our tokens call the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionClaim {
    Sid,
    SessionId,
}

/// `[keys]`: what our own tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySettings {
    pub algorithm: SigningAlgorithm,
    pub rotate_every: Duration,
    /// Shorter than `rotate_every`.
    pub publish_ahead: Duration,
    /// At least this long; longer where a token lives longer.
    pub overlap: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    Es256,
    EdDsa,
    Rs256,
}

/// `[device]`: how a copied cookie is told from its owner's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSettings {
    pub level: DeviceLevel,
    pub on_mismatch: OnMismatch,
    pub weights: DeviceWeights,
    pub risk_ttl: RiskTtl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceLevel {
    Off,
    Relaxed,
    Normal,
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMismatch {
    Log,
    StepUp,
    Deny,
    Logout,
}

/// Per mille; together 1000. 0: not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceWeights {
    pub user_agent: u16,
    pub screen_resolution: u16,
    pub timezone: u16,
    pub accept_language: u16,
}

/// How long a renewal token lives from when it was handed out, by the risk its device bears then. Zero: sign in again. Never longer for more risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskTtl {
    pub low: Duration,
    pub medium: Duration,
    pub high: Duration,
}

/// `[pages]`: how our own pages look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pages {
    pub title: String,
    /// A path on this origin, an https URL or a `data:image/…` URL.
    pub logo: Option<String>,
    /// `#rrggbb`, lower case.
    pub colour: Option<String>,
}

impl SessionSettings {
    /// The `Domain` of cookies for an origin at `host`. A browser drops a cookie whose domain does not hold the host
    /// it came from, so an origin elsewhere keeps its cookies to itself.
    #[must_use]
    pub fn domain_for(&self, host: &str) -> Option<&str> {
        self.cookie_domain.as_deref().filter(|domain| is_within(host, domain))
    }
}

impl SessionClaim {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sid => "sid",
            Self::SessionId => "session_id",
        }
    }
}

impl DeviceLevel {
    /// The similarity, per mille, from which on a device counts as the same; `None`: nobody looks.
    #[must_use]
    pub fn threshold(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::Relaxed => Some(700),
            Self::Normal => Some(850),
            Self::Strict => Some(950),
        }
    }
}

/// Whether `host` is `domain` or lies below it.
pub(crate) fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
