//! The one HTTP client, with the limits that keep an issuer's trouble its own: no redirects, https only, 1 MiB, 5 s.
//!
//! URLs come from configuration or from the discovery document of a configured issuer, never from a token. A redirect
//! is refused because it would let whoever answers choose where we go next (server-side request forgery).

use crate::config::settings::Remote;
use http::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use reqwest::{Certificate, Response, Url};
use std::error::Error;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest body we read, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// From the first byte of a connection to the last byte of a body.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// For what is spent by asking: an answer that was not waited for is lost, and the token with it.
pub const GRANT_TIMEOUT: Duration = Duration::from_secs(10);

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// Talks to one issuer.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// Where the bearer token may be sent; `None` when the issuer's name is no URL.
    home: Option<Url>,
    bearer: Option<PathBuf>,
}

/// A 200.
#[derive(Debug)]
pub struct Answer {
    pub body: Vec<u8>,
    /// `max-age` of `Cache-Control`.
    pub max_age: Option<Duration>,
}

/// One call, answered with whatever comes back.
pub struct Call<'a> {
    pub url: &'a Url,
    pub authorization: Option<HeaderValue>,
    pub content: Content,
    /// From the first byte of a connection to the last of the answer.
    pub within: Duration,
}

/// What is posted.
pub enum Content {
    /// A GET.
    Nothing,
    /// Url-encoded.
    Form(Zeroizing<String>),
    Json(String),
}

/// An answer of any status.
pub struct Reply {
    pub status: StatusCode,
    /// May hold tokens.
    pub body: Zeroizing<Vec<u8>>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<Duration>,
}

/// We could not find out. Never to be read as "there are no keys".
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{0} is neither an https URL nor http to loopback")]
    NotAllowed(String),
    #[error("{}: {problem}", path.display())]
    File { path: PathBuf, problem: String },
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
    /// Nothing was sent.
    #[error("no connection to {0}: {1}")]
    Unreached(Place, String),
    #[error("no answer from {0}: {1}")]
    Transport(Place, String),
    #[error("{0} broke off its answer: {1}")]
    Cut(Place, String),
    #[error("{0} answered with status {1}")]
    Status(Place, StatusCode),
    #[error("the answer is larger than 1 MiB")]
    TooLarge,
    #[error("the discovery document {0}")]
    Discovery(&'static str),
    #[error(transparent)]
    Keys(#[from] crate::domain::token::keys::Malformed),
    #[error("took too long")]
    Timeout,
    #[error("it has failed too often, and is left alone for a while")]
    LeftAlone,
}

/// A URL as logs show it: without its query, which may hold a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(String);

impl From<&Url> for Place {
    fn from(url: &Url) -> Self {
        let mut url = url.clone();
        url.set_query(None);
        url.set_fragment(None);
        Self(url.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Client {
    /// A client for `issuer`. Reads the CA file.
    ///
    /// # Errors
    /// The CA file cannot be read, or has no certificate in it.
    pub async fn new(issuer: &str, remote: &Remote) -> Result<Self, FetchError> {
        // reqwest would panic without one
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(FetchError::Client("no TLS provider is installed in this process".to_owned()));
        }
        let http = match &remote.ca {
            Some(path) => build(Some(certificates(path).await?))?,
            // a machine without CA certificates can still talk to loopback; https then fails at the certificate
            None => build(None).or_else(|_| build(Some(Vec::new())))?,
        };
        Ok(Self { http, home: Url::parse(issuer).ok(), bearer: remote.bearer.clone() })
    }

    /// The body at `url`.
    ///
    /// # Errors
    /// Anything but a 200 within the limits.
    pub async fn get(&self, url: &Url) -> Result<Answer, FetchError> {
        if !is_allowed(url) {
            return Err(FetchError::NotAllowed(url.origin().ascii_serialization()));
        }
        let mut request = self.http.get(url.clone()).header(ACCEPT, JSON);
        if let Some(credential) = self.credential(url).await? {
            request = request.header(AUTHORIZATION, credential);
        }
        let mut response = request.send().await.map_err(|error| transport(url, error))?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(url.into(), response.status()));
        }
        let max_age = max_age(response.headers());
        Ok(Answer { body: read(&mut response, url).await?, max_age })
    }

    /// Whatever `call` is answered with. [`FetchError::Transport`] means that not even the head of an answer
    /// came, [`FetchError::Unreached`] that nothing was asked.
    ///
    /// # Errors
    /// No answer within the limits. Nothing is tried twice.
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, FetchError> {
        if !is_allowed(call.url) {
            return Err(FetchError::NotAllowed(call.url.origin().ascii_serialization()));
        }
        let post = |kind, body: Vec<u8>| self.http.post(call.url.clone()).header(CONTENT_TYPE, kind).body(body);
        let mut request = match &call.content {
            Content::Nothing => self.http.get(call.url.clone()),
            Content::Form(form) => post(FORM, form.as_bytes().to_vec()),
            Content::Json(document) => post(JSON, document.as_bytes().to_vec()),
        };
        if let Some(credential) = call.authorization {
            request = request.header(AUTHORIZATION, credential);
        }
        let sent = request.header(ACCEPT, JSON).timeout(call.within).send().await;
        let mut response = sent.map_err(|error| transport(call.url, error))?;
        let (status, retry_after) = (response.status(), retry_after(response.headers()));
        let body = Zeroizing::new(read(&mut response, call.url).await?);
        Ok(Reply { status, body, retry_after })
    }

    /// The bearer token, for the issuer's own origin and nowhere else: a discovery document could name any other, and
    /// this token opens the issuer. The file is read each time, because Kubernetes replaces it every hour.
    async fn credential(&self, url: &Url) -> Result<Option<HeaderValue>, FetchError> {
        let Some(path) = &self.bearer else {
            return Ok(None);
        };
        if self.home.as_ref().map(Url::origin) != Some(url.origin()) {
            return Ok(None);
        }
        let problem = |problem: String| FetchError::File { path: path.clone(), problem };
        let token = tokio::fs::read(path).await.map_err(|error| problem(error.to_string()))?;
        let token = Zeroizing::new(token);
        if token.trim_ascii().is_empty() {
            return Err(problem("is empty".to_owned()));
        }
        let value = Zeroizing::new([b"Bearer ", token.trim_ascii()].concat());
        let mut value = HeaderValue::from_bytes(&value).map_err(|_| problem("is no token".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// https, or http to this very machine; without a name and password, which would be sent as a credential.
#[must_use]
pub fn is_allowed(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|ip| ip.is_loopback());
    let bare = url.username().is_empty() && url.password().is_none();
    bare && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

fn build(only: Option<Vec<Certificate>>) -> Result<reqwest::Client, FetchError> {
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(CALL_TIMEOUT)
        .connect_timeout(Duration::from_secs(2))
        // between two refreshes lie minutes
        .pool_idle_timeout(Duration::from_secs(10))
        .pool_max_idle_per_host(1)
        .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")));
    let builder = match only {
        Some(certificates) => builder.tls_certs_only(certificates),
        None => builder,
    };
    builder.build().map_err(|error| FetchError::Client(causes(&error)))
}

async fn certificates(path: &Path) -> Result<Vec<Certificate>, FetchError> {
    let problem = |problem: String| FetchError::File { path: path.to_owned(), problem };
    let pem = tokio::fs::read(path).await.map_err(|error| problem(error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| problem(causes(&error)))?;
    if found.is_empty() {
        return Err(problem("holds no certificate".to_owned()));
    }
    Ok(found)
}

async fn read(response: &mut Response, url: &Url) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| cut(url, error))? {
        if body.len() + piece.len() > MAX_BODY {
            return Err(FetchError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// The form with a date is left out: whoever sends it knows our clock less well than we do.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let seconds = directives.flat_map(|value| value.split(',')).find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case("max-age").then(|| value.parse().ok()).flatten()
    });
    seconds.map(Duration::from_secs)
}

fn transport(url: &Url, error: reqwest::Error) -> FetchError {
    if error.is_connect() {
        return FetchError::Unreached(url.into(), causes(&error.without_url()));
    }
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    FetchError::Transport(url.into(), causes(&error.without_url()))
}

fn cut(url: &Url, error: reqwest::Error) -> FetchError {
    if error.is_timeout() {
        return FetchError::Timeout;
    }
    FetchError::Cut(url.into(), causes(&error.without_url()))
}

/// The whole chain: reqwest's own message says no more than that something failed.
fn causes(error: &(dyn Error + 'static)) -> String {
    let chain = std::iter::successors(Some(error), |error| (*error).source());
    chain.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// What is sent holds codes, tokens and secrets.
impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("url", &Place::from(self.url)).finish_non_exhaustive()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content")
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(url: &str) -> bool {
        is_allowed(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_https_leaves_this_machine() {
        for url in [
            "https://id.example.com",
            "http://127.0.0.1:1",
            "http://127.9.9.9/",
            "http://[::1]:80/",
            "http://localhost/",
        ] {
            assert!(allowed(url), "{url}");
        }
        for url in [
            "http://id.example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
            "ftp://localhost/",
            "data:text/plain,x",
            "https://user:secret@id.example.com",
        ] {
            assert!(!allowed(url), "{url}");
        }
    }

    #[test]
    fn max_age_is_found_among_other_directives() {
        let header = |value: &'static str| HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(value))]);
        assert_eq!(max_age(&header("public, Max-Age=300, must-revalidate")), Some(Duration::from_secs(300)));
        assert_eq!(max_age(&header("s-maxage=300")), None);
        assert_eq!(max_age(&header("max-age=-1")), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
