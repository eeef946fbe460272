//! A metric with its labels: one name, one help text, one child for every set of label values.
//!
//! Children are looked up when something is configured and kept as handles; the lock in here is not for requests.

use super::counter::Sample;
use parking_lot::Mutex;
use prometheus::{proto, TextEncoder};
use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

/// All children of one metric. A clone is the same family.
#[derive(Debug)]
pub struct Family<T>(Arc<Inner<T>>);

impl<T> Clone for Family<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<T> {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    make: fn() -> T,
    children: Mutex<BTreeMap<Vec<String>, Arc<T>>>,
}

/// What a scrape asks of a family, whatever it counts.
pub(super) trait Export: Debug + Send + Sync {
    fn export(&self, text: &mut String);
}

impl<T: Sample> Family<T> {
    pub(super) fn new(
        make: fn() -> T,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self(Arc::new(Inner { name, help, labels, make, children: Mutex::default() }))
    }

    /// The child with these label values, in the order of the labels; the same one every time. Takes a lock and
    /// allocates: call it at load and keep the handle.
    #[must_use]
    pub fn with(&self, values: &[&str]) -> Arc<T> {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        Arc::clone(self.0.children.lock().entry(values).or_insert_with(|| Arc::new((self.0.make)())))
    }

    fn samples(&self) -> Vec<proto::Metric> {
        let children = self.0.children.lock();
        children.iter().map(|(values, child)| labelled(child.sample(), self.0.labels, values)).collect()
    }
}

impl<T: Sample> Export for Family<T> {
    /// A family that has no children yet shows its name all the same, so that a dashboard can be built before the
    /// first event.
    fn export(&self, text: &mut String) {
        let samples = self.samples();
        if samples.is_empty() {
            let kind = format!("{:?}", T::KIND).to_lowercase();
            // writing to a `String` cannot fail
            let _ = write!(text, "# HELP {0} {1}\n# TYPE {0} {2}\n", self.0.name, self.0.help, kind);
            return;
        }
        let mut family = proto::MetricFamily::default();
        family.set_name(self.0.name.to_owned());
        family.set_help(self.0.help.to_owned());
        family.set_field_type(T::KIND);
        family.set_metric(samples);
        if let Err(error) = TextEncoder::new().encode_utf8(&[family], text) {
            tracing::error!(metric = self.0.name, %error, "a metric could not be written");
        }
    }
}

fn labelled(mut metric: proto::Metric, names: &[&str], values: &[String]) -> proto::Metric {
    let pairs = names.iter().zip(values).map(|(name, value)| {
        let mut pair = proto::LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value(value.clone());
        pair
    });
    metric.set_label(pairs.collect());
    metric
}

#[cfg(test)]
mod tests {
    use super::super::counter::Counter;
    use super::*;

    fn refusals() -> Family<Counter> {
        Family::new(Counter::default, "refusals_total", "Refusals.", &["code"])
    }

    fn text(family: &Family<Counter>) -> String {
        let mut text = String::new();
        family.export(&mut text);
        text
    }

    #[test]
    fn the_same_labels_are_the_same_child() {
        let family = refusals();
        family.with(&["forbidden"]).inc();
        family.with(&["forbidden"]).inc();
        family.with(&["csrf"]).inc();
        assert!(text(&family).contains("refusals_total{code=\"forbidden\"} 2\n"));
        assert!(text(&family).contains("refusals_total{code=\"csrf\"} 1\n"));
    }

    #[test]
    fn a_family_without_children_still_shows_its_name_and_type() {
        assert_eq!(text(&refusals()), "# HELP refusals_total Refusals.\n# TYPE refusals_total counter\n");
    }

    #[test]
    fn a_label_value_cannot_break_out_of_its_quotes() {
        let family = refusals();
        family.with(&["a\"} 9\nforged 1"]).inc();
        assert!(!text(&family).contains("\nforged"));
        assert!(text(&family).contains(r#"{code="a\"} 9\nforged 1"} 1"#));
    }
}
