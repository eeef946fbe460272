//! `POST /revoke` (RFC 7009): whoever holds a token of ours gives it up.
//!
//! Our clients are public, so the token is all the proof there is: it needs neither cookies nor a page of ours, and whoever
//! holds it could do worse with it. Good, spent and invented tokens get one answer, so nobody learns here which are good.

use super::reply::{empty, json};
use super::{Asked, Own};
use crate::domain::denial::{Code, Denial};
use crate::pipeline::own::Reply;
use crate::pipeline::session::{session_of, Place};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

impl Own {
    /// A renewal token ends its session, with everything it minted; an access token ends alone. Which of them it is, it
    /// says itself better than any `token_type_hint`.
    pub(super) async fn revoke(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let token = match presented(asked) {
            Ok(token) => token,
            Err(why) => return Ok(invalid(why)),
        };
        let (request, from) = (asked.request, asked.request.client.ip);
        if let Some(said) = self.house.parse_renewal(&token) {
            let place = Place { user: said.user, id: session_of(said.family) };
            // While the store is away it counts here at once, and elsewhere as soon as others can be told.
            let _ = self.house.sign_out(place, from).await;
            return Ok(empty(StatusCode::OK));
        }
        match self.house.read_bearer(&token, request.now) {
            Ok(verified) => self.house.revoke_token(&verified, from).await,
            Err(denial) if denial.code.status() == 503 => return Err(denial),
            Err(_) => {}
        }
        Ok(empty(StatusCode::OK))
    }
}

/// The one token of the form.
fn presented(asked: &Asked<'_>) -> Result<String, &'static str> {
    let kind = asked.request.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    if !kind.trim_ascii().eq_ignore_ascii_case(FORM) {
        return Err("a body that is no form");
    }
    if !asked.request.query.is_empty() {
        return Err("parameters in the query, where logs would keep them");
    }
    match asked.form_all("token").as_slice() {
        [] => Err("no token"),
        [token] if token.is_empty() => Err("an empty token"),
        [token] => Ok(token.clone().into_owned()),
        [..] => Err("more than one token"),
    }
}

/// RFC 6749 section 5.2, as RFC 7009 section 2.2.1 wants it.
fn invalid(why: &'static str) -> Reply {
    let reply = json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request", "error_description": why }));
    Reply { denial: Some(Denial::new(Code::BadRequest, why)), ..reply }
}
