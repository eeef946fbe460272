//! Composing what people sign in with: the store, our keys, providers, users, and the endpoints in front of them.

use super::ignored::Ignored;
use super::memory::InMemory;
use super::prepared::{Prepared, Source};
use super::ring_copy::RingCopy;
use super::terms::schedule;
use super::trouble::Trouble;
use super::{shared, state_dir};
use crate::config::settings::{Delivery, Settings, StoreSettings};
use crate::domain::failures::TallyKeys;
use crate::domain::principal::SourceName;
use crate::domain::revocation::RecordKeys;
use crate::domain::seal::{Purpose, Seals};
use crate::domain::secret::Secret;
use crate::endpoints::{self, Holds, Own, Way};
use crate::observe::clock;
use crate::observe::metrics::Metrics;
use crate::observe::revocations::RevocationWatch;
use crate::observe::store::WatchedStore;
use crate::outbound::provider::OidcProvider;
use crate::pipeline::api_keys::{self, ApiKeys};
use crate::pipeline::keys::{KeysError, SigningRing};
use crate::pipeline::limits::Guard;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::session::{random, Ground, House, LocalProviders, Providers};
use crate::ports::limits::Buckets;
use crate::ports::provider::Provider as _;
use crate::ports::revocation::RevocationLog;
use crate::ports::store::Store;
use crate::ports::SessionEvents;
use crate::store::memory::{Memory, Tallies, TALLIES};
use crate::store::redis::Redis;
use crate::store::revocation::memory::MemoryLog;
use crate::store::revocation::redis::RedisLog;
use crate::users::{Counting, Roster, Users};
use crate::web::Site;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// Of `doorward_degraded`.
const BRUTE_FORCE: &str = "brute_force";

/// What outlives a configuration, once somebody signs in here.
#[derive(Debug)]
pub(super) struct SignIn {
    pub(super) ground: Arc<Ground>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) api_keys: Arc<ApiKeys>,
    ignored: Ignored,
    /// That other replicas share; `None`: there are none.
    pub(super) buckets: Option<Arc<dyn Buckets>>,
    metrics: Arc<Metrics>,
    /// Where state is kept in this process.
    memory: Option<InMemory>,
    providers: Mutex<Vec<Arc<OidcProvider>>>,
    users: Mutex<Option<Arc<Users>>>,
    pub(super) failures: Arc<Counting>,
    /// What was last said to be wrong with the signing keys.
    ring_trouble: Trouble,
    /// With the API keys.
    api_key_trouble: Trouble,
    /// `None`: the key ring is in the store alone.
    ring_copy: Option<Arc<RingCopy>>,
    /// What follows the revocations of others.
    following: Mutex<Option<JoinHandle<()>>>,
}

impl SignIn {
    /// Opens the store and the key ring. A store that is away does not keep the gate from starting.
    pub(super) async fn open(
        settings: &Settings,
        events: Arc<dyn SessionEvents>,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let seals = Arc::new(seals(&settings.store)?);
        let redis = shared::redis(&settings.store).await?;
        let buckets = redis.clone().map(|redis| Arc::new(redis) as _);
        let (store, memory): (Arc<dyn Store>, _) = match &redis {
            Some(redis) => (Arc::new(redis.clone()), None),
            None => {
                let kept = InMemory::open(&settings.store, &seals, metrics);
                (Arc::<Memory>::clone(&kept.memory), Some(kept))
            }
        };
        let store: Arc<dyn Store> = Arc::new(WatchedStore::new(store, metrics));
        let ring = SigningRing::new(Arc::clone(&store) as _, Arc::clone(&seals), schedule(settings));
        let ticked = ring.tick(clock::now()).await;
        if let Err(error) = &ticked {
            tracing::error!("signing keys: {error}");
        }
        let revocations = revocations(settings, &seals, redis.as_ref());
        revocations.watch(Arc::new(RevocationWatch { metrics: Arc::clone(metrics) }));
        let revocations = Arc::new(state_dir::kept(revocations, &settings.store, metrics)?);
        let ring_copy = RingCopy::open(&settings.store, metrics);
        // Without a recent list of what was revoked, nobody's token could be believed anyway.
        if let (Some(copy), Err(KeysError::Store(_)), true) = (&ring_copy, &ticked, revocations.is_ready()) {
            copy.restore(&ring, clock::now());
        }
        let failures = Arc::new(failures(settings, &store, &seals)?);
        let api_keys = ApiKeys::new(Arc::clone(&store) as _, Arc::clone(&seals), Arc::clone(&revocations) as _);
        let ground = Ground::new(store, ring, seals, Arc::clone(&revocations) as _, events)?;
        // Nothing fails from here on: a replica that others wait for does not begin in vain.
        let follower = Arc::clone(&revocations);
        let following = Mutex::new(Some(tokio::spawn(async move { follower.follow().await })));
        tokio::spawn(Arc::clone(&revocations).keep());
        let (providers, users) = (Mutex::default(), Mutex::default());
        let (ring_trouble, api_key_trouble) = (Trouble::new("signing keys"), Trouble::new("API keys"));
        let metrics = Arc::clone(metrics);
        Ok(Self {
            ground,
            revocations,
            api_keys,
            ignored: Ignored::default(),
            buckets,
            metrics,
            memory,
            providers,
            users,
            failures,
            ring_trouble,
            api_key_trouble,
            ring_copy,
            following,
        })
    }

    /// Sessions under `settings`, of which `prepared` was made, and the endpoints to get and end them.
    pub(super) fn compose(
        &self,
        settings: &Settings,
        prepared: Prepared,
        limits: Option<&Arc<Guard>>,
    ) -> (Arc<House>, Own) {
        self.adopt(settings);
        let Prepared { origins, terms, theme, destinations, bot, sources } = prepared;
        let ways = self.ways(sources, settings.server.threads);
        let held = (of_providers(&ways), of_users(&ways));
        let identity = (Arc::clone(&settings.identity), limits.cloned());
        let house = House::new(Arc::clone(&self.ground), terms, origins, held, identity);
        let prefix = settings.server.prefix.clone();
        let own = Own {
            house: Arc::clone(&house),
            site: Site::new(theme, &prefix),
            prefix,
            ways,
            destinations,
            delivery: match settings.session.delivery {
                Delivery::Cookie => endpoints::Delivery::Cookie,
                Delivery::Memory => endpoints::Delivery::Memory,
                Delivery::Body => endpoints::Delivery::Body,
            },
            warn_before: settings.session.warn_before,
            bot,
        };
        (house, own)
    }

    /// What a configuration changes in what outlives it.
    fn adopt(&self, settings: &Settings) {
        // before any token is minted under the new terms, which may be longer
        self.revocations.lengthen(longest_token(settings), settings.tokens.access_ttl);
        self.ground.ring.set_schedule(schedule(settings));
        self.failures.set_terms(failure_terms(settings));
    }

    /// A provider whose settings did not change is kept over a reload, with what it has learnt.
    fn ways(&self, sources: Vec<(SourceName, Source)>, threads: usize) -> Vec<Way> {
        let mut known = self.providers.lock();
        let mut kept = Vec::new();
        let ways = sources.into_iter().map(|(name, source)| {
            let holds = match source {
                Source::Local(roster) => Holds::Users(self.users(roster, threads)),
                Source::Oidc(wanted) => {
                    let provider = known.iter().find(|provider| provider.serves(&wanted)).map(Arc::clone);
                    let provider = provider.unwrap_or_else(|| OidcProvider::spawn(wanted));
                    kept.push(Arc::clone(&provider));
                    Holds::Provider(provider)
                }
            };
            Way { name, holds }
        });
        let ways = ways.collect();
        *known = kept;
        ways
    }

    /// Those who are there already are told whom they are to know now.
    fn users(&self, roster: Roster, threads: usize) -> Arc<Users> {
        let mut known = self.users.lock();
        if let Some(users) = &*known {
            users.replace(roster);
            return Arc::clone(users);
        }
        let users = Arc::new(Users::new(roster, threads, Arc::clone(&self.failures) as _));
        Arc::clone(known.insert(users))
    }

    /// Whether each provider answered when it was last needed.
    pub(super) fn providers_up(&self) -> Vec<(String, bool)> {
        let providers = self.providers.lock();
        providers.iter().map(|one| (one.settings().name.as_str().to_owned(), one.is_up())).collect()
    }

    /// Nobody is served any more: what was only noted here is told, and what is only here is written down.
    pub(super) async fn close(&self, idle: Duration) {
        if let Err(error) = self.ground.activity.flush(&*self.ground.store, idle).await {
            tracing::warn!("the last use of sessions could not be told: {error}");
        }
        self.leave().await;
        self.revocations.keep_now().await;
        if let Some(memory) = &self.memory {
            memory.close();
        }
    }

    /// Others need not wait for us any more. What follows ends first: it would say that we are there.
    async fn leave(&self) {
        let following = self.following.lock().take();
        if let Some(following) = following {
            following.abort();
            let _ended = following.await;
        }
        if let Err(error) = self.revocations.leave().await {
            tracing::debug!("the other replicas could not be told that this one leaves: {error}");
        }
    }

    /// Every second: keys that are due, what others did to them, and what has expired in our own memory.
    pub(super) async fn tick(&self) {
        if let Some(memory) = &self.memory {
            memory.tick(&self.metrics);
        }
        self.ignored.note(self.revocations.ignored(), &self.metrics);
        self.metrics.degraded.with(&[BRUTE_FORCE]).set(if self.failures.is_alone() { 1.0 } else { 0.0 });
        self.ring_trouble.note(self.ground.ring.tick(clock::now()).await);
        self.api_key_trouble.note(self.api_keys.tick(clock::now()).await);
        self.ground.list_revoked_keys(clock::now()).await;
        if let Some(copy) = &self.ring_copy {
            copy.keep(&self.ground.ring);
        }
    }
}

fn of_providers(ways: &[Way]) -> Providers {
    let held = ways.iter().filter_map(|way| match &way.holds {
        Holds::Provider(provider) => Some((way.name.clone(), Arc::clone(provider))),
        Holds::Users(_) => None,
    });
    held.collect()
}

fn of_users(ways: &[Way]) -> LocalProviders {
    let held = ways.iter().filter_map(|way| match &way.holds {
        Holds::Users(users) => Some((way.name.clone(), Arc::clone(users))),
        Holds::Provider(_) => None,
    });
    held.collect()
}

/// Failed sign-ins, counted with the other replicas, and here while the store is away.
fn failures(settings: &Settings, store: &Arc<dyn Store>, seals: &Seals) -> Result<Counting, String> {
    let key = seals.mac_keys(Purpose::Failures).into_iter().next().ok_or("store.secret derives no keys")?;
    let here = Arc::new(Tallies::new(super::memory::wall_clock(), TALLIES));
    Ok(Counting::new(Arc::clone(store) as _, here, TallyKeys::new(&key), failure_terms(settings)))
}

fn failure_terms(settings: &Settings) -> crate::users::Terms {
    crate::users::Terms { schedule: settings.brute_force, prefixes: settings.limit_prefixes }
}

/// The list of what was revoked, kept with the other replicas or, in memory, alone.
fn revocations(settings: &Settings, seals: &Seals, redis: Option<&Redis>) -> Revocations {
    let clock = Arc::new(clock::Machine::new());
    let keys = RecordKeys::new(&seals.mac_keys(Purpose::Revocation));
    let replica = format!("{:032x}", u128::from_be_bytes(random()));
    let (longest, seed) = (longest_token(settings), u64::from_be_bytes(random()));
    let mut terms = crate::pipeline::revocation::Terms::new(replica, keys, longest, seed);
    terms.access_ttl = settings.tokens.access_ttl;
    terms.max_staleness = settings.store.max_staleness;
    terms.shared = redis.is_some();
    let log: Arc<dyn RevocationLog> = match redis {
        Some(redis) => Arc::new(RedisLog::new(redis)),
        None => Arc::new(MemoryLog::new(Arc::clone(&clock) as _)),
    };
    Revocations::new(terms, log, clock)
}

/// A mark must outlive whatever it could hit: our own tokens and sessions, tokens of others, and what a replica that has no
/// store remembers of API keys.
fn longest_token(settings: &Settings) -> Duration {
    let foreign = settings.issuers.iter().map(|issuer| issuer.issuer.max_token_life + issuer.issuer.leeway).max();
    let ours = settings.session.absolute_timeout.max(settings.tokens.access_ttl).max(api_keys::KNOWN_FOR);
    foreign.unwrap_or_default().max(ours)
}

/// Without a configured secret what is sealed ends with the process, which a memory store does too.
fn seals(settings: &StoreSettings) -> Result<Seals, String> {
    let sealed = if settings.secrets.is_empty() {
        Seals::new(&[Secret::new(random::<32>().to_vec())])
    } else {
        Seals::new(&settings.secrets)
    };
    sealed.map_err(|error| format!("store.secret: {error}"))
}
