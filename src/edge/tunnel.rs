//! Proxied WebSockets, by a tunnel of our own: Pingora's upgrade path tears a handshake now and then, and any await in
//! a body filter tears it every time (cloudflare/pingora#946). Ours can also end a socket with a Close frame.
//!
//! The request has the same permit and the same head rewriting as any other; only the bytes after 101 travel here.

use super::journey::Journey;
use super::kill::Stay;
use super::proxy::{fail, forward_head, Proxy, ATTEMPTS};
use super::websocket::{close, Frames};
use super::{head::edit_response, outcome};
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::backward;
use crate::ports::Stream as Kind;
use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::v1::client::HttpSession;
use pingora::protocols::Stream;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use std::future::Future;
use std::pin::{pin, Pin};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For a client to answer our Close, and for a frame to end so that one can be sent.
const PARTING: Duration = Duration::from_secs(1);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Interim answers before the final one.
const MOST_HINTS: usize = 8;
/// For the frame at hand to end, once the socket's time is over.
const LAST_FRAME: Duration = Duration::from_millis(50);
const GOING_AWAY: u16 = 1001;
const POLICY_VIOLATION: u16 = 1008;

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
        let mut over = Over::new(Stay::new(Kind::WebSocket, journey.holder(), &proxy.registry));
        let used = || {
            if let Some(holder) = journey.holder() {
                holder.note_use((proxy.clock)())
            }
        };
        // Either side going away is how sockets end.
        let _ = exchange((session, &mut upstream), idle, (proxy, &used), &mut over).await;
        if let Some((denial, _)) = over.denial {
            session.set_keepalive(None);
            journey.was_cut(denial);
        }
        Ok(())
    } else {
        journey.lasts(Kind::Http, &proxy.registry);
        relay(session, &mut upstream, idle, journey).await
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
    let (snapshot, onward) = journey.parts();
    let onward = onward.ok_or_else(unavailable)?;
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
    let (snapshot, Some(onward)) = journey.parts() else { return Duration::ZERO };
    let backward = onward.permit.backward(true);
    edit_response(answer, |parts| backward::rewrite(&mut parts.headers, snapshot.gate.managed(), backward));
    let pool = snapshot.upstreams.get(onward.permit.upstream());
    pool.map(|pool| pool.settings().stream_idle).unwrap_or_default()
}

/// Bytes both ways until one side ends, nothing comes for `idle`, we shut down, or the socket's time is over.
async fn exchange(
    (session, upstream): (&mut Session, &mut HttpSession),
    idle: Duration,
    (proxy, used): (&Proxy, &(dyn Fn() + Sync)),
    over: &mut Over,
) -> Result<()> {
    let mut shutdown = proxy.shutdown.clone();
    let (mut frames, mut asked) = (Frames::default(), Frames::default());
    let mut goodbye = shutdown.borrow_and_update().then(|| leave(proxy));
    loop {
        if let Some(goodbye) = goodbye.filter(|_| frames.between()) {
            return part(session, upstream, goodbye).await;
        }
        let (leaving, cut) = (goodbye.is_some(), over.denial.is_some());
        let patience = over.left().unwrap_or(if leaving { PARTING } else { idle });
        let event = tokio::time::timeout(patience, async {
            tokio::select! {
                // From whoever may no longer send nothing is passed on.
                sent = session.as_downstream_mut().read_request_body(), if !cut => Event::FromClient(sent),
                came = upstream.read_body_bytes() => Event::FromBackend(came),
                changed = shutdown.changed(), if !leaving => { let _ = changed; Event::Shutdown }
                () = over.happens(), if !cut => Event::Over,
            }
        });
        match event.await {
            Ok(Event::FromClient(sent)) => match sent? {
                Some(bytes) => {
                    asked.pass(&bytes);
                    if asked.spoke() {
                        used();
                    }
                    over.meanwhile(upstream.write_body(&bytes)).await.map(drop)?;
                }
                None => return Ok(()),
            },
            Ok(Event::FromBackend(came)) => {
                let Some(mut bytes) = came? else { return Ok(()) };
                if leaving {
                    bytes.truncate(frames.finish(&bytes));
                } else {
                    frames.pass(&bytes);
                }
                over.meanwhile(session.as_downstream_mut().write_response_body(bytes, false)).await?;
            }
            Ok(Event::Shutdown) => goodbye = Some(leave(proxy)),
            Ok(Event::Over) => {}
            Err(_) => return Ok(()),
        }
        goodbye = over.goodbye().or(goodbye);
    }
}

enum Event {
    FromClient(Result<Option<Bytes>>),
    FromBackend(Result<Option<Bytes>>),
    Shutdown,
    Over,
}

/// Code and reason of a Close.
type Goodbye = (u16, &'static str);

fn leave(proxy: &Proxy) -> Goodbye {
    proxy.events.stream_cut("drain");
    (GOING_AWAY, "server is going away")
}

/// Says goodbye and gives the client a moment to answer: closing with its bytes unread would reset the connection and
/// take the goodbye with it. For the backend the socket ends at once.
async fn part(session: &mut Session, upstream: &mut HttpSession, (code, reason): Goodbye) -> Result<()> {
    let downstream = session.as_downstream_mut();
    let said = downstream.write_response_body(close(code, reason).into(), false);
    tokio::time::timeout(PARTING, said).await.unwrap_or(Ok(()))?;
    let _ = tokio::time::timeout(PARTING, upstream.shutdown()).await;
    let farewell = async { while let Ok(Some(_)) = downstream.read_request_body().await {} };
    let _ = tokio::time::timeout(PARTING, farewell).await;
    Ok(())
}

/// Whether the socket's time is over, and since when.
struct Over {
    stay: Pin<Box<dyn Future<Output = Denial> + Send>>,
    denial: Option<(Denial, Instant)>,
}

impl Over {
    fn new(stay: Stay) -> Self {
        Self { stay: Box::pin(stay.over()), denial: None }
    }

    async fn happens(&mut self) {
        if self.denial.is_none() {
            self.denial = Some((self.stay.as_mut().await, Instant::now()));
        }
    }

    /// What is left for the frame at hand.
    fn left(&self) -> Option<Duration> {
        self.denial.as_ref().map(|(_, since)| LAST_FRAME.saturating_sub(since.elapsed()))
    }

    fn goodbye(&self) -> Option<Goodbye> {
        self.denial.as_ref().map(|(denial, _)| (POLICY_VIOLATION, denial.code.name()))
    }

    /// Finishes `write`, but does not wait for somebody who takes nothing once the time is over.
    async fn meanwhile<T>(&mut self, write: impl Future<Output = Result<T>>) -> Result<T> {
        let mut write = pin!(write);
        tokio::select! {
            biased;
            written = &mut write => return written,
            () = self.happens() => {}
        }
        match tokio::time::timeout(self.left().unwrap_or_default(), write).await {
            Ok(written) => written,
            Err(_) => Error::e_explain(ErrorType::WriteTimedout, "cut in the middle of a frame"),
        }
    }
}

/// The backend declined: its answer goes to the client as it is.
async fn relay(session: &mut Session, upstream: &mut HttpSession, idle: Duration, journey: &mut Journey) -> Result<()> {
    upstream.read_timeout = Some(idle);
    while let Some(bytes) = upstream.read_body_bytes().await? {
        if upstream.is_body_done() {
            journey.is_done(session);
        }
        session.as_downstream_mut().write_response_body(bytes, false).await?;
    }
    journey.is_done(session);
    session.as_downstream_mut().finish_body().await
}
