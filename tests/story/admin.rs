//! Operators at work: what they revoke, block and rotate counts for whoever is under way.

use super::support::backend::Backend;
use super::support::browser::{json as json_of, Browser};
use super::support::client;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::operator::{api, command, succeed, TOKEN};
use super::support::people::{self, LOCAL};
use serde_json::{json, Value};
use std::process::Command;

const READER: &str = "a-readers-token-of-32-letters-too";
const ISSUER: &str = "https://issuer.test";
const ROUTE: &str = "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n";
const TABLES: &str = "[[admin.tokens]]\nname = \"ron\"\nrole = \"reader\"\nsecret = \"env:READER\"\n\n";

fn house() -> Gate {
    people::setup()
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .variable("READER", READER)
        .start(&[TABLES, LOCAL, &Backend::echo().upstream("app"), ROUTE].concat())
}

fn alice(gate: &Gate) -> Browser {
    Browser::signed_in(gate, "alice")
}

fn sessions(gate: &Gate) -> Vec<Value> {
    let listed = json_of(&api(gate, READER, "GET /api/v1/sessions?user=alice", ""));
    listed["sessions"].as_array().unwrap().clone()
}

#[test]
fn a_blocked_user_is_shut_out_at_once_and_goes_on_when_unblocked() {
    let gate = house();
    let mut alice = alice(&gate);
    assert_eq!(alice.get("/app").status, 200);
    let blocked = api(&gate, TOKEN, "POST /api/v1/users/alice/block", "");
    assert_eq!(blocked.status, 200, "{}", blocked.text());
    assert_eq!(json_of(&blocked)["replicas"], json!({ "live": 1, "enforcing": 1, "pending": 0 }));
    for _ in 0..3 {
        assert_eq!(alice.get("/app").verdict(), "403 user_blocked");
    }
    let access = alice.jar.remove("doorward").unwrap();
    assert_eq!(alice.get("/app").verdict(), "403 user_blocked", "renewing helps nobody");
    alice.jar.insert("doorward".to_owned(), access);
    assert_eq!(api(&gate, TOKEN, "POST /api/v1/users/alice/unblock?source=local", "").status, 200);
    assert_eq!(alice.get("/app").status, 200, "the same session goes on");
    let line = gate.journal.wait(|line| line["event"] == "user_unblocked");
    assert_eq!(
        (&line["operator"], &line["target"], &line["source"], &line["outcome"]),
        (&json!("operator"), &json!("alice"), &json!("local"), &json!("done"))
    );
}

#[test]
fn a_session_that_is_revoked_by_its_name_ends_at_once_and_is_not_renewed() {
    let gate = house();
    let (mut here, mut there) = (alice(&gate), alice(&gate));
    let listed = sessions(&gate);
    assert_eq!(listed.len(), 2);
    let id = listed[0]["id"].as_str().unwrap();
    assert!(succeed(&gate, &["revoke", "--session", id]).starts_with("in force at 1 of 1 replicas"));
    for _ in 0..2 {
        assert_eq!(here.get("/app").verdict().split(' ').next(), Some("401"));
    }
    assert_eq!(there.get("/app").status, 200);
    let other = listed[1]["id"].as_str().unwrap();
    let ended = command(&gate, &["session", "revoke", other, "--user", "alice", "--json"]);
    let receipt: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!((ended.status.code(), &receipt["record_deleted"]), (Some(0), &json!(true)));
    assert_eq!(there.get("/app").verdict().split(' ').next(), Some("401"));
}

#[test]
fn everything_of_a_user_ends_and_they_may_sign_in_again() {
    let gate = house();
    let (mut here, mut there) = (alice(&gate), alice(&gate));
    let body = json!({ "kind": "user", "value": "alice", "source": "local", "reason": "left her laptop" }).to_string();
    let answer = api(&gate, TOKEN, "POST /api/v1/revocations?wait=all&timeout=30s", &body);
    assert_eq!((answer.status, &json_of(&answer)["sessions_ended"]), (201, &json!(2)));
    for browser in [&mut here, &mut there] {
        assert_eq!(browser.get("/app").verdict().split(' ').next(), Some("401"));
    }
    assert_eq!(sessions(&gate).len(), 0);
    assert_eq!(alice(&gate).get("/app").status, 200);
    let line = gate.journal.wait(|line| line["event"] == "user_revoked");
    assert_eq!(line["detail"], "left her laptop");
}

#[test]
fn an_emergency_kills_every_token_and_people_do_not_notice() {
    let gate = house();
    let mut alice = alice(&gate);
    let mut thief = alice.clone();
    thief.jar.retain(|name, _| name == "doorward");
    assert_eq!(thief.get("/app").status, 200);
    let before = thief.jar.clone();
    let keys = succeed(&gate, &["keys", "rotate", "--emergency"]);
    assert!(keys.contains("revoked") && keys.contains("active"), "{keys}");
    assert_eq!(thief.get("/app").verdict().split(' ').next(), Some("401"));
    assert_eq!(alice.get("/app").status, 200);
    assert_ne!(alice.jar["doorward"], before["doorward"]);
    let kid = json_of(&api(&gate, READER, "GET /api/v1/keys", ""))["keys"]
        .as_array()
        .and_then(|keys| keys.iter().find(|key| key["state"] == "active"))
        .map(|key| key["kid"].as_str().unwrap().to_owned());
    assert!(succeed(&gate, &["keys", "retire", &kid.unwrap()]).contains("retiring"));
    assert_eq!(api(&gate, TOKEN, "POST /api/v1/keys/nobody/retire", "").verdict(), "404 no_route");
    assert_eq!(alice.get("/app").status, 200, "a key that retires serves on");
}

#[test]
fn nobody_comes_in_without_a_token_and_a_reader_changes_nothing() {
    let gate = house();
    let mut alice = alice(&gate);
    let wrong = api(&gate, &TOKEN.replace('a', "b"), "POST /api/v1/users/alice/block", "");
    assert_eq!(wrong.verdict(), "401 unauthenticated");
    assert!(wrong.header("www-authenticate").unwrap().starts_with("Bearer"));
    assert_eq!(api(&gate, READER, "POST /api/v1/users/alice/block", "").verdict(), "403 forbidden");
    let evil = format!("GET /api/v1/keys HTTP/1.1\r\nHost: evil.test\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    assert_eq!(client::raw(gate.admin, evil).verdict(), "403 forbidden");
    assert_eq!(alice.get("/app").status, 200);
    let line = gate.journal.wait(|line| line["event"] == "admin_refused" && line["operator"] == "ron");
    assert_eq!(line["outcome"], "forbidden");
}

#[test]
fn what_is_not_understood_is_not_done() {
    let gate = house();
    let mut alice = alice(&gate);
    for (request, body) in [
        ("POST /api/v1/revocations", r#"{"kind":"user","value":"alice","sourc":"local"}"#),
        ("POST /api/v1/revocations", r#"{"kind":"user","kind":"user","value":"alice"}"#),
        ("POST /api/v1/revocations", r#"{"kind":"everybody","value":"alice"}"#),
        ("POST /api/v1/revocations", r#"{"kind":"user","value":"alice","source":"lokal"}"#),
        ("POST /api/v1/revocations", r#"{"kind":"user","value":""}"#),
        ("POST /api/v1/revocations", r#"{"kind":"issued_before","value":"2999-01-01T00:00:00Z"}"#),
        ("POST /api/v1/revocations", r#"{"kind":"issued_before","value":"yesterday"}"#),
        ("POST /api/v1/revocations?wait=some", r#"{"kind":"user","value":"alice"}"#),
        ("POST /api/v1/revocations?timeout=1h", r#"{"kind":"user","value":"alice"}"#),
        ("POST /api/v1/revocations", ""),
        ("POST /api/v1/users/alice/block?sorce=local", ""),
        ("POST /api/v1/users/alice/block?source=local&source=local", ""),
        ("POST /api/v1/users/alice/block", r#"{"source":"local"}"#),
        ("POST /api/v1/keys/rotate", r#"{"mode":"soon"}"#),
        ("GET /api/v1/sessions", ""),
    ] {
        let answer = api(&gate, TOKEN, request, body);
        assert_eq!(answer.verdict(), "400 bad_request", "{request} {body}");
        assert!(!json_of(&answer)["detail"].as_str().unwrap().is_empty());
    }
    let large = api(&gate, TOKEN, "POST /api/v1/revocations", &" ".repeat(70 * 1024));
    assert_eq!(large.verdict(), "413 body_too_large");
    assert_eq!(alice.get("/app").status, 200);
}

#[test]
fn tokens_of_others_are_revoked_where_nobody_signs_in() {
    let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
    let gate = Gate::setup()
        .variable("SECRET", SECRET)
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .start(&[&Backend::echo().upstream("app"), ROUTE, &issuer].concat());
    let token =
        |sub: &str, jti: &str| issuer::token(&issuer::with(&issuer::claims(ISSUER, sub), json!({ "jti": jti })), HS256);
    let (one, other, carol) = (token("bob", "t1"), token("bob", "t2"), token("carol", "t3"));
    let verdicts = || [&one, &other, &carol].map(|token| gate.get_as("/", token).verdict());
    assert_eq!(verdicts(), ["200", "200", "200"]);
    succeed(&gate, &["revoke", "--jti", "t1", "--wait", "none"]);
    assert_eq!(verdicts(), ["401 token_revoked", "200", "200"]);
    succeed(&gate, &["user", "revoke", "bob", "--source", "main"]);
    assert_eq!(verdicts(), ["401 token_revoked", "401 token_revoked", "200"]);
    succeed(&gate, &["user", "block", "carol"]);
    assert_eq!(verdicts()[2], "403 user_blocked");
    succeed(&gate, &["user", "unblock", "carol"]);
    succeed(&gate, &["revoke", "--issued-before", "2001-01-01T00:00:00Z"]);
    assert_eq!(verdicts()[2], "200");
    assert_eq!(
        gate.get("/", "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\n").status,
        401,
        "there is no sign-in page"
    );
}

#[test]
fn an_operator_has_the_file_read_anew() {
    let gate = house();
    assert_eq!(succeed(&gate, &["reload"]).trim(), "reloaded: configuration 2");
    std::fs::write(gate.directory().join("doorward.toml"), "[server]\nlisen = 1\n").unwrap();
    let refused = api(&gate, TOKEN, "POST /api/v1/reload", "");
    assert_eq!(refused.verdict(), "400 bad_request");
    assert!(json_of(&refused)["detail"].as_str().unwrap().contains("server.lisen (line 2)"), "{}", refused.text());
}

#[test]
fn a_command_says_by_its_exit_code_what_became_of_it() {
    let gate = house();
    let code = |arguments: &[&str]| command(&gate, arguments).status.code();
    assert_eq!(code(&["keys", "list"]), Some(0));
    assert_eq!(code(&["keys", "retire", "nobody"]), Some(1));
    assert_eq!(code(&["session", "list", "--user", "nobody"]), Some(0));
    assert_eq!(code(&["revoke"]), Some(64));
    assert_eq!(code(&["revoke", "--jti", "a", "--user", "b"]), Some(64));
    let run = |token: Option<&str>, admin: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(["keys", "list", "--admin", admin]).env_remove("DOORWARD_ADMIN_TOKEN");
        command.envs(token.map(|token| ("DOORWARD_ADMIN_TOKEN", token))).output().unwrap().status.code()
    };
    let here = format!("http://{}", gate.admin);
    assert_eq!(run(Some(TOKEN), &here), Some(0));
    assert_eq!(run(Some(READER), &here), Some(0));
    assert_eq!(run(Some("another"), &here), Some(1));
    assert_eq!(run(None, &here), Some(64));
    assert_eq!(run(Some(TOKEN), "http://192.0.2.1:9901"), Some(64), "never in the clear over a network");
}
