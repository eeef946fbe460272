//! API keys from end to end: made by operators, shown by programs, ended at once everywhere.

use super::support::backend::Backend;
use super::support::browser::{json as json_of, Browser};
use super::support::client::Response;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::operator::{api, command, insist, succeed, TOKEN};
use super::support::people::{self, LOCAL};
use super::support::redis::Redis;
use serde_json::{json, Value};
use std::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{client, Message};

const ROUTE: &str = "[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n\n";

fn start(backend: &Backend, tables: &str) -> Gate {
    let gate = people::setup().variable("SECRET", SECRET).variable("DOORWARD_ADMIN_TOKEN", TOKEN);
    let gate = gate.start(&[&backend.upstream("app"), tables].concat());
    eventually("it is ready", || gate.is_ready());
    gate
}

/// A key for the exporter, with this role.
fn made(gate: &Gate, role: &str) -> String {
    let words = ["apikey", "create", "--name", "nightly export", "--subject", "exporter", "--role", role];
    succeed(gate, &words).trim_end().to_owned()
}

fn ask(gate: &Gate, path: &str, key: &str) -> Response {
    gate.get(path, &format!("X-API-Key: {key}\r\n"))
}

fn listed(gate: &Gate) -> Vec<Value> {
    let answer = json_of(&api(gate, TOKEN, "GET /api/v1/api-keys", ""));
    answer["api_keys"].as_array().unwrap().clone()
}

fn id_of(key: &str) -> &str {
    &key[4..14]
}

#[test]
fn a_program_shows_its_key_and_the_backend_learns_who_it_is() {
    let backend = Backend::echo();
    let gate = start(&backend, ROUTE);
    let words = ["apikey", "create", "--name", "export", "--subject", "exporter", "--role", "a", "--role", "b"];
    let key = succeed(&gate, &[&words[..], &["--scope", "read:x", "--expires", "90d"]].concat());
    let key = key.strip_suffix('\n').unwrap();
    assert!(key.len() == 65 && key.starts_with("dwk_") && !key.contains('\n'), "the key, and nothing else");
    for line in [format!("X-API-Key: {key}"), format!("Authorization: Bearer {key}")] {
        assert_eq!(gate.get("/x", &format!("{line}\r\n")).status, 200, "{line}");
        let seen = backend.last();
        for (name, value) in [
            ("x-auth-subject", "exporter"),
            ("x-auth-name", "export"),
            ("x-auth-roles", "a,b"),
            ("x-auth-scopes", "read:x"),
            ("x-auth-method", "api_key"),
            ("x-auth-provider", "api_key"),
        ] {
            assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
        }
        assert!(!seen.text().contains("dwk_"), "a backend has no use for it:\n{}", seen.text());
    }
    let [one] = listed(&gate).try_into().unwrap();
    assert_eq!(
        (&one["id"], &one["subject"], &one["roles"]),
        (&json!(id_of(key)), &json!("exporter"), &json!(["a", "b"]))
    );
    assert_eq!(one["expires"].as_u64().unwrap() - one["created"].as_u64().unwrap(), 90 * 86_400);
    assert!(!one.to_string().contains(&key[15..]), "what it is nobody is told again");
    assert!(succeed(&gate, &["apikey", "list", "--subject", "exporter"]).contains(id_of(key)));
    gate.comes_to("doorward_auth_total{method=\"api_key\",result=\"accepted\"}", 2.0);
    let line = gate.journal.wait(|line| line["event"] == "api_key_created");
    assert_eq!((&line["target"], &line["outcome"]), (&json!(id_of(key)), &json!("done")));
    assert!(!line.to_string().contains(&key[15..]));
}

#[test]
fn a_key_counts_where_the_route_says_so_and_never_beside_another_credential() {
    let backend = Backend::echo();
    let routes = "[[route]]\npath = \"/people/**\"\naccess = \"authenticated\"\naccept = [\"session\", \"bearer\"]\n\n\
                  [[route]]\npath = \"/machines/**\"\nfrom = [\"api_key\"]\nroles = [\"reader\"]\n\n\
                  [[route]]\npath = \"/writers/**\"\nroles = [\"writer\"]\n\n\
                  [[route]]\npath = \"/open/**\"\naccess = \"optional\"\n\n\
                  [[route]]\npath = \"/public/**\"\naccess = \"public\"\n\n";
    let issuer = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"");
    let gate = start(&backend, &[LOCAL, &issuer, routes].concat());
    let key = made(&gate, "reader");
    let token = issuer::token(&issuer::claims("https://issuer.test", "alice"), HS256);
    let verdicts =
        ["/people/x", "/machines/x", "/writers/x", "/open/x", "/public/x"].map(|path| ask(&gate, path, &key).verdict());
    assert_eq!(verdicts, ["401 unauthenticated", "200", "403 forbidden", "200", "200"]);
    assert_eq!(gate.get_as("/machines/x", &token).verdict(), "403 forbidden", "a person is no machine");
    let wrong = format!("{}x", &key[..key.len() - 1]);
    assert_eq!(ask(&gate, "/open/x", &wrong).verdict(), "401 api_key_invalid", "it is never taken for nobody");
    let challenge = ask(&gate, "/machines/x", &wrong);
    assert_eq!(challenge.header("www-authenticate"), Some("Bearer realm=\"doorward\", error=\"invalid_token\""));
    assert_eq!(ask(&gate, "/public/x", &wrong).status, 200, "nobody looks at it");
    assert_eq!(backend.last().header("x-api-key"), None);
    assert_eq!(ask(&gate, "/open/x", "a key of the application").status, 200);
    assert_eq!(backend.last().header("x-api-key").as_deref(), Some("a key of the application"));
    let mut alice = Browser::signed_in(&gate, "alice");
    for (who, headers) in [
        ("a token", format!("X-API-Key: {key}\r\nAuthorization: Bearer {token}\r\n")),
        ("itself", format!("X-API-Key: {key}\r\nAuthorization: Bearer {key}\r\n")),
        ("another", format!("X-API-Key: {key}\r\nX-API-Key: {key}\r\n")),
    ] {
        assert_eq!(gate.get("/open/x", &headers).verdict(), "400 conflicting_credentials", "{who}");
    }
    assert_eq!(
        alice.ask("GET", "/open/x", &format!("X-API-Key: {key}\r\n"), "").verdict(),
        "400 conflicting_credentials"
    );
    assert_eq!(ask(&gate, "/.auth/me", &key).verdict(), "401 unauthenticated", "our own endpoints are for people");
}

#[test]
fn a_key_that_is_ended_is_ended_everywhere_and_what_goes_on_with_it_is_cut() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let tables = [&redis.table(), ROUTE].concat();
    let (one, other) = (start(&backend, &tables), start(&backend, &tables));
    let (key, kept) = (made(&one, "reader"), made(&other, "reader"));
    for gate in [&one, &other] {
        assert_eq!([&key, &kept].map(|key| ask(gate, "/x", key).status), [200, 200], "made anywhere, good at once");
    }
    let stream = TcpStream::connect(other.http).unwrap();
    stream.set_read_timeout(Some(super::support::PATIENCE)).unwrap();
    let mut request = "ws://localhost/socket".into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", key.parse().unwrap());
    let mut socket = client(request, stream).unwrap().0;
    let said = insist(&one, &["apikey", "revoke", id_of(&key)]);
    assert!(said.starts_with("in force at 2 of 2 replicas"), "{said}");
    assert_eq!(
        [&one, &other].map(|gate| ask(gate, "/x", &key).verdict()),
        ["401 api_key_invalid", "401 api_key_invalid"]
    );
    assert_eq!([&one, &other].map(|gate| ask(gate, "/x", &kept).status), [200, 200]);
    let closed = loop {
        if let Message::Close(closed) = socket.read().unwrap() {
            break closed.unwrap();
        }
    };
    assert_eq!((closed.code, closed.reason.as_str()), (CloseCode::Policy, "token_revoked"));
    assert_eq!(listed(&other).len(), 1);
    assert_eq!(one.journal.wait(|line| line["event"] == "api_key_revoked")["outcome"], "done");
    insist(&one, &["user", "block", "exporter", "--source", "api_key"]);
    assert_eq!(ask(&other, "/x", &kept).verdict(), "403 user_blocked");
    insist(&one, &["user", "unblock", "exporter"]);
    assert_eq!(ask(&other, "/x", &kept).status, 200, "a block ends no key");
    insist(&other, &["user", "revoke", "exporter"]);
    assert_eq!(ask(&one, "/x", &kept).verdict(), "401 api_key_invalid");
    assert!(listed(&one).is_empty(), "and what revokes a user ends their keys for good");
}

#[test]
fn without_the_store_known_keys_go_on_and_no_other_is_judged() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    let tables = [&redis.table(), ROUTE].concat();
    let (one, other) = (start(&backend, &tables), start(&backend, &tables));
    let (key, ended) = (made(&one, "reader"), made(&one, "reader"));
    assert_eq!([&one, &other].map(|gate| ask(gate, "/x", &ended).status), [200, 200]);
    redis.kill();
    assert_eq!([&one, &other].map(|gate| ask(gate, "/x", &key).status), [200, 200]);
    let unknown = "dwk_0000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_";
    let unknown = format!("{unknown}{}", checksum(unknown));
    assert_eq!(ask(&one, "/x", &unknown).verdict(), "503 store_unavailable");
    assert_eq!(ask(&one, "/x", "dwk_nonsense").verdict(), "401 api_key_invalid");
    let making = api(&one, TOKEN, "POST /api/v1/api-keys", "{\"name\":\"a\",\"subject\":\"b\"}");
    assert_eq!(making.verdict(), "503 store_unavailable");
    let ending = api(&one, TOKEN, &format!("DELETE /api/v1/api-keys/{}", id_of(&ended)), "");
    assert_eq!((ending.status, &json_of(&ending)["record_deleted"]), (202, &json!(null)));
    assert_eq!(ask(&one, "/x", &ended).verdict(), "401 api_key_invalid", "here at once");
    redis.restart();
    eventually("the other has heard of it", || ask(&other, "/x", &ended).status == 401);
    // the store came back empty: its keys are given back to it, and not the one that was ended
    let third = start(&backend, &tables);
    eventually("the store has the key again", || listed(&third).iter().any(|it| it["id"] == id_of(&key)));
    assert_eq!(ask(&third, "/x", &key).status, 200);
    assert_eq!(ask(&third, "/x", &ended).verdict(), "401 api_key_invalid");
    assert_eq!(ask(&third, "/x", &unknown).verdict(), "401 api_key_invalid");
}

/// CRC-32 as zlib writes it, in six digits of 0-9A-Za-z; of what stands before the last `_`.
fn checksum(text: &str) -> String {
    let said = text.trim_end_matches('_');
    let crc = said.bytes().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    });
    let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..6).rev().map(|place| char::from(digits[(!crc / 62_u32.pow(place) % 62) as usize])).collect()
}

#[test]
fn keys_are_counted_one_by_one_also_where_they_speak_for_one_subject() {
    let backend = Backend::echo();
    let limit = "[[limit]]\nname = \"per-key\"\nkey = [\"api_key\"]\nrate = \"1/min\"\nburst = 2\n\n";
    let gate = start(&backend, &format!("{limit}{ROUTE}limits = [\"per-key\"]\n\n"));
    let (one, other) = (made(&gate, "reader"), made(&gate, "reader"));
    let statuses = [&one, &one, &one, &other].map(|key| ask(&gate, "/x", key).status);
    assert_eq!(statuses, [200, 200, 429, 200]);
    let looked = json_of(&api(&gate, TOKEN, &format!("GET /api/v1/limits?key=api_key%3D{}", id_of(&one)), ""));
    assert_eq!((&looked["limits"][0]["limit"], &looked["limits"][0]["remaining"]), (&json!("per-key"), &json!(0)));
    assert_eq!(api(&gate, TOKEN, &format!("DELETE /api/v1/limits?key=api_key%3D{}", id_of(&one)), "").status, 200);
    eventually("its bucket is full again", || ask(&gate, "/x", &one).status == 200);
}

#[test]
fn whoever_tries_keys_is_not_listened_to_for_long_and_known_keys_are_none_the_worse() {
    let backend = Backend::echo();
    let limit = "[[limit]]\nname = \"api_key_invalid\"\nrate = \"1/min\"\nburst = 3\n\n";
    let gate = start(&backend, &format!("{limit}{ROUTE}"));
    let key = made(&gate, "reader");
    assert_eq!(ask(&gate, "/x", &key).status, 200);
    let verdicts: Vec<String> = (0..4).map(|_| ask(&gate, "/x", "dwk_guess").verdict()).collect();
    assert_eq!(verdicts[..3], ["401 api_key_invalid", "401 api_key_invalid", "401 api_key_invalid"]);
    assert_eq!(verdicts[3], "429 rate_limited");
    let over = ask(&gate, "/x", "dwk_another");
    assert_eq!((over.verdict().as_str(), over.header("retry-after").is_some()), ("429 rate_limited", true));
    assert!(over.header("ratelimit").is_some_and(|state| state.starts_with("\"api_key_invalid\";r=0")));
    let fresh = made(&gate, "reader");
    assert_eq!([&key, &fresh].map(|key| ask(&gate, "/x", key).status), [200, 200], "no neighbour locks out a good key");
    assert!(gate.metric("doorward_rate_limited_total{limit=\"api_key_invalid\"}") > 1.5);
    gate.comes_to("doorward_auth_total{method=\"api_key\",result=\"refused\"}", 3.0);
}

#[test]
fn what_makes_no_key_is_told() {
    let backend = Backend::echo();
    let gate = start(&backend, ROUTE);
    let making = |body: Value| api(&gate, TOKEN, "POST /api/v1/api-keys", &body.to_string());
    for odd in [
        json!({}),
        json!({ "name": "a" }),
        json!({ "name": "", "subject": "b" }),
        json!({ "name": "a\nb", "subject": "b" }),
        json!({ "name": "a", "subject": "" }),
        json!({ "name": "a", "subject": "b", "roles": [""] }),
        json!({ "name": "a", "subject": "b", "scopes": ["a b"] }),
        json!({ "name": "a", "subject": "b", "expires_in": 0 }),
        json!({ "name": "a", "subject": "b", "expires_in": 999_999_999 }),
        json!({ "name": "a", "subject": "b", "role": ["c"] }),
    ] {
        assert_eq!(making(odd.clone()).verdict(), "400 bad_request", "{odd}");
    }
    assert!(listed(&gate).is_empty());
    for id in ["not-an-id", "0000000000"] {
        let answer = api(&gate, TOKEN, &format!("DELETE /api/v1/api-keys/{id}"), "");
        assert_eq!(answer.verdict(), "404 no_route", "whoever mistypes a name must hear of it");
    }
    assert_eq!(
        command(&gate, &["apikey", "create", "--name", "a", "--subject", "b", "--expires", "soon"]).status.code(),
        Some(64)
    );
    let gone = making(json!({ "name": "a", "subject": "b", "expires_in": 1 }));
    let key = json_of(&gone)["key"].as_str().unwrap().to_owned();
    eventually("it expires", || ask(&gate, "/x", &key).verdict() == "401 api_key_invalid");
}
