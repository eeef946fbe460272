//! Backends: addresses resolved off the request path, peers built beforehand, and those that do not answer left
//! alone for a while.

use crate::config::settings::{Endpoint, Protocol, Upstream};
use crate::ports::EdgeEvents;
use arc_swap::ArcSwap;
use http::HeaderValue;
use pingora::protocols::tls::CaType;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::{HttpPeer, HttpUpstreamRequestPolicy};
use pingora::utils::tls::{parse_x509, WrappedX509};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::CertificateDer;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Failures in a row after which an address rests, and for how long.
const TOLERATED: u32 = 3;
const REST: Duration = Duration::from_secs(10);
/// Shorter than the keep-alive of common servers (Node closes after 5 s), so that a request is not sent into a
/// connection its server is just closing.
const KEEP_ALIVE: Duration = Duration::from_secs(4);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
const H2_STREAMS: usize = 100;

/// One `[[upstream]]` and the state of its addresses.
pub struct Pool {
    settings: Upstream,
    template: Template,
    host: Option<HeaderValue>,
    /// In the order DNS and the file give them.
    targets: ArcSwap<Vec<Arc<Target>>>,
    next: AtomicUsize,
    began: Instant,
    events: Arc<dyn EdgeEvents>,
}

/// What all peers of a pool have in common.
struct Template {
    server_name: String,
    tls: bool,
    ca: Option<Arc<CaType>>,
    /// Connections are shared only among peers that agree on everything; Pingora's own key leaves the CA out.
    group: u64,
}

/// One address.
pub(super) struct Target {
    place: Place,
    peer: HttpPeer,
    /// For WebSocket handshakes, which need HTTP/1.1.
    pub(super) tunnel: HttpPeer,
    failures: AtomicU32,
    /// Connections that later requests must not share.
    lost: AtomicU64,
    /// Milliseconds since the pool began; before that the address rests.
    rests_until: AtomicUsize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    Socket(PathBuf),
}

impl Pool {
    /// # Errors
    /// In words, when the CA file cannot be read.
    pub fn new(settings: Upstream, events: Arc<dyn EdgeEvents>) -> Result<Arc<Self>, String> {
        let template = Template::of(&settings)?;
        let host = settings.host.as_deref().map(HeaderValue::from_str).transpose();
        let host = host.map_err(|_| format!("upstream \"{}\": the host is no header value", settings.name))?;
        let pool = Self {
            host,
            settings,
            template,
            targets: ArcSwap::default(),
            next: AtomicUsize::new(0),
            began: Instant::now(),
            events,
        };
        Ok(Arc::new(pool))
    }

    /// The `Host` to send instead of the client's.
    #[must_use]
    pub fn host(&self) -> Option<&HeaderValue> {
        self.host.as_ref()
    }

    #[must_use]
    pub fn settings(&self) -> &Upstream {
        &self.settings
    }

    /// Looks every name up again. What cannot be resolved right now keeps its last addresses.
    pub async fn resolve(&self) {
        let known = self.targets.load_full();
        let mut targets = Vec::new();
        for endpoint in &self.settings.endpoints {
            for place in places(endpoint).await.unwrap_or_else(|| kept(&known, endpoint)) {
                let kept = known.iter().find(|target| target.place == place).map(Arc::clone);
                targets.extend(kept.or_else(|| self.target(place)));
            }
        }
        let same = targets.len() == known.len() && targets.iter().zip(known.iter()).all(|(a, b)| Arc::ptr_eq(a, b));
        if !same && !targets.is_empty() {
            self.targets.store(Arc::new(targets));
        }
    }

    /// The next address in turn that does not rest; when all rest, the next in turn all the same.
    pub(super) fn pick(&self) -> Option<Arc<Target>> {
        let targets = self.targets.load();
        let turn = if targets.len() > 1 { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let count = targets.len();
        let in_turn = || (0..count).filter_map(|step| targets.get((turn + step) % count));
        let awake = in_turn().find(|target| !self.rests(target));
        awake.or_else(|| in_turn().next()).map(Arc::clone)
    }

    /// Without timeouts for reading: the client's stream watches those.
    pub(super) fn peer(&self, target: &Target) -> Box<HttpPeer> {
        let mut peer = Box::new(target.peer.clone());
        peer.group_key ^= target.lost.load(Ordering::Relaxed);
        peer
    }

    /// An address that could not be reached or broke off.
    pub(super) fn failed(&self, target: &Target) {
        if self.settings.protocol != Protocol::Http {
            // A connection of HTTP/2 that hangs would take every later request with it: they get another one.
            target.lost.fetch_add(1, Ordering::Relaxed);
        }
        if target.failures.fetch_add(1, Ordering::Relaxed) + 1 == TOLERATED {
            let until = (self.began.elapsed() + REST).as_millis();
            target.rests_until.store(usize::try_from(until).unwrap_or(usize::MAX), Ordering::Relaxed);
            target.failures.store(0, Ordering::Relaxed);
            self.events.upstream_ejected(&self.settings.name);
        }
    }

    pub(super) fn answered(&self, target: &Target) {
        if target.failures.load(Ordering::Relaxed) != 0 {
            target.failures.store(0, Ordering::Relaxed);
        }
    }

    fn rests(&self, target: &Target) -> bool {
        let until = target.rests_until.load(Ordering::Relaxed);
        until != 0 && self.began.elapsed().as_millis() < until as u128
    }

    fn target(&self, place: Place) -> Option<Arc<Target>> {
        let mut peer = self.template.peer(&place)?;
        let options = &mut peer.options;
        options.connection_timeout = Some(self.settings.connect_timeout);
        options.total_connection_timeout = Some(self.settings.connect_timeout * 2);
        options.write_timeout = Some(WRITE_TIMEOUT);
        options.idle_timeout = Some(KEEP_ALIVE);
        options.max_h2_streams = H2_STREAMS;
        // WebSockets go through the tunnel; nothing else is upgraded.
        options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        let mut tunnel = peer.clone();
        tunnel.group_key = !peer.group_key;
        match self.settings.protocol {
            Protocol::Http => {}
            Protocol::H2c => peer.options.set_http_version(2, 2),
            Protocol::Https(_) => peer.options.alpn = ALPN::H2H1,
        }
        Some(Arc::new(Target {
            place,
            peer,
            tunnel,
            failures: AtomicU32::new(0),
            lost: AtomicU64::new(0),
            rests_until: AtomicUsize::new(0),
        }))
    }
}

impl Template {
    fn of(settings: &Upstream) -> Result<Self, String> {
        let group = BuildHasherDefault::<DefaultHasher>::new().hash_one(format!("{settings:?}"));
        let (server_name, tls, ca) = match &settings.protocol {
            Protocol::Http | Protocol::H2c => (String::new(), false, None),
            Protocol::Https(tls) => (tls.server_name.clone(), true, tls.ca.as_deref().map(authority).transpose()?),
        };
        // Pingora takes an empty server name as leave to skip verification.
        if tls && server_name.is_empty() {
            return Err(format!("upstream \"{}\" has no server name to verify", settings.name));
        }
        Ok(Self { server_name, tls, ca, group })
    }

    fn peer(&self, place: &Place) -> Option<HttpPeer> {
        let mut peer = match place {
            Place::Address(address) => HttpPeer::new(*address, self.tls, self.server_name.clone()),
            Place::Socket(path) => HttpPeer::new_uds(path.to_str()?, self.tls, self.server_name.clone()).ok()?,
        };
        peer.group_key = self.group;
        peer.options.ca.clone_from(&self.ca);
        Some(peer)
    }
}

/// `None` when a name cannot be resolved now.
async fn places(endpoint: &Endpoint) -> Option<Vec<Place>> {
    match endpoint {
        Endpoint::Unix(path) => Some(vec![Place::Socket(path.clone())]),
        Endpoint::Tcp { host, port } => {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            if let Ok(ip) = bare.parse() {
                return Some(vec![Place::Address(SocketAddr::new(ip, *port))]);
            }
            let looked_up = tokio::net::lookup_host((host.as_str(), *port)).await.ok()?;
            let mut found: Vec<_> = looked_up.collect();
            found.sort_unstable();
            found.dedup();
            (!found.is_empty()).then(|| found.into_iter().map(Place::Address).collect())
        }
    }
}

/// The last addresses of an endpoint whose name is gone for now: those with its port.
fn kept(known: &[Arc<Target>], endpoint: &Endpoint) -> Vec<Place> {
    let Endpoint::Tcp { port, .. } = endpoint else { return Vec::new() };
    let places = known.iter().map(|target| target.place.clone());
    places.filter(|place| matches!(place, Place::Address(address) if address.port() == *port)).collect()
}

fn authority(path: &Path) -> Result<Arc<CaType>, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let chain = chain.map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: no certificate in it", path.display()));
    }
    Ok(chain.into_iter().map(|der| WrappedX509::new(der.to_vec(), parse_x509)).collect())
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("place", &self.place).finish_non_exhaustive()
    }
}
