//! Revocations as operators see them: how many of each kind, and how long they took to get here.

use super::metrics::Metrics;
use crate::domain::revocation::{Kind, Record};
use crate::ports::revocation::Witness;
use std::sync::Arc;
use std::time::Duration;

/// Counts what this replica learns.
#[derive(Debug)]
pub struct RevocationWatch {
    pub metrics: Arc<Metrics>,
}

impl Witness for RevocationWatch {
    fn revoked(&self, _: &[Record]) {}

    fn learned(&self, kind: Kind, lag: Option<Duration>) {
        self.metrics.revocations.with(&[kind.name()]).inc();
        if let Some(lag) = lag {
            self.metrics.revocation_lag.observe(lag);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_there_from_the_start_and_counted_by_its_name() {
        let watch = RevocationWatch { metrics: Metrics::new() };
        for kind in Kind::ALL {
            let series = format!("doorward_revocations_total{{kind=\"{}\"}} ", kind.name());
            assert!(watch.metrics.encode().contains(&format!("{series}0")), "{series}");
            watch.learned(kind, None);
            assert!(watch.metrics.encode().contains(&format!("{series}1")), "{series}");
        }
        assert!(watch.metrics.encode().contains("doorward_revocation_lag_seconds_count 0"), "made here, or read later");
        watch.learned(Kind::User, Some(Duration::from_millis(3)));
        assert!(watch.metrics.encode().contains("doorward_revocation_lag_seconds_bucket{le=\"0.005\"} 1"));
    }
}
