//! The store is away: who signs in, who goes on, and who does not.

use super::support::backend::Backend;
use super::support::browser::{set_cookies, Browser};
use super::support::eventually;
use super::support::gate::Gate;
use super::support::operator::{api, TOKEN};
use super::support::people::{self, LOCAL, ROUTES};
use super::support::provider::Provider;
use super::support::redis::Redis;

fn gate(backend: &Backend, tables: &[&str]) -> Gate {
    let (name, secret) = Provider::secret();
    let setup = people::setup().variable(name, secret).variable("DOORWARD_ADMIN_TOKEN", TOKEN);
    setup.start(&[LOCAL, &backend.upstream("app"), ROUTES, &tables.concat()].concat())
}

const SIGN_IN: &str = "doorward_degraded{feature=\"sign_in\"}";

#[test]
fn without_a_store_people_get_in_for_minutes_and_nothing_is_written_later() {
    let (mut redis, backend, provider) = (Redis::start(), Backend::echo(), Provider::start());
    let gate = gate(&backend, &[&redis.table(), &provider.table("id")]);
    let mut blocked = Browser::new(&gate);
    assert_eq!(blocked.sign_in("bob").status, 303);
    assert_eq!(api(&gate, TOKEN, "POST /api/v1/users/bob/block", "").status, 200);
    let before = redis.keys("dw:s:*").len();
    redis.kill();

    let (mut alice, mut carol) = (Browser::new(&gate), Browser::new(&gate));
    let answer = alice.sign_in("alice");
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(provider.sign_in(&mut carol, "carol").status, 303, "at a provider too");
    for browser in [&mut alice, &mut carol] {
        let (token, names) =
            (browser.access(), browser.jar.keys().filter(|name| name.starts_with("doorward-r")).count());
        assert!(token["exp"].as_u64().unwrap() - token["iat"].as_u64().unwrap() <= 300, "{token}");
        assert!(names == 0 && token.get("fid").is_none(), "nothing renews it");
        assert_eq!(browser.get("/app/x").status, 200);
    }
    let kept = set_cookies(&answer).into_iter().find(|cookie| cookie.name == "doorward").unwrap();
    assert!(kept.attributes.contains(&"max-age=300".to_owned()), "{kept:?}");
    assert_eq!(
        Browser::new(&gate).sign_in("bob").verdict().split(' ').next(),
        Some("403"),
        "a block that is known here"
    );
    eventually("it is said", || gate.metric(SIGN_IN) > 0.0);
    let line = gate.journal.wait(|line| line["event"] == "sign_in_degraded");
    assert_eq!((line["sub"].as_str(), line["source"].as_str()), (Some("alice"), Some("local")));

    redis.restart();
    eventually("it is over", || gate.metric(SIGN_IN) < 1.0);
    assert_eq!(alice.get("/app/x").status, 200, "for its minutes it counts");
    assert_eq!(redis.keys("dw:s:*").len(), before, "and no session was made of it");
    eventually("whoever comes now has a session", || {
        let mut late = Browser::new(&gate);
        late.sign_in("alice").status == 303 && late.access().get("fid").is_some()
    });
    let mut copy = alice.clone();
    assert_eq!(alice.post("/.auth/logout").status, 204);
    assert_eq!(copy.get("/app/x").verdict(), "401 session_terminated", "signed out is signed out");
}

#[test]
fn a_former_session_renews_nothing_for_whoever_signs_in_without_a_store() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    let gate = gate(&backend, &[&redis.table()]);
    let mut browser = Browser::signed_in(&gate, "bob");
    redis.kill();
    assert_eq!(browser.sign_in("alice").status, 303);
    assert!(!browser.jar.keys().any(|name| name.starts_with("doorward-r")), "{:?}", browser.jar.keys());
    let told = browser.get("/app/x").text().to_lowercase();
    assert!(told.contains("x-auth-subject: alice"), "{told}");
}

#[test]
fn an_opaque_session_goes_on_where_it_is_known_and_what_is_revoked_is_not_let_in() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let opaque = "[session]\nmode = \"opaque\"\n\n";
    let tables = [redis.table_within("2s"), opaque.to_owned()];
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    let (here, there) = (gate(&backend, &tables), gate(&backend, &tables));
    let (mut alice, mut bob) = (Browser::signed_in(&here, "alice"), Browser::signed_in(&here, "bob"));
    let session = alice.session();
    assert_eq!([alice.get("/app/x").status, bob.get("/app/x").status], [200, 200]);
    redis.pause();
    // With another configuration nothing is fresh: the store is asked, and does not answer.
    assert!(
        here.reload(&[LOCAL, &backend.upstream("app"), ROUTES, &tables.concat(), "[pages]\ntitle = \"x\"\n"].concat())
    );
    for _ in 0..3 {
        assert_eq!([alice.get("/app/x").status, bob.get("/app/x").status], [200, 200]);
    }
    let mut elsewhere = Browser { at: there.http, ..alice.clone() };
    let answer = elsewhere.get("/app/x");
    assert_eq!((answer.verdict().as_str(), answer.all("set-cookie").len()), ("503 store_unavailable", 0));
    let order = format!("{{\"kind\":\"session\",\"value\":\"{session}\"}}");
    assert_eq!(api(&here, TOKEN, "POST /api/v1/revocations?wait=none", &order).status, 202);
    let mut copy = alice.clone();
    assert_eq!(alice.get("/app/x").verdict(), "401 session_terminated");
    assert_eq!(bob.get("/app/x").status, 200);
    redis.resume();
    copy.at = there.http;
    eventually("the other one hears of it", || copy.clone().get("/app/x").verdict() == "401 session_terminated");
    assert_eq!(bob.get("/app/x").status, 200);
}
