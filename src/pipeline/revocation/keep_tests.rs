use super::*;
use crate::domain::revocation::Target;
use crate::pipeline::revocation::fixture::LONGEST_TOKEN;
use crate::pipeline::revocation::fixture::{alice, eventually, order, service, session, token, Replica, TestClock};
use crate::pipeline::revocation::{Freshness, Wait};
use crate::ports::revocation::{Clock, RevocationLog};
use crate::store::revocation::memory::MemoryLog;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

const LATER: Position = Position { ms: u64::MAX, seq: 0 };

/// A disk: what lies on it, how often it was written, whether it takes anything.
#[derive(Debug, Default)]
struct Drawer {
    lies: Mutex<Option<Vec<u8>>>,
    copies: Mutex<u32>,
    full: AtomicBool,
}

impl Shelf for Drawer {
    fn put(&self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError("no space left on device".to_owned()));
        }
        *self.lies.lock() = Some(bytes.to_vec());
        *self.copies.lock() += 1;
        Ok(())
    }
}

/// A replica that keeps copies, until it is dropped: that is a crash.
struct Keeping {
    service: Arc<Revocations>,
    drawer: Arc<Drawer>,
    task: JoinHandle<()>,
}

impl Keeping {
    fn start(log: &Arc<dyn RevocationLog>, clock: &Arc<TestClock>, awaited: Awaited) -> Self {
        let drawer = Arc::new(Drawer::default());
        let service = Arc::into_inner(service("keeping", Arc::clone(log), Arc::clone(clock), Duration::ZERO)).unwrap();
        let service = Arc::new(service.kept_on(Arc::clone(&drawer) as Arc<dyn Shelf>, awaited));
        let task = tokio::spawn(Arc::clone(&service).keep());
        Self { service, drawer, task }
    }

    async fn revoke(&self, target: Target) {
        self.service.revoke(&[order(target)], Wait::None, Duration::ZERO).await;
    }

    /// What a process that starts after the crash knows.
    fn after_the_crash(&self, log: &Arc<dyn RevocationLog>, clock: &Arc<TestClock>) -> Arc<Revocations> {
        let again = idle(log, clock);
        again.restore(&self.drawer.lies.lock().clone().unwrap()).unwrap();
        again
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn log(clock: &Arc<TestClock>) -> Arc<dyn RevocationLog> {
    Arc::new(MemoryLog::new(Arc::clone(clock) as Arc<dyn Clock>))
}

fn idle(log: &Arc<dyn RevocationLog>, clock: &Arc<TestClock>) -> Arc<Revocations> {
    service("idle", Arc::clone(log), Arc::clone(clock), Duration::ZERO)
}

/// One that has read the log, and knows that nothing is missing.
async fn confirmed(log: &Arc<dyn RevocationLog>, clock: &Arc<TestClock>) -> Arc<Revocations> {
    let service = idle(log, clock);
    service.catch_up().await.unwrap();
    service.catch_up().await.unwrap();
    service
}

#[tokio::test]
async fn whoever_revoked_is_answered_when_it_would_survive_a_crash() {
    let clock = TestClock::new();
    let log = log(&clock);
    for awaited in [Awaited::All, Awaited::Undelivered] {
        // nobody opened the log, so that nothing is delivered
        let keeping = Keeping::start(&log, &clock, awaited);
        for name in ["a", "b", "c"] {
            keeping.revoke(session(name)).await;
            let again = keeping.after_the_crash(&log, &clock);
            assert!(again.check(&token(name, LATER)).is_some(), "{awaited:?}: {name}");
        }
    }
}

#[tokio::test]
async fn a_log_that_ends_with_the_process_is_no_reason_not_to_wait() {
    let clock = TestClock::new();
    let log = log(&clock);
    let keeping = Keeping::start(&log, &clock, Awaited::All);
    keeping.service.catch_up().await.unwrap();
    let receipt = keeping.service.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    assert!(receipt.delivered);
    assert!(keeping.after_the_crash(&log, &clock).check(&token("s", LATER)).is_some());
}

#[tokio::test]
async fn an_order_is_on_disk_though_whoever_gave_it_hung_up() {
    let clock = TestClock::new();
    let log = log(&clock);
    let keeping = Keeping::start(&log, &clock, Awaited::All);
    let orders = [order(session("s"))];
    tokio::select! {
        biased;
        _ = keeping.service.revoke(&orders, Wait::None, Duration::ZERO) => panic!("answered before it was written"),
        () = std::future::ready(()) => {}
    }
    eventually("it is written though nobody waits", || {
        keeping.drawer.lies.lock().is_some()
            && keeping.after_the_crash(&log, &clock).check(&token("s", LATER)).is_some()
    })
    .await;
}

#[tokio::test]
async fn many_orders_at_once_share_a_few_copies() {
    let clock = TestClock::new();
    let log = log(&clock);
    let keeping = Arc::new(Keeping::start(&log, &clock, Awaited::All));
    let orders: Vec<_> = (0..500).map(|n| order(session(&n.to_string()))).collect();
    let given = orders.iter().map(|order| {
        let (keeping, order) = (Arc::clone(&keeping), order.clone());
        tokio::spawn(async move { keeping.service.revoke(&[order], Wait::None, Duration::ZERO).await })
    });
    for one in given.collect::<Vec<_>>() {
        one.await.unwrap();
    }
    let copies = *keeping.drawer.copies.lock();
    assert!((1..50).contains(&copies), "{copies} copies of 500 orders");
    assert_eq!(keeping.after_the_crash(&log, &clock).entries(), 500);
}

#[tokio::test]
async fn a_full_disk_holds_nobody_up_and_is_written_when_there_is_room() {
    let clock = TestClock::new();
    let log = log(&clock);
    let keeping = Keeping::start(&log, &clock, Awaited::All);
    keeping.drawer.full.store(true, Ordering::SeqCst);
    keeping.revoke(session("s")).await;
    assert!(keeping.service.check(&token("s", LATER)).is_some(), "enforced all the same");
    assert_eq!(*keeping.drawer.copies.lock(), 0);
    keeping.drawer.full.store(false, Ordering::SeqCst);
    keeping.revoke(session("t")).await;
    let again = keeping.after_the_crash(&log, &clock);
    assert!(again.check(&token("s", LATER)).is_some() && again.check(&token("t", LATER)).is_some());
}

#[tokio::test]
async fn a_list_does_not_become_young_by_restarting() {
    let clock = TestClock::new();
    let log = log(&clock);
    let mut kept = confirmed(&log, &clock).await.snapshot().unwrap();
    for minutes in [10, 20] {
        clock.travel(Duration::from_mins(10));
        let again = idle(&log, &clock);
        again.restore(&kept).unwrap();
        assert_eq!(again.is_ready(), minutes < 15, "after {minutes} minutes without a store");
        kept = again.snapshot().unwrap();
    }
}

#[tokio::test]
async fn a_list_of_tomorrow_makes_nobody_ready_and_is_enforced() {
    let (clock, ahead) = (TestClock::new(), TestClock::new());
    ahead.travel(Duration::from_hours(24));
    let there = confirmed(&log(&ahead), &ahead).await;
    there.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    let here = idle(&log(&clock), &clock);
    here.restore(&there.snapshot().unwrap()).unwrap();
    assert!(!here.is_ready());
    assert!(here.check(&token("s", LATER)).is_some());
}

#[tokio::test]
async fn a_mark_outlives_an_old_copy_for_as_long_as_what_it_hits() {
    let clock = TestClock::new();
    let log = log(&clock);
    let one = confirmed(&log, &clock).await;
    one.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    let kept = one.snapshot().unwrap();
    clock.travel(LONGEST_TOKEN.mul_f64(0.9));
    let again = idle(&log, &clock);
    again.restore(&kept).unwrap();
    assert!(!again.is_ready(), "much too old to start with");
    assert!(again.check(&token("s", LATER)).is_some());
}

#[tokio::test]
async fn a_token_minted_before_the_log_was_read_comes_after_what_is_known_from_disk() {
    let clock = TestClock::new();
    let log = log(&clock);
    let one = confirmed(&log, &clock).await;
    let receipt = one.revoke(&[order(Target::User(alice()))], Wait::None, Duration::ZERO).await;
    let again = idle(&log, &clock);
    again.restore(&one.snapshot().unwrap()).unwrap();
    assert_eq!(Some(again.position()), receipt.position);
    assert!(again.check(&token("new", again.position())).is_none());
    assert!(again.check(&token("old", Position::ZERO)).is_some());
    again.catch_up().await.unwrap();
    assert!(again.check(&token("new", again.position())).is_none());
}

#[tokio::test]
async fn what_may_live_longer_after_a_reload_stays_revoked_as_long() {
    let clock = TestClock::new();
    let log = log(&clock);
    let start = |name: &str| Replica::start_at(name, Arc::clone(&log), Arc::clone(&clock), Duration::ZERO);
    let (one, two) = (start("one"), start("two"));
    one.ready().await;
    two.ready().await;
    one.revoke_everywhere(session("s")).await;
    let before = two.service.generation();
    one.service.lengthen(LONGEST_TOKEN * 4, Duration::from_mins(15));
    one.service.lengthen(LONGEST_TOKEN, Duration::from_mins(15));
    eventually("the others hear of it through the log", || two.service.generation() > before).await;
    clock.travel(LONGEST_TOKEN * 3);
    for replica in [&one, &two] {
        replica.service.settle_debts().await.unwrap();
        assert!(replica.refuses(&token("s", LATER)), "not swept away");
    }
}

#[tokio::test]
async fn a_restart_while_the_store_is_away_forgets_nothing() {
    let clock = TestClock::new();
    let log = log(&clock);
    let one = Replica::up("one", &log).await;
    one.revoke_everywhere(session("s")).await;
    one.lose_the_store(true);
    one.revoke(session("t")).await;
    one.revoke(Target::Block(alice())).await;
    let kept = one.service.snapshot().unwrap();
    drop(one);

    let again = Replica::start("again", Arc::clone(&log));
    again.lose_the_store(true);
    again.service.restore(&kept).unwrap();
    assert!(again.service.is_ready());
    assert!(again.refuses(&token("s", LATER)) && again.refuses(&token("t", LATER)));
    assert!(again.service.is_blocked("auth0", "alice"));

    again.lose_the_store(false);
    eventually("what was never delivered is", || {
        again.service.freshness() == Freshness::Fresh && again.service.index.load().waiting().count() == 0
    })
    .await;
    let newcomer = Replica::up("newcomer", &log).await;
    assert!(newcomer.refuses(&token("t", LATER)));
    assert!(newcomer.service.is_blocked("auth0", "alice"));
}

#[tokio::test]
async fn an_old_snapshot_makes_nobody_ready_and_still_blocks() {
    let clock = TestClock::new();
    let log = log(&clock);
    let one = confirmed(&log, &clock).await;
    one.revoke(&[order(Target::Block(alice()))], Wait::None, Duration::ZERO).await;
    let kept = one.snapshot().unwrap();
    clock.travel(Duration::from_mins(16));
    let again = idle(&log, &clock);
    again.restore(&kept).unwrap();
    assert!(!again.is_ready());
    assert!(again.is_blocked("auth0", "alice"));
}

#[tokio::test]
async fn nothing_of_a_damaged_snapshot_is_taken() {
    let clock = TestClock::new();
    let log = log(&clock);
    let one = idle(&log, &clock);
    one.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    let mut kept = one.snapshot().unwrap();
    let middle = kept.len() / 2;
    kept[middle] ^= 1;
    let again = idle(&log, &clock);
    assert_eq!(again.restore(&kept), Err(Spoilt));
    assert!(!again.is_ready());
    assert_eq!(again.entries(), 0);
}
