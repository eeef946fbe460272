//! Documents anybody may read: our keys, what we are, and what pages look like.

use super::{reply, Asked, Own};
use crate::domain::denial::{Code, Denial};
use crate::domain::signing::metadata::{authorization_server, openid_configuration, protected_resource, Offered};
use crate::domain::signing::Algorithm;
use crate::pipeline::own::Reply;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

/// Below `/.well-known/`.
pub(super) const NAMES: [&str; 4] =
    ["jwks.json", "openid-configuration", "oauth-authorization-server", "oauth-protected-resource"];
const ORIGIN_ALLOWED: (HeaderName, HeaderValue) =
    (HeaderName::from_static("access-control-allow-origin"), HeaderValue::from_static("*"));

impl Own {
    pub(super) fn document(&self, asked: &Asked<'_>, name: &str) -> Result<Reply, Denial> {
        if !asked.reads() {
            return Err(Denial::new(Code::MethodNotAllowed, "a document is only read"));
        }
        let issuer = self.house.origins.issuer().as_str();
        let refresh_token = self.grants_by_refresh_token();
        let offered = Offered { refresh_token, revocation: true, ..Offered::default() };
        match name {
            "jwks.json" => Ok(self.jwks(asked)),
            "openid-configuration" => {
                Ok(described(&openid_configuration(issuer, &self.prefix, offered, &Algorithm::ALL)))
            }
            "oauth-authorization-server" => Ok(described(&authorization_server(issuer, &self.prefix, offered))),
            "oauth-protected-resource" => Ok(described(&protected_resource(asked.origin.as_str(), issuer))),
            _ => Err(Denial::new(Code::NoRoute, "no such document")),
        }
    }

    fn jwks(&self, asked: &Asked<'_>) -> Reply {
        let jwks = self.house.ground.ring.jwks();
        let known = asked.request.headers.get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == jwks.etag.as_bytes());
        let mut headers = vec![ORIGIN_ALLOWED];
        headers.extend(HeaderValue::try_from(&jwks.etag).map(|etag| (ETAG, etag)));
        headers.extend(HeaderValue::try_from(jwks.cache_control(asked.request.now)).map(|life| (CACHE_CONTROL, life)));
        if known {
            return Reply { status: StatusCode::NOT_MODIFIED, headers, ..Reply::default() };
        }
        headers.push((CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json")));
        Reply { status: StatusCode::OK, headers, body: jwks.body.clone().into(), ..Reply::default() }
    }

    pub(super) fn asset(&self, asked: &Asked<'_>, path: &str) -> Result<Reply, Denial> {
        let asset = self.site.asset(path).ok_or_else(|| Denial::new(Code::NoRoute, "no such asset"))?;
        let known = asked.request.headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
        let mut headers = vec![
            (CACHE_CONTROL, asset.cache_control()),
            (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
        ];
        headers.extend(HeaderValue::try_from(&asset.etag).map(|etag| (ETAG, etag)));
        if asset.is_known(known) {
            return Ok(Reply { status: StatusCode::NOT_MODIFIED, headers, ..Reply::default() });
        }
        headers.push((CONTENT_TYPE, asset.content_type));
        Ok(Reply { status: StatusCode::OK, headers, body: asset.bytes, ..Reply::default() })
    }
}

fn described(document: &Value) -> Reply {
    let mut reply = reply::json(StatusCode::OK, document);
    reply.headers.retain(|(name, _)| *name != CACHE_CONTROL);
    reply.headers.push((CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")));
    reply.headers.push(ORIGIN_ALLOWED);
    reply
}
