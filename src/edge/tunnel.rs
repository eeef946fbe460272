//! Proxied WebSockets, by a tunnel of our own: Pingora's upgrade path tears a handshake now and then, and any await in
//! a body filter tears it every time (cloudflare/pingora#946). Ours can also end a socket with a Close frame.
//!
//! The request has the same permit and the same head rewriting as any other; only the bytes after 101 travel here.

use super::journey::Journey;
use super::proxy::{fail, forward_head, Proxy, ATTEMPTS};
use super::websocket::{close, Frames};
use super::{head::edit_response, outcome};
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::backward;
use crate::ports::{EdgeEvents, Stream as Kind};
use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::Stream;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// For a client to answer our Close, and for a frame to end so that one can be sent.
const PARTING: Duration = Duration::from_secs(1);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Interim answers before the final one.
const MOST_HINTS: usize = 8;
const GOING_AWAY: u16 = 1001;

/// Carries one admitted handshake to the backend and, when it agrees, everything after it.
pub(super) async fn run(proxy: &Proxy, session: &mut Session, journey: &mut Journey) -> Result<()> {
    let mut upstream = match connect(proxy, session, journey).await {
        Ok(upstream) => upstream,
        Err(denial) => {
            fail(session, journey, denial).await;
            return Ok(());
        }
    };
    let Some(mut answer) = upstream.resp_header().cloned() else { return Ok(()) };
    journey.books.answered(answer.status.as_u16());
    let idle = rewrite_answer(&mut answer, journey);
    upstream.read_timeout = None;
    session.set_read_timeout(None);
    session.set_write_timeout(Some(WRITE_TIMEOUT));
    let socket = answer.status == StatusCode::SWITCHING_PROTOCOLS;
    if socket {
        upstream.maybe_upgrade_body_writer();
        answer.insert_header(CONNECTION, HeaderValue::from_static("Upgrade"))?;
        answer.insert_header(UPGRADE, HeaderValue::from_static("websocket"))?;
    }
    session.as_downstream_mut().write_response_header(Box::new(answer)).await?;
    let ended = if socket {
        let _open = Open::new(&proxy.events);
        // Either side going away is how sockets end.
        exchange(session, &mut upstream, idle, proxy.shutdown.clone()).await.or(Ok(()))
    } else {
        relay(session, &mut upstream, idle).await
    };
    upstream.shutdown().await;
    let Err(mut error) = ended else { return Ok(()) };
    // What was cut off must not be finished as if it were whole; but what came of it is sent.
    session.set_keepalive(None);
    session.as_downstream_mut().shutdown().await;
    error.as_up();
    Err(error)
}

/// Sends the handshake and reads the backend's answer.
async fn connect(proxy: &Proxy, session: &Session, journey: &mut Journey) -> std::result::Result<HttpSession, Denial> {
    let unavailable = || Denial::new(Code::UpstreamUnavailable, "the upstream has no address");
    let mut head = session.req_header().clone();
    let rewritten = forward_head(&mut head, journey, true);
    rewritten.map_err(|_| Denial::new(Code::Internal, "forwarding without a permit"))?;
    let snapshot = Arc::clone(&journey.snapshot);
    let onward = journey.onward().ok_or_else(unavailable)?;
    let pool = snapshot.upstreams.get(onward.permit.upstream()).ok_or_else(unavailable)?;
    let mut failed = unavailable();
    for _ in 0..ATTEMPTS {
        let target = pool.pick().ok_or_else(unavailable)?;
        onward.target = Some(Arc::clone(&target));
        let handshake = match proxy.connector.new_stream(&target.tunnel).await {
            Ok(stream) => {
                handshake(stream, head.clone(), pool.settings().read_timeout).await.map_err(|error| (error, true))
            }
            // Nothing was sent yet: the next address may be tried.
            Err(error) => Err((error, false)),
        };
        match handshake {
            Ok(upstream) => {
                pool.answered(&target);
                return Ok(upstream);
            }
            Err((mut error, sent)) => {
                pool.failed(&target);
                error.as_up();
                failed = outcome::of(&error, None).unwrap_or_else(unavailable);
                if sent {
                    break;
                }
            }
        }
    }
    Err(failed)
}

/// One handshake on a fresh connection, up to the header of its final answer.
async fn handshake(stream: Stream, mut head: RequestHeader, patience: Duration) -> Result<HttpSession> {
    head.insert_header(CONNECTION, HeaderValue::from_static("Upgrade"))?;
    head.insert_header(UPGRADE, HeaderValue::from_static("websocket"))?;
    let mut upstream = HttpSession::new(stream);
    upstream.read_timeout = Some(patience);
    upstream.write_timeout = Some(WRITE_TIMEOUT);
    upstream.write_request_header(Box::new(head)).await?;
    for _ in 0..MOST_HINTS {
        upstream.read_response().await?;
        let status = upstream.resp_header().map(|header| header.status);
        // 100 and 103 may come first; the answer is what comes after them.
        if status.is_none_or(|status| !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS) {
            return Ok(upstream);
        }
    }
    Error::e_explain(ErrorType::InvalidHTTPHeader, "more interim answers than anybody sends")
}

/// Takes off what a backend has no business to say; returns how long the socket may be silent.
fn rewrite_answer(answer: &mut ResponseHeader, journey: &mut Journey) -> Duration {
    let snapshot = Arc::clone(&journey.snapshot);
    let Some(onward) = journey.onward() else { return Duration::ZERO };
    edit_response(answer, |parts| {
        backward::rewrite(&mut parts.headers, snapshot.gate.managed(), &onward.permit.backward());
    });
    let pool = snapshot.upstreams.get(onward.permit.upstream());
    pool.map(|pool| pool.settings().stream_idle).unwrap_or_default()
}

/// Bytes both ways until one side ends, nothing comes for `idle`, or we shut down.
async fn exchange(
    session: &mut Session,
    upstream: &mut HttpSession,
    idle: Duration,
    mut shutdown: watch::Receiver<bool>,
) -> Result<()> {
    let mut frames = Frames::default();
    let mut leaving = *shutdown.borrow_and_update();
    loop {
        if leaving && frames.between() {
            return part(session, GOING_AWAY, "server is going away").await;
        }
        let patience = if leaving { PARTING } else { idle };
        let event = tokio::time::timeout(patience, async {
            tokio::select! {
                sent = session.as_downstream_mut().read_request_body() => Event::FromClient(sent),
                came = upstream.read_body_bytes() => Event::FromBackend(came),
                changed = shutdown.changed(), if !leaving => { let _ = changed; Event::Shutdown }
            }
        });
        match event.await {
            Ok(Event::FromClient(sent)) => match sent? {
                Some(bytes) => drop(upstream.write_body(&bytes).await?),
                None => return Ok(()),
            },
            Ok(Event::FromBackend(came)) => match came? {
                Some(bytes) => {
                    frames.pass(&bytes);
                    session.as_downstream_mut().write_response_body(bytes, false).await?;
                }
                None => return Ok(()),
            },
            Ok(Event::Shutdown) => leaving = true,
            Err(_) => return Ok(()),
        }
    }
}

enum Event {
    FromClient(Result<Option<Bytes>>),
    FromBackend(Result<Option<Bytes>>),
    Shutdown,
}

/// Says goodbye and gives the client a moment to answer: closing with its bytes unread would reset the connection and
/// take the goodbye with it.
async fn part(session: &mut Session, code: u16, reason: &str) -> Result<()> {
    let downstream = session.as_downstream_mut();
    downstream.write_response_body(close(code, reason).into(), false).await?;
    let farewell = async { while let Ok(Some(_)) = downstream.read_request_body().await {} };
    let _ = tokio::time::timeout(PARTING, farewell).await;
    Ok(())
}

/// The backend declined: its answer goes to the client as it is.
async fn relay(session: &mut Session, upstream: &mut HttpSession, idle: Duration) -> Result<()> {
    upstream.read_timeout = Some(idle);
    while let Some(bytes) = upstream.read_body_bytes().await? {
        session.as_downstream_mut().write_response_body(bytes, false).await?;
    }
    session.as_downstream_mut().finish_body().await
}

/// An open socket, counted for as long as it lives.
struct Open<'e>(&'e Arc<dyn EdgeEvents>);

impl<'e> Open<'e> {
    fn new(events: &'e Arc<dyn EdgeEvents>) -> Self {
        events.stream_opened(Kind::WebSocket);
        Self(events)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.stream_closed(Kind::WebSocket);
    }
}
