//! For tests: a provider, who we are there, and an attempt to sign in.

use super::attempt::Wish;
use super::{Attempt, Metadata, ProviderSettings};
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
pub(crate) use crate::domain::token::fixture::NOW;
use serde_json::{json, Value};

pub(crate) const ISSUER: &str = "https://id.example.com/";

pub(crate) fn settings() -> ProviderSettings {
    ProviderSettings {
        name: SourceName::new("id"),
        issuer: ISSUER.to_owned(),
        client_id: "doorward".to_owned(),
        client_secret: Some(Secret::new(b"s3cret".to_vec())),
        scopes: ["openid", "profile", "email"].map(str::to_owned).to_vec(),
        roles_claim: "roles".to_owned(),
        ca: None,
        userinfo: false,
        trust_email: false,
    }
}

/// The discovery document of `issuer`, its endpoints below `base`.
pub(crate) fn document(issuer: &str, base: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "userinfo_endpoint": format!("{base}/userinfo"),
        "revocation_endpoint": format!("{base}/revoke"),
        "end_session_endpoint": format!("{base}/logout"),
        "jwks_uri": format!("{base}/jwks"),
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA", "PS256", "HS256", "none"],
        "code_challenge_methods_supported": ["plain", "S256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "private_key_jwt"],
        "authorization_response_iss_parameter_supported": true,
    })
}

pub(crate) fn metadata() -> Metadata {
    let document = document(ISSUER, "https://id.example.com").to_string();
    Metadata::parse(document.as_bytes(), ISSUER, |_| true).unwrap()
}

pub(crate) fn attempt() -> Attempt {
    let wish = Wish {
        provider: SourceName::new("id"),
        redirect_uri: "https://app.example.com/.auth/callback/id".to_owned(),
        return_to: "/reports?year=2026".to_owned(),
        max_age: None,
        former: None,
    };
    Attempt::begin(wish, &[[1; 32], [2; 32], [3; 32]], NOW)
}
