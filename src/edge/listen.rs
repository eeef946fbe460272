//! Accepting connections: PROXY header, TLS or not, HTTP/1.1 or HTTP/2, all on one port.
//!
//! We accept ourselves instead of running Pingora's server: a taken port is an error at start rather than a panic in a
//! task, listeners go on accepting while the endpoints of a leaving pod still propagate, and the process ends when its
//! last connection does. Pingora's proxy takes each connection from here.

use super::connection::Connection;
use super::exchange::Requests;
use super::guarded::{Guarded, HeadLimits, Socket};
use super::proxy::Proxy;
use super::proxy_header;
use super::snapshot::Snapshot;
use crate::config::settings::Listen;
use crate::ports::EdgeEvents;
use arc_swap::ArcSwap;
use pingora::protocols::{Ssl, Stream, ALPN};
use pingora::proxy::HttpProxy;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The kernel caps this at somaxconn.
const BACKLOG: u32 = 65_535;
const TLS_RECORD: u8 = 0x16;
/// On the wire a head may be twice as long as allowed, to be answered with 431 rather than cut; with a TLS handshake
/// before it and records around it, and HTTP/2 settings.
const WIRE_ROOM: usize = 128 << 10;
/// After an accept that failed for want of file descriptors or memory.
const BREATH: Duration = Duration::from_millis(50);

/// Everything a new connection needs, on one of the workers.
pub(super) struct Front {
    pub(super) proxy: Arc<HttpProxy<Proxy>>,
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) events: Arc<dyn EdgeEvents>,
    /// Turns true when open connections should finish.
    pub(super) shutdown: watch::Receiver<bool>,
    pub(super) runtime: Handle,
    /// How many connections are open.
    pub(super) open: AtomicUsize,
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds `at`; a socket file left behind by a process that is gone is replaced.
    ///
    /// # Errors
    /// What the system says, for instance that the address is taken.
    pub fn bind(at: &Listen) -> io::Result<Self> {
        match at {
            Listen::Tcp(address) => bind_tcp(*address).map(Self::Tcp),
            Listen::Unix(path) => bind_unix(path).map(Self::Unix),
        }
    }

    /// The address in use, with the port the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // A response head must not wait for the acknowledgement of the one before.
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream.into_std()?, peer.ip().to_canonical()))
            }
            Self::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
        }
    }
}

/// A connection of no runtime yet.
enum Accepted {
    Tcp(std::net::TcpStream, IpAddr),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// On the runtime that asks.
    fn enter(self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(stream, ip) => Ok((TcpStream::from_std(stream)?.into(), Some(ip))),
            Self::Unix(stream) => Ok((UnixStream::from_std(stream)?.into(), None)),
        }
    }
}

/// Accepts until told to stop, then waits for the connections it accepted.
pub(super) async fn serve(listener: Listener, fronts: Arc<[Arc<Front>]>, mut stop: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => hand_over(accepted, &fronts, &mut open),
                Err(_) => tokio::time::sleep(BREATH).await,
            },
            Some(_) = open.join_next() => {}
            () = told(&mut stop) => break,
        }
    }
    // What the kernel has accepted for us already would be reset with the listener.
    while let Ok(Ok(accepted)) = tokio::time::timeout(Duration::ZERO, listener.accept()).await {
        hand_over(accepted, &fronts, &mut open);
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// To the worker with the fewest connections: where it is served is settled for as long as it lives.
fn hand_over(accepted: Accepted, fronts: &[Arc<Front>], open: &mut JoinSet<()>) {
    let fewest = fronts.iter().min_by_key(|front| front.open.load(Ordering::Relaxed));
    if let Some(front) = fewest {
        open.spawn_on(Open::at(front).serve(accepted), &front.runtime);
    }
}

/// Resolves once `stop` is true, or nobody is left to say so.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// An open connection, counted for as long as it lives.
struct Open(Arc<Front>);

impl Open {
    fn at(front: &Arc<Front>) -> Self {
        front.open.fetch_add(1, Ordering::Relaxed);
        front.events.connection_opened();
        Self(Arc::clone(front))
    }

    async fn serve(self, accepted: Accepted) {
        let front = &self.0;
        let Ok((socket, ip)) = accepted.enter() else { return };
        let snapshot = front.snapshot.load_full();
        let limits = snapshot.limits;
        let guarded = Guarded::new(
            socket,
            HeadLimits {
                within: limits.header_timeout,
                bytes: limits.max_header.saturating_mul(2).saturating_add(WIRE_ROOM),
            },
            Arc::clone(&front.events),
        );
        // Silence, a stalled PROXY header and a stalled handshake all end here.
        let opened = tokio::time::timeout(limits.header_timeout, open(&snapshot, guarded, ip)).await;
        drop(snapshot);
        if let Ok(Some((stream, connection))) = opened {
            Requests::new(Arc::clone(&front.proxy), connection, limits).serve(stream, &front.shutdown).await;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.events.connection_closed();
    }
}

/// Everything before HTTP. `None` ends the connection: there is nobody to answer yet.
async fn open(snapshot: &Snapshot, mut stream: Guarded, ip: Option<IpAddr>) -> Option<(Stream, Arc<Connection>)> {
    let announced = snapshot.proxy_protocol && snapshot.gate.trusts(ip);
    let ip = if announced { proxy_header::read(&mut stream).await.ok()?.client().or(ip) } else { ip };
    let first = stream.look(1).await.ok()?.first().copied()?;
    if let (Some(tls), TLS_RECORD) = (&snapshot.tls, first) {
        let connection = Connection::new(ip, true);
        stream.introduce(&connection);
        let stream = tls.0.tls_handshake(stream).await.ok()?;
        if stream.selected_alpn_proto() == Some(ALPN::H2) {
            connection.agreed_on_http2();
        }
        return Some((Box::new(stream), connection));
    }
    let connection = Connection::new(ip, false);
    stream.introduce(&connection);
    // Pingora asks the same in a moment, of what is at hand by then.
    if stream.speaks_h2().await.ok()? {
        connection.agreed_on_http2();
    }
    Some((Box::new(stream), connection))
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            // Taken by a living process, or left behind by a dead one?
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}
