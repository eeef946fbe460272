//! The composition root: settings become adapters, adapters a gate, and the gate is put in front of the sockets. Also
//! the reload loop: a file that does not resolve leaves everything as it was.

mod counting;
mod degraded;
mod housekeeping;
mod memory;
mod ring_copy;
mod shared;
mod sign_in;
mod state_dir;

use crate::admin::api::{Access, Api, Tools};
use crate::admin::{self, health::Readiness, AdminServer, AdminState};
use crate::config::settings::{Listen, Settings, StoreKind};
use crate::config::{self, watch::Watch};
use crate::edge::kill::Registry;
use crate::edge::lifecycle::{Drain, Edge, Leave};
use crate::edge::listen::Listener;
use crate::edge::snapshot::{Limits, Snapshot};
use crate::edge::tls::TlsFront;
use crate::edge::upstream::Pool;
use crate::observe::access::AccessLog;
use crate::observe::audit::AuditLog;
use crate::observe::clock;
use crate::observe::journal::Observers;
use crate::observe::metrics::Metrics;
use crate::observe::sessions::SessionWatch;
use crate::observe::sink::LogSink;
use crate::outbound::keyring::Keyring;
use crate::pipeline::limits::Guard;
use crate::pipeline::own::Endpoints;
use crate::pipeline::session::House;
use crate::pipeline::{Desk, Gate, Plan};
use crate::ports::EdgeEvents;
use arc_swap::ArcSwap;
use counting::Counting;
use housekeeping::{keep_house, resolve_all};
use parking_lot::Mutex;
use sign_in::SignIn;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{signal, Signal, SignalKind};
use tokio::sync::{mpsc, oneshot, OnceCell};

/// At start a name server may take this long; requests that come before are told 503.
const FIRST_LOOKUP: Duration = Duration::from_millis(150);

/// At a reload, before the new configuration counts.
const RELOAD_LOOKUP: Duration = Duration::from_secs(1);

/// Why the gate does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Settings(String),
    #[error("{0}")]
    System(#[from] io::Error),
}

/// A gate about to run: bound, composed, not yet serving.
#[derive(Debug)]
pub struct App {
    composer: Arc<Composer>,
    edge: Edge,
    workers: Runtime,
    state: Arc<AdminState>,
    admin: AdminServer,
    logs: LogSink,
    signals: Signals,
}

/// Waited for from before anybody is told that we run: a signal that comes earlier would end the process at once.
#[derive(Debug)]
struct Signals {
    term: Signal,
    interrupt: Signal,
}

/// Makes snapshots of settings, and keeps what outlives them.
#[derive(Debug)]
struct Composer {
    metrics: Arc<Metrics>,
    access: AccessLog,
    audit: AuditLog,
    keyrings: Mutex<Vec<Arc<Keyring>>>,
    api: Arc<Api>,
    /// Opened by the first configuration in which somebody signs in, or an operator may revoke.
    sign_in: OnceCell<SignIn>,
    /// What revocations cut.
    registry: Arc<Registry>,
    counting: Counting,
}

/// What makes the gate read its file anew.
struct Reasons {
    path: PathBuf,
    watch: Watch,
    hangup: Signal,
    /// Operators who ask, and want to hear what came of it.
    asked: mpsc::Receiver<oneshot::Sender<Result<u32, String>>>,
}

impl App {
    /// Binds every listener and composes the first snapshot. `file` is the one to read again when the watch on it, which
    /// began before it was read, tells of a change.
    ///
    /// # Errors
    /// In words: a port that is taken, a certificate that cannot be read.
    pub fn prepare(
        settings: Settings,
        file: Option<(PathBuf, Watch)>,
        output: Box<dyn Write + Send>,
    ) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        let logs = LogSink::start(output, Arc::clone(&metrics.log_lines_dropped))?;
        let audit = AuditLog::new(logs.clone());
        let (reloads, asked) = mpsc::channel(1);
        let reloads = file.is_some().then_some(reloads);
        let api = Arc::new(Api::new(operators(&settings), audit.clone(), reloads));
        let composer = Arc::new(Composer {
            access: AccessLog::new(logs.clone()),
            audit,
            api: Arc::clone(&api),
            metrics: Arc::clone(&metrics),
            keyrings: Mutex::default(),
            sign_in: OnceCell::new(),
            registry: Registry::new(Arc::<Metrics>::clone(&metrics), clock::now),
            counting: Counting::default(),
        });
        let control = control_runtime()?;
        let workers = Builder::new_multi_thread()
            .worker_threads(settings.server.threads)
            .thread_name("worker")
            .enable_all()
            .build()?;
        let state = Arc::new(AdminState { metrics: Arc::clone(&metrics), readiness: Readiness::new(), api });
        let admin = admin::serve(settings.admin.listen, settings.admin.health, Arc::clone(&state))?;
        let listeners = bind(&workers, &settings.server.listen)?;
        let signals = Signals::listen(&workers)?;
        let hangup = file.is_some().then(|| hangups(&control)).transpose()?;
        let snapshot = control.block_on(async {
            let snapshot = composer.compose(&settings, None).await.map_err(StartError::Settings)?;
            let _ = tokio::time::timeout(FIRST_LOOKUP, resolve_all(&snapshot)).await;
            Ok::<_, StartError>(Arc::new(ArcSwap::from_pointee(snapshot)))
        })?;
        composer.equip();
        composer.api.set_access(access(&settings, &snapshot.load()));
        metrics.configured(1);
        state.readiness.set_blind(composer.sign_in.initialized());
        let watched = Arc::clone(&state);
        let edge = Edge {
            snapshot: Arc::clone(&snapshot),
            events: metrics,
            registry: Arc::clone(&composer.registry),
            listeners,
            threads: settings.server.threads,
            clock: clock::now,
        };
        let keeper = Arc::clone(&composer);
        std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            control.block_on(async {
                let housekeeping = keep_house(Arc::clone(&composer), Arc::clone(&snapshot), watched);
                match file.zip(hangup) {
                    Some(((path, watch), hangup)) => {
                        let reasons = Reasons { path, watch, hangup, asked };
                        tokio::join!(housekeeping, reload(&composer, &snapshot, settings, reasons)).0;
                    }
                    None => housekeeping.await,
                }
            });
        })?;
        Ok(Self { composer: keeper, edge, workers, state, admin, logs, signals })
    }

    /// Where clients are listened for; ports that were 0 are known now.
    #[must_use]
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.edge.listeners.iter().filter_map(Listener::address).collect()
    }

    #[must_use]
    pub fn admin_address(&self) -> std::net::SocketAddr {
        self.admin.listen
    }

    /// Serves until SIGTERM or SIGINT, drains, and returns. A second signal ends the drain.
    pub fn run(self) {
        let Self { composer, edge, workers, state, admin, logs, signals } = self;
        let snapshot = Arc::clone(&edge.snapshot);
        let Signals { mut term, mut interrupt } = signals;
        workers.block_on(async {
            let (said, mut heard) = tokio::sync::watch::channel(None);
            let leave = async move {
                // The sender lives as long as this runs.
                let leave = heard.wait_for(Option::is_some).await.ok().and_then(|leave| *leave);
                leave.unwrap_or(Leave::Now)
            };
            let ready = Arc::clone(&state);
            let serving = edge.run(leave, move || state.readiness.set_draining());
            tokio::pin!(serving);
            ready.readiness.set_ready();
            loop {
                let leave = tokio::select! {
                    () = &mut serving => break,
                    _ = term.recv() => Leave::Gracefully,
                    _ = interrupt.recv() => Leave::Now,
                };
                if said.send_replace(Some(leave)).is_some() {
                    break;
                }
            }
            composer.close(&snapshot.load_full()).await;
        });
        logs.flush();
        workers.shutdown_timeout(Duration::from_millis(200));
        drop(admin);
    }
}

impl Signals {
    fn listen(on: &Runtime) -> io::Result<Self> {
        let _guard = on.enter();
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
}

impl Composer {
    /// All of it or nothing: what can fail comes first, and nothing that runs is touched.
    async fn compose(&self, settings: &Settings, before: Option<&Snapshot>) -> Result<Snapshot, String> {
        let server = &settings.server;
        let tls = server.tls.as_ref().map(|tls| TlsFront::load(&tls.cert, &tls.key)).transpose()?;
        let events: Arc<dyn EdgeEvents> = Arc::<Metrics>::clone(&self.metrics);
        let pools = settings.upstreams.iter().map(|upstream| match before.and_then(|before| before.pool(upstream)) {
            Some(kept) => Ok(kept),
            None => Pool::new(upstream.clone(), Arc::clone(&events)),
        });
        let upstreams = pools.collect::<Result<Vec<_>, _>>()?;
        let routes = settings.routes.routes().iter().map(crate::domain::policy::Route::label).collect();
        let names = settings.upstreams.iter().map(|upstream| upstream.name.clone()).collect();
        let logs = (self.access.clone(), self.audit.clone());
        // The last that can fail, and it changes nothing if it does.
        let opened = self.opened(settings).await?;
        let limits = self.guard(settings, opened);
        let signing_in = opened.map(|opened| signing_in(settings, opened, limits.as_ref())).transpose()?;
        Ok(Snapshot {
            gate: gate(settings, self.desks(settings), signing_in, limits).counting(self.usage(settings)),
            upstreams,
            journal: Arc::new(Observers::new(Arc::clone(&self.metrics), logs, routes, names)),
            events,
            limits: Limits {
                max_header: server.max_header,
                header_timeout: server.header_timeout,
                idle_timeout: server.idle_timeout,
            },
            tls,
            proxy_protocol: server.proxy_protocol,
            drain: Drain { pre_stop: server.drain_pre_stop, max: server.drain_max },
        })
    }

    /// What is shared with other replicas or outlives a configuration: where somebody signs in, operators revoke tokens of
    /// others, tokens count once, or the store is one that others write to.
    async fn opened(&self, settings: &Settings) -> Result<Option<&SignIn>, String> {
        let people = !settings.providers.is_empty();
        // Whoever shares a store hears there what others have revoked.
        let alone = matches!(settings.store.kind, StoreKind::Memory);
        let sensitive = settings.routes.routes().iter().any(|route| route.sensitive);
        if !people && alone && !sensitive && settings.admin.operators.is_empty() {
            return Ok(None);
        }
        let events = SessionWatch { metrics: Arc::clone(&self.metrics), audit: self.audit.clone() };
        let open = || async {
            let opened = SignIn::open(settings, Arc::new(events), &self.metrics).await?;
            opened.revocations.watch(Arc::<Registry>::clone(&self.registry));
            Ok::<_, String>(opened)
        };
        self.sign_in.get_or_try_init(open).await.map(Some)
    }

    /// Gives operators what they change.
    fn equip(&self) {
        if let Some(sign_in) = self.sign_in.get() {
            let (ground, revocations) = (Arc::clone(&sign_in.ground), Arc::clone(&sign_in.revocations));
            self.api.equip(Tools { ground, revocations });
        }
    }

    /// An issuer whose terms for keys did not change keeps its keys over a reload.
    fn desks(&self, settings: &Settings) -> Vec<Desk> {
        let mut keyrings = self.keyrings.lock();
        let kept: Vec<Arc<Keyring>> = settings
            .issuers
            .iter()
            .map(|issuer| {
                let known = keyrings.iter().find(|keyring| keyring.serves(issuer));
                known.map_or_else(|| Keyring::spawn(issuer), Arc::clone)
            })
            .collect();
        keyrings.clone_from(&kept);
        let terms = settings.issuers.iter().map(|settings| Arc::clone(&settings.issuer));
        terms.zip(kept).map(|(terms, keys)| Desk { terms, keys }).collect()
    }

    /// After the last request.
    async fn close(&self, last: &Snapshot) {
        if let (Some(sign_in), Some(house)) = (self.sign_in.get(), last.gate.house()) {
            sign_in.close(house.terms.lifetimes.idle).await;
        }
    }

    fn observe_keyrings(&self) {
        for keyring in self.keyrings.lock().iter() {
            let name = [keyring.name()];
            self.metrics.provider_up.with(&name).set(if keyring.up() { 1.0 } else { 0.0 });
            let counted = self.metrics.keys_fetches.with(&name);
            counted.add(keyring.fetches().saturating_sub(counted.value()));
        }
        for (name, up) in self.sign_in.get().map(SignIn::providers_up).unwrap_or_default() {
            self.metrics.provider_up.with(&[name.as_str()]).set(if up { 1.0 } else { 0.0 });
        }
    }
}

/// What a gate needs where people sign in.
#[derive(Debug)]
pub(crate) struct SigningIn {
    house: Arc<House>,
    /// `None`: nobody signs in.
    endpoints: Option<Arc<dyn Endpoints>>,
}

/// Sessions, and the endpoints to get them where somebody signs in.
fn signing_in(settings: &Settings, opened: &SignIn, limits: Option<&Arc<Guard>>) -> Result<SigningIn, String> {
    let (house, own) = opened.compose(settings, limits)?;
    let endpoints = (!settings.providers.is_empty()).then(|| Arc::new(own) as _);
    Ok(SigningIn { house, endpoints })
}

/// The gate of these settings with these keys. Whoever wants to know what the gate would say asks one made here.
pub(crate) fn gate(
    settings: &Settings,
    issuers: Vec<Desk>,
    signing_in: Option<SigningIn>,
    limits: Option<Arc<Guard>>,
) -> Gate {
    let (house, endpoints) = signing_in.map(|it| (it.house, it.endpoints)).unzip();
    let endpoints = endpoints.flatten();
    Gate::new(Plan {
        routes: settings.routes.clone(),
        issuers,
        identity: Arc::clone(&settings.identity),
        trusted: settings.server.trusted.clone(),
        prefix: settings.server.prefix.clone(),
        endpoints,
        house,
        limits,
    })
}

/// On SIGHUP, on an operator's word or a change of any file: read everything anew, and either all of it counts or none.
async fn reload(composer: &Composer, snapshot: &ArcSwap<Snapshot>, mut current: Settings, mut reasons: Reasons) {
    let mut generation = 1;
    loop {
        let operator = tokio::select! {
            () = reasons.watch.changed() => None,
            _ = reasons.hangup.recv() => None,
            Some(operator) = reasons.asked.recv() => Some(operator),
        };
        let outcome = match read_anew(composer, (&current, &snapshot.load_full()), &reasons.path).await {
            Ok((settings, composed)) => {
                snapshot.store(Arc::new(composed));
                composer.api.set_access(access(&settings, &snapshot.load()));
                composer.equip();
                reasons.watch.follow(&settings.files);
                current = settings;
                generation += 1;
                composer.metrics.configured(generation);
                tracing::info!(generation, "configuration reloaded");
                Ok(generation)
            }
            Err(mistakes) => {
                composer.metrics.reload_refused();
                tracing::error!("configuration not reloaded, the old one stays:\n{mistakes}");
                Err(mistakes)
            }
        };
        if let Some(operator) = operator {
            // whoever asked may have gone
            let _ = operator.send(outcome);
        }
    }
}

/// Who may come to the admin API, and whose users they can name there.
fn operators(settings: &Settings) -> Access {
    Access {
        operators: settings.admin.operators.clone(),
        hosts: settings.admin.hosts.clone(),
        providers: settings.providers.iter().map(|provider| provider.name.clone()).collect(),
        issuers: settings.issuers.iter().map(|issuer| issuer.issuer.name.clone()).collect(),
        limits: None,
    }
}

/// The same, and the limits they may look at.
fn access(settings: &Settings, snapshot: &Snapshot) -> Access {
    Access { limits: snapshot.gate.limits().cloned(), ..operators(settings) }
}

async fn read_anew(
    composer: &Composer,
    (current, before): (&Settings, &Snapshot),
    path: &std::path::Path,
) -> Result<(Settings, Snapshot), String> {
    let owned = path.to_owned();
    let loaded = tokio::task::spawn_blocking(move || config::load(&owned)).await.map_err(|error| error.to_string())?;
    let loaded = loaded.map_err(|mistakes| mistakes.to_string())?;
    if loaded.settings.routes.routes().is_empty() && !current.routes.routes().is_empty() {
        return Err("the file has no route any more: it looks cut short".to_owned());
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for key in config::restart_needed(current, &loaded.settings) {
        tracing::warn!(key, "changed, but takes effect only after a restart");
    }
    let composed = composer.compose(&loaded.settings, Some(before)).await?;
    // A slow name server must not keep the old policy in force.
    let _ = tokio::time::timeout(RELOAD_LOOKUP, resolve_all(&composed)).await;
    Ok((loaded.settings, composed))
}

/// One thread for everything that is not a request: keys, names, reloads.
fn control_runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

fn hangups(on: &Runtime) -> io::Result<Signal> {
    let _guard = on.enter();
    signal(SignalKind::hangup())
}

fn bind(workers: &Runtime, listen: &[Listen]) -> Result<Vec<Listener>, StartError> {
    let _guard = workers.enter();
    let bound = listen
        .iter()
        .map(|at| Listener::bind(at).map_err(|error| StartError::Settings(format!("cannot listen at {at}: {error}"))));
    bound.collect()
}
