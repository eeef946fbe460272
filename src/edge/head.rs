//! Reading a request head from Pingora, and editing the heads it sends.

use crate::domain::request::RawHead;
use http::Version;
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

/// Runs `edit` on the parts of a head that is about to be sent. Pingora's own type keeps every name a second time, as
/// it was spelt; taking the parts out drops that copy, which HTTP does not need and every edit would have to maintain.
pub(super) fn edit_request(head: &mut RequestHeader, edit: impl FnOnce(&mut http::request::Parts)) {
    let nothing = http::Request::new(()).into_parts().0;
    let mut parts = http::request::Parts::from(mem::replace(head, RequestHeader::from(nothing)));
    edit(&mut parts);
    *head = RequestHeader::from(parts);
}

/// The same for a response; the words of its status line stay the backend's.
pub(super) fn edit_response(head: &mut ResponseHeader, edit: impl FnOnce(&mut http::response::Parts)) {
    let reason = head.get_reason_phrase().filter(|words| Some(*words) != head.status.canonical_reason());
    let reason = reason.map(str::to_owned);
    let nothing = http::Response::new(()).into_parts().0;
    let mut parts = http::response::Parts::from(mem::replace(head, ResponseHeader::from(nothing)));
    edit(&mut parts);
    *head = ResponseHeader::from(parts);
    if reason.is_some() {
        // Fails for what is no status line, and this was read from one.
        let _ = head.set_reason_phrase(reason.as_deref());
    }
}
