//! The log of one process. It lives as long as the process does; what must outlast it is in the snapshot.

use crate::domain::revocation::{Position, Sealed};
use crate::ports::revocation::{
    Ack, Appended, Batch, Clock, Confirmed, Entry, Epoch, Opened, Pushed, Replicas, RevocationLog, Subscription,
    DEAD_AFTER,
};
use crate::ports::store::StoreError;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};

/// Batches a subscriber may be behind before it is told to read the log again.
const BACKLOG: usize = 1024;

#[derive(Debug)]
pub struct MemoryLog {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
    pushes: broadcast::Sender<Batch>,
}

#[derive(Debug, Default)]
struct Kept {
    epoch: Option<Epoch>,
    entries: VecDeque<Entry>,
    last: Position,
    /// By replica: when it was heard of, and what it enforces.
    replicas: HashMap<String, (u64, Position)>,
}

impl MemoryLog {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kept: Mutex::default(), pushes: broadcast::Sender::new(BACKLOG) }
    }

    /// What `FLUSHALL` is to the other one.
    #[cfg(test)]
    pub(crate) fn forget(&self) {
        *self.kept.lock() = Kept::default();
    }

    /// What a failover to a server that lags behind is to the other one.
    #[cfg(test)]
    pub(super) fn lose_the_tail(&self) {
        let mut kept = self.kept.lock();
        if let Some(entry) = kept.entries.pop_back() {
            kept.last = entry.previous;
        }
    }
}

#[async_trait]
impl RevocationLog for MemoryLog {
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError> {
        let mut kept = self.kept.lock();
        let epoch = *kept.epoch.get_or_insert(candidate);
        // as good as old: nobody outside this process remembers anything that could be put back
        Ok(Opened { epoch, last: kept.last, age: Duration::MAX })
    }

    async fn append(&self, records: &[Sealed], keep: Duration) -> Result<Appended, StoreError> {
        let now = self.clock.unix_ms();
        let mut kept = self.kept.lock();
        let Some(epoch) = kept.epoch else {
            return Ok(Appended::NotOpen);
        };
        let entries = records.iter().map(|sealed| kept.push(*sealed, now)).collect();
        kept.trim(now.saturating_sub(u64::try_from(keep.as_millis()).unwrap_or(u64::MAX)));
        let batch = Batch { epoch, entries };
        // Sent under the lock, so that pushes come in the order of the log. Nobody may be listening.
        let _listeners = self.pushes.send(batch.clone());
        Ok(Appended::At(batch))
    }

    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError> {
        let kept = self.kept.lock();
        let from = kept.entries.partition_point(|entry| entry.position <= after);
        Ok(kept.entries.iter().skip(from).take(most).copied().collect())
    }

    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError> {
        let now_ms = self.clock.unix_ms();
        let mut kept = self.kept.lock();
        let epoch = kept.epoch;
        let enforced = if ack.epoch == epoch { ack.position } else { Position::ZERO };
        kept.replicas.insert(ack.replica.clone(), (now_ms, enforced));
        let replicas = kept.replicas(ack.position, now_ms);
        Ok(Confirmed { epoch, last: kept.last, now_ms, replicas })
    }

    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError> {
        Ok(self.kept.lock().replicas(position, self.clock.unix_ms()))
    }

    async fn leave(&self, replica: &str) -> Result<(), StoreError> {
        self.kept.lock().replicas.remove(replica);
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError> {
        Ok(Box::new(MemorySubscription(self.pushes.subscribe())))
    }
}

impl Kept {
    fn push(&mut self, sealed: Sealed, now: u64) -> Entry {
        let previous = self.last;
        self.last = match now.cmp(&previous.ms) {
            std::cmp::Ordering::Greater => Position::new(now, 0),
            // also when the clock went back: positions only grow
            _ => Position::new(previous.ms, previous.seq.saturating_add(1)),
        };
        let entry = Entry { position: self.last, previous, sealed: Some(sealed) };
        self.entries.push_back(entry);
        entry
    }

    fn trim(&mut self, oldest: u64) {
        while self.entries.front().is_some_and(|entry| entry.position.ms < oldest) {
            self.entries.pop_front();
        }
    }

    fn replicas(&mut self, position: Position, now: u64) -> Replicas {
        self.replicas.retain(|_, (heard, _)| Duration::from_millis(now.saturating_sub(*heard)) < DEAD_AFTER);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let enforcing = self.replicas.values().filter(|(_, enforced)| *enforced >= position).count();
        Replicas { live: count(self.replicas.len()), enforcing: count(enforcing) }
    }
}

#[derive(Debug)]
struct MemorySubscription(broadcast::Receiver<Batch>);

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self, patience: Duration) -> Pushed {
        match tokio::time::timeout(patience, self.0.recv()).await {
            Ok(Ok(batch)) => Pushed::Batch(batch),
            Ok(Err(RecvError::Lagged(_) | RecvError::Closed)) => Pushed::Lost,
            Err(_) => Pushed::Nothing,
        }
    }
}
