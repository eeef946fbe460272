//! What an issuer that is away, comes back, changes its keys, or is asked for keys nobody has, does to us.

use super::bearer::{alice, header, Stage};
use super::support::client;
use super::support::issuer::{self, Issuer, ES256, RS256};
use serde_json::json;

#[test]
fn an_issuer_that_is_away_takes_only_its_own_tokens_with_it() {
    let away = Issuer::start(&["rsa-a"]);
    away.away(true);
    let stage = Stage::set(&away.table("away"));
    let token = issuer::token(&away.claims("bob"), RS256);
    for _ in 0..3 {
        let answer = stage.api(&token);
        assert_eq!(answer.verdict(), "503 provider_unavailable");
        assert!(answer.header("retry-after").is_some() && answer.header("www-authenticate").is_none());
    }
    assert_eq!(stage.gate.get_as("/optional/a", &token).verdict(), "503 provider_unavailable");
    assert_eq!(stage.gate.get_as("/public/a", &token).status, 200);
    assert_eq!(stage.api(&issuer::token(&alice(), RS256)).status, 200);
    let ready = client::raw(stage.gate.admin, "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(ready.status, 200, "readiness does not depend on issuers");
}

#[test]
fn an_issuer_that_comes_back_is_believed_again() {
    let issuer = Issuer::start(&["rsa-a"]);
    issuer.away(true);
    let stage = Stage::set(&issuer.table("away"));
    let token = issuer::token(&issuer.claims("bob"), RS256);
    assert_eq!(stage.api(&token).verdict(), "503 provider_unavailable");
    issuer.away(false);
    stage.gate.messages.wait(|line| line["message"] == "keys have changed" && line["issuer"] == "away");
    assert_eq!(stage.api(&token).status, 200);
}

#[test]
fn the_last_good_keys_serve_while_the_issuer_is_away() {
    let issuer = Issuer::start(&["rsa-a"]);
    let stage = Stage::set(&issuer.table("id"));
    assert_eq!(stage.api(&issuer::token(&issuer.claims("bob"), RS256)).status, 200);
    issuer.away(true);
    assert_eq!(stage.api(&issuer::token(&issuer.claims("carol"), RS256)).status, 200);
    // a key nobody has seen: neither yes nor no
    assert_eq!(stage.api(&issuer::token(&issuer.claims("carol"), ES256)).verdict(), "503 provider_unavailable");
}

#[test]
fn a_flood_of_keys_nobody_has_is_one_fetch() {
    let issuer = Issuer::start(&["rsa-a"]);
    let stage = Stage::set(&issuer.table("id"));
    assert_eq!(stage.api(&issuer::token(&issuer.claims("bob"), RS256)).status, 200);
    assert_eq!(issuer.fetches(), 1);
    let claims = issuer.claims("mallory");
    std::thread::scope(|scope| {
        for number in 0..200 {
            let header = header(json!({ "kid": format!("unknown-{number}") }));
            let token = issuer::signed(&header, &claims, RS256);
            let api = &stage;
            scope.spawn(move || assert_eq!(api.api(&token).verdict(), "401 token_invalid"));
        }
    });
    assert_eq!(issuer.fetches(), 2);
    assert_eq!(stage.api(&issuer::token(&issuer.claims("bob"), RS256)).status, 200);
}

#[test]
fn a_rotated_key_is_learnt_and_a_withdrawn_one_forgotten() {
    let issuer = Issuer::start(&["rsa-a"]);
    let stage = Stage::set(&issuer.table("id"));
    let old = issuer::token(&issuer.claims("bob"), RS256);
    assert_eq!(stage.api(&old).status, 200);
    issuer.rotate(&["p256"]);
    assert_eq!(stage.api(&issuer::token(&issuer.claims("bob"), ES256)).status, 200);
    assert_eq!(stage.api(&old).verdict(), "401 token_invalid", "verified against keys that are gone");
    assert_eq!(issuer.fetches(), 2);
}
