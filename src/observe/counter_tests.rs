use super::*;
use std::thread;

const BOUNDS: Bounds = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140];

#[test]
fn no_addition_is_lost_however_many_threads_share_a_shard() {
    let counter = Counter::default();
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| (0..1000).for_each(|_| counter.inc()));
        }
    });
    assert_eq!(counter.value(), 100_000);
}

#[test]
fn what_goes_up_on_one_thread_may_come_down_on_another() {
    let level = Level::default();
    (0..3).for_each(|_| level.up());
    thread::scope(|scope| {
        scope.spawn(|| (0..2).for_each(|_| level.down()));
    });
    assert_eq!(level.value(), 1);
}

#[test]
fn a_level_never_shows_less_than_nothing() {
    let level = Level::default();
    level.down();
    assert_eq!(level.value(), 0);
    level.up();
    assert_eq!(level.value(), 0);
}

#[test]
fn a_duration_on_the_bound_belongs_to_that_bucket() {
    let histogram = Histogram::new(&BOUNDS);
    for nanos in [10, 11, 140, 141] {
        histogram.observe(Duration::from_nanos(nanos));
    }
    let counts: Vec<u64> = (0..15).map(|bucket| histogram.in_bucket(bucket)).collect();
    assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn a_histogram_is_exported_in_seconds_with_cumulative_buckets() {
    let histogram = Histogram::new(&BOUNDS);
    histogram.observe(Duration::from_nanos(15));
    histogram.observe(Duration::from_secs(2));
    let metric = histogram.sample();
    let exported = metric.get_histogram();
    let cumulative: Vec<u64> = exported.get_bucket().iter().map(|bucket| bucket.cumulative_count()).collect();
    assert_eq!(cumulative, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    assert_eq!(exported.get_sample_count(), 2);
    assert!((exported.get_sample_sum() - 2.000_000_015).abs() < 1e-12);
    assert!((exported.get_bucket()[0].upper_bound() - 1e-8).abs() < 1e-20);
}

#[test]
fn a_duration_beyond_all_counting_is_counted_once_and_does_not_panic() {
    let histogram = Histogram::new(&BOUNDS);
    histogram.observe(Duration::MAX);
    assert_eq!(histogram.count(), 1);
}
