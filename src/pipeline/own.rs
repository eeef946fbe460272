//! Requests to our own endpoints: told apart by the gate, answered by whoever builds pages and documents.

use crate::domain::denial::Denial;
use crate::domain::headers::forwarded::Client;
use crate::domain::limit::BuiltIn;
use crate::domain::request::{Canonical, RawHead};
use crate::domain::time::UnixTime;
use crate::pipeline::session::Watch;
use crate::pipeline::Caller;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::fmt::{self, Debug};

/// Bytes of a body sent to one of our endpoints: forms and small documents.
pub const MAX_BODY: usize = 64 * 1024;

/// What somebody asks of one of our endpoints. It may hold passwords and cookies, so it is never printed.
pub struct OwnRequest {
    pub method: Method,
    /// Canonical, with our prefix.
    pub path: String,
    pub query: String,
    /// `Host`, as sent.
    pub authority: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub client: Client,
    pub now: UnixTime,
    pub request_id: String,
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    /// Why it says no, where it does. For the books alone.
    pub denial: Option<Denial>,
    /// Who asked, where that was found out. For the books, too.
    pub caller: Option<Caller>,
    /// Behind the head events follow, for as long as there are any; then there is no body.
    pub watch: Option<Box<Watch>>,
}

/// Everything below our prefix, and the documents under `/.well-known` that are ours.
#[async_trait]
pub trait Endpoints: Send + Sync + Debug {
    /// Whether a path outside our prefix is ours all the same.
    fn takes(&self, path: &str) -> bool;

    async fn answer(&self, request: OwnRequest) -> Reply;
}

/// Which limits count a request to what lies `below` our prefix. By address all but what pages are made of, which costs no
/// more than telling so. There is no list of what costs more, for one would forget what comes later.
pub(super) fn counted_by(method: &Method, below: &str) -> &'static [BuiltIn] {
    match below.split('/').nth(1) {
        Some("assets") => &[],
        Some("token") if method == Method::POST => &[BuiltIn::Ip, BuiltIn::TokenEndpoint],
        Some(_) | None => &[BuiltIn::Ip],
    }
}

impl OwnRequest {
    pub(super) fn of(request: &Canonical<'_>, head: &RawHead<'_>, client: Client, now: UnixTime) -> Self {
        Self {
            method: head.method.clone(),
            path: request.path.to_string(),
            query: request.query.unwrap_or_default().to_owned(),
            authority: request.authority.to_owned(),
            headers: head.headers.clone(),
            body: Bytes::new(),
            client,
            now,
            request_id: String::new(),
        }
    }
}

impl Debug for OwnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnRequest").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_counted_wherever_it_asks_but_for_what_pages_are_made_of() {
        for below in
            ["/login", "/revoke", "/backchannel-logout", "/me", "/sessions", "/events", "/logout", "", "/x/assets"]
        {
            for method in [Method::GET, Method::POST] {
                assert_eq!(counted_by(&method, below), [BuiltIn::Ip], "{below}");
            }
        }
        assert_eq!(counted_by(&Method::GET, "/assets/style-1.css"), []);
        assert_eq!(counted_by(&Method::POST, "/token"), [BuiltIn::Ip, BuiltIn::TokenEndpoint]);
    }
}
