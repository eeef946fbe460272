//! The numbers themselves: counters, levels, gauges and histograms that threads add to without meeting.
//!
//! An addition is one relaxed atomic on a cache line no other thread writes, some 5 ns; whoever scrapes pays for
//! summing up. A scrape may see a request in one metric and not yet in another; Prometheus lives with that.

use super::shard::Sharded;
use crate::ports::limits::Tally;
use prometheus::proto;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that can be exported: what [`super::family::Family`] is made of.
pub trait Sample: std::fmt::Debug + Send + Sync + 'static {
    const KIND: proto::MetricType;
    fn sample(&self) -> proto::Metric;
}

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(Sharded<AtomicU64>);

/// Goes up and down, on whichever thread: requests in flight, open connections.
#[derive(Debug, Default)]
pub struct Level(Sharded<AtomicU64>);

/// A figure somebody sets, seldom.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

/// Durations in buckets.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static Bounds,
    shards: Sharded<Buckets>,
}

/// Upper bounds of the buckets in nanoseconds, ascending. Fourteen, for then the counts of a thread with their sum
/// are 128 bytes.
pub type Bounds = [u64; 14];

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; 15],
    nanos: AtomicU64,
}

impl Counter {
    pub fn inc(&self) {
        self.add(1);
    }

    pub fn add(&self, count: u64) {
        self.0.mine().fetch_add(count, Relaxed);
    }

    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.iter().fold(0, |sum, shard| sum.wrapping_add(shard.load(Relaxed)))
    }
}

impl Level {
    pub fn up(&self) {
        self.0.mine().fetch_add(1, Relaxed);
    }

    pub fn down(&self) {
        self.0.mine().fetch_sub(1, Relaxed);
    }

    /// What went up on one thread and down on another cancels out, as all of it wraps alike. A scrape between the
    /// two may see less than nothing, and shows nothing.
    #[must_use]
    pub fn value(&self) -> u64 {
        let sum = self.0.iter().fold(0_u64, |sum, shard| sum.wrapping_add(shard.load(Relaxed)));
        u64::try_from(sum.cast_signed()).unwrap_or(0)
    }
}

impl Gauge {
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    #[must_use]
    pub fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Relaxed))
    }
}

impl Histogram {
    #[must_use]
    pub fn new(bounds: &'static Bounds) -> Self {
        Self { bounds, shards: Sharded::default() }
    }

    pub fn observe(&self, duration: Duration) {
        let nanos = nanos(duration);
        // fourteen comparisons without a branch are cheaper than a search that mispredicts
        let bucket: usize = self.bounds.iter().map(|bound| usize::from(nanos > *bound)).sum();
        let mine = self.shards.mine();
        if let Some(count) = mine.counts.get(bucket) {
            count.fetch_add(1, Relaxed);
        }
        mine.nanos.fetch_add(nanos, Relaxed);
    }

    /// How many durations were observed.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.shards.iter().flat_map(|shard| &shard.counts).map(|count| count.load(Relaxed)).sum()
    }

    fn seconds(&self) -> f64 {
        self.shards.iter().map(|shard| seconds(shard.nanos.load(Relaxed))).sum()
    }

    fn in_bucket(&self, bucket: usize) -> u64 {
        self.shards.iter().filter_map(|shard| shard.counts.get(bucket)).map(|count| count.load(Relaxed)).sum()
    }
}

impl Tally for Counter {
    fn over(&self) {
        self.inc();
    }
}

impl Sample for Counter {
    const KIND: proto::MetricType = proto::MetricType::COUNTER;

    fn sample(&self) -> proto::Metric {
        let mut counter = proto::Counter::default();
        counter.set_value(self.value() as f64);
        let mut metric = proto::Metric::default();
        metric.set_counter(counter);
        metric
    }
}

impl Sample for Level {
    const KIND: proto::MetricType = proto::MetricType::GAUGE;

    fn sample(&self) -> proto::Metric {
        gauge(self.value() as f64)
    }
}

impl Sample for Gauge {
    const KIND: proto::MetricType = proto::MetricType::GAUGE;

    fn sample(&self) -> proto::Metric {
        gauge(self.value())
    }
}

impl Sample for Histogram {
    const KIND: proto::MetricType = proto::MetricType::HISTOGRAM;

    fn sample(&self) -> proto::Metric {
        let mut below = 0;
        let mut buckets = Vec::with_capacity(self.bounds.len());
        for (number, bound) in self.bounds.iter().enumerate() {
            below += self.in_bucket(number);
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(below);
            buckets.push(bucket);
        }
        let mut histogram = proto::Histogram::default();
        // from the same reading as the buckets, or `+Inf` could be less than the bucket before it
        histogram.set_sample_count(below + self.in_bucket(self.bounds.len()));
        histogram.set_sample_sum(self.seconds());
        histogram.set_bucket(buckets);
        let mut metric = proto::Metric::default();
        metric.set_histogram(histogram);
        metric
    }
}

fn gauge(value: f64) -> proto::Metric {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    proto::Metric::from_gauge(gauge)
}

fn nanos(duration: Duration) -> u64 {
    duration.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(duration.subsec_nanos()))
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
#[path = "counter_tests.rs"]
mod tests;
