//! The admin listeners: for operators, kubelet and Prometheus, apart from the traffic they watch.
//!
//! Without an operator's token there are health and metrics, and nothing else.
//!
//! They have a thread and a runtime of their own, so that a gate with all hands full still answers whether it lives.

pub mod api;
pub mod health;

use crate::observe::metrics::Metrics;
use api::{Api, Peer};
use health::Readiness;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{oneshot, Semaphore};
use tokio::time::timeout;

/// What the admin listeners tell about.
#[derive(Debug)]
pub struct AdminState {
    pub metrics: Arc<Metrics>,
    pub readiness: Readiness,
    pub api: Arc<Api>,
}

/// What a listener answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    Everything,
    HealthOnly,
}

/// Running admin listeners. They stop when this is dropped.
#[derive(Debug)]
pub struct AdminServer {
    pub listen: SocketAddr,
    pub health: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A header that takes longer ends the connection; so does idleness between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// After so long a connection is asked nothing more.
const LIFETIME: Duration = Duration::from_secs(60);
/// What it was asked before is answered within this time; one that never reads its answer holds a seat until then. Nobody
/// waits for replicas or a store that long.
const LAST_ANSWER: Duration = Duration::from_secs(60);
/// Each listener has its own seats: a crowd at one leaves kubelet its place at the other.
const SEATS: usize = 256;
const MAX_HEADER: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// Out of file descriptors, accepting fails at once and again; without a pause the thread would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Binds and serves. A port that is taken is an error here and now, not a message later.
///
/// # Errors
/// When an address cannot be bound, or the thread not started.
pub fn serve(listen: SocketAddr, health: Option<SocketAddr>, state: Arc<AdminState>) -> io::Result<AdminServer> {
    let admin = bind(listen)?;
    let health = health.map(bind).transpose()?;
    let listen = admin.local_addr()?;
    let health_address = health.as_ref().map(TcpListener::local_addr).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel();
    let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::spawn(accept(admin, Serves::Everything, Arc::clone(&state)));
            if let Some(health) = health {
                tokio::spawn(accept(health, Serves::HealthOnly, Arc::clone(&state)));
            }
            // an error says that the server was dropped, which means the same
            let _ = stopped.await;
        });
    })?;
    Ok(AdminServer { listen, health: health_address, stop: Some(stop), thread: Some(thread) })
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(named)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(listener: TcpListener, serves: Serves, state: Arc<AdminState>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "an admin listener cannot be served"),
    };
    let seats = Arc::new(Semaphore::new(SEATS));
    // a seat before the connection: who finds none waits in the backlog of the kernel, which is bounded
    while let Ok(seat) = Arc::clone(&seats).acquire_owned().await {
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let peer = stream.local_addr().ok().map(|own| Peer { client: peer.ip(), own });
        let peer = peer.filter(|_| serves == Serves::Everything);
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            converse(stream, peer, state).await;
            drop(seat);
        });
    }
}

/// `peer` is known where the API answers too.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Option<Peer>,
    state: Arc<AdminState>,
) {
    let answer = service_fn(move |request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let asks_api = request.uri().path().starts_with(api::PREFIX) && state.api.is_open();
            let response = match peer.filter(|_| asks_api) {
                Some(peer) => Arc::clone(&state.api).respond(request, peer).await,
                None => health::respond(&state, request.method(), request.uri().path()),
            };
            Ok::<Response<Full<Bytes>>, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEADER)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    let served = match timeout(LIFETIME, connection.as_mut()).await {
        Ok(served) => Ok(served),
        Err(_) => {
            connection.as_mut().graceful_shutdown();
            timeout(LAST_ANSWER, connection).await
        }
    };
    match served {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "an admin connection ended early"),
        Err(_) => tracing::debug!("an admin connection never took its answer"),
    }
}

impl Drop for AdminServer {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
