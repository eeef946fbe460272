//! So many at once, so many waiting, nobody beyond.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Debug)]
pub(super) struct Turnstile {
    running: Arc<Semaphore>,
    /// Those who run and those who wait.
    present: Arc<Semaphore>,
}

/// Leave to run, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    _running: OwnedSemaphorePermit,
    _present: OwnedSemaphorePermit,
}

impl Turnstile {
    pub(super) fn new(at_once: usize, waiting: usize) -> Self {
        let present = at_once.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            present: Arc::new(Semaphore::new(present)),
        }
    }

    /// A turn, first come first served; `None` at once when too many wait already. Whoever stops waiting makes room.
    pub(super) async fn enter(&self) -> Option<Turn> {
        let present = Arc::clone(&self.present).try_acquire_owned().ok()?;
        let running = Arc::clone(&self.running).acquire_owned().await.ok()?;
        Some(Turn { _running: running, _present: present })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    type Waiting<'t> = Pin<Box<dyn Future<Output = Option<Turn>> + 't>>;

    fn poll(waiting: &mut Waiting<'_>) -> Poll<Option<Turn>> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn enter(turnstile: &Turnstile) -> (Waiting<'_>, Poll<Option<Turn>>) {
        let mut waiting: Waiting<'_> = Box::pin(turnstile.enter());
        let now = poll(&mut waiting);
        (waiting, now)
    }

    #[test]
    fn so_many_run_so_many_wait_and_the_next_is_turned_away() {
        let turnstile = Turnstile::new(2, 3);
        let running: Vec<_> = (0..2).map(|_| enter(&turnstile)).collect();
        assert!(running.iter().all(|(_, now)| matches!(now, Poll::Ready(Some(_)))));
        let waiting: Vec<_> = (0..3).map(|_| enter(&turnstile)).collect();
        assert!(waiting.iter().all(|(_, now)| now.is_pending()));
        assert!(matches!(enter(&turnstile).1, Poll::Ready(None)));
    }

    #[test]
    fn whoever_waits_longest_is_next() {
        let turnstile = Turnstile::new(1, 2);
        let (_, first) = enter(&turnstile);
        let (mut second, _) = enter(&turnstile);
        let (mut third, _) = enter(&turnstile);
        drop(first);
        assert!(poll(&mut third).is_pending());
        assert!(matches!(poll(&mut second), Poll::Ready(Some(_))));
    }

    #[test]
    fn whoever_stops_waiting_makes_room() {
        let turnstile = Turnstile::new(1, 1);
        let _running = enter(&turnstile);
        let waiting = enter(&turnstile);
        assert!(matches!(enter(&turnstile).1, Poll::Ready(None)));
        drop(waiting);
        assert!(enter(&turnstile).1.is_pending());
    }
}
