//! Pingora's phases, each handed on in a few lines.

use super::head::{edit_request, edit_response, raw};
use super::journey::{Books, Journey, Onward, Stage, Wait};
use super::kill::Registry;
use super::snapshot::Snapshot;
use super::{outcome, own, respond, tunnel};
use crate::domain::denial::{Code, Denial};
use crate::domain::headers::rewrite::erase_from_trailers;
use crate::domain::headers::{self, backward, rewrite};
use crate::domain::request::{declared_length, Upgrade};
use crate::domain::time::UnixTime;
use crate::pipeline::degraded::X_DOORWARD_DEGRADED;
use crate::pipeline::{Answer, Arrival, Permit};
use crate::ports::{EdgeEvents, Stream};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use pingora::connectors::TransportConnector;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::HttpPeer;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connection attempts for one request, the first included.
pub(super) const ATTEMPTS: u8 = 2;
/// Room for what we set on a request, made at once.
const ADDED_HEADERS: usize = 16;
/// An answer of this size comes in one piece; should it not, that is noticed with the first.
const AT_ONCE: u64 = 64 << 10;
/// A client that takes nothing for this long is gone.
const CLIENT_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The proxy. One for the life of the process; what it decides with is in the snapshot.
pub(super) struct Proxy {
    pub(super) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(super) events: Arc<dyn EdgeEvents>,
    pub(super) registry: Arc<Registry>,
    /// For tunnels. All workers share it: it keeps no connections, and reading the system's certificates takes time and
    /// memory.
    pub(super) connector: Arc<TransportConnector>,
    /// Set from the first sign of shutdown: connections are told to close after their answer.
    pub(super) draining: Arc<AtomicBool>,
    pub(super) shutdown: tokio::sync::watch::Receiver<bool>,
    pub(super) clock: fn() -> UnixTime,
}

impl Proxy {
    /// What becomes of the request: a permit, or an answer of ours.
    async fn decide(&self, session: &Session, journey: &mut Journey) -> Result<Permit, Answer> {
        let Some(peer) = journey.arrive(session) else {
            return Err(Denial::new(Code::Internal, "a request without a connection").into());
        };
        let wire = session.as_downstream().as_http1().map(|http1| http1.get_headers_raw_bytes());
        let head = raw(session, wire.as_deref());
        if head.size() > journey.snapshot.limits.max_header {
            return Err(Denial::new(Code::HeaderTooLarge, "the request head is above max_header").into());
        }
        let arrival = Arrival { head, peer, now: (self.clock)() };
        journey.snapshot.gate.admit(&arrival).await
    }

    /// Bounds on this session that Pingora leaves open. How long it may idle between requests the stream knows.
    fn bound(&self, session: &mut Session, snapshot: &Snapshot) {
        if self.draining.load(Ordering::Relaxed) {
            session.set_keepalive(None);
        }
        session.set_read_timeout(Some(snapshot.limits.idle_timeout));
        session.set_write_timeout(Some(CLIENT_WRITE_TIMEOUT));
    }
}

#[async_trait]
impl ProxyHttp for Proxy {
    /// Boxed: Pingora hands it from future to future by value, and each keeps room for it.
    type CTX = Box<Journey>;

    fn new_ctx(&self) -> Self::CTX {
        Box::new(Journey::begin(self.snapshot.load_full()))
    }

    /// None: the default would add a compression module to every request.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, journey: &mut Self::CTX) -> Result<bool> {
        self.bound(session, &journey.snapshot);
        let decided = self.decide(session, journey).await;
        journey.books.decided();
        match decided {
            Ok(permit) => {
                let upgrade = permit.upgrade();
                journey.stage = Stage::Admitted(Onward::new(permit));
                if upgrade == Upgrade::WebSocket {
                    // Boxed: the tunnel's state is large, and every request would carry room for it.
                    Box::pin(tunnel::run(self, session, journey)).await?;
                    return Ok(true);
                }
                Ok(false)
            }
            Err(answer) => {
                let (own, answer) = answer.split_own();
                if let Some(request) = own {
                    journey.stage = Stage::Answered(answer);
                    Box::pin(own::serve(self, session, journey, request)).await?;
                    return Ok(true);
                }
                if answer.denial().is_some_and(|denial| denial.code == Code::BadFraming) {
                    session.set_keepalive(None);
                }
                journey.books.answered(answer.status());
                respond::send(session, &answer, journey.request_id()).await?;
                journey.stage = Stage::Answered(answer);
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, journey: &mut Self::CTX) -> Result<Box<HttpPeer>> {
        let (snapshot, Some(onward)) = journey.parts() else {
            return Error::e_explain(ErrorType::InternalError, "forwarding without a permit");
        };
        let Some(pool) = snapshot.upstreams.get(onward.permit.upstream()) else {
            return Error::e_explain(ErrorType::InternalError, "no such upstream");
        };
        let Some(target) = pool.pick() else {
            return Err(outcome::no_address());
        };
        let peer = pool.peer(&target);
        onward.attempts += 1;
        // A request that is sent again is counted again.
        onward.body = 0;
        onward.target = Some(target);
        onward.call = is_call(session);
        onward.waits_for = None;
        Ok(peer)
    }

    /// Here and not earlier: Pingora removes what `Connection` names before this phase, so that a client could have
    /// had true headers removed had they been set by then.
    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        head: &mut RequestHeader,
        journey: &mut Self::CTX,
    ) -> Result<()> {
        let first = if session.as_downstream_mut().is_body_empty() { Wait::Header } else { Wait::Client };
        let (again, call) = journey.onward().map_or((false, false), |onward| (onward.attempts > 1, onward.call));
        journey.expect(first, |books| if again { Instant::now() } else { books.latest() });
        if call {
            session.set_read_timeout(None);
            journey.lasts(Stream::Grpc, &self.registry);
        }
        forward_head(head, journey, false)?;
        // For Pingora a stream of ours is a protocol of its own, and loses this on its way: gRPC servers look for it.
        if journey.has_stream() && head.version == Version::HTTP_2 {
            let te = session.req_header().headers.get(TE);
            if te.is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers")) {
                head.insert_header(TE, HeaderValue::from_static("trailers"))?;
            }
        }
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        journey: &mut Self::CTX,
    ) -> Result<()> {
        // An empty last DATA frame would make Pingora write the chunked terminator twice to an HTTP/1 backend: the
        // second one is the beginning of somebody else's request (cloudflare/pingora#935).
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        let answered = journey.books.status != 0;
        let wait = match (answered, end) {
            (true, _) => Wait::Body,
            (false, true) => Wait::Header,
            (false, false) => Wait::Client,
        };
        journey.expect(wait, |_| Instant::now());
        if !end {
            journey.lasts(Stream::Http, &self.registry);
        }
        let (Some(piece), (snapshot, Some(onward))) = (body.as_ref(), journey.parts()) else { return Ok(()) };
        onward.body += piece.len() as u64;
        let most = snapshot.gate.route(&onward.permit).map_or(0, |route| route.forwarding.max_body);
        if onward.body > most {
            onward.failure = Some(Denial::too_large());
            return Error::e_explain(ErrorType::HTTPStatus(413), "request body above max_body");
        }
        // While an answer comes, a client may well take its time with the rest; beyond its end there is nothing to wait for.
        let due = !answered || onward.answered;
        if due && !end && journey.body_drips() {
            if let Some(onward) = journey.onward() {
                onward.failure = Some(Denial::new(Code::RequestTimeout, "the request body comes too slowly"));
            }
            return Error::e_explain(ErrorType::HTTPStatus(408), "request body too slow");
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        head: &mut ResponseHeader,
        journey: &mut Self::CTX,
    ) -> Result<()> {
        // Ours is the protocol of this hop, whatever the backend speaks.
        head.set_version(Version::HTTP_11);
        if !head.status.is_informational() {
            journey.books.answered(head.status.as_u16());
            journey.expect(Wait::Body, Books::latest);
            if journey.check_again().is_err() {
                return Error::e_explain(ErrorType::HTTPStatus(401), "revoked before the answer came");
            }
            if let Some(kind) = goes_on(head) {
                journey.lasts(kind, &self.registry);
            }
        }
        let (snapshot, Some(onward)) = journey.parts() else { return Ok(()) };
        if let (Some(pool), Some(target)) = (snapshot.upstreams.get(onward.permit.upstream()), &onward.target) {
            pool.answered(target);
        }
        let backward = onward.permit.backward(!head.status.is_informational());
        edit_response(head, |parts| backward::rewrite(&mut parts.headers, snapshot.gate.managed(), backward));
        if is_all(head, &session.req_header().method) {
            journey.is_done(session);
        }
        Ok(())
    }

    /// The end is noticed before it is sent: whoever has the whole answer may ask for the next thing, and is not to find
    /// their own place taken.
    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        journey: &mut Self::CTX,
    ) -> Result<Option<Duration>> {
        if body.is_some() && !end {
            journey.expect(Wait::Body, |_| Instant::now());
            journey.lasts(Stream::Http, &self.registry);
        }
        if end {
            journey.is_done(session);
        }
        Ok(None)
    }

    async fn response_trailer_filter(
        &self,
        session: &mut Session,
        trailers: &mut HeaderMap,
        journey: &mut Self::CTX,
    ) -> Result<Option<Bytes>> {
        erase_from_trailers(trailers, journey.snapshot.gate.managed());
        journey.is_done(session);
        Ok(None)
    }

    async fn logging(&self, session: &mut Session, _: Option<&Error>, journey: &mut Self::CTX) {
        let downstream = session.as_downstream();
        journey.books.bytes_in = downstream.body_bytes_read() as u64;
        journey.books.bytes_out = downstream.body_bytes_sent() as u64;
    }

    /// A connection attempt that failed sent nothing, so any request may be tried once more, elsewhere if there is
    /// an elsewhere.
    fn fail_to_connect(&self, _: &mut Session, _: &HttpPeer, journey: &mut Self::CTX, mut e: Box<Error>) -> Box<Error> {
        let (snapshot, Some(onward)) = journey.parts() else { return e };
        if let (Some(pool), Some(target)) = (snapshot.upstreams.get(onward.permit.upstream()), &onward.target) {
            pool.failed(target);
        }
        e.set_retry(onward.attempts < ATTEMPTS);
        e
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, journey: &mut Self::CTX) -> FailToProxy {
        // The overdue backend shows as an error of the client's own stream.
        let overdue = journey.overdue();
        if overdue || *e.esource() == ErrorSource::Upstream {
            journey.blame_upstream();
        }
        let known = journey.onward().and_then(|onward| onward.failure.take());
        let denial = outcome::of(e, known.or_else(|| overdue.then(outcome::overdue)));
        let error_code = denial.as_ref().map_or(0, |denial| denial.code.status());
        if let Some(denial) = denial {
            fail(session, journey, denial).await;
        }
        FailToProxy { error_code, can_reuse_downstream: false }
    }

    /// Ours tell more and never a query or a header.
    fn suppress_error_log(&self, _: &Session, _: &Self::CTX, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(&self, _: &Session, _: &Self::CTX, _: &Error, _: ProxyWarnLogContext) -> bool {
        true
    }

    fn request_summary(&self, session: &Session, _: &Self::CTX) -> String {
        session.req_header().method.to_string()
    }
}

/// Makes the head of a permitted request what the backend may see.
pub(super) fn forward_head(head: &mut RequestHeader, journey: &Journey, upgrade: bool) -> Result<()> {
    let (Stage::Admitted(onward), Some(ids)) = (&journey.stage, &journey.books.ids) else {
        return Error::e_explain(ErrorType::InternalError, "forwarding without a permit");
    };
    let snapshot = &journey.snapshot;
    let permit = &onward.permit;
    let Some(route) = snapshot.gate.route(permit) else {
        return Error::e_explain(ErrorType::InternalError, "a permit for a route that is not there");
    };
    let host = snapshot.upstreams.get(permit.upstream()).and_then(|pool| pool.host());
    let degraded = snapshot.gate.degraded().map(|features| (X_DOORWARD_DEGRADED, features));
    edit_request(head, |parts| {
        parts.headers.reserve(ADDED_HEADERS);
        if let Some(target) = permit.target() {
            parts.uri = http::Uri::from(target.clone());
        }
        rewrite(
            &mut parts.headers,
            &headers::Onward {
                managed: snapshot.gate.managed(),
                identity: snapshot.gate.identity_of(permit),
                forward_authorization: snapshot.gate.forwards_authorization(),
                forwarding: &route.forwarding,
                client: permit.client(),
                host: host.unwrap_or_else(|| &permit.client().authority),
                request_id: &ids.request_id,
                traceparent: &ids.traceparent,
                keep_tracestate: ids.continued,
                degraded: degraded.as_ref(),
                upgrade,
            },
        );
    });
    Ok(())
}

/// Tells the client that its admitted request came to nothing. Once an answer has begun, the honest thing left is to
/// end the connection.
pub(super) async fn fail(session: &mut Session, journey: &mut Journey, denial: Denial) {
    let headers = session.req_header().headers.clone();
    let answer = match journey.parts() {
        (snapshot, Some(onward)) => {
            onward.failure = Some(denial.clone());
            onward.permit.is_done();
            match snapshot.gate.route(&onward.permit) {
                // A renewal on the way here is done, whatever became of the rest.
                Some(route) => {
                    Answer::refused(denial, route, &headers).with_cookies(onward.permit.cookies().iter().cloned())
                }
                None => Answer::from(denial),
            }
        }
        (_, None) => Answer::from(denial),
    };
    if session.response_written().is_none() {
        journey.books.answered(answer.status());
        // The client may be gone; the connection is closed either way.
        let _ = respond::send(session, &answer, journey.request_id()).await;
    }
}

/// Whether no body follows this head (RFC 9112, 6.3).
fn is_all(head: &ResponseHeader, method: &Method) -> bool {
    let empty = *method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || declared_length(&head.headers) == Some(0);
    empty && !head.status.is_informational()
}

/// As what an answer with this head may go on, if it may.
fn goes_on(head: &ResponseHeader) -> Option<Stream> {
    let kind = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if kind.get(..17).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream")) {
        return Some(Stream::Sse);
    }
    let short = declared_length(&head.headers).is_some_and(|length| length <= AT_ONCE);
    (!short).then_some(Stream::Http)
}

/// A gRPC call, which either side may leave silent for as long as `stream_idle`.
fn is_call(session: &Session) -> bool {
    let kind = session.req_header().headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..16)).is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/grpc"))
}
