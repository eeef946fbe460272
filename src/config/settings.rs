//! What the file means: the values every other room may hold. Nothing here was typed by anybody; [`super::resolve`]
//! makes all of it.

mod guard;
mod sign_in;
mod store;

pub use guard::{BotSettings, CaptchaSettings};
pub(crate) use sign_in::is_within;
pub use sign_in::{
    Delivery, DeviceLevel, DeviceSettings, DeviceWeights, KeySettings, Mode, Nesting, OnLimit, OnMismatch, Pages,
    ProviderEntry, ProviderKind, Renewal, RiskTtl, Rotation, SameSite, SessionClaim, SessionSettings, SigningAlgorithm,
    TokenSettings,
};
pub use store::{StoreKind, StoreSettings, Topology};

use crate::domain::failures::Schedule;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::limit::{Limit, Prefixes};
pub use crate::domain::network::Trusted;
use crate::domain::operators::Operators;
use crate::domain::policy::RouteTable;
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::domain::token::issuer::Issuer;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One configuration, complete and checked. A request holds one of these from its first byte to its last.
#[derive(Debug)]
pub struct Settings {
    pub server: Server,
    pub admin: Admin,
    pub store: StoreSettings,
    pub keys: KeySettings,
    pub tokens: TokenSettings,
    pub session: SessionSettings,
    pub device: DeviceSettings,
    pub brute_force: Schedule,
    pub bot: Option<BotSettings>,
    /// Nobody signs in without one.
    pub providers: Vec<ProviderEntry>,
    pub pages: Pages,
    pub identity: Arc<IdentityHeaders>,
    pub issuers: Vec<IssuerSettings>,
    pub upstreams: Vec<Upstream>,
    /// By the index routes carry; the built-in ones are among them.
    pub limits: Vec<Limit>,
    pub limit_prefixes: Prefixes,
    pub routes: RouteTable,
    /// Every file read to make these settings, for the watcher.
    pub files: Vec<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    pub listen: Vec<Listen>,
    /// External origins, scheme and authority without a trailing slash; the first is our issuer.
    pub public_urls: Vec<String>,
    /// Begins with "/", does not end in one.
    pub prefix: String,
    /// Other origins that may send unsafe requests with our cookies, as browsers write them.
    pub csrf_origins: Vec<String>,
    /// Other origins that sign-in may return to, as browsers write them.
    pub return_to_origins: Vec<String>,
    pub trusted: Trusted,
    pub proxy_protocol: bool,
    /// Worker threads; 0 was already replaced by the CPUs of the cgroup.
    pub threads: usize,
    /// Bytes.
    pub max_header: usize,
    pub header_timeout: Duration,
    pub idle_timeout: Duration,
    pub drain_pre_stop: Duration,
    pub drain_max: Duration,
    pub tls: Option<Tls>,
}

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Files that are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub listen: SocketAddr,
    pub health: Option<SocketAddr>,
    /// Nobody: there is no API.
    pub operators: Operators,
    /// Names in `Host` besides the listen address and localhost, in lower case and without a port.
    pub hosts: Vec<String>,
}

/// An `[[issuer]]`: how its tokens are checked, and where its keys come from.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    pub issuer: Arc<Issuer>,
    pub keys: KeyOrigin,
}

#[derive(Clone, Debug)]
pub enum KeyOrigin {
    /// `{issuer}/.well-known/openid-configuration` names the key set.
    Discovery(Remote),
    /// A key set at this URL.
    JwksUrl(String, Remote),
    /// A key set in this file, read again when it changes.
    JwksFile(PathBuf),
    /// HS256.
    Shared(Secret),
}

/// How an issuer is talked to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remote {
    /// PEM file with the CA of the issuer; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// File with a token sent to the issuer's own origin only.
    pub bearer: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    pub name: String,
    pub endpoints: Vec<Endpoint>,
    pub protocol: Protocol,
    /// `Host` to send; `None`: the client's.
    pub host: Option<String>,
    pub connect_timeout: Duration,
    /// To the response header.
    pub read_timeout: Duration,
    /// Between two pieces of a body, SSE events or WebSocket frames.
    pub stream_idle: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Resolved off the request path, again and again.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http,
    /// HTTP/2 with prior knowledge, in clear text.
    H2c,
    Https(UpstreamTls),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// Name sent as SNI and verified against the certificate; never empty.
    pub server_name: String,
    pub ca: Option<PathBuf>,
}

impl Settings {
    /// The issuer named `name`.
    #[must_use]
    pub fn issuer(&self, name: &SourceName) -> Option<&IssuerSettings> {
        self.issuers.iter().find(|settings| settings.issuer.name == *name)
    }
}
