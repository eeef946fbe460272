use super::*;
use proptest::prelude::*;

const TENTH: Bucket = Bucket { interval: 100_000, burst: 20 };

fn take_one(bucket: Bucket, tat: &mut Micros, now: Micros) -> bool {
    let taken = bucket.take(*tat, now, (1, 1));
    *tat = taken.tat;
    taken.granted == 1
}

#[test]
fn a_burst_passes_and_the_next_one_waits_for_its_interval() {
    let mut tat = 0;
    assert_eq!((0..25).filter(|_| take_one(TENTH, &mut tat, 1_000_000)).count(), 20);
    assert_eq!(TENTH.take(tat, 1_000_000, (1, 1)).retry, 100_000);
    assert_eq!((0..25).filter(|_| take_one(TENTH, &mut tat, 1_550_000)).count(), 5);
}

#[test]
fn all_or_nothing_below_the_least_and_as_much_as_there_is_above() {
    let first = TENTH.take(0, 5, (16, 1));
    assert_eq!((first.granted, first.remaining), (16, 4));
    let second = TENTH.take(first.tat, 5, (16, 5));
    assert_eq!((second.granted, second.tat, second.retry), (0, first.tat, 100_000));
    assert_eq!(TENTH.take(first.tat, 5, (16, 4)).granted, 4);
}

#[test]
fn waiting_as_told_is_enough_and_a_moment_less_is_not() {
    let empty = TENTH.take(0, 7, (20, 1)).tat;
    let told = TENTH.take(empty, 1_007, (3, 3)).retry;
    assert_eq!(TENTH.take(empty, 1_007 + told - 1, (3, 3)).granted, 0);
    assert_eq!(TENTH.take(empty, 1_007 + told, (3, 3)).granted, 3);
}

#[test]
fn a_rate_that_does_not_divide_is_rounded_to_fewer() {
    assert_eq!(Bucket::new(Rate::per_second(3), 1).interval, 333_334);
    assert_eq!(Bucket::new(Rate::per_minute(100), 20).interval, 600_000);
}

#[test]
fn shares_come_to_no_more_than_the_whole() {
    let share = TENTH.share(3);
    assert_eq!((share.interval, share.burst), (300_000, 6));
    assert_eq!(TENTH.share(0), TENTH);
    assert_eq!(TENTH.share(100).burst, 1);
}

#[test]
fn a_bucket_made_to_hold_something_holds_it() {
    for tokens in [0, 1, 7, 20] {
        assert_eq!(TENTH.available(TENTH.holding(tokens, 99), 99), tokens);
    }
}

proptest! {
    /// Not only in windows that begin on the minute: in every one.
    #[test]
    fn no_window_ever_sees_more_than_burst_and_rate(
        interval in 1_u64..50_000,
        burst in 1_u32..40,
        asks in prop::collection::vec((0_u64..30_000, 1_u32..6), 1..200),
    ) {
        let bucket = Bucket { interval, burst };
        let (mut now, mut tat, mut taken) = (1_u64, 0, Vec::new());
        for (pause, want) in asks {
            now += pause;
            let got = bucket.take(tat, now, (want, 1));
            tat = got.tat;
            taken.push((now, u64::from(got.granted)));
        }
        for (at, (begin, _)) in taken.iter().enumerate() {
            let mut sum = 0;
            for (end, tokens) in &taken[at..] {
                sum += tokens;
                prop_assert!(sum <= u64::from(burst) + (end - begin) / interval, "{sum} in {}", end - begin);
            }
        }
    }
}
