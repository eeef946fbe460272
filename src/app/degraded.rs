//! Once a second: what runs on its fallback. Said in the metrics while it does, and in the log when it changes.

use super::compose::Composer;
use crate::domain::signing::own::LEEWAY;
use crate::edge::snapshot::Snapshot;
use crate::observe::clock::{self, Machine};
use crate::observe::metrics::Metrics;
use crate::pipeline::clock_watch::ClockWatch;
use crate::pipeline::degraded::{Degraded, Feature};
use crate::pipeline::revocation::Freshness;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// In a task of its own: a store that answers slowly holds up what else is done every second.
pub(super) async fn watch(composer: Arc<Composer>, snapshot: Arc<ArcSwap<Snapshot>>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut wall = ClockWatch::new(Arc::new(Machine::new()));
    // What was said last. Requests note things too, and say nothing.
    let said = Degraded::default();
    loop {
        second.tick().await;
        let jumped = wall.has_jumped();
        let gate = &snapshot.load().gate;
        if let (Some(sign_in), Some(house)) = (composer.sign_in.get(), gate.house()) {
            let list = &sign_in.revocations;
            // Without any list at all the replica is not ready, and gets no requests.
            let stale = list.is_ready() && list.freshness() != Freshness::Fresh;
            let ahead = Duration::from_millis(list.clock_ahead_ms().unsigned_abs());
            for (feature, degraded) in [(Feature::Revocation, stale), (Feature::Clock, jumped || ahead > LEEWAY)] {
                house.ground.degraded.note(feature, degraded);
                say(&said, &composer.metrics, feature, degraded);
            }
            // Where nobody signs in there is nothing to fall back to.
            let answers = gate.endpoints().is_none() || house.ground.store.answers();
            let falls_back = house.falls_back(answers, clock::now()).await;
            say(&said, &composer.metrics, Feature::SignIn, falls_back);
        } else {
            // Without sessions there is nobody to tell backends, but tokens of others have their times, too.
            say(&said, &composer.metrics, Feature::Clock, jumped);
        }
    }
}

fn say(said: &Degraded, metrics: &Metrics, feature: Feature, degraded: bool) {
    let news = said.note(feature, degraded);
    metrics.degraded.with(&[feature.name()]).set(if degraded { 1.0 } else { 0.0 });
    match (news, feature) {
        (false, _) => {}
        (true, feature) if !degraded => tracing::info!(feature = feature.name(), "not degraded any more"),
        (true, Feature::Revocation) => tracing::warn!(
            feature = feature.name(),
            "the list of revocations could not be confirmed: what is known stays refused, sensitive routes answer 503"
        ),
        (true, Feature::SignIn) => tracing::warn!(
            feature = feature.name(),
            "the store does not answer, or takes nothing: whoever signs in gets a token for some minutes and no session"
        ),
        (true, Feature::Clock) => tracing::warn!(
            feature = feature.name(),
            "the clock of this machine was set, or differs from that of the store by more than {} s: look after NTP",
            LEEWAY.as_secs()
        ),
    }
}
