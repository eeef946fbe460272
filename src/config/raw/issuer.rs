//! `[[issuer]]`: whose bearer tokens are accepted.

use super::shape::{table, Field, List};
use super::value::{words, FilePath, FromText, Name};
use crate::config::reading::Reading;
use crate::config::secrets::Text;
use crate::domain::secret::Secret;
use jsonwebtoken::Algorithm;
use serde_json::{json, Value as Json};
use std::collections::BTreeMap;
use std::time::Duration;

table! {
    /// Whose bearer tokens are accepted. Its keys come by discovery, or from exactly one of jwks_url, jwks_file and secret.
    Issuer {
        /// What routes, headers and logs call it.
        name: Name,
        /// The exact `iss` of its tokens.
        issuer: String,
        /// Where its keys are, when not by discovery.
        jwks_url: String,
        /// A file with its keys, read again when it changes.
        jwks_file: FilePath,
        /// The shared secret of HS256: "env:NAME" or "file:/path".
        secret: Secret,
        /// PEM file with the CA of the issuer; "" takes the system's.
        ca: FilePath = "",
        /// File with a token sent to the issuer's own origin, read again when it changes.
        bearer: FilePath = "",
        /// One of these must stand in `aud`.
        audience: List<String>,
        /// What its tokens are signed with; never taken from a token.
        algorithms: List<TokenAlgorithm>,
        /// How far its clock may be off.
        leeway: Duration = "30s",
        /// Tokens that end later than this from now are refused.
        max_token_life: Duration = "24h",
        /// How its tokens are checked.
        verify: Verify = "jwks",
        /// Where our names are found in its tokens: roles = "realm_access.roles".
        claims: BTreeMap<String, Field<String>> = {},
        /// Its `email` may be passed on without `email_verified`.
        trust_email: bool = false,
    }
    later {
        introspection_url: String,
        client_id: String,
        client_secret: String,
    }
}

words! {
    /// How tokens are checked.
    Verify { "jwks" => Jwks } later "introspection"
}

/// A signature algorithm by its JOSE name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TokenAlgorithm(pub(crate) Algorithm);

const ALGORITHMS: [(&str, Algorithm); 10] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
    ("HS256", Algorithm::HS256),
];

impl FromText for TokenAlgorithm {
    fn describe() -> Json {
        json!({ "enum": ALGORITHMS.map(|(name, _)| name) })
    }

    fn from_text(text: &Text, _: &Reading<'_>) -> Result<Self, String> {
        let known = ALGORITHMS.iter().find(|(name, _)| *name == text.value);
        let known = known.ok_or_else(|| super::value::not_one_of(text, &ALGORITHMS.map(|(name, _)| name)))?;
        Ok(Self(known.1))
    }
}
