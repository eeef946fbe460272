//! The store as operators see it: whether it answers, and how long that takes.

use super::counter::{Gauge, Histogram};
use super::metrics::Metrics;
use crate::domain::failures::{Charged, Schedule, Tally, TallyKey};
use crate::domain::family::{Presentation, Rules};
use crate::domain::session::{FamilyId, HandleHash, Millis, ProviderSid, SessionId, UserHash};
use crate::ports::store::{
    Created, Document, Failures, Families, Limit, Locks, NewSession, Nonce, Once, Reach, Rewrote, Ruling, Sessions,
    Store, StoreError, Stored, Touch, Vault,
};
use async_trait::async_trait;
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A store, and somebody with a stop-watch in front of it.
#[derive(Debug)]
pub struct WatchedStore {
    inner: Arc<dyn Store>,
    up: Arc<Gauge>,
    took: HashMap<&'static str, Arc<Histogram>>,
}

impl WatchedStore {
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, metrics: &Metrics) -> Self {
        let took = OPERATIONS.into_iter().map(|op| (op, metrics.store_duration.with(&[op])));
        Self { inner, up: Arc::clone(&metrics.store_up), took: took.collect() }
    }

    async fn watch<T>(
        &self,
        op: &'static str,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        let answer = call.await;
        if let Some(took) = self.took.get(op) {
            took.observe(began.elapsed());
        }
        self.up.set(if self.inner.answers() { 1.0 } else { 0.0 });
        answer
    }
}

impl Reach for WatchedStore {
    fn answers(&self) -> bool {
        self.inner.answers()
    }
}

/// The same questions as the ports', each of them timed.
macro_rules! watched {
    ($($port:ident { $($op:ident($($name:ident: $kind:ty),*) -> $answer:ty;)* })*) => {
        const OPERATIONS: [&str; [$($(stringify!($op)),*),*].len()] = [$($(stringify!($op)),*),*];

        $(
            #[async_trait]
            impl $port for WatchedStore {
                $(
                    async fn $op(&self, $($name: $kind),*) -> Result<$answer, StoreError> {
                        self.watch(stringify!($op), self.inner.$op($($name),*)).await
                    }
                )*
            }
        )*
    };
}

watched! {
    Sessions {
        create(new: &NewSession, limit: &Limit<'_>) -> Created;
        load(user: UserHash, id: SessionId) -> Option<Stored>;
        by_handle(user: UserHash, handle: HandleHash) -> Option<Stored>;
        list(user: UserHash) -> Vec<Stored>;
        touch(touches: &[Touch]) -> Vec<bool>;
        rewrite(user: UserHash, id: SessionId, seen: u64, body: &[u8]) -> Rewrote;
        end(user: UserHash, id: SessionId) -> bool;
        end_all(user: UserHash) -> Vec<SessionId>;
        by_provider_sid(sid: ProviderSid) -> Vec<(UserHash, SessionId)>;
    }
    Families {
        present(user: UserHash, family: FamilyId, shown: &Presentation, rules: &Rules) -> Option<Ruling>;
        confirm(user: UserHash, family: FamilyId, generation: u32) -> bool;
        revoke(user: UserHash, family: FamilyId) -> bool;
    }
    Locks {
        acquire(name: &str, nonce: &Nonce, ttl: Duration) -> bool;
        extend(name: &str, nonce: &Nonce, ttl: Duration) -> bool;
        release(name: &str, nonce: &Nonce) -> bool;
    }
    Once {
        first(name: &str, until: Millis) -> bool;
    }
    Vault {
        read(name: &str) -> Option<Document>;
        replace(name: &str, seen: u64, bytes: &[u8]) -> bool;
    }
    Failures {
        charge(key: TallyKey, schedule: &Schedule) -> Charged;
        give_back(key: TallyKey, serial: u32, schedule: &Schedule) -> ();
        failed(key: TallyKey, schedule: &Schedule) -> ();
        tally(key: TallyKey) -> (Tally, Millis);
        forget(key: TallyKey) -> ();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::session::fixture::Town;
    use crate::pipeline::session::Mode;
    use crate::store::memory::{Bounds, Memory};
    use crate::store::Clock;

    #[tokio::test]
    async fn every_question_is_counted_and_one_without_an_answer_says_that_the_store_is_down() {
        let (metrics, town) = (Metrics::new(), Town::new(Mode::Jwt).await);
        let store = WatchedStore::new(Arc::clone(&town.store) as _, &metrics);
        let later = Millis::from(town.now().plus(Duration::from_secs(60)));
        assert!(store.first("a", later).await.is_ok() && metrics.store_up.value() > 0.0);
        town.store.goes_away();
        assert!(store.first("b", later).await.is_err());
        assert!(metrics.store_up.value() < 1.0 && !store.answers());
        town.store.comes_back();
        assert!(store.read("keys").await.is_ok());
        assert!(metrics.store_up.value() > 0.0 && store.answers());
        let said = metrics.encode();
        assert!(said.contains("doorward_store_duration_seconds_count{op=\"first\"} 2"), "{said}");
        assert!(said.contains("doorward_store_duration_seconds_count{op=\"by_handle\"} 0"), "known from the start");
    }

    #[tokio::test]
    async fn a_store_without_room_is_not_away() {
        let metrics = Metrics::new();
        let memory = Memory::new(Clock::new(|| Millis(1_000)), Bounds { sessions: 1, names: 1 });
        let store = WatchedStore::new(Arc::new(memory), &metrics);
        assert!(store.first("a", Millis(2_000)).await.is_ok());
        assert!(store.first("b", Millis(2_000)).await.is_err(), "there is room for one");
        assert!(metrics.store_up.value() > 0.0 && store.answers());
    }
}
