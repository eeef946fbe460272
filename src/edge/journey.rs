//! The books of one request, closed by `Drop`: Pingora's `logging()` is skipped for panics, cut streams and a runtime
//! that shuts down, and what is counted only there leaks.

use super::connection::Connection;
use super::ids::Ids;
use super::snapshot::Snapshot;
use super::upstream::Target;
use crate::domain::denial::Denial;
use crate::domain::headers::forwarded::Peer;
use crate::pipeline::account::{Auth, Decision, Record};
use crate::pipeline::{Answer, Permit};
use crate::ports::EdgeEvents;
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
    connection: Option<Arc<Connection>>,
    events: Arc<dyn EdgeEvents>,
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
    /// What the backend's present time is for.
    pub(super) waits_for: Option<Wait>,
}

/// What a backend is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    Header,
    /// The next piece.
    Body,
}

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
    pub(super) fn begin(snapshot: Arc<Snapshot>, events: Arc<dyn EdgeEvents>) -> Self {
        events.request_began();
        Self { snapshot, stage: Stage::Arrived, books: Books::open(), connection: None, events }
    }

    /// The head is complete: who is on the other end, and what did they send?
    pub(super) fn arrive(&mut self, session: &Session) -> Peer {
        let header = session.req_header();
        let connection = Connection::of(session.digest());
        let (ip, tls) = connection.as_ref().map_or((None, false), |connection| (connection.ip, connection.tls));
        match connection.as_ref() {
            Some(connection) if header.version == Version::HTTP_2 => connection.speaks_frames(),
            Some(connection) => connection.begin(),
            None => {}
        }
        self.connection = connection;
        let peer = Peer { ip, trusted: self.snapshot.gate.trusts(ip), tls };
        let host = header.headers.get(HOST).cloned();
        self.books.request = Some((header.method.clone(), header.uri.clone(), host, header.version));
        self.books.ids = Some(Ids::of(&header.headers, peer.trusted));
        peer
    }

    /// The permit and its bookkeeping; nothing is forwarded without.
    pub(super) fn onward(&mut self) -> Option<&mut Onward> {
        match &mut self.stage {
            Stage::Admitted(onward) => Some(onward),
            Stage::Arrived | Stage::Answered(_) => None,
        }
    }

    /// From `now` on the backend has its time for what comes next; a wait for the header that has begun goes on. False
    /// when the client speaks HTTP/2: its stream cannot watch the backend, and Pingora must.
    pub(super) fn expect_upstream(&mut self, wait: Wait, now: impl FnOnce(&Books) -> Instant) -> bool {
        let Some(connection) = self.connection.as_ref().filter(|connection| !connection.has_frames()) else {
            return false;
        };
        let Stage::Admitted(onward) = &mut self.stage else { return false };
        if onward.waits_for.replace(wait) == Some(Wait::Header) && wait == Wait::Header {
            return true;
        }
        let Some(pool) = self.snapshot.upstreams.get(onward.permit.upstream()) else { return false };
        let settings = pool.settings();
        let patience = match wait {
            Wait::Header => settings.read_timeout,
            Wait::Body => settings.stream_idle,
        };
        connection.expect(now(&self.books), patience);
        true
    }

    pub(super) fn upstream_overdue(&self) -> bool {
        let due = self.connection.as_ref().and_then(|connection| connection.due());
        due.is_some_and(|due| due <= Instant::now())
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
        Self { permit, target: None, attempts: 0, failure: None, body: 0, waits_for: None }
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
        if let Some(connection) = &self.connection {
            connection.end(now, self.snapshot.limits.idle_timeout);
        }
        self.events.request_ended();
        let (Some((method, uri, host, version)), Some(ids)) = (&self.books.request, &self.books.ids) else { return };
        let (route, denial, auth, client, upstream) = match &self.stage {
            Stage::Arrived => (None, None, Auth::Nobody, None, None),
            Stage::Answered(answer) => (answer.route, answer.denial(), answer.auth(), answer.client, None),
            Stage::Admitted(onward) => {
                let permit = &onward.permit;
                let upstream = onward.target.is_some().then_some(permit.upstream());
                (Some(permit.route()), onward.failure.as_ref(), permit.auth(), permit.client().ip, upstream)
            }
        };
        let gate = self.books.decided.unwrap_or_default();
        let decision = self.decision();
        let status = if decision == Decision::Aborted { CLIENT_CLOSED } else { self.books.status };
        let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
        self.snapshot.journal.account(&Record {
            request_id: ids.request_id(),
            trace_id: ids.trace_id(),
            client: client.or_else(|| self.connection.as_ref().and_then(|connection| connection.ip)),
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
