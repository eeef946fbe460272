//! Limits from end to end: who is counted, what they are told, and what it costs the store.

use super::support::backend::{After, Backend};
use super::support::browser::Browser;
use super::support::client::{self, attempt, Client, Response};
use super::support::eventually;
use super::support::gate::Gate;
use super::support::h2;
use super::support::issuer::{self, HS256, SECRET};
use super::support::operator::{api, TOKEN};
use super::support::people;
use super::support::played::{Played, Scene};
use super::support::redis::Redis;
use serde_json::{json, Value};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const ISSUER: &str = "https://issuer.test";

fn token(name: &str) -> String {
    issuer::token(&issuer::claims(ISSUER, name), HS256)
}

fn tables(upstream: &str, limits: &str, route: &str) -> String {
    let issuer = issuer::table("id", ISSUER, "secret = \"env:SECRET\"");
    let route = format!("[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n{route}\n\n");
    [&issuer, upstream, limits, &route].concat()
}

fn gate(backend: &Backend, limits: &str, route: &str) -> Gate {
    gate_to(&backend.upstream("app"), limits, route)
}

fn gate_to(upstream: &str, limits: &str, route: &str) -> Gate {
    Gate::setup()
        .variable("SECRET", SECRET)
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .start(&tables(upstream, limits, route))
}

const SLOW: &str = "[[limit]]\nname = \"per-user\"\nrate = \"1/min\"\nburst = 2\n\n";

#[test]
fn whoever_is_over_a_limit_is_told_when_to_come_again() {
    let backend = Backend::echo();
    let gate = gate(&backend, SLOW, "limits = [\"per-user\"]");
    let alice = token("alice");
    let first = gate.get_as("/a", &alice);
    assert_eq!((first.status, first.header("ratelimit")), (200, Some("\"per-user\";r=1;t=60")));
    assert_eq!(first.header("ratelimit-policy"), Some("\"per-user\";q=3;w=60"));
    assert_eq!(gate.get_as("/a", &alice).status, 200);
    let over = gate.get_as("/a", &alice);
    assert_eq!(over.verdict(), "429 rate_limited");
    assert_eq!(over.header("content-type"), Some("application/problem+json"));
    let wait: u64 = over.header("retry-after").unwrap().parse().unwrap();
    assert!((30..=60).contains(&wait), "{wait}");
    assert_eq!(over.header("ratelimit").unwrap(), format!("\"per-user\";r=0;t={wait}"));
    assert_eq!(gate.get_as("/a", &token("bob")).status, 200, "others are not counted with them");
    let page = gate.get("/a", &format!("Authorization: Bearer {alice}\r\nSec-Fetch-Mode: navigate\r\n"));
    assert_eq!((page.status, page.header("content-type")), (429, Some("text/html; charset=utf-8")));
    assert!(page.header("retry-after").is_some());
    assert_eq!(backend.seen().len(), 3, "what is over never reaches the backend");
    assert!(gate.metric("doorward_rate_limited_total{limit=\"per-user\"}") > 1.5);
    let audit = gate.audit(over_id(&over).as_str());
    assert_eq!(audit["reason"], "rate_limited", "{audit}");
}

fn over_id(over: &Response) -> String {
    let problem: Value = serde_json::from_slice(&over.body).unwrap();
    problem["request_id"].as_str().unwrap().to_owned()
}

#[test]
fn http2_is_counted_with_http1() {
    let backend = Backend::echo();
    let gate = gate(&backend, SLOW, "limits = [\"per-user\"]");
    let alice = token("alice");
    let bearer = format!("Bearer {alice}");
    let ask = || {
        let request = http::Request::get("http://app.test/a").header("authorization", &bearer).body(()).unwrap();
        h2::request(gate.http, request, None, None).unwrap()
    };
    assert_eq!(ask().status, 200);
    assert_eq!(gate.get_as("/a", &alice).status, 200);
    let over = ask();
    assert_eq!((over.status, over.code().as_str()), (429, "rate_limited"));
    assert!(over.header("retry-after").is_some() && over.header("ratelimit").is_some());
}

#[test]
fn all_users_of_a_client_are_counted_together() {
    let backend = Backend::echo();
    let limit = "[[limit]]\nname = \"per-client\"\nkey = [\"client\"]\nrate = \"1/min\"\nburst = 2\n\n";
    let gate = gate(&backend, limit, "limits = [\"per-client\"]");
    let ask = |name: &str, claim: &str, client: &str| {
        let mut claims = issuer::claims(ISSUER, name);
        claims[claim] = json!(client);
        gate.get_as("/a", &issuer::token(&claims, HS256)).status
    };
    assert_eq!([ask("alice", "client_id", "robot"), ask("bob", "azp", "robot")], [200, 200]);
    assert_eq!([ask("carol", "client_id", "robot"), ask("alice", "client_id", "other")], [429, 200]);
}

#[test]
fn all_who_sign_in_with_one_provider_are_one_client() {
    let backend = Backend::echo();
    let limit = "[[limit]]\nname = \"per-client\"\nkey = [\"client\"]\nrate = \"1/min\"\nburst = 2\n\n";
    for mode in ["jwt", "opaque"] {
        let defaults = "[route_defaults]\nlimits = [\"per-client\"]\n\n";
        let gate = people::house(&backend, &format!("[session]\nmode = {mode:?}\n\n{defaults}{limit}"));
        let [mut alice, mut bob] = ["alice", "bob"].map(|name| Browser::signed_in(&gate, name));
        let asked = [alice.get("/app/x"), alice.get("/app/x"), bob.get("/app/x")].map(|answer| answer.status);
        assert_eq!(asked, [200, 200, 429], "{mode}");
    }
}

#[test]
fn the_backend_keeps_its_own_word_on_limits() {
    let backend = Backend::answering(|_, stream| {
        write!(stream, "HTTP/1.1 200 OK\r\nRateLimit: \"theirs\";r=1\r\nContent-Length: 0\r\n\r\n")?;
        Ok(After::Keep)
    });
    let gate = gate(&backend, SLOW, "limits = [\"per-user\"]");
    let answer = gate.get_as("/a", &token("alice"));
    assert_eq!(answer.all("ratelimit"), ["\"theirs\";r=1", "\"per-user\";r=1;t=60"]);
}

#[test]
fn hints_before_the_answer_leave_it_what_limits_have_to_say() {
    let backend = Played::start();
    let gate = gate_to(&backend.upstream("app", ""), SLOW, "limits = [\"per-user\"]");
    let mut client = Scene::of(TcpStream::connect(gate.http).unwrap());
    client.say(format!("GET /a HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {}\r\n\r\n", token("alice")));
    let mut scene = backend.next();
    scene.head();
    scene.say("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let hints = client.head().to_lowercase();
    assert!(hints.starts_with("http/1.1 103 ") && !hints.contains("ratelimit"), "{hints}");
    let answer = client.head().to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.contains("ratelimit: \"per-user\";r=1;t=60\r\n"), "{answer}");
}

#[test]
fn an_address_is_counted_before_any_signature_is_checked() {
    let backend = Backend::echo();
    let limit = "[[limit]]\nname = \"from\"\nkey = [\"ip\"]\nrate = \"1/min\"\nburst = 3\n\n";
    let gate = gate(&backend, limit, "limits = [\"from\"]");
    for n in 0..3 {
        assert_eq!(gate.get_as("/a", &format!("not.a.token{n}")).verdict(), "401 token_invalid");
    }
    assert_eq!(gate.get_as("/a", "not.a.token").verdict(), "429 rate_limited");
    assert_eq!(gate.get_as("/a", &token("alice")).verdict(), "429 rate_limited", "nobody knows yet who it is");
}

#[test]
fn callers_are_counted_once_they_may_pass() {
    let backend = Backend::echo();
    let gate = gate(&backend, SLOW, "limits = [\"per-user\"]\nroles = [\"nobody-has-it\"]");
    for _ in 0..5 {
        assert_eq!(gate.get_as("/a", &token("alice")).verdict(), "403 forbidden");
    }
}

#[test]
fn a_shadow_only_counts_and_a_route_may_cost_more() {
    let backend = Backend::echo();
    let limits =
        format!("{SLOW}[[limit]]\nname = \"ghost\"\nrate = \"1/min\"\nburst = 1\nshadow = true\nheaders = false\n\n");
    let gate = gate(&backend, &limits, "limits = [\"ghost\"]");
    let alice = token("alice");
    let answers: Vec<Response> = (0..3).map(|_| gate.get_as("/a", &alice)).collect();
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.header("ratelimit").is_none()));
    assert!(gate.metric("doorward_rate_limited_total{limit=\"ghost\"}") > 1.5);
    assert!(gate.reload(&tables(&backend.upstream("app"), SLOW, "limits = [\"per-user\"]\ncost = 2")));
    assert_eq!(gate.get_as("/a", &alice).status, 200);
    assert_eq!(gate.get_as("/a", &alice).status, 429);
}

#[test]
fn renewal_cannot_be_farmed() {
    let backend = Backend::echo();
    let house = people::house(
        &backend,
        "[tokens]\nreuse_grace = \"30s\"\n\n[[limit]]\nname = \"refresh.family\"\nrate = \"10/min\"\nburst = 5\n\n",
    );
    let mut alice = Browser::signed_in(&house, "alice");
    let statuses: Vec<u16> = (0..7).map(|_| alice.post("/.auth/refresh").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429, 429]);
    let over = alice.post("/.auth/refresh");
    assert!(over.header("retry-after").is_some() && over.header("ratelimit").is_some());
    assert_eq!(alice.get("/app/x").status, 200, "the session lives on");
    let mut elsewhere = Browser::signed_in(&house, "alice");
    assert_eq!(elsewhere.post("/.auth/refresh").status, 200, "another sign-in has its own count");
}

#[test]
fn an_address_cannot_begin_sign_ins_without_end() {
    let backend = Backend::echo();
    let limit = "[[limit]]\nname = \"ip\"\nrate = \"1/min\"\nburst = 3\n\n";
    let house = people::house(&backend, limit);
    let verdicts: Vec<String> =
        (0..4).map(|_| house.get("/.auth/login", "Accept: application/json\r\n").verdict()).collect();
    assert_eq!(verdicts[3], "429 rate_limited", "{verdicts:?}");
    assert!(verdicts[..3].iter().all(|verdict| verdict != "429 rate_limited"));
    for path in ["me", "sessions", "revoke", "nothing"] {
        assert_eq!(house.get(&format!("/.auth/{path}"), "").status, 429, "{path}");
    }
    assert_eq!(house.get("/.auth/assets/nothing.css", "").status, 404, "what pages are made of is free");
    assert_eq!(house.get("/public/x", "").status, 200, "and applications are not meant");
}

#[test]
fn a_page_whose_token_is_renewed_too_often_is_told_when_to_come_again() {
    let backend = Backend::echo();
    let house = people::house(
        &backend,
        "[tokens]\nreuse_grace = \"30s\"\n\n[[limit]]\nname = \"refresh.family\"\nrate = \"10/min\"\nburst = 2\n\n",
    );
    let mut alice = Browser::signed_in(&house, "alice");
    let mut ask = |target: &str| {
        alice.jar.remove("doorward");
        alice.get(target)
    };
    assert_eq!([ask("/app/x").status, ask("/app/x").status], [200, 200]);
    for target in ["/app/x", "/.auth/me"] {
        let over = ask(target);
        assert_eq!(over.verdict(), "429 rate_limited", "{target}");
        let wait: u64 = over.header("retry-after").unwrap().parse().unwrap();
        assert_eq!(over.header("ratelimit").unwrap(), format!("\"refresh.family\";r=0;t={wait}"));
    }
}

#[test]
fn the_token_endpoint_has_a_limit_of_its_own() {
    let backend = Backend::echo();
    let house = people::house(&backend, "[[limit]]\nname = \"token_endpoint\"\nrate = \"1/min\"\nburst = 3\n\n");
    let form = "grant_type=refresh_token&refresh_token=guess";
    let ask = || {
        let head = "Content-Type: application/x-www-form-urlencoded\r\n";
        let length = form.len();
        client::raw(
            house.http,
            format!("POST /.auth/token HTTP/1.1\r\nHost: app.test\r\n{head}Content-Length: {length}\r\n\r\n{form}"),
        )
    };
    assert_eq!([(); 4].map(|()| ask().status), [400, 400, 400, 429]);
    let over = ask();
    assert_eq!(over.verdict(), "429 rate_limited");
    assert_eq!(over.header("ratelimit-policy"), Some("\"token_endpoint\";q=4;w=60"));
    assert!(over.header("retry-after").is_some());
    assert_eq!(house.get("/.auth/me", "").status, 401, "the others go on");
}

#[test]
fn operators_look_at_a_bucket_and_fill_it() {
    let backend = Backend::echo();
    let gate = gate(&backend, SLOW, "limits = [\"per-user\"]");
    let alice = token("alice");
    while gate.get_as("/a", &alice).status == 200 {}
    let key = "/api/v1/limits?key=user%3Did/alice";
    let looked = api(&gate, TOKEN, &format!("GET {key}"), "");
    assert_eq!(looked.status, 200, "{}", looked.text());
    let looked: Value = serde_json::from_slice(&looked.body).unwrap();
    let full_in = looked["limits"][0]["full_in"].clone();
    let expected = json!({ "limit": "per-user", "rate": "1/min", "burst": 2, "remaining": 0, "full_in": full_in });
    assert_eq!(looked["limits"][0], expected);
    let reset = api(&gate, TOKEN, &format!("DELETE {key}"), "");
    assert_eq!((reset.status, reset.text().trim()), (200, "{\"reset\":[\"per-user\"]}"));
    assert_eq!(gate.get_as("/a", &alice).status, 200);
    // each would look like a full bucket
    for wrong in ["nonsense", "session%3Dx", "user%3Dalice", "user%3Dnobody/alice", "route%3D/nowhere"] {
        assert_eq!(api(&gate, TOKEN, &format!("GET /api/v1/limits?key={wrong}"), "").status, 400, "{wrong}");
    }
}

/// Three replicas of one gate, and when somebody last looked at how many got through.
struct Fleet {
    gates: Vec<Gate>,
    began: Instant,
    admitted: usize,
}

impl Fleet {
    fn start(redis: &Redis, backend: &Backend, limits: &str) -> Self {
        let tables = tables(&backend.upstream("app"), &format!("{}{limits}", redis.table()), "limits = [\"per-user\"]");
        let gates: Vec<Gate> = (0..3).map(|_| people::setup().variable("SECRET", SECRET).start(&tables)).collect();
        for gate in &gates {
            eventually("the gate has seen the log", || gate.get_as("/a", &token("somebody")).status == 200);
        }
        Self { gates, began: Instant::now(), admitted: 0 }
    }

    /// So many requests of these callers, on many connections at once.
    fn flood(&mut self, callers: &[&str], requests: usize) -> usize {
        const CONNECTIONS: usize = 60;
        let tokens: Vec<String> = callers.iter().map(|name| token(name)).collect();
        let at: Vec<SocketAddr> = self.gates.iter().map(|gate| gate.http).collect();
        let run = |n: usize| {
            let (at, token) = (at[n % at.len()], tokens[(n / at.len()) % tokens.len()].clone());
            thread::spawn(move || {
                let mut client = Client::connect(at);
                let asked = |_| {
                    client.send(format!("GET /a HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {token}\r\n\r\n"));
                    client.receive().unwrap().status
                };
                (0..requests / CONNECTIONS).map(asked).collect::<Vec<u16>>()
            })
        };
        let running: Vec<_> = (0..CONNECTIONS).map(run).collect();
        let statuses: Vec<u16> = running.into_iter().flat_map(|one| one.join().unwrap()).collect();
        assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
        let admitted = statuses.iter().filter(|status| **status == 200).count();
        self.admitted += admitted;
        admitted
    }

    /// What 100 a minute with a burst of 20 lets through until now.
    fn bound(&self) -> f64 {
        20.0 + self.began.elapsed().as_secs_f64() * 100.0 / 60.0 + 2.0
    }
}

const HUNDRED: &str = "[[limit]]\nname = \"per-user\"\nrate = \"100/min\"\nburst = 20\n\n";

#[test]
fn replicas_together_let_through_what_one_would_with_the_store_without_it_and_when_it_is_back() {
    let (mut redis, backend) = (Redis::start(), Backend::echo());
    let mut fleet = Fleet::start(&redis, &backend, HUNDRED);
    fleet.began = Instant::now();
    let first = fleet.flood(&["alice"], 2_000);
    assert!(first >= 20, "{first}");
    assert!(fleet.admitted as f64 <= fleet.bound(), "{} of {}", fleet.admitted, fleet.bound());
    // replicas hear of each other once a second
    while fleet.began.elapsed() < Duration::from_secs(3) {
        fleet.flood(&["alice"], 240);
        assert!(fleet.admitted as f64 <= fleet.bound(), "shared: {} of {}", fleet.admitted, fleet.bound());
    }
    redis.kill();
    let lost = Instant::now();
    while lost.elapsed() < Duration::from_secs(4) {
        fleet.flood(&["alice"], 240);
        assert!(fleet.admitted as f64 <= fleet.bound(), "without: {} of {}", fleet.admitted, fleet.bound());
    }
    for gate in &fleet.gates {
        eventually("it says so", || gate.metric("doorward_degraded{feature=\"limits\"}") > 0.5);
    }
    redis.restart();
    let back = Instant::now();
    while back.elapsed() < Duration::from_secs(4) {
        fleet.flood(&["alice"], 240);
        assert!(fleet.admitted as f64 <= fleet.bound(), "again: {} of {}", fleet.admitted, fleet.bound());
    }
    for gate in &fleet.gates {
        let asked = || {
            attempt(
                gate.http,
                format!("GET /a HTTP/1.1\r\nHost: app.test\r\nAuthorization: Bearer {}\r\n\r\n", token("bob")),
            )
        };
        eventually("limits are shared again", || {
            asked().is_some() && gate.metric("doorward_degraded{feature=\"limits\"}") < 0.5
        });
    }
    eprintln!("{} admitted, {:.1} allowed", fleet.admitted, fleet.bound());
    assert!(fleet.admitted > 24, "and they let through something all the while: {}", fleet.admitted);
}

#[test]
fn a_thousand_requests_cost_the_store_a_handful_of_commands() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let wide = "[[limit]]\nname = \"per-user\"\nrate = \"60000/min\"\nburst = 6000\n\n";
    let mut fleet = Fleet::start(&redis, &backend, wide);
    let callers = ["a", "b", "c", "d", "e"];
    fleet.flood(&callers, 600);
    redis.forget_counts();
    let began = Instant::now();
    let admitted = fleet.flood(&callers, 6_000);
    let (counts, seconds) = (redis.counts(), began.elapsed().as_secs());
    assert_eq!(admitted, 6_000);
    let asked = counts.get("evalsha").unwrap_or(&0) + counts.get("eval").unwrap_or(&0);
    eprintln!("{asked} scripts for 6000 requests in {:?}: {counts:?}", began.elapsed());
    // what was reserved lives for a second: each replica asks for each caller again, however slow they are
    assert!(asked < 180 + 3 * 5 * seconds, "{asked} for 6000 in {seconds} s: {counts:?}");
}

const USAGE: &str = "doorward_rate_limited_total{limit=\"token_usage\"}";

#[test]
fn a_token_that_is_used_too_often_is_told_of_and_where_an_operator_says_so_refused() {
    let backend = Backend::echo();
    let usage = |keys: &str| format!("[[limit]]\nname = \"token_usage\"\nrate = \"1/min\"\nburst = 2\n{keys}\n");
    let gate = gate(&backend, &usage(""), "");
    let (alice, other) = (token("alice"), token("alice "));
    let ask = |gate: &Gate, token: &str| [(); 4].map(|()| gate.get_as("/a", token).status);
    assert_eq!((ask(&gate, &alice), ask(&gate, &other)), ([200; 4], [200; 4]));
    eventually("both were counted", || gate.metric(USAGE) == 4.0);
    let said = gate.messages.wait(|line| line["limit"] == "token_usage");
    assert_eq!((said["reason"].as_str(), said["source"].as_str()), (Some("shadow"), Some("id")), "{said}");
    assert!(gate.reload(&tables(&backend.upstream("app"), &usage("shadow = false\n"), "")));
    assert_eq!(ask(&gate, &alice), [200, 200, 429, 429]);
    let over = gate.get_as("/a", &alice);
    assert_eq!((over.verdict().as_str(), over.header("retry-after").is_some()), ("429 rate_limited", true));
    assert_eq!(gate.get_as("/a", &other).status, 200);
}
