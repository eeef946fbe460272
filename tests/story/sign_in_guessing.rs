//! Strangers guess at passwords, on every replica at once; whoever owns the account gets in all the same.

use super::support::backend::Backend;
use super::support::browser::{encoded, Browser, PERSON, SCRIPT};
use super::support::client::Response;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::operator::{api, TOKEN};
use super::support::people::{self, Fleet, LOCAL, ROUTES};
use super::support::redis::Redis;
use std::sync::{Arc, Barrier};
use std::thread;

/// One wrong password, with a form that was had before.
fn guess(browser: &mut Browser, csrf: &str, name: &str, headers: &str) -> Response {
    let form = encoded(&[("csrf", csrf), ("username", name), ("password", "a guess"), ("return_to", "/app/")]);
    let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}");
    browser.ask("POST", "/.auth/login", &headers, &form)
}

fn guesses(gate: &Gate, name: &str, times: usize) -> Vec<u16> {
    let mut browser = Browser::new(gate);
    let csrf = browser.csrf();
    (0..times).map(|_| guess(&mut browser, &csrf, name, PERSON).status).collect()
}

#[test]
fn the_tenth_failure_is_still_401_and_then_nothing_is_compared() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::new(&gate);
    let csrf = browser.csrf();
    for name in ["alice", "nobody"] {
        let statuses: Vec<u16> = (0..10).map(|_| guess(&mut browser, &csrf, name, PERSON).status).collect();
        assert_eq!(statuses, [401; 10], "{name}");
        let page = guess(&mut browser, &csrf, name, PERSON);
        assert_eq!(page.status, 429);
        assert!(page.text().contains("Please wait 1 minute"), "{}", page.text());
        let wait: u64 = page.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert_eq!(page.header("ratelimit"), Some(format!("\"sign_in\";r=0;t={wait}").as_str()));
        let told = guess(&mut browser, &csrf, name, SCRIPT);
        assert_eq!(told.verdict(), "429 too_many_failures");
        assert!(told.header("retry-after").is_some() && told.header("ratelimit-policy").is_some());
    }
    assert_eq!(browser.sign_in("alice").status, 429, "not with the right password either");
    assert!(browser.jar.is_empty());
    assert_eq!(browser.sign_in("bob").status, 303, "nobody else is blocked");
    let blocked = gate.journal.wait(|line| line["event"] == "sign_in_blocked" && line["sub"] == "alice");
    assert_eq!(blocked["client_ip"], "127.0.0.1");
    let typed = gate.journal.all().iter().filter(|line| line.contains("nobody")).count();
    assert_eq!(typed, 0, "what nobody is called is not written down");
    assert!(gate.metric("doorward_sign_in_failures_total{result=\"wrong\"}") > 19.5);
    assert!(gate.metric("doorward_sign_in_failures_total{result=\"blocked\"}") > 4.5);
}

#[test]
fn the_right_password_resets_the_count() {
    let gate = people::house(&Backend::echo(), "");
    for _ in 0..3 {
        assert_eq!(guesses(&gate, "alice", 9), [401; 9]);
        assert_eq!(Browser::new(&gate).sign_in("alice").status, 303);
    }
}

/// From the very address of the owner, for whom there is no other.
#[test]
fn whoever_has_signed_in_here_before_is_not_locked_out_by_strangers() {
    let gate = people::house(&Backend::echo(), "");
    let mut owner = Browser::signed_in(&gate, "alice");
    assert_eq!(owner.post("/.auth/logout").status, 204);
    assert_eq!(owner.jar.keys().collect::<Vec<_>>(), ["doorward-d"], "the device stays known");
    let marked = owner.cookie("doorward-d").unwrap().to_owned();
    assert_eq!(guesses(&gate, "alice", 11)[10], 429);
    let mut stranger = Browser::new(&gate);
    stranger.jar.insert("doorward-d".to_owned(), marked[..marked.len() - 2].to_owned() + "AA");
    assert_eq!(stranger.sign_in("alice").status, 429, "with a cookie they made up");
    let mut neighbour = Browser::signed_in(&gate, "bob");
    assert_eq!(neighbour.sign_in("alice").status, 429, "with one of their own account");
    assert_eq!(owner.sign_in("alice").status, 303);
    assert_ne!(owner.cookie("doorward-d"), Some(marked.as_str()), "another one every time");
    let csrf = owner.csrf();
    let slips: Vec<u16> = (0..11).map(|_| guess(&mut owner, &csrf, "alice", PERSON).status).collect();
    assert_eq!((slips[9], slips[10]), (401, 429), "a stolen device has no more guesses than others");
}

/// Whoever has had the old one may have signed in with it, on devices of their own.
#[test]
fn a_new_password_makes_every_device_unknown() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut owner = Browser::signed_in(&gate, "alice");
    assert_eq!(owner.post("/.auth/logout").status, 204);
    assert_eq!(guesses(&gate, "alice", 11)[10], 429);
    assert_eq!(owner.clone().sign_in("alice").status, 303);
    let other = people::user("bob", "user").replace("\"bob\"", "\"alice\"");
    std::fs::write(gate.directory().join("users.toml"), other).unwrap();
    assert!(gate.reload(&[LOCAL, &backend.upstream("app"), ROUTES].concat()));
    let csrf = owner.csrf();
    assert_eq!(guess(&mut owner, &csrf, "alice", PERSON).status, 429);
}

#[test]
fn the_mark_of_a_device_reaches_no_backend() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut owner = Browser::signed_in(&gate, "alice");
    owner.jar.insert("theirs".to_owned(), "1".to_owned());
    assert!(owner.cookie("doorward-d").is_some());
    assert_eq!(owner.get("/app/x").status, 200);
    assert_eq!(backend.last().header("cookie").as_deref(), Some("theirs=1"));
}

#[test]
fn of_a_thousand_guesses_at_once_on_three_replicas_ten_are_compared() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    // A thousand requests of one address at once are more than it may send us, whatever they ask: without this, some of
    // those below would be refused for that, and so would whoever signs in right behind them.
    let flood = "[[limit]]\nname = \"ip\"\nshadow = true\n\n";
    let fleet = Fleet::ready(3, &[LOCAL, &redis.table(), &backend.upstream("app"), ROUTES, flood]);
    let mut browser = Browser::new(&fleet.gates[0]);
    let csrf = browser.csrf();
    let start = Arc::new(Barrier::new(50));
    let threads: Vec<_> = (0..50)
        .map(|at| {
            let (start, csrf) = (Arc::clone(&start), csrf.clone());
            let browsers: Vec<_> =
                (0..20).map(|turn| Browser { at: fleet.turn(at + turn), ..browser.clone() }).collect();
            thread::spawn(move || {
                start.wait();
                let ask = |mut browser: Browser| guess(&mut browser, &csrf, "alice", PERSON).status;
                browsers.into_iter().map(ask).collect::<Vec<_>>()
            })
        })
        .collect();
    let statuses: Vec<u16> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    assert_eq!((count(401), count(429)), (10, 990), "{} others", 1_000 - count(401) - count(429));
    let told = |name: &str| fleet.gates.iter().map(|gate| gate.metric(name)).sum::<f64>();
    let blocked = told("doorward_sign_in_failures_total{result=\"blocked\"}");
    assert!((989.5..990.5).contains(&blocked), "{blocked} were refused for the failures before them");
    assert!(redis.keys("dw:b:*").len() == 2, "{:?}", redis.keys("dw:b:*"));
    for gate in &fleet.gates {
        assert_eq!(Browser::new(gate).sign_in("alice").status, 429);
        assert_eq!(Browser::new(gate).sign_in("bob").status, 303, "hammering at one account blocks nobody else");
    }
}

#[test]
fn without_its_store_a_replica_counts_by_itself() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    // Nobody told this gate whether it is alone, so what an address may ask for is a share.
    let flood = "[[limit]]\nname = \"ip\"\nshadow = true\n\n";
    let gate = people::house(&backend, &format!("{flood}{}", redis.table()));
    redis.kill();
    assert_eq!(guesses(&gate, "alice", 11), [[401; 10].as_slice(), &[429]].concat());
    eventually("it says so", || gate.metric("doorward_degraded{feature=\"brute_force\"}") > 0.5);
    redis.restart();
    eventually("it counts with the others", || {
        Browser::new(&gate).sign_in("bob").status == 303
            && gate.metric("doorward_degraded{feature=\"brute_force\"}") < 0.5
    });
}

#[test]
fn operators_see_who_is_blocked_and_let_them_in() {
    let backend = Backend::echo();
    let setup = people::setup().variable("DOORWARD_ADMIN_TOKEN", TOKEN);
    let gate = setup.start(&[LOCAL, &backend.upstream("app"), ROUTES].concat());
    assert_eq!(guesses(&gate, "alice", 11)[10], 429);
    let key = "/api/v1/limits?key=sign_in%3Dalice%7Cip%3D127.0.0.1";
    let told = api(&gate, TOKEN, &format!("GET {key}"), "").text();
    assert!(told.contains("\"failures\":10") && told.contains("\"limit\":\"sign_in\""), "{told}");
    let address = api(&gate, TOKEN, "GET /api/v1/limits?key=sign_in%3D%7Cip%3D127.0.0.1", "").text();
    assert!(address.contains("\"failures\":10,\"free\":90"), "{address}");
    let reset = api(&gate, TOKEN, &format!("DELETE {key}"), "");
    assert_eq!((reset.status, reset.text().trim()), (200, "{\"reset\":[\"sign_in\"]}"));
    assert_eq!(Browser::new(&gate).sign_in("alice").status, 303);
    for nonsense in ["sign_in%3Dalice", "sign_in%3Dalice%7Cip%3Dx", "sign_in%3Dalice%7Croute%3D/"] {
        assert_eq!(api(&gate, TOKEN, &format!("GET /api/v1/limits?key={nonsense}"), "").status, 400, "{nonsense}");
    }
    assert!(gate.metric("doorward_rate_limited_total{limit=\"sign_in\"}") > 0.5);
}

#[test]
fn a_reload_changes_what_is_forgiven() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let tables = [LOCAL, &backend.upstream("app"), ROUTES, "[brute_force]\nfree = 1\n"].concat();
    assert!(gate.reload(&tables));
    assert_eq!(guesses(&gate, "alice", 3), [401, 401, 429]);
}
