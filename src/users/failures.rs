//! Failed sign-ins, counted in the store for all replicas; and here, by each replica alone, while the store is away.

use crate::domain::failures::{Charged, Schedule, TallyKey, TallyKeys};
use crate::ports::store::{Failures, StoreError};
use crate::ports::users::{Charge, FailureCounter, Kept, Outcome, Receipt, SignIn, Slip};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Counts where it can.
#[derive(Debug)]
pub struct Counting {
    store: Arc<dyn Failures>,
    here: Arc<dyn Failures>,
    keys: TallyKeys,
    schedule: ArcSwap<Schedule>,
    away: AtomicBool,
}

/// One counter was asked.
enum Asked {
    Taken(Slip),
    Blocked(Charge),
}

impl Counting {
    /// `here` counts while `store` does not answer.
    #[must_use]
    pub fn new(store: Arc<dyn Failures>, here: Arc<dyn Failures>, keys: TallyKeys, schedule: Schedule) -> Self {
        Self { store, here, keys, schedule: ArcSwap::from_pointee(schedule), away: AtomicBool::new(false) }
    }

    /// From now on this counts. A block that has begun lasts as long as it was said.
    pub fn set_schedule(&self, schedule: Schedule) {
        self.schedule.store(Arc::new(schedule));
    }

    /// Whether this replica counts alone.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    async fn ask(&self, key: TallyKey, schedule: &Schedule) -> Result<Asked, StoreError> {
        let (charged, kept) = match self.store.charge(key, schedule).await {
            Ok(charged) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("failed sign-ins are counted over all replicas again");
                }
                (charged, Kept::InStore)
            }
            Err(error) => {
                if !self.away.swap(true, Ordering::Relaxed) {
                    tracing::warn!("failed sign-ins are counted by this replica alone: {error}");
                }
                (self.here.charge(key, schedule).await?, Kept::Here)
            }
        };
        Ok(match charged {
            Charged::Taken { serial } => Asked::Taken(Slip { key, serial, kept }),
            Charged::Blocked { again_in } => Asked::Blocked(Charge::Blocked { again_in, free: schedule.free }),
        })
    }

    fn keeper(&self, slip: &Slip) -> &dyn Failures {
        match slip.kept {
            Kept::InStore => &*self.store,
            Kept::Here => &*self.here,
        }
    }

    async fn give_back(&self, slip: &Slip, schedule: &Schedule) {
        if let Err(error) = self.keeper(slip).give_back(slip.key, slip.serial, schedule).await {
            tracing::debug!("a charge that was none stays: {error}");
        }
    }
}

#[async_trait]
impl FailureCounter for Counting {
    /// The account comes first. Whoever is blocked there charges nothing else, so that hammering at one account does
    /// not block the address for everybody behind it.
    async fn charge(&self, attempt: &SignIn<'_>) -> Result<Charge, StoreError> {
        let schedule = **self.schedule.load();
        let key = match &attempt.device {
            Some(device) => self.keys.of_device(attempt.name, device),
            None => self.keys.of_account(attempt.name, attempt.from),
        };
        let account = match self.ask(key, &schedule).await? {
            Asked::Taken(slip) => slip,
            Asked::Blocked(blocked) => return Ok(blocked),
        };
        if attempt.device.is_some() {
            return Ok(Charge::Taken(Receipt { account: Some(account), address: None }));
        }
        match self.ask(self.keys.of_address(attempt.from), &schedule.of_address()).await {
            Ok(Asked::Taken(address)) => Ok(Charge::Taken(Receipt { account: Some(account), address: Some(address) })),
            Ok(Asked::Blocked(blocked)) => {
                self.give_back(&account, &schedule).await;
                Ok(blocked)
            }
            Err(error) => {
                self.give_back(&account, &schedule).await;
                Err(error)
            }
        }
    }

    /// An account is forgiven everything by its password. An address is not: whoever guesses at others may well have
    /// an account of their own.
    async fn settle(&self, receipt: Receipt, outcome: Outcome) {
        let schedule = **self.schedule.load();
        if let Some(slip) = &receipt.address {
            self.give_back(slip, &schedule.of_address()).await;
        }
        match (&receipt.account, outcome) {
            (Some(slip), Outcome::SignedIn) => {
                if let Err(error) = self.keeper(slip).forget(slip.key).await {
                    tracing::debug!("failures before a right password stay: {error}");
                }
            }
            (Some(slip), Outcome::Uncompared) => self.give_back(slip, &schedule).await,
            (None, _) => {}
        }
    }
}

#[cfg(test)]
#[path = "failures_tests.rs"]
mod tests;
