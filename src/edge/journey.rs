//! The books of one request, closed by `Drop`: Pingora's `logging()` is skipped for panics, cut streams and a runtime
//! that shuts down, and what is counted only there leaks.

use super::exchange::Exchange;
use super::ids::Ids;
use super::kill::{Registry, Stay, LASTING};
use super::snapshot::Snapshot;
use super::upstream::Target;
use crate::domain::denial::Denial;
use crate::domain::headers::forwarded::Peer;
use crate::pipeline::account::{Auth, Decision, Record};
use crate::pipeline::lasting::Holder;
use crate::pipeline::{Answer, Permit};
use crate::ports::Stream;
use http::header::HOST;
use http::{HeaderValue, Method, Uri, Version};
use pingora::proxy::Session;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What nginx made customary for a client that left before the answer; nobody ever receives it.
const CLIENT_CLOSED: u16 = 499;

/// Pingora's per-request context: how far a request has come, and the books.
pub(super) struct Journey {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) stage: Stage,
    pub(super) books: Books,
    /// `None` is a fault of ours, and such a request is refused: who sent it, and how, could not be told.
    exchange: Option<Exchange>,
}

/// There is no way back, and no half-way: only a request that was admitted has a permit to forward with.
#[expect(
    clippy::large_enum_variant,
    reason = "most requests are admitted: a box would cost each of them an allocation"
)]
pub(super) enum Stage {
    Arrived,
    Answered(Answer),
    Admitted(Onward),
}

/// A request that is being forwarded.
pub(super) struct Onward {
    pub(super) permit: Permit,
    /// The address in use, once one was picked.
    pub(super) target: Option<Arc<Target>>,
    pub(super) attempts: u8,
    /// Why no answer of the backend could be had.
    pub(super) failure: Option<Denial>,
    /// Bytes of request body seen so far.
    pub(super) body: u64,
    /// A call that either side may leave silent, as gRPC does.
    pub(super) call: bool,
    /// `None` until it is connected.
    pub(super) waits_for: Option<Wait>,
    /// As what it goes on, once it does.
    lasts: Option<Stream>,
    /// The backend has said all it will.
    pub(super) answered: bool,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The client's next piece of a body that the backend has not answered yet.
    Client,
    /// The backend's response header.
    Header,
    /// The backend's next piece.
    Body,
}

/// What a request body must bring in a second, on average, beyond the first `idle_timeout`: enough for the slowest
/// mobile network, and too much for whoever would hold a backend's connection with a byte now and then.
const SLOWEST_BODY: u64 = 500;

/// What is written down on the way.
pub(super) struct Books {
    pub(super) ids: Option<Ids>,
    request: Option<(Method, Uri, Option<HeaderValue>, Version)>,
    began: Instant,
    decided: Option<Duration>,
    answered: Option<Duration>,
    pub(super) status: u16,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Journey {
    pub(super) fn begin(snapshot: Arc<Snapshot>) -> Self {
        snapshot.events.request_began();
        Self { snapshot, stage: Stage::Arrived, books: Books::open(), exchange: Exchange::current() }
    }

    /// The head is complete: who is on the other end, and what did they send?
    pub(super) fn arrive(&mut self, session: &Session) -> Option<Peer> {
        let header = session.req_header();
        let peer = self.exchange.as_ref().map(|exchange| {
            let connection = &exchange.connection;
            if !exchange.is_stream() {
                connection.begin();
            }
            Peer { ip: connection.ip, trusted: self.snapshot.gate.trusts(connection.ip), tls: connection.tls }
        });
        let host = header.headers.get(HOST).cloned();
        self.books.request = Some((header.method.clone(), header.uri.clone(), host, header.version));
        self.books.ids = Some(Ids::of(&header.headers, peer.as_ref().is_some_and(|peer| peer.trusted)));
        peer
    }

    /// The permit and its bookkeeping; nothing is forwarded without.
    pub(super) fn onward(&mut self) -> Option<&mut Onward> {
        self.parts().1
    }

    /// The same, beside what it was decided with. Lent and not cloned: every thread would write to the one count of
    /// users for it, and wait for the others.
    pub(super) fn parts(&mut self) -> (&Snapshot, Option<&mut Onward>) {
        let onward = match &mut self.stage {
            Stage::Admitted(onward) => Some(onward),
            Stage::Arrived | Stage::Answered(_) => None,
        };
        (&self.snapshot, onward)
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn has_stream(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::is_stream)
    }

    /// From `now` on `wait` is what holds up the request, for as long as it may; a wait for the header that has begun goes
    /// on.
    pub(super) fn expect(&mut self, wait: Wait, now: impl FnOnce(&Books) -> Instant) {
        let (Some(exchange), Stage::Admitted(onward)) = (&self.exchange, &mut self.stage) else { return };
        let Some(pool) = self.snapshot.upstreams.get(onward.permit.upstream()) else { return };
        if onward.waits_for.replace(wait) == Some(Wait::Header) && wait == Wait::Header {
            return;
        }
        let settings = pool.settings();
        let patience = match wait {
            // The read timeout of the session.
            Wait::Client if !onward.call => return exchange.deadline().lift(),
            Wait::Header if !onward.call => settings.read_timeout,
            Wait::Client | Wait::Header | Wait::Body => settings.stream_idle,
        };
        exchange.deadline().expect(now(&self.books), patience);
    }

    /// There is more to come: from here on the exchange can be cut, an ordinary one once it has lasted for a while.
    pub(super) fn lasts(&mut self, kind: Stream, registry: &Arc<Registry>) {
        let (Some(exchange), Stage::Admitted(onward)) = (&self.exchange, &mut self.stage) else { return };
        if onward.lasts.is_none_or(|known| known == Stream::Http && kind != Stream::Http) {
            onward.lasts = Some(kind);
            exchange.leash().hold(Stay::new(kind, self.holder(), registry));
        }
    }

    /// An answer that was long in coming is not for somebody who was thrown out meanwhile.
    pub(super) fn check_again(&mut self) -> Result<(), Denial> {
        if self.books.answered.is_none_or(|answered| answered < LASTING) {
            return Ok(());
        }
        let Some(holder) = self.holder() else { return Ok(()) };
        let checked = holder.check();
        if let (Some(onward), Err(denial)) = (self.onward(), &checked) {
            onward.failure = Some(denial.clone());
        }
        checked
    }

    /// Nothing more comes of it from the backend. A body that still goes there goes on, and keeps its place.
    pub(super) fn is_done(&mut self, session: &mut Session) {
        let Some(onward) = self.onward() else { return };
        onward.answered = true;
        if session.as_downstream_mut().is_body_done() {
            onward.permit.is_done();
        }
    }

    /// Whom it is for.
    pub(super) fn holder(&self) -> Option<Holder> {
        let Stage::Admitted(onward) = &self.stage else { return None };
        self.snapshot.gate.holder(&onward.permit)
    }

    /// It was cut for this.
    pub(super) fn was_cut(&self, denial: Denial) {
        if let Some(exchange) = &self.exchange {
            exchange.leash().was_cut(denial);
        }
    }

    /// Whether the backend was waited for in vain.
    pub(super) fn overdue(&self) -> bool {
        let passed = self.exchange.as_ref().is_some_and(|exchange| exchange.deadline().passed());
        passed && matches!(self.stage, Stage::Admitted(_))
    }

    /// Whether the request body comes so slowly that it is no upload but a way to hold a backend's connection.
    pub(super) fn body_drips(&self) -> bool {
        let Stage::Admitted(onward) = &self.stage else { return false };
        let earned = Duration::from_secs(onward.body / SLOWEST_BODY);
        !onward.call && self.books.began.elapsed() > self.snapshot.limits.idle_timeout + earned
    }

    /// The address in use let us down.
    pub(super) fn blame_upstream(&self) {
        let Stage::Admitted(onward) = &self.stage else { return };
        if let (Some(pool), Some(target)) = (self.snapshot.upstreams.get(onward.permit.upstream()), &onward.target) {
            pool.failed(target);
        }
    }

    pub(super) fn request_id(&self) -> &str {
        self.books.ids.as_ref().map(Ids::request_id).unwrap_or_default()
    }

    fn decision(&self) -> Decision {
        match &self.stage {
            Stage::Arrived => Decision::Aborted,
            Stage::Answered(answer) if answer.denial().is_none() => Decision::Answered,
            Stage::Answered(_) => Decision::Refused,
            Stage::Admitted(onward) if onward.failure.is_some() => Decision::Failed,
            Stage::Admitted(_) if self.books.status == 0 => Decision::Aborted,
            Stage::Admitted(_) => Decision::Admitted,
        }
    }
}

impl Onward {
    pub(super) fn new(permit: Permit) -> Self {
        Self {
            permit,
            target: None,
            attempts: 0,
            failure: None,
            body: 0,
            call: false,
            waits_for: None,
            lasts: None,
            answered: false,
        }
    }
}

impl Books {
    fn open() -> Self {
        Self {
            ids: None,
            request: None,
            began: Instant::now(),
            decided: None,
            answered: None,
            status: 0,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    pub(super) fn decided(&mut self) {
        self.decided = Some(self.began.elapsed());
    }

    /// A final response header is on its way to the client.
    pub(super) fn answered(&mut self, status: u16) {
        self.status = status;
        self.answered = Some(self.began.elapsed());
    }

    /// The last moment that was written down. Asking the clock is not free, and every request is asked about often.
    pub(super) fn latest(&self) -> Instant {
        self.began + self.answered.or(self.decided).unwrap_or_default()
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        let now = Instant::now();
        if let Some(exchange) = &self.exchange {
            exchange.connection.end(now, self.snapshot.limits.idle_timeout);
            if matches!(&self.stage, Stage::Admitted(onward) if onward.lasts.is_some()) {
                exchange.leash().loosen();
            }
        }
        self.snapshot.events.request_ended();
        let (Some((method, uri, host, version)), Some(ids)) = (&self.books.request, &self.books.ids) else { return };
        let (route, denial, auth, client, upstream) = match &self.stage {
            Stage::Arrived => (None, None, Auth::Nobody, None, None),
            Stage::Answered(answer) => (answer.route, answer.denial(), answer.auth(), answer.client, None),
            Stage::Admitted(onward) => {
                let permit = &onward.permit;
                let upstream = onward.target.is_some().then_some(permit.upstream());
                let cut = || self.exchange.as_ref().and_then(|exchange| exchange.leash().why());
                (
                    Some(permit.route()),
                    onward.failure.as_ref().or_else(cut),
                    permit.auth(),
                    permit.client().ip,
                    upstream,
                )
            }
        };
        let gate = self.books.decided.unwrap_or_default();
        let decision = self.decision();
        let status = if decision == Decision::Aborted { CLIENT_CLOSED } else { self.books.status };
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        self.snapshot.journal.account(&Record {
            request_id: ids.request_id(),
            trace_id: ids.trace_id(),
            client: client.or_else(|| self.exchange.as_ref().and_then(|exchange| exchange.connection.ip)),
            method: method.as_str(),
            host: authority.or_else(|| host.as_ref().map(HeaderValue::as_bytes)).unwrap_or_default(),
            path: uri.path().as_bytes(),
            route,
            decision,
            denial,
            status,
            auth,
            bytes_in: self.books.bytes_in,
            bytes_out: self.books.bytes_out,
            took: now.saturating_duration_since(self.books.began),
            gate,
            upstream,
            upstream_took: upstream.and(self.books.answered).map(|answered| answered.saturating_sub(gate)),
            protocol: protocol(*version),
        });
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}

impl fmt::Debug for Journey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journey").field("decision", &self.decision()).finish_non_exhaustive()
    }
}
