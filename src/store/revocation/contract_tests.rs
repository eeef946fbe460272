//! What every log must do, and what replicas that follow it can rely on.

use super::fixture::{Bench, Server};
use crate::domain::revocation::{Position, Reason, Record, RecordKeys, Sealed, Target};
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use crate::pipeline::revocation::fixture::{alice, eventually, order, session, token, Replica, TestClock};
use crate::pipeline::revocation::{Freshness, Wait};
use crate::ports::revocation::{Ack, Appended, Batch, Epoch, Pushed, Replicas};
use std::future::Future;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEEP: Duration = Duration::from_hours(1);
const SOON: Duration = Duration::from_secs(60);

/// Runs each claim on both logs, and those about the log itself on a cluster as well.
macro_rules! contract {
    ($($claim:ident)*) => {
        mod memory { $( #[tokio::test] async fn $claim() { super::$claim(super::Bench::memory()).await } )* }
        mod redis { $( #[tokio::test] async fn $claim() { super::$claim(super::Bench::redis()).await } )* }
    };
}

contract! {
    a_log_that_nobody_opened_takes_nothing
    of_many_who_open_it_one_wins
    entries_name_the_one_before_them
    what_is_appended_is_pushed
    old_entries_go_when_new_ones_come
    replicas_are_counted_by_what_they_acknowledged
    an_order_is_heard_at_once_by_all
    a_lost_push_is_found_by_the_next_confirmation
    no_replica_accepts_anything_once_all_have_acknowledged
    a_log_that_lost_its_memory_is_filled_by_all_who_remember
    a_log_that_lost_its_tail_gets_it_back
    a_tail_that_was_lost_under_a_new_entry_is_found_missing
    what_was_ordered_while_the_store_was_away_is_delivered
    a_token_minted_after_the_order_is_not_hit
    the_last_word_about_a_user_reaches_all
    many_orders_at_once_all_arrive
}

async fn a_log_that_nobody_opened_takes_nothing(bench: Bench) {
    let log = bench.log().await;
    assert_eq!(log.append(&sealed(1), KEEP).await, Ok(Appended::NotOpen));
    let confirmed = log.confirm(&ack("a", None, Position::ZERO)).await.unwrap();
    assert_eq!(confirmed.epoch, None);
    log.open(Epoch(1)).await.unwrap();
    assert!(matches!(log.append(&sealed(1), KEEP).await, Ok(Appended::At(_))));
    bench.forget();
    assert_eq!(log.append(&sealed(1), KEEP).await, Ok(Appended::NotOpen));
    assert_eq!(log.pull(Position::ZERO, 10).await, Ok(vec![]));
}

async fn of_many_who_open_it_one_wins(bench: Bench) {
    let (one, two) = (bench.log().await, bench.log().await);
    let (one, two) = tokio::join!(one.open(Epoch(1)), two.open(Epoch(2)));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.epoch, two.epoch);
    assert_eq!(one.last, Position::ZERO);
    assert_eq!(bench.log().await.open(Epoch(3)).await.unwrap().epoch, one.epoch);
}

async fn entries_name_the_one_before_them(bench: Bench) {
    let log = bench.log().await;
    log.open(Epoch(1)).await.unwrap();
    let first = batch(log.append(&sealed(3), KEEP).await.unwrap());
    let second = batch(bench.log().await.append(&sealed(2), KEEP).await.unwrap());
    let mut previous = Position::ZERO;
    for entry in first.entries.iter().chain(&second.entries) {
        assert_eq!(entry.previous, previous);
        assert!(entry.position > previous);
        previous = entry.position;
    }
    let pulled = log.pull(Position::ZERO, 10).await.unwrap();
    assert_eq!(pulled, [first.entries.clone(), second.entries.clone()].concat());
    assert_eq!(log.pull(first.entries[2].position, 1).await.unwrap(), second.entries[..1]);
    assert_eq!(log.open(Epoch(2)).await.unwrap().last, previous);
}

async fn what_is_appended_is_pushed(bench: Bench) {
    let log = bench.log().await;
    log.open(Epoch(1)).await.unwrap();
    let mut subscription = bench.log().await.subscribe().await.unwrap();
    let appended = batch(log.append(&sealed(3), KEEP).await.unwrap());
    assert_eq!(subscription.next(SOON).await, Pushed::Batch(appended));
    assert_eq!(subscription.next(Duration::ZERO).await, Pushed::Nothing);
}

async fn old_entries_go_when_new_ones_come(bench: Bench) {
    let log = bench.log().await;
    log.open(Epoch(1)).await.unwrap();
    let old = batch(log.append(&sealed(300), KEEP).await.unwrap());
    let last = old.entries.last().unwrap().position;
    // two entries of the log lie in one millisecond or in two
    while batch(log.append(&sealed(1), Duration::ZERO).await.unwrap()).entries[0].position.ms <= last.ms + 1 {}
    let pulled = log.pull(Position::ZERO, 1000).await.unwrap();
    assert!(pulled.len() < 250, "{} are left", pulled.len());
    assert!(pulled[0].position > old.entries[0].position);
}

async fn replicas_are_counted_by_what_they_acknowledged(bench: Bench) {
    let log = bench.log().await;
    let epoch = Some(log.open(Epoch(1)).await.unwrap().epoch);
    let entries = batch(log.append(&sealed(2), KEEP).await.unwrap()).entries;
    let (first, second) = (entries[0].position, entries[1].position);
    log.confirm(&ack("a", epoch, second)).await.unwrap();
    log.confirm(&ack("b", epoch, first)).await.unwrap();
    let confirmed = log.confirm(&ack("c", Some(Epoch(99)), second)).await.unwrap();
    assert_eq!((confirmed.epoch, confirmed.last), (epoch, second));
    assert_eq!(confirmed.replicas, Replicas { live: 3, enforcing: 1 }, "c speaks of another log");
    assert_eq!(log.acknowledged(first).await, Ok(Replicas { live: 3, enforcing: 2 }));
    assert_eq!(log.acknowledged(Position::ZERO).await, Ok(Replicas { live: 3, enforcing: 3 }));
    log.leave("b").await.unwrap();
    assert_eq!(log.acknowledged(second).await, Ok(Replicas { live: 2, enforcing: 1 }));
}

async fn an_order_is_heard_at_once_by_all(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    let subject = token("s", Position::ZERO);
    assert!(!two.refuses(&subject));
    let generation = two.service.generation();
    let receipt = one.revoke(session("s")).await;
    assert!(receipt.delivered);
    assert!(one.refuses(&subject), "here before anything else");
    eventually("two refuses it", || two.refuses(&subject)).await;
    assert_ne!(two.service.generation(), generation);
}

async fn a_lost_push_is_found_by_the_next_confirmation(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    two.weather.deaf.store(true, Ordering::SeqCst);
    one.revoke(session("s")).await;
    eventually("two refuses it", || two.refuses(&token("s", Position::ZERO))).await;
    assert_eq!(two.service.freshness(), Freshness::Fresh);
}

async fn no_replica_accepts_anything_once_all_have_acknowledged(bench: Bench) {
    let replicas = three(&bench).await;
    for round in 0..20 {
        let name = format!("s{round}");
        let receipt = replicas[round % 3].revoke_everywhere(session(&name)).await;
        let subject = token(&name, Position::new(u64::MAX, 0));
        assert!(replicas.iter().all(|replica| replica.refuses(&subject)), "round {round}");
        assert_eq!(receipt.replicas, Replicas { live: 3, enforcing: 3 });
        assert_eq!(receipt.replicas.pending(), 0);
        assert!(receipt.delivered && receipt.position.is_some());
    }
}

async fn a_log_that_lost_its_memory_is_filled_by_all_who_remember(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    one.revoke_everywhere(session("known to both")).await;
    one.revoke_everywhere(Target::User(alice())).await;
    let minted_since = one.service.catch_up().await.unwrap();
    // each learns something the other does not
    two.lose_the_store(true);
    one.revoke(session("known to one")).await;
    one.lose_the_store(true);
    bench.forget();
    two.revoke(session("known to two")).await;
    one.lose_the_store(false);
    two.lose_the_store(false);
    let all = ["known to both", "known to one", "known to two"].map(|name| token(name, minted_since));
    eventually("all is known to both", || all.iter().all(|t| one.refuses(t) && two.refuses(t))).await;
    drop((one, two));
    let three = Replica::up("three", &bench.log().await).await;
    assert!(all.iter().all(|subject| three.refuses(subject)), "from the log alone");
    assert!(three.refuses(&token("x", Position::new(1, 0))), "the mark on alice was appended again");
    assert!(!three.refuses(&token("x", minted_since)), "in its original place: who signed in since stays");
}

async fn a_log_that_lost_its_tail_gets_it_back(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    one.revoke_everywhere(session("s")).await;
    let lost = one.revoke_everywhere(Target::User(alice())).await.position.unwrap();
    bench.lose_the_tail();
    eventually("it is appended again", || one.service.position() > lost && two.service.position() > lost).await;
    drop((one, two));
    let three = Replica::up("three", &bench.log().await).await;
    assert!(three.refuses(&token("s", Position::ZERO)) && three.refuses(&token("x", Position::ZERO)));
    assert!(!three.refuses(&token("x", lost)), "in its original place");
}

async fn a_tail_that_was_lost_under_a_new_entry_is_found_missing(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    two.lose_the_store(true);
    one.revoke(session("s")).await;
    one.lose_the_store(true);
    bench.lose_the_tail();
    two.lose_the_store(false);
    eventually("two is back", || two.service.freshness() == Freshness::Fresh).await;
    two.revoke(session("t")).await;
    one.lose_the_store(false);
    let (s, t) = (token("s", Position::ZERO), token("t", Position::ZERO));
    eventually("both know both", || [&one, &two].iter().all(|r| r.refuses(&s) && r.refuses(&t))).await;
}

#[tokio::test]
async fn a_newcomer_to_an_emptied_log_waits_for_those_who_remember() {
    let bench = Bench::redis();
    assert!(bench.log().await.open(Epoch(1)).await.unwrap().age < SOON);
    let one = Replica::up("one", &bench.log().await).await;
    one.revoke_everywhere(session("s")).await;
    bench.forget();
    let two = Replica::start_at("two", bench.log().await, TestClock::new(), Duration::from_secs(6));
    let subject = token("s", Position::ZERO);
    eventually("two is ready", || {
        let ready = two.service.is_ready();
        assert!(!ready || two.refuses(&subject), "ready without what one remembers");
        ready
    })
    .await;
}

async fn what_was_ordered_while_the_store_was_away_is_delivered(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    one.lose_the_store(true);
    let receipt = one.revoke_everywhere(session("s")).await;
    one.revoke(Target::Block(alice())).await;
    assert!(!receipt.delivered);
    assert_eq!((receipt.position, receipt.replicas.enforcing), (None, 1));
    assert!(one.refuses(&token("s", Position::ZERO)));
    assert!(!two.refuses(&token("s", Position::ZERO)));
    one.lose_the_store(false);
    eventually("two refuses it", || two.refuses(&token("s", Position::ZERO))).await;
    eventually("and alice", || two.service.is_blocked("auth0", "alice")).await;
}

async fn a_token_minted_after_the_order_is_not_hit(bench: Bench) {
    let (one, two) = (Replica::up("one", &bench.log().await).await, Replica::up("two", &bench.log().await).await);
    let before = token("x", two.service.catch_up().await.unwrap());
    one.revoke_everywhere(Target::User(alice())).await;
    let after = token("x", two.service.catch_up().await.unwrap());
    for replica in [&one, &two] {
        assert!(replica.refuses(&before));
        assert!(!replica.refuses(&after), "signed in after the order");
    }
    one.revoke_everywhere(Target::User(alice())).await;
    assert!(one.refuses(&after) && two.refuses(&after));
}

async fn the_last_word_about_a_user_reaches_all(bench: Bench) {
    let replicas = three(&bench).await;
    let later = token("x", Position::new(u64::MAX, 0));
    for (speaker, word) in (0..9).zip([true, false, true, true, false, false, true, false, true]) {
        let target = if word { Target::Block(alice()) } else { Target::Unblock(alice()) };
        replicas[speaker % 3].revoke_everywhere(target).await;
        for replica in &replicas {
            assert_eq!(replica.refuses(&later), word);
            assert_eq!(replica.service.is_blocked("auth0", "alice"), word);
        }
    }
}

async fn many_orders_at_once_all_arrive(bench: Bench) {
    let replicas = Arc::new(three(&bench).await);
    let orders = (0..90).map(|n: usize| {
        let replicas = Arc::clone(&replicas);
        tokio::spawn(async move {
            let orders = [order(session(&format!("s{n}"))), order(session(&format!("t{n}")))];
            replicas[n % 3].service.revoke(&orders, Wait::All, SOON).await
        })
    });
    for task in orders.collect::<Vec<_>>() {
        assert_eq!(task.await.unwrap().replicas, Replicas { live: 3, enforcing: 3 });
    }
    for replica in replicas.iter() {
        assert_eq!(replica.service.entries(), 180);
    }
}

/// Nothing but the ordinary commands, on a server that speaks of slots.
#[tokio::test]
async fn a_cluster_keeps_the_log_as_well() {
    let server = || Bench::Redis(Server::start(true));
    boxed(entries_name_the_one_before_them(server())).await;
    boxed(what_is_appended_is_pushed(server())).await;
    boxed(no_replica_accepts_anything_once_all_have_acknowledged(server())).await;
}

#[tokio::test]
async fn nothing_is_accepted_again_when_the_server_dies_and_comes_back_empty() {
    let Bench::Redis(mut server) = Bench::redis() else { unreachable!() };
    let (one, two) = (Replica::up("one", &server.log().await).await, Replica::up("two", &server.log().await).await);
    one.revoke_everywhere(session("s")).await;
    one.revoke_everywhere(Target::Block(alice())).await;
    let revoked = token("s", Position::new(u64::MAX, 0));
    server.kill();
    let receipt = two.revoke_everywhere(session("t")).await;
    assert!(!receipt.delivered && two.refuses(&token("t", Position::ZERO)));
    server.restart();
    let three = Replica::start_at("three", server.log().await, TestClock::new(), Duration::from_secs(6));
    let began = Instant::now();
    eventually("all three are up and know all", || {
        assert!(one.refuses(&revoked) && two.refuses(&revoked), "forgotten after {:?}", began.elapsed());
        let known = [&one, &three].iter().all(|replica| replica.service.check(&token("t", Position::ZERO)).is_some());
        known && three.service.is_ready() && three.refuses(&revoked)
    })
    .await;
    assert!(three.service.is_blocked("auth0", "alice"));
}

async fn three(bench: &Bench) -> Vec<Replica> {
    let mut replicas = Vec::new();
    for name in ["one", "two", "three"] {
        replicas.push(Replica::up(name, &bench.log().await).await);
    }
    replicas
}

fn boxed<'a>(claim: impl Future<Output = ()> + 'a) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>> {
    Box::pin(claim)
}

fn sealed(count: u16) -> Vec<Sealed> {
    let keys = RecordKeys::new(&[Secret::new(vec![1; 32])]);
    let record = |n| Record::new(&session(&format!("s{n}")), Reason::SignedOut, 7, UnixTime(9));
    (0..count).map(|n| keys.seal(&record(n)).unwrap()).collect()
}

fn batch(appended: Appended) -> Batch {
    match appended {
        Appended::At(batch) => batch,
        Appended::NotOpen => panic!("the log is not open"),
    }
}

fn ack(replica: &str, epoch: Option<Epoch>, position: Position) -> Ack {
    Ack { replica: replica.to_owned(), epoch, position }
}
