//! Following the log: pushes for speed, a confirmation every second for certainty, and the whole log again whenever
//! there is any doubt.
//!
//! Nothing is ever taken off the list because a store does not have it. What the store lacks is given back to it, in
//! its original place, by whichever replica notices first.

use super::order::{Debt, BATCH};
use super::standing::{Link, Log};
use super::Revocations;
use crate::domain::revocation::{Index, Placed, Position, Record};
use crate::ports::revocation::{Ack, Batch, Confirmed, Entry, Epoch, Opened, Pushed, Subscription};
use crate::ports::store::StoreError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

const PAGE: usize = 1000;
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// Acknowledgements of pushes are put together within this span, so that a burst costs a replica 50 a second at most.
const SOON: Duration = Duration::from_millis(20);
const SWEEP_EVERY: Duration = Duration::from_secs(30);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(2);
/// Replicas that notice a loss together fill the log one after the other rather than all at once.
const HEAL_SPREAD: Duration = Duration::from_millis(100);
/// Between our clock and that of the log, for the moments of our clock to mean something there.
const AGREED_MS: u64 = 1000;
/// After so many of either the connection is given up: it may be one that only looks alive.
const SILENT_PUSHES: u32 = 3;
const FAILURES: u32 = 3;
/// That are said while the log cannot be followed.
const REASONS: usize = 8;

/// What a confirmation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// We have everything, and had it before we asked.
    Ours,
    /// We have everything, and had to fetch some of it.
    Fetched,
    /// This is not the log we followed, or it has lost something.
    Broken,
}

impl Revocations {
    /// Follows the log for as long as it is polled. Meant for a task of its own, one in a process.
    pub async fn follow(&self) {
        let (mut pause, mut trouble) = (FIRST_RETRY, Trouble::default());
        loop {
            match self.connect().await {
                Ok(subscription) => {
                    pause = FIRST_RETRY;
                    trouble.is_over();
                    self.listen(subscription).await;
                }
                Err(why) => trouble.note(why),
            }
            // half of it at random: replicas that lost the store together do not come back together
            self.clock.sleep(pause / 2 + self.some_of(pause / 2)).await;
            pause = pause.saturating_mul(2).min(LAST_RETRY);
        }
    }

    /// Reads what the log says right now. For the moments that deserve a question to the store: sign-in, renewal, token
    /// exchange. Returns where the log stands, for the `rv` of the token to be minted.
    ///
    /// # Errors
    /// The store cannot be asked; [`position`](Self::position) is the last that was heard.
    pub async fn catch_up(&self) -> Result<Position, StoreError> {
        if self.confirm().await? == Tail::Broken {
            self.read_all().await?;
        }
        // What was ordered here before stands before what is minted next, or its late delivery would hit that as well.
        if self.standing.lock().owes {
            let _told_again_with_the_next_tick = self.deliver().await;
        }
        Ok(self.position())
    }

    /// Tells the others not to wait for this replica.
    ///
    /// # Errors
    /// They will find out by themselves within seconds.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.log.leave(&self.terms.replica).await
    }

    async fn connect(&self) -> Result<Box<dyn Subscription>, StoreError> {
        // Subscribed before reading, so that nothing falls between; counted as live before being ready, so that no
        // receipt is given without us.
        let subscription = self.log.subscribe().await?;
        self.log.confirm(&Ack { epoch: None, ..self.ack() }).await?;
        self.read_all().await?;
        self.settle_debts().await?;
        self.confirm().await?;
        Ok(subscription)
    }

    async fn listen(&self, mut subscription: Box<dyn Subscription>) {
        let (mut failures, mut silent) = (0, 0);
        let mut asked = self.clock.steady();
        let mut swept = asked;
        let mut ask_at = asked;
        while failures < FAILURES && silent < SILENT_PUSHES {
            let pushed = subscription.next(ask_at.saturating_sub(self.clock.steady())).await;
            match pushed {
                Pushed::Batch(batch) => {
                    silent = 0;
                    self.absorb(&batch);
                    ask_at = ask_at.min(asked.saturating_add(SOON));
                }
                Pushed::Nothing => {}
                Pushed::Lost => return,
            }
            if self.clock.steady() < ask_at {
                continue;
            }
            asked = self.clock.steady();
            ask_at = asked.saturating_add(CONFIRM_EVERY.mul_f64(0.8) + self.some_of(CONFIRM_EVERY.mul_f64(0.4)));
            match self.confirm().await {
                Ok(Tail::Ours) => failures = 0,
                Ok(Tail::Fetched) => {
                    (failures, silent) = (0, silent + 1);
                    ask_at = asked.saturating_add(SOON);
                }
                Ok(Tail::Broken) => return,
                Err(_) => failures += 1,
            }
            if failures == 0 && (self.is_in_debt() || asked.saturating_sub(swept) > SWEEP_EVERY) {
                swept = asked;
                failures += u32::from(self.settle_debts().await.is_err());
            }
        }
    }

    /// One question to the log, and whatever it takes to have everything it says.
    pub(super) async fn confirm(&self) -> Result<Tail, StoreError> {
        let began = self.clock.steady();
        let ack = self.ack();
        let confirmed = self.log.confirm(&ack).await?;
        self.note(&confirmed);
        if ack.epoch.is_none() || confirmed.epoch != ack.epoch || confirmed.last < ack.position {
            return Ok(self.found_broken(ack.epoch));
        }
        let tail = if confirmed.last == ack.position {
            Tail::Ours
        } else if self.fetch().await? == Link::Whole && self.place() >= confirmed.last {
            Tail::Fetched
        } else {
            return Ok(self.found_broken(ack.epoch));
        };
        // as old as the question: the answer may have been on its way for long
        let at = u64::try_from(began.as_millis()).unwrap_or(u64::MAX);
        self.confirmed.fetch_max(at, Ordering::Relaxed);
        let standing = self.standing.lock();
        if standing.log == Log::Whole {
            self.broken.store(false, Ordering::Relaxed);
        }
        drop(standing);
        Ok(tail)
    }

    /// Until the log is whole again, others may have had something on it that nobody has told us.
    fn found_broken(&self, followed: Option<Epoch>) -> Tail {
        if followed.is_some() {
            // An answer from before the loss may still be on its way: it must not call the log whole again.
            self.standing.lock().log = Log::MayLack;
            self.forgot.fetch_max(self.now().0, Ordering::Relaxed);
        }
        self.broken.store(true, Ordering::Relaxed);
        Tail::Broken
    }

    fn ack(&self) -> Ack {
        let standing = self.standing.lock();
        Ack { replica: self.terms.replica.clone(), epoch: standing.epoch, position: standing.position }
    }

    /// As far as the log was read; [`position`](Self::position) may be ahead of it at the start.
    fn place(&self) -> Position {
        self.standing.lock().position
    }

    fn note(&self, confirmed: &Confirmed) {
        let mut standing = self.standing.lock();
        standing.live = confirmed.replicas.live;
        standing.note_time(confirmed.now_ms, self.clock.unix_ms());
    }

    /// Reads on from where we stand.
    async fn fetch(&self) -> Result<Link, StoreError> {
        loop {
            let page = self.log.pull(self.place(), PAGE).await?;
            if self.take(&page) == Link::Gap {
                return Ok(Link::Gap);
            }
            if page.len() < PAGE {
                return Ok(Link::Whole);
            }
        }
    }

    /// Enforces what was pushed, and moves on if nothing is missing before it.
    pub(super) fn absorb(&self, batch: &Batch) {
        let opened = self.open(&batch.entries);
        let mut standing = self.standing.lock();
        let news = self.learn(&mut standing, opened.into_iter());
        // A gap is left to the next confirmation: until then what is known of it is enforced all the same.
        let _gap_is_found_later = standing.follow(batch);
        drop(standing);
        self.tell(&news);
    }

    fn take(&self, page: &[Entry]) -> Link {
        let opened = self.open(page);
        let mut standing = self.standing.lock();
        let news = self.learn(&mut standing, opened.into_iter());
        let link = standing.step(page);
        drop(standing);
        self.tell(&news);
        link
    }

    fn open(&self, entries: &[Entry]) -> Vec<(Record, Placed)> {
        let records = entries.iter().map(|entry| {
            let record = entry.sealed.and_then(|sealed| self.terms.keys.open(&sealed));
            record.map(|record| (record, Placed::At(entry.position)))
        });
        let opened: Vec<_> = records.flatten().collect();
        let ignored = u64::try_from(entries.len() - opened.len()).unwrap_or_default();
        self.ignored.fetch_add(ignored, Ordering::Relaxed);
        opened
    }

    /// Reads the whole log into the list, and gives the log what it lacks.
    pub(super) async fn read_all(&self) -> Result<(), StoreError> {
        // one at a time: a thousand sign-ins that notice a loss together must not read it all a thousand times
        let _reading = Reading::begin(&self.reading)?;
        let candidate = Epoch(self.chance.lock().u128(..));
        let opened = self.log.open(candidate).await?;
        self.note_beginning(&opened);
        let mut theirs = Index::new(self.terms.seed);
        let end = self.read_from(Position::ZERO, &mut theirs).await?;
        let first_time = {
            let mut standing = self.standing.lock();
            standing.epoch = Some(opened.epoch);
            // Where the chain stood when we began: everything up to there was read, and what came later links to it.
            // The last entry seen may be one that somebody else put there.
            standing.position = opened.last;
            // From here on every confirmation says that we have all of it. Whatever ends this before the log has all of
            // ours, a failure or somebody who hangs up: it is still owed.
            standing.log = Log::MayLack;
            !standing.has_seen
        };
        if first_time {
            self.settle(&opened).await?;
        }
        self.heal(theirs, end).await?;
        let mut standing = self.standing.lock();
        standing.floor = Position::ZERO;
        standing.log = Log::Whole;
        Ok(())
    }

    /// At the first reading: a store that lost its data before this process began to follow has another log since, and what
    /// it knew before is gone with the old one. One of our own process is as old as that.
    fn note_beginning(&self, opened: &Opened) {
        if !self.standing.lock().has_seen {
            let age = if self.terms.shared { opened.age } else { Duration::ZERO };
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            self.forgot.fetch_max(self.clock.unix_ms().saturating_sub(age) / 1000, Ordering::Relaxed);
        }
    }

    /// In a log that was opened a moment ago the others may not have put back yet what an earlier one held.
    async fn settle(&self, opened: &Opened) -> Result<(), StoreError> {
        let young = self.terms.settle.saturating_sub(opened.age);
        if !young.is_zero() {
            self.clock.sleep(young).await;
            self.fetch().await?;
        }
        self.standing.lock().has_seen = true;
        Ok(())
    }

    /// Everything behind `after`, into the list and into `theirs`; where it ended.
    async fn read_from(&self, mut after: Position, theirs: &mut Index) -> Result<Position, StoreError> {
        loop {
            let page = self.log.pull(after, PAGE).await?;
            let opened = self.open(&page);
            opened.iter().for_each(|(record, placed)| _ = theirs.apply(record, *placed));
            let mut standing = self.standing.lock();
            let news = self.learn(&mut standing, opened.into_iter());
            drop(standing);
            self.tell(&news);
            after = page.last().map_or(after, |entry| entry.position);
            if page.len() < PAGE {
                return Ok(after);
            }
        }
    }

    /// Appends what we know and the log does not, each with its original place. Others may be at it: we begin somewhere
    /// at random and leave out what they were quicker with. Twice in the log does no harm.
    async fn heal(&self, mut theirs: Index, mut end: Position) -> Result<(), StoreError> {
        let mut missing = self.index.load().beyond(&theirs, self.now());
        if missing.is_empty() {
            return Ok(());
        }
        self.clock.sleep(self.some_of(HEAL_SPREAD)).await;
        while !missing.is_empty() {
            end = self.read_from(end, &mut theirs).await?;
            missing = self.index.load().beyond(&theirs, self.now());
            let from = self.chance.lock().usize(..missing.len().max(1));
            missing.rotate_left(from);
            missing.truncate(BATCH);
            self.append(&missing).await?;
        }
        self.fetch().await.map(|_| ())
    }

    pub(super) fn is_in_debt(&self) -> bool {
        let standing = self.standing.lock();
        standing.owes || standing.log == Log::MayLack || self.spans.prolonged.load(Ordering::Acquire)
    }

    /// Gives the log what it lacks, as far as that was not done yet, and what was made while it was away.
    pub(super) async fn settle_debts(&self) -> Result<(), StoreError> {
        // What lasts longer here than in the log is missing there.
        let prolonged = self.spans.prolonged.swap(false, Ordering::AcqRel);
        if prolonged || self.standing.lock().log == Log::MayLack {
            let told = self.read_all().await;
            self.spans.prolonged.fetch_or(prolonged && told.is_err(), Ordering::AcqRel);
            told?;
        }
        self.deliver().await
    }

    /// Delivers what was made while the log was away, drops what is over, and moves blocks away from the end that is
    /// trimmed.
    async fn deliver(&self) -> Result<(), StoreError> {
        let mut debt = Debt { owed: true, service: self };
        let (half_way, log_ms) = {
            let mut standing = self.standing.lock();
            let mut index = Index::clone(&self.index.load());
            index.sweep(self.now());
            self.index.store(Arc::new(index));
            standing.owes = false;
            let half = u64::try_from(self.logged_for().as_millis() / 2).unwrap_or(u64::MAX);
            let now = standing.log_time(self.clock.unix_ms());
            // By clocks that disagree nobody knows when something was made: then it counts from its delivery.
            let agreed = standing.ahead_ms.unsigned_abs() <= AGREED_MS;
            (Position::new(now.saturating_sub(half), 0), agreed.then_some(now))
        };
        let index = self.index.load_full();
        let waiting = index.waiting().map(|record| log_ms.map_or(record, |log_ms| record.delivered_at(log_ms)));
        let owed: Vec<Record> = waiting.chain(index.blocks_before(half_way)).collect();
        let delivered = self.append(&owed).await;
        debt.owed = delivered.is_err();
        delivered.map(|_| ())
    }
}

/// Why the log cannot be followed, as far as it was said. A log that may not be followed, and one that is away, look the
/// same from outside: nobody is ready.
#[derive(Debug, Default)]
struct Trouble {
    last: Option<StoreError>,
    said: Vec<StoreError>,
}

impl Trouble {
    /// Each reason once, and none that is gone with the next attempt.
    fn note(&mut self, why: StoreError) {
        if self.is_news(why) {
            if let Some(why) = &self.last {
                tracing::warn!(target: "doorward::revocation", "the log of revocations cannot be followed: {why}");
            }
        }
    }

    fn is_news(&mut self, why: StoreError) -> bool {
        let again = self.last.as_ref() == Some(&why);
        let news = again && self.said.len() < REASONS && !self.said.contains(&why);
        self.said.extend(news.then(|| why.clone()));
        self.last = Some(why);
        news
    }

    fn is_over(&mut self) {
        if !std::mem::take(self).said.is_empty() {
            tracing::info!(target: "doorward::revocation", "the log of revocations is followed again");
        }
    }
}

/// Somebody in this replica is reading the whole log.
struct Reading<'a>(&'a AtomicBool);

impl<'a> Reading<'a> {
    fn begin(busy: &'a AtomicBool) -> Result<Self, StoreError> {
        match busy.swap(true, Ordering::Acquire) {
            false => Ok(Self(busy)),
            true => Err(StoreError("the revocation log is being read already".to_owned())),
        }
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_said_once_it_stays_and_again_only_after_an_end() {
        let mut trouble = Trouble::default();
        let (one, other) = (StoreError("one".to_owned()), StoreError("other".to_owned()));
        let mut said = |why: &StoreError| trouble.is_news(why.clone());
        assert_eq!([said(&one), said(&one), said(&one)], [false, true, false]);
        assert_eq!([said(&other), said(&other), said(&one), said(&one)], [false, true, false, false]);
        trouble.is_over();
        assert!(!trouble.is_news(one.clone()) && trouble.is_news(one));
    }

    #[test]
    fn of_reasons_without_end_only_so_many_are_said() {
        let mut trouble = Trouble::default();
        let news = |number: usize| {
            let why = StoreError(number.to_string());
            trouble.is_news(why.clone()) | trouble.is_news(why)
        };
        assert_eq!((0..100).map(news).filter(|news| *news).count(), REASONS);
    }
}
