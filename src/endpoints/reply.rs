//! Answers: pages, documents, redirects, refusals.

use super::{Asked, Own};
use crate::domain::cookies::attach;
use crate::domain::denial::{Code, Denial};
use crate::domain::navigation::wants_page;
use crate::pipeline::own::{OwnRequest, Reply};
use crate::pipeline::session::Turned;
use crate::web::{html, ErrorPage};
use askama::Template;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{json, Value};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A page. `targets` are the origins besides ours at which a form on it may end up.
pub(super) fn page(own: &Own, status: StatusCode, page: &impl Template, targets: &[&str]) -> Reply {
    Reply { status, headers: own.site.headers(targets), body: html(page).into(), ..Reply::default() }
}

pub(super) fn json(status: StatusCode, value: &Value) -> Reply {
    let headers = vec![(CONTENT_TYPE, HeaderValue::from_static("application/json")), (CACHE_CONTROL, NO_STORE)];
    Reply { status, headers, body: Bytes::from(value.to_string()), ..Reply::default() }
}

pub(super) fn empty(status: StatusCode) -> Reply {
    Reply { status, headers: vec![(CACHE_CONTROL, NO_STORE)], ..Reply::default() }
}

/// See other: whatever the method was, the next one is GET.
pub(super) fn see_other(location: &str) -> Result<Reply, Denial> {
    redirect(StatusCode::SEE_OTHER, location)
}

pub(super) fn redirect(status: StatusCode, location: &str) -> Result<Reply, Denial> {
    let location = HeaderValue::try_from(location)
        .map_err(|_| Denial::new(Code::Internal, "a place to go to that is no header value"))?;
    Ok(Reply { status, headers: vec![(LOCATION, location), (CACHE_CONTROL, NO_STORE)], ..Reply::default() })
}

/// The same answer with our cookies on it.
pub(super) fn with_cookies(mut reply: Reply, cookies: impl IntoIterator<Item = HeaderValue>) -> Reply {
    let mut headers: HeaderMap = HeaderMap::with_capacity(reply.headers.len());
    for (name, value) in reply.headers.drain(..) {
        headers.append(name, value);
    }
    attach(&mut headers, cookies);
    reply.headers = flat(headers);
    reply
}

/// The same answer with these header fields on it.
pub(super) fn with_headers(mut reply: Reply, headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Reply {
    reply.headers.extend(headers);
    reply
}

/// Nobody is signed in, or not any more: what a page shows is a way to sign in.
pub(super) fn turned(own: &Own, asked: &Asked<'_>, turned: Turned) -> Reply {
    match turned {
        Turned::Away(denial, cookies) => with_cookies(refusal(own, asked.request, &denial), cookies),
        Turned::Back(cookies) => {
            let query =
                if asked.request.query.is_empty() { String::new() } else { format!("?{}", asked.request.query) };
            let here = format!("{}{query}", asked.request.path);
            let reply = redirect(StatusCode::TEMPORARY_REDIRECT, &here);
            with_cookies(reply.unwrap_or_else(|denial| refusal(own, asked.request, &denial)), cookies)
        }
        Turned::TooOften(over) => with_headers(refusal(own, asked.request, &over.denial), over.headers),
    }
}

/// A problem document (RFC 9457), or a page where a person is looking.
pub(super) fn refusal(own: &Own, request: &OwnRequest, denial: &Denial) -> Reply {
    let status = StatusCode::from_u16(denial.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = if wants_page(&request.headers) {
        page(own, status, &ErrorPage::new(&own.site, denial.code, &request.request_id), &[])
    } else {
        problem(status, denial.code, &request.request_id)
    };
    match status.as_u16() {
        401 => reply.headers.push((WWW_AUTHENTICATE, challenge(denial.code))),
        503 => reply.headers.push((RETRY_AFTER, HeaderValue::from_static("5"))),
        _ => {}
    }
    Reply { denial: Some(denial.clone()), ..reply }
}

/// RFC 6750 section 3.1: the error only where a token was presented.
fn challenge(code: Code) -> HeaderValue {
    HeaderValue::from_static(match code {
        Code::TokenInvalid | Code::TokenExpired | Code::TokenRevoked => {
            "Bearer realm=\"doorward\", error=\"invalid_token\""
        }
        _ => "Bearer realm=\"doorward\"",
    })
}

fn problem(status: StatusCode, code: Code, request_id: &str) -> Reply {
    let body = json!({
        "type": format!("urn:doorward:error:{}", code.name()),
        "title": code.title(),
        "status": status.as_u16(),
        "code": code.name(),
        "request_id": request_id,
    });
    let mut reply = json(status, &body);
    if let Some((_, value)) = reply.headers.first_mut() {
        *value = HeaderValue::from_static("application/problem+json");
    }
    reply
}

fn flat(headers: HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let mut last = None;
    let named = headers.into_iter().filter_map(|(name, value)| {
        last = name.or_else(|| last.take());
        last.clone().map(|name| (name, value))
    });
    named.collect()
}
