//! Composing what people sign in with: the store, our keys, providers, users, and the endpoints in front of them.

use super::memory::InMemory;
use super::ring_copy::RingCopy;
use super::{shared, state_dir};
use crate::config::settings::{
    Delivery, DeviceLevel, Mode, Nesting, OnLimit, OnMismatch, Pages, ProviderEntry, ProviderKind, Renewal, Rotation,
    SameSite, SessionClaim, Settings, SigningAlgorithm, StoreSettings,
};
use crate::domain::cookies;
use crate::domain::device::{self, PerMille};
use crate::domain::failures::TallyKeys;
use crate::domain::family::{self, Rules};
use crate::domain::oidc::ProviderSettings;
use crate::domain::origins::{Origin, PublicOrigins};
use crate::domain::revocation::RecordKeys;
use crate::domain::seal::{Purpose, Seals};
use crate::domain::secret::Secret;
use crate::domain::session::{self, Lifetimes};
use crate::domain::signing::access_token;
use crate::domain::signing::{Algorithm, Schedule};
use crate::endpoints::{self, Holds, Own, Way};
use crate::observe::clock;
use crate::observe::metrics::Metrics;
use crate::observe::revocations::RevocationWatch;
use crate::observe::store::WatchedStore;
use crate::outbound::bot::BotWebhook;
use crate::outbound::provider::OidcProvider;
use crate::pipeline::keys::{KeysError, SigningRing};
use crate::pipeline::limits::Guard;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::session::{random, Ground, House, Providers, Terms};
use crate::ports::bot::BotCheck;
use crate::ports::limits::Buckets;
use crate::ports::provider::Provider;
use crate::ports::revocation::RevocationLog;
use crate::ports::store::Store;
use crate::ports::SessionEvents;
use crate::store::memory::{Memory, Tallies, TALLIES};
use crate::store::redis::Redis;
use crate::store::revocation::memory::MemoryLog;
use crate::store::revocation::redis::RedisLog;
use crate::users::{Counting, Roster, Users};
use crate::web::{Site, Theme};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// In how many generations in a row a forgiven predecessor means that somebody walks in another one's steps.
const MAX_GRACE_STREAK: u32 = 3;
/// Where no colour is configured.
const COLOUR: &str = "#1f5fa8";
/// Of `doorward_degraded`.
const BRUTE_FORCE: &str = "brute_force";

/// What outlives a configuration, once somebody signs in here.
#[derive(Debug)]
pub(super) struct SignIn {
    pub(super) ground: Arc<Ground>,
    pub(super) revocations: Arc<Revocations>,
    /// That other replicas share; `None`: there are none.
    pub(super) buckets: Option<Arc<dyn Buckets>>,
    metrics: Arc<Metrics>,
    /// Where state is kept in this process.
    memory: Option<InMemory>,
    providers: Mutex<Vec<Arc<OidcProvider>>>,
    users: Mutex<Option<Arc<Users>>>,
    pub(super) failures: Arc<Counting>,
    /// What was last said to be wrong with the signing keys.
    ring_trouble: Mutex<Option<String>>,
    /// `None`: the key ring is in the store alone.
    ring_copy: Option<Arc<RingCopy>>,
    /// What follows the revocations of others.
    following: Mutex<Option<JoinHandle<()>>>,
}

/// Providers and users of a configuration that is not in force yet.
struct Fresh {
    providers: Vec<Arc<OidcProvider>>,
    /// Those who are there already are told only then whom they are to know.
    users: Vec<(Arc<Users>, Option<Roster>)>,
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
        let follower = Arc::clone(&revocations);
        let following = Mutex::new(Some(tokio::spawn(async move { follower.follow().await })));
        tokio::spawn(Arc::clone(&revocations).keep());
        let failures = Arc::new(failures(settings, &store, &seals)?);
        let ground = Ground::new(store, ring, seals, Arc::clone(&revocations) as _, events)?;
        let (providers, users, ring_trouble) = (Mutex::default(), Mutex::default(), Mutex::default());
        let metrics = Arc::clone(metrics);
        Ok(Self {
            ground,
            revocations,
            buckets,
            metrics,
            memory,
            providers,
            users,
            failures,
            ring_trouble,
            ring_copy,
            following,
        })
    }

    /// Sessions under `settings`, and the endpoints to get and end them.
    pub(super) fn compose(
        &self,
        settings: &Settings,
        limits: Option<&Arc<Guard>>,
    ) -> Result<(Arc<House>, Own), String> {
        let server = &settings.server;
        let origins = PublicOrigins::parse(server.public_urls.iter().map(String::as_str));
        let origins = origins.ok_or("server.public_url is no list of origins")?;
        let (ways, fresh) = self.ways(settings)?;
        let providers: Providers = ways
            .iter()
            .filter_map(|way| match &way.holds {
                Holds::Provider(provider) => Some((way.name.clone(), Arc::clone(provider))),
                Holds::Users(_) => None,
            })
            .collect();
        let identity = Arc::clone(&settings.identity);
        let users = ways.iter().filter_map(|way| match &way.holds {
            Holds::Users(users) => Some((way.name.clone(), Arc::clone(users))),
            Holds::Provider(_) => None,
        });
        let sources = (providers, users.collect());
        let (terms, theme) = (terms(settings)?, theme(&settings.pages)?);
        let destinations = parsed(&server.return_to_origins)?;
        let bot = bot(settings)?;
        // Nothing fails from here on.
        self.adopt(settings, fresh);
        let house = House::new(Arc::clone(&self.ground), terms, origins, sources, (identity, limits.cloned()));
        let own = Own {
            house: Arc::clone(&house),
            site: Site::new(theme, &server.prefix),
            prefix: server.prefix.clone(),
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
        Ok((house, own))
    }

    /// What a configuration changes in what outlives it.
    fn adopt(&self, settings: &Settings, fresh: Fresh) {
        // before any token is minted under the new terms, which may be longer
        self.revocations.lengthen(longest_token(settings), settings.tokens.access_ttl);
        self.ground.ring.set_schedule(schedule(settings));
        self.failures.set_terms(failure_terms(settings));
        *self.providers.lock() = fresh.providers;
        for (users, roster) in fresh.users {
            roster.into_iter().for_each(|roster| users.replace(roster));
            *self.users.lock() = Some(users);
        }
    }

    /// A provider whose settings did not change is kept over a reload, with what it has learnt. Nothing is changed yet.
    fn ways(&self, settings: &Settings) -> Result<(Vec<Way>, Fresh), String> {
        let known = self.providers.lock();
        let (mut kept, mut people) = (Vec::new(), Vec::new());
        let ways = settings.providers.iter().map(|entry| {
            let holds = match &entry.kind {
                ProviderKind::Local { users } => {
                    let (users, roster) = self.users(users, settings.server.threads)?;
                    people.push((Arc::clone(&users), roster));
                    Holds::Users(users)
                }
                ProviderKind::Oidc { .. } => {
                    let wanted = provider(entry).ok_or("a provider without settings")?;
                    let provider = known.iter().find(|provider| provider.serves(&wanted)).map(Arc::clone);
                    let provider = provider.unwrap_or_else(|| OidcProvider::spawn(wanted));
                    kept.push(Arc::clone(&provider));
                    Holds::Provider(provider)
                }
            };
            Ok(Way { name: entry.name.clone(), holds })
        });
        let ways = ways.collect::<Result<Vec<_>, String>>()?;
        drop(known);
        Ok((ways, Fresh { providers: kept, users: people }))
    }

    /// The users of one provider, and who they are to be if they are others now.
    fn users(&self, file: &std::path::Path, threads: usize) -> Result<(Arc<Users>, Option<Roster>), String> {
        let roster = Roster::from_file(file).map_err(|mistakes| mistakes.to_string())?;
        Ok(match &*self.users.lock() {
            Some(known) => (Arc::clone(known), Some(roster)),
            None => (Arc::new(Users::new(roster, threads, Arc::clone(&self.failures) as _)), None),
        })
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
        self.metrics.degraded.with(&[BRUTE_FORCE]).set(if self.failures.is_alone() { 1.0 } else { 0.0 });
        let trouble = self.ground.ring.tick(clock::now()).await.err().map(|error| error.to_string());
        let before = std::mem::replace(&mut *self.ring_trouble.lock(), trouble.clone());
        // an outage is told once, not once a second
        match trouble {
            Some(trouble) if before.as_ref() != Some(&trouble) => tracing::warn!("signing keys: {trouble}"),
            None if before.is_some() => tracing::info!("signing keys: all is well again"),
            Some(_) | None => {}
        }
        self.ground.list_revoked_keys(clock::now()).await;
        if let Some(copy) = &self.ring_copy {
            copy.keep(&self.ground.ring);
        }
    }
}

fn bot(settings: &Settings) -> Result<Option<Arc<dyn BotCheck>>, String> {
    let made = settings.bot.clone().map(BotWebhook::new).transpose()?;
    Ok(made.map(|bot| Arc::new(bot) as _))
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

/// A mark must outlive whatever it could hit: our own tokens and sessions, and tokens of others.
fn longest_token(settings: &Settings) -> Duration {
    let foreign = settings.issuers.iter().map(|issuer| issuer.issuer.max_token_life + issuer.issuer.leeway).max();
    foreign.unwrap_or_default().max(settings.session.absolute_timeout).max(settings.tokens.access_ttl)
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

fn schedule(settings: &Settings) -> Schedule {
    Schedule {
        algorithm: match settings.keys.algorithm {
            SigningAlgorithm::Es256 => Algorithm::Es256,
            SigningAlgorithm::EdDsa => Algorithm::EdDsa,
            SigningAlgorithm::Rs256 => Algorithm::Rs256,
        },
        rotate_every: settings.keys.rotate_every,
        publish_ahead: settings.keys.publish_ahead,
        overlap: settings.keys.overlap,
        token_life: settings.tokens.access_ttl,
    }
}

fn terms(settings: &Settings) -> Result<Terms, String> {
    let (session, tokens) = (&settings.session, &settings.tokens);
    Ok(Terms {
        mode: match session.mode {
            Mode::Jwt => crate::pipeline::session::Mode::Jwt,
            Mode::Opaque => crate::pipeline::session::Mode::Opaque,
        },
        access_ttl: tokens.access_ttl,
        lifetimes: Lifetimes { idle: session.idle_timeout, absolute: session.absolute_timeout },
        cap: session.max_per_user,
        on_limit: match session.on_limit {
            OnLimit::EvictOldest => session::OnLimit::EvictOldest,
            OnLimit::Reject => session::OnLimit::Reject,
            OnLimit::Single => session::OnLimit::Single,
        },
        renewal: match session.renewal {
            Renewal::Transparent => crate::pipeline::session::Renewal::Transparent,
            Renewal::Endpoint => crate::pipeline::session::Renewal::Endpoint,
            Renewal::Off => crate::pipeline::session::Renewal::Off,
        },
        family: Rules {
            grace: tokens.reuse_grace,
            idle: session.idle_timeout + tokens.access_ttl,
            rotation: match tokens.rotation {
                Rotation::Always => family::Rotation::Always,
                Rotation::Never => family::Rotation::Never,
            },
            max_grace_streak: MAX_GRACE_STREAK,
        },
        token_grace: tokens.token_endpoint_grace,
        refresh_ttl: tokens.refresh_ttl,
        audience: tokens.audience.clone(),
        session_claim: match tokens.session_claim {
            SessionClaim::Sid => access_token::SessionClaim::Sid,
            SessionClaim::SessionId => access_token::SessionClaim::SessionId,
        },
        nesting: match tokens.nesting {
            Nesting::None => crate::pipeline::session::Nesting::None,
            Nesting::JwsOfJwe => crate::pipeline::session::Nesting::JwsOfJwe,
        },
        device: device_terms(settings),
        same_site: match session.same_site {
            SameSite::Lax => cookies::SameSite::Lax,
            SameSite::Strict => cookies::SameSite::Strict,
            SameSite::None => cookies::SameSite::None,
        },
        cookie_domain: session.cookie_domain.clone(),
        csrf_origins: parsed(&settings.server.csrf_origins)?,
    })
}

fn device_terms(settings: &Settings) -> device::Terms {
    let device = &settings.device;
    device::Terms {
        level: match device.level {
            DeviceLevel::Off => device::Level::Off,
            DeviceLevel::Relaxed => device::Level::Relaxed,
            DeviceLevel::Normal => device::Level::Normal,
            DeviceLevel::Strict => device::Level::Strict,
        },
        on_mismatch: match device.on_mismatch {
            OnMismatch::Log => device::OnMismatch::Log,
            OnMismatch::StepUp => device::OnMismatch::StepUp,
            OnMismatch::Deny => device::OnMismatch::Deny,
            OnMismatch::Logout => device::OnMismatch::Logout,
        },
        weights: device::Weights {
            user_agent: PerMille(device.weights.user_agent),
            screen_resolution: PerMille(device.weights.screen_resolution),
            timezone: PerMille(device.weights.timezone),
            accept_language: PerMille(device.weights.accept_language),
        },
        risk_ttl: device::RiskTtl {
            low: device.risk_ttl.low,
            medium: device.risk_ttl.medium,
            high: device.risk_ttl.high,
        },
    }
}

fn provider(entry: &ProviderEntry) -> Option<ProviderSettings> {
    let ProviderKind::Oidc { issuer, client_id, client_secret, scopes, roles_claim, ca, userinfo, trust_email } =
        &entry.kind
    else {
        return None;
    };
    Some(ProviderSettings {
        name: entry.name.clone(),
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        client_secret: client_secret.clone(),
        scopes: scopes.clone(),
        roles_claim: roles_claim.clone(),
        ca: ca.clone(),
        userinfo: *userinfo,
        trust_email: *trust_email,
    })
}

fn theme(pages: &Pages) -> Result<Theme, String> {
    let colour = pages.colour.as_deref().unwrap_or(COLOUR);
    Theme::new(&pages.title, pages.logo.as_deref(), colour).map_err(|mistakes| {
        let keys: Vec<&str> = mistakes.iter().map(|mistake| mistake.key()).collect();
        format!("pages: {}", keys.join(", "))
    })
}

fn parsed(origins: &[String]) -> Result<Vec<Origin>, String> {
    let parse = |text: &String| Origin::parse(text).ok_or_else(|| format!("\"{text}\" is no origin"));
    origins.iter().map(parse).collect()
}
