//! The composition root: settings become adapters, adapters a gate, and the gate is put in front of the sockets. Also
//! the reload loop: a file that does not resolve leaves everything as it was.

mod compose;
mod counting;
mod degraded;
mod housekeeping;
mod ignored;
mod memory;
mod prepared;
mod ring_copy;
mod shared;
mod sign_in;
mod state_dir;
mod terms;
mod trouble;

use crate::admin::api::{Access, Api};
use crate::admin::{self, health::Readiness, AdminServer, AdminState};
use crate::config::settings::{Listen, Settings};
use crate::config::{self, watch::Watch};
use crate::domain::principal::SourceName;
use crate::edge::kill::Registry;
use crate::edge::lifecycle::{Edge, Leave};
use crate::edge::listen::Listener;
use crate::edge::snapshot::Snapshot;
use crate::edge::workers::Workers;
use crate::observe::access::AccessLog;
use crate::observe::audit::AuditLog;
use crate::observe::clock;
use crate::observe::metrics::Metrics;
use crate::observe::sink::LogSink;
use crate::pipeline::api_keys;
use arc_swap::ArcSwap;
pub(crate) use compose::gate;
use compose::Composer;
use counting::Counting;
use housekeeping::{keep_house, resolve_all};
use parking_lot::Mutex;
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
    /// Of the thread that accepts, and waits for signals.
    front: Runtime,
    workers: Workers,
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
        let front = Builder::new_current_thread().enable_all().build()?;
        let workers = Workers::start(settings.server.threads)?;
        let state = Arc::new(AdminState { metrics: Arc::clone(&metrics), readiness: Readiness::new(), api });
        let admin = admin::serve(settings.admin.listen, settings.admin.health, Arc::clone(&state))?;
        let listeners = bind(&front, &settings.server.listen)?;
        let signals = Signals::listen(&front)?;
        let hangup = file.is_some().then(|| hangups(&control)).transpose()?;
        let snapshot = control.block_on(async {
            let snapshot = composer.compose(&settings, None).await.map_err(StartError::Settings)?;
            let _ = tokio::time::timeout(FIRST_LOOKUP, resolve_all(&snapshot)).await;
            Ok::<_, StartError>(Arc::new(ArcSwap::from_pointee(snapshot)))
        })?;
        composer.equip();
        composer.api.set_access(access(&settings, &snapshot.load(), &composer));
        metrics.configured(1);
        state.readiness.set_blind(composer.sign_in.initialized());
        let watched = Arc::clone(&state);
        let edge = Edge {
            snapshot: Arc::clone(&snapshot),
            events: metrics,
            registry: Arc::clone(&composer.registry),
            listeners,
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
        Ok(Self { composer: keeper, edge, front, workers, state, admin, logs, signals })
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
        let Self { composer, edge, front, workers, state, admin, logs, signals } = self;
        let snapshot = Arc::clone(&edge.snapshot);
        let Signals { mut term, mut interrupt } = signals;
        front.block_on(async {
            let (said, mut heard) = tokio::sync::watch::channel(None);
            let leave = async move {
                // The sender lives as long as this runs.
                let leave = heard.wait_for(Option::is_some).await.ok().and_then(|leave| *leave);
                leave.unwrap_or(Leave::Now)
            };
            let ready = Arc::clone(&state);
            let serving = edge.run(&workers, leave, move || state.readiness.set_draining());
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
        // What is cut with them has its lines too.
        drop(workers);
        logs.flush();
        front.shutdown_background();
        drop(admin);
    }
}

impl Signals {
    fn listen(on: &Runtime) -> io::Result<Self> {
        let _guard = on.enter();
        Ok(Self { term: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }
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
                composer.api.set_access(access(&settings, &snapshot.load(), composer));
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
    let api_keys = SourceName::new(api_keys::SOURCE);
    Access {
        operators: settings.admin.operators.clone(),
        hosts: settings.admin.hosts.clone(),
        providers: settings.providers.iter().map(|provider| provider.name.clone()).collect(),
        issuers: settings.issuers.iter().map(|issuer| issuer.issuer.name.clone()).chain([api_keys]).collect(),
        limits: None,
        failures: None,
    }
}

/// The same, and what they may look at.
fn access(settings: &Settings, snapshot: &Snapshot, composer: &Composer) -> Access {
    let failures = composer.sign_in.get().map(|opened| Arc::clone(&opened.failures) as _);
    Access { limits: snapshot.gate.limits().cloned(), failures, ..operators(settings) }
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
