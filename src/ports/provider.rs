//! An OpenID provider, as sign-in, renewal and sign-out need it.

use super::KeySource;
use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::callback::Refusal;
use crate::domain::oidc::unguessable::Unguessable;
use crate::domain::oidc::{Metadata, ProviderSettings};
use crate::domain::secret::Secret;
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// One provider. Every call ends within five seconds, and what spends a code or a refresh token within ten.
///
/// # When the answer is wrong
/// - [`ProviderError::InvalidGrant`] ends a session. So it is said only when the provider itself said it, in the words of
///   RFC 6749; whatever else is odd is [`ProviderError::Away`] and ends nothing.
/// - A refresh whose answer is lost may have used up a refresh token that counts once. Whoever calls must therefore see
///   the call through to its end, also when the client that caused it has gone.
#[async_trait]
pub trait Provider: Send + Sync + Debug {
    fn settings(&self) -> &ProviderSettings;

    /// What it says about itself: the last good word, while it is away.
    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError>;

    /// What its tokens are signed with.
    fn keys(&self) -> Arc<dyn KeySource>;

    /// Redeems a code. The tokens hold an ID token, which nobody has checked yet.
    async fn exchange(
        &self,
        code: &Secret,
        verifier: &Unguessable,
        redirect_uri: &str,
    ) -> Result<Tokens, ProviderError>;

    async fn refresh(&self, refresh_token: &Secret) -> Result<Tokens, ProviderError>;

    /// The claims of whoever the access token speaks for; whether that is our user is for the caller to compare.
    async fn userinfo(&self, access_token: &Secret) -> Result<Map<String, Value>, ProviderError>;

    /// Nothing to do where the provider has no revocation endpoint.
    async fn revoke(&self, refresh_token: &Secret) -> Result<(), ProviderError>;

    /// Whether it answered when it was last needed. For operators; decides nothing.
    fn is_up(&self) -> bool;
}

/// A token response (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access_token: Secret,
    /// Always there after an exchange, and often not after a refresh.
    pub id_token: Option<Secret>,
    /// A new one: the old one may count no longer. `None` after a refresh: the old one goes on.
    pub refresh_token: Option<Secret>,
    pub expires_in: Option<Duration>,
}

/// Why a provider did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It did not answer, or not in a way we understand: neither yes nor no. In words for a log.
    #[error("the provider cannot be asked: {0}")]
    Away(String),
    /// The same, and it was not even asked: whatever would be spent by asking is as good as before.
    #[error("the provider cannot be reached: {0}")]
    Unsent(String),
    /// The code or refresh token counts no longer.
    #[error("the provider says the grant is invalid")]
    InvalidGrant,
    /// It will not talk to us like this; `invalid_client`, `unauthorized_client` … Somebody must mend a configuration.
    #[error("the provider refused: {0}")]
    Refused(Refusal),
}

/// What is said of a token whose key may be new, or wrong.
#[must_use]
pub fn keys_out_of_reach() -> Denial {
    Denial::new(Code::ProviderUnavailable, "the keys of the provider cannot be had")
}
