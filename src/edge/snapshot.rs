//! Everything a request is decided and forwarded with, swapped as one value: routes, rules, keys, upstreams,
//! certificate and metrics change together or not at all.

use super::lifecycle::Drain;
use super::tls::TlsFront;
use super::upstream::Pool;
use crate::config::settings::{Protocol, Upstream};
use crate::pipeline::Gate;
use crate::ports::{EdgeEvents, Journal};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub struct Snapshot {
    pub gate: Gate,
    /// By the index routes carry.
    pub upstreams: Vec<Arc<Pool>>,
    pub journal: Arc<dyn Journal>,
    pub events: Arc<dyn EdgeEvents>,
    pub limits: Limits,
    pub tls: Option<TlsFront>,
    /// Trusted peers begin each connection with a PROXY header.
    pub proxy_protocol: bool,
    pub drain: Drain,
}

impl Snapshot {
    /// The pool of an upstream that has not changed, with the addresses and failures it knows. One that verifies
    /// certificates is made anew: the file of its authority may have changed.
    #[must_use]
    pub fn pool(&self, upstream: &Upstream) -> Option<Arc<Pool>> {
        let same = self.upstreams.iter().find(|pool| pool.settings() == upstream);
        same.filter(|_| !matches!(upstream.protocol, Protocol::Https(_))).map(Arc::clone)
    }
}

/// Bounds of one connection and one request head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request head.
    pub max_header: usize,
    pub header_timeout: Duration,
    /// Of a kept-alive connection between requests, and between two pieces of a request body.
    pub idle_timeout: Duration,
}
