//! A moment by which something must have come: moved by who knows what is awaited, watched by who can act on it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::{sleep_until, Sleep};

#[derive(Debug)]
pub(super) struct Deadline {
    began: Instant,
    /// In milliseconds since `began`; 0 when nothing is expected.
    due: AtomicU64,
    passed: AtomicBool,
}

impl Deadline {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), due: AtomicU64::new(0), passed: AtomicBool::new(false) }
    }

    /// Something must come within `patience` from `now`.
    pub(super) fn expect(&self, now: Instant, patience: Duration) {
        let due = (now.saturating_duration_since(self.began) + patience).as_millis();
        self.set(u64::try_from(due).unwrap_or(u64::MAX));
    }

    /// Nothing is expected for now.
    pub(super) fn lift(&self) {
        self.set(0);
    }

    /// Whether its alarm rang, and nothing else has been expected since.
    pub(super) fn passed(&self) -> bool {
        self.passed.load(Ordering::Relaxed)
    }

    fn set(&self, due: u64) {
        self.due.store(due, Ordering::Relaxed);
        self.passed.store(false, Ordering::Relaxed);
    }

    fn due(&self) -> Option<Instant> {
        let due = self.due.load(Ordering::Relaxed);
        // Beyond what the clock can say nothing is ever due.
        (due != 0).then(|| self.began.checked_add(Duration::from_millis(due))).flatten()
    }
}

/// Rings when a deadline passes. It is set anew only when it rings too early or would ring too late, so a busy
/// connection touches its timer once in a while, not once a request.
///
/// Nobody wakes it when the deadline is moved: whoever moves it must poll it again before sleeping.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    pub(super) fn poll(&mut self, deadline: &Deadline, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = deadline.due().map(tokio::time::Instant::from_std) else { return Poll::Pending };
        let alarm = self.0.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if alarm.deadline() > due {
            alarm.as_mut().reset(due);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline() >= due {
                deadline.passed.store(true, Ordering::Relaxed);
                return Poll::Ready(());
            }
            alarm.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn rings(deadline: &Deadline, alarm: &mut Alarm) -> bool {
        alarm.poll(deadline, &mut Context::from_waker(std::task::Waker::noop())).is_ready()
    }

    #[tokio::test]
    async fn nothing_expected_never_rings() {
        let (deadline, mut alarm) = (Deadline::new(), Alarm::default());
        assert!(!rings(&deadline, &mut alarm));
        deadline.expect(Instant::now(), Duration::from_millis(1));
        deadline.lift();
        assert!(!rings(&deadline, &mut alarm));
        assert!(!deadline.passed());
    }

    #[tokio::test]
    async fn an_alarm_that_waits_rings_when_the_deadline_passes() {
        let (deadline, mut alarm) = (Deadline::new(), Alarm::default());
        deadline.expect(Instant::now(), Duration::from_millis(5));
        poll_fn(|cx| alarm.poll(&deadline, cx)).await;
        assert!(deadline.passed());
        deadline.expect(Instant::now(), Duration::from_secs(3600));
        assert!(!deadline.passed(), "what passed was another one");
        assert!(!rings(&deadline, &mut alarm));
    }

    #[tokio::test]
    async fn a_deadline_moved_nearer_is_not_slept_through() {
        let (deadline, mut alarm) = (Deadline::new(), Alarm::default());
        deadline.expect(Instant::now(), Duration::from_secs(3600));
        assert!(!rings(&deadline, &mut alarm));
        deadline.expect(Instant::now(), Duration::from_millis(5));
        poll_fn(|cx| alarm.poll(&deadline, cx)).await;
        assert!(deadline.passed());
    }

    #[tokio::test]
    async fn a_deadline_beyond_every_clock_is_none() {
        let (deadline, mut alarm) = (Deadline::new(), Alarm::default());
        deadline.expect(Instant::now(), Duration::from_millis(u64::MAX));
        assert!(!rings(&deadline, &mut alarm));
    }
}
