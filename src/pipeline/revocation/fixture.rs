//! Replicas to try things with: a clock that can travel, and weather between a replica and its log.

use super::{Order, Receipt, Revocations, Terms, Wait};
use crate::domain::principal::SourceName;
use crate::domain::revocation::{Marks, Position, Reason, RecordKeys, Sealed, Subject, Target, User};
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use crate::ports::revocation::{
    Ack, Appended, Clock, Confirmed, Entry, Epoch, Opened, Pushed, Replicas, RevocationLog, Subscription,
};
use crate::ports::store::StoreError;
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

pub(crate) const LONGEST_TOKEN: Duration = Duration::from_hours(12);
const PATIENCE: Duration = Duration::from_secs(60);

/// The real clock, set forward on demand; or one that stands still otherwise.
#[derive(Debug)]
pub(crate) struct TestClock {
    began: Option<Instant>,
    travelled: AtomicU64,
}

/// Between a replica and its log.
#[derive(Debug)]
pub(crate) struct Weather {
    log: Arc<dyn RevocationLog>,
    pub(crate) down: AtomicBool,
    /// What is appended is refused; everything else is answered.
    pub(crate) full: AtomicBool,
    /// Pushes get lost.
    pub(crate) deaf: Arc<AtomicBool>,
}

/// A replica that follows its log until it is dropped.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) service: Arc<Revocations>,
    pub(crate) weather: Arc<Weather>,
    task: JoinHandle<()>,
}

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: Some(Instant::now()), travelled: AtomicU64::new(0) })
    }

    /// For whoever counts what happens within a second, however long the machine takes over it.
    pub(crate) fn still() -> Arc<Self> {
        Arc::new(Self { began: None, travelled: AtomicU64::new(0) })
    }

    pub(crate) fn travel(&self, span: Duration) {
        self.travelled.fetch_add(span.as_millis().try_into().unwrap(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn unix_ms(&self) -> u64 {
        let wall = crate::observe::clock::wall();
        wall.seconds * 1000 + u64::from(wall.millis) + self.travelled.load(Ordering::SeqCst)
    }

    fn steady(&self) -> Duration {
        self.began.map_or(Duration::ZERO, |began| began.elapsed())
            + Duration::from_millis(self.travelled.load(Ordering::SeqCst) + 1)
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

impl Replica {
    pub(crate) fn start(name: &str, log: Arc<dyn RevocationLog>) -> Self {
        Self::start_at(name, log, TestClock::new(), Duration::ZERO)
    }

    pub(crate) fn start_at(name: &str, log: Arc<dyn RevocationLog>, clock: Arc<TestClock>, settle: Duration) -> Self {
        let weather = Weather::over(log);
        let service = service(name, Arc::clone(&weather) as Arc<dyn RevocationLog>, clock, settle);
        let follower = Arc::clone(&service);
        let task = tokio::spawn(async move { follower.follow().await });
        Self { service, weather, task }
    }

    /// Started, and up to the log.
    pub(crate) async fn up(name: &str, log: &Arc<dyn RevocationLog>) -> Self {
        let replica = Self::start(name, Arc::clone(log));
        replica.ready().await;
        replica
    }

    pub(crate) async fn ready(&self) {
        eventually("the replica is ready", || self.service.is_ready()).await;
    }

    pub(crate) fn refuses(&self, subject: &Subject) -> bool {
        self.service.check(subject).is_some()
    }

    pub(crate) async fn revoke(&self, target: Target) -> Receipt {
        self.service.revoke(&[order(target)], Wait::None, PATIENCE).await
    }

    pub(crate) async fn revoke_everywhere(&self, target: Target) -> Receipt {
        self.service.revoke(&[order(target)], Wait::All, PATIENCE).await
    }

    pub(crate) fn lose_the_store(&self, lost: bool) {
        self.weather.down.store(lost, Ordering::SeqCst);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn service(
    name: &str,
    log: Arc<dyn RevocationLog>,
    clock: Arc<TestClock>,
    settle: Duration,
) -> Arc<Revocations> {
    let keys = RecordKeys::new(&[Secret::new(b"a secret that replicas share".to_vec())]);
    let terms = Terms::new(name.to_owned(), keys, LONGEST_TOKEN, fastrand::u64(..));
    Arc::new(Revocations::new(Terms { settle, ..terms }, log, clock))
}

pub(crate) fn order(target: Target) -> Order {
    Order::new(target, Reason::Operator)
}

pub(crate) fn session(name: &str) -> Target {
    Target::Session(name.to_owned())
}

pub(crate) fn alice() -> User {
    User::of(&SourceName::new("auth0"), "alice")
}

/// A token of ours for alice, minted where the log stood at `position`.
pub(crate) fn token(session: &str, position: Position) -> Subject {
    Subject::new(&Marks {
        source: &SourceName::new("auth0"),
        subject: "alice",
        jti: None,
        session: Some(session),
        family: None,
        client: None,
        key: None,
        issued_at: Some(UnixTime(1)),
        position: Some(position),
    })
}

/// Polls: the other side works in its own time, and what is waited for must come true soon enough.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Weather {
    pub(crate) fn over(log: Arc<dyn RevocationLog>) -> Arc<Self> {
        Arc::new(Self { log, down: AtomicBool::new(false), full: AtomicBool::new(false), deaf: Arc::default() })
    }

    fn log(&self) -> Result<&Arc<dyn RevocationLog>, StoreError> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError("bad weather".to_owned()));
        }
        Ok(&self.log)
    }
}

#[async_trait]
impl RevocationLog for Weather {
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError> {
        self.log()?.open(candidate).await
    }

    async fn append(&self, records: &[Sealed], keep: Duration) -> Result<Appended, StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError("no room left".to_owned()));
        }
        self.log()?.append(records, keep).await
    }

    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.log()?.pull(after, most).await
    }

    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError> {
        self.log()?.confirm(ack).await
    }

    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError> {
        self.log()?.acknowledged(position).await
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.log()?.leave(replica).await
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        let inner = self.log()?.subscribe().await?;
        Ok(Box::new(Sheltered { inner, deaf: Arc::clone(&self.deaf) }))
    }
}

#[derive(Debug)]
struct Sheltered {
    inner: Box<dyn Subscription>,
    deaf: Arc<AtomicBool>,
}

#[async_trait]
impl Subscription for Sheltered {
    async fn next(&mut self, patience: Duration) -> Pushed {
        match self.inner.next(patience).await {
            Pushed::Batch(_) if self.deaf.load(Ordering::SeqCst) => Pushed::Nothing,
            pushed => pushed,
        }
    }
}
