use super::queue::MOST_WAITING;
use super::*;
use crate::domain::limit::{Part, Rate};
use crate::domain::session::{whole, Millis};
use crate::pipeline::revocation::fixture::TestClock;
use crate::store::{Clock as StoreClock, MemoryBuckets};
use async_trait::async_trait;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::task::JoinSet;

/// A store that can be lost, and counts the calls it gets.
#[derive(Debug)]
struct Shelf {
    buckets: MemoryBuckets,
    down: AtomicBool,
    unreachable: AtomicBool,
    /// Calls that fail yet.
    hiccups: AtomicU32,
    /// Its server is away.
    lame: Mutex<Option<BucketId>>,
    calls: AtomicU32,
    questions: AtomicU32,
}

#[derive(Debug)]
struct Three;

impl Fleet for Three {
    fn replicas(&self) -> u32 {
        3
    }
}

#[async_trait]
impl Buckets for Shelf {
    async fn reserve(&self, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.questions.fetch_add(u32::try_from(asks.len()).unwrap(), Ordering::SeqCst);
        tokio::task::yield_now().await;
        let hiccup = self.hiccups.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if hiccup || self.down.load(Ordering::SeqCst) {
            return Err(StoreError("gone".to_owned()));
        }
        let told = self.buckets.reserve(asks).await?;
        let lame = *self.lame.lock();
        Ok(told.into_iter().zip(asks).map(|(told, ask)| told.filter(|_| Some(ask.id) != lame)).collect())
    }

    fn is_reachable(&self) -> bool {
        !self.unreachable.load(Ordering::SeqCst)
    }

    async fn refill(&self, id: BucketId) -> Result<bool, StoreError> {
        self.buckets.refill(id).await
    }
}

struct Rig {
    shelf: Arc<Shelf>,
    clock: Arc<TestClock>,
    replicas: Vec<Arc<Limiter>>,
}

impl Rig {
    fn new() -> Self {
        let clock = TestClock::still();
        let steady = Arc::clone(&clock);
        let time = StoreClock::new(move || Millis(whole(steady.steady())));
        let shelf = Arc::new(Shelf {
            buckets: MemoryBuckets::new(time),
            down: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            hiccups: AtomicU32::new(0),
            lame: Mutex::default(),
            calls: AtomicU32::new(0),
            questions: AtomicU32::new(0),
        });
        let replica = || Limiter::new(Arc::clone(&shelf) as _, Arc::new(Three), Arc::clone(&clock) as _);
        Self { replicas: (0..3).map(|_| replica()).collect(), shelf, clock }
    }

    async fn spend(&self, at: usize, limit: &Limit, who: &str) -> Verdict {
        let key = key(who);
        self.replicas[at % 3].spend(Spend { cost: limit.cost, ..spend(limit, &key) }).await
    }

    /// How many of so many at once get through.
    async fn storm(&self, count: usize, limit: &Limit, who: &'static str) -> usize {
        let mut running = JoinSet::new();
        for at in 0..count {
            let (limiter, limit) = (Arc::clone(&self.replicas[at % 3]), limit.clone());
            running.spawn(async move {
                let key = key(who);
                limiter.spend(spend(&limit, &key)).await
            });
        }
        running.join_all().await.into_iter().filter(|verdict| matches!(verdict, Verdict::Granted(_))).count()
    }

    fn calls(&self) -> u32 {
        self.shelf.calls.load(Ordering::SeqCst)
    }
}

fn key(who: &str) -> KeyText {
    let mut key = KeyText::of(7);
    key.part(&[who.as_bytes()]);
    key
}

fn limit(rate: Rate, burst: u32) -> Limit {
    Limit {
        name: "per-user".to_owned(),
        key: vec![Part::User],
        rate,
        bucket: Bucket::new(rate, burst),
        exact: false,
        cost: 1,
        on_store_down: OnStoreDown::Local,
        shadow: false,
        headers: true,
    }
}

fn spend<'s>(limit: &'s Limit, key: &'s KeyText) -> Spend<'s> {
    Spend { limit, key: key.as_bytes(), page: None, cost: 1 }
}

fn granted(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Granted(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_at_once_on_three_replicas_get_the_burst_and_cost_few_questions() {
    let rig = Rig::new();
    let got = rig.storm(2_000, &limit(Rate::per_minute(1), 20), "alice").await;
    assert_eq!(got, 20);
    assert!(rig.calls() < 200, "{} calls", rig.calls());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_in_a_crowd_is_refused_while_there_are_tokens() {
    for turn in 0..10 {
        let rig = Rig::new();
        assert_eq!(rig.storm(500, &limit(Rate::per_second(1_000), 1_000), "alice").await, 500, "turn {turn}");
    }
}

#[tokio::test]
async fn a_crowd_does_not_wait_for_a_bucket_that_fills_quickly() {
    let rig = Rig::new();
    let quick = limit(Rate::per_second(1_000), 20);
    let began = rig.clock.steady();
    let got = rig.storm(3_000, &quick, "alice").await;
    let most = 20.0 + (rig.clock.steady() - began).as_secs_f64() * 1_000.0;
    assert!(got >= 20 && got as f64 <= most, "{got} of {most}");
    assert!(rig.calls() <= 12, "two questions of each replica, and what it reserves ahead: {}", rig.calls());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_exact_none_is_over_and_none_is_lost() {
    let rig = Rig::new();
    let exact = Limit { exact: true, ..limit(Rate::per_minute(1), 20) };
    assert_eq!(rig.storm(200, &exact, "alice").await, 20);
}

#[tokio::test]
async fn a_known_caller_is_not_asked_about_for_every_request() {
    let rig = Rig::new();
    let wide = limit(Rate::per_second(1_000), 2_400);
    for _ in 0..1_000 {
        assert!(granted(rig.spend(0, &wide, "alice").await));
    }
    assert!(rig.calls() < 60, "{} calls for a thousand requests", rig.calls());
}

#[tokio::test]
async fn refusals_are_remembered() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    assert!(granted(rig.spend(0, &narrow, "alice").await));
    assert!(!granted(rig.spend(0, &narrow, "alice").await));
    let calls = rig.calls();
    for _ in 0..100 {
        assert!(!granted(rig.spend(0, &narrow, "alice").await));
    }
    assert_eq!(rig.calls(), calls);
}

#[tokio::test]
async fn callers_do_not_spend_for_each_other() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    assert!(granted(rig.spend(0, &narrow, "alice").await));
    assert!(granted(rig.spend(0, &narrow, "bob").await));
    assert!(!granted(rig.spend(1, &narrow, "alice").await), "but for themselves everywhere");
}

#[tokio::test]
async fn without_the_store_shares_hold_the_bound_and_nobody_waits_for_it() {
    let rig = Rig::new();
    let limit = limit(Rate::per_minute(60), 20);
    assert_eq!(rig.storm(90, &limit, "alice").await, 20);
    rig.shelf.down.store(true, Ordering::SeqCst);
    rig.clock.travel(Duration::from_millis(1_100));
    let mut got = 0;
    for turn in 0..3_000 {
        if turn % 30 == 0 {
            rig.clock.travel(Duration::from_millis(100));
        }
        got += usize::from(granted(rig.spend(turn, &limit, "alice").await));
    }
    assert!((8..=13).contains(&got), "{got} in eleven seconds at one a second");
    let looked = rig.calls();
    assert!(looked < 200, "{looked} looks whether it is back");
    rig.shelf.down.store(false, Ordering::SeqCst);
    rig.clock.travel(Duration::from_millis(250));
    for limiter in &rig.replicas {
        let _ = limiter.spend(spend(&limit, &key("alice"))).await;
        while limiter.is_alone() {
            tokio::task::yield_now().await;
        }
    }
    let back = rig.storm(300, &limit, "alice").await;
    assert!(back <= 2, "{back} at once when it was back");
}

#[tokio::test]
async fn one_late_answer_is_an_outage_for_nobody() {
    for exact in [false, true] {
        let rig = Rig::new();
        let limit = Limit { exact, ..limit(Rate::per_minute(1), 20) };
        rig.shelf.hiccups.store(1, Ordering::SeqCst);
        assert!(granted(rig.spend(0, &limit, "alice").await));
        assert!(!rig.replicas[0].is_alone());
        rig.shelf.hiccups.store(2, Ordering::SeqCst);
        rig.spend(0, &limit, "bob").await;
        assert!(rig.replicas[0].is_alone(), "two in a row are one");
        rig.shelf.unreachable.store(true, Ordering::SeqCst);
        rig.shelf.hiccups.store(1, Ordering::SeqCst);
        rig.spend(1, &limit, "alice").await;
        assert!(rig.replicas[1].is_alone(), "and so is a connection that is lost");
    }
}

#[tokio::test]
async fn a_bucket_whose_server_is_away_takes_nothing_from_the_others() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    *rig.shelf.lame.lock() = Some(BucketId::of("per-user", key("alice").as_bytes()));
    assert!(granted(rig.spend(0, &narrow, "alice").await), "from the share");
    let calls = rig.calls();
    assert!(!granted(rig.spend(0, &narrow, "alice").await));
    assert_eq!(rig.calls(), calls, "and nobody waits for it again and again");
    let wide = limit(Rate::per_minute(1), 20);
    let mut got = 0;
    for _ in 0..30 {
        got += usize::from(granted(rig.spend(0, &wide, "bob").await));
    }
    assert_eq!((got, rig.replicas[0].is_alone()), (20, false));
}

#[tokio::test]
async fn several_limits_of_a_request_are_asked_about_in_one_call() {
    let rig = Rig::new();
    let (narrow, wide) = (limit(Rate::per_minute(1), 1), limit(Rate::per_minute(1), 20));
    let (one, other) = (key("alice"), key("192.0.2.7"));
    let spends = [(&narrow, &one), (&wide, &other)].map(|(limit, key)| spend(limit, key));
    rig.replicas[0].gather(&spends).await;
    assert_eq!((rig.calls(), rig.shelf.questions.load(Ordering::SeqCst)), (1, 2));
    for spend in spends {
        assert!(rig.replicas[0].spend_now(spend).is_some_and(granted), "and are in memory then");
    }
}

#[tokio::test]
async fn every_limit_says_itself_what_counts_without_the_store() {
    let rig = Rig::new();
    rig.shelf.down.store(true, Ordering::SeqCst);
    let of =
        |on_store_down, name: &str| Limit { on_store_down, name: name.to_owned(), ..limit(Rate::per_minute(1), 1) };
    for _ in 0..3 {
        assert_eq!(rig.spend(0, &of(OnStoreDown::Allow, "a"), "alice").await, Verdict::Unlimited);
        assert_eq!(rig.spend(0, &of(OnStoreDown::Deny, "b"), "alice").await, Verdict::CannotTell);
    }
    assert!(granted(rig.spend(0, &of(OnStoreDown::Local, "c"), "carol").await), "nobody is refused because of us");
    assert!(!granted(rig.spend(0, &of(OnStoreDown::Local, "c"), "carol").await));
}

#[tokio::test]
async fn a_bucket_that_is_reset_is_full_here_at_once() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    assert!(granted(rig.spend(0, &narrow, "alice").await));
    assert!(!granted(rig.spend(0, &narrow, "alice").await));
    assert_eq!(rig.replicas[0].refill(&narrow, &key("alice")).await, Ok(true));
    assert!(granted(rig.spend(0, &narrow, "alice").await));
}

#[tokio::test]
async fn questions_of_many_callers_travel_together() {
    let rig = Rig::new();
    let wide = limit(Rate::per_second(100), 2_400);
    let mut running = JoinSet::new();
    for n in 0..400 {
        let (limiter, wide) = (Arc::clone(&rig.replicas[0]), wide.clone());
        running.spawn(async move { limiter.spend(spend(&wide, &key(&n.to_string()))).await });
    }
    assert!(running.join_all().await.into_iter().all(granted));
    assert_eq!(rig.shelf.questions.load(Ordering::SeqCst), 400);
    assert!(rig.calls() <= 40, "{} calls", rig.calls());
}

#[tokio::test]
async fn however_many_strangers_come_memory_is_bounded() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    rig.replicas[0].weather.lost(1, 3);
    for n in 0..100_000_u32 {
        let _ = rig.replicas[0].spend_now(spend(&narrow, &key(&n.to_string())));
    }
    assert!(rig.replicas[0].book.len() <= 256 * 256 + 1);
    let late = ["x", "y", "z"].map(|who| rig.replicas[0].spend_now(spend(&narrow, &key(who))));
    let late = late.into_iter().flatten().filter(|verdict| granted(*verdict)).count();
    assert_eq!(late, 0, "those without room have one share together");
    let known = rig.replicas[0].spend_now(spend(&narrow, &key("0")));
    assert!(!known.is_some_and(granted), "and nobody's was forgotten for them");
}

#[tokio::test]
async fn while_the_store_is_away_a_stranger_who_would_ask_it_takes_nobodys_room() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    let exact = Limit { exact: true, ..narrow.clone() };
    rig.replicas[0].weather.lost(1, 3);
    for n in 0..70_000_u32 {
        let _ = rig.replicas[0].spend_now(spend(&narrow, &key(&n.to_string())));
    }
    let known =
        || (0..70_000_u32).filter(|n| rig.replicas[0].book.find(key(&n.to_string()).as_bytes()).is_some()).count();
    let before = known();
    for n in 0..1000 {
        let keys = ["a", "b"].map(|who| key(&format!("{who}{n}")));
        let asked = rig.replicas[0].gather(&keys.each_ref().map(|key| spend(&exact, key))).await;
        assert_eq!(asked, [None, None]);
    }
    assert_eq!(known(), before);
}

#[tokio::test(start_paused = true)]
async fn whoever_runs_out_does_not_wait_until_a_question_that_could_wait_is_asked() {
    let rig = Rig::new();
    let wide = limit(Rate::per_second(100), 2_400);
    let began = tokio::time::Instant::now();
    for _ in 0..200 {
        assert!(granted(rig.spend(0, &wide, "alice").await));
    }
    assert!(began.elapsed() < Duration::from_micros(GATHER), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_not_held_up_by_what_is_reserved_ahead_for_others() {
    let rig = Rig::new();
    let wide = limit(Rate::per_second(100), 2_400);
    let others: Vec<_> = (0..600).map(|n: u32| key(&n.to_string())).collect();
    for other in others.iter().chain(&others) {
        assert!(granted(rig.replicas[0].spend(spend(&wide, other)).await));
    }
    for other in &others {
        let page = rig.replicas[0].book.find(other.as_bytes()).unwrap();
        while !page.entry().is_asked() {
            assert!(rig.replicas[0].spend_now(spend(&wide, other)).is_some_and(granted), "from memory");
        }
    }
    let before = rig.calls();
    assert!(granted(rig.spend(0, &wide, "alice").await));
    assert!(rig.calls() <= before + 2, "the first call, and that which follows it at once: {}", rig.calls() - before);
}

/// Asks once, and says whether there was an answer without waiting.
fn at_once(asking: Pin<&mut impl Future<Output = Verdict>>) -> Option<Verdict> {
    match asking.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(verdict) => Some(verdict),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_asked() {
    let rig = Rig::new();
    let exact = Limit { exact: true, ..limit(Rate::per_minute(1), 20) };
    for _ in 0..500 {
        assert_eq!(at_once(std::pin::pin!(rig.spend(0, &exact, "alice"))), None);
    }
    assert!(granted(rig.spend(0, &exact, "alice").await));
    assert_eq!(rig.shelf.questions.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn when_more_is_asked_than_a_store_can_answer_it_counts_as_away() {
    let rig = Rig::new();
    let exact = |on_store_down, name: &str| Limit {
        exact: true,
        on_store_down,
        name: name.to_owned(),
        ..limit(Rate::per_minute(1), 1)
    };
    let deny = exact(OnStoreDown::Deny, "a");
    let mut waiting: Vec<_> = (0..MOST_WAITING).map(|_| Box::pin(rig.spend(0, &deny, "alice"))).collect();
    assert!(waiting.iter_mut().all(|asking| at_once(asking.as_mut()).is_none()));
    assert_eq!(at_once(std::pin::pin!(rig.spend(0, &deny, "alice"))), Some(Verdict::CannotTell));
    let allow = exact(OnStoreDown::Allow, "b");
    assert_eq!(at_once(std::pin::pin!(rig.spend(0, &allow, "bob"))), Some(Verdict::Unlimited));
    let shared = limit(Rate::per_minute(1), 1);
    assert!(at_once(std::pin::pin!(rig.spend(0, &shared, "carol"))).is_some_and(granted), "its share");
    let page = rig.replicas[0].book.find(key("carol").as_bytes()).unwrap();
    assert!(!page.entry().is_asked());
    drop(waiting);
    assert!(granted(rig.spend(1, &deny, "alice").await), "others are not concerned");
}

#[tokio::test]
async fn a_client_who_hangs_up_leaves_the_answer_to_the_others() {
    let rig = Rig::new();
    let narrow = limit(Rate::per_minute(1), 1);
    let key = key("alice");
    let spend = spend(&narrow, &key);
    tokio::select! {
        biased;
        _ = rig.replicas[0].spend(spend) => panic!("the store takes its time"),
        () = std::future::ready(()) => {}
    }
    assert!(granted(rig.spend(0, &narrow, "alice").await), "the token was kept");
    assert!(!granted(rig.spend(0, &narrow, "alice").await));
}
