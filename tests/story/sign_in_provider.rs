//! What a provider says of its users reaches running sessions, and what it does not say ends none.

use super::support::backend::Backend;
use super::support::browser::{json, Browser};
use super::support::eventually;
use super::support::people::{Fleet, LOCAL, ROUTES};
use super::support::provider::Provider;
use super::support::redis::Redis;
use serde_json::json;
use std::time::Duration;

/// In its fourth second a token is due, and what the provider said is old: before, all that is asked of a young one is.
const TTL: Duration = Duration::from_secs(4);
const TERMS: &str = "[tokens]\naccess_ttl = \"4s\"\nreuse_grace = \"1s\"\n\n";

struct House {
    backend: Backend,
    provider: Provider,
    redis: Redis,
    fleet: Fleet,
}

fn house(replicas: usize) -> House {
    let (redis, backend, provider) = (Redis::start(), Backend::echo(), Provider::start());
    let tables = [&provider.table("id"), LOCAL, &redis.table(), &backend.upstream("app"), ROUTES, TERMS];
    let fleet = Fleet::ready(replicas, &tables);
    House { backend, provider, redis, fleet }
}

impl House {
    fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.fleet.gates[0]);
        assert_eq!(self.provider.sign_in(&mut browser, "alice").status, 303);
        browser
    }
}

#[test]
fn what_changes_at_the_provider_is_known_at_the_next_renewal() {
    let house = house(1);
    let mut browser = house.signed_in();
    assert_eq!(browser.get("/admin/x").verdict(), "403 forbidden");
    house.provider.claims(json!({ "roles": ["admin"], "name": "Alice" }));
    browser.until_due(TTL);
    assert_eq!(browser.get("/admin/x").status, 200);
    let seen = house.backend.last();
    assert_eq!(
        (seen.header("x-auth-roles").as_deref(), seen.header("x-auth-name").as_deref()),
        (Some("admin"), Some("Alice"))
    );
    let counts = house.provider.counts();
    assert_eq!((counts.refreshes, counts.refused), (1, 0));
}

#[test]
fn whoever_was_dismissed_at_the_provider_is_out_at_the_next_renewal() {
    let house = house(1);
    let mut browser = house.signed_in();
    house.provider.forget();
    browser.until_due(TTL);
    assert_eq!(browser.get("/app/x").verdict(), "401 session_terminated");
    browser.visit("/app/x");
    assert!(browser.jar.is_empty() && house.redis.keys("dw:s:*").is_empty());
    house.fleet.gates[0].journal.wait(|line| line["event"] == "provider_ended_session");
}

#[test]
fn a_refreshed_token_about_somebody_else_changes_nothing() {
    let house = house(1);
    let mut browser = house.signed_in();
    house.provider.claims(json!({ "sub": "mallory", "roles": ["admin"] }));
    browser.until_due(TTL);
    assert_eq!(browser.get("/admin/x").verdict(), "403 forbidden");
    assert_eq!(browser.who(), "alice");
    house.provider.claims(json!({ "roles": ["admin"] }));
    browser.until_due(TTL);
    assert_eq!(browser.get("/admin/x").status, 200, "the token that came with it was kept");
    assert_eq!(house.provider.counts().refused, 0);
}

#[test]
fn sessions_go_on_while_their_provider_is_away() {
    let house = house(1);
    let mut browser = house.signed_in();
    house.provider.away(true);
    for _ in 0..2 {
        browser.until_due(TTL);
        assert_eq!(browser.get("/app/x").status, 200);
    }
    house.provider.away(false);
    house.provider.claims(json!({ "name": "Alice, renamed" }));
    // it is left alone for a while after failures
    eventually("it is asked again", || {
        browser.forget_access();
        json(&browser.get("/.auth/me"))["name"] == "Alice, renamed"
    });
    assert_eq!(house.provider.counts().refused, 0);
}

#[test]
fn nobody_waits_long_for_a_slow_provider_and_its_answer_counts_all_the_same() {
    let house = house(1);
    let mut browser = house.signed_in();
    house.provider.claims(json!({ "name": "Alice, renamed" }));
    let held = house.provider.holds();
    browser.until_due(TTL);
    assert_eq!(browser.get("/app/x").status, 200, "although the provider has not answered yet");
    drop(held);
    eventually("the answer is taken", || json(&browser.get("/.auth/me"))["name"] == "Alice, renamed");
    assert_eq!(house.provider.counts().refused, 0);
}

#[test]
fn a_replica_that_dies_while_it_asks_the_provider_ends_no_session() {
    let mut house = house(2);
    let mut browser = house.signed_in();
    let session = browser.session();
    let held = house.provider.holds();
    browser.until_due(TTL);
    let mut tab = browser.clone();
    let waiting = std::thread::spawn(move || tab.attempt("/app/x"));
    eventually("the provider is asked", || house.provider.counts().refreshes == 1);
    house.fleet.gates[0].kill();
    waiting.join().unwrap();
    drop(held);
    // it would end by itself after half a minute
    let locks = house.redis.keys("*provider:*");
    assert_eq!(locks.len(), 1, "{:?}", house.redis.keys("*"));
    house.redis.cli(&["del", &locks[0]]);

    browser.at = house.fleet.turn(1);
    assert_eq!(browser.get("/app/x").status, 200, "its refresh token is spent, and no replica knows the next one");
    assert_eq!(house.provider.counts().refused, 1);
    house.fleet.gates[1].journal.wait(|line| line["event"] == "provider_token_lost");
    browser.until_due(TTL);
    assert_eq!(browser.get("/app/x").status, 200);
    assert_eq!((browser.session(), house.provider.counts().refreshes), (session, 2), "and it is not asked again");
}
