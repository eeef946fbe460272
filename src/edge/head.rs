//! Reading a request head from Pingora, and editing the heads it sends.

use crate::domain::headers::rewrite::HeadEdit;
use crate::domain::request::RawHead;
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use std::mem;

/// The head as it came off the wire. `wire` are the bytes themselves, which Pingora keeps for HTTP/1.
pub(super) fn raw<'s>(session: &'s Session, wire: Option<&'s [u8]>) -> RawHead<'s> {
    let header = session.req_header();
    let http2 = header.version == Version::HTTP_2;
    RawHead {
        version: header.version,
        method: &header.method,
        target: header.raw_path(),
        authority: http2.then(|| header.uri.authority().map(http::uri::Authority::as_str)).flatten(),
        headers: &header.headers,
        wire,
    }
}

/// A response head on its way to the client, edited in place: Pingora's type keeps the spelling of names beside the map.
pub(super) struct Inbound<'h>(pub(super) &'h mut ResponseHeader);

impl HeadEdit for Inbound<'_> {
    fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }

    fn set(&mut self, name: &HeaderName, value: HeaderValue) {
        // Fails only for what is no name or value; these are.
        let _ = self.0.insert_header(name, value);
    }

    fn append(&mut self, name: &HeaderName, value: HeaderValue) {
        let _ = self.0.append_header(name, value);
    }
}

/// Runs `edit` on the parts of a head that is about to be sent. Pingora's own type keeps every name a second time, as
/// it was spelt; taking the parts out drops that copy, which HTTP does not need and every edit would have to maintain.
pub(super) fn edit(head: &mut RequestHeader, edit: impl FnOnce(&mut http::request::Parts)) {
    let nothing = http::Request::new(()).into_parts().0;
    let mut parts = http::request::Parts::from(mem::replace(head, RequestHeader::from(nothing)));
    edit(&mut parts);
    *head = RequestHeader::from(parts);
}
