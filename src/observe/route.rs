//! The metrics of one route, resolved when the configuration is loaded so that a request needs no look-up.

use super::counter::{Counter, Histogram};
use super::family::Family;
use crate::pipeline::account::Decision;
use std::sync::{Arc, OnceLock};

/// Handles for one route. Clones, and later loads of the same label, count in the same place.
#[derive(Clone, Debug)]
pub struct RouteMetrics {
    outcomes: Arc<Outcomes>,
    /// From the request's first byte to the answer's last.
    pub duration: Arc<Histogram>,
}

/// One cell for every decision and status. A child exists from its first use on, otherwise each route would export
/// hundreds of zeros; after that a request finds it without a lock.
#[derive(Debug)]
struct Outcomes {
    family: Family<Counter>,
    route: String,
    cells: Box<[OnceLock<Arc<Counter>>]>,
}

impl RouteMetrics {
    pub(super) fn new(route: &str, requests: &Family<Counter>, durations: &Family<Histogram>) -> Self {
        let outcomes = Outcomes {
            family: requests.clone(),
            route: route.to_owned(),
            cells: (0..Decision::ALL.len() * ROW).map(|_| OnceLock::new()).collect(),
        };
        Self { outcomes: Arc::new(outcomes), duration: durations.with(&[route]) }
    }

    pub fn count(&self, decision: Decision, status: u16) {
        let column = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len());
        if let Some(cell) = self.outcomes.cells.get(decision as usize * ROW + column) {
            cell.get_or_init(|| self.outcomes.child(decision, column)).inc();
        }
    }
}

impl Outcomes {
    fn child(&self, decision: Decision, column: usize) -> Arc<Counter> {
        let code = STATUSES.get(column).map_or_else(|| "other".to_owned(), u16::to_string);
        self.family.with(&[&self.route, decision.name(), &code])
    }
}

const ROW: usize = STATUSES.len() + 1;

/// The statuses with a label of their own, frequent ones first as they are searched in this order. The rest is
/// `other`: an upstream that makes up numbers must not make up time series.
const STATUSES: [u16; 49] = [
    200, 304, 204, 302, 401, 403, 404, 201, 206, 303, 301, 307, 308, 400, 405, 429, 500, 502, 503, 504, 101, 202, 203,
    205, 207, 300, 402, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 423, 425, 426, 428, 431,
    451, 499, 501,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> (Family<Counter>, RouteMetrics) {
        let requests = Family::new(Counter::default, "requests_total", "Requests.", &["route", "decision", "code"]);
        let durations = Family::new(|| Histogram::new(&[0; 14]), "seconds", "Durations.", &["route"]);
        let metrics = RouteMetrics::new("app /a", &requests, &durations);
        (requests, metrics)
    }

    #[test]
    fn every_decision_and_status_has_its_own_count() {
        let (requests, metrics) = route();
        for decision in Decision::ALL {
            for status in STATUSES {
                metrics.count(decision, status);
            }
        }
        for decision in Decision::ALL {
            for status in STATUSES {
                let count = requests.with(&["app /a", decision.name(), &status.to_string()]).value();
                assert_eq!(count, 1, "{decision:?} {status}");
            }
        }
    }

    #[test]
    fn statuses_an_upstream_makes_up_share_one_series() {
        let (requests, metrics) = route();
        (600..999).for_each(|status| metrics.count(Decision::Admitted, status));
        assert_eq!(requests.with(&["app /a", "admitted", "other"]).value(), 399);
    }
}
