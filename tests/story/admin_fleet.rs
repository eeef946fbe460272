//! Operators of several replicas, and of a store that is away.

use super::admin::{api, command, json_of, succeed, ROUTE, TOKEN};
use super::support::backend::Backend;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::PATIENCE;
use serde_json::json;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

const ISSUER: &str = "https://issuer.test";

struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "redis-server does not start");
            std::thread::yield_now();
        }
        Self { process, port }
    }

    fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn replica(redis: &Redis) -> Gate {
    let store = format!("[store]\nurl = \"redis://127.0.0.1:{}\"\ntimeout = \"2s\"\n\n", redis.port);
    let issuer = issuer::table("main", ISSUER, "secret = \"env:SECRET\"");
    let gate = Gate::setup()
        .variable("SECRET", SECRET)
        .variable("DOORWARD_SECRET", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
        .variable("DOORWARD_ADMIN_TOKEN", TOKEN)
        .start(&[store.as_str(), &Backend::echo().upstream("app"), ROUTE, &issuer].concat());
    let begun = Instant::now();
    while api(&gate, TOKEN, "GET /readyz", "").status != 200 {
        assert!(begun.elapsed() < PATIENCE, "never ready");
        std::thread::yield_now();
    }
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
    let said = succeed(&one, &["user", "block", "bob"]);
    assert!(said.starts_with("in force at 2 of 2 replicas"), "{said}");
    assert_eq!(other.get_as("/", &bob).verdict(), "403 user_blocked");

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
