//! The connection: asking under a deadline, and getting it back when it is lost.
//!
//! Nobody waits for a reconnect. While there is no connection, a question fails at once; one task tries again and again.
//! A question whose answer did not come is never asked again here: it may have been heard.

use super::plan::{Line, RedisPlan};
use super::script::{Call, Reply};
use super::words;
use crate::domain::session::whole;
use crate::ports::store::StoreError;
use ::redis::aio::ConnectionLike;
use ::redis::{Cmd, RedisResult, Value};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// For how many deadlines a connection may answer nobody before it counts as dead though nobody closed it.
const SILENT: u32 = 3;
/// A cluster has many connections, and one dead node must not cost the others theirs.
const SILENT_CLUSTER: u32 = 16;
const DIAL_AT_MOST: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that lived this long was a good one; after shorter ones the pauses grow.
const STEADY: Duration = Duration::from_secs(5);

pub(super) struct Link {
    plan: RedisPlan,
    live: ArcSwapOption<Live>,
    /// Why there is no connection.
    trouble: Mutex<StoreError>,
    dials: AtomicU64,
    lost: Arc<Notify>,
}

struct Live {
    serial: u64,
    line: Line,
    began: Instant,
    /// Milliseconds from then to the first question without an answer since the last with one; 0: none.
    silent_since: AtomicU64,
}

impl Link {
    pub(super) async fn open(plan: RedisPlan) -> Result<Arc<Self>, StoreError> {
        let trouble = Mutex::new(StoreError("not connected yet".to_owned()));
        let (live, dials, lost) = (ArcSwapOption::empty(), AtomicU64::new(0), Arc::new(Notify::new()));
        let link = Arc::new(Self { plan, live, trouble, dials, lost });
        link.dial().await;
        tokio::spawn(keep(Arc::downgrade(&link), Arc::clone(&link.lost)));
        Ok(link)
    }

    pub(super) fn plan(&self) -> &RedisPlan {
        &self.plan
    }

    pub(super) fn prefix(&self) -> &str {
        &self.plan.prefix
    }

    #[cfg(test)]
    pub(super) fn is_lost(&self) -> bool {
        self.live.load().is_none()
    }

    #[cfg(test)]
    pub(super) fn trouble(&self) -> parking_lot::MutexGuard<'_, StoreError> {
        self.trouble.lock()
    }

    #[cfg(test)]
    pub(super) fn dialled(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }

    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, StoreError> {
        self.within_deadline(|mut line| async move { line.send(command).await }).await
    }

    /// Runs a script by its hash, and with its text where the server does not know it: after a restart or a failover.
    pub(super) async fn run(&self, call: &Call) -> Result<Reply, StoreError> {
        let by_hash = call.by_hash();
        let answer = self.within_deadline(|mut line| async move {
            match line.send(&by_hash).await {
                Err(error) if words::is_unknown_script(&error) => line.send(&call.by_text()).await,
                answer => answer,
            }
        });
        Reply::read(answer.await?)
    }

    async fn within_deadline<F>(&self, ask: impl FnOnce(Line) -> F) -> Result<Value, StoreError>
    where
        F: Future<Output = RedisResult<Value>>,
    {
        let Some(live) = self.live.load_full() else {
            return Err(self.trouble.lock().clone());
        };
        let error = match tokio::time::timeout(self.plan.timeout, ask(live.line.clone())).await {
            Ok(Ok(value)) => {
                live.silent_since.store(0, Ordering::Relaxed);
                return Ok(value);
            }
            Ok(Err(error)) => {
                let trouble = words::of(&error);
                if words::needs_new_connection(&error) && !matches!(live.line, Line::Many(_)) {
                    self.lose(live.serial, &trouble);
                }
                if !words::is_silence(&error) {
                    return Err(trouble);
                }
                trouble
            }
            Err(_) => StoreError(format!("no answer within {:?}", self.plan.timeout)),
        };
        if live.is_silent_for(self.plan.timeout) {
            self.lose(live.serial, &error);
        }
        Err(error)
    }

    /// Drops connection `serial`, if it is still the one in use, and has the next one made.
    fn lose(&self, serial: u64, why: &StoreError) {
        let current = self.live.load_full();
        if current.as_ref().is_none_or(|live| live.serial != serial) {
            return;
        }
        *self.trouble.lock() = why.clone();
        let before = self.live.compare_and_swap(&current, None);
        if before.as_ref().is_some_and(|live| live.serial == serial) {
            tracing::warn!(target: "doorward::store", "lost the store: {why}");
            self.lost.notify_one();
        }
    }

    /// One attempt.
    async fn dial(self: &Arc<Self>) -> bool {
        let serial = self.dials.fetch_add(1, Ordering::Relaxed) + 1;
        let weak = Arc::downgrade(self);
        let hung_up = move || {
            if let Some(link) = Weak::upgrade(&weak) {
                link.lose(serial, &StoreError("the server closed the connection".to_owned()));
            }
        };
        let dialled = tokio::time::timeout(DIAL_AT_MOST, self.plan.dial(hung_up)).await;
        let late = || StoreError(format!("no connection within {DIAL_AT_MOST:?}"));
        match dialled.map_err(|_| late()).and_then(|dialled| dialled) {
            Ok(line) => {
                self.live.store(Some(Arc::new(Live::new(serial, line))));
                true
            }
            Err(trouble) => {
                *self.trouble.lock() = trouble;
                false
            }
        }
    }
}

impl Live {
    fn new(serial: u64, line: Line) -> Self {
        Self { serial, line, began: Instant::now(), silent_since: AtomicU64::new(0) }
    }

    /// Notes one question without an answer. One hiccup leaves many of them, so time counts and not their number.
    fn is_silent_for(&self, timeout: Duration) -> bool {
        let bearable = if matches!(self.line, Line::Many(_)) { SILENT_CLUSTER } else { SILENT };
        let now = whole(self.began.elapsed()).max(1);
        match self.silent_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => false,
            Err(since) => now.saturating_sub(since) >= whole(timeout * bearable),
        }
    }
}

/// Sees to it that there is a connection, as long as anybody wants one.
async fn keep(link: Weak<Link>, lost: Arc<Notify>) {
    let mut pause = FIRST_PAUSE;
    let mut connected = Instant::now();
    loop {
        let mut lived = false;
        while link.upgrade().is_some_and(|link| link.live.load().is_some()) {
            lived = true;
            lost.notified().await;
        }
        if lived && connected.elapsed() > STEADY {
            pause = FIRST_PAUSE;
        }
        // at random, or every replica that lost one server would be back at the same moment
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let Some(wanted) = link.upgrade() else { return };
        if wanted.dial().await {
            connected = Instant::now();
            tracing::info!(target: "doorward::store", "connected to the store");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.lost.notify_one();
    }
}

impl Line {
    async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        let answer = match self {
            Self::One(line) => line.req_packed_command(command).await,
            Self::Many(line) => line.req_packed_command(command).await,
        };
        // a refusal of the server comes as a value
        answer?.extract_error()
    }
}
