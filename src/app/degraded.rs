//! Once a second: what runs on its fallback. Said in the metrics while it does, and in the log when it changes.

use super::compose::Composer;
use crate::domain::signing::own::LEEWAY;
use crate::edge::snapshot::Snapshot;
use crate::observe::clock::Machine;
use crate::observe::metrics::Metrics;
use crate::pipeline::clock_watch::ClockWatch;
use crate::pipeline::degraded::Feature;
use crate::pipeline::revocation::Freshness;
use crate::pipeline::session::{House, Mode};
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// In a task of its own: a store that answers slowly holds up what else is done every second.
pub(super) async fn watch(composer: Arc<Composer>, snapshot: Arc<ArcSwap<Snapshot>>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let (mut wall, mut alone) = (ClockWatch::new(Arc::new(Machine::new())), false);
    loop {
        second.tick().await;
        let jumped = wall.has_jumped();
        let gate = &snapshot.load().gate;
        if let (Some(sign_in), Some(house)) = (composer.sign_in.get(), gate.house()) {
            let list = &sign_in.revocations;
            // Without any list at all the replica is not ready, and gets no requests.
            let stale = list.is_ready() && list.freshness() != Freshness::Fresh;
            note(house, &composer.metrics, Feature::Revocation, stale);
            // Where sessions are opaque, or nobody signs in, there is nothing to fall back to.
            let falls_back = house.terms.mode == Mode::Jwt && gate.endpoints().is_some();
            note(house, &composer.metrics, Feature::SignIn, falls_back && composer.metrics.store_up.value() < 1.0);
            let ahead = Duration::from_millis(list.clock_ahead_ms().unsigned_abs());
            note(house, &composer.metrics, Feature::Clock, jumped || ahead > LEEWAY);
        } else {
            // Without sessions there is nobody to tell backends, but tokens of others have their times, too.
            let news = std::mem::replace(&mut alone, jumped) != jumped;
            tell(&composer.metrics, Feature::Clock, jumped, news);
        }
    }
}

fn note(house: &House, metrics: &Metrics, feature: Feature, degraded: bool) {
    let news = house.ground.degraded.note(feature, degraded);
    tell(metrics, feature, degraded, news);
}

fn tell(metrics: &Metrics, feature: Feature, degraded: bool, news: bool) {
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
            "the store does not answer: whoever signs in gets a token for some minutes and no session"
        ),
        (true, Feature::Clock) => tracing::warn!(
            feature = feature.name(),
            "the clock of this machine was set, or differs from that of the store by more than {} s: look after NTP",
            LEEWAY.as_secs()
        ),
    }
}
