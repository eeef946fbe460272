//! What the admin API answers: JSON, or a problem (RFC 9457) that tells operators why.

use crate::domain::denial::Code;
use crate::pipeline::keys::KeysError;
use crate::ports::store::StoreError;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{
    HeaderName, HeaderValue, ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Response, StatusCode};
use serde_json::{json, Value};

pub(super) type Answered = Result<Done, Refusal>;

/// It was done.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) status: StatusCode,
    body: Value,
}

/// It was not. Unlike others, operators are told the detail.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) detail: String,
    allow: Option<String>,
}

impl Done {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        response(self.status, "application/json", &self.body)
    }
}

impl Refusal {
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), allow: None }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }

    pub(super) fn method(allow: &str) -> Self {
        Self { allow: Some(allow.to_owned()), ..Self::new(Code::MethodNotAllowed, format!("this path takes {allow}")) }
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let Self { code, detail, allow } = self;
        let body = json!({
            "type": format!("urn:doorward:error:{}", code.name()),
            "title": code.title(),
            "status": code.status(),
            "code": code.name(),
            "detail": detail,
        });
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = response(status, "application/problem+json", &body);
        if let Some(allow) = allow.and_then(|allow| HeaderValue::try_from(allow).ok()) {
            response.headers_mut().insert(ALLOW, allow);
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"doorward admin\""));
        }
        response
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::new(Code::StoreUnavailable, error.to_string())
    }
}

impl From<KeysError> for Refusal {
    fn from(error: KeysError) -> Self {
        use crate::domain::signing::ring::Refused;
        let code = match &error {
            KeysError::Store(_) => Code::StoreUnavailable,
            KeysError::Refused(Refused::Unknown(_)) => Code::NoRoute,
            KeysError::Refused(Refused::TooMany) | KeysError::Contended => Code::TryAgain,
            KeysError::Sealed | KeysError::Unreadable(_) | KeysError::Clock | KeysError::Crypto(_) => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

fn response(status: StatusCode, kind: &'static str, body: &Value) -> Response<Full<Bytes>> {
    const HEADERS: [(HeaderName, &str); 2] = [(CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    let mut text = body.to_string();
    text.push('\n');
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    for (name, value) in [(CONTENT_TYPE, kind)].into_iter().chain(HEADERS) {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
