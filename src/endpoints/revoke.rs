//! `POST /revoke` (RFC 7009): whoever holds a token of ours gives it up.
//!
//! Our clients are public, so the token is all the proof there is: it needs neither cookies nor a page of ours, and whoever
//! holds it could do worse with it. Good, spent and invented tokens get one answer, so nobody learns here which are good.

use super::reply::empty;
use super::{oauth, Asked, Own};
use crate::domain::denial::Denial;
use crate::pipeline::own::Reply;
use crate::pipeline::session::{session_of, Place};
use http::StatusCode;

impl Own {
    /// A renewal token ends its session, with everything it minted; an access token ends alone. Which of them it is, it
    /// says itself better than any `token_type_hint`.
    pub(super) async fn revoke(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let token = match oauth::parameter(asked, "token") {
            Ok(token) => token,
            Err(why) => return Ok(oauth::invalid(why)),
        };
        let (request, from) = (asked.request, asked.request.client.ip);
        if let Some(said) = self.house.parse_renewal(&token) {
            let place = Place { user: said.user, id: session_of(said.family) };
            // While the store is away it counts here at once, and elsewhere as soon as others can be told.
            let _ = self.house.sign_out(place, from).await;
            return Ok(empty(StatusCode::OK));
        }
        match self.house.read_bearer(&token, request.now).await {
            Ok(verified) => self.house.revoke_token(&verified, from).await,
            Err(denial) if denial.code.status() == 503 => return Err(denial),
            Err(_) => {}
        }
        Ok(empty(StatusCode::OK))
    }
}
