//! Sessions are renewed unseen, on either store, and a copied renewal token ends what it was copied from.

use super::support::backend::{self, Backend};
use super::support::browser::{json, set_cookies, Browser, SCRIPT};
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::people;
use super::support::redis::Redis;
use std::time::Duration;

/// From its fifth second on a token is due: before, all that is asked of a young one is asked.
const TTL: Duration = Duration::from_secs(6);
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                         dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn tokens(grace: &str) -> String {
    format!("[tokens]\nreuse_grace = {grace:?}\n\n")
}

/// The same where access tokens live for [`TTL`].
fn brief_tokens(grace: &str) -> String {
    tokens(grace).replace("[tokens]", "[tokens]\naccess_ttl = \"6s\"")
}

/// The same story with the memory store and with Redis.
fn on_both(tables: &str, story: impl Fn(&Gate, &Backend) + Sync) {
    let redis = Redis::start();
    let told = |store: String| {
        let backend = Backend::answering(backend::text("Cache-Control: public, max-age=600\r\nAge: 1\r\n", "x"));
        story(&people::house(&backend, &(store + tables)), &backend);
    };
    std::thread::scope(|both| {
        both.spawn(|| told(redis.table()));
        told(String::new());
    });
}

fn names(answer: &Response) -> Vec<String> {
    let mut names: Vec<String> = set_cookies(answer).into_iter().map(|cookie| cookie.name).collect();
    names.sort();
    names
}

/// The owner renews as often, and a grace of one second is over each time.
fn renewed(browser: &mut Browser, times: usize) {
    for _ in 0..times {
        std::thread::sleep(Duration::from_millis(1100));
        browser.forget_access();
        assert_eq!(browser.get("/app/x").status, 200);
    }
}

#[test]
fn a_session_goes_on_without_anybody_noticing() {
    on_both(&brief_tokens("1s"), |gate, backend| {
        let mut browser = Browser::signed_in(gate, "alice");
        let first = browser.access();
        let before = browser.get("/app/x");
        assert_eq!((before.all("set-cookie").len(), before.header("cache-control")), (0, Some("public, max-age=600")));
        browser.until_due(TTL);
        let answer = browser.get("/app/x");
        assert_eq!((answer.status, names(&answer)), (200, vec!["doorward".to_owned(), "doorward-r1".to_owned()]));
        assert_eq!((answer.header("cache-control"), answer.header("age")), (Some("no-store"), None));
        let second = browser.access();
        assert!(second["iat"].as_u64() > first["iat"].as_u64());
        assert_eq!((&second["sid"], &second["sub"]), (&first["sid"], &first["sub"]));
        assert_ne!(second["jti"], first["jti"]);
        assert_eq!(backend.last().header("x-auth-session").as_deref(), first["sid"].as_str());
        let after = browser.get("/app/x");
        assert!(after.status == 200 && after.all("set-cookie").is_empty());
        browser.until_due(TTL);
        assert_eq!(names(&browser.get("/.auth/me")), ["doorward", "doorward-r0"], "our own endpoints renew as well");
    });
}

#[test]
fn a_browser_that_lost_its_access_token_goes_on() {
    on_both(&tokens("30s"), |gate, _| {
        let mut browser = Browser::signed_in(gate, "alice");
        browser.forget_access();
        let answer = browser.get("/app/x");
        assert_eq!((answer.status, names(&answer)), (200, vec!["doorward".to_owned()]), "the renewal token is young");
        browser.forget_access();
        browser.jar.insert("doorward".to_owned(), "torn".to_owned());
        assert_eq!(browser.get("/app/x").status, 200);
        assert_eq!(browser.who(), "alice");
    });
}

#[test]
fn twenty_tabs_that_come_at_once_get_one_renewal() {
    on_both(&brief_tokens("30s"), |gate, _| {
        let browser = Browser::signed_in(gate, "alice");
        browser.until_due(TTL);
        let tabs: Vec<_> = (0..20)
            .map(|_| {
                let mut tab = browser.clone();
                std::thread::spawn(move || (tab.get("/app/x").status, tab))
            })
            .collect();
        for tab in tabs {
            let (status, mut tab) = tab.join().unwrap();
            assert_eq!((status, tab.who().as_str()), (200, "alice"));
        }
        assert!(gate.metric("doorward_refresh_total{verdict=\"same\"}") < 20.0);
        assert!(gate.metric("doorward_refresh_total{verdict=\"reuse\"}") < 1.0);
    });
}

#[test]
fn a_thief_who_comes_late_ends_the_session_for_both() {
    on_both(&tokens("1s"), |gate, backend| {
        let mut owner = Browser::signed_in(gate, "alice");
        let mut thief = owner.clone();
        renewed(&mut owner, 2);
        backend.take();
        thief.forget_access();
        let sent_back = thief.get("/app/x?y");
        assert_eq!((sent_back.status, sent_back.header("location")), (307, Some("/app/x?y")));
        assert_eq!(names(&sent_back), ["doorward-b"]);
        assert_eq!(sent_back.header("cache-control"), Some("no-store"));
        assert_eq!(owner.get("/app/x").status, 200, "so far nothing has happened");
        backend.take();
        let caught = thief.get("/app/x?y");
        assert_eq!(caught.verdict(), "401 token_reused");
        assert!(thief.visit("/.auth/login").text().contains("somebody else used your session"), "and reads of it");
        thief.jar.remove("doorward-b");
        assert!(thief.has_forgotten(), "{:?}", thief.jar.keys());
        assert_eq!(owner.clone().get("/app/x").verdict(), "401 session_terminated", "with a token that lives");
        owner.forget_access();
        assert_eq!(owner.get("/app/x").status, 401);
        assert!(backend.seen().is_empty());
        let line = gate.journal.wait(|line| line["event"] == "refresh_reuse_detected");
        assert_eq!((line["kind"].as_str(), line["sub"].as_str()), (Some("audit"), Some("alice")), "{line}");
        assert_eq!(Browser::signed_in(gate, "alice").who(), "alice");
    });
}

#[test]
fn a_tab_that_was_overtaken_comes_back_with_what_the_browser_holds_by_then() {
    on_both(&tokens("1s"), |gate, _| {
        let mut browser = Browser::signed_in(gate, "alice");
        let mut overtaken = browser.clone();
        renewed(&mut browser, 2);
        overtaken.forget_access();
        let posted = overtaken.ask("POST", "/app/x", SCRIPT, "body");
        assert_eq!((posted.status, posted.header("location")), (307, Some("/app/x")));
        let marker = overtaken.cookie("doorward-b").unwrap().to_owned();
        browser.jar.insert("doorward-b".to_owned(), marker);
        assert_eq!(browser.ask("POST", "/app/x", SCRIPT, "body").status, 200);
        assert_eq!(browser.who(), "alice");
    });
}

#[test]
fn what_cannot_be_sent_again_is_asked_to_try_again() {
    let gate = people::house(&Backend::echo(), &tokens("1s"));
    let mut browser = Browser::signed_in(&gate, "alice");
    let mut stale = browser.clone();
    renewed(&mut browser, 2);
    stale.forget_access();
    let socket = stale.clone().ask("GET", "/app/x", &format!("{SCRIPT}{HANDSHAKE}"), "");
    assert_eq!((socket.status, socket.header("retry-after")), (409, Some("0")));
    let large = stale.clone().ask("POST", "/app/x", SCRIPT, &"x".repeat(1024 * 1024 + 1));
    assert_eq!((large.status, large.header("retry-after")), (409, Some("0")));
    assert_eq!(browser.who(), "alice", "being sent back ends nothing");
}

#[test]
fn a_marker_that_was_planted_only_makes_it_harder() {
    let gate = people::house(&Backend::echo(), &tokens("1s"));
    let mut owner = Browser::signed_in(&gate, "alice");
    let mut thief = owner.clone();
    renewed(&mut owner, 2);
    thief.forget_access();
    thief.jar.insert("doorward-b".to_owned(), "7".to_owned());
    assert_eq!(thief.get("/app/x").status, 307, "another generation's");
    owner.jar.insert("doorward-b".to_owned(), "2".to_owned());
    owner.forget_access();
    assert_eq!(owner.get("/app/x").status, 200, "whoever holds the current token never needs one");
}

#[test]
fn without_leniency_the_second_use_is_theft() {
    let gate = people::house(&Backend::echo(), &tokens("0s"));
    let mut owner = Browser::signed_in(&gate, "alice");
    let mut thief = owner.clone();
    owner.forget_access();
    thief.forget_access();
    assert_eq!(owner.get("/app/x").status, 200);
    assert_eq!(thief.get("/app/x").verdict(), "401 token_reused");
    assert_eq!(owner.who(), "401 session_terminated");
}

#[test]
fn one_renewal_token_for_a_whole_session_where_that_is_wanted() {
    let gate = people::house(&Backend::echo(), "[tokens]\nreuse_grace = \"1s\"\nrotation = \"never\"\n");
    let mut browser = Browser::signed_in(&gate, "alice");
    let renewal = browser.cookie("doorward-r0").unwrap().to_owned();
    renewed(&mut browser, 2);
    assert_eq!((browser.cookie("doorward-r0"), browser.cookie("doorward-r1")), (Some(renewal.as_str()), None));
}

#[test]
fn a_forged_renewal_token_is_none() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let good = browser.cookie("doorward-r0").unwrap().to_owned();
    let other = people::setup().variable("DOORWARD_SECRET", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=");
    let other = other.start(&[people::LOCAL, &Backend::echo().upstream("app"), people::ROUTES].concat());
    let foreign = Browser::signed_in(&other, "alice").cookie("doorward-r0").unwrap().to_owned();
    let ahead = good.replacen(".0.", ".1.", 1);
    assert_ne!(ahead, good);
    for forged in ["", "dwr1", "dwr1....", &good[..good.len() - 1], &ahead, &foreign, &"x".repeat(4_000)] {
        let mut thief = Browser::new(&gate);
        thief.jar.insert("doorward-r0".to_owned(), forged.to_owned());
        let answer = thief.get("/app/x");
        assert_eq!(answer.verdict(), "401 session_expired", "{forged}");
        let refused = thief.post("/.auth/refresh");
        assert_eq!(refused.status, 401, "{forged}");
    }
    browser.forget_access();
    assert_eq!(browser.get("/app/x").status, 200);
}

#[test]
fn a_session_that_nobody_uses_ends_and_one_in_use_goes_on() {
    let tables = "[tokens]\naccess_ttl = \"6s\"\n\n[session]\nidle_timeout = \"9s\"\n";
    on_both(tables, |gate, _| {
        let (mut idle, mut busy) = (Browser::signed_in(gate, "alice"), Browser::signed_in(gate, "alice"));
        for _ in 0..2 {
            busy.until_due(TTL);
            assert_eq!(busy.get("/app/x").status, 200);
        }
        idle.forget_access();
        let answer = idle.get("/app/x");
        assert_eq!(answer.verdict(), "401 session_expired");
        assert!(idle.has_forgotten());
        assert_eq!(json(&busy.get("/.auth/sessions"))["sessions"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn nothing_extends_a_session_beyond_its_end() {
    let tables = "[tokens]\naccess_ttl = \"6s\"\n\n[session]\nidle_timeout = \"9s\"\nabsolute_timeout = \"9s\"\n";
    on_both(tables, |gate, _| {
        let mut browser = Browser::signed_in(gate, "alice");
        let began = browser.access()["iat"].as_u64().unwrap();
        browser.until_due(TTL);
        assert_eq!(browser.get("/app/x").status, 200);
        assert!(browser.access()["exp"].as_u64().unwrap() <= began + 10, "no token outlives it");
        super::support::browser::until(began as f64 + 10.0);
        browser.forget_access();
        assert_eq!(browser.get("/app/x").verdict(), "401 session_expired");
    });
}

#[test]
fn sessions_outlive_a_new_configuration() {
    let backend = Backend::echo();
    let tables = [people::LOCAL, &backend.upstream("app"), people::ROUTES].concat();
    let gate = people::setup().start(&tables);
    let mut browser = Browser::signed_in(&gate, "alice");
    assert!(gate.reload(&(tables + "[pages]\ntitle = \"Another\"\n")));
    assert_eq!(browser.get("/app/x").status, 200);
    browser.forget_access();
    assert_eq!(browser.get("/app/x").status, 200);
}

#[test]
fn nothing_secret_is_written_down() {
    let gate = people::house(&Backend::echo(), &tokens("0s"));
    let mut browser = Browser::signed_in(&gate, "alice");
    let mut held: Vec<String> = browser.jar.values().cloned().collect();
    renewed(&mut browser, 1);
    held.extend(browser.jar.values().cloned());
    browser.sign_in_with("alice", "a mistyped password", "/");
    assert_eq!(browser.post("/.auth/logout").status, 204);
    gate.terminate();
    assert!(gate.journal.wait_end() && gate.messages.wait_end());
    let written = [gate.journal.all(), gate.messages.all()].concat().join("\n");
    assert!(written.contains("\"sign_in\"") && written.contains("alice"), "there is something to look through");
    for secret in held.iter().filter(|value| value.len() > 8) {
        assert!(!written.contains(secret.as_str()), "{secret}");
    }
    assert!(!written.contains("mistyped") && !written.contains(&people::password("alice")));
}
