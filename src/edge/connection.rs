//! What is known of one client connection, shared between its stream and the requests on it.

use super::deadline::Deadline;
use super::exchange::Bounds;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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
    /// Of the HTTP/1 request that is being served. Between two requests the deadline is the client's.
    bounds: Bounds,
}

impl Connection {
    #[must_use]
    pub fn new(ip: Option<IpAddr>, tls: bool) -> Arc<Self> {
        Arc::new(Self { ip, tls, turn: AtomicU32::new(0), http2: AtomicBool::new(false), bounds: Bounds::new() })
    }

    /// A request head is complete: the stream stops waiting for one.
    pub fn begin(&self) {
        self.bounds.deadline.lift();
        self.turn.fetch_or(1, Ordering::Relaxed);
    }

    /// The request is over: what comes next is another head, within `idle`.
    pub fn end(&self, now: Instant, idle: Duration) {
        let turn = self.turn.load(Ordering::Relaxed);
        if turn & 1 == 1 && turn != FRAMES {
            self.bounds.deadline.expect(now, idle);
            self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        }
    }

    /// Whoever's turn it is must send something by then, or the stream of this connection reports an error. Pingora has
    /// one timeout for the response header and for every piece of the body, running while the request body is still
    /// being sent; only here are they told apart.
    pub(super) fn deadline(&self) -> &Deadline {
        &self.bounds.deadline
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
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
}
