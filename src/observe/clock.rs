//! The clocks. Nobody else reads them: time is a value that is handed on.

use crate::domain::time::UnixTime;
use crate::ports::revocation::Clock;
use async_trait::async_trait;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment as log lines print it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallTime {
    pub seconds: u64,
    pub millis: u32,
}

/// This second, for decisions.
#[must_use]
pub fn now() -> UnixTime {
    UnixTime(since_epoch().as_secs())
}

/// This moment, for log lines. Costs some 20 ns: no system call.
#[must_use]
pub fn wall() -> WallTime {
    let since = since_epoch();
    WallTime { seconds: since.as_secs(), millis: since.subsec_millis() }
}

/// This moment on the clock that never jumps, for durations.
#[must_use]
pub fn instant() -> Instant {
    Instant::now()
}

/// A clock that stands before 1970 tells us nothing, so it reads as the end of time: every credential has expired
/// then, where 1970 would let all of them live.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX)
}

/// The clocks of this machine, for what runs beside requests.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    began: Instant,
}

impl Machine {
    #[must_use]
    pub fn new() -> Self {
        Self { began: instant() }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for Machine {
    fn unix_ms(&self) -> u64 {
        u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
    }

    fn steady(&self) -> Duration {
        self.began.elapsed() + Duration::from_secs(1)
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
