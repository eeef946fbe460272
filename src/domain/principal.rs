//! Who a request speaks for, and which claims may be believed about them.

use super::time::UnixTime;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// The configured name of a provider or issuer. A user is (source, subject) everywhere: two sources may both
/// know a `sub` of "1", and they are two people.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceName(Arc<str>);

impl SourceName {
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// How the caller proved who they are; the value of `X-Auth-Method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    Anonymous,
    Bearer,
    /// A cookie of ours.
    Session,
    ApiKey,
}

impl AuthMethod {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Bearer => "bearer",
            Self::Session => "session",
            Self::ApiKey => "api_key",
        }
    }
}

/// A caller whose credential was accepted.
#[derive(Clone, Debug)]
pub struct Principal {
    pub source: SourceName,
    pub subject: String,
    pub method: AuthMethod,
    /// In the order the token gives them.
    pub roles: Vec<String>,
    pub scopes: Vec<String>,
    /// The claims under our names: mapped ones moved in, the names they replaced taken out (see `token::claims`).
    pub claims: Map<String, Value>,
    /// `email` may be shown to backends: verified by the source, or the source is trusted to.
    pub email_trusted: bool,
    /// The moment the credential ends, leeway included.
    pub expires: UnixTime,
}
