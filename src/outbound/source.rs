//! Where keys come from: an issuer over the network, or a file.

use super::client::{Client, FetchError};
use super::discovery;
use crate::config::settings::{IssuerSettings, KeyOrigin, Remote};
use crate::domain::token::keys::{KeySet, Malformed, MAX_DOCUMENT};
use async_trait::async_trait;
use reqwest::Url;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

/// Without a word from the issuer its keys are looked at this often.
const REFRESH: Duration = Duration::from_secs(600);
/// Whatever the issuer says, not more often and not less.
const REFRESH_LEAST: Duration = Duration::from_secs(60);
const REFRESH_MOST: Duration = Duration::from_secs(3600);
/// How long a discovery document is good for.
const DISCOVERY_LIFE: Duration = Duration::from_secs(3600);
/// How soon a changed file is seen.
const FILE_POLL: Duration = Duration::from_secs(1);

/// Keys as they are right now.
#[derive(Debug)]
pub(super) struct Fetched {
    pub set: KeySet,
    /// When to look again.
    pub again_in: Duration,
}

/// # When the answer is wrong
/// - Old keys: a rotated key is learnt late; a withdrawn one still opens. Both end with the next look.
/// - An error where there are keys: the last good ones stay, for a day.
#[async_trait]
pub(super) trait KeySource: Debug + Send {
    async fn fetch(&mut self) -> Result<Fetched, FetchError>;

    /// How long to wait after the `failures`th failure in a row, counted from 1.
    fn retry_in(&self, failures: u32) -> Duration {
        let seconds = 1_u64 << failures.saturating_sub(1).min(5);
        jittered(Duration::from_secs(seconds.min(30)))
    }
}

/// What a keyring lives on.
pub(super) enum Supply {
    /// A shared secret: there is nothing to fetch, ever.
    Fixed(KeySet),
    Source(Box<dyn KeySource>),
}

pub(super) fn supply(settings: &IssuerSettings) -> Supply {
    let issuer = settings.issuer.issuer.clone();
    match &settings.keys {
        KeyOrigin::Shared(secret) => Supply::Fixed(KeySet::from_secret(secret)),
        KeyOrigin::Discovery(remote) => Supply::Source(Box::new(RemoteKeys::new(issuer, remote.clone(), None))),
        KeyOrigin::JwksUrl(url, remote) => {
            Supply::Source(Box::new(RemoteKeys::new(issuer, remote.clone(), Some(url.clone()))))
        }
        KeyOrigin::JwksFile(path) => Supply::Source(Box::new(FileKeys { path: path.clone(), last: None })),
    }
}

#[derive(Debug)]
struct RemoteKeys {
    issuer: String,
    remote: Remote,
    /// `None`: by discovery.
    configured: Option<String>,
    /// Made anew after a failure, and so is everything learnt through it: a CA file may have been replaced, a key set
    /// may have moved.
    client: Option<Client>,
    discovered: Option<(Url, Instant)>,
}

impl RemoteKeys {
    fn new(issuer: String, remote: Remote, configured: Option<String>) -> Self {
        Self { issuer, remote, configured, client: None, discovered: None }
    }

    async fn try_fetch(&mut self) -> Result<Fetched, FetchError> {
        let client = match self.client.take() {
            Some(client) => client,
            None => Client::new(&self.issuer, &self.remote).await?,
        };
        let url = self.place(&client).await?;
        let answer = client.get(&url).await?;
        let set = KeySet::from_jwks(&answer.body)?;
        self.client = Some(client);
        let again_in = jittered(answer.max_age.unwrap_or(REFRESH).clamp(REFRESH_LEAST, REFRESH_MOST));
        Ok(Fetched { set, again_in })
    }

    async fn place(&mut self, client: &Client) -> Result<Url, FetchError> {
        if let Some(url) = &self.configured {
            return Url::parse(url).map_err(|_| FetchError::NotAllowed(url.escape_debug().to_string()));
        }
        match &self.discovered {
            Some((url, at)) if at.elapsed() < DISCOVERY_LIFE => return Ok(url.clone()),
            Some(_) | None => {}
        }
        let url = discovery::jwks_uri(client, &self.issuer).await?;
        self.discovered = Some((url.clone(), Instant::now()));
        Ok(url)
    }
}

#[async_trait]
impl KeySource for RemoteKeys {
    async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        let fetched = self.try_fetch().await;
        if fetched.is_err() {
            self.client = None;
            self.discovered = None;
        }
        fetched
    }
}

#[derive(Debug)]
struct FileKeys {
    path: PathBuf,
    /// What was read last, so that an unchanged file costs a read and a comparison.
    last: Option<(Vec<u8>, KeySet)>,
}

#[async_trait]
impl KeySource for FileKeys {
    async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        let text = self.read().await?;
        let set = match &self.last {
            Some((same, set)) if *same == text => set.clone(),
            Some(_) | None => KeySet::from_jwks(&text)?,
        };
        self.last = Some((text, set.clone()));
        Ok(Fetched { set, again_in: FILE_POLL })
    }

    fn retry_in(&self, _failures: u32) -> Duration {
        FILE_POLL
    }
}

impl FileKeys {
    async fn read(&self) -> Result<Vec<u8>, FetchError> {
        let problem = |error: std::io::Error| FetchError::File { path: self.path.clone(), problem: error.to_string() };
        let file = tokio::fs::File::open(&self.path).await.map_err(problem)?;
        let limit = u64::try_from(MAX_DOCUMENT).unwrap_or(u64::MAX).saturating_add(1);
        let mut text = Vec::new();
        file.take(limit).read_to_end(&mut text).await.map_err(problem)?;
        if text.len() > MAX_DOCUMENT {
            return Err(Malformed::TooLarge.into());
        }
        Ok(text)
    }
}

/// Up to a tenth earlier, so that replicas started together do not ask together for ever.
fn jittered(span: Duration) -> Duration {
    let thousandths = u32::try_from(RandomState::new().build_hasher().finish() % 100).unwrap_or(0);
    span - span * thousandths / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::token::fixture::JWKS;

    #[test]
    fn an_issuer_that_is_away_is_asked_ever_less_often() {
        let source = RemoteKeys::new("https://id.example.com".to_owned(), Remote::default(), None);
        let first = source.retry_in(1);
        assert!(first <= Duration::from_secs(1) && first >= Duration::from_millis(900));
        let late = source.retry_in(u32::MAX);
        assert!(late <= Duration::from_secs(30) && late >= Duration::from_secs(27));
    }

    #[tokio::test]
    async fn a_file_half_written_is_an_error_and_not_an_empty_set() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jwks.json");
        let mut source = FileKeys { path: path.clone(), last: None };
        assert!(matches!(source.fetch().await, Err(FetchError::File { .. })));
        std::fs::write(&path, &JWKS[..JWKS.len() / 2]).unwrap();
        assert!(matches!(source.fetch().await, Err(FetchError::Keys(Malformed::NotAKeySet))));
        std::fs::write(&path, JWKS).unwrap();
        assert_eq!(source.fetch().await.unwrap().set.len(), 5);
        std::fs::write(&path, vec![b' '; MAX_DOCUMENT + 1]).unwrap();
        assert!(matches!(source.fetch().await, Err(FetchError::Keys(Malformed::TooLarge))));
    }
}
