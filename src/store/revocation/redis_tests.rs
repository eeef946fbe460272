//! What only a real server can do to a log.

use super::fixture::{Bench, Server};
use crate::domain::revocation::Position;
use crate::pipeline::revocation::fixture::{eventually, session, token, Replica};
use crate::pipeline::revocation::Freshness;
use crate::ports::revocation::Epoch;
use std::time::{Duration, Instant};

fn server() -> Server {
    match Bench::redis() {
        Bench::Redis(server) => server,
        Bench::Memory(_) => unreachable!(),
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_within_the_deadline() {
    let server = server();
    let log = server.log_within(Duration::from_millis(100));
    log.open(Epoch(1)).await.unwrap();
    server.signal("-STOP");
    for _ in 0..3 {
        let began = Instant::now();
        assert!(log.pull(Position::ZERO, 1).await.is_err());
        assert!(began.elapsed() < Duration::from_secs(5), "a whole second of dialling, and a busy machine");
    }
    server.signal("-CONT");
    let mut opened = log.open(Epoch(2)).await;
    let began = Instant::now();
    while opened.is_err() && began.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        opened = log.open(Epoch(2)).await;
    }
    assert_eq!(opened.unwrap().epoch, Epoch(1));
}

#[tokio::test]
async fn scripts_that_a_server_forgot_are_sent_again() {
    let server = server();
    let log = server.log();
    log.open(Epoch(1)).await.unwrap();
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(log.open(Epoch(2)).await.unwrap().epoch, Epoch(1));
}

#[tokio::test]
async fn a_server_that_may_not_write_confirms_nothing() {
    let server = server();
    let replica = Replica::up("one", &server.log()).await;
    eventually("it is fresh", || replica.service.freshness() == Freshness::Fresh).await;
    // a demoted primary, whose new one does not exist
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(replica.service.catch_up().await.is_err());
    let receipt = replica.revoke(session("s")).await;
    assert!(!receipt.delivered && replica.refuses(&token("s", Position::ZERO)));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    let other = Replica::up("two", &server.log()).await;
    eventually("delivered when it may write again", || other.refuses(&token("s", Position::ZERO))).await;
}

#[tokio::test]
async fn entries_that_somebody_else_wrote_are_passed_over() {
    let server = server();
    let one = Replica::up("one", &server.log()).await;
    server.command(&["XADD", "dw:{rv}:log", "*", "d", "not a record"]);
    server.command(&["XADD", "dw:{rv}:log", "*", "p", "9-9", "x", "y"]);
    one.revoke(session("s")).await;
    let two = Replica::up("two", &server.log()).await;
    assert!(two.refuses(&token("s", Position::ZERO)));
    assert_eq!(two.service.ignored(), 2);
    two.revoke_everywhere(session("t")).await;
    eventually("one still follows", || one.refuses(&token("t", Position::ZERO))).await;
    eventually("both are fresh", || [&one, &two].iter().all(|replica| replica.service.freshness() == Freshness::Fresh))
        .await;
}

#[tokio::test]
async fn subscribers_that_are_cut_off_come_back() {
    let server = server();
    let (one, two) = (Replica::up("one", &server.log()).await, Replica::up("two", &server.log()).await);
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    eventually("an order is delivered", || two.service.is_ready()).await;
    one.revoke(session("s")).await;
    eventually("two refuses it", || two.refuses(&token("s", Position::ZERO))).await;
    let clients: String = server.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).unwrap();
    assert!(clients.lines().count() <= 2, "no connection is left behind:\n{clients}");
}

#[tokio::test]
async fn keys_are_few_and_share_one_slot() {
    let server = server();
    let one = Replica::up("one", &server.log()).await;
    one.revoke_everywhere(session("s")).await;
    let mut keys: Vec<String> = server.ask(&["KEYS", "*"]).unwrap();
    keys.sort();
    assert_eq!(keys, ["dw:{rv}:ack", "dw:{rv}:live", "dw:{rv}:log", "dw:{rv}:meta"]);
}
