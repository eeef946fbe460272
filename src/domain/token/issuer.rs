//! What is asked of an issuer's tokens. Configuration decides; nothing here is ever taken from a token.

use crate::domain::principal::SourceName;
use jsonwebtoken::Algorithm;
use std::time::Duration;

/// The terms of one `[[issuer]]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    pub name: SourceName,
    /// The exact `iss`.
    pub issuer: String,
    /// Any of these must stand in `aud`.
    pub audience: Vec<String>,
    pub algorithms: Vec<Algorithm>,
    pub leeway: Duration,
    /// Tokens that end later than this from now are refused.
    pub max_token_life: Duration,
    /// (our name, path in its tokens): `("roles", "realm_access.roles")`.
    pub claims: Vec<(String, String)>,
    /// Its `email` may be shown to backends without `email_verified`.
    pub trust_email: bool,
}
