//! One OpenID provider over the network.
//!
//! Its trouble stays its own: every call has one deadline, at most 32 are under way, and a provider that is down or asks
//! for a pause is left alone for a while. Nothing that could be misread as "no" leaves here unless the provider said it.

mod answer;
mod breaker;
mod client_auth;
mod discovered;

use self::answer::{read_claims, read_tokens, read_verdict};
use self::breaker::Breaker;
use self::client_auth::Way;
use self::discovered::{Contact, Discovered};
use crate::config::settings::{IssuerSettings, KeyOrigin, Remote};
use crate::domain::oidc::callback::Refusal;
use crate::domain::oidc::unguessable::Unguessable;
use crate::domain::oidc::{Metadata, ProviderSettings};
use crate::domain::secret::Secret;
use crate::domain::token::issuer::Issuer;
use crate::outbound::client::{Call, Content, FetchError, Reply, CALL_TIMEOUT, GRANT_TIMEOUT};
use crate::outbound::keyring::Keyring;
use crate::ports::provider::{Provider, ProviderError, Tokens};
use crate::ports::KeySource;
use async_trait::async_trait;
use http::HeaderValue;
use reqwest::Url;
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{timeout_at, Instant};
use zeroize::Zeroizing;

/// Calls to one provider that may be under way at once.
const AT_ONCE: usize = 32;

/// A provider, from its settings until it is dropped.
#[derive(Debug)]
pub struct OidcProvider {
    settings: ProviderSettings,
    discovered: Arc<Discovered>,
    keyring: Arc<Keyring>,
    /// One for each endpoint: a UserInfo endpoint that is down keeps nobody from renewing.
    token: Breaker,
    userinfo: Breaker,
    revocation: Breaker,
    turns: Semaphore,
    /// The provider offers Basic and did not take it from us, but the other way.
    posts_secret: AtomicBool,
}

/// How patient we are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long metadata are good for.
    pub metadata_life: Duration,
    /// Between two attempts to get some.
    pub metadata_pause: Duration,
    /// The first pause after failures, doubling up to the longest.
    pub least_pause: Duration,
    pub most_pause: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            metadata_life: Duration::from_secs(3600),
            metadata_pause: Duration::from_secs(3),
            least_pause: Duration::from_secs(1),
            most_pause: Duration::from_secs(60),
        }
    }
}

/// What to do when a call ends before any answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    GiveUp,
    TryOnceMore,
}

/// Something posted to the provider.
struct Post<'a> {
    url: &'a Url,
    breaker: &'a Breaker,
    pairs: &'a [(&'a str, &'a [u8])],
    lost: Lost,
}

impl OidcProvider {
    /// Begins to keep the provider's keys, in the current Tokio runtime. Returns at once; metadata are fetched when they
    /// are first needed, so a provider that is down at the start is a provider that is down.
    #[must_use]
    pub fn spawn(settings: ProviderSettings) -> Arc<Self> {
        Self::at_pace(settings, Pace::default())
    }

    fn at_pace(settings: ProviderSettings, pace: Pace) -> Arc<Self> {
        let remote = Remote { ca: settings.ca.clone(), bearer: None };
        let keyring = Keyring::spawn(&issuer(&settings, remote.clone()));
        let discovered = Discovered::new(&settings, remote, pace);
        let [token, userinfo, revocation] = [(); 3].map(|()| Breaker::new(pace));
        let (turns, posts_secret) = (Semaphore::new(AT_ONCE), AtomicBool::new(false));
        Arc::new(Self { settings, discovered, keyring, token, userinfo, revocation, turns, posts_secret })
    }

    /// Whether a reload may keep this one, and with it what it knows.
    #[must_use]
    pub fn serves(&self, settings: &ProviderSettings) -> bool {
        self.settings.is_same(settings)
    }

    async fn grant(&self, pairs: &[(&str, &[u8])], lost: Lost) -> Result<Tokens, ProviderError> {
        let deadline = Instant::now() + GRANT_TIMEOUT;
        let contact = self.discovered.get(deadline).await.map_err(unsent)?;
        let post = Post { url: &contact.metadata.token_endpoint, breaker: &self.token, pairs, lost };
        self.post_as_client(&contact, post, deadline, read_tokens).await
    }

    /// Posts with our credentials, in the way the provider takes. Some offer Basic and have this client registered for
    /// the other way; they say `invalid_client` before they look at anything else, so the code is still good.
    async fn post_as_client<T>(
        &self,
        contact: &Contact,
        post: Post<'_>,
        deadline: Instant,
        read: fn(&Reply) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let first = Way::first(&self.settings, &contact.metadata, self.posts_secret.load(Ordering::Relaxed))?;
        let answered = self.post(contact, &post, first, deadline).await.and_then(|reply| read(&reply));
        let Some(other) = first.other(&contact.metadata).filter(|_| is_invalid_client(&answered)) else {
            return answered;
        };
        let again = self.post(contact, &post, other, deadline).await.and_then(|reply| read(&reply));
        if is_invalid_client(&again) {
            return answered;
        }
        if !matches!(again, Err(ProviderError::Away(_) | ProviderError::Unsent(_))) {
            self.posts_secret.store(other == Way::Post, Ordering::Relaxed);
        }
        again
    }

    async fn post(
        &self,
        contact: &Contact,
        post: &Post<'_>,
        way: Way,
        deadline: Instant,
    ) -> Result<Reply, ProviderError> {
        let (authorization, body) = way.write(&self.settings, post.pairs)?;
        let call = || Call {
            url: post.url,
            authorization: authorization.clone(),
            content: Content::Form(body.clone()),
            within: GRANT_TIMEOUT,
        };
        let first = self.call(contact, call(), post.breaker, deadline).await;
        let sent = matches!(first, Err(FetchError::Transport(..)));
        if post.lost == Lost::GiveUp || !(sent || matches!(first, Err(FetchError::Unreached(..)))) {
            return first.map_err(ProviderError::from);
        }
        // No worse than coming back later with the same token, and mostly better: providers that rotate tokens
        // forgive a second use for some seconds only.
        let again = self.call(contact, call(), post.breaker, deadline).await;
        again.map_err(|error| match ProviderError::from(error) {
            ProviderError::Unsent(words) if sent => ProviderError::Away(words),
            error => error,
        })
    }

    async fn call(
        &self,
        contact: &Contact,
        call: Call<'_>,
        breaker: &Breaker,
        deadline: Instant,
    ) -> Result<Reply, FetchError> {
        breaker.enter()?;
        let waited = async {
            let _turn = self.turns.acquire().await;
            contact.client.call(call).await
        };
        let outcome = timeout_at(deadline, waited).await.unwrap_or(Err(FetchError::Timeout));
        breaker.heard(&outcome);
        outcome
    }
}

#[async_trait]
impl Provider for OidcProvider {
    fn settings(&self) -> &ProviderSettings {
        &self.settings
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderError> {
        let contact = self.discovered.get(Instant::now() + CALL_TIMEOUT).await?;
        Ok(Arc::clone(&contact.metadata))
    }

    fn keys(&self) -> Arc<dyn KeySource> {
        Arc::<Keyring>::clone(&self.keyring)
    }

    async fn exchange(
        &self,
        code: &Secret,
        verifier: &Unguessable,
        redirect_uri: &str,
    ) -> Result<Tokens, ProviderError> {
        let pairs: [(&str, &[u8]); 4] = [
            ("grant_type", b"authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", redirect_uri.as_bytes()),
            ("code_verifier", verifier.expose().as_bytes()),
        ];
        // A code shown twice is a stolen one to the provider, which then revokes what the first brought (RFC 6749
        // section 4.1.2); so a code is shown once.
        let tokens = self.grant(&pairs, Lost::GiveUp).await?;
        if tokens.id_token.is_none() {
            return Err(ProviderError::Away("a code brought no ID token".to_owned()));
        }
        Ok(tokens)
    }

    async fn refresh(&self, refresh_token: &Secret) -> Result<Tokens, ProviderError> {
        let pairs: [(&str, &[u8]); 2] = [("grant_type", b"refresh_token"), ("refresh_token", refresh_token.expose())];
        self.grant(&pairs, Lost::TryOnceMore).await
    }

    async fn userinfo(&self, access_token: &Secret) -> Result<Map<String, Value>, ProviderError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let contact = self.discovered.get(deadline).await?;
        let refused = |code| ProviderError::Refused(Refusal::new(code, None));
        let url = contact.metadata.userinfo_endpoint.as_ref().ok_or_else(|| refused("no_userinfo_endpoint"))?;
        let value = Zeroizing::new([b"Bearer ", access_token.expose()].concat());
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| refused("odd_access_token"))?;
        value.set_sensitive(true);
        let call = Call { url, authorization: Some(value), content: Content::Nothing, within: CALL_TIMEOUT };
        let reply = self.call(&contact, call, &self.userinfo, deadline).await?;
        read_claims(&reply)
    }

    async fn revoke(&self, refresh_token: &Secret) -> Result<(), ProviderError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        let contact = self.discovered.get(deadline).await?;
        let Some(url) = &contact.metadata.revocation_endpoint else {
            return Ok(());
        };
        let pairs: [(&str, &[u8]); 2] = [("token", refresh_token.expose()), ("token_type_hint", b"refresh_token")];
        let post = Post { url, breaker: &self.revocation, pairs: &pairs, lost: Lost::TryOnceMore };
        self.post_as_client(&contact, post, deadline, read_verdict).await
    }

    fn is_up(&self) -> bool {
        self.discovered.is_up() && self.keyring.up() && self.token.is_closed()
    }
}

fn is_invalid_client<T>(answered: &Result<T, ProviderError>) -> bool {
    matches!(answered, Err(ProviderError::Refused(refusal)) if refusal.code == "invalid_client")
}

/// No call that failed is a "no".
impl From<FetchError> for ProviderError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NotAllowed(_)
            | FetchError::File { .. }
            | FetchError::Client(_)
            | FetchError::Unreached(..)
            | FetchError::LeftAlone => Self::Unsent(error.to_string()),
            FetchError::Transport(..)
            | FetchError::Cut(..)
            | FetchError::Status(..)
            | FetchError::TooLarge
            | FetchError::Discovery(_)
            | FetchError::Keys(_)
            | FetchError::Timeout => Self::Away(error.to_string()),
        }
    }
}

/// What failed before anything was asked.
fn unsent(error: ProviderError) -> ProviderError {
    match error {
        ProviderError::Away(words) => ProviderError::Unsent(words),
        error => error,
    }
}

/// What a keyring wants to know; the terms for bearer tokens in it are never used.
fn issuer(settings: &ProviderSettings, remote: Remote) -> IssuerSettings {
    let issuer = Issuer {
        name: settings.name.clone(),
        issuer: settings.issuer.clone(),
        audience: Vec::new(),
        algorithms: Vec::new(),
        leeway: Duration::ZERO,
        max_token_life: Duration::ZERO,
        claims: Vec::new(),
        trust_email: false,
    };
    IssuerSettings { issuer: Arc::new(issuer), keys: KeyOrigin::Discovery(remote) }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod provider_tests;
