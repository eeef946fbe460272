//! The store breaks while people are at work: killed, frozen, emptied, out of memory, unable to write. Who is known is
//! served, nobody is signed out, what was revoked stays revoked; and when the store is back, all of it goes on by
//! itself.

use super::support::backend::Backend;
use super::support::browser::{json, Browser};
use super::support::eventually;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256};
use super::support::operator::{api, insist, TOKEN};
use super::support::people::{Fleet, LOCAL, ROUTES};
use super::support::redis::Redis;
use std::time::{Duration, Instant};

const ISSUER: &str = "https://issuer.test";
/// Whoever waits for a frozen store counts by itself after a second, and an address has a small share of what it may ask:
/// nobody here asks about that.
const OPAQUE: &str = "[session]\nmode = \"opaque\"\n\n[[limit]]\nname = \"ip\"\nshadow = true\n\n";
const UP: &str = "doorward_store_up";

/// What happens to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Frozen,
    OutOfMemory,
    /// A demoted primary whose new one does not exist.
    Demoted,
    TooFewReplicas,
}

impl Fault {
    fn begin(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.kill(),
            Self::Frozen => redis.pause(),
            Self::OutOfMemory => redis.set("maxmemory", "1"),
            Self::Demoted => assert!(redis.cli(&["replicaof", "127.0.0.1", "1"]).contains("OK")),
            Self::TooFewReplicas => redis.set("min-replicas-to-write", "1"),
        }
    }

    fn end(self, redis: &mut Redis) {
        match self {
            Self::Killed => redis.restart(),
            Self::Frozen => redis.resume(),
            Self::OutOfMemory => redis.set("maxmemory", "0"),
            Self::Demoted => assert!(redis.cli(&["replicaof", "no", "one"]).contains("OK")),
            Self::TooFewReplicas => redis.set("min-replicas-to-write", "0"),
        }
    }

    /// The `[store]` of gates that will meet it: only where no answer comes is there any need to wait for one in vain.
    fn table(self, redis: &Redis) -> String {
        match self {
            Self::Frozen => redis.table_within("2s"),
            Self::Killed | Self::OutOfMemory | Self::Demoted | Self::TooFewReplicas => redis.table(),
        }
    }

    /// Whether the store answers, and only says no.
    fn is_a_refusal(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::TooFewReplicas)
    }
}

/// Two replicas that are ready, and what they share.
struct Scene {
    redis: Redis,
    fleet: Fleet,
    _backend: Backend,
}

impl Scene {
    fn open(fault: Fault, more: &str) -> Self {
        let (redis, backend) = (Redis::start(), Backend::echo());
        let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
        let store = fault.table(&redis);
        let fleet = Fleet::start(2, &[LOCAL, &issuer, &store, &backend.upstream("app"), ROUTES, more]);
        fleet.gates.iter().for_each(is_ready);
        Self { redis, fleet, _backend: backend }
    }

    fn one(&self) -> &Gate {
        &self.fleet.gates[0]
    }

    fn other(&self) -> &Gate {
        &self.fleet.gates[1]
    }

    /// Everywhere the same.
    fn verdicts(&self, ask: impl Fn(&Gate) -> String) -> Vec<String> {
        self.fleet.gates.iter().map(ask).collect()
    }
}

fn is_ready(gate: &Gate) {
    eventually("it is ready", || api(gate, TOKEN, "GET /readyz", "").status == 200);
}

/// A machine's token.
fn bearer(sub: &str) -> String {
    issuer::token(&issuer::claims(ISSUER, sub), HS256)
}

fn as_machine(gate: &Gate, token: &str) -> String {
    gate.get_as("/app/x", token).verdict()
}

fn at(gate: &Gate, browser: &Browser) -> String {
    Browser { at: gate.http, ..browser.clone() }.get("/app/x").verdict()
}

fn said(gate: &Gate, words: &str) -> usize {
    gate.messages.all().iter().filter(|line| line.contains(words)).count()
}

/// All that does not depend on what is wrong with the store.
fn an_outage(fault: Fault) {
    let mut scene = Scene::open(fault, "");
    let (mut alice, bob) = (Browser::signed_in(scene.one(), "alice"), Browser::signed_in(scene.other(), "bob"));
    let (robot, banned) = (bearer("robot"), bearer("banned"));
    let session = alice.session();
    insist(scene.one(), &["user", "block", "banned"]);
    assert_eq!(scene.verdicts(|gate| as_machine(gate, &banned)), ["403 user_blocked"; 2]);
    assert_eq!(scene.verdicts(|gate| at(gate, &bob)), ["200"; 2]);

    fault.begin(&mut scene.redis);
    for _ in 0..5 {
        assert_eq!(scene.verdicts(|gate| at(gate, &alice)), ["200"; 2], "{fault:?}");
        assert_eq!(scene.verdicts(|gate| as_machine(gate, &robot)), ["200"; 2]);
        assert_eq!(scene.verdicts(|gate| as_machine(gate, &bearer("newcomer"))), ["200"; 2]);
        assert_eq!(scene.verdicts(|gate| as_machine(gate, &banned)), ["403 user_blocked"; 2]);
    }
    let mut due = alice.clone();
    due.forget_access();
    let before = due.jar.clone();
    for at in [scene.one().http, scene.other().http] {
        due.at = at;
        let answer = due.get("/app/x");
        assert_eq!((answer.verdict().as_str(), answer.all("set-cookie").len()), ("503 store_unavailable", 0));
        assert!(answer.header("retry-after").is_some());
        assert_eq!(due.post("/.auth/refresh").verdict(), "503 store_unavailable");
    }
    assert_eq!(due.jar, before, "nothing was cleared");
    let receipt = api(scene.one(), TOKEN, "POST /api/v1/users/bob/block?source=local", "");
    let told = json(&receipt);
    assert_eq!((receipt.status, &told["position"], &told["replicas"]["enforcing"]), (202, &().into(), &1.into()));
    assert_eq!(at(scene.one(), &bob), "403 user_blocked", "here at once");
    if !fault.is_a_refusal() {
        // somebody asks at least once a second
        for gate in &scene.fleet.gates {
            eventually("it is given up", || said(gate, "lost the store") > 0);
            eventually("the metric says so", || gate.metric(UP) == 0.0);
        }
    }

    fault.end(&mut scene.redis);
    eventually("the other replica hears of it", || {
        assert_eq!(as_machine(scene.other(), &banned), "403 user_blocked", "not even for a moment");
        at(scene.other(), &bob) == "403 user_blocked"
    });
    eventually("renewals go on", || scene.verdicts(|gate| at(gate, &due)) == ["200"; 2]);
    assert_eq!(due.session(), session);
    eventually("they sign in", || Browser::new(scene.other()).sign_in("alice").status == 303);
    scene.fleet.gates.iter().for_each(|gate| eventually("the metric says so", || gate.metric(UP) == 1.0));
    for gate in &scene.fleet.gates {
        eventually("each loss is told, and each return", || {
            said(gate, "lost the store") == said(gate, "connected to the store")
        });
        assert!(!fault.is_a_refusal() || said(gate, "lost the store") == 0, "a store that answers is not lost");
    }
    insist(scene.one(), &["user", "unblock", "bob", "--source", "local"]);
    assert_eq!(scene.verdicts(|gate| at(gate, &bob)), ["200"; 2]);
}

#[test]
fn a_store_that_is_killed() {
    an_outage(Fault::Killed);
}

#[test]
fn a_store_that_is_frozen() {
    an_outage(Fault::Frozen);
}

#[test]
fn a_store_that_is_out_of_memory() {
    an_outage(Fault::OutOfMemory);
}

#[test]
fn a_store_that_was_demoted() {
    an_outage(Fault::Demoted);
}

#[test]
fn a_store_that_has_too_few_replicas_to_write() {
    an_outage(Fault::TooFewReplicas);
}

/// Handles say nothing by themselves: a replica serves those it knows, and cannot tell about others.
fn an_outage_with_opaque_sessions(fault: Fault) {
    let mut scene = Scene::open(fault, OPAQUE);
    let (alice, mut bob) = (Browser::signed_in(scene.one(), "alice"), Browser::signed_in(scene.other(), "bob"));
    assert_eq!((at(scene.one(), &alice), at(scene.other(), &bob)), ("200".to_owned(), "200".to_owned()));

    fault.begin(&mut scene.redis);
    for _ in 0..5 {
        assert_eq!((at(scene.one(), &alice), at(scene.other(), &bob)), ("200".to_owned(), "200".to_owned()));
    }
    let before = bob.jar.clone();
    bob.at = scene.one().http;
    let answer = bob.get("/app/x");
    assert_eq!((answer.verdict().as_str(), answer.all("set-cookie").len()), ("503 store_unavailable", 0));
    assert_eq!(bob.jar, before);
    let mut newcomer = Browser::new(scene.one());
    assert_eq!(newcomer.sign_in("alice").status, 503, "there would be nothing to know them by");
    assert_eq!(api(scene.one(), TOKEN, "POST /api/v1/users/alice/block", "").status, 202);
    assert_eq!(at(scene.one(), &alice), "403 user_blocked", "whatever is remembered of the session");

    fault.end(&mut scene.redis);
    eventually("the other replica hears of it", || at(scene.other(), &alice) == "403 user_blocked");
    eventually("he is recognised", || scene.verdicts(|gate| at(gate, &bob)) == ["200"; 2]);
}

#[test]
fn opaque_sessions_while_the_store_is_dead() {
    an_outage_with_opaque_sessions(Fault::Killed);
}

#[test]
fn opaque_sessions_while_the_store_is_frozen() {
    an_outage_with_opaque_sessions(Fault::Frozen);
}

#[test]
fn a_store_that_lost_everything_is_told_again_what_was_revoked() {
    let mut scene = Scene::open(Fault::Killed, "");
    let mut alice = Browser::signed_in(scene.one(), "alice");
    let (robot, banned) = (bearer("robot"), bearer("banned"));
    insist(scene.one(), &["user", "block", "banned"]);
    assert!(scene.redis.cli(&["flushall"]).contains("OK"));
    let is_shut_out = |gate: &Gate| assert_eq!(as_machine(gate, &banned), "403 user_blocked", "accepted again");
    eventually("the log is healed", || {
        scene.fleet.gates.iter().for_each(is_shut_out);
        scene.redis.cli(&["xlen", "dw:{rv}:log"]).trim() == "1"
    });
    assert_eq!(scene.verdicts(|gate| at(gate, &alice)), ["200"; 2], "who is known is served");
    alice.forget_access();
    assert_eq!(alice.get("/app/x").verdict(), "401 session_expired", "a session is never made from a token");
    eventually("they sign in", || alice.sign_in("alice").status == 303);

    // half of the replicas begin anew, and one is added: all they know is what the store was told again
    scene.fleet.gates[0].kill();
    scene.fleet.gates[0] = scene.fleet.another();
    scene.fleet.gates.push(scene.fleet.another());
    scene.fleet.gates.iter().for_each(is_ready);
    scene.fleet.gates.iter().for_each(is_shut_out);
    assert_eq!(scene.verdicts(|gate| as_machine(gate, &robot)), ["200"; 3]);
    assert_eq!(scene.verdicts(|gate| at(gate, &alice)), ["200"; 3]);
}

/// Everybody is waiting when it comes back, and each replica knocks with one hand.
#[test]
fn a_store_that_comes_back_is_not_run_over() {
    let mut scene = Scene::open(Fault::Killed, "");
    let mut due = Browser::signed_in(scene.one(), "alice");
    due.forget_access();
    scene.redis.kill();
    let turns = (0..16).map(|turn| Browser { at: scene.fleet.turn(turn), ..due.clone() });
    let waiting: Vec<_> = turns
        .map(|mut tab| std::thread::spawn(move || eventually("it is renewed", || tab.get("/app/x").status == 200)))
        .collect();
    scene.redis.restart();
    waiting.into_iter().for_each(|one| one.join().unwrap());
    eventually("one connection for questions and one to listen, and whoever asks here", || {
        scene.redis.cli(&["client", "list"]).lines().count() == 2 * 2 + 1
    });
}

#[test]
#[ignore = "takes a minute: make faults"]
fn a_minute_without_a_store_costs_known_callers_nothing() {
    let mut scene = Scene::open(Fault::Killed, "");
    let (alice, robot, banned) = (Browser::signed_in(scene.one(), "alice"), bearer("robot"), bearer("banned"));
    insist(scene.one(), &["user", "block", "banned"]);
    scene.redis.kill();
    let (begun, mut asked) = (Instant::now(), 0_u32);
    while begun.elapsed() < Duration::from_secs(60) {
        assert_eq!(scene.verdicts(|gate| at(gate, &alice)), ["200"; 2]);
        assert_eq!(scene.verdicts(|gate| as_machine(gate, &robot)), ["200"; 2]);
        assert_eq!(scene.verdicts(|gate| as_machine(gate, &banned)), ["403 user_blocked"; 2]);
        asked += 6;
    }
    eprintln!("{asked} requests of known callers in a minute without a store, none of them failed");
}
