//! Many at once, on several replicas: nobody gets more than they may, nobody loses what they have, and what counts once
//! is spent once. Those that take long are for `make faults`.

use super::support::backend::Backend;
use super::support::browser::{json, until, Browser};
use super::support::eventually;
use super::support::people::{self, Fleet, LOCAL, ROUTES};
use super::support::provider::Provider;
use super::support::redis::Redis;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

/// Lets all of them do it at one moment; what came of it, in order.
fn at_once<T: Send + 'static>(
    browsers: Vec<Browser>,
    act: impl Fn(usize, &mut Browser) -> T + Clone + Send + 'static,
) -> Vec<(T, Browser)> {
    let start = Arc::new(Barrier::new(browsers.len()));
    let begin = |(at, mut browser): (usize, Browser)| {
        let (start, act) = (Arc::clone(&start), act.clone());
        thread::spawn(move || {
            start.wait();
            let did = act(at, &mut browser);
            (did, browser)
        })
    };
    let running: Vec<_> = browsers.into_iter().enumerate().map(begin).collect();
    running.into_iter().map(|one| one.join().unwrap()).collect()
}

#[test]
fn of_sixty_four_sign_ins_at_once_exactly_as_many_are_left_as_may_be() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    // whoever comes 64 at once would pass for a guesser
    let patient = "[brute_force]\nfree = 64\n\n";
    let fleet = Fleet::ready(3, &[LOCAL, &redis.table(), &backend.upstream("app"), ROUTES, patient]);
    let browsers: Vec<_> = (0..64).map(|at| Browser { at: fleet.turn(at), ..Browser::new(&fleet.gates[0]) }).collect();
    let begun = Instant::now();
    let signed_in = at_once(browsers, |_, browser| browser.sign_in("alice").status);
    eprintln!("64 sign-ins of one user on 3 replicas took {:?}", begun.elapsed());
    let statuses: Vec<u16> = signed_in.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [303; 64]);
    assert_eq!(redis.keys("dw:s:*").len(), 5);
    let mut alive = 0;
    for (_, mut browser) in signed_in {
        // whoever was pushed out notices at the latest when they renew, on whichever replica
        browser.forget_access();
        alive += usize::from(browser.get("/app/x").status == 200);
    }
    assert_eq!(alive, 5);
    assert_eq!(redis.keys("dw:s:*").len(), 5, "and nothing came back");
}

/// Two hundred requests come at the moment of expiry, and the provider thinks for `delay`. The answers took…
fn stampede(ttl: u64, delay: Duration) -> Duration {
    let (redis, backend, provider) = (Redis::start(), Backend::echo(), Provider::start());
    let terms = format!("[tokens]\naccess_ttl = \"{ttl}s\"\n\n");
    let tables = [&provider.table("id"), &redis.table(), &backend.upstream("app"), ROUTES, terms.as_str()];
    let fleet = Fleet::ready(3, &tables);
    let mut browser = Browser::new(&fleet.gates[0]);
    assert_eq!(provider.sign_in(&mut browser, "alice").status, 303);
    let (session, read_at) = (browser.session(), json(&browser.get("/.auth/me"))["claims_at"].clone());
    provider.delays(delay);
    provider.claims(serde_json::json!({ "name": "Alice, renamed" }));
    until((browser.access()["iat"].as_u64().unwrap() + ttl) as f64);
    let tabs = (0..200).map(|at| Browser { at: fleet.turn(at), ..browser.clone() }).collect();
    let begun = Instant::now();
    let answers = at_once(tabs, |_, tab| tab.get("/app/x"));
    let took = begun.elapsed();
    for (answer, tab) in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.text().to_lowercase().contains("x-auth-subject: alice"));
        assert_eq!(tab.access()["sid"], session.as_str());
    }
    let (_, mut tab) = answers.into_iter().next_back().unwrap();
    eventually("the provider's answer is in the session", || json(&tab.get("/.auth/me"))["claims_at"] != read_at);
    let counts = provider.counts();
    assert_eq!((counts.refreshes, counts.refused), (1, 0), "a refresh token counts once");
    assert_eq!(json(&tab.get("/.auth/me"))["name"], "Alice, renamed");
    took
}

#[test]
fn two_hundred_requests_at_the_moment_of_expiry_ask_the_provider_once() {
    stampede(10, Duration::from_secs(1));
}

#[test]
#[ignore = "takes a quarter of a minute: make faults"]
fn two_hundred_requests_at_the_moment_of_expiry_bear_a_provider_that_takes_five_seconds() {
    let took = stampede(7, Duration::from_secs(5));
    eprintln!("200 requests on 3 replicas, while the provider took 5 s, were answered within {took:?}");
    assert!(took < Duration::from_secs(5), "nobody waits for the provider to the end");
}

/// A replica dies while sessions are renewed on it; their browsers go to another one. That, `rounds` times.
fn killings(rounds: usize) {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let terms = "[tokens]\nreuse_grace = \"50ms\"\n\n[session]\nmax_per_user = 100\n\n";
    let mut fleet = Fleet::ready(3, &[LOCAL, &redis.table(), &backend.upstream("app"), ROUTES, terms]);
    let mut browsers: Vec<_> = (0..12).map(|_| Browser::signed_in(&fleet.gates[0], "alice")).collect();
    let sessions: Vec<String> = browsers.iter_mut().map(Browser::session).collect();
    let mut unanswered = 0;
    for round in 0..rounds {
        // the grace is over, so that every renewal makes a new token
        thread::sleep(Duration::from_millis(60));
        let victim = fleet.turn(round);
        for browser in &mut browsers {
            browser.at = victim;
            browser.forget_access();
        }
        let others = [fleet.turn(round + 1), fleet.turn(round + 2)];
        let start = Arc::new(Barrier::new(browsers.len() + 1));
        let renewing: Vec<_> = browsers
            .into_iter()
            .enumerate()
            .map(|(at, mut browser)| {
                let start = Arc::clone(&start);
                thread::spawn(move || {
                    start.wait();
                    let lost = browser.attempt("/app/x").is_none();
                    browser.at = others[at % 2];
                    (browser.get("/app/x"), lost, browser)
                })
            })
            .collect();
        start.wait();
        // somewhere between their arrival and their answers
        thread::sleep(Duration::from_micros(fastrand::u64(0..150_000)));
        let at = round % fleet.gates.len();
        fleet.gates[at].kill();
        browsers = Vec::new();
        for one in renewing {
            let (answer, lost, browser) = one.join().unwrap();
            assert_eq!(answer.status, 200, "round {round}: {}", answer.text());
            unanswered += usize::from(lost);
            browsers.push(browser);
        }
        fleet.gates[at] = fleet.another();
        eventually("the new one is ready", || fleet.gates[at].is_ready());
    }
    eprintln!("{rounds} replicas killed amid {} renewals; {unanswered} of them lost their answer", rounds * 12);
    for (browser, session) in browsers.iter_mut().zip(&sessions) {
        browser.at = fleet.turn(0);
        browser.forget_access();
        assert_eq!(&browser.session(), session);
    }
    assert_eq!(redis.keys("dw:s:*").len(), sessions.len());
}

#[test]
fn a_replica_that_dies_amid_renewals_takes_no_session_with_it() {
    killings(3);
}

#[test]
#[ignore = "takes half a minute: make faults"]
fn a_hundred_replicas_that_die_amid_renewals_take_no_session_with_them() {
    killings(100);
}

#[test]
fn what_was_signed_out_does_not_come_back_however_it_is_renewed_meanwhile() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let terms = "[tokens]\nreuse_grace = \"50ms\"\n\n";
    let fleet = Fleet::ready(3, &[LOCAL, &redis.table(), &backend.upstream("app"), ROUTES, terms]);
    for _ in 0..5 {
        let mut browser = Browser::signed_in(&fleet.gates[0], "alice");
        let tabs = (0..12)
            .map(|at| {
                let mut tab = Browser { at: fleet.turn(at), ..browser.clone() };
                if at > 0 {
                    tab.forget_access();
                }
                tab
            })
            .collect();
        let after = at_once(tabs, |at, tab| match at {
            0 => tab.post("/.auth/logout").status,
            _ => tab.get("/app/x").status,
        });
        assert_eq!(after[0].0, 204);
        assert!(redis.keys("dw:s:*").is_empty(), "the session is gone");
        for (_, mut tab) in after {
            if tab.jar.remove("doorward").is_some() {
                assert_eq!(tab.get("/app/x").status, 401, "and nothing renews it");
            }
        }
        browser.forget_access();
        assert_eq!(browser.get("/app/x").status, 401);
    }
}

#[test]
fn replicas_know_each_others_keys_and_sessions() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let fleet = Fleet::ready(3, &[LOCAL, &redis.table(), &backend.upstream("app"), ROUTES]);
    let mut browser = Browser::signed_in(&fleet.gates[0], "alice");
    for turn in 0..6 {
        browser.at = fleet.turn(turn);
        assert_eq!(browser.get("/app/x").status, 200, "replica {turn}");
    }
    let mut late = fleet.another();
    eventually("it is ready", || late.is_ready());
    browser.at = late.http;
    assert_eq!(browser.get("/app/x").status, 200, "one that came later");
    browser.forget_access();
    assert_eq!(browser.get("/app/x").status, 200);
    late.kill();
    browser.at = fleet.turn(1);
    assert_eq!(browser.post("/.auth/logout?all=true").status, 204);
    assert!(redis.keys("dw:s:*").is_empty());
}

#[test]
fn a_sign_in_may_end_at_another_replica_than_it_began() {
    let (redis, backend, provider) = (Redis::start(), Backend::echo(), Provider::start());
    let tables = [&provider.table("id"), LOCAL, &redis.table(), &backend.upstream("app"), ROUTES];
    let fleet = Fleet::ready(2, &tables);
    let mut browser = Browser::new(&fleet.gates[0]);
    let asked = browser.visit("/.auth/login?provider=id").header("location").unwrap().to_owned();
    let back = provider.consent(&asked, "u-1");
    browser.at = fleet.turn(1);
    assert_eq!(browser.visit(back.strip_prefix("http://localhost").unwrap()).status, 303);
    assert_eq!(browser.who(), "u-1");
    let mut local = Browser::new(&fleet.gates[0]);
    let (csrf, password) = (local.csrf(), people::password("bob"));
    local.at = fleet.turn(1);
    let form = [("csrf", csrf.as_str()), ("username", "bob"), ("password", &password)];
    assert_eq!(local.submit("/.auth/login", &form).status, 303);
}
