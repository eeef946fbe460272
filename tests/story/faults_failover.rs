//! Servers that take over from each other while people are at work. Nothing is accepted again that was refused before,
//! and what was ordered in between arrives. They take long: `make faults`.

use super::support::backend::Backend;
use super::support::browser::Browser;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256};
use super::support::operator::{api, insist, TOKEN};
use super::support::people::{Fleet, LOCAL, ROUTES};
use super::support::redis::Redis;
use super::support::redis_many::{Cluster, Watched};

const ISSUER: &str = "https://issuer.test";

/// A session asks for a renewal again and again until there is a store, which is more than one may.
fn fleet(store: &str) -> Fleet {
    let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
    let flood = ["refresh.family", "refresh.user"].map(|name| format!("[[limit]]\nname = {name:?}\nshadow = true\n\n"));
    let flood = flood.concat();
    let fleet = Fleet::start(2, &[LOCAL, &issuer, store, &Backend::echo().upstream("app"), ROUTES, &flood]);
    fleet.gates.iter().for_each(is_ready);
    fleet
}

fn is_ready(gate: &Gate) {
    eventually("it is ready", || api(gate, TOKEN, "GET /readyz", "").status == 200);
}

fn at(gate: &Gate, browser: &Browser) -> String {
    Browser { at: gate.http, ..browser.clone() }.get("/app/x").verdict()
}

/// The server called `primary` is killed once its replica knows what was ordered before.
fn a_failover<'s>(store: &str, primary: impl FnOnce() -> &'s mut Redis) {
    let mut fleet = fleet(store);
    let (one, other) = (&fleet.gates[0], &fleet.gates[1]);
    let (mut alice, bob) = (Browser::signed_in(one, "alice"), Browser::signed_in(other, "bob"));
    let session = alice.session();
    let banned = issuer::token(&issuer::claims(ISSUER, "banned"), HS256);
    let is_shut_out =
        |gate: &Gate| assert_eq!(gate.get_as("/app/x", &banned).verdict(), "403 user_blocked", "accepted again");
    let said = insist(one, &["user", "block", "banned"]);
    assert!(said.starts_with("in force at 2 of 2 replicas"), "{said}");
    let primary = primary();
    let (written, _) = primary.replicated();
    eventually("whoever takes over knows it", || primary.replicated().1 >= written);

    primary.kill();
    let mut due = alice.clone();
    due.forget_access();
    // delivered now or later, it counts here
    let receipt = api(one, TOKEN, "POST /api/v1/users/bob/block?source=local", "");
    assert!([200, 202].contains(&receipt.status), "{}", receipt.text());
    assert_eq!(at(one, &bob), "403 user_blocked");
    let all_is_well = || {
        for gate in [one, other] {
            assert_eq!(at(gate, &alice), "200", "who is known is served all the time");
            is_shut_out(gate);
        }
        let (renewed, refused) = (at(other, &due), at(other, &bob));
        assert!(["200", "503 store_unavailable"].contains(&renewed.as_str()), "{renewed}");
        renewed == "200" && refused == "403 user_blocked"
    };
    eventually("it goes on", all_is_well);
    eventually("they sign in", || Browser::new(other).sign_in("alice").status == 303);
    eventually("and an order is in force everywhere at once", || {
        api(other, TOKEN, "POST /api/v1/users/carol/block", "").text().contains("\"enforcing\":2")
    });
    fleet.gates.push(fleet.another());
    let late = &fleet.gates[2];
    is_ready(late);
    is_shut_out(late);
    assert_eq!(at(late, &bob), "403 user_blocked");
    due.at = late.http;
    assert_eq!(due.session(), session, "nobody was signed out");
}

#[test]
#[ignore = "takes a quarter of a minute: make faults"]
fn sentinels_promote_another_server() {
    let mut servers = Watched::start();
    a_failover(&servers.table(), || &mut servers.primary);
}

#[test]
#[ignore = "takes half a minute: make faults"]
fn a_cluster_loses_the_node_that_holds_the_log() {
    let mut cluster = Cluster::start();
    a_failover(&cluster.table(), || {
        let at = cluster.primary_of("dw:{rv}:log");
        &mut cluster.nodes[at]
    });
}
