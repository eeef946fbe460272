use super::super::fixture::{fresh, hours, minutes, schedule, START};
use super::super::ring::{Change, Ring};
use super::*;
use crate::domain::signing::Algorithm;
use crate::domain::token::keys::KeySet;
use serde_json::Value;

fn step(ring: &Ring, change: &Change, now: UnixTime) -> Ring {
    ring.after(change, now, &schedule(), change.needs_key().then(|| fresh(Algorithm::Es256))).unwrap()
}

fn first() -> Ring {
    step(&Ring::default(), &Change::Replace, START)
}

fn listed(ring: &Ring) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&Jwks::of(ring, &schedule()).body).unwrap();
    body["keys"].as_array().unwrap().clone()
}

#[test]
fn no_private_member_is_ever_in_it() {
    for algorithm in Algorithm::ALL {
        let ring = Ring::default().after(&Change::Replace, START, &schedule(), Some(fresh(algorithm))).unwrap();
        let public = ["kty", "crv", "x", "y", "n", "e", "use", "alg", "kid"];
        for name in listed(&ring)[0].as_object().unwrap().keys() {
            assert!(public.contains(&name.as_str()), "{algorithm:?} tells {name}");
        }
    }
}

#[test]
fn every_key_says_what_it_is_for() {
    let ring = first();
    let key = &listed(&ring)[0];
    assert_eq!((&key["use"], &key["alg"]), (&"sig".into(), &"ES256".into()));
    assert_eq!(key["kid"], ring.active().unwrap().kid().as_str());
}

#[test]
fn the_active_key_comes_first_and_revoked_ones_are_not_there() {
    let ring = step(&first(), &Change::Replace, START);
    let ring = step(&ring, &Change::Publish { sign_from: START.plus(hours(24)) }, START);
    let keys = listed(&ring);
    assert_eq!(keys.len(), 3, "active, pending and retiring");
    assert_eq!(keys[0]["kid"], ring.active().unwrap().kid().as_str());
    let ring = step(&ring, &Change::RevokeAll, START);
    assert_eq!(listed(&ring).len(), 1);
    assert_eq!(ring.keys().len(), 4);
    assert_eq!(KeySet::from_jwks(&Jwks::of(&ring, &schedule()).body).unwrap().len(), 1);
}

#[test]
fn the_etag_changes_with_the_set_and_only_then() {
    let ring = first();
    let promised = step(&ring, &Change::Promise, START);
    let more = step(&ring, &Change::Publish { sign_from: START }, START);
    let etag = |ring: &Ring| Jwks::of(ring, &schedule()).etag;
    assert_eq!(etag(&ring), etag(&promised));
    assert_ne!(etag(&ring), etag(&more));
    assert!(etag(&ring).starts_with('"') && etag(&ring).ends_with('"') && etag(&ring).len() == 34);
}

#[test]
fn nobody_is_asked_to_keep_it_for_longer_than_keys_are_published_ahead() {
    let ring = first();
    let control = |ahead| Jwks::of(&ring, &Schedule { publish_ahead: ahead, ..schedule() }).cache_control(START);
    assert_eq!(control(hours(24)), "public, max-age=3600");
    assert_eq!(control(minutes(10)), "public, max-age=300");
}

#[test]
fn readers_come_back_every_minute_for_a_day_after_a_revocation() {
    let ring = step(&first(), &Change::RevokeAll, START);
    let jwks = Jwks::of(&ring, &schedule());
    assert_eq!(jwks.cache_control(START), "public, max-age=60");
    assert_eq!(jwks.cache_control(START.plus(hours(24))), "public, max-age=3600");
}
