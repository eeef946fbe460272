//! `POST /token` with `grant_type=refresh_token` (RFC 6749 section 6): `/refresh` in the words of OAuth, for clients that
//! hold their tokens themselves.
//!
//! They are public clients and the refresh token is all the proof there is, so neither cookies nor an origin matter.

use super::oauth::{invalid, parameter, refused, Error};
use super::reply::json;
use super::{Asked, Own};
use crate::domain::denial::{Code, Denial};
use crate::domain::family::Transport;
use crate::pipeline::own::Reply;
use crate::pipeline::session::{Issued, Mode, Renewal, Renewed};
use http::StatusCode;
use serde_json::json;

impl Own {
    pub(super) async fn token(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let grant = match parameter(asked, "grant_type") {
            Ok(grant) => grant,
            Err(words) => return Ok(invalid(words)),
        };
        if grant != "refresh_token" || !self.grants_by_refresh_token() {
            let denial = Denial::new(Code::BadRequest, "a grant type that this token endpoint does not know");
            return Ok(refused(Error::UnsupportedGrantType, "a grant type that is not offered", denial));
        }
        let token = match parameter(asked, "refresh_token") {
            Ok(token) => token,
            Err(words) => return Ok(invalid(words)),
        };
        let Some(said) = self.house.parse_renewal(&token) else {
            return Ok(not_granted(Denial::new(Code::TokenInvalid, "no refresh token of ours")));
        };
        match self.spend(asked, said, Transport::Body, self.house.terms.token_grace).await {
            Renewed::Over(over) => Ok(self.too_often(asked, over)),
            Renewed::Issued { issued, .. } => Ok(granted(&issued)),
            Renewed::Refused(denial) | Renewed::Ended(denial) => Ok(not_granted(denial)),
            Renewed::CannotTell(denial) => Err(denial),
            // Only who has a jar of cookies is sent back to look into it.
            Renewed::Back(_) => Err(Denial::new(Code::TryAgain, "sent back without a jar")),
        }
    }

    /// Whether there are refresh tokens at all.
    pub(super) fn grants_by_refresh_token(&self) -> bool {
        self.house.terms.mode == Mode::Jwt && self.house.terms.renewal != Renewal::Off
    }
}

/// RFC 6749 section 5.1.
fn granted(issued: &Issued) -> Reply {
    let mut said = json!({
        "access_token": &*issued.access,
        "token_type": "Bearer",
        "expires_in": issued.expires_in.as_secs(),
    });
    // Without one the client keeps the one it has.
    if let Some((said, (_, token))) = said.as_object_mut().zip(issued.renewal.as_ref()) {
        said.insert("refresh_token".to_owned(), json!(&**token));
    }
    json(StatusCode::OK, &said)
}

fn not_granted(denial: Denial) -> Reply {
    refused(Error::InvalidGrant, denial.code.name(), denial)
}
