use super::fixture::{alice, eventually, order, service, session, token, Replica, TestClock, Weather, LONGEST_TOKEN};
use super::follow::Tail;
use super::*;
use crate::domain::revocation::{Kind, RecordKeys, Sealed, Target};
use crate::domain::secret::Secret;
use crate::ports::revocation::{Ack, Appended, Confirmed, Entry, Epoch, Opened, Replicas, Subscription};
use crate::ports::store::StoreError;
use crate::store::revocation::memory::MemoryLog;
use async_trait::async_trait;
use tokio::sync::Notify;

const LATER: Position = Position { ms: u64::MAX, seq: 0 };

/// A log whose appends never end.
#[derive(Debug)]
struct Stuck(Arc<dyn RevocationLog>);

#[async_trait]
impl RevocationLog for Stuck {
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError> {
        self.0.open(candidate).await
    }

    async fn append(&self, _: &[Sealed], _: Duration) -> Result<Appended, StoreError> {
        std::future::pending().await
    }

    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.0.pull(after, most).await
    }

    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError> {
        self.0.confirm(ack).await
    }

    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError> {
        self.0.acknowledged(position).await
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.0.leave(replica).await
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        self.0.subscribe().await
    }
}

/// A log whose next confirmation comes late.
#[derive(Debug)]
struct Late {
    log: Arc<MemoryLog>,
    holds: AtomicBool,
    go: Notify,
}

#[async_trait]
impl RevocationLog for Late {
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError> {
        self.log.open(candidate).await
    }

    async fn append(&self, records: &[Sealed], keep: Duration) -> Result<Appended, StoreError> {
        self.log.append(records, keep).await
    }

    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError> {
        self.log.pull(after, most).await
    }

    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError> {
        let answer = self.log.confirm(ack).await;
        if self.holds.swap(false, Ordering::SeqCst) {
            self.go.notified().await;
        }
        answer
    }

    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError> {
        self.log.acknowledged(position).await
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.log.leave(replica).await
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        self.log.subscribe().await
    }
}

fn log(clock: &Arc<TestClock>) -> Arc<dyn RevocationLog> {
    Arc::new(MemoryLog::new(Arc::clone(clock) as Arc<dyn Clock>))
}

fn idle(log: &Arc<dyn RevocationLog>, clock: &Arc<TestClock>) -> Arc<Revocations> {
    service("idle", Arc::clone(log), Arc::clone(clock), Duration::ZERO)
}

/// Records what it is told.
#[derive(Debug, Default)]
struct Diary(Mutex<Vec<Kind>>);

impl Witness for Diary {
    fn revoked(&self, records: &[Record]) {
        self.0.lock().extend(records.iter().map(|record| record.kind));
    }
}

#[tokio::test]
async fn a_replica_that_never_saw_the_log_is_neither_ready_nor_fresh() {
    let clock = TestClock::new();
    let replica = idle(&log(&clock), &clock);
    assert!(!replica.is_ready());
    assert_eq!(replica.freshness(), Freshness::Blind);
}

/// Its share of a limit would be the whole bucket.
#[tokio::test]
async fn a_replica_that_has_heard_of_nobody_does_not_take_itself_to_be_alone() {
    let clock = TestClock::new();
    let log = log(&clock);
    let replica = idle(&log, &clock);
    assert_eq!(replica.replicas(), 0);
    replica.catch_up().await.unwrap();
    assert_eq!(replica.replicas(), 1, "now it has been told so");
    let mut terms = Terms::new("alone".to_owned(), RecordKeys::new(&[Secret::new(vec![7; 32])]), LONGEST_TOKEN, 1);
    terms.shared = false;
    assert_eq!(Revocations::new(terms, log, clock).replicas(), 1);
}

#[tokio::test]
async fn a_log_that_lost_its_data_is_not_trusted_before_it_is_whole_again() {
    let clock = TestClock::new();
    let forgetful = Arc::new(MemoryLog::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let replica = idle(&(Arc::clone(&forgetful) as Arc<dyn RevocationLog>), &clock);
    replica.catch_up().await.unwrap();
    replica.catch_up().await.unwrap();
    assert_eq!(replica.freshness(), Freshness::Fresh);
    forgetful.forget();
    replica.catch_up().await.unwrap();
    assert_eq!(replica.freshness(), Freshness::Stale, "it was confirmed a moment ago, but as another log");
    replica.catch_up().await.unwrap();
    assert_eq!(replica.freshness(), Freshness::Fresh);
}

#[tokio::test]
async fn an_answer_from_before_a_loss_does_not_make_the_log_whole() {
    let clock = TestClock::new();
    let log = Arc::new(MemoryLog::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let late = Arc::new(Late { log: Arc::clone(&log), holds: AtomicBool::new(false), go: Notify::new() });
    let replica = idle(&(Arc::clone(&late) as Arc<dyn RevocationLog>), &clock);
    replica.catch_up().await.unwrap();
    late.holds.store(true, Ordering::SeqCst);
    let mut asked_before = std::pin::pin!(replica.confirm());
    assert!(tokio::time::timeout(Duration::ZERO, &mut asked_before).await.is_err(), "on its way");
    log.forget();
    assert_eq!(replica.confirm().await.unwrap(), Tail::Broken);
    late.go.notify_one();
    assert_eq!(asked_before.await.unwrap(), Tail::Ours);
    assert_eq!(replica.freshness(), Freshness::Stale);
    assert!(replica.is_in_debt(), "nobody else need notice");
    replica.catch_up().await.unwrap();
    replica.catch_up().await.unwrap();
    assert_eq!(replica.freshness(), Freshness::Fresh);
}

#[tokio::test]
async fn a_log_that_could_not_be_filled_again_is_not_trusted_before_somebody_has_filled_it() {
    let clock = TestClock::new();
    let forgetful = Arc::new(MemoryLog::new(Arc::clone(&clock) as Arc<dyn Clock>));
    let log = Arc::clone(&forgetful) as Arc<dyn RevocationLog>;
    let weather = Weather::over(Arc::clone(&log));
    let one = idle(&(Arc::clone(&weather) as Arc<dyn RevocationLog>), &clock);
    one.catch_up().await.unwrap();
    one.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    forgetful.forget();
    weather.full.store(true, Ordering::SeqCst);
    assert!(one.catch_up().await.is_err(), "this request found it, and could not mend it");
    one.catch_up().await.unwrap();
    assert_eq!(one.freshness(), Freshness::Stale, "the log has been read, and lacks what is known here");
    assert!(one.is_in_debt());
    weather.full.store(false, Ordering::SeqCst);
    one.settle_debts().await.unwrap();
    one.catch_up().await.unwrap();
    assert_eq!(one.freshness(), Freshness::Fresh);
    let two = idle(&log, &clock);
    two.catch_up().await.unwrap();
    assert!(two.check(&token("s", LATER)).is_some());
}

#[tokio::test]
async fn an_order_that_waited_stands_before_the_next_sign_in_and_spares_those_since_it_was_given() {
    let clock = TestClock::new();
    let log = log(&clock);
    let weather = Weather::over(Arc::clone(&log));
    let cut_off = idle(&(Arc::clone(&weather) as Arc<dyn RevocationLog>), &clock);
    let other = idle(&log, &clock);
    for replica in [&cut_off, &other] {
        replica.catch_up().await.unwrap();
    }
    let moved = async |name| {
        clock.travel(Duration::from_secs(10));
        other.revoke(&[order(session(name))], Wait::None, Duration::ZERO).await.position.unwrap()
    };
    let before = moved("one").await;
    weather.down.store(true, Ordering::SeqCst);
    clock.travel(Duration::from_secs(10));
    cut_off.revoke(&[order(Target::User(alice()))], Wait::None, Duration::ZERO).await;
    let since = moved("another").await;
    weather.down.store(false, Ordering::SeqCst);
    let minted_now = cut_off.catch_up().await.unwrap();
    other.catch_up().await.unwrap();
    for replica in [&cut_off, &other] {
        assert!(replica.check(&token("t", before)).is_some());
        assert!(replica.check(&token("t", since)).is_none());
        assert!(replica.check(&token("t", minted_now)).is_none());
    }
}

#[tokio::test]
async fn a_list_that_was_not_confirmed_for_five_seconds_is_stale() {
    let clock = TestClock::new();
    let replica = idle(&log(&clock), &clock);
    replica.catch_up().await.unwrap();
    replica.catch_up().await.unwrap();
    assert_eq!(replica.freshness(), Freshness::Fresh);
    clock.travel(Duration::from_secs(6));
    assert_eq!(replica.freshness(), Freshness::Stale);
    assert!(replica.is_ready(), "it serves on with the list it has");
    replica.catch_up().await.unwrap();
    assert_eq!(replica.freshness(), Freshness::Fresh);
}

#[tokio::test]
async fn a_credential_once_cleared_is_looked_up_again_only_after_a_change() {
    let clock = TestClock::new();
    let replica = idle(&log(&clock), &clock);
    let (subject, cleared) = (token("s", LATER), AtomicU64::new(0));
    assert_eq!(replica.check_again(&subject, &cleared), None);
    assert_eq!(cleared.load(Ordering::Relaxed), replica.generation());
    replica.revoke(&[order(session("other"))], Wait::None, Duration::ZERO).await;
    assert_ne!(cleared.load(Ordering::Relaxed), replica.generation());
    assert_eq!(replica.check_again(&subject, &cleared), None);
    replica.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    for _ in 0..2 {
        assert!(replica.check_again(&subject, &cleared).is_some(), "never cleared again");
    }
}

#[tokio::test]
async fn a_record_seen_twice_changes_nothing() {
    let clock = TestClock::new();
    let log = log(&clock);
    let (one, two) = (Replica::up("one", &log).await, Replica::up("two", &log).await);
    one.revoke_everywhere(session("s")).await;
    let generation = two.service.generation();
    two.service.read_all().await.unwrap();
    assert_eq!(two.service.generation(), generation);
}

#[tokio::test]
async fn witnesses_hear_of_everything_whoever_ordered_it() {
    let clock = TestClock::new();
    let log = log(&clock);
    let (one, two) = (Replica::up("one", &log).await, Replica::up("two", &log).await);
    let diary = Arc::new(Diary::default());
    two.service.watch(Arc::clone(&diary) as Arc<dyn Witness>);
    one.revoke_everywhere(session("s")).await;
    two.revoke_everywhere(Target::Block(alice())).await;
    let heard = diary.0.lock().clone();
    assert_eq!(heard[..2], [Kind::Session, Kind::Block]);
}

#[tokio::test]
async fn of_two_words_in_one_order_the_last_counts() {
    let clock = TestClock::new();
    let replica = idle(&log(&clock), &clock);
    let (block, unblock) = (order(Target::Block(alice())), order(Target::Unblock(alice())));
    replica.revoke(&[block.clone(), unblock.clone()], Wait::None, Duration::ZERO).await;
    assert!(!replica.is_blocked("auth0", "alice"));
    replica.revoke(&[unblock, block], Wait::None, Duration::ZERO).await;
    assert!(replica.is_blocked("auth0", "alice"));
}

#[tokio::test]
async fn a_replica_with_a_slow_clock_still_has_the_last_word() {
    let (ahead, behind) = (TestClock::new(), TestClock::new());
    ahead.travel(Duration::from_mins(1));
    let log = log(&ahead);
    let one = Replica::start_at("one", Arc::clone(&log), ahead, Duration::ZERO);
    let two = Replica::start_at("two", Arc::clone(&log), behind, Duration::ZERO);
    one.ready().await;
    two.ready().await;
    one.revoke_everywhere(Target::Block(alice())).await;
    two.revoke_everywhere(Target::Unblock(alice())).await;
    assert!(!one.service.is_blocked("auth0", "alice"));
    assert!(!two.service.is_blocked("auth0", "alice"));
}

#[tokio::test]
async fn without_a_key_nothing_is_appended_and_everything_enforced_here() {
    let clock = TestClock::new();
    let terms = Terms::new("keyless".to_owned(), RecordKeys::new(&[]), LONGEST_TOKEN, 1);
    let replica = Revocations::new(terms, log(&clock), Arc::clone(&clock) as Arc<dyn Clock>);
    let receipt = replica.revoke(&[order(session("s"))], Wait::All, Duration::ZERO).await;
    assert!(!receipt.delivered);
    assert!(replica.check(&token("s", LATER)).is_some());
    assert_eq!(replica.snapshot(), None);
}

#[tokio::test]
async fn records_of_replicas_with_another_secret_are_passed_over_and_counted() {
    let clock = TestClock::new();
    let log = log(&clock);
    let keys = RecordKeys::new(&[Secret::new(b"another secret".to_vec())]);
    let terms = Terms { settle: Duration::ZERO, ..Terms::new("stranger".to_owned(), keys, LONGEST_TOKEN, 1) };
    let stranger = Revocations::new(terms, Arc::clone(&log), Arc::clone(&clock) as Arc<dyn Clock>);
    stranger.catch_up().await.unwrap();
    stranger.revoke(&[order(session("s"))], Wait::None, Duration::ZERO).await;
    let one = idle(&log, &clock);
    one.catch_up().await.unwrap();
    assert_eq!(one.check(&token("s", LATER)), None);
    assert_eq!(one.ignored(), 1);
    one.catch_up().await.unwrap();
    assert_eq!(one.freshness(), Freshness::Fresh, "it still follows");
}

#[tokio::test]
async fn an_order_is_delivered_though_whoever_gave_it_hung_up() {
    let clock = TestClock::new();
    let log = log(&clock);
    let (one, two) = (Replica::up("one", &log).await, Replica::up("two", &log).await);
    let slow = Arc::new(Stuck(Arc::clone(&log)));
    let stuck = service("stuck", slow, TestClock::new(), Duration::ZERO);
    stuck.catch_up().await.unwrap();
    let orders = [order(session("s"))];
    let given = stuck.revoke(&orders, Wait::None, Duration::ZERO);
    assert!(tokio::time::timeout(Duration::ZERO, given).await.is_err(), "hung up");
    assert!(stuck.check(&token("s", LATER)).is_some());
    assert!(stuck.standing.lock().owes);
    one.service.restore(&stuck.snapshot().unwrap()).unwrap();
    eventually("delivered by who follows the log", || two.refuses(&token("s", LATER))).await;
}

#[tokio::test]
async fn marks_end_and_blocks_outlive_every_trimming_of_the_log() {
    let clock = TestClock::new();
    let log = log(&clock);
    let one = Replica::start_at("one", Arc::clone(&log), Arc::clone(&clock), Duration::ZERO);
    one.ready().await;
    let blocked = one.revoke(Target::Block(alice())).await.position.unwrap();
    one.revoke(session("s")).await;
    for _ in 0..3 {
        let before = one.service.position();
        clock.travel(LONGEST_TOKEN * 6 / 10);
        eventually("the block was appended again", || one.service.position() > before).await;
    }
    eventually("the mark was dropped", || one.service.entries() == 1).await;
    let oldest = log.pull(Position::ZERO, 1).await.unwrap()[0].position;
    assert!(oldest > blocked, "the first block was trimmed away");
    let two = Replica::start_at("two", log, clock, Duration::ZERO);
    two.ready().await;
    assert!(two.service.is_blocked("auth0", "alice"));
}
