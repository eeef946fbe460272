//! Routes where being wrong is dear: nobody gets in on a list that may lack something, and a token counts once.

use super::support::backend::Backend;
use super::support::browser::Browser;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::people::{self, LOCAL, ROUTES};
use super::support::redis::Redis;
use serde_json::json;

const ISSUER: &str = "https://issuer.test";
const PAY: &str = "[[route]]\npath = \"/pay/**\"\naccess = \"authenticated\"\nsensitive = true\n\n\
                   [[route]]\npath = \"/pay/admins\"\nroles = [\"admin\"]\nsensitive = true\nmax_body = \"10B\"\n\n";

/// A gate where people sign in and tokens of an issuer count, and nobody pays twice; ready to let somebody in.
fn bank(backend: &Backend, tables: &str) -> Gate {
    let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
    let tables = [LOCAL, &issuer, &backend.upstream("app"), ROUTES, PAY, tables].concat();
    let gate = people::setup().variable("SECRET", SECRET).start(&tables);
    eventually("it is ready", || gate.is_ready());
    // Of the time before the log began nobody knows what was used; what is issued from here on comes after.
    let began = issuer::now();
    eventually("the second is over in which the log began", || issuer::now() > began);
    gate
}

fn bearer(jti: Option<&str>) -> String {
    issuer::token(
        &issuer::with(
            &issuer::claims(ISSUER, "machine"),
            json!({ "jti": jti, "roles": ["admin"], "iat": issuer::now() }),
        ),
        HS256,
    )
}

#[test]
fn a_token_counts_once_whichever_replica_it_comes_to() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let (one, other) = (bank(&backend, &redis.table()), bank(&backend, &redis.table()));
    for jti in [Some("a"), Some("b"), None] {
        let token = bearer(jti);
        assert_eq!(one.get_as("/pay/x", &token).status, 200, "{jti:?}");
        let again = other.get_as("/pay/x", &token);
        assert_eq!(again.verdict(), "401 token_used", "{jti:?}");
        assert!(again.header("www-authenticate").is_some());
        assert_eq!(one.get_as("/pay/x", &token).verdict(), "401 token_used");
        assert_eq!(other.get_as("/app/x", &token).status, 200, "elsewhere it counts as before");
    }
    assert!(redis.keys("dw:*machine*").is_empty() && !redis.keys("dw:o:used:*").is_empty(), "by their hashes");
}

#[test]
fn of_many_at_once_one_gets_through() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let gates = [bank(&backend, &redis.table()), bank(&backend, &redis.table())];
    let token = bearer(Some("raced"));
    let passed = std::thread::scope(|scope| {
        let (gates, token) = (&gates, &token);
        let all: Vec<_> = (0..16).map(|at| scope.spawn(move || gates[at % 2].get_as("/pay/x", token).status)).collect();
        all.into_iter().map(|one| one.join().unwrap()).filter(|status| *status == 200).count()
    });
    assert_eq!(passed, 1);
}

#[test]
fn whoever_is_refused_for_another_reason_has_used_nothing_up() {
    let backend = Backend::echo();
    let gate = bank(&backend, "");
    let token =
        issuer::token(&issuer::with(&issuer::claims(ISSUER, "m"), json!({ "jti": "j", "iat": issuer::now() })), HS256);
    assert_eq!(gate.get_as("/pay/admins", &token).verdict(), "403 forbidden");
    assert_eq!(gate.get_as("/pay/x", &token).status, 200);
    let token = bearer(Some("large"));
    let large = format!("Authorization: Bearer {token}\r\nContent-Length: 11\r\n");
    let answer = gate.raw(format!("POST /pay/admins HTTP/1.1\r\nHost: app.test\r\n{large}\r\n12345678901"));
    assert_eq!(answer.verdict(), "413 body_too_large");
    assert_eq!(gate.get_as("/pay/admins", &token).status, 200);
}

#[test]
fn a_browser_pays_as_often_as_it_likes_and_a_copied_request_never() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let (one, other) = (bank(&backend, &redis.table()), bank(&backend, &redis.table()));
    let mut browser = Browser::signed_in(&one, "alice");
    for turn in 0..4 {
        browser.at = if turn % 2 == 0 { one.http } else { other.http };
        let mut copy = browser.clone();
        let token = browser.cookie("doorward").unwrap().to_owned();
        assert_eq!(browser.post("/pay/x").status, 200, "{turn}");
        assert_ne!(browser.cookie("doorward"), Some(token.as_str()));
        copy.jar.retain(|name, _| name == "doorward");
        assert_eq!(copy.post("/pay/x").verdict(), "401 token_used", "{turn}");
        assert_eq!(browser.get("/app/x").status, 200);
    }
    browser.forget_access();
    let back = browser.post("/pay/x");
    assert_eq!((back.status, back.header("location")), (307, Some("/pay/x")), "renewed, it comes again");
    assert_eq!(browser.post("/pay/x").status, 200);
}

#[test]
fn nobody_gets_in_while_the_list_may_lack_something() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let gate = bank(&backend, &redis.table_within("2s"));
    let mut browser = Browser::signed_in(&gate, "alice");
    let forged = "X-Doorward-Degraded: everything\r\n";
    assert!(!browser.ask("GET", "/app/x", forged, "").text().to_lowercase().contains("x-doorward-degraded"));
    let (spent, other) = (bearer(Some("spent")), bearer(Some("other")));
    assert_eq!(gate.get_as("/pay/x", &spent).status, 200);
    redis.pause();
    assert!(
        ["503 store_unavailable", "503 revocation_stale"].contains(&gate.get_as("/pay/x", &other).verdict().as_str())
    );
    eventually("it is stale", || gate.metric("doorward_degraded{feature=\"revocation\"}") > 0.0);
    let answer = browser.post("/pay/x");
    assert_eq!(answer.verdict(), "503 revocation_stale");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(gate.get_as("/pay/x", &other).verdict(), "503 revocation_stale");
    let told = browser.get("/app/x");
    assert_eq!(told.status, 200, "other routes go on, and say so");
    let told = told.text().to_lowercase();
    let said = told.lines().find_map(|line| line.trim().strip_prefix("x-doorward-degraded: "));
    assert!(said.is_some_and(|features| features.split(',').any(|feature| feature == "revocation")), "{told}");
    redis.resume();
    eventually("it is fresh", || gate.metric("doorward_degraded{feature=\"revocation\"}") < 1.0);
    assert_eq!(browser.post("/pay/x").status, 200);
    assert_eq!(gate.get_as("/pay/x", &other).status, 200, "it was not used up in vain");
    assert_eq!(gate.get_as("/pay/x", &spent).verdict(), "401 token_used", "and nothing was forgotten");
    let said = |line: &str| line.contains("\"feature\":\"revocation\"");
    let lines = || gate.messages.all().iter().filter(|line| said(line)).count();
    eventually("it said so both times", || lines() > 1);
    assert_eq!(lines(), 2, "a line when it changes, whoever asks meanwhile: {:#?}", gate.messages.all());
}

#[test]
fn after_a_flush_nobody_gets_in_before_the_list_is_whole_again() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let gate = bank(&backend, &redis.table());
    let spent = bearer(Some("1"));
    assert_eq!(gate.get_as("/pay/x", &spent).status, 200);
    assert!(redis.cli(&["flushall"]).contains("OK"));
    eventually("it is whole again", || gate.get_as("/pay/x", &bearer(Some("2"))).status != 503);
    assert!(redis.keys("dw:*").len() > 1, "by then the log is there again: {:?}", redis.keys("*"));
    assert_eq!(gate.get_as("/pay/x", &spent).verdict(), "401 token_used", "though the store has forgotten it");
    let fresh = issuer::with(&issuer::claims(ISSUER, "machine"), json!({ "jti": "3", "iat": issuer::now() + 1 }));
    eventually("a new token counts", || gate.get_as("/pay/x", &issuer::token(&fresh, HS256)).status == 200);
}
