//! Orders to revoke, and the receipts for them.

use super::follow::Tail;
use super::Revocations;
use crate::domain::revocation::{Placed, Position, Reason, Record, Target};
use crate::domain::time::UnixTime;
use crate::ports::revocation::{Appended, Batch, Replicas};
use crate::ports::store::StoreError;
use std::time::Duration;

/// Records in one append: some milliseconds of the store's time.
pub(super) const BATCH: usize = 500;
/// Between two looks at who enforces an order; replicas answer within a few milliseconds.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LATER_LOOKS: Duration = Duration::from_millis(25);

/// One thing to revoke.
#[derive(Clone, Debug)]
pub struct Order {
    pub target: Target,
    pub reason: Reason,
    /// When everything it could hit has ended, where that is known to be sooner than the longest token.
    pub until: Option<UnixTime>,
}

/// Whom to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Enforced here and in the log.
    None,
    /// Enforced by every live replica, or time is up.
    All,
}

/// What became of an order.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub id: String,
    /// Its place in the log; `None` while it waits to be delivered.
    pub position: Option<Position>,
    pub replicas: Replicas,
    pub elapsed: Duration,
    /// In the log. If not: enforced here, and delivered as soon as the store is back.
    pub delivered: bool,
}

impl Order {
    #[must_use]
    pub fn new(target: Target, reason: Reason) -> Self {
        Self { target, reason, until: None }
    }
}

/// An order that is not in the log yet. Whoever gave it may hang up while it is on its way there: it is delivered all
/// the same.
pub(super) struct Debt<'a> {
    pub(super) service: &'a Revocations,
    pub(super) owed: bool,
}

impl Drop for Debt<'_> {
    fn drop(&mut self) {
        self.service.standing.lock().owes |= self.owed;
        self.service.ask_to_keep();
    }
}

impl Revocations {
    /// Refuses all of `orders` from now on: here before this returns, elsewhere as the receipt says. It cannot fail; a
    /// store that is away is waited for in the background.
    pub async fn revoke(&self, orders: &[Order], wait: Wait, timeout: Duration) -> Receipt {
        let began = self.clock.steady();
        let mut debt = Debt { owed: true, service: self };
        let records = self.enforce_here(orders);
        let position = self.append(&records).await;
        debt.owed = position.is_err();
        drop(debt);
        self.keep_before_answering(position.is_ok()).await;
        let position = position.unwrap_or_default();
        let replicas = match position {
            Some(position) if wait == Wait::All => self.wait_for_all(position, began.saturating_add(timeout)).await,
            _ => self.ourselves(),
        };
        Receipt {
            id: format!("{:032x}", self.chance.lock().u128(..)),
            position,
            replicas,
            elapsed: self.clock.steady().saturating_sub(began),
            delivered: position.is_some() || records.is_empty(),
        }
    }

    fn enforce_here(&self, orders: &[Order]) -> Vec<Record> {
        let mut standing = self.standing.lock();
        let (made, now) = (standing.log_time(self.clock.unix_ms()), self.now());
        let longest = now.plus(self.spans.longest_token());
        let index = self.index.load();
        let mut behind = made;
        let record = |order: &Order| {
            let expires = order.until.map_or(longest, |until| until.min(longest));
            let record = Record::new(&order.target, order.reason, made, expires);
            if !record.kind.is_block() {
                return record;
            }
            // behind the last word about this user, also in this very order, however far ahead the clock of who said it
            behind = behind.max(index.last_word(record.id)).saturating_add(1);
            Record { made: behind, ..record }
        };
        let records: Vec<Record> = orders.iter().map(record).collect();
        drop(index);
        let news = self.learn(&mut standing, records.iter().map(|record| (*record, Placed::Waiting)));
        drop(standing);
        self.tell(&news);
        records
    }

    /// Appends to the log; the place of the last one. `None` when there was nothing to append.
    pub(super) async fn append(&self, records: &[Record]) -> Result<Option<Position>, StoreError> {
        let mut last = None;
        for part in records.chunks(BATCH) {
            let batch = self.append_part(part).await?;
            last = batch.entries.last().map(|entry| entry.position);
            self.absorb(&batch);
        }
        Ok(last)
    }

    async fn append_part(&self, records: &[Record]) -> Result<Batch, StoreError> {
        // What was never read may hold blocks that an append would trim away.
        if self.standing.lock().epoch.is_none() {
            return Err(StoreError("the revocation log was not read yet".to_owned()));
        }
        let sealed: Option<Vec<_>> = records.iter().map(|record| self.terms.keys.seal(record)).collect();
        let sealed = sealed.ok_or_else(|| StoreError("no key to seal revocations with".to_owned()))?;
        match self.log.append(&sealed, self.logged_for()).await? {
            Appended::At(batch) => Ok(batch),
            Appended::NotOpen => Err(StoreError("the revocation log has lost its memory".to_owned())),
        }
    }

    async fn wait_for_all(&self, position: Position, deadline: Duration) -> Replicas {
        // Our own word first. Where others append at the same time, the first question finds something to fetch, and the
        // second one says that we have it; if neither does, the next regular one will.
        if let Ok(Tail::Fetched) = self.confirm().await {
            let _said_again_within_a_second = self.confirm().await;
        }
        let mut replicas = self.ourselves();
        let mut pause = FIRST_LOOK;
        loop {
            match self.log.acknowledged(position).await {
                Ok(seen) => replicas = seen,
                Err(_) => return replicas,
            }
            if replicas.pending() == 0 || self.clock.steady() >= deadline {
                return replicas;
            }
            self.clock.sleep(pause).await;
            pause = pause.saturating_mul(2).min(LATER_LOOKS);
        }
    }

    /// What can be said without asking anybody.
    fn ourselves(&self) -> Replicas {
        Replicas { live: self.standing.lock().live.max(1), enforcing: 1 }
    }
}
