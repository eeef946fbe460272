//! Operators of several replicas, and of a store that is away.

use super::support::backend::Backend;
use super::support::browser::{json as json_of, Browser};
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::operator::{api, command, insist, succeed, TOKEN};
use super::support::people::{self, LOCAL, ROUTES};
use super::support::redis::Redis;
use serde_json::json;

const ISSUER: &str = "https://issuer.test";
const ROUTE: &str = "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n";

fn replica(redis: &Redis) -> Gate {
    let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
    let gate = people::setup()
        .variable("SECRET", SECRET)
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .start(&[&redis.table(), &Backend::echo().upstream("app"), ROUTE, &issuer].concat());
    eventually("it is ready", || api(&gate, TOKEN, "GET /readyz", "").status == 200);
    gate
}

fn token(sub: &str) -> String {
    issuer::token(&issuer::claims(ISSUER, sub), HS256)
}

#[test]
fn a_receipt_means_every_replica_and_without_a_store_it_says_so() {
    let mut redis = Redis::start();
    let (one, other) = (replica(&redis), replica(&redis));
    let (bob, carol) = (token("bob"), token("carol"));
    assert_eq!([&one, &other].map(|gate| gate.get_as("/", &bob).status), [200, 200]);
    let said = insist(&one, &["user", "block", "bob"]);
    assert!(said.starts_with("in force at 2 of 2 replicas"), "{said}");
    assert_eq!(other.get_as("/", &bob).verdict(), "403 user_blocked");

    let said = succeed(&one, &["user", "unblock", "bob", "--wait", "none"]);
    assert!(said.starts_with("in force at 1 of 2 replicas"), "nobody was to be waited for: {said}");
    eventually("the other has heard of it", || other.get_as("/", &token("bob")).status == 200);

    redis.kill();
    assert_eq!(other.get_as("/", &carol).status, 200);
    let answer = api(&other, TOKEN, "POST /api/v1/users/carol/block", "");
    assert_eq!((answer.status, &json_of(&answer)["position"]), (202, &json!(null)));
    assert_eq!(other.get_as("/", &carol).verdict(), "403 user_blocked");
    assert_eq!(other.journal.wait(|line| line["target"] == "carol")["outcome"], "here_only");
    let alone = command(&other, &["user", "block", "dave"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&alone.stdout).starts_with("in force at this replica alone"));
    assert_eq!(api(&other, TOKEN, "POST /api/v1/keys/rotate", "").verdict(), "503 store_unavailable");
}

#[test]
fn sessions_that_could_not_be_ended_are_not_called_none() {
    let redis = Redis::start();
    let tables = [LOCAL, &redis.table(), &Backend::echo().upstream("app"), ROUTES].concat();
    let gate = people::setup().variable("DOORWARD_ADMIN_TOKEN", TOKEN).start(&tables);
    eventually("it is ready", || gate.is_ready());
    let id = Browser::signed_in(&gate, "alice").session();
    let allow = |keys: &str| {
        let answer = redis.cli(&["acl", "setuser", "default", "resetkeys", keys]);
        assert!(answer.contains("OK"), "{answer}");
    };
    // the log answers, and what is kept of users does not
    allow("~dw:{rv}:*");
    let answer = api(&gate, TOKEN, "POST /api/v1/users/alice/revoke", "");
    let receipt = json_of(&answer);
    assert_eq!((answer.status, &receipt["sessions_ended"]), (202, &json!(null)));
    assert!(receipt["position"].is_string(), "the mark on the user is made: {receipt}");
    assert_eq!(gate.journal.wait(|line| line["event"] == "user_revoked")["outcome"], "unfinished");
    let answer = api(&gate, TOKEN, &format!("DELETE /api/v1/sessions/{id}?user=alice"), "");
    assert_eq!((answer.status, &json_of(&answer)["record_deleted"]), (200, &json!(null)));
    let said = command(&gate, &["user", "revoke", "alice"]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stdout).contains("do it again"));
    allow("~*");
    let answer = api(&gate, TOKEN, "POST /api/v1/users/alice/revoke", "");
    assert_eq!((answer.status, &json_of(&answer)["sessions_ended"]), (200, &json!(1)));
}

#[test]
fn a_session_of_an_issuer_is_revoked_by_its_name_and_others_of_that_name_go_on() {
    let issuers = ["one", "other"].map(|name| {
        let table = issuer::table(name, &format!("https://{name}.test"), "secret = \"env:SECRET\"");
        format!("{}\nclaims = {{ sid = \"sid\" }}\n\n", table.trim_end())
    });
    let gate = people::setup()
        .variable("SECRET", SECRET)
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .start(&[&Backend::echo().upstream("app"), ROUTE, &issuers.concat()].concat());
    let token = |name: &str, sid: &str| {
        let claims = issuer::claims(&format!("https://{name}.test"), "bob");
        issuer::token(&issuer::with(&claims, json!({ "sid": sid })), HS256)
    };
    let verdicts = || {
        [("one", "7"), ("one", "8"), ("other", "7"), ("other", "8")]
            .map(|(name, sid)| gate.get_as("/", &token(name, sid)).status)
    };
    assert_eq!(verdicts(), [200; 4]);
    succeed(&gate, &["revoke", "--session", "7", "--source", "one"]);
    assert_eq!(verdicts(), [401, 200, 200, 200]);
    succeed(&gate, &["revoke", "--session", "8"]);
    assert_eq!(verdicts(), [401, 401, 200, 401], "without a source it is one of any");
    assert_eq!(gate.get_as("/", &token("one", "7")).verdict(), "401 token_revoked");
}

#[test]
fn a_replica_that_has_left_is_waited_for_by_nobody() {
    let redis = Redis::start();
    let (one, other) = (replica(&redis), replica(&redis));
    let order = json!({ "kind": "user", "value": "bob" }).to_string();
    let replicas = |gate: &Gate| {
        let answer = api(gate, TOKEN, "POST /api/v1/revocations?wait=all&timeout=30s", &order);
        (answer.status, json_of(&answer)["replicas"].clone())
    };
    assert_eq!(replicas(&one), (201, json!({ "live": 2, "enforcing": 2, "pending": 0 })));
    other.terminate();
    assert_eq!(other.exit_code(), Some(0));
    assert_eq!(replicas(&one), (201, json!({ "live": 1, "enforcing": 1, "pending": 0 })));
    assert_eq!(one.get_as("/", &token("bob")).verdict(), "401 token_revoked");
}
