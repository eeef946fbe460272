//! Where shared state lives: in this process ([`Memory`]) or in Redis ([`Redis`]). One contract suite holds both to the
//! same answers.

pub mod file;
pub mod memory;
pub mod redis;
pub mod revocation;

pub use memory::{Memory, MemoryBuckets};
pub use redis::{Redis, RedisKind, RedisPlan};

use crate::domain::session::Millis;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What happened once is remembered this much longer than asked: whoever asked may have a clock that is behind.
const REMEMBERED_LONGER: Duration = Duration::from_secs(60);

/// Where a store reads the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Millis + Send + Sync>);

impl Clock {
    #[must_use]
    pub fn new(now: impl Fn() -> Millis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    #[must_use]
    pub fn now(&self) -> Millis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
#[macro_use]
#[path = "contract_tests.rs"]
mod contract;

#[cfg(test)]
#[path = "contract_limits_tests.rs"]
mod contract_limits;
