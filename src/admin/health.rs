//! `/livez`, `/readyz` and `/metrics`: open to anybody who reaches the listener, under any Host, and harmless.

use super::AdminState;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue, ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Response, StatusCode};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether traffic should be sent here.
#[derive(Debug, Default)]
pub struct Readiness {
    phase: AtomicU8,
    /// Sign-in is on, and the list of revocations has never been seen: whoever was let in might have been revoked.
    blind: AtomicBool,
}

impl Readiness {
    const STARTING: u8 = 0;
    const READY: u8 = 1;
    const DRAINING: u8 = 2;

    /// Starting, that is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Who drains already stays so: a late reload must not call traffic back to a process about to end.
    pub fn set_ready(&self) {
        let _ = self.phase.compare_exchange(Self::STARTING, Self::READY, Ordering::Release, Ordering::Relaxed);
    }

    pub fn set_draining(&self) {
        self.phase.store(Self::DRAINING, Ordering::Release);
    }

    pub fn set_blind(&self, blind: bool) {
        self.blind.store(blind, Ordering::Release);
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.reason().is_none()
    }

    /// Why not, if not.
    fn reason(&self) -> Option<&'static str> {
        match self.phase.load(Ordering::Acquire) {
            Self::READY if self.blind.load(Ordering::Acquire) => Some("revocations_unseen"),
            Self::READY => None,
            Self::DRAINING => Some("draining"),
            _ => Some("starting"),
        }
    }
}

pub(super) fn respond(state: &AdminState, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let answer: fn(&AdminState) -> Response<Full<Bytes>> = match path {
        "/livez" => |_| response(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" => |state| ready(&state.readiness),
        "/metrics" => |state| response(StatusCode::OK, prometheus::TEXT_FORMAT, state.metrics.encode()),
        _ => return response(StatusCode::NOT_FOUND, PROBLEM, NO_ROUTE),
    };
    // hyper leaves the body out of an answer to HEAD
    if method == Method::GET || method == Method::HEAD {
        return answer(state);
    }
    let mut refusal = response(StatusCode::METHOD_NOT_ALLOWED, PROBLEM, NO_METHOD);
    refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refusal
}

fn ready(readiness: &Readiness) -> Response<Full<Bytes>> {
    match readiness.reason() {
        None => response(StatusCode::OK, JSON, r#"{"ready":true,"reasons":[]}"#),
        Some(reason) => {
            let body = format!(r#"{{"ready":false,"reasons":["{reason}"],"detail":"{}"}}"#, in_words(reason));
            response(StatusCode::SERVICE_UNAVAILABLE, JSON, body)
        }
    }
}

fn in_words(reason: &str) -> &'static str {
    match reason {
        "revocations_unseen" => {
            "what was revoked has not been read since this process started: the store does not answer, or its log was \
             opened a moment ago and other replicas may still have something to put back"
        }
        "draining" => "this process was told to end: no new traffic, please",
        _ => "this process does not listen yet",
    }
}

fn response(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    const HEADERS: [(HeaderName, &str); 2] = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    for (name, value) in [(CONTENT_TYPE, kind)].into_iter().chain(HEADERS) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
const NO_ROUTE: &str =
    r#"{"type":"urn:doorward:error:no_route","title":"There is nothing here","status":404,"code":"no_route"}"#;
const NO_METHOD: &str = r#"{"type":"urn:doorward:error:method_not_allowed","title":"This method is not allowed here","status":405,"code":"method_not_allowed"}"#;
