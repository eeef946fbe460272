//! From the first accepted connection to the last: running the edge, and leaving without failing a request.
//!
//! On SIGTERM: unready at once; for `pre_stop` everything goes on, but answers close their connections, so that
//! clients move on by themselves; then nothing new is accepted and what is in flight may finish within `max`.

use super::kill::Registry;
use super::listen::{serve, Front, Listener};
use super::proxy::Proxy;
use super::snapshot::Snapshot;
use super::workers::Workers;
use crate::domain::time::UnixTime;
use crate::ports::EdgeEvents;
use arc_swap::ArcSwap;
use pingora::apps::HttpServerApp;
use pingora::connectors::TransportConnector;
use pingora::proxy::{http_proxy, HttpProxy};
use pingora::server::configuration::ServerConf;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The first attempt included. A connection attempt that failed may be repeated for any request; a request that was
/// sent only where Pingora's rules allow it: idempotent, whole, and on a connection that had been idle.
const MAX_RETRIES: usize = 2;
/// Between the last accept and the end of idle connections.
const LAST_CALL: Duration = Duration::from_millis(500);
/// Idle connections to backends, of each worker.
const UPSTREAM_POOL: usize = 256;

/// What the edge runs with; all of it needs a restart to change but the snapshot.
pub struct Edge {
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    pub events: Arc<dyn EdgeEvents>,
    /// What revocations cut.
    pub registry: Arc<Registry>,
    pub listeners: Vec<Listener>,
    pub clock: fn() -> UnixTime,
}

/// What asked us to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// An orchestrator: others still learn that we go.
    Gracefully,
    /// A person at a terminal: nobody is to be told.
    Now,
}

/// How long leaving may take.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    pub pre_stop: Duration,
    pub max: Duration,
}

impl Edge {
    /// Serves until `leave` resolves, then drains. `unready` is called the moment leaving begins.
    /// The `workers` outlive it: what requests left to be done still goes on there.
    pub async fn run(self, workers: &Workers, leave: impl Future<Output = Leave>, unready: impl FnOnce()) {
        let draining = Arc::new(AtomicBool::new(false));
        let (stop_accepting, stopped) = watch::channel(false);
        let (finish, finishing) = watch::channel(false);
        let fronts = self.fronts(workers, &draining, &finishing);
        let mut serving = JoinSet::new();
        for listener in self.listeners {
            serving.spawn(serve(listener, Arc::clone(&fronts), stopped.clone()));
        }
        let leave = leave.await;
        let drain = self.snapshot.load().drain;
        draining.store(true, Ordering::Relaxed);
        unready();
        if leave == Leave::Gracefully {
            tokio::time::sleep(drain.pre_stop).await;
        }
        stop_accepting.send_replace(true);
        let mut all_done = std::pin::pin!(async { while serving.join_next().await.is_some() {} });
        // Whoever connected a moment ago still has a request to send.
        if tokio::time::timeout(LAST_CALL.min(drain.max), &mut all_done).await.is_ok() {
            return;
        }
        finish.send_replace(true);
        for front in fronts.iter() {
            front.proxy.http_cleanup().await;
        }
        if tokio::time::timeout(drain.max, all_done).await.is_err() {
            tracing::warn!("connections were still open at the end of the drain and are cut");
        }
    }

    /// One for each worker, with connections to backends of its own.
    fn fronts(
        &self,
        workers: &Workers,
        draining: &Arc<AtomicBool>,
        shutdown: &watch::Receiver<bool>,
    ) -> Arc<[Arc<Front>]> {
        let connector = Arc::new(TransportConnector::new(None));
        let front = |runtime: &Handle| {
            let proxy = Proxy {
                snapshot: Arc::clone(&self.snapshot),
                events: Arc::clone(&self.events),
                registry: Arc::clone(&self.registry),
                connector: Arc::clone(&connector),
                draining: Arc::clone(draining),
                shutdown: shutdown.clone(),
                clock: self.clock,
            };
            let proxy: HttpProxy<Proxy> = http_proxy(&Arc::new(pingora_conf()), proxy);
            let (snapshot, events) = (Arc::clone(&self.snapshot), Arc::clone(&self.events));
            let (runtime, shutdown) = (runtime.clone(), shutdown.clone());
            Arc::new(Front { proxy: Arc::new(proxy), snapshot, events, shutdown, runtime, open: AtomicUsize::new(0) })
        };
        workers.runtimes().map(front).collect()
    }
}

fn pingora_conf() -> ServerConf {
    ServerConf {
        threads: 1,
        max_retries: MAX_RETRIES,
        upstream_keepalive_pool_size: UPSTREAM_POOL,
        ..ServerConf::default()
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Edge").field("listeners", &self.listeners).finish_non_exhaustive()
    }
}
