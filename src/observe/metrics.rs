//! Every metric, declared once.
//!
//! All of them are exported from the start, so that dashboards and alerts can be built before the first event. The
//! number of series is bounded by the configuration: no label ever holds a user, a path or a token.

use super::counter::{Bounds, Counter, Gauge, Histogram, Level, Sample};
use super::family::{Export, Family};
use super::route::RouteMetrics;
use crate::domain::principal::AuthMethod;
use crate::ports::Stream;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The metrics of this process. What is labelled by configuration (routes, upstreams, …) is asked for at load and
/// kept as a handle; the rest are handles already.
#[derive(Debug)]
pub struct Metrics {
    families: Vec<Box<dyn Export>>,
    routes: Mutex<HashMap<String, RouteMetrics>>,
    requests: Family<Counter>,
    request_duration: Family<Histogram>,
    upstream_duration: Family<Histogram>,
    /// Requests that were answered before a route was chosen.
    pub unrouted: RouteMetrics,
    /// Our share of a request: from its header to the decision.
    pub gate_duration: Arc<Histogram>,
    pub auth: Auth,
    pub token_cache: TokenCache,
    pub requests_in_flight: Arc<Level>,
    pub connections_open: Arc<Level>,
    pub parse_failures: Arc<Counter>,
    pub log_lines_dropped: Arc<Counter>,
    pub streams_open: Streams,
    pub streams_cut: Family<Counter>,
    pub upstream_ejections: Family<Counter>,
    pub provider_up: Family<Gauge>,
    pub keys_fetches: Family<Counter>,
    pub revocations: Family<Counter>,
    pub revocation_lag: Arc<Histogram>,
    pub revocation_entries: Arc<Gauge>,
    pub revocations_ignored: Arc<Counter>,
    pub sessions_active: Arc<Gauge>,
    pub session_evictions: Family<Counter>,
    pub refreshes: Family<Counter>,
    pub rate_limited: Family<Counter>,
    pub sign_in_failures: Family<Counter>,
    pub bot_checks: Family<Counter>,
    pub store_up: Arc<Gauge>,
    pub store_duration: Family<Histogram>,
    pub degraded: Family<Gauge>,
    config_generation: Arc<Gauge>,
    config_last_reload_success: Arc<Gauge>,
}

/// What the verified-credential cache answered.
#[derive(Debug)]
pub struct TokenCache {
    pub hit: Arc<Counter>,
    pub miss: Arc<Counter>,
    /// Found, but verified against something that has changed since.
    pub stale: Arc<Counter>,
}

/// Long-lived answers under way.
#[derive(Debug)]
pub struct Streams {
    pub websocket: Arc<Level>,
    pub sse: Arc<Level>,
    pub grpc: Arc<Level>,
    pub http: Arc<Level>,
}

impl Streams {
    #[must_use]
    pub fn of(&self, kind: Stream) -> &Level {
        match kind {
            Stream::WebSocket => &self.websocket,
            Stream::Sse => &self.sse,
            Stream::Grpc => &self.grpc,
            Stream::Http => &self.http,
        }
    }
}

/// How credentials fared, by the way they were presented.
#[derive(Debug)]
pub struct Auth {
    anonymous: AuthResults,
    bearer: AuthResults,
    session: AuthResults,
    api_key: AuthResults,
}

#[derive(Debug)]
pub struct AuthResults {
    pub accepted: Arc<Counter>,
    pub refused: Arc<Counter>,
    /// We could not find out: keys or store were out of reach.
    pub unavailable: Arc<Counter>,
}

impl Metrics {
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a list, an entry a metric")]
    pub fn new() -> Arc<Self> {
        let mut own = Declared::default();
        let requests = own.family(
            Counter::default,
            "doorward_requests_total",
            "Requests, by route, what we decided and the status sent.",
            &["route", "decision", "code"],
        );
        let request_duration = own.family(
            slow,
            "doorward_request_duration_seconds",
            "From the first byte of a request to the last of its answer.",
            &["route"],
        );
        let metrics = Self {
            unrouted: RouteMetrics::new(UNROUTED, &requests, &request_duration),
            routes: Mutex::default(),
            requests,
            request_duration,
            gate_duration: own.one(fast, "doorward_gate_duration_seconds", "Our own share of a request."),
            upstream_duration: own.family(
                slow,
                "doorward_upstream_duration_seconds",
                "From forwarding a request to the header of the upstream's answer.",
                &["upstream"],
            ),
            auth: own.auth(),
            token_cache: own.token_cache(),
            requests_in_flight: own.one(
                Level::default,
                "doorward_requests_in_flight",
                "Requests that have arrived and are not finished.",
            ),
            connections_open: own.one(Level::default, "doorward_connections_open", "Client connections."),
            parse_failures: own.one(
                Counter::default,
                "doorward_parse_failures_total",
                "Requests the parser refused before any check of ours ran.",
            ),
            log_lines_dropped: own.one(
                Counter::default,
                "doorward_log_lines_dropped_total",
                "Access and audit log lines lost because their output did not keep up or failed.",
            ),
            streams_open: own.streams(),
            streams_cut: own.counted("doorward_streams_cut_total", "Long-lived answers ended by us.", &CUT_REASONS),
            upstream_ejections: own.family(
                Counter::default,
                "doorward_upstream_ejections_total",
                "Addresses of an upstream taken out of use after failures.",
                &["upstream"],
            ),
            provider_up: own.family(
                Gauge::default,
                "doorward_provider_up",
                "Whether the last attempt to reach a provider or issuer succeeded.",
                &["provider"],
            ),
            keys_fetches: own.family(
                Counter::default,
                "doorward_keys_fetches_total",
                "Attempts to fetch the keys of a provider or issuer.",
                &["provider"],
            ),
            revocations: own.counted("doorward_revocations_total", "Revocations learned.", &REVOCATION_KINDS),
            revocation_lag: own.one(
                slow,
                "doorward_revocation_lag_seconds",
                "From a revocation elsewhere to its being enforced here.",
            ),
            revocation_entries: own.one(Gauge::default, "doorward_revocation_entries", "Revocations in force."),
            revocations_ignored: own.one(
                Counter::default,
                "doorward_revocations_ignored_total",
                "Entries of the log of revocations that cannot be read here.",
            ),
            sessions_active: own.one(Gauge::default, "doorward_sessions_active", "Sessions that have not ended."),
            session_evictions: own.counted(
                "doorward_session_evictions_total",
                "Sessions ended to make room for others of the same user.",
                &EVICTION_REASONS,
            ),
            refreshes: own.counted("doorward_refresh_total", "Uses of renewal tokens.", &REFRESH_VERDICTS),
            rate_limited: own.family(
                Counter::default,
                "doorward_rate_limited_total",
                "Requests over a limit.",
                &["limit"],
            ),
            sign_in_failures: own.counted(
                "doorward_sign_in_failures_total",
                "Sign-ins with a password that were wrong, or not compared because of those before.",
                &SIGN_IN_FAILURES,
            ),
            bot_checks: own.counted(
                "doorward_bot_checks_total",
                "What the webhook said of those who sign in, and how CAPTCHAs ended.",
                &BOT_VERDICTS,
            ),
            store_up: own.one(Gauge::default, "doorward_store_up", "Whether the store can be reached."),
            store_duration: own.family(
                fast,
                "doorward_store_duration_seconds",
                "Store operations, from call to answer.",
                &["op"],
            ),
            degraded: own.family(
                Gauge::default,
                "doorward_degraded",
                "Features that run on their fallback.",
                &["feature"],
            ),
            config_generation: own.one(
                Gauge::default,
                "doorward_config_generation",
                "How often a configuration was put into force.",
            ),
            config_last_reload_success: own.one(
                Gauge::default,
                "doorward_config_last_reload_success",
                "Whether the configuration read last was put into force.",
            ),
            families: own.with_build_info(),
        };
        metrics.store_up.set(1.0);
        Arc::new(metrics)
    }

    /// The handles of a route. The same label counts on where it stood before a reload.
    #[must_use]
    pub fn route(&self, label: &str) -> RouteMetrics {
        let mut routes = self.routes.lock();
        if let Some(known) = routes.get(label) {
            return known.clone();
        }
        let route = RouteMetrics::new(label, &self.requests, &self.request_duration);
        routes.insert(label.to_owned(), route.clone());
        route
    }

    /// How long an upstream takes to its response header.
    #[must_use]
    pub fn upstream(&self, name: &str) -> Arc<Histogram> {
        self.upstream_duration.with(&[name])
    }

    /// A configuration is in force now.
    pub fn configured(&self, generation: u32) {
        self.config_generation.set(f64::from(generation));
        self.config_last_reload_success.set(1.0);
    }

    /// A configuration could not be put into force; the one before it stays.
    pub fn reload_refused(&self) {
        self.config_last_reload_success.set(0.0);
    }

    /// All of it in the Prometheus text format.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(32 * 1024);
        for family in &self.families {
            family.export(&mut text);
        }
        text
    }
}

impl Auth {
    #[must_use]
    pub fn of(&self, method: AuthMethod) -> &AuthResults {
        match method {
            AuthMethod::Anonymous => &self.anonymous,
            AuthMethod::Bearer => &self.bearer,
            AuthMethod::Session => &self.session,
            AuthMethod::ApiKey => &self.api_key,
        }
    }
}

/// The `route` label where none was chosen.
const UNROUTED: &str = "none";

const CUT_REASONS: Label<7> = Label {
    name: &["reason"],
    known: [
        "token_expired",
        "token_revoked",
        "session_expired",
        "session_terminated",
        "user_blocked",
        "store_unavailable",
        "drain",
    ],
};
const REVOCATION_KINDS: Label<9> = Label {
    name: &["kind"],
    known: ["jti", "session", "user", "family", "client", "signing_key", "issued_before", "block", "unblock"],
};
const SIGN_IN_FAILURES: Label<2> = Label { name: &["result"], known: ["wrong", "blocked"] };
const BOT_VERDICTS: Label<6> =
    Label { name: &["verdict"], known: ["allow", "challenge", "block", "unknown", "solved", "unsolved"] };
const EVICTION_REASONS: Label<2> = Label { name: &["reason"], known: ["evict_oldest", "single"] };
const REFRESH_VERDICTS: Label<10> = Label {
    name: &["verdict"],
    known: ["rotated", "same", "reissued", "grace", "step_up", "bounce", "reuse", "revoked", "expired", "unknown"],
};

/// A label whose values are known before anything happens, and are exported as zero from the start.
struct Label<const N: usize> {
    name: &'static [&'static str; 1],
    known: [&'static str; N],
}

/// Milliseconds to a minute: whole requests and upstreams.
fn slow() -> Histogram {
    const MS: u64 = 1_000_000;
    const BOUNDS: Bounds = [
        MS,
        5 * MS / 2,
        5 * MS,
        10 * MS,
        25 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        1_000 * MS,
        2_500 * MS,
        5_000 * MS,
        10_000 * MS,
        60_000 * MS,
    ];
    Histogram::new(&BOUNDS)
}

/// Microseconds to a second: our own work and the store's.
fn fast() -> Histogram {
    const US: u64 = 1_000;
    const BOUNDS: Bounds = [
        2 * US,
        5 * US,
        10 * US,
        20 * US,
        50 * US,
        100 * US,
        250 * US,
        500 * US,
        1_000 * US,
        2_500 * US,
        10_000 * US,
        50_000 * US,
        250_000 * US,
        1_000_000 * US,
    ];
    Histogram::new(&BOUNDS)
}

#[derive(Default)]
struct Declared(Vec<Box<dyn Export>>);

impl Declared {
    fn family<T: Sample>(
        &mut self,
        make: fn() -> T,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Family<T> {
        let family = Family::new(make, name, help, labels);
        self.0.push(Box::new(family.clone()));
        family
    }

    fn one<T: Sample>(&mut self, make: fn() -> T, name: &'static str, help: &'static str) -> Arc<T> {
        self.family(make, name, help, &[]).with(&[])
    }

    fn counted<const N: usize>(&mut self, name: &'static str, help: &'static str, label: &Label<N>) -> Family<Counter> {
        let family = self.family(Counter::default, name, help, label.name);
        for value in label.known {
            let _ = family.with(&[value]);
        }
        family
    }

    fn auth(&mut self) -> Auth {
        let family = self.family(
            Counter::default,
            "doorward_auth_total",
            "Credentials looked at, by how they were presented and what came of it.",
            &["method", "result"],
        );
        let results = |method: &str| AuthResults {
            accepted: family.with(&[method, "accepted"]),
            refused: family.with(&[method, "refused"]),
            unavailable: family.with(&[method, "unavailable"]),
        };
        Auth {
            anonymous: results(AuthMethod::Anonymous.name()),
            bearer: results(AuthMethod::Bearer.name()),
            session: results(AuthMethod::Session.name()),
            api_key: results(AuthMethod::ApiKey.name()),
        }
    }

    fn token_cache(&mut self) -> TokenCache {
        let family = self.family(
            Counter::default,
            "doorward_token_cache_total",
            "Look-ups in the cache of verified credentials.",
            &["result"],
        );
        TokenCache { hit: family.with(&["hit"]), miss: family.with(&["miss"]), stale: family.with(&["stale"]) }
    }

    fn streams(&mut self) -> Streams {
        let family = self.family(Level::default, "doorward_streams_open", "Long-lived answers under way.", &["kind"]);
        Streams {
            websocket: family.with(&["websocket"]),
            sse: family.with(&["sse"]),
            grpc: family.with(&["grpc"]),
            http: family.with(&["http"]),
        }
    }

    fn with_build_info(mut self) -> Vec<Box<dyn Export>> {
        self.family(Gauge::default, "doorward_build_info", "Which version runs here.", &["version"])
            .with(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        self.0
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
