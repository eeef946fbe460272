//! One flight per question: whoever asks what is being found out already waits for the answer instead of asking again.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// Questions under way, by name.
pub(super) struct Flights<K, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
}

impl<K, V> Flights<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// The answer to `key`: of the flight under way, or of `work`, which from then on runs in a task of its own. A
    /// client that leaves cancels its waiting and nothing else, for an answer may spend what can be spent once.
    ///
    /// `None` when the work ended without an answer.
    pub(super) async fn join(&self, key: K, work: impl Future<Output = V> + Send + 'static) -> Option<V> {
        let mut answer = self.board(key, work);
        let answered = answer.wait_for(Option::is_some).await.ok()?;
        answered.clone()
    }

    fn board(&self, key: K, work: impl Future<Output = V> + Send + 'static) -> watch::Receiver<Option<V>> {
        let mut under_way = self.under_way.lock();
        if let Some(answer) = under_way.get(&key) {
            return answer.clone();
        }
        let (tell, answer) = watch::channel(None);
        under_way.insert(key.clone(), answer.clone());
        let landing = Landing { under_way: Arc::clone(&self.under_way), key };
        tokio::spawn(async move {
            // Landed even if the work panics, and before anybody is told: whoever comes later asks anew, and neither waits
            // for ever nor is given what somebody else was.
            let landing = landing;
            let answer = work.await;
            drop(landing);
            tell.send_replace(Some(answer));
        });
        answer
    }
}

struct Landing<K: Eq + Hash, V> {
    under_way: Arc<Mutex<HashMap<K, watch::Receiver<Option<V>>>>>,
    key: K,
}

impl<K: Eq + Hash, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.key);
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self { under_way: Arc::default() }
    }
}

impl<K, V> fmt::Debug for Flights<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("under_way", &self.under_way.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Notify;

    #[tokio::test]
    async fn two_hundred_who_ask_at_once_ask_once() {
        let flights: Arc<Flights<u8, u32>> = Arc::default();
        let (asked, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let mut waiting = Vec::new();
        for _ in 0..200 {
            let (asked, go) = (Arc::clone(&asked), Arc::clone(&go));
            let work = async move {
                let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
                go.notified().await;
                count
            };
            let flights = Arc::clone(&flights);
            waiting.push(tokio::spawn(async move { flights.join(7, work).await }));
        }
        tokio::task::yield_now().await;
        go.notify_one();
        for one in waiting {
            assert_eq!(one.await.unwrap(), Some(1));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn whoever_comes_after_an_answer_asks_anew() {
        let flights: Flights<u8, u32> = Flights::default();
        for turn in 0..2000 {
            assert_eq!(flights.join(7, async move { turn }).await, Some(turn));
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_does_not_end_the_flight() {
        let flights: Arc<Flights<u8, u32>> = Arc::default();
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let work = {
            let (go, done) = (Arc::clone(&go), Arc::clone(&done));
            async move {
                go.notified().await;
                done.notify_one();
                1
            }
        };
        let mut left = Box::pin(flights.join(7, work));
        assert!(futures_poll_once(left.as_mut()).await.is_none());
        drop(left);
        go.notify_one();
        done.notified().await;
    }

    #[tokio::test]
    async fn what_ended_without_an_answer_is_asked_again() {
        let flights: Flights<u8, u32> = Flights::default();
        assert_eq!(flights.join(7, async { panic!("on purpose") }).await, None);
        assert_eq!(flights.join(7, async { 2 }).await, Some(2));
    }

    async fn futures_poll_once<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
        std::future::poll_fn(|cx| match std::pin::Pin::new(&mut future).poll(cx) {
            std::task::Poll::Ready(value) => std::task::Poll::Ready(Some(value)),
            std::task::Poll::Pending => std::task::Poll::Ready(None),
        })
        .await
    }
}
