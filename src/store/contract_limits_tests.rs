//! What every store promises of buckets: one list of tests, run on memory, on a real Redis, and on a cluster.

use super::redis::server::{Cluster, Server};
use super::{Clock, MemoryBuckets};
use crate::domain::limit::{Bucket, BucketId};
use crate::domain::session::Millis;
use crate::ports::limits::{Ask, Buckets, Group};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use tokio::task::JoinSet;

const TENTH: Bucket = Bucket { interval: 100_000, burst: 20 };

struct Rig {
    store: Arc<dyn Buckets>,
    time: Arc<AtomicU64>,
}

impl Rig {
    fn memory() -> Self {
        let (time, clock) = clock();
        Self { store: Arc::new(MemoryBuckets::new(clock)), time }
    }

    fn redis(redis: super::Redis) -> Self {
        let (time, clock) = clock();
        Self { store: Arc::new(redis.with_clock(clock)), time }
    }

    fn pass(&self, millis: u64) {
        self.time.fetch_add(millis, Ordering::SeqCst);
    }

    async fn take(&self, id: BucketId, want: u32, least: u32) -> (u32, u32, u64, u64) {
        let ask = Ask { want, least, ..ask(id) };
        let told = self.store.reserve(&[ask]).await.unwrap()[0].unwrap();
        (told.granted, told.remaining, told.reset, told.retry)
    }
}

fn clock() -> (Arc<AtomicU64>, Clock) {
    let time = Arc::new(AtomicU64::new(1_800_000_000_000));
    let read = Arc::clone(&time);
    (time, Clock::new(move || Millis(read.load(Ordering::SeqCst))))
}

fn id() -> BucketId {
    BucketId(fastrand::u128(..).to_be_bytes())
}

fn ask(id: BucketId) -> Ask {
    Ask { id, bucket: TENTH, want: 1, least: 1, ahead: 0, group: Group::NONE }
}

contract! {
    a_bucket_gives_what_it_holds_and_fills_with_time
    below_the_least_nothing_is_taken
    looking_takes_nothing
    each_bucket_of_a_call_is_judged_for_itself
    one_bucket_asked_twice_in_one_call_is_spent_twice
    of_many_at_once_no_token_is_granted_twice
    what_a_replica_remembers_counts_where_the_store_forgot
    a_bucket_of_another_shape_is_empty_at_worst
    a_refilled_bucket_is_full
}

/// Not of a cluster: there each bucket may be on a node of its own.
#[tokio::test]
async fn in_memory_a_group_takes_from_all_or_from_none() {
    a_group_takes_from_all_or_from_none(Rig::memory()).await;
}

#[tokio::test]
async fn on_redis_a_group_takes_from_all_or_from_none() {
    let server = Server::start(&[]);
    a_group_takes_from_all_or_from_none(Rig::redis(server.connect().await)).await;
}

async fn a_bucket_gives_what_it_holds_and_fills_with_time(rig: Rig) {
    let id = id();
    assert_eq!(rig.take(id, 16, 1).await, (16, 4, 1_600_000, 0));
    assert_eq!(rig.take(id, 16, 1).await, (4, 0, 2_000_000, 0));
    assert_eq!(rig.take(id, 16, 1).await, (0, 0, 2_000_000, 100_000));
    rig.pass(550);
    assert_eq!(rig.take(id, 16, 1).await, (5, 0, 1_950_000, 0));
    rig.pass(3_600_000);
    assert_eq!(rig.take(id, 50, 1).await, (20, 0, 2_000_000, 0));
}

async fn below_the_least_nothing_is_taken(rig: Rig) {
    let id = id();
    rig.take(id, 17, 1).await;
    assert_eq!(rig.take(id, 5, 5).await, (0, 3, 1_700_000, 200_000));
    assert_eq!(rig.take(id, 3, 3).await, (3, 0, 2_000_000, 0));
}

async fn looking_takes_nothing(rig: Rig) {
    let id = id();
    assert_eq!(rig.take(id, 0, 0).await, (0, 20, 0, 0));
    rig.take(id, 5, 1).await;
    assert_eq!(rig.take(id, 0, 0).await, (0, 15, 500_000, 0));
}

async fn each_bucket_of_a_call_is_judged_for_itself(rig: Rig) {
    let ids: Vec<BucketId> = (0..12).map(|_| id()).collect();
    rig.take(ids[7], 20, 1).await;
    let asks: Vec<Ask> = ids.iter().map(|id| ask(*id)).collect();
    let told = rig.store.reserve(&asks).await.unwrap();
    let granted: Vec<u32> = told.iter().flatten().map(|told| told.granted).collect();
    assert_eq!(granted, [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1]);
    assert_eq!(rig.store.reserve(&[]).await, Ok(Vec::new()));
}

async fn a_group_takes_from_all_or_from_none(rig: Rig) {
    let ids: Vec<BucketId> = (0..4).map(|_| id()).collect();
    rig.take(ids[1], 19, 1).await;
    let call = || [(0, 7), (1, 7), (2, 0), (3, 8)].map(|(at, group)| Ask { group: Group(group), ..ask(ids[at]) });
    let reserve = || async { rig.store.reserve(&call()).await.unwrap() };
    let told = |told: Vec<Option<crate::domain::limit::lease::Told>>| {
        told.into_iter()
            .flatten()
            .map(|told| (told.granted, told.remaining, told.reset, told.retry))
            .collect::<Vec<_>>()
    };
    let full = (1, 19, 100_000, 0);
    assert_eq!(told(reserve().await), [full, (1, 0, 2_000_000, 0), full, full]);
    let next = (1, 18, 200_000, 0);
    let held = (0, 19, 100_000, 0);
    assert_eq!(told(reserve().await), [held, (0, 0, 2_000_000, 100_000), next, next], "each as it stands");
    rig.pass(100);
    assert_eq!(told(reserve().await)[..2], [full, (1, 0, 2_000_000, 0)]);
}

async fn one_bucket_asked_twice_in_one_call_is_spent_twice(rig: Rig) {
    let id = id();
    let told = rig.store.reserve(&[Ask { want: 15, ..ask(id) }, Ask { want: 15, ..ask(id) }]).await.unwrap();
    let mut granted: Vec<u32> = told.iter().flatten().map(|told| told.granted).collect();
    granted.sort_unstable();
    assert_eq!(granted, [5, 15]);
}

async fn of_many_at_once_no_token_is_granted_twice(rig: Rig) {
    let (id, mut under_way) = (id(), JoinSet::new());
    for _ in 0..60 {
        let store = Arc::clone(&rig.store);
        under_way.spawn(async move { store.reserve(&[ask(id)]).await.unwrap()[0].unwrap().granted });
    }
    assert_eq!(under_way.join_all().await.into_iter().sum::<u32>(), 20);
}

async fn what_a_replica_remembers_counts_where_the_store_forgot(rig: Rig) {
    let id = id();
    let told = rig.store.reserve(&[Ask { ahead: 1_500_000, ..ask(id) }]).await.unwrap()[0].unwrap();
    assert_eq!((told.granted, told.remaining), (1, 4));
    let told = rig.store.reserve(&[Ask { ahead: 1_000_000, ..ask(id) }]).await.unwrap()[0].unwrap();
    assert_eq!((told.granted, told.remaining), (1, 3), "whoever knows less takes nothing back");
    let told = rig.store.reserve(&[Ask { ahead: u64::from(u32::MAX), ..ask(id) }]).await.unwrap()[0].unwrap();
    assert_eq!((told.granted, told.retry), (0, 100_000), "empty, and never worse");
}

async fn a_bucket_of_another_shape_is_empty_at_worst(rig: Rig) {
    let id = id();
    let slow = Bucket { interval: 3_600_000_000, burst: 20 };
    rig.store.reserve(&[Ask { bucket: slow, want: 20, ..ask(id) }]).await.unwrap();
    assert_eq!(rig.take(id, 1, 1).await, (0, 0, 2_000_000, 100_000));
}

async fn a_refilled_bucket_is_full(rig: Rig) {
    let id = id();
    rig.take(id, 20, 1).await;
    assert_eq!(rig.store.refill(id).await, Ok(true));
    assert_eq!(rig.take(id, 0, 0).await.1, 20);
    assert_eq!(rig.store.refill(id).await, Ok(false));
}
