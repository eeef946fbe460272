//! The live keys of one issuer: fetched ahead, kept while the issuer is away, and looked at again when a token names a
//! key nobody has seen, though never more than once in half a minute whatever strangers send.
//!
//! One task owns the source. Requests only read what it last published, or wait for its next word.

use super::client::{FetchError, CALL_TIMEOUT};
use super::source::{supply, Fetched, KeySource, Supply};
use crate::config::settings::{IssuerSettings, KeyOrigin};
use crate::domain::token::keys::KeySet;
use crate::ports::{self, Keys, Looked};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{watch, Notify};
use tokio::task::AbortHandle;
use tokio::time::{timeout, Instant};

/// Between two fetches that unknown keys may cause.
pub const UNKNOWN_KEY_PAUSE: Duration = Duration::from_secs(30);
/// How long the last good keys serve while the issuer is away.
pub const LAST_GOOD_LIFE: Duration = Duration::from_secs(24 * 3600);
/// Discovery and key set together.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// Counts key sets over all keyrings.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Keeps the keys of one issuer until it is dropped.
#[derive(Debug)]
pub struct Keyring {
    settings: IssuerSettings,
    shared: Arc<Shared>,
    /// `None` for a shared secret.
    task: Option<AbortHandle>,
}

/// What came of asking for fresh keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// [`Keyring::current`] was fetched since; look once more.
    Refreshed,
    /// The keys are fresh enough to say that this key does not exist.
    Cooling,
    /// The issuer cannot be asked: neither yes nor no.
    Unavailable,
}

/// Between the task and those who ask it.
#[derive(Debug, Default)]
struct Shared {
    keys: ArcSwap<Keys>,
    fetches: AtomicU64,
    gate: Mutex<Gate>,
    wanted: Notify,
    outcome: watch::Sender<Outcome>,
}

/// Who may cause a fetch.
#[derive(Debug, Default)]
struct Gate {
    /// How many fetches unknown keys have caused.
    ticket: u64,
    asked: Option<Instant>,
}

/// What the last fetch came to.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    attempts: u64,
    /// The last ticket this fetch, or an earlier one, was begun after.
    served: u64,
    up: bool,
    generation: u64,
}

impl Keyring {
    /// Begins to keep the keys of `settings`, in the current Tokio runtime. Returns at once: until the first fetch has
    /// succeeded there are no keys.
    #[must_use]
    pub fn spawn(settings: &IssuerSettings) -> Arc<Self> {
        match supply(settings) {
            Supply::Source(source) => Self::keeping(settings, source),
            Supply::Fixed(set) => {
                let shared = Arc::new(Shared::default());
                let generation = shared.publish(set);
                shared.outcome.send_replace(Outcome { attempts: 1, served: 0, up: true, generation });
                Arc::new(Self { settings: settings.clone(), shared, task: None })
            }
        }
    }

    fn keeping(settings: &IssuerSettings, source: Box<dyn KeySource>) -> Arc<Self> {
        let shared = Arc::new(Shared::default());
        let name = settings.issuer.name.as_str().to_owned();
        let task = tokio::spawn(keep(name, Arc::clone(&shared), source)).abort_handle();
        Arc::new(Self { settings: settings.clone(), shared, task: Some(task) })
    }

    /// The keys as last fetched; an empty set when there are none.
    #[must_use]
    pub fn current(&self) -> arc_swap::Guard<Arc<Keys>> {
        self.shared.keys.load()
    }

    /// The configured name of the issuer.
    #[must_use]
    pub fn name(&self) -> &str {
        self.settings.issuer.name.as_str()
    }

    /// Whether there are keys to verify with. Without them the answer to a token of this issuer is 503.
    #[must_use]
    pub fn available(&self) -> bool {
        !self.current().set.is_empty()
    }

    /// Whether the last look at the keys succeeded.
    #[must_use]
    pub fn up(&self) -> bool {
        self.shared.outcome.borrow().up
    }

    /// How often keys were looked at since the start, for whatever reason, with or without success.
    #[must_use]
    pub fn fetches(&self) -> u64 {
        self.shared.fetches.load(Ordering::Relaxed)
    }

    /// Whether this keyring is what `settings` would make, so that a reload can keep it and its keys.
    #[must_use]
    pub fn serves(&self, settings: &IssuerSettings) -> bool {
        let (own, other) = (&self.settings, settings);
        own.issuer.name == other.issuer.name
            && own.issuer.issuer == other.issuer.issuer
            && same_origin(&own.keys, &other.keys)
    }

    /// Called when the keys of generation `seen` have none for a token. Waits at most five seconds, and all who wait,
    /// wait for the same fetch.
    pub async fn refreshed_for_unknown_key(&self, seen: u64) -> Refresh {
        let mut outcome = self.shared.outcome.subscribe();
        if self.current().generation != seen {
            // somebody else was faster
            return self.refreshed();
        }
        if self.task.is_none() {
            return Refresh::Cooling;
        }
        let before = *outcome.borrow();
        if before.attempts > 0 && !self.available() {
            return Refresh::Unavailable;
        }
        let ticket = match self.shared.ask(before) {
            Ask::Wait(ticket) => ticket,
            Ask::Cooling if before.up => return Refresh::Cooling,
            Ask::Cooling => return Refresh::Unavailable,
        };
        let heard = outcome.wait_for(|now| now.generation != seen || (now.attempts > 0 && now.served >= ticket));
        let heard = timeout(CALL_TIMEOUT, heard).await.map(|heard| heard.map(|outcome| *outcome));
        match heard {
            Ok(Ok(outcome)) if outcome.up || outcome.generation != seen => self.refreshed(),
            Ok(_) | Err(_) => Refresh::Unavailable,
        }
    }

    /// Keys that have changed may have changed to none.
    fn refreshed(&self) -> Refresh {
        if self.available() {
            Refresh::Refreshed
        } else {
            Refresh::Unavailable
        }
    }
}

#[async_trait]
impl ports::KeySource for Keyring {
    fn current(&self) -> Arc<Keys> {
        self.shared.keys.load_full()
    }

    fn generation(&self) -> u64 {
        self.shared.keys.load().generation
    }

    async fn look_for_new_keys(&self, seen: u64) -> Looked {
        match self.refreshed_for_unknown_key(seen).await {
            Refresh::Refreshed => Looked::Again,
            Refresh::Cooling => Looked::Unknown,
            Refresh::Unavailable => Looked::CannotTell,
        }
    }
}

impl Drop for Keyring {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// How a request goes on.
enum Ask {
    /// Until this ticket is served.
    Wait(u64),
    Cooling,
}

impl Shared {
    /// The fetch to wait for. The very first, still under way, serves everybody who came before it ended.
    fn ask(&self, outcome: Outcome) -> Ask {
        let mut gate = self.gate.lock();
        if outcome.attempts == 0 || gate.ticket > outcome.served {
            return Ask::Wait(gate.ticket);
        }
        if gate.asked.is_some_and(|asked| asked.elapsed() < UNKNOWN_KEY_PAUSE) {
            return Ask::Cooling;
        }
        gate.asked = Some(Instant::now());
        gate.ticket += 1;
        self.wanted.notify_one();
        Ask::Wait(gate.ticket)
    }

    /// The generation that stands afterwards. An unchanged set keeps its own, so that nothing is verified twice.
    fn publish(&self, set: KeySet) -> u64 {
        let before = self.keys.load();
        if before.set == set {
            return before.generation;
        }
        let generation = GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
        self.keys.store(Arc::new(Keys { set, generation }));
        generation
    }
}

/// Fetches for ever; dropped with its [`Keyring`].
async fn keep(name: String, shared: Arc<Shared>, mut source: Box<dyn KeySource>) {
    let mut failures = 0_u32;
    let mut last_good = Instant::now();
    loop {
        // whoever asked before this line is answered by this fetch
        let served = shared.gate.lock().ticket;
        shared.fetches.fetch_add(1, Ordering::Relaxed);
        let fetched = timeout(FETCH_TIMEOUT, source.fetch()).await.unwrap_or(Err(FetchError::Timeout));
        let again_in = match fetched {
            Ok(Fetched { set, again_in }) => {
                let empty = set.is_empty();
                last_good = Instant::now();
                failures = if empty { failures.saturating_add(1) } else { 0 };
                let (changed, count) = (shared.keys.load().set != set, set.len());
                // an issuer that withdrew every key is taken at its word, and asked again soon
                shared.publish(set);
                if changed {
                    report(&name, count);
                }
                if empty {
                    source.retry_in(failures)
                } else {
                    again_in
                }
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if failures.is_power_of_two() {
                    tracing::warn!(issuer = name, failures, %error, "keys cannot be fetched");
                }
                if last_good.elapsed() >= LAST_GOOD_LIFE {
                    shared.publish(KeySet::default());
                }
                source.retry_in(failures)
            }
        };
        let generation = shared.keys.load().generation;
        shared.outcome.send_modify(|outcome| {
            *outcome = Outcome { attempts: outcome.attempts + 1, served, up: failures == 0, generation };
        });
        tokio::select! {
            () = tokio::time::sleep(again_in) => {}
            () = shared.wanted.notified() => {}
        }
    }
}

fn report(name: &str, count: usize) {
    if count == 0 {
        tracing::warn!(issuer = name, "the issuer has no usable key");
    } else {
        tracing::info!(issuer = name, keys = count, "keys have changed");
    }
}

fn same_origin(one: &KeyOrigin, other: &KeyOrigin) -> bool {
    match (one, other) {
        (KeyOrigin::Discovery(a), KeyOrigin::Discovery(b)) => a == b,
        (KeyOrigin::JwksUrl(a, c), KeyOrigin::JwksUrl(b, d)) => a == b && c == d,
        (KeyOrigin::JwksFile(a), KeyOrigin::JwksFile(b)) => a == b,
        (KeyOrigin::Shared(a), KeyOrigin::Shared(b)) => a.matches(b.expose()),
        (KeyOrigin::Discovery(_) | KeyOrigin::JwksUrl(..) | KeyOrigin::JwksFile(_) | KeyOrigin::Shared(_), _) => false,
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
