//! The provider's metadata, and the client to call it with: fetched when first needed, then kept.
//!
//! However many ask, one fetch is under way, and it goes on when those who caused it have left. Metadata that are old
//! serve on while new ones are fetched, and for as long as none can be had: endpoints hardly ever move.

use super::Pace;
use crate::config::settings::Remote;
use crate::domain::oidc::{Metadata, ProviderSettings};
use crate::outbound::client::{is_allowed, Client, FetchError, CALL_TIMEOUT};
use crate::outbound::discovery;
use crate::ports::provider::ProviderError;
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at, Instant};

/// How the provider is reached.
#[derive(Debug)]
pub(super) struct Contact {
    pub metadata: Arc<Metadata>,
    /// Made together with them, so that a CA file that was replaced is read again.
    pub client: Client,
}

#[derive(Debug)]
pub(super) struct Discovered {
    name: String,
    issuer: String,
    remote: Remote,
    pace: Pace,
    good: ArcSwapOption<Contact>,
    state: Mutex<State>,
    /// Counts fetches that ended.
    ended: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    running: bool,
    /// Not before.
    again: Option<Instant>,
    failures: u32,
    problem: String,
}

impl Discovered {
    pub(super) fn new(settings: &ProviderSettings, remote: Remote, pace: Pace) -> Arc<Self> {
        Arc::new(Self {
            name: settings.name.as_str().to_owned(),
            issuer: settings.issuer.clone(),
            remote,
            pace,
            good: ArcSwapOption::empty(),
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        })
    }

    /// How to reach the provider. Waits only where nothing is known yet.
    pub(super) async fn get(self: &Arc<Self>, deadline: Instant) -> Result<Arc<Contact>, ProviderError> {
        // before looking whether a fetch is under way, or its end could be missed
        let mut ended = self.ended.subscribe();
        let running = self.begin_if_due();
        if let Some(contact) = self.good.load_full() {
            return Ok(contact);
        }
        if running && timeout_at(deadline, ended.changed()).await.is_err() {
            return Err(ProviderError::Away("no metadata in time".to_owned()));
        }
        self.good.load_full().ok_or_else(|| ProviderError::Away(self.state.lock().problem.clone()))
    }

    pub(super) fn is_up(&self) -> bool {
        self.state.lock().failures == 0
    }

    /// Whether a fetch is under way now.
    fn begin_if_due(self: &Arc<Self>) -> bool {
        let mut state = self.state.lock();
        if state.running || state.again.is_some_and(|again| Instant::now() < again) {
            return state.running;
        }
        state.running = true;
        let this = Arc::clone(self);
        tokio::spawn(async move { this.renew().await });
        true
    }

    async fn renew(&self) {
        let fetched = timeout(CALL_TIMEOUT, self.fetch()).await.unwrap_or(Err(FetchError::Timeout));
        let mut state = self.state.lock();
        match fetched {
            Ok(contact) => {
                self.good.store(Some(Arc::new(contact)));
                state.failures = 0;
                state.again = Some(Instant::now() + self.pace.metadata_life);
            }
            Err(error) => {
                state.failures = state.failures.saturating_add(1);
                state.again = Some(Instant::now() + self.pace.metadata_pause);
                state.problem = error.to_string();
                if state.failures.is_power_of_two() {
                    tracing::warn!(provider = self.name, failures = state.failures, %error, "no provider metadata");
                }
            }
        }
        state.running = false;
        drop(state);
        self.ended.send_modify(|ended| *ended += 1);
    }

    async fn fetch(&self) -> Result<Contact, FetchError> {
        let client = Client::new(&self.issuer, &self.remote).await?;
        let document = discovery::document(&client, &self.issuer).await?;
        let metadata = Metadata::parse(&document, &self.issuer, is_allowed)
            .map_err(|unusable| FetchError::Discovery(unusable.0))?;
        Ok(Contact { metadata: Arc::new(metadata), client })
    }
}
