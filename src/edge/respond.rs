//! Our own answers. Pingora's canned ones close the connection and name the server; a 401 is ordinary traffic here.

use super::page;
use crate::domain::denial::{Code, Denial};
use crate::domain::navigation::wants_page;
use crate::pipeline::answer::Kind;
use crate::pipeline::own::Reply;
use crate::pipeline::Answer;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{HeaderValue, Method, StatusCode, Version};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::Result;

/// Seconds after which a caller may try again what could not be told or reached.
const RETRY: HeaderValue = HeaderValue::from_static("5");

/// Sends `answer`, as a page where a person is looking and as a problem document (RFC 9457) everywhere else.
pub(super) async fn send(session: &mut Session, answer: &Answer, request_id: &str) -> Result<()> {
    let mut header = ResponseHeader::build_no_case(answer.status(), Some(12))?;
    let body = match &answer.kind {
        Kind::Preflight | Kind::Own(_) | Kind::Served(_) => Bytes::new(),
        Kind::Redirect(to) => {
            header.insert_header(LOCATION, to.1.clone())?;
            header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
            Bytes::new()
        }
        Kind::Refusal(denial) => refusal(&mut header, denial, session, request_id)?,
    };
    for (name, value) in &answer.headers {
        header.append_header(name, value.clone())?;
    }
    let no_content = matches!(answer.kind, Kind::Preflight);
    if !no_content {
        header.insert_header(CONTENT_LENGTH, body.len())?;
    }
    let head_only = body.is_empty() || session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header), head_only).await?;
    if !head_only {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Sends the head of what one of our own endpoints answered, where more follows than anybody can say yet.
pub(super) async fn begin(session: &mut Session, reply: Reply) -> Result<()> {
    let mut header = ResponseHeader::build_no_case(reply.status, Some(reply.headers.len()))?;
    for (name, value) in reply.headers {
        header.append_header(name, value)?;
    }
    if session.req_header().version == Version::HTTP_11 {
        // Else the end would be that of the connection, and a connection that broke off would look like one.
        header.insert_header(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
    }
    session.write_response_header(Box::new(header), false).await
}

/// Sends what one of our own endpoints answered.
pub(super) async fn reply(session: &mut Session, reply: Reply) -> Result<()> {
    let mut header = ResponseHeader::build_no_case(reply.status, Some(reply.headers.len() + 2))?;
    for (name, value) in reply.headers {
        header.append_header(name, value)?;
    }
    // RFC 9110 section 8.6: neither has a body, so neither has a length
    if ![StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&reply.status) {
        header.insert_header(CONTENT_LENGTH, reply.body.len())?;
    }
    let head_only = reply.body.is_empty() || session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header), head_only).await?;
    if !head_only {
        session.write_response_body(Some(reply.body), true).await?;
    }
    Ok(())
}

fn refusal(header: &mut ResponseHeader, denial: &Denial, session: &Session, request_id: &str) -> Result<Bytes> {
    header.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    if let Some(challenge) = challenge(denial.code) {
        header.insert_header(WWW_AUTHENTICATE, challenge)?;
    }
    if denial.code.status() == 503 {
        header.insert_header(RETRY_AFTER, RETRY)?;
    }
    if wants_page(&session.req_header().headers) {
        for (name, value) in page::HEADERS {
            header.insert_header(name, HeaderValue::from_static(value))?;
        }
        return Ok(page::refusal(denial.code, request_id));
    }
    header.insert_header(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))?;
    Ok(problem(denial.code, request_id))
}

/// RFC 6750 section 3: the error only where a token was presented.
fn challenge(code: Code) -> Option<HeaderValue> {
    match code {
        Code::Unauthenticated
        | Code::TokenRevoked
        | Code::TokenReused
        | Code::TokenUsed
        | Code::SessionExpired
        | Code::SessionTerminated
        | Code::DeviceMismatch => Some(HeaderValue::from_static("Bearer realm=\"doorward\"")),
        // RFC 9470 section 3
        Code::StepUpRequired => {
            Some(HeaderValue::from_static("Bearer realm=\"doorward\", error=\"insufficient_user_authentication\""))
        }
        Code::TokenInvalid | Code::ApiKeyInvalid => {
            Some(HeaderValue::from_static("Bearer realm=\"doorward\", error=\"invalid_token\""))
        }
        Code::TokenExpired => Some(HeaderValue::from_static(
            "Bearer realm=\"doorward\", error=\"invalid_token\", error_description=\"The token has expired\"",
        )),
        _ => None,
    }
}

/// Every part is ours: codes, titles, and a request id of known characters.
fn problem(code: Code, request_id: &str) -> Bytes {
    let (name, title, status) = (code.name(), code.title(), code.status());
    format!(
        "{{\"type\":\"urn:doorward:error:{name}\",\"title\":\"{title}\",\"status\":{status},\"code\":\"{name}\",\
         \"request_id\":\"{request_id}\"}}\n"
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_json_with_its_status_and_code() {
        for code in Code::ALL {
            let value: serde_json::Value = serde_json::from_slice(&problem(code, "abc")).unwrap();
            assert_eq!(value["status"], code.status(), "{code:?}");
            assert_eq!(value["code"], code.name());
            assert_eq!(value["type"], format!("urn:doorward:error:{}", code.name()));
            assert_eq!(value["request_id"], "abc");
        }
    }

    #[test]
    fn every_401_carries_a_challenge() {
        for code in Code::ALL {
            assert_eq!(challenge(code).is_some(), code.status() == 401, "{code:?}");
        }
    }
}
