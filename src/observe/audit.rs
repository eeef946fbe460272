//! The audit log: one JSON line for every refusal, with the reason the caller was not told.
//!
//! It shares the output with the access log; `"kind":"audit"` tells them apart. It never holds a credential: the
//! detail of a [`Denial`] is made without one, and nothing else here comes near it.

use super::access::without_query;
use super::clock::WallTime;
use super::json::{key, JsonLine};
use super::sink::LogSink;
use crate::domain::denial::Denial;
use std::net::IpAddr;

/// The audit log, or none.
#[derive(Clone, Debug)]
pub struct AuditLog(Option<LogSink>);

/// Who was refused what, and why.
#[derive(Clone, Copy, Debug)]
pub struct Refusal<'a> {
    pub time: WallTime,
    pub request_id: &'a str,
    pub trace_id: Option<&'a str>,
    pub client: Option<IpAddr>,
    pub method: &'a str,
    pub host: &'a [u8],
    pub path: &'a [u8],
    pub route: &'a str,
    pub denial: &'a Denial,
    /// Known only when the credential itself was accepted.
    pub source: Option<&'a str>,
    pub subject: Option<&'a str>,
}

/// Something happened to a session.
#[derive(Clone, Copy, Debug)]
pub struct Noted<'a> {
    pub time: WallTime,
    pub event: &'a str,
    pub session: &'a str,
    pub source: &'a str,
    pub subject: &'a str,
    pub client: Option<IpAddr>,
    pub detail: &'a str,
}

/// An operator changed something, or was not let.
#[derive(Clone, Copy, Debug)]
pub struct Operated<'a> {
    pub time: WallTime,
    pub event: &'a str,
    /// By the name of their token; "" for nobody we know.
    pub operator: &'a str,
    pub client: Option<IpAddr>,
    /// What it was done to.
    pub target: &'a str,
    pub source: Option<&'a str>,
    /// The reason that was given, or why it was refused.
    pub detail: Option<&'a str>,
    /// What the operator was told to call it by.
    pub receipt: Option<&'a str>,
    /// `done`, `here_only`, or the code of a refusal.
    pub outcome: &'a str,
}

impl Default for Operated<'_> {
    fn default() -> Self {
        Self {
            time: WallTime { seconds: 0, millis: 0 },
            event: "",
            operator: "",
            client: None,
            target: "",
            source: None,
            detail: None,
            receipt: None,
            outcome: "",
        }
    }
}

impl AuditLog {
    #[must_use]
    pub fn new(sink: LogSink) -> Self {
        Self(Some(sink))
    }

    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    pub fn refused(&self, refusal: &Refusal<'_>) {
        let Some(sink) = &self.0 else { return };
        sink.line(|buffer| {
            let mut json = JsonLine::open(&mut buffer.bytes, &mut buffer.stamp, refusal.time);
            json.text(key!("kind"), b"audit");
            json.text(key!("event"), b"refused");
            refusal.write(&mut json);
            json.close();
        });
    }

    pub fn noted(&self, noted: &Noted<'_>) {
        let Some(sink) = &self.0 else { return };
        let known = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        sink.line(|buffer| {
            let mut json = JsonLine::open(&mut buffer.bytes, &mut buffer.stamp, noted.time);
            json.text(key!("kind"), b"audit");
            json.text(key!("event"), noted.event.as_bytes());
            json.maybe(key!("session"), known(noted.session).as_deref());
            if let Some(client) = noted.client {
                json.ip(key!("client_ip"), client);
            }
            json.maybe(key!("source"), known(noted.source).as_deref());
            json.maybe(key!("sub"), known(noted.subject).as_deref());
            json.maybe(key!("detail"), known(noted.detail).as_deref());
            json.close();
        });
    }
}

impl AuditLog {
    pub fn operated(&self, operated: &Operated<'_>) {
        let Some(sink) = &self.0 else { return };
        let known = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
        sink.line(|buffer| {
            let mut json = JsonLine::open(&mut buffer.bytes, &mut buffer.stamp, operated.time);
            json.text(key!("kind"), b"audit");
            json.text(key!("event"), operated.event.as_bytes());
            json.maybe(key!("operator"), known(operated.operator).as_deref());
            if let Some(client) = operated.client {
                json.ip(key!("client_ip"), client);
            }
            json.maybe(key!("target"), known(operated.target).as_deref());
            json.maybe(key!("source"), operated.source);
            json.maybe(key!("detail"), operated.detail);
            json.maybe(key!("receipt"), operated.receipt);
            json.text(key!("outcome"), operated.outcome.as_bytes());
            json.close();
        });
    }
}

impl Refusal<'_> {
    fn write(&self, json: &mut JsonLine<'_>) {
        json.text(key!("request_id"), self.request_id.as_bytes());
        json.maybe(key!("trace_id"), self.trace_id);
        if let Some(client) = self.client {
            json.ip(key!("client_ip"), client);
        }
        json.text(key!("method"), self.method.as_bytes());
        json.text(key!("host"), self.host);
        json.text(key!("path"), without_query(self.path));
        json.text(key!("route"), self.route.as_bytes());
        json.text(key!("reason"), self.denial.code.name().as_bytes());
        json.number(key!("status"), self.denial.code.status().into());
        json.text(key!("detail"), self.denial.detail.as_bytes());
        json.maybe(key!("source"), self.source);
        json.maybe(key!("sub"), self.subject);
    }
}

#[cfg(test)]
mod tests {
    use super::super::counter::Counter;
    use super::super::sink::tests::Paper;
    use super::*;
    use crate::domain::denial::Code;
    use serde_json::json;
    use std::sync::Arc;

    fn audited(denial: &Denial, path: &[u8]) -> serde_json::Value {
        let paper = Paper::default();
        let sink = LogSink::start(Box::new(paper.clone()), Arc::new(Counter::default())).unwrap();
        AuditLog::new(sink.clone()).refused(&Refusal {
            time: WallTime { seconds: 0, millis: 1 },
            request_id: "r1",
            trace_id: None,
            client: Some([192, 0, 2, 1].into()),
            method: "GET",
            host: b"app.example.com",
            path,
            route: "app /admin/**",
            denial,
            source: Some("auth0"),
            subject: Some("alice"),
        });
        assert!(sink.flush());
        let text = paper.text();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn a_refusal_tells_operators_what_the_caller_was_not_told() {
        let line = audited(&Denial::new(Code::Forbidden, "role \"admin\" missing"), b"/admin/x");
        assert_eq!(
            line,
            json!({
                "time": "1970-01-01T00:00:00.001Z", "kind": "audit", "event": "refused", "request_id": "r1",
                "client_ip": "192.0.2.1", "method": "GET", "host": "app.example.com", "path": "/admin/x",
                "route": "app /admin/**", "reason": "forbidden", "status": 403, "detail": "role \"admin\" missing",
                "source": "auth0", "sub": "alice",
            })
        );
    }

    #[test]
    fn a_detail_cannot_forge_a_second_line() {
        let line = audited(&Denial::new(Code::BadPath, "odd: x\"}\n{\"kind\":\"audit\"".to_owned()), b"/");
        assert_eq!(line["detail"], "odd: x\"}\n{\"kind\":\"audit\"");
    }

    #[test]
    fn the_query_is_never_written_down() {
        let line = audited(&Denial::new(Code::BadPath, "fragment"), b"/cb?code=hunter2");
        assert_eq!(line["path"], "/cb");
    }
}
