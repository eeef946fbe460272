//! The store is asked for little, and when it is away "cannot tell" is not "no".

use super::support::backend::Backend;
use super::support::browser::{json, Browser};
use super::support::eventually;
use super::support::operator::{api, insist, succeed, TOKEN};
use super::support::people::{self, LOCAL, ROUTES};
use super::support::provider::Provider;
use super::support::redis::{free_port, Redis};
use super::support::tls::{Authority, Pair};
use serde_json::Value;
use std::time::Instant;

#[test]
fn a_live_token_needs_no_store_and_a_dead_one_waits_for_it() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    let gate = people::house(&backend, &redis.table());
    let mut browser = Browser::signed_in(&gate, "alice");
    let session = browser.session();
    redis.kill();
    for _ in 0..20 {
        assert_eq!(browser.get("/app/x").status, 200);
    }
    let mut dead = browser.clone();
    dead.forget_access();
    let before = dead.jar.clone();
    let answer = dead.get("/app/x");
    assert_eq!((answer.verdict().as_str(), answer.all("set-cookie").len()), ("503 store_unavailable", 0));
    assert!(answer.header("retry-after").is_some());
    let page = dead.visit("/app/x");
    assert_eq!((page.status, page.header("location")), (503, None), "to sign in again would not help");
    assert_eq!(dead.post("/.auth/refresh").verdict(), "503 store_unavailable");
    assert_eq!(dead.get("/open/x").verdict(), "503 store_unavailable", "nor are they anonymous");
    assert_eq!(dead.jar, before, "nothing was cleared");
    assert_eq!(browser.get("/.auth/me").verdict(), "503 store_unavailable");
    assert_eq!(browser.get("/public/x").status, 200);

    redis.restart();
    eventually("it goes on", || dead.get("/app/x").status == 200);
    assert_eq!(dead.session(), session);
    assert_eq!(browser.who(), "alice");
}

#[test]
fn a_token_that_is_due_serves_on_while_the_store_is_away() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    let gate = people::house(&backend, &(redis.table() + "[tokens]\naccess_ttl = \"5s\"\nreuse_grace = \"1s\"\n"));
    let mut browser = Browser::signed_in(&gate, "alice");
    let token = browser.cookie("doorward").unwrap().to_owned();
    redis.kill();
    browser.until_due(std::time::Duration::from_secs(5));
    let answer = browser.get("/app/x");
    assert_eq!((answer.status, answer.all("set-cookie").len()), (200, 0));
    assert_eq!(browser.cookie("doorward"), Some(token.as_str()));
    redis.restart();
    eventually("it is renewed", || browser.get("/app/x").status == 200 && browser.cookie("doorward") != Some(&token));
}

#[test]
fn signing_in_with_a_handle_waits_for_the_store() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    let gate = people::house(&backend, &(redis.table() + "[session]\nmode = \"opaque\"\n"));
    redis.kill();
    let mut browser = Browser::new(&gate);
    let answer = browser.sign_in("alice");
    assert_eq!(answer.status, 503);
    assert!(browser.cookie("doorward").is_none());
    redis.restart();
    eventually("the store is back", || gate.has_store());
    eventually("they get in", || browser.sign_in("alice").status == 303 && browser.who() == "alice");
}

#[test]
fn a_gate_starts_without_its_store_and_takes_it_up_when_it_comes() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    redis.kill();
    let gate = people::house(&backend, &redis.table());
    assert_eq!(Browser::new(&gate).get("/public/x").status, 200);
    redis.restart();
    eventually("the store is there", || gate.has_store());
    let mut browser = Browser::new(&gate);
    eventually("somebody gets in", || browser.sign_in("alice").status == 303);
    assert_eq!(browser.who(), "alice");
}

#[test]
fn a_store_that_lost_its_data_sends_people_to_sign_in_again() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let gate = people::house(&backend, &redis.table());
    let mut browser = Browser::signed_in(&gate, "alice");
    assert!(redis.cli(&["flushall"]).contains("OK"));
    assert_eq!(browser.get("/app/x").status, 200, "who is known is served");
    browser.forget_access();
    let answer = browser.get("/app/x");
    assert_eq!(answer.verdict(), "401 session_expired");
    assert!(browser.has_forgotten() && redis.keys("dw:s:*").is_empty(), "a session is never made from a token");
    eventually("they sign in", || browser.sign_in("alice").status == 303);
}

#[test]
fn a_store_behind_tls_is_held_to_the_authority_of_the_file() {
    let (authority, backend) = (Authority::new(), Backend::echo());
    let folder = tempfile::tempdir().unwrap();
    let Pair { cert, key } = authority.issue("localhost");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (cert, key) = (file("cert.pem", &cert), file("key.pem", &key));
    let port = free_port().to_string();
    let files = ["--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-auth-clients", "no"];
    let _redis = Redis::start_with(&[&["--tls-port", &port], &files[..]].concat());
    let house = |ca: &str| {
        let store = format!("[store]\nurl = \"rediss://localhost:{port}\"\ntimeout = \"30s\"\nca = {ca:?}\n\n");
        people::house(&backend, &store)
    };
    let known = house(&file("ca.pem", &authority.pem()));
    assert_eq!(Browser::signed_in(&known, "alice").who(), "alice");
    let other = house(&file("other.pem", &Authority::new().pem()));
    other.messages.wait(|line| line["message"].to_string().contains("its certificate is not for this host"));
    assert_eq!(other.metric("doorward_store_up"), 0.0);
}

#[test]
fn what_lies_in_the_store_is_sealed() {
    let (redis, backend, provider) = (Redis::start(), Backend::echo(), Provider::start());
    let (name, secret) = Provider::secret();
    let tables = [&provider.table("id"), LOCAL, &redis.table(), &backend.upstream("app"), ROUTES].concat();
    let gate = people::setup().variable(name, secret).start(&tables);
    let mut browser = Browser::new(&gate);
    assert_eq!(provider.sign_in(&mut browser, "somebody-in-particular").status, 303);
    let everything: String = redis
        .keys("*")
        .iter()
        .map(|key| redis.cli(&["dump", key]) + key)
        .chain(redis.keys("dw:s:*").iter().map(|key| redis.cli(&["hgetall", key])))
        .collect();
    assert!(everything.len() > 500, "there is something to look through");
    for secret in ["somebody-in-particular", "refresh-", "@id.test", "PRIVATE"] {
        assert!(!everything.contains(secret), "{secret}");
    }
    for value in browser.jar.values().filter(|value| value.len() > 8) {
        assert!(!everything.contains(value.as_str()));
    }
}

#[test]
fn known_callers_cost_the_store_nothing_and_a_renewal_a_handful_of_scripts() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let gate = people::house(&backend, &redis.table());
    let mut browser = Browser::signed_in(&gate, "alice");
    assert_eq!(browser.get("/app/x").status, 200);
    let scripts = |redis: &Redis| {
        // one that the server did not know yet was sent twice
        let counts = redis.counts();
        counts.get("evalsha").copied().unwrap_or_default()
    };
    let all = |redis: &Redis| redis.counts().values().sum::<u64>();

    redis.forget_counts();
    let begun = Instant::now();
    for _ in 0..300 {
        assert_eq!(browser.get("/app/x").status, 200);
    }
    // keys and activity are looked after once a second, whoever comes: ten commands, and those of the second under way
    let upkeep = |begun: Instant| 10 * begun.elapsed().as_secs();
    let counted = all(&redis);
    assert!(counted <= upkeep(begun) + 20, "300 requests: {:?}", redis.counts());

    let mut renewed = |what: &str, most: u64| {
        redis.forget_counts();
        let begun = Instant::now();
        browser.forget_access();
        assert_eq!(browser.get("/app/x").status, 200);
        let counted = scripts(&redis);
        eprintln!("{what}: {counted} scripts");
        // two may be upkeep
        assert!((1..=most + 2 + upkeep(begun)).contains(&counted), "{what}: {:?}", redis.counts());
    };
    // one of them for the limit of renewals
    renewed("a renewal", 4);
    renewed("another", 4);
    redis.forget_counts();
    let begun = Instant::now();
    let mut second = Browser::signed_in(&gate, "alice");
    let counted = scripts(&redis);
    eprintln!("a sign-in: {counted} scripts");
    // two counters of failures are charged, and one is given its charge back; the form and its answer count their address
    assert!((1..=3 + 3 + 2 + upkeep(begun)).contains(&counted), "{:?}", redis.counts());
    assert_eq!(json(&second.get("/.auth/sessions"))["sessions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_replica_with_another_secret_says_so_and_hides_no_session() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let tables = [LOCAL, &redis.table(), &backend.upstream("app"), ROUTES].concat();
    let gate = |secret: &str| {
        let setup = people::setup().variable("DOORWARD_ADMIN_TOKEN", TOKEN).variable("DOORWARD_SECRET", secret);
        let gate = setup.start(&tables);
        eventually("it is ready", || gate.is_ready());
        gate
    };
    let (one, other) = (gate("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="), gate(&"QUJD".repeat(11)));
    let session = Browser::signed_in(&one, "alice").session();
    let listed = |gate| json(&api(gate, TOKEN, "GET /api/v1/sessions?user=alice", ""))["sessions"][0].clone();
    let (opened, sealed) = (listed(&one), listed(&other));
    assert!(opened["device"].is_string());
    for known in ["id", "source", "sub", "created", "last_seen", "expires"] {
        assert_eq!(sealed[known], opened[known], "{known}");
    }
    assert_eq!(
        (sealed["id"].as_str(), &sealed["device"], &sealed["roles"]),
        (Some(&*session), &Value::Null, &Value::Null)
    );
    assert!(succeed(&other, &["session", "list", "--user", "alice"]).contains("cannot be opened"));

    insist(&one, &["user", "block", "bob"]);
    let told = other.messages.wait(|line| line["message"].as_str().unwrap_or_default().contains("cannot be read here"));
    assert_eq!((&told["level"], &told["entries"]), (&"ERROR".into(), &1.into()));
    eventually("it is counted", || other.metric("doorward_revocations_ignored_total") >= 1.0);
    assert_eq!(one.metric("doorward_revocations_ignored_total"), 0.0);
}

#[test]
fn why_the_log_of_revocations_cannot_be_followed_is_said() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    assert!(redis.cli(&["acl", "setuser", "default", "resetchannels"]).contains("OK"));
    let gate = people::house(&backend, &redis.table());
    let said = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
    let why = said(&gate.messages.wait(|line| said(line).contains("cannot be followed")));
    assert!(why.contains("access list"), "{why}");
    assert!(!gate.is_ready());
    assert!(redis.cli(&["acl", "setuser", "default", "allchannels"]).contains("OK"));
    gate.messages.wait(|line| said(line).contains("is followed again"));
    eventually("it is ready", || gate.is_ready());
}
