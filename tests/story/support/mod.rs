//! The stage: a gate, backends, an issuer, and clients that send exactly the bytes they are given.

pub(crate) mod backend;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod gate;
pub(crate) mod golden;
pub(crate) mod h2;
pub(crate) mod issuer;
pub(crate) mod lines;
pub(crate) mod operator;
pub(crate) mod people;
pub(crate) mod played;
pub(crate) mod provider;
pub(crate) mod redis;
pub(crate) mod redis_many;
pub(crate) mod seen;
pub(crate) mod tls;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// After this long whatever is waited for does not come. Far beyond what anything takes, even on a starved machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until it is so.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An address nobody listens at. It stays taken as long as the test process lives: a port that was given back may be the
/// next one that somebody is given.
pub(crate) fn nowhere() -> SocketAddr {
    let socket = Box::leak(Box::new(tokio::net::TcpSocket::new_v4().unwrap()));
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket.local_addr().unwrap()
}
