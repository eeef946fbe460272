//! What a provider says about itself (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2), as far as we need it.

use crate::domain::token::{jose, json};
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use url::Url;

/// ID tokens are believed in these and no others. HS256 is not among them: it would make the client secret a signing
/// key, and who has one of its holders has them all.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA];

#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    pub issuer: String,
    pub authorization_endpoint: Url,
    pub token_endpoint: Url,
    pub userinfo_endpoint: Option<Url>,
    pub revocation_endpoint: Option<Url>,
    pub end_session_endpoint: Option<Url>,
    /// What it signs with, as far as we believe it; never empty.
    pub algorithms: Vec<Algorithm>,
    /// The ways of client authentication that we know too.
    pub client_auth: Vec<ClientAuth>,
    /// Its answers name it in `iss` (RFC 9207 section 3); one that does not is somebody else's.
    pub names_itself: bool,
}

/// How a client with a secret proves itself (OpenID Connect Core section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    Basic,
    Post,
}

/// Why a document is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the discovery document {0}")]
pub struct Unusable(pub &'static str);

impl Metadata {
    /// Reads `document`, which was found at the well-known place of `issuer`. `may_call` says which URLs may be called.
    ///
    /// # Errors
    /// The document is malformed, is another issuer's (the mix-up attack; a slash more is enough), or offers nothing
    /// that is safe.
    pub fn parse(document: &[u8], issuer: &str, may_call: fn(&Url) -> bool) -> Result<Self, Unusable> {
        let found = json::parse_object(document).map_err(|_| Unusable("is no strict JSON object"))?;
        if found.get("issuer").and_then(Value::as_str) != Some(issuer) {
            return Err(Unusable("names another issuer"));
        }
        if strings(&found, "code_challenge_methods_supported").is_some_and(|listed| !listed.contains(&"S256")) {
            return Err(Unusable("offers no PKCE with S256"));
        }
        let endpoint = |name| endpoint(&found, name, may_call);
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: endpoint("authorization_endpoint")?
                .ok_or(Unusable("has no authorization_endpoint"))?,
            token_endpoint: endpoint("token_endpoint")?.ok_or(Unusable("has no token_endpoint"))?,
            userinfo_endpoint: endpoint("userinfo_endpoint")?,
            revocation_endpoint: endpoint("revocation_endpoint")?,
            end_session_endpoint: endpoint("end_session_endpoint")?,
            algorithms: algorithms(&found)?,
            client_auth: client_auth(&found),
            names_itself: found.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        })
    }
}

fn endpoint(found: &Map<String, Value>, name: &str, may_call: fn(&Url) -> bool) -> Result<Option<Url>, Unusable> {
    let text = match found.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_str().unwrap_or_default(),
    };
    // a fragment is not allowed (RFC 6749 sections 3.1 and 3.2), and would swallow what we append
    let url = Url::parse(text).ok().filter(|url| url.fragment().is_none() && may_call(url));
    url.map(Some).ok_or(Unusable("has an endpoint that is neither https nor http to loopback"))
}

/// Without a list RS256, which every provider must have (OpenID Connect Core section 15.1).
fn algorithms(found: &Map<String, Value>) -> Result<Vec<Algorithm>, Unusable> {
    let Some(listed) = strings(found, "id_token_signing_alg_values_supported") else {
        return Ok(vec![Algorithm::RS256]);
    };
    let listed: Vec<Algorithm> = listed.into_iter().filter_map(jose::algorithm).collect();
    let both: Vec<Algorithm> = ALGORITHMS.into_iter().filter(|ours| listed.contains(ours)).collect();
    if both.is_empty() {
        return Err(Unusable("offers no signature algorithm that is believed here (RS256, PS256, ES256, EdDSA)"));
    }
    Ok(both)
}

/// Without a list Basic (OpenID Connect Discovery 1.0 section 3).
fn client_auth(found: &Map<String, Value>) -> Vec<ClientAuth> {
    let Some(listed) = strings(found, "token_endpoint_auth_methods_supported") else {
        return vec![ClientAuth::Basic];
    };
    let known = [("client_secret_basic", ClientAuth::Basic), ("client_secret_post", ClientAuth::Post)];
    known.into_iter().filter(|(name, _)| listed.contains(name)).map(|(_, way)| way).collect()
}

fn strings<'v>(found: &'v Map<String, Value>, name: &str) -> Option<Vec<&'v str>> {
    Some(found.get(name)?.as_array()?.iter().filter_map(Value::as_str).collect())
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
