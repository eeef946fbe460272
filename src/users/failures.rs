//! Failed sign-ins, counted in the store for all replicas; and here, by each replica alone, while the store is away.

use crate::domain::failures::{Charged, Schedule, Tally, TallyKey, TallyKeys};
use crate::domain::limit::Prefixes;
use crate::domain::session::Millis;
use crate::ports::store::{Failures, StoreError};
use crate::ports::users::{Charge, Counted, FailureCounter, FailureDesk, Kept, Outcome, Receipt, SignIn, Slip};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Counts where it can.
#[derive(Debug)]
pub struct Counting {
    store: Arc<dyn Failures>,
    here: Arc<dyn Failures>,
    keys: TallyKeys,
    terms: ArcSwap<Terms>,
    away: AtomicBool,
}

/// What a configuration says of it.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub schedule: Schedule,
    pub prefixes: Prefixes,
}

/// One counter was asked.
enum Asked {
    Taken(Slip),
    Blocked(Charge),
}

impl Counting {
    /// `here` counts while `store` does not answer.
    #[must_use]
    pub fn new(store: Arc<dyn Failures>, here: Arc<dyn Failures>, keys: TallyKeys, terms: Terms) -> Self {
        Self { store, here, keys, terms: ArcSwap::from_pointee(terms), away: AtomicBool::new(false) }
    }

    /// From now on this counts. A block that has begun lasts as long as it was said.
    pub fn set_terms(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
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

    async fn look(&self, key: TallyKey) -> Result<(Tally, Millis), StoreError> {
        match self.store.tally(key).await {
            Ok(looked) => Ok(looked),
            Err(_) => self.here.tally(key).await,
        }
    }

    fn named(&self, account: Option<&str>, from: Option<IpAddr>) -> (TallyKey, Schedule) {
        let Terms { schedule, prefixes } = **self.terms.load();
        match account {
            Some(account) => (self.keys.of_account(account, from, prefixes), schedule),
            None => (self.keys.of_address(from, prefixes), schedule.of_address()),
        }
    }

    async fn confirm(&self, slip: &Slip, schedule: &Schedule) {
        if let Err(error) = self.keeper(slip).failed(slip.key, schedule).await {
            tracing::debug!("a failure that begins no block: {error}");
        }
    }

    async fn give_back(&self, slip: &Slip, schedule: &Schedule) {
        if let Err(error) = self.keeper(slip).give_back(slip.key, slip.serial, schedule).await {
            tracing::debug!("a charge that was none stays: {error}");
        }
    }
}

/// What an attempt is charged to first: the account on its device, or at its address.
fn key_of(keys: &TallyKeys, attempt: &SignIn<'_>, prefixes: Prefixes) -> TallyKey {
    match &attempt.device {
        Some(device) => keys.of_device(attempt.name, device),
        None => keys.of_account(attempt.name, attempt.from, prefixes),
    }
}

#[async_trait]
impl FailureCounter for Counting {
    /// The account comes first. Whoever is blocked there charges nothing else, so that hammering at one account does
    /// not block the address for everybody behind it. On a known device the address is charged and has no say: its owner
    /// gets in, and a stolen device guesses no more cheaply than others.
    async fn charge(&self, attempt: &SignIn<'_>) -> Result<Charge, StoreError> {
        let Terms { schedule, prefixes } = **self.terms.load();
        let account = match self.ask(key_of(&self.keys, attempt, prefixes), &schedule).await? {
            Asked::Taken(slip) => slip,
            Asked::Blocked(blocked) => return Ok(blocked),
        };
        let known = attempt.device.is_some();
        match self.ask(self.keys.of_address(attempt.from, prefixes), &schedule.of_address()).await {
            Ok(Asked::Taken(address)) => Ok(Charge::Taken(Receipt { account: Some(account), address: Some(address) })),
            _ if known => Ok(Charge::Taken(Receipt { account: Some(account), address: None })),
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
        let Terms { schedule, .. } = **self.terms.load();
        if let Some(slip) = &receipt.address {
            match outcome {
                Outcome::Wrong => self.confirm(slip, &schedule.of_address()).await,
                Outcome::SignedIn | Outcome::Uncompared => self.give_back(slip, &schedule.of_address()).await,
            }
        }
        match (&receipt.account, outcome) {
            (Some(slip), Outcome::SignedIn) => {
                if let Err(error) = self.keeper(slip).forget(slip.key).await {
                    tracing::debug!("failures before a right password stay: {error}");
                }
            }
            (Some(slip), Outcome::Uncompared) => self.give_back(slip, &schedule).await,
            (Some(_), Outcome::Wrong) | (None, _) => {}
        }
    }

    async fn wait(&self, attempt: &SignIn<'_>) -> Result<Option<(Duration, u32)>, StoreError> {
        let Terms { schedule, prefixes } = **self.terms.load();
        let (tally, now) = self.look(key_of(&self.keys, attempt, prefixes)).await?;
        let mut waits = tally.wait(&schedule, now).map(|again_in| (again_in, schedule.free));
        if waits.is_none() && attempt.device.is_none() {
            let schedule = schedule.of_address();
            let (tally, now) = self.look(self.keys.of_address(attempt.from, prefixes)).await?;
            waits = tally.wait(&schedule, now).map(|again_in| (again_in, schedule.free));
        }
        Ok(waits)
    }
}

/// What replicas have counted together; what one counts alone ends with the outage.
#[async_trait]
impl FailureDesk for Counting {
    async fn stands(&self, account: Option<&str>, from: Option<IpAddr>) -> Result<Counted, StoreError> {
        let (key, schedule) = self.named(account, from);
        let (tally, now) = self.store.tally(key).await?;
        let again_in = tally.wait(&schedule, now);
        Ok(Counted { failures: tally.failures_at(&schedule, now), free: schedule.free, again_in })
    }

    async fn reset(&self, account: Option<&str>, from: Option<IpAddr>) -> Result<bool, StoreError> {
        let (key, schedule) = self.named(account, from);
        let (tally, now) = self.store.tally(key).await?;
        self.store.forget(key).await?;
        self.here.forget(key).await?;
        Ok(tally.failures_at(&schedule, now) > 0)
    }
}

#[cfg(test)]
#[path = "failures_tests.rs"]
mod tests;
