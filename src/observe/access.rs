//! The access log: one JSON line for every request that arrived, whatever became of it.

use super::clock::WallTime;
use super::json::{key, JsonLine};
use super::sink::LogSink;
use std::net::IpAddr;
use std::time::Duration;

/// The access log, or none.
#[derive(Clone, Debug)]
pub struct AccessLog(Option<LogSink>);

/// What a line tells. Of the path never the query: it may hold secrets.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub time: WallTime,
    pub request_id: &'a str,
    pub trace_id: Option<&'a str>,
    pub client: Option<IpAddr>,
    pub method: &'a str,
    /// As it arrived; it need not be UTF-8.
    pub host: &'a [u8],
    /// As it arrived; it need not be UTF-8.
    pub path: &'a [u8],
    pub route: &'a str,
    pub decision: &'a str,
    /// The code of a refusal.
    pub reason: Option<&'a str>,
    pub status: u16,
    pub source: Option<&'a str>,
    pub subject: Option<&'a str>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub duration: Duration,
    /// Our share of it.
    pub gate: Duration,
    pub upstream: Option<&'a str>,
    pub upstream_duration: Option<Duration>,
    pub protocol: &'a str,
}

impl AccessLog {
    #[must_use]
    pub fn new(sink: LogSink) -> Self {
        Self(Some(sink))
    }

    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    pub fn write(&self, line: &Line<'_>) {
        let Some(sink) = &self.0 else { return };
        sink.line(|buffer| {
            let mut json = JsonLine::open(&mut buffer.bytes, &mut buffer.stamp, line.time);
            line.who_and_what(&mut json);
            line.outcome(&mut json);
            json.close();
        });
    }

    /// Waits until everything is written; false when the output does not take it.
    pub fn flush(&self) -> bool {
        self.0.as_ref().is_none_or(LogSink::flush)
    }
}

impl Line<'_> {
    fn who_and_what(&self, json: &mut JsonLine<'_>) {
        json.text(key!("request_id"), self.request_id.as_bytes());
        json.maybe(key!("trace_id"), self.trace_id);
        if let Some(client) = self.client {
            json.ip(key!("client_ip"), client);
        }
        json.text(key!("method"), self.method.as_bytes());
        json.text(key!("host"), self.host);
        json.text(key!("path"), without_query(self.path));
        json.text(key!("route"), self.route.as_bytes());
    }

    fn outcome(&self, json: &mut JsonLine<'_>) {
        json.text(key!("decision"), self.decision.as_bytes());
        json.maybe(key!("reason"), self.reason);
        json.number(key!("status"), self.status.into());
        json.maybe(key!("source"), self.source);
        json.maybe(key!("sub"), self.subject);
        json.number(key!("bytes_in"), self.bytes_in);
        json.number(key!("bytes_out"), self.bytes_out);
        json.millis(key!("duration_ms"), self.duration);
        json.micros(key!("gate_us"), self.gate);
        json.maybe(key!("upstream"), self.upstream);
        if let Some(duration) = self.upstream_duration {
            json.millis(key!("upstream_ms"), duration);
        }
        json.text(key!("protocol"), self.protocol.as_bytes());
    }
}

/// A target that was refused may arrive here whole. What follows `?` or `#` is not ours to write down.
pub(super) fn without_query(target: &[u8]) -> &[u8] {
    target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
