//! Leaves an endpoint alone that is down or asks for a pause.
//!
//! One failure says little, and whoever can provoke one must not be able to shut others out: so it takes three in a
//! row, or the endpoint's own "429". After a pause one call looks whether it is back.

use super::Pace;
use crate::outbound::client::{FetchError, Reply, CALL_TIMEOUT};
use http::StatusCode;
use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row that close the way.
const PATIENCE: u32 = 3;

#[derive(Debug)]
pub(super) struct Breaker {
    pace: Pace,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Left alone until then.
    until: Option<Instant>,
}

impl Breaker {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, state: Mutex::default() }
    }

    /// # Errors
    /// The endpoint is being left alone.
    pub(super) fn enter(&self) -> Result<(), FetchError> {
        let mut state = self.state.lock();
        let Some(until) = state.until else {
            return Ok(());
        };
        let now = Instant::now();
        if now < until {
            return Err(FetchError::LeftAlone);
        }
        // this call is the one that looks; should it vanish, another may after its deadline
        state.until = Some(now + CALL_TIMEOUT);
        Ok(())
    }

    pub(super) fn heard(&self, outcome: &Result<Reply, FetchError>) {
        let (failed, pause) = match outcome {
            Ok(reply) if reply.status == StatusCode::TOO_MANY_REQUESTS => (true, Some(reply.retry_after)),
            Ok(reply) if reply.status.is_server_error() => (true, reply.retry_after.map(Some)),
            Ok(_) => (false, None),
            Err(_) => (true, None),
        };
        let mut state = self.state.lock();
        if !failed {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        if pause.is_some() || state.failures >= PATIENCE {
            let pause = pause.flatten().unwrap_or_else(|| self.doubled(state.failures));
            let pause = pause.clamp(self.pace.least_pause, self.pace.most_pause);
            state.until = Some(Instant::now() + pause);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.lock().until.is_none()
    }

    fn doubled(&self, failures: u32) -> Duration {
        self.pace.least_pause.saturating_mul(1 << failures.saturating_sub(PATIENCE).min(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;
    use zeroize::Zeroizing;

    fn reply(status: u16, retry_after: Option<u64>) -> Result<Reply, FetchError> {
        let status = StatusCode::from_u16(status).unwrap();
        Ok(Reply { status, body: Zeroizing::default(), retry_after: retry_after.map(Duration::from_secs) })
    }

    fn lost() -> Result<Reply, FetchError> {
        Err(FetchError::Timeout)
    }

    #[tokio::test(start_paused = true)]
    async fn two_failures_are_forgiven_and_a_third_in_a_row_is_not() {
        let breaker = Breaker::new(Pace::default());
        for outcome in [lost(), reply(500, None), reply(400, None), reply(503, None), lost()] {
            breaker.heard(&outcome);
            assert!(breaker.enter().is_ok());
        }
        breaker.heard(&lost());
        assert!(breaker.enter().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_from_one_second_to_a_minute() {
        let breaker = Breaker::new(Pace::default());
        breaker.heard(&lost());
        breaker.heard(&lost());
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            breaker.heard(&lost());
            advance(Duration::from_secs(seconds) - Duration::from_millis(1)).await;
            assert!(breaker.enter().is_err(), "{seconds}");
            advance(Duration::from_millis(1)).await;
            assert!(breaker.enter().is_ok(), "{seconds}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_one_call_looks_and_the_others_wait_for_what_it_finds() {
        let breaker = Breaker::new(Pace::default());
        breaker.heard(&reply(429, None));
        advance(Duration::from_secs(1)).await;
        assert!(breaker.enter().is_ok());
        assert!(breaker.enter().is_err(), "somebody is looking");
        breaker.heard(&reply(200, None));
        assert!(breaker.enter().is_ok() && breaker.enter().is_ok() && breaker.is_closed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_never_ended_is_taken_over_by_another() {
        let breaker = Breaker::new(Pace::default());
        breaker.heard(&reply(429, None));
        advance(Duration::from_secs(1)).await;
        assert!(breaker.enter().is_ok());
        advance(CALL_TIMEOUT).await;
        assert!(breaker.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_asked_for_is_kept_up_to_a_minute() {
        for (asked, kept) in [(7, 7), (0, 1), (86_400, 60)] {
            let breaker = Breaker::new(Pace::default());
            breaker.heard(&reply(429, Some(asked)));
            advance(Duration::from_secs(kept) - Duration::from_millis(1)).await;
            assert!(breaker.enter().is_err(), "{asked}");
            advance(Duration::from_millis(1)).await;
            assert!(breaker.enter().is_ok(), "{asked}");
        }
    }
}
