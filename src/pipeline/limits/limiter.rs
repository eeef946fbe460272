//! Spending from buckets that replicas share: from memory where something was reserved, else by one question that
//! everybody waits for who wants the same.
//!
//! Questions of many buckets travel together. They run in tasks of their own, so that a client who hangs up loses no
//! tokens for the others.

mod gather;
mod queue;

pub(super) use gather::Foreseen;

use super::book::{Book, Entry, Missed, Page};
use super::weather::{Weather, LOOK_EVERY};
use crate::domain::limit::bucket::{micros, Micros};
use crate::domain::limit::fields::Standing;
use crate::domain::limit::lease::{Away, Step, Told};
use crate::domain::limit::{key, Bucket, BucketId, KeyText, Limit, OnStoreDown};
use crate::ports::limits::{Ask, Buckets, Fleet, Group};
use crate::ports::revocation::Clock;
use crate::ports::store::StoreError;
use parking_lot::Mutex;
use queue::{Asked, Full, Queue, Reply};
use std::sync::atomic::AtomicU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Nobody waits longer for an answer, however patient the store's own deadline is: what was reserved is worth nothing
/// by then.
const PATIENCE: Duration = Duration::from_secs(1);
/// What is reserved ahead waits at least so long, and a [`GATHER_PART`] of the time it has: others may want something, too,
/// and a call costs as much as dozens of the questions in it.
const GATHER: Micros = 10_000;
const GATHER_PART: Micros = 4;
/// A batch is this part of what each replica could have at most.
const BATCHES: u32 = 8;

/// Buckets as this replica spends from them. It outlives configurations.
#[derive(Debug)]
pub struct Limiter {
    store: Arc<dyn Buckets>,
    fleet: Arc<dyn Fleet>,
    clock: Arc<dyn Clock>,
    pub(super) book: Book,
    weather: Weather,
    queue: Mutex<Queue>,
    /// Counts requests that ask about several buckets.
    groups: AtomicU32,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Granted(Standing),
    Refused(Standing),
    /// The store is away, and this limit lets everybody through then.
    Unlimited,
    /// The store is away, and this limit lets nobody through then.
    CannotTell,
}

/// One request and one limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spend<'a> {
    pub(super) limit: &'a Limit,
    /// As a [`KeyText`] writes it.
    pub(super) key: &'a [u8],
    /// Where it is counted, if that is known.
    pub(super) page: Option<&'a Arc<Page>>,
    pub(super) cost: u32,
}

enum Next {
    Done(Verdict),
    /// For what will stand on the page.
    Wait(watch::Receiver<()>, Arc<Page>),
    AskAlone,
}

impl Limiter {
    #[must_use]
    pub fn new(store: Arc<dyn Buckets>, fleet: Arc<dyn Fleet>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (book, weather, queue) = (Book::new(), Weather::default(), Mutex::default());
        Arc::new(Self { store, fleet, clock, book, weather, queue, groups: AtomicU32::new(1) })
    }

    /// Whether replicas enforce their shares, each for itself.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.weather.away().is_some()
    }

    /// Where requests of `key` are counted, once the store was asked about them.
    pub(super) fn page(&self, key: &KeyText) -> Option<Arc<Page>> {
        self.book.find(key.as_bytes())
    }

    /// The verdict, if it is in memory.
    pub(super) fn spend_now(self: &Arc<Self>, spend: Spend<'_>) -> Option<Verdict> {
        let now = self.now();
        if self.weather.away().is_some() {
            return Some(self.spend_alone(spend, now));
        }
        let found;
        let page = match spend.page {
            Some(page) => page,
            None => {
                found = self.book.find(spend.key)?;
                &found
            }
        };
        let mut entry = page.entry();
        if let Some(missed) = entry.missed.as_deref().copied().filter(|missed| now < missed.until) {
            let away = Away { since: missed.since, replicas: self.weather.replicas() };
            return Some(share_out(&mut entry, spend, now, away));
        }
        let step = if spend.limit.exact {
            entry.lease.recall(spend.cost, now)
        } else {
            entry.lease.step(spend.limit.bucket, spend.cost, now)
        };
        match step {
            Step::Ask => None,
            Step::Refused(standing) => Some(Verdict::Refused(standing)),
            Step::Granted(standing) => {
                let low = entry.lease.runs_low(now, self.batch(spend.limit)).filter(|_| !entry.is_asked());
                let ahead = low.map(|lasts| {
                    let (tell, told) = watch::channel(());
                    entry.question = Some(told);
                    (tell, now.saturating_add(GATHER.max(lasts / GATHER_PART)))
                });
                drop(entry);
                if let Some((tell, at)) = ahead {
                    // where there is no room for it, nobody waits for it either
                    let _ = self.enqueue(vec![asked(spend, Some(page), Reply::Shared(tell))], Some(at));
                }
                Some(Verdict::Granted(standing))
            }
        }
    }

    /// Whether `cost` was refused a moment ago, and how the bucket stood then.
    pub(super) fn recalls(&self, key: &KeyText, cost: u32) -> Option<Standing> {
        let page = self.book.find(key.as_bytes())?;
        let recalled = page.entry().lease.recall(cost, self.now());
        match recalled {
            Step::Refused(standing) => Some(standing),
            Step::Granted(_) | Step::Ask => None,
        }
    }

    /// The verdict. Waits for the store where nothing is in memory, and never while the store is away.
    pub(super) async fn spend(self: &Arc<Self>, spend: Spend<'_>) -> Verdict {
        let came = self.now();
        let given_up = came.saturating_add(micros(PATIENCE));
        let mut waited = None;
        while self.now() < given_up {
            // what it waited for is there, also if the page has been torn out meanwhile
            let mut answer = match self.next(Spend { page: waited.as_ref(), ..spend }) {
                Next::Done(verdict) => return verdict,
                Next::AskAlone => return self.ask_alone(spend).await,
                Next::Wait(answer, page) => {
                    waited = Some(page);
                    answer
                }
            };
            // ends when the question does: nothing is ever sent
            let _ = tokio::time::timeout(PATIENCE, answer.changed()).await;
        }
        // The store is there, and others were quicker each time: what it says to this request alone nobody takes away.
        if self.was_told_since(spend, came) {
            return self.ask_alone(spend).await;
        }
        self.spend_alone(spend, self.now())
    }

    fn was_told_since(&self, spend: Spend<'_>, then: Micros) -> bool {
        self.book.find(spend.key).is_some_and(|page| page.entry().lease.was_told_since(then))
    }

    fn next(self: &Arc<Self>, spend: Spend<'_>) -> Next {
        if let Some(verdict) = self.spend_now(spend) {
            return Next::Done(verdict);
        }
        if spend.limit.exact {
            return Next::AskAlone;
        }
        let now = self.now();
        let Some(page) = self.book.open(spend.key, now) else { return Next::AskAlone };
        let mut entry = page.entry();
        if let Some(question) = entry.question.clone().filter(|question| question.has_changed().is_ok()) {
            drop(entry);
            self.hurry();
            return Next::Wait(question, page);
        }
        let (tell, told) = watch::channel(());
        entry.question = Some(told.clone());
        drop(entry);
        match self.enqueue(vec![asked(spend, Some(&page), Reply::Shared(tell))], None) {
            Ok(()) => Next::Wait(told, page),
            Err(Full) => Next::Done(self.spend_alone(spend, now)),
        }
    }

    async fn ask_alone(self: &Arc<Self>, spend: Spend<'_>) -> Verdict {
        let given_up = self.now().saturating_add(micros(PATIENCE));
        // one failure says little
        for _ in 0..2 {
            let (tell, told) = oneshot::channel();
            let page = self.book.open(spend.key, self.now());
            if self.enqueue(vec![asked(spend, page.as_ref(), Reply::Exact(tell))], None).is_err() {
                break;
            }
            match tokio::time::timeout(PATIENCE, told).await {
                Ok(Ok(Some(told))) if told.granted >= spend.cost => return gather::granted(&told),
                Ok(Ok(Some(told))) => return gather::refused(&told),
                _ if self.is_alone() || self.now() >= given_up => break,
                _ => {}
            }
        }
        self.spend_alone(spend, self.now())
    }

    /// As the limit says for when the store is away.
    fn spend_alone(self: &Arc<Self>, spend: Spend<'_>, now: Micros) -> Verdict {
        self.look(now);
        if let Some(verdict) = without_counting(spend.limit) {
            return verdict;
        }
        // neither away nor answering in time: away for this request
        let unanswered = || Away { since: now.saturating_sub(micros(PATIENCE)), replicas: self.fleet.replicas() };
        let away = self.weather.away().unwrap_or_else(unanswered);
        for last in [false, true] {
            let Some(page) = self.book.open_alone(spend.key, key::of_limit(spend.key), now) else { break };
            let mut entry = page.entry();
            // one that was torn out a moment ago would be a second share
            if last || page.is_in_the_book() {
                return share_out(&mut entry, spend, now, away);
            }
        }
        Verdict::CannotTell
    }

    /// How a bucket stands, over all replicas. What they have reserved counts as spent.
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn look_at(&self, limit: &Limit, key: &KeyText) -> Result<Told, StoreError> {
        let id = BucketId::of(&limit.name, key.as_bytes());
        let told = self
            .store
            .reserve(&[Ask { id, bucket: limit.bucket, want: 0, least: 0, ahead: 0, group: Group::NONE }])
            .await?;
        told.first().copied().flatten().ok_or_else(|| StoreError("no answer for a bucket".to_owned()))
    }

    /// Fills a bucket: here at once, on other replicas within a second. `false`: it was full.
    ///
    /// # Errors
    /// The store cannot be asked; nothing was filled but what is remembered here.
    pub async fn refill(&self, limit: &Limit, key: &KeyText) -> Result<bool, StoreError> {
        self.book.forget(key.as_bytes());
        self.store.refill(BucketId::of(&limit.name, key.as_bytes())).await
    }

    /// Has them asked at once, or no later than `at`, if there is room.
    fn enqueue(self: &Arc<Self>, asked: Vec<Asked>, at: Option<Micros>) -> Result<(), Full> {
        if asked.is_empty() {
            return Ok(());
        }
        let mut queue = self.queue.lock();
        queue.push(asked, at)?;
        if queue.needs_a_lane(at) {
            drop(queue);
            tokio::spawn(Arc::clone(self).drive(at));
        }
        Ok(())
    }

    /// Somebody waits now for a question that could wait.
    fn hurry(self: &Arc<Self>) {
        if self.queue.lock().can_be_hurried() {
            tokio::spawn(Arc::clone(self).drive(None));
        }
    }

    /// Asks what is in the queue until nothing is.
    async fn drive(self: Arc<Self>, at: Option<Micros>) {
        if let Some(at) = at {
            tokio::time::sleep(Duration::from_micros(at.saturating_sub(self.now()))).await;
            self.queue.lock().gathered(at);
        }
        while let Some(batch) = self.take_batch() {
            let sent = self.now();
            let asks: Vec<Ask> = batch.iter().map(|asked| self.ask(asked, sent)).collect();
            let answer = self.reserve(&asks).await;
            let now = self.now();
            for (at, asked) in batch.into_iter().enumerate() {
                let told = answer.as_ref().map(|answer| answer.get(at).copied().flatten());
                self.settle(asked, told, (sent, now));
            }
        }
    }

    fn take_batch(&self) -> Option<Vec<Asked>> {
        let now = self.now();
        self.queue.lock().batch(now)
    }

    fn ask(&self, asked: &Asked, now: Micros) -> Ask {
        let entry = asked.page.as_ref().map(|page| page.entry());
        let lease = entry.as_ref().map(|entry| &entry.lease);
        let ahead = lease.map_or(0, |lease| lease.ahead(self.weather.last(), now));
        let want = match (&asked.reply, lease) {
            (Reply::Shared(_), Some(lease)) => {
                let others = u32::try_from(asked.reply.waiting()).unwrap_or(u32::MAX);
                let waiting = asked.least.saturating_mul(others).max(asked.least);
                lease.want(asked.limit, now, (waiting, self.batch_of(asked.limit.burst)))
            }
            (Reply::Shared(_), None) | (Reply::Exact(_), _) => asked.least,
        };
        Ask {
            id: asked.id,
            bucket: asked.limit,
            want: want.max(asked.least),
            least: asked.least,
            ahead,
            group: asked.group,
        }
    }

    async fn reserve(&self, asks: &[Ask]) -> Option<Vec<Option<Told>>> {
        let sent = self.now();
        let answer = tokio::time::timeout(PATIENCE, self.store.reserve(asks)).await;
        let now = self.now();
        match answer {
            Ok(Ok(told)) => {
                if self.weather.answered(now, self.fleet.replicas()) {
                    tracing::info!(target: "doorward::limits", "the store is back: limits are shared again");
                }
                return Some(told);
            }
            Ok(Err(error)) => self.failed((sent, now), &error.0),
            Err(_) => self.failed((sent, now), "no answer in time"),
        }
        None
    }

    fn failed(&self, (sent, now): (Micros, Micros), why: &str) {
        if !self.weather.failed(sent, now) && self.store.is_reachable() {
            return;
        }
        let replicas = self.fleet.replicas();
        if self.weather.lost(now, replicas) {
            tracing::warn!(target: "doorward::limits", replicas, "each replica limits alone: {why}");
        }
    }

    /// `None`: nothing was answered; `Some(None)`: other questions of the call were.
    fn settle(&self, asked: Asked, told: Option<Option<Told>>, times: (Micros, Micros)) {
        let (missed, told) = (told == Some(None), told.flatten());
        if let Some(mut entry) = asked.page.as_ref().map(|page| page.entry()) {
            if let Some(told) = &told {
                entry.lease.learn(asked.limit, told, times);
            }
            let since = entry.missed.as_ref().map_or(times.1, |missed| missed.since);
            let until = times.1.saturating_add(LOOK_EVERY);
            entry.missed = missed.then(|| Box::new(Missed { since, until }));
            if let Reply::Shared(_) = &asked.reply {
                entry.question = None;
                entry.lease.keep(told.map_or(0, |told| told.granted), times);
            }
        }
        if let Reply::Exact(tell) = asked.reply {
            // whoever asked may have gone
            let _ = tell.send(told);
        }
    }

    /// One question beside requests, now and then, whether the store is back.
    fn look(self: &Arc<Self>, now: Micros) {
        if self.weather.away().is_some() && self.weather.is_time_to_look(now) {
            let limiter = Arc::clone(self);
            tokio::spawn(async move {
                // it writes: a store that only reads is not back
                let bucket = Bucket { interval: 1, burst: 1 };
                limiter
                    .reserve(&[Ask { id: BucketId([0; 16]), bucket, want: 1, least: 0, ahead: 0, group: Group::NONE }])
                    .await
            });
        }
    }

    fn batch(&self, limit: &Limit) -> u32 {
        self.batch_of(limit.bucket.burst)
    }

    fn batch_of(&self, burst: u32) -> u32 {
        (burst / self.weather.replicas().max(1).saturating_mul(BATCHES)).max(1)
    }

    /// Which second it is, for what is said once in one.
    pub(super) fn second(&self) -> u64 {
        self.clock.steady().as_secs()
    }

    fn now(&self) -> Micros {
        micros(self.clock.steady())
    }
}

/// As the limit says for when the store is away, from a share of the bucket.
fn share_out(entry: &mut Entry, spend: Spend<'_>, now: Micros, away: Away) -> Verdict {
    if let Some(verdict) = without_counting(spend.limit) {
        return verdict;
    }
    match entry.lease.step_alone(spend.limit.bucket, spend.cost, now, away) {
        Step::Granted(standing) => Verdict::Granted(standing),
        Step::Refused(standing) => Verdict::Refused(standing),
        Step::Ask => Verdict::CannotTell,
    }
}

fn without_counting(limit: &Limit) -> Option<Verdict> {
    match limit.on_store_down {
        OnStoreDown::Allow => Some(Verdict::Unlimited),
        OnStoreDown::Deny => Some(Verdict::CannotTell),
        OnStoreDown::Local => None,
    }
}

fn asked(spend: Spend<'_>, page: Option<&Arc<Page>>, reply: Reply) -> Asked {
    Asked {
        id: BucketId::of(&spend.limit.name, spend.key),
        limit: spend.limit.bucket,
        page: page.map(Arc::clone),
        least: spend.cost,
        group: Group::NONE,
        reply,
    }
}

#[cfg(test)]
#[path = "limiter_tests.rs"]
mod tests;
