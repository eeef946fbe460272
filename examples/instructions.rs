//! What callgrind counts: our own share of one request, again and again (see benches/instructions.sh).
//!
//!     instructions               the names of the cases, one a line
//!     instructions CASE TIMES    runs a case that often
//!
//! The gate and the observers are the real ones, prepared once and warm: the first request of a run verifies the token,
//! and what is repeated is what every request costs from its complete head to the permit (`admit`), and from its end to
//! the log line handed over and everything counted (`account`).

use doorward::config::{self, Secrets, Settings, World};
use doorward::domain::headers::forwarded::Peer;
use doorward::domain::limit::lease::Told;
use doorward::domain::limit::BucketId;
use doorward::domain::request::RawHead;
use doorward::domain::time::UnixTime;
use doorward::domain::token::keys::KeySet;
use doorward::observe::access::AccessLog;
use doorward::observe::audit::AuditLog;
use doorward::observe::counter::Counter;
use doorward::observe::journal::Observers;
use doorward::observe::metrics::Metrics;
use doorward::observe::sink::LogSink;
use doorward::pipeline::account::{Decision, Record};
use doorward::pipeline::limits::{self, Guard, Limiter};
use doorward::pipeline::{Arrival, Desk, Gate, Permit, Plan};
use doorward::ports::limits::{Ask, Buckets, Single};
use doorward::ports::revocation::Clock;
use doorward::ports::store::StoreError;
use doorward::ports::{Journal, KeySource, Keys, Looked};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use std::error::Error;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Name, target, who asks.
const CASES: [(&str, &str, Asks); 4] = [
    ("public", "/public/items/4711?fields=name", Asks::Anybody),
    ("bearer", "/api/items/4711?fields=name", Asks::Bearer),
    // what it costs more than the one above is the limit
    ("bearer-limited", "/api/items/4711?fields=name", Asks::LimitedBearer),
    // a path that has to be written anew
    ("bearer-rewritten", "/api/./items//%34711?fields=name", Asks::Bearer),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Anybody,
    /// Somebody with a token.
    Bearer,
    /// The same, counted by user, with enough reserved.
    LimitedBearer,
}

/// Often enough that the writer is never woken for any other reason, seldom enough not to be seen in the count.
const FLUSH_EVERY: u32 = 100;
const SECRET: &str = "guards nothing: it signs the one token of this example";
const NOW: UnixTime = UnixTime(1_900_000_000);

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(wanted) = args.next() else {
        CASES.iter().for_each(|(name, _, _)| println!("{name}"));
        return Ok(());
    };
    let times: u32 = args.next().ok_or("usage: instructions CASE TIMES")?.parse()?;
    let (_, target, asks) = CASES.iter().find(|(name, _, _)| *name == wanted).ok_or("there is no such case")?;

    let settings = settings(*asks)?;
    let (gate, headers) = (gate(&settings), headers(*asks != Asks::Anybody)?);
    let metrics = Metrics::new();
    let logs = LogSink::start(Box::new(std::io::sink()), Arc::clone(&metrics.log_lines_dropped))?;
    let journal = journal(&settings, Arc::clone(&metrics), &logs);
    // The first request asks the store of limits.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(gate.admit(&arrival(target, &headers))).map_err(|answer| format!("{answer:?}"))?;
    for turn in 0..times {
        let permit = admit(&gate, black_box(target), &headers)?;
        journal.account(&record(black_box(&permit), target));
        // Threads take turns under valgrind, and a line that is dropped because the writer had none costs nothing.
        if turn % FLUSH_EVERY == 0 {
            logs.flush();
        }
    }
    if metrics.log_lines_dropped.value() > 0 {
        return Err("log lines were dropped: this count would be too low".into());
    }
    Ok(())
}

/// Admission waits only for keys and for what is reserved, and these are here: one poll is all it takes.
fn admit(gate: &Gate, target: &str, headers: &HeaderMap) -> Result<Permit, String> {
    let arrival = arrival(target, headers);
    let admission = pin!(gate.admit(&arrival));
    match admission.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(admitted) => admitted.map_err(|answer| format!("{answer:?}")),
        Poll::Pending => Err("admission waits for something".to_owned()),
    }
}

fn arrival<'a>(target: &'a str, headers: &'a HeaderMap) -> Arrival<'a> {
    let (version, method) = (Version::HTTP_11, &Method::GET);
    let head = RawHead { version, method, target: target.as_bytes(), authority: None, headers, wire: None };
    let peer = Peer { ip: Some([192, 0, 2, 7].into()), trusted: false, tls: false };
    Arrival { head, peer, now: NOW }
}

fn record<'a>(permit: &'a Permit, target: &'a str) -> Record<'a> {
    Record {
        request_id: "0b8f6a9e-3a51-4c76-9d0e-6f1d2b7c8e90",
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736",
        client: permit.client().ip,
        method: "GET",
        host: b"app.example.com",
        path: target.as_bytes(),
        route: Some(permit.route()),
        decision: Decision::Admitted,
        denial: None,
        status: 200,
        auth: permit.auth(),
        bytes_in: 0,
        bytes_out: 128,
        took: Duration::from_micros(900),
        gate: Duration::from_micros(4),
        upstream: Some(permit.upstream()),
        upstream_took: Some(Duration::from_micros(800)),
        protocol: "HTTP/1.1",
    }
}

/// As many routes as one meets, so that finding the right one is part of the price.
fn settings(asks: Asks) -> Result<Settings, String> {
    let text = r#"
        limit = [{ name = "per-user", key = ["user"], rate = "1000/s", burst = 1000 }]
        upstream = [{ name = "app", url = "http://127.0.0.1:3000" }]
        issuer = [{ name = "main", issuer = "https://issuer.invalid", secret = "env:SECRET", audience = ["count"], algorithms = ["HS256"] }]
        route = [
            { path = "/", access = "public" },
            { path = "/public/**", access = "public" },
            { path = "/api/**", access = "authenticated" },
            { path = "/api/items", access = "authenticated" },
            { path = "/api/items/{id}", roles = ["writer"], scopes = ["read:item"], limits = [] },
            { path = "/api/users/{id}", access = "authenticated" },
            { path = "/admin/**", roles = ["admin"] },
            { path = "/hook", methods = ["POST"], access = "public" },
        ]
    "#;
    let text = match asks {
        Asks::Anybody | Asks::Bearer => text.to_owned(),
        Asks::LimitedBearer => text.replace("limits = []", r#"limits = ["per-user"]"#),
    };
    let world = World { env: &|name| (name == "SECRET").then(|| SECRET.into()), secrets: Secrets::Indirect };
    let loaded = config::from_text(&text, std::path::Path::new("."), &world);
    Ok(loaded.map_err(|mistakes| mistakes.to_string())?.settings)
}

fn gate(settings: &Settings) -> Gate {
    let issuers = settings.issuers.iter().map(|issuer| Desk {
        terms: Arc::clone(&issuer.issuer),
        keys: Arc::new(Fixed(Arc::new(Keys {
            set: KeySet::from_secret(&doorward::domain::secret::Secret::new(SECRET.into())),
            generation: 1,
        }))),
    });
    Gate::new(Plan {
        routes: settings.routes.clone(),
        issuers: issuers.collect(),
        identity: Arc::clone(&settings.identity),
        trusted: settings.server.trusted.clone(),
        prefix: settings.server.prefix.clone(),
        endpoints: None,
        house: None,
        limits: Some(guard(settings)),
        api_keys: None,
    })
}

fn guard(settings: &Settings) -> Arc<Guard> {
    let plan = limits::Plan {
        limiter: Limiter::new(Arc::new(Plenty), Arc::new(Single), Arc::new(Still)),
        limits: &settings.limits,
        routes: settings.routes.routes(),
        prefixes: settings.limit_prefixes,
    };
    Guard::new(plan, |_| Arc::new(Counter::default()), |_| Arc::default())
}

fn journal(settings: &Settings, metrics: Arc<Metrics>, logs: &LogSink) -> Observers {
    let routes = settings.routes.routes().iter().map(doorward::domain::policy::Route::label).collect();
    let upstreams = settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
    Observers::new(metrics, (AccessLog::new(logs.clone()), AuditLog::new(logs.clone())), routes, upstreams)
}

/// What a browser's `fetch` sends along.
fn headers(bearer: bool) -> Result<HeaderMap, Box<dyn Error>> {
    let pairs = [
        ("host", "app.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("accept", "application/json"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "cors"),
        ("connection", "keep-alive"),
    ];
    let mut headers: HeaderMap = pairs
        .into_iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    if bearer {
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {}", token()?))?);
    }
    Ok(headers)
}

fn token() -> Result<String, jsonwebtoken::errors::Error> {
    let claims = serde_json::json!({
        "iss": "https://issuer.invalid", "aud": "count", "sub": "user-4711", "iat": NOW.0, "exp": NOW.0 + 3600,
        "email": "ada@example.com", "email_verified": true, "name": "Ada Example",
        "roles": ["reader", "writer"], "scope": "read:item write:item",
    });
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key)
}

#[derive(Debug)]
struct Fixed(Arc<Keys>);

#[async_trait::async_trait]
impl KeySource for Fixed {
    fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.0)
    }

    fn generation(&self) -> u64 {
        self.0.generation
    }

    async fn look_for_new_keys(&self, _seen: u64) -> Looked {
        Looked::Unknown
    }
}

/// Buckets that hold more than is ever spent here.
#[derive(Debug)]
struct Plenty;

#[async_trait::async_trait]
impl Buckets for Plenty {
    async fn reserve(&self, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError> {
        let told =
            |ask: &Ask| Some(Told { granted: u32::MAX, remaining: 500, reset: 500_000, retry: 0, least: ask.least });
        Ok(asks.iter().map(told).collect())
    }

    async fn refill(&self, _: BucketId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

/// What was reserved is not dropped while a run lasts, however slow valgrind makes it.
#[derive(Debug)]
struct Still;

#[async_trait::async_trait]
impl Clock for Still {
    fn unix_ms(&self) -> u64 {
        NOW.0 * 1000
    }

    fn steady(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}
