//! The store that replicas share: one Redis or Valkey, one watched by Sentinels, or a cluster.
//!
//! Whatever must happen at one moment is one script, and every key a script touches carries its user as hash tag, so
//! that a cluster runs it on one node. Time inside scripts is the server's.

mod breaker;
mod limits;
pub(in crate::store) mod link;
mod names;
mod people;
pub(in crate::store) mod plan;
pub(in crate::store) mod script;
mod tallies;
mod words;

pub use plan::{Address, RedisKind, RedisPlan, RedisTls};

use super::Clock;
use crate::domain::session::UserHash;
use crate::ports::store::StoreError;
use ::redis::Cmd;
use link::{For, Link};
use script::{Call, Reply, Script};
use std::fmt;
use std::sync::Arc;

/// A connection to the shared store that heals itself. While there is none, every question fails at once.
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    /// Only tests set it: in production scripts ask the server for the time.
    clock: Option<Clock>,
}

impl Redis {
    /// Makes a first attempt to connect and goes on trying in a task of the runtime this is called from: a store that
    /// is away at the start is like one that went away.
    ///
    /// # Errors
    /// The plan cannot work, whatever the server does.
    pub async fn connect(plan: RedisPlan) -> Result<Self, StoreError> {
        plan.check()?;
        Ok(Self { link: Link::open(plan).await?, clock: None })
    }

    /// Why the store does not answer right now.
    #[cfg(test)]
    async fn ping(&self) -> Result<(), StoreError> {
        self.link.ask(For::Requests, &::redis::cmd("PING")).await.map(drop)
    }

    /// For the log of revocations, which shares the connection: there is one server to reach, and one way to find out
    /// that it cannot be reached.
    pub(in crate::store) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    #[cfg(test)]
    pub(super) fn with_clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// A call that touches keys of one user only.
    fn of_user(&self, script: &'static Script, user: UserHash) -> Call {
        let tag = user.to_string();
        let index = format!("{}u:{{{tag}}}", self.link.prefix());
        self.call(script, &index, &tag)
    }

    /// A call that touches one key of its own.
    fn of_key(&self, script: &'static Script, kind: char, name: &str) -> Call {
        self.call(script, &self.key(kind, name), "")
    }

    fn key(&self, kind: char, name: &str) -> String {
        format!("{}{kind}:{name}", self.link.prefix())
    }

    fn call(&self, script: &'static Script, key: &str, tag: &str) -> Call {
        let now = self.clock.as_ref().map(|clock| clock.now().0.to_string()).unwrap_or_default();
        Call::new(script, key).arg(now).arg(self.link.prefix()).arg(tag)
    }

    async fn run(&self, call: Call) -> Result<Reply, StoreError> {
        self.link.run(&call).await
    }

    /// For scripts that answer one word: yes or no.
    async fn agree(&self, call: Call) -> Result<bool, StoreError> {
        self.run(call).await?.flag()
    }

    async fn ask(&self, command: &Cmd) -> Result<::redis::Value, StoreError> {
        self.link.ask(For::Requests, command).await
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("plan", self.link.plan()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
pub(crate) mod server;

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;
