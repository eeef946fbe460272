//! For tests: sessions in a town of one gate, whose store, provider and users do what the test says.

mod distant;
mod frail;
mod jar;
mod limits;
mod watch;

pub(crate) use distant::Distant;
pub(crate) use frail::Frail;
pub(crate) use jar::{another_browser, browser, held, script, value};
pub(crate) use watch::Watch;

use super::{
    Arrived, Asking, Ground, House, Mode, ProviderTokens, Recognised, Refused, Renewal, SignedIn, Terms, Turned,
};
use crate::domain::cookies::SameSite;
use crate::domain::csrf::Csrf;
use crate::domain::device::{self, Device, Level, PerMille, RiskTtl, Weights};
use crate::domain::family::{Rotation, Rules};
use crate::domain::headers::forwarded::Proto;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::oidc::fixture::settings;
use crate::domain::origins::PublicOrigins;
use crate::domain::principal::SourceName;
use crate::domain::revocation::{Reason, RecordKeys, Target};
use crate::domain::seal::Seals;
use crate::domain::secret::Secret;
use crate::domain::session::{Lifetimes, Millis, OnLimit};
use crate::domain::signing::access_token::SessionClaim;
use crate::domain::signing::fixture::schedule;
use crate::domain::time::UnixTime;
use crate::domain::users::User;
use crate::observe::clock::Machine;
use crate::pipeline::cache::Verified;
use crate::pipeline::keys::SigningRing;
use crate::pipeline::permit::Caller;
use crate::pipeline::revocation::{self, Order, Revocations, Wait};
use crate::ports::provider::Provider;
use crate::ports::users::{self, LocalUsers};
use crate::store::memory::{Bounds, Memory};
use crate::store::revocation::memory::MemoryLog;
use crate::store::Clock;
use async_trait::async_trait;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::yield_now;

pub(crate) const START: u64 = 1_800_000_000;
pub(crate) const IDLE: u64 = 1_800;
pub(crate) const ABSOLUTE: u64 = 43_200;
pub(crate) const ACCESS: u64 = 900;

/// A gate and everything it asks.
pub(crate) struct Town {
    pub(crate) store: Arc<Frail>,
    time: Arc<AtomicU64>,
    pub(crate) users: Arc<File>,
    pub(crate) provider: Arc<Distant>,
    pub(crate) house: Arc<House>,
    pub(crate) watch: Arc<Watch>,
    log: Arc<MemoryLog>,
    list: Arc<Revocations>,
}

impl Town {
    pub(crate) async fn new(mode: Mode) -> Self {
        Self::with(terms(mode)).await
    }

    pub(crate) async fn with(terms: Terms) -> Self {
        let time = Arc::new(AtomicU64::new(START * 1000));
        let read = Arc::clone(&time);
        let memory = Memory::new(Clock::new(move || Millis(read.load(Ordering::SeqCst))), Bounds::default());
        let store = Arc::new(Frail {
            inner: memory,
            down: AtomicBool::new(false),
            full: AtomicBool::new(false),
            asked: Mutex::default(),
            deaf: Mutex::default(),
        });
        let (users, provider) = (Arc::<File>::default(), Arc::<Distant>::default());
        users.says("alice", &["admin"]);
        let watch = Arc::<Watch>::default();
        let log = Arc::new(MemoryLog::new(Arc::new(Machine::new())));
        let (ground, list) = ground(&store, &watch, &log).await;
        read_list(&ground).await;
        let house = house(ground, terms, IdentityHeaders::default(), (&users, &provider));
        Self { store, time, users, provider, house, watch, log, list }
    }

    /// Another replica: it shares the store and the list, and nothing else.
    pub(crate) async fn replica(&self) -> Self {
        let replica = self.blind_replica().await;
        read_list(&replica.house.ground).await;
        replica
    }

    /// Another one, which has not read what was revoked.
    pub(crate) async fn blind_replica(&self) -> Self {
        let (ground, list) = ground(&self.store, &self.watch, &self.log).await;
        let terms = self.house.terms.clone();
        let house = house(ground, terms, IdentityHeaders::default(), (&self.users, &self.provider));
        Self { list, ..self.beside(house) }
    }

    /// The same gate after a reload.
    pub(crate) fn reloaded(&self, terms: Terms, identity: IdentityHeaders) -> Self {
        self.beside(house(Arc::clone(&self.house.ground), terms, identity, (&self.users, &self.provider)))
    }

    fn beside(&self, house: Arc<House>) -> Self {
        let (store, time, watch) = (Arc::clone(&self.store), Arc::clone(&self.time), Arc::clone(&self.watch));
        let (users, provider, log) = (Arc::clone(&self.users), Arc::clone(&self.provider), Arc::clone(&self.log));
        Self { store, time, users, provider, house, watch, log, list: Arc::clone(&self.list) }
    }

    /// An operator ends everything that anybody was given before `time`.
    pub(crate) async fn revoke_all_before(&self, time: UnixTime) {
        self.order(Target::IssuedBefore { source: None, time }).await;
    }

    /// An operator orders this.
    pub(crate) async fn order(&self, target: Target) {
        self.list.revoke(&[Order::new(target, Reason::Operator)], Wait::None, Duration::ZERO).await;
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime(self.time.load(Ordering::SeqCst) / 1000)
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.time.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    /// The questions the store was asked by `work`.
    pub(crate) async fn asked<T>(&self, work: impl Future<Output = T>) -> (T, Vec<&'static str>) {
        self.store.asked.lock().clear();
        let done = work.await;
        (done, self.store.asked.lock().clone())
    }

    pub(crate) async fn try_sign_in(&self, name: &str) -> Result<SignedIn, Refused> {
        let user = self.users.find(name).unwrap();
        let arrived = Arrived {
            provider: &SourceName::new("local"),
            identity: user.identity(self.now()),
            trust_email: true,
            tokens: None,
            device: Device::from_headers(&browser("")),
            ip: None,
            now: self.now(),
        };
        self.house.admit(arrived).await
    }

    /// The cookies of a browser in which `name` has just signed in.
    pub(crate) async fn sign_in(&self, name: &str) -> String {
        self.jar(&self.try_sign_in(name).await.unwrap())
    }

    /// The same at the provider, which gave a refresh token.
    pub(crate) async fn sign_in_far(&self) -> String {
        let tokens = ProviderTokens { refresh: Some("once".to_owned()), id_token: None, shown: false };
        let claims = self.provider.claims.lock().clone();
        let arrived = Arrived {
            provider: &SourceName::new("id"),
            identity: crate::domain::oidc::Identity::reread("carol", &claims, &settings()).unwrap(),
            trust_email: false,
            tokens: Some(tokens),
            device: Device::from_headers(&browser("")),
            ip: None,
            now: self.now(),
        };
        self.jar(&self.house.admit(arrived).await.unwrap())
    }

    fn jar(&self, signed_in: &SignedIn) -> String {
        let plan = self.house.cookies("app.test", Proto::Https);
        held(&signed_in.issued.cookies(&plan, &Default::default()).unwrap())
    }

    /// One request with these cookies, which counts as a use where it is let in.
    pub(crate) async fn ask(&self, jar: &str) -> Result<Arc<Verified>, Turned> {
        let verified = known(self.recognise(&browser(jar)).await?);
        self.house.note_use(&verified, self.now()).await;
        Ok(verified)
    }

    /// One request that does not count as a use.
    pub(crate) async fn peek(&self, jar: &str) -> Result<Arc<Verified>, Turned> {
        self.recognise_as(&browser(jar), false).await.map(known)
    }

    pub(crate) async fn recognise(&self, headers: &HeaderMap) -> Result<Recognised, Turned> {
        self.recognise_as(headers, true).await
    }

    async fn recognise_as(&self, headers: &HeaderMap, uses: bool) -> Result<Recognised, Turned> {
        let asking = Asking { uses, ..asking(headers, self.now()) };
        let cookies = self.house.cookies("app.test", Proto::Https).read(headers).unwrap();
        Ok(self.house.recognise(&cookies, &asking).await?.expect("no cookies"))
    }

    /// How many refresh tokens were given back to the provider by now.
    pub(crate) async fn given_back(&self) -> u64 {
        // they are given back by a task of its own, on this one thread
        yield_now().await;
        self.provider.given_back.load(Ordering::SeqCst)
    }

    /// What the next flush tells the store.
    pub(crate) async fn flush(&self) -> usize {
        let ground = &self.house.ground;
        ground.activity.flush(&*ground.store, Duration::from_secs(IDLE)).await.unwrap()
    }
}

/// A request for a page, which counts as a use.
pub(crate) fn asking(headers: &HeaderMap, now: UnixTime) -> Asking<'_> {
    Asking {
        method: &Method::GET,
        headers,
        authority: "app.test",
        proto: Proto::Https,
        ip: None,
        websocket: false,
        csrf: Csrf::On,
        renews: true,
        uses: true,
        now,
    }
}

fn known(recognised: Recognised) -> Arc<Verified> {
    match recognised.caller {
        Caller::Known { verified, .. } => verified,
        Caller::Anonymous => panic!("nobody"),
    }
}

/// Reads what was revoked, once.
async fn read_list(ground: &Ground) {
    assert!(ground.revocations.caught_up().await);
}

async fn ground(store: &Arc<Frail>, watch: &Arc<Watch>, log: &Arc<MemoryLog>) -> (Arc<Ground>, Arc<Revocations>) {
    let seals = Arc::new(Seals::new(&[Secret::new(vec![7; 32])]).unwrap());
    let ring = SigningRing::new(Arc::<Frail>::clone(store), Arc::clone(&seals), schedule());
    ring.tick(UnixTime(START)).await.unwrap();
    let clock = Arc::new(Machine::new());
    let keys = RecordKeys::new(&seals.mac_keys(crate::domain::seal::Purpose::Revocation));
    let terms = revocation::Terms::new("replica".to_owned(), keys, Duration::from_secs(ABSOLUTE), 1);
    let revoked = Arc::new(Revocations::new(terms, Arc::<MemoryLog>::clone(log), clock));
    let list = Arc::clone(&revoked);
    (Ground::new(Arc::<Frail>::clone(store), ring, seals, revoked, Arc::<Watch>::clone(watch)).unwrap(), list)
}

fn house(
    ground: Arc<Ground>,
    terms: Terms,
    identity: IdentityHeaders,
    (users, provider): (&Arc<File>, &Arc<Distant>),
) -> Arc<House> {
    let origins = PublicOrigins::parse(["https://app.test"]).unwrap();
    let provider: Arc<dyn Provider> = Arc::<Distant>::clone(provider);
    let users: Arc<dyn LocalUsers> = Arc::<File>::clone(users);
    let providers = HashMap::from([(SourceName::new("id"), provider)]);
    let users = HashMap::from([(SourceName::new("local"), users)]);
    House::new(ground, terms, origins, (providers, users), (Arc::new(identity), None))
}

pub(crate) fn terms(mode: Mode) -> Terms {
    let (idle, absolute) = (Duration::from_secs(IDLE), Duration::from_secs(ABSOLUTE));
    let access_ttl = Duration::from_secs(ACCESS);
    Terms {
        mode,
        access_ttl,
        lifetimes: Lifetimes { idle, absolute },
        cap: 5,
        on_limit: OnLimit::EvictOldest,
        renewal: Renewal::Transparent,
        family: Rules {
            grace: Duration::from_secs(30),
            idle: idle + access_ttl,
            rotation: Rotation::Always,
            max_grace_streak: 3,
        },
        token_grace: Duration::ZERO,
        refresh_ttl: absolute,
        audience: vec!["https://app.test".to_owned()],
        session_claim: SessionClaim::Sid,
        nesting: super::Nesting::None,
        device: device::Terms {
            level: Level::Normal,
            on_mismatch: device::OnMismatch::StepUp,
            weights: Weights {
                user_agent: PerMille(400),
                screen_resolution: PerMille(300),
                timezone: PerMille(200),
                accept_language: PerMille(100),
            },
            risk_ttl: RiskTtl { low: absolute, medium: absolute, high: Duration::ZERO },
        },
        same_site: SameSite::Lax,
        cookie_domain: None,
        csrf_origins: Vec::new(),
    }
}

/// The file of local users. Their password is `secret`.
#[derive(Debug, Default)]
pub(crate) struct File(Mutex<HashMap<String, Arc<User>>>);

impl File {
    pub(crate) fn says(&self, name: &str, roles: &[&str]) {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let user = User { name: name.to_owned(), display_name: None, email: Some(format!("{name}@app.test")), roles };
        self.0.lock().insert(name.to_owned(), Arc::new(user));
    }

    pub(crate) fn forgets(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

#[async_trait]
impl LocalUsers for File {
    async fn verify(&self, attempt: &users::SignIn<'_>) -> Result<Arc<User>, users::Refused> {
        self.find(attempt.name).filter(|_| attempt.password.matches(b"secret")).ok_or(users::Refused::Wrong)
    }

    async fn blocked(&self, _: &users::SignIn<'_>) -> Option<users::Refused> {
        None
    }

    fn credential(&self, name: &str) -> Option<[u8; 32]> {
        self.find(name).map(|_| [0; 32])
    }

    fn find(&self, name: &str) -> Option<Arc<User>> {
        self.0.lock().get(name).map(Arc::clone)
    }
}
