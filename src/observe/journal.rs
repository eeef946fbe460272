//! What a finished request leaves behind: its metrics, a line in the access log and, if it was refused, one in the
//! audit log. One journal per configuration: every handle a request needs is looked up when the file is loaded.

use super::access::{AccessLog, Line};
use super::audit::{AuditLog, Refusal};
use super::clock;
use super::counter::Histogram;
use super::metrics::Metrics;
use super::route::RouteMetrics;
use crate::domain::denial::Code;
use crate::domain::principal::Principal;
use crate::pipeline::account::{Auth, Memory, Record};
use crate::ports::{EdgeEvents, Journal, Stream};
use std::sync::Arc;

/// Label of requests that met no route.
const NO_ROUTE: &str = "none";

/// Observers of one configuration.
#[derive(Debug)]
pub struct Observers {
    metrics: Arc<Metrics>,
    access: AccessLog,
    audit: AuditLog,
    /// By the index routes carry.
    routes: Vec<(String, RouteMetrics)>,
    upstreams: Vec<(String, Arc<Histogram>)>,
}

impl Observers {
    /// For the routes and upstreams of one configuration, by their labels and names.
    pub fn new(
        metrics: Arc<Metrics>,
        logs: (AccessLog, AuditLog),
        routes: Vec<String>,
        upstreams: Vec<String>,
    ) -> Self {
        let routes = routes.into_iter().map(|label| (label.clone(), metrics.route(&label))).collect();
        let upstreams = upstreams.into_iter().map(|name| (name.clone(), metrics.upstream(&name))).collect();
        Self { metrics, access: logs.0, audit: logs.1, routes, upstreams }
    }

    fn count(&self, record: &Record<'_>) {
        let route =
            record.route.and_then(|at| self.routes.get(at)).map_or(&self.metrics.unrouted, |(_, handles)| handles);
        route.count(record.decision, record.status);
        route.duration.observe(record.took);
        self.metrics.gate_duration.observe(record.gate);
        if let (Some((_, histogram)), Some(took)) = (self.upstream(record), record.upstream_took) {
            histogram.observe(took);
        }
        let results = self.metrics.auth.of(record.auth.method());
        match record.auth {
            Auth::Nobody => {}
            Auth::Accepted { memory, .. } => {
                results.accepted.inc();
                let cache = &self.metrics.token_cache;
                match memory {
                    Memory::Hit => cache.hit.inc(),
                    Memory::Miss => cache.miss.inc(),
                    Memory::Stale => cache.stale.inc(),
                }
            }
            Auth::Refused(_) if record.denial.is_some_and(|denial| denial.code == Code::ProviderUnavailable) => {
                results.unavailable.inc();
            }
            Auth::Refused(_) => results.refused.inc(),
        }
    }

    fn upstream(&self, record: &Record<'_>) -> Option<&(String, Arc<Histogram>)> {
        record.upstream.and_then(|at| self.upstreams.get(at))
    }

    fn route(&self, record: &Record<'_>) -> &str {
        record.route.and_then(|at| self.routes.get(at)).map_or(NO_ROUTE, |(label, _)| label)
    }
}

impl Journal for Observers {
    fn account(&self, record: &Record<'_>) {
        self.count(record);
        let time = clock::wall();
        let principal = principal(record);
        let route = self.route(record);
        self.access.write(&Line {
            time,
            request_id: record.request_id,
            trace_id: Some(record.trace_id),
            client: record.client,
            method: record.method,
            host: record.host,
            path: record.path,
            route,
            decision: record.decision.name(),
            reason: record.denial.map(|denial| denial.code.name()),
            status: record.status,
            source: principal.map(|principal| principal.source.as_str()),
            subject: principal.map(|principal| principal.subject.as_str()),
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            duration: record.took,
            gate: record.gate,
            upstream: self.upstream(record).map(|(name, _)| name.as_str()),
            upstream_duration: record.upstream_took,
            protocol: record.protocol,
        });
        if let Some(denial) = record.denial {
            self.audit.refused(&Refusal {
                time,
                request_id: record.request_id,
                trace_id: Some(record.trace_id),
                client: record.client,
                method: record.method,
                host: record.host,
                path: record.path,
                route,
                denial,
                source: principal.map(|principal| principal.source.as_str()),
                subject: principal.map(|principal| principal.subject.as_str()),
            });
        }
    }
}

/// What happens between requests, straight into the metrics.
impl EdgeEvents for Metrics {
    fn connection_opened(&self) {
        self.connections_open.up();
    }

    fn connection_closed(&self) {
        self.connections_open.down();
    }

    fn head_failed(&self) {
        self.parse_failures.inc();
    }

    fn request_began(&self) {
        self.requests_in_flight.up();
    }

    fn request_ended(&self) {
        self.requests_in_flight.down();
    }

    fn stream_opened(&self, kind: Stream) {
        self.streams_open.of(kind).up();
    }

    fn stream_closed(&self, kind: Stream) {
        self.streams_open.of(kind).down();
    }

    fn stream_cut(&self, reason: &'static str) {
        self.streams_cut.with(&[reason]).inc();
    }

    fn upstream_ejected(&self, upstream: &str) {
        self.upstream_ejections.with(&[upstream]).inc();
        tracing::warn!(upstream, "an upstream address does not answer and rests for a while");
    }
}

fn principal<'r>(record: &Record<'r>) -> Option<&'r Principal> {
    match record.auth {
        Auth::Accepted { principal, .. } => Some(principal),
        Auth::Nobody | Auth::Refused(_) => None,
    }
}
