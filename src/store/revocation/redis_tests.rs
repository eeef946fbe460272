//! What only a real server can do to a log.

use super::fixture::{Bench, Server, Watched};
use crate::domain::revocation::Position;
use crate::pipeline::revocation::fixture::{eventually, session, token, Replica};
use crate::pipeline::revocation::Freshness;
use crate::ports::revocation::Epoch;
use crate::store::redis::server::PATIENCE;
use std::time::{Duration, Instant};
use tokio::time::timeout;

fn server() -> Server {
    match Bench::redis() {
        Bench::Redis(server) => server,
        Bench::Memory(_) => unreachable!(),
    }
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_within_the_deadline() {
    let server = server();
    let log = server.log_within(Duration::from_secs(2)).await;
    log.open(Epoch(1)).await.unwrap();
    server.signal("-STOP");
    for _ in 0..3 {
        let pulled = timeout(PATIENCE, log.pull(Position::ZERO, 1)).await;
        assert!(pulled.expect("nobody waits for ever").is_err());
    }
    server.signal("-CONT");
    let mut opened = log.open(Epoch(2)).await;
    let began = Instant::now();
    while opened.is_err() && began.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        opened = log.open(Epoch(2)).await;
    }
    assert_eq!(opened.unwrap().epoch, Epoch(1));
}

/// The replica that is promoted never got the last record: replication had been cut before.
#[tokio::test]
async fn a_failover_that_loses_the_last_record_loses_nothing() {
    let mut servers = Watched::start();
    let (one, two) = (Replica::up("one", &servers.log().await).await, Replica::up("two", &servers.log().await).await);
    one.revoke_everywhere(session("s")).await;
    servers.secondary.command(&["CONFIG", "SET", "masterauth", "nobody takes this"]);
    servers.secondary.command(&["CLIENT", "KILL", "TYPE", "master"]);
    one.revoke_everywhere(session("lost on the way")).await;
    let length = |server: &Server| server.ask::<u64>(&["XLEN", "dw:{rv}:log"]).unwrap();
    assert!(length(&servers.secondary) < length(&servers.primary));
    servers.primary.kill();
    let all = ["s", "lost on the way", "during the failover"].map(|name| token(name, Position::ZERO));
    assert!(!two.revoke(session("during the failover")).await.delivered);
    eventually("all is known to both again", || {
        assert!(all[..2].iter().all(|subject| one.refuses(subject) && two.refuses(subject)), "accepted again");
        let fresh = one.service.freshness() == Freshness::Fresh && two.service.freshness() == Freshness::Fresh;
        fresh && one.refuses(&all[2])
    })
    .await;
    drop((one, two));
    let three = Replica::up("three", &servers.log().await).await;
    assert!(all.iter().all(|subject| three.refuses(subject)), "from the promoted server alone");
}

#[tokio::test]
async fn scripts_that_a_server_forgot_are_sent_again() {
    let server = server();
    let log = server.log().await;
    log.open(Epoch(1)).await.unwrap();
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(log.open(Epoch(2)).await.unwrap().epoch, Epoch(1));
}

#[tokio::test]
async fn a_server_that_may_not_write_confirms_nothing() {
    let server = server();
    let replica = Replica::up("one", &server.log().await).await;
    eventually("it is fresh", || replica.service.freshness() == Freshness::Fresh).await;
    // a demoted primary, whose new one does not exist
    server.command(&["REPLICAOF", "127.0.0.1", "1"]);
    assert!(replica.service.catch_up().await.is_err());
    let receipt = replica.revoke(session("s")).await;
    assert!(!receipt.delivered && replica.refuses(&token("s", Position::ZERO)));
    server.command(&["REPLICAOF", "NO", "ONE"]);
    let other = Replica::up("two", &server.log().await).await;
    eventually("delivered when it may write again", || other.refuses(&token("s", Position::ZERO))).await;
}

#[tokio::test]
async fn entries_that_somebody_else_wrote_are_passed_over() {
    let server = server();
    let one = Replica::up("one", &server.log().await).await;
    server.command(&["XADD", "dw:{rv}:log", "*", "d", "not a record"]);
    server.command(&["XADD", "dw:{rv}:log", "*", "p", "9-9", "x", "y"]);
    one.revoke(session("s")).await;
    let two = Replica::up("two", &server.log().await).await;
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
    let (one, two) = (Replica::up("one", &server.log().await).await, Replica::up("two", &server.log().await).await);
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
    let one = Replica::up("one", &server.log().await).await;
    one.revoke_everywhere(session("s")).await;
    let mut keys: Vec<String> = server.ask(&["KEYS", "*"]).unwrap();
    keys.sort();
    assert_eq!(keys, ["dw:{rv}:ack", "dw:{rv}:live", "dw:{rv}:log", "dw:{rv}:meta"]);
}
