//! What was revoked stays revoked over a crash: with the store in this process, and with one that is away.

use super::support::backend::Backend;
use super::support::browser::{json as json_of, Browser};
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::operator::{api, TOKEN};
use super::support::people::{self, LOCAL, ROUTES};
use super::support::redis::Redis;
use serde_json::json;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const ISSUER: &str = "https://issuer.test";
const DEGRADED: &str = "doorward_degraded{feature=\"state_dir_revocations\"}";

/// A gate with a memory store that is kept in `state`.
fn house(state: &Path, backend: &Backend) -> Gate {
    let store = format!("[store]\nstate_dir = {state:?}\n\n");
    let gate = people::setup()
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .start(&[LOCAL, &store, &backend.upstream("app"), ROUTES].concat());
    ready(&gate);
    gate
}

/// One with a shared store, whose callers come with tokens of others.
fn replica(redis: &Redis, backend: &Backend, state: Option<&Path>) -> Gate {
    let keep = state.map_or_else(String::new, |state| format!("state_dir = {state:?}\n"));
    let store = redis.table().replace("[store]\n", &format!("[store]\n{keep}"));
    let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
    people::setup()
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .variable("SECRET", SECRET)
        .start(&[store.as_str(), &issuer, &backend.upstream("app"), ROUTES].concat())
}

fn ready(gate: &Gate) {
    eventually("the gate is ready", || api(gate, TOKEN, "GET /readyz", "").status == 200);
}

fn revoke(gate: &Gate, kind: &str, value: &str) -> u16 {
    let body = json!({ "kind": kind, "value": value }).to_string();
    api(gate, TOKEN, "POST /api/v1/revocations?timeout=30s", &body).status
}

fn token(sub: &str) -> String {
    issuer::token(&issuer::claims(ISSUER, sub), HS256)
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn who_signed_out_a_moment_before_a_crash_is_signed_out_after_it() {
    let (state, backend) = (folder(), Backend::echo());
    let gate = house(state.path(), &backend);
    let (mut alice, mut bob) = (Browser::signed_in(&gate, "alice"), Browser::signed_in(&gate, "bob"));
    gate.terminate();
    assert_eq!(gate.exit_code(), Some(0));

    let mut gate = house(state.path(), &backend);
    (alice.at, bob.at) = (gate.http, gate.http);
    assert_eq!((alice.who().as_str(), bob.who().as_str()), ("alice", "bob"), "sessions survive a restart");
    let mut thief = alice.clone();
    assert_eq!(alice.post("/.auth/logout").status, 204);
    gate.kill();

    let gate = house(state.path(), &backend);
    (thief.at, bob.at) = (gate.http, gate.http);
    assert_eq!(thief.get("/app/x").status, 401, "with the access token");
    thief.jar.remove("doorward");
    assert_eq!(thief.get("/app/x").status, 401, "with the renewal token");
    assert_eq!(bob.who(), "bob", "and nobody else");
}

#[test]
fn what_an_operator_was_told_is_in_force_stays_so_over_a_crash() {
    let (state, backend) = (folder(), Backend::echo());
    let mut gate = house(state.path(), &backend);
    assert_eq!(api(&gate, TOKEN, "POST /api/v1/users/alice/block", "").status, 200);
    gate.kill();
    let mut gate = house(state.path(), &backend);
    assert_eq!(Browser::new(&gate).sign_in("alice").status, 403);
    assert_eq!(api(&gate, TOKEN, "POST /api/v1/users/alice/unblock", "").status, 200);
    gate.kill();
    let gate = house(state.path(), &backend);
    assert_eq!(Browser::signed_in(&gate, "alice").who(), "alice");
}

#[test]
fn who_signs_in_again_after_being_revoked_stays_in_over_a_restart() {
    let (state, backend) = (folder(), Backend::echo());
    let gate = house(state.path(), &backend);
    let mut before = Browser::signed_in(&gate, "alice");
    assert_eq!(revoke(&gate, "user", "alice"), 201);
    let mut after = Browser::signed_in(&gate, "alice");
    gate.terminate();
    assert_eq!(gate.exit_code(), Some(0));
    let gate = house(state.path(), &backend);
    (before.at, after.at) = (gate.http, gate.http);
    assert_eq!((before.get("/app/x").status, after.who().as_str()), (401, "alice"));
    assert_eq!(Browser::signed_in(&gate, "alice").who(), "alice");
}

#[test]
fn a_replica_that_restarts_while_the_store_is_away_enforces_what_it_knew_and_delivers_it() {
    let (mut redis, backend, state) = (Redis::start(), Backend::echo(), folder());
    let mut gate = replica(&redis, &backend, Some(state.path()));
    ready(&gate);
    assert_eq!(revoke(&gate, "user", "delivered"), 201);
    redis.kill();
    assert_eq!(revoke(&gate, "user", "undelivered"), 202);
    gate.kill();

    let gate = replica(&redis, &backend, Some(state.path()));
    ready(&gate);
    for (user, status) in [("delivered", 401), ("undelivered", 401), ("somebody", 200)] {
        assert_eq!(gate.get_as("/app/x", &token(user)).status, status, "{user}");
    }
    redis.restart();
    assert!(redis.cli(&["flushall"]).contains("OK"), "it comes back without its memory, too");
    let newcomer = replica(&redis, &backend, None);
    for user in ["delivered", "undelivered"] {
        let refused = || newcomer.get_as("/app/x", &token(user)).verdict() == "401 token_revoked";
        eventually("who never heard of it refuses it", refused);
    }
}

#[test]
fn a_replica_without_a_list_still_waits_for_the_store() {
    let (mut redis, backend, state) = (Redis::start(), Backend::echo(), folder());
    redis.kill();
    let gate = replica(&redis, &backend, Some(state.path()));
    let unready = || api(&gate, TOKEN, "GET /readyz", "").text().contains("revocations_unseen");
    eventually("it says what it waits for", unready);
}

#[test]
fn a_disk_that_takes_nothing_is_told_of_and_keeps_nobody_out() {
    let (home, backend) = (folder(), Backend::echo());
    let state = home.path().join("state");
    let gate = house(&state, &backend);
    assert_eq!(gate.metric(DEGRADED), 0.0);
    fs::remove_dir_all(&state).unwrap();
    let mut alice = Browser::signed_in(&gate, "alice");
    assert_eq!(alice.post("/.auth/logout").status, 204, "signed out all the same");
    assert_eq!(gate.metric(DEGRADED), 1.0);
    gate.messages.wait(|line| line["message"].as_str().is_some_and(|text| text.contains("are not kept on disk")));
    assert_eq!(Browser::signed_in(&gate, "bob").who(), "bob");
    fs::create_dir(&state).unwrap();
    assert_eq!(revoke(&gate, "jti", "anything"), 201);
    assert_eq!(gate.metric(DEGRADED), 0.0);
    assert!(state.join("revocations.sealed").exists());
}

#[test]
fn a_shared_store_outweighs_a_list_that_cannot_be_read() {
    let (redis, backend, state) = (Redis::start(), Backend::echo(), folder());
    fs::write(state.path().join("revocations.sealed"), b"not ours").unwrap();
    let gate = replica(&redis, &backend, Some(state.path()));
    ready(&gate);
    assert_eq!(fs::read(state.path().join("revocations.unreadable")).unwrap(), b"not ours", "nothing is lost");
    assert_eq!(revoke(&gate, "user", "alice"), 201);
    eventually("a new one begins", || state.path().join("revocations.sealed").exists());
}

#[test]
fn alone_a_gate_does_not_start_without_the_list_of_who_is_blocked() {
    let (state, backend) = (folder(), Backend::echo());
    drop(house(state.path(), &backend));
    fs::write(state.path().join("revocations.sealed"), b"damaged").unwrap();
    let config = state.path().join("doorward.toml");
    let store = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\n\n[admin]\nlisten = \"127.0.0.1:0\"\n\n[store]\nstate_dir = {:?}\n\n",
        state.path()
    );
    fs::write(&config, [&store, &backend.upstream("app"), ROUTES].concat()).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_doorward"))
        .args(["run", "--config"])
        .arg(&config)
        .env("DOORWARD_ADMIN_TOKEN", TOKEN)
        .env("DOORWARD_SECRET", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("revocations.sealed cannot be read") && said.contains("move the file away"), "{said}");
}

#[test]
fn every_revocation_is_counted_once_and_those_of_others_with_the_time_they_took() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let (one, other) = (replica(&redis, &backend, None), replica(&redis, &backend, None));
    ready(&one);
    ready(&other);
    for user in ["alice", "bob"] {
        assert_eq!(revoke(&one, "user", user), 201);
    }
    assert_eq!(api(&one, TOKEN, "POST /api/v1/users/carol/block?timeout=30s", "").status, 200);
    for gate in [&one, &other] {
        gate.comes_to("doorward_revocations_total{kind=\"user\"}", 2.0);
        gate.comes_to("doorward_revocations_total{kind=\"block\"}", 1.0);
    }
    other.comes_to("doorward_revocation_lag_seconds_count", 3.0);
    one.comes_to("doorward_revocation_lag_seconds_count", 0.0);
    let late = replica(&redis, &backend, None);
    ready(&late);
    eventually("the newcomer knows", || late.metric("doorward_revocation_entries") == 3.0);
    assert_eq!(late.metric("doorward_revocations_total{kind=\"user\"}"), 2.0);
    assert_eq!(late.metric("doorward_revocation_lag_seconds_count"), 0.0, "it was not there");
}

#[test]
fn a_reload_that_fails_leaves_the_keys_as_they_were() {
    let (state, backend) = (folder(), Backend::echo());
    let gate = house(state.path(), &backend);
    let store = format!("[store]\nstate_dir = {:?}\n\n", state.path());
    let keys = "[keys]\nalgorithm = \"EdDSA\"\n\n";
    fs::write(gate.directory().join("users.toml"), "[[user]]\nname = 7\n").unwrap();
    assert!(!gate.reload(&[LOCAL, &store, &backend.upstream("app"), ROUTES, keys].concat()));
    assert_eq!(api(&gate, TOKEN, "POST /api/v1/keys/rotate", "{\"mode\":\"now\"}").status, 200);
    let said = json_of(&gate.get("/.well-known/jwks.json", ""));
    let kinds: Vec<_> = said["keys"].as_array().unwrap().iter().map(|key| key["kty"].as_str().unwrap()).collect();
    assert!(kinds.len() > 1 && kinds.iter().all(|kind| *kind == "EC"), "{kinds:?}");
    assert_eq!(Browser::signed_in(&gate, "alice").who(), "alice", "users are those of before");
}

/// A replica of a house whose people sign in.
fn replica_with_people(redis: &Redis, backend: &Backend, state: &Path) -> Gate {
    let store = redis.table().replace("[store]\n", &format!("[store]\nstate_dir = {state:?}\n"));
    let setup = people::setup().variable("DOORWARD_ADMIN_TOKEN", TOKEN);
    setup.start(&[LOCAL, &store, &backend.upstream("app"), ROUTES].concat())
}

#[test]
fn sessions_go_on_over_a_restart_while_the_store_is_away_and_revoked_ones_do_not() {
    let (mut redis, backend, state) = (Redis::start(), Backend::echo(), folder());
    let mut gate = replica_with_people(&redis, &backend, state.path());
    ready(&gate);
    let (mut alice, mut bob) = (Browser::signed_in(&gate, "alice"), Browser::signed_in(&gate, "bob"));
    eventually("the keys are on disk", || state.path().join("keys.sealed").exists());
    redis.kill();
    assert_eq!(revoke(&gate, "session", bob.access()["sid"].as_str().unwrap()), 202);
    gate.kill();

    let gate = replica_with_people(&redis, &backend, state.path());
    ready(&gate);
    (alice.at, bob.at) = (gate.http, gate.http);
    assert_eq!(alice.get("/app/x").status, 200, "a token that lives counts");
    assert_eq!(bob.get("/app/x").verdict(), "401 session_terminated");
    let kid = |gate: &Gate| json_of(&gate.get("/.well-known/jwks.json", ""))["keys"][0]["kid"].clone();
    let (kept, mut carol) = (kid(&gate), Browser::new(&gate));
    assert_eq!(carol.sign_in("alice").status, 303, "and for some minutes people get in");

    redis.restart();
    eventually("the store is back", || alice.who() == "alice");
    assert_eq!(kid(&gate), kept);
    let other = replica_with_people(&redis, &backend, folder().path());
    assert_eq!(kid(&other), kept, "it is the ring of all replicas still");
}

#[test]
fn keys_on_disk_that_cannot_be_read_are_those_of_nobody_and_are_written_anew() {
    let (redis, backend, state) = (Redis::start(), Backend::echo(), folder());
    fs::write(state.path().join("keys.sealed"), b"not ours").unwrap();
    let gate = replica_with_people(&redis, &backend, state.path());
    ready(&gate);
    assert_eq!(Browser::signed_in(&gate, "alice").who(), "alice");
    eventually("they are", || fs::read(state.path().join("keys.sealed")).unwrap() != b"not ours");
}
