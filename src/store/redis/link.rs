//! The connection: asking under a deadline, and getting it back when it is lost.
//!
//! Nobody waits for a reconnect. While there is no connection, a question fails at once; one task tries again and again,
//! and a server counts as back when it answers that task in time. A question whose answer did not come is never asked
//! again here: it may have been heard.

use super::breaker::Breaker;
use super::plan::{Line, RedisKind, RedisPlan};
use super::script::{Call, Reply};
use super::words;
use crate::ports::store::StoreError;
use ::redis::aio::{AsyncPushSender, ConnectionLike};
use ::redis::{cmd, Cmd, PushInfo, PushKind, RedisResult, Value};
use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};

/// How many questions may be under way. What comes beyond has a store that does not keep up, and fails at once: a queue
/// would only grow.
const UNDER_WAY: usize = 4096;
/// How many of these are kept for the log of revocations: a flood of slow requests must not keep anybody from revoking, nor
/// make the list look stale.
const FOR_THE_LOG: usize = 64;
const DIAL_AT_MOST: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// A connection that lived this long was a good one; after shorter ones the pauses grow.
const STEADY: Duration = Duration::from_secs(5);

pub(in crate::store) struct Link {
    plan: RedisPlan,
    live: ArcSwapOption<Live>,
    /// Why there is no connection.
    trouble: Mutex<StoreError>,
    under_way: Semaphore,
    for_the_log: Semaphore,
    dials: AtomicU64,
    lost: Arc<Notify>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum For {
    Requests,
    TheLog,
}

struct Live {
    serial: u64,
    line: Line,
    began: Instant,
    breaker: Breaker,
    /// What became of the last question.
    answered: AtomicBool,
}

impl Link {
    pub(super) async fn open(plan: RedisPlan) -> Result<Arc<Self>, StoreError> {
        let link = Arc::new(Self {
            plan,
            live: ArcSwapOption::empty(),
            trouble: Mutex::new(StoreError("not connected yet".to_owned())),
            under_way: Semaphore::new(UNDER_WAY - FOR_THE_LOG),
            for_the_log: Semaphore::new(FOR_THE_LOG),
            dials: AtomicU64::new(0),
            lost: Arc::new(Notify::new()),
        });
        if !link.dial().await {
            tracing::warn!(target: "doorward::store", "the store is not there yet: {}", link.trouble.lock().0);
        }
        tokio::spawn(keep(Arc::downgrade(&link), Arc::clone(&link.lost)));
        Ok(link)
    }

    pub(super) fn plan(&self) -> &RedisPlan {
        &self.plan
    }

    pub(in crate::store) fn prefix(&self) -> &str {
        &self.plan.prefix
    }

    pub(super) fn is_up(&self) -> bool {
        self.live.load().is_some()
    }

    /// Whether the last question was answered, be it that there is no room.
    pub(super) fn answers(&self) -> bool {
        self.live.load().as_ref().is_some_and(|live| live.answered.load(Ordering::Relaxed))
    }

    #[cfg(test)]
    pub(super) fn is_lost(&self) -> bool {
        !self.is_up()
    }

    #[cfg(test)]
    pub(super) fn trouble(&self) -> parking_lot::MutexGuard<'_, StoreError> {
        self.trouble.lock()
    }

    #[cfg(test)]
    pub(super) fn dialled(&self) -> u64 {
        self.dials.load(Ordering::Relaxed)
    }

    pub(in crate::store) async fn ask(&self, asker: For, command: &Cmd) -> Result<Value, StoreError> {
        self.within_deadline(asker, |mut line| async move { line.send(command).await }).await
    }

    /// Runs a script by its hash, and with its text where the server does not know it: after a restart or a failover.
    pub(in crate::store) async fn answer(&self, asker: For, call: &Call) -> Result<Value, StoreError> {
        let by_hash = call.by_hash();
        self.within_deadline(asker, |mut line| async move {
            match line.send(&by_hash).await {
                Err(error) if words::is_unknown_script(&error) => line.send(&call.by_text()).await,
                answer => answer,
            }
        })
        .await
    }

    pub(super) async fn run(&self, call: &Call) -> Result<Reply, StoreError> {
        Reply::read(self.answer(For::Requests, call).await?)
    }

    /// A connection of its own, on which `pushes` hears of `channel`.
    pub(in crate::store) async fn listen(
        &self,
        channel: &str,
        pushes: impl AsyncPushSender,
    ) -> Result<Line, StoreError> {
        // Where nobody is asked, one task looks whether that has changed, and no further one knocks.
        if self.live.load().is_none() {
            return Err(self.trouble.lock().clone());
        }
        let mut line = self.connect(pushes).await?;
        let subscribed = tokio::time::timeout(self.plan.timeout, line.subscribe(channel)).await;
        subscribed.map_err(|_| self.too_late())?.map_err(|error| words::of(&error))?;
        Ok(line)
    }

    async fn within_deadline<F>(&self, asker: For, ask: impl FnOnce(Line) -> F) -> Result<Value, StoreError>
    where
        F: Future<Output = RedisResult<Value>>,
    {
        let Some(live) = self.live.load_full() else {
            return Err(self.trouble.lock().clone());
        };
        let Some(_turn) = self.turn(asker) else {
            return Err(StoreError(format!("{UNDER_WAY} questions are under way already")));
        };
        let asked = live.began.elapsed();
        let error = match tokio::time::timeout(self.plan.timeout, ask(live.line.clone())).await {
            Ok(Ok(value)) => {
                live.answered.store(true, Ordering::Relaxed);
                live.breaker.answered(live.began.elapsed());
                return Ok(value);
            }
            Ok(Err(error)) => {
                let trouble = words::of(&error);
                live.answered.store(words::is_full(&error), Ordering::Relaxed);
                if words::needs_new_connection(&error) && !matches!(live.line, Line::Many(_)) {
                    self.lose(live.serial, &trouble);
                }
                if !words::is_silence(&error) {
                    live.breaker.answered(live.began.elapsed());
                    return Err(trouble);
                }
                trouble
            }
            Err(_) => {
                live.answered.store(false, Ordering::Relaxed);
                self.too_late()
            }
        };
        if live.breaker.unanswered(asked, live.began.elapsed()) {
            self.lose(live.serial, &error);
        }
        Err(error)
    }

    fn turn(&self, asker: For) -> Option<SemaphorePermit<'_>> {
        let turn = self.under_way.try_acquire().ok();
        match asker {
            For::Requests => turn,
            For::TheLog => turn.or_else(|| self.for_the_log.try_acquire().ok()),
        }
    }

    fn too_late(&self) -> StoreError {
        StoreError(format!("no answer within {:?}", self.plan.timeout))
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
            tracing::warn!(target: "doorward::store", "lost the store: {}", why.0);
            self.lost.notify_one();
        }
    }

    /// One attempt.
    async fn dial(self: &Arc<Self>) -> bool {
        let serial = self.dials.fetch_add(1, Ordering::Relaxed) + 1;
        let (weak, cluster) = (Arc::downgrade(self), matches!(self.plan.kind, RedisKind::Cluster(_)));
        let hung_up = move |info: PushInfo| {
            // one connection of a cluster is not all of them
            if let Some(link) = weak.upgrade().filter(|_| info.kind == PushKind::Disconnection && !cluster) {
                link.lose(serial, &StoreError("the server closed the connection".to_owned()));
            }
            Ok::<(), ()>(())
        };
        match self.connect(hung_up).await {
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

    /// A connection to a server that answers in time, and that is not a replica: it would be lost again with the first
    /// write, and found again, without end.
    async fn connect(&self, pushes: impl AsyncPushSender) -> Result<Line, StoreError> {
        let late = || StoreError(format!("no connection within {DIAL_AT_MOST:?}"));
        let dialled = tokio::time::timeout(DIAL_AT_MOST, self.plan.dial(pushes)).await;
        let line = dialled.map_err(|_| late())??;
        if let Line::Many(_) = line {
            // one node would answer for the others, and one that is away takes nothing from them
            return Ok(line);
        }
        // a write that changes nothing, among the rights that a gate needs anyway
        let mut probe = cmd("DEL");
        probe.arg(format!("{}probe", self.plan.prefix));
        match tokio::time::timeout(self.plan.timeout, line.clone().send(&probe)).await {
            Ok(Err(error)) if words::is_silence(&error) || words::needs_new_connection(&error) => {
                Err(words::of(&error))
            }
            // whoever refuses this may answer the rest
            Ok(_) => Ok(line),
            Err(_) => Err(self.too_late()),
        }
    }
}

impl Live {
    fn new(serial: u64, line: Line) -> Self {
        let breaker = match &line {
            Line::One(_) => Breaker::for_one_server(),
            Line::Many(_) => Breaker::for_a_cluster(),
        };
        Self { serial, line, began: Instant::now(), breaker, answered: AtomicBool::new(true) }
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

    async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::One(line) => line.subscribe(channel).await,
            Self::Many(line) => line.subscribe(channel).await,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("plan", &self.plan)
            .field("up", &self.live.load().is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line")
    }
}
