//! What is known of one client connection, shared between its stream and the requests on it.

use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::Digest;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The turn of an HTTP/2 connection; odd, so that it never awaits a head.
const FRAMES: u32 = u32::MAX;

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    /// The TCP peer, or the source a trusted PROXY header named; `None` on a unix socket.
    pub ip: Option<IpAddr>,
    pub tls: bool,
    /// Odd while an HTTP/1 request is being served, even while one is awaited.
    turn: AtomicU32,
    /// Set before the first request, once the client has agreed on HTTP/2 or shown its preface.
    http2: AtomicBool,
    opened: Instant,
    /// When something must have come, in milliseconds since `opened`; 0 when nothing is expected. While a request is
    /// served it is the backend's to send, between two requests the client's.
    due: AtomicU64,
}

impl Connection {
    #[must_use]
    pub fn new(ip: Option<IpAddr>, tls: bool) -> Arc<Self> {
        Arc::new(Self {
            ip,
            tls,
            turn: AtomicU32::new(0),
            http2: AtomicBool::new(false),
            opened: Instant::now(),
            due: AtomicU64::new(0),
        })
    }

    /// A request head is complete: the stream stops waiting for one.
    pub fn begin(&self) {
        self.due.store(0, Ordering::Relaxed);
        self.turn.fetch_or(1, Ordering::Relaxed);
    }

    /// The request is over: what comes next is another head, within `idle`.
    pub fn end(&self, now: Instant, idle: Duration) {
        let turn = self.turn.load(Ordering::Relaxed);
        if turn & 1 == 1 && turn != FRAMES {
            self.expect(now, idle);
            self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Whoever's turn it is must send something within `patience`, or the stream of this connection reports an error.
    /// Pingora has one timeout for the response header and for every piece of the body, running while the request
    /// body is still being sent; only here are they told apart.
    pub(super) fn expect(&self, now: Instant, patience: Duration) {
        let due = (now.saturating_duration_since(self.opened) + patience).as_millis();
        self.due.store(u64::try_from(due).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.due.load(Ordering::Relaxed);
        (due != 0).then(|| self.opened + Duration::from_millis(due))
    }

    /// Whether the client speaks HTTP/2, whose streams cannot be told anything through their connection.
    pub(super) fn has_frames(&self) -> bool {
        self.turn() == FRAMES
    }

    /// The first request of an HTTP/2 connection has come: from here on there are frames, which are not heads, and
    /// Pingora's idle timeout bounds the connection. Until then nothing does but the deadline of a first head.
    pub(super) fn speaks_frames(&self) {
        self.turn.store(FRAMES, Ordering::Relaxed);
    }

    /// HTTP/2 comes. The deadline of a first head holds until its first request, but no byte cap: behind the head a body
    /// may arrive before anybody has looked at it, and flow control bounds what does.
    pub(super) fn agreed_on_http2(&self) {
        self.http2.store(true, Ordering::Relaxed);
    }

    pub(super) fn caps_heads(&self) -> bool {
        !self.http2.load(Ordering::Relaxed)
    }

    pub(super) fn turn(&self) -> u32 {
        self.turn.load(Ordering::Relaxed)
    }

    /// Wraps the connection so that Pingora carries it to the request hooks: the digest's user data is the only
    /// thing of ours that travels from a stream to a session, on HTTP/1 and HTTP/2, plain and TLS.
    pub(super) fn digest(self: &Arc<Self>) -> Option<Arc<ProxyDigest>> {
        let header = ResponseHeader::build(200, Some(0)).ok()?;
        Some(Arc::new(ProxyDigest::new(Box::new(header), Some(Box::new(Arc::clone(self))))))
    }

    /// The connection a session runs on.
    pub(super) fn of(digest: Option<&Digest>) -> Option<Arc<Self>> {
        let user_data = digest?.proxy_digest.as_ref()?.user_data.as_ref()?;
        user_data.downcast_ref::<Arc<Self>>().map(Arc::clone)
    }
}
