//! What is done beside requests, for as long as the gate runs.

use super::compose::Composer;
use super::degraded;
use crate::admin::AdminState;
use crate::edge::snapshot::Snapshot;
use crate::pipeline::session::activity;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often names are looked up again.
const RESOLVE_EVERY: u32 = 10;

/// Every second: what is told of issuers; every tenth: where upstreams are.
pub(super) async fn keep_house(composer: Arc<Composer>, snapshot: Arc<ArcSwap<Snapshot>>, state: Arc<AdminState>) {
    tokio::spawn(follow_activity(Arc::clone(&composer), Arc::clone(&snapshot)));
    tokio::spawn(degraded::watch(Arc::clone(&composer), Arc::clone(&snapshot)));
    tokio::spawn(tell_arrivals(Arc::clone(&composer)));
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let alone = composer.metrics.degraded.with(&["limits"]);
    for turn in (0..RESOLVE_EVERY).cycle() {
        second.tick().await;
        composer.observe_keyrings();
        alone.set(if composer.counting.is_alone() { 1.0 } else { 0.0 });
        if let Some(sign_in) = composer.sign_in.get() {
            sign_in.tick().await;
            state.readiness.set_blind(!sign_in.revocations.is_ready());
            composer.metrics.revocation_entries.set(count(sign_in.revocations.entries()));
        }
        if turn == RESOLVE_EVERY - 1 {
            resolve_all(&snapshot.load_full()).await;
        }
    }
}

fn count(entries: usize) -> f64 {
    u32::try_from(entries).map_or(f64::INFINITY, f64::from)
}

/// Tells the store which renewal tokens have arrived. In a task of its own: that is a question for each of them, and
/// neither keys nor readiness nor names may wait until the last is answered.
async fn tell_arrivals(composer: Arc<Composer>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        second.tick().await;
        let Some(sign_in) = composer.sign_in.get() else { continue };
        if let Err(error) = sign_in.ground.activity.confirm(&*sign_in.ground.store).await {
            tracing::debug!("arrivals not told yet: {error}");
        }
    }
}

/// Tells the store which sessions were in use, once an interval.
async fn follow_activity(composer: Arc<Composer>, snapshot: Arc<ArcSwap<Snapshot>>) {
    loop {
        let house = snapshot.load().gate.house().map(Arc::clone);
        let idle = house.as_ref().map_or(Duration::MAX, |house| house.terms.lifetimes.idle);
        tokio::time::sleep(activity::interval(idle)).await;
        let (Some(sign_in), Some(_)) = (composer.sign_in.get(), house) else { continue };
        if let Err(error) = sign_in.ground.activity.flush(&*sign_in.ground.store, idle).await {
            tracing::warn!("the last use of sessions could not be told: {error}");
        }
    }
}

pub(super) async fn resolve_all(snapshot: &Snapshot) {
    for pool in &snapshot.upstreams {
        pool.resolve().await;
    }
}
