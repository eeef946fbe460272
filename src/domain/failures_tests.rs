use super::*;
use proptest::prelude::*;

const TERMS: Schedule =
    Schedule { free: 9, block: Duration::from_secs(60), block_max: Duration::from_secs(3600), fades: None };

/// Waits out every block, and notes how long each was.
fn blocks(schedule: &Schedule, failures: usize) -> Vec<u64> {
    let (mut tally, mut now) = (Tally::default(), Millis(1_000));
    let mut waited = Vec::new();
    for _ in 0..failures {
        assert!(matches!(tally.charge(schedule, now), Charged::Taken { .. }));
        waited.push(tally.blocked_until.since(now).as_secs());
        now = now.max(tally.blocked_until);
    }
    waited
}

#[test]
fn nine_failures_are_free_and_then_blocks_double_up_to_an_hour() {
    let blocks = blocks(&TERMS, 18);
    assert_eq!(blocks[..9], [0; 9]);
    assert_eq!(blocks[9..], [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
}

#[test]
fn a_block_counts_nothing_and_ends_to_the_millisecond() {
    let mut tally = Tally { failures: 9, serial: 9, last: Millis(1_000), ..Tally::default() };
    assert_eq!(tally.charge(&TERMS, Millis(1_000)), Charged::Taken { serial: 10 });
    for now in [1_000, 30_000, 60_999] {
        let again_in = Duration::from_millis(61_000 - now);
        assert_eq!(tally.charge(&TERMS, Millis(now)), Charged::Blocked { again_in });
    }
    assert_eq!(tally.charge(&TERMS, Millis(61_000)), Charged::Taken { serial: 11 });
}

#[test]
fn a_day_after_the_last_failure_all_are_forgotten() {
    let mut tally = Tally::default();
    for _ in 0..10 {
        tally.charge(&TERMS, Millis(1_000));
    }
    let day = Millis(1_000).plus(MEMORY);
    assert!(!tally.is_forgotten(Millis(day.0 - 1)));
    assert_eq!(tally.charge(&TERMS, day), Charged::Taken { serial: 1 });
}

#[test]
fn what_was_no_failure_leaves_neither_charge_nor_block() {
    let mut tally = Tally { failures: 9, serial: 9, last: Millis(1_000), ..Tally::default() };
    let Charged::Taken { serial } = tally.charge(&TERMS, Millis(1_000)) else { panic!() };
    tally.give_back(serial, &TERMS);
    assert_eq!((tally.failures, tally.blocked_until), (9, Millis(0)));
    assert_eq!(tally.charge(&TERMS, Millis(1_001)), Charged::Taken { serial: 11 });
}

/// One that was charged before a block and turns out to be a success must not end the block of those after it.
#[test]
fn giving_back_an_older_charge_leaves_a_deserved_block() {
    let mut tally = Tally { failures: 11, serial: 11, last: Millis(1_000), ..Tally::default() };
    tally.charge(&TERMS, Millis(1_000));
    tally.give_back(3, &TERMS);
    assert_eq!(tally.failures, 11);
    assert!(tally.blocked_until > Millis(1_000));
}

#[test]
fn a_tally_that_was_emptied_meanwhile_gives_nothing_back() {
    let mut tally = Tally { failures: 2, serial: 2, last: Millis(1_000), ..Tally::default() };
    tally.give_back(7, &TERMS);
    assert_eq!(tally.failures, 2);
}

#[test]
fn an_address_has_ten_times_the_allowance() {
    let address = TERMS.of_address();
    assert_eq!(address.block_after(90), None);
    assert_eq!(address.block_after(91), Some(TERMS.block));
    let endless = Schedule { free: u32::MAX, ..TERMS };
    assert_eq!(endless.of_address().block_after(u32::MAX), None);
}

/// Fails `times` times, side by side with nobody.
fn fail(tally: &mut Tally, schedule: &Schedule, now: Millis, times: u32) {
    for _ in 0..times {
        tally.charge(schedule, now);
        tally.confirm(schedule, now);
    }
}

#[test]
fn failures_of_an_address_fade_one_by_one() {
    let (schedule, mut tally, each) = (TERMS.of_address(), Tally::default(), Duration::from_secs(960));
    fail(&mut tally, &schedule, Millis(1_000), 90);
    assert_eq!(tally.failures_at(&schedule, Millis(1_000)), 90);
    let later = Millis(1_000).plus(each * 10);
    assert_eq!(tally.failures_at(&schedule, Millis(later.0 - 1)), 81);
    assert_eq!(tally.failures_at(&schedule, later), 80);
    // somebody is wrong every half hour, for a month: that is less than what fades
    let mut now = later;
    for _ in 0..30 * 48 {
        now = now.plus(Duration::from_secs(1_800));
        assert!(matches!(tally.charge(&schedule, now), Charged::Taken { .. }));
        tally.confirm(&schedule, now);
    }
    assert_eq!(tally.failures, 1);
}

#[test]
fn what_is_given_back_delays_nothing_that_fades() {
    let schedule = TERMS.of_address();
    let (mut tally, mut other) = (Tally::default(), Tally::default());
    fail(&mut tally, &schedule, Millis(1_000), 5);
    fail(&mut other, &schedule, Millis(1_000), 5);
    for minute in 1..60 {
        let now = Millis(1_000 + minute * 60_000);
        let Charged::Taken { serial } = tally.charge(&schedule, now) else { panic!() };
        tally.give_back(serial, &schedule);
        assert_eq!(tally.failures_at(&schedule, now), other.failures_at(&schedule, now), "minute {minute}");
    }
    assert_eq!(tally.failures, 2);
}

#[test]
fn people_who_sign_in_at_the_limit_of_their_address_block_nobody() {
    let (schedule, mut tally, now) = (TERMS.of_address(), Tally::default(), Millis(1_000));
    fail(&mut tally, &schedule, now, 90);
    let serials: Vec<u32> = (0..64)
        .map(|_| match tally.charge(&schedule, now) {
            Charged::Taken { serial } => serial,
            Charged::Blocked { again_in } => panic!("blocked for {again_in:?}"),
        })
        .collect();
    assert_eq!(tally.charge(&schedule, now), Charged::Blocked { again_in: SOON }, "there are that many at once");
    serials.into_iter().for_each(|serial| tally.give_back(serial, &schedule));
    assert_eq!((tally.failures, tally.wait(&schedule, now)), (90, None));
    fail(&mut tally, &schedule, now, 1);
    assert_eq!(tally.wait(&schedule, now), Some(TERMS.block), "and a failure does");
}

/// What comes at once has to fade like everything else.
#[test]
fn nobody_guesses_faster_than_an_address_forgets() {
    let (schedule, mut tally, mut now, mut guesses) = (TERMS.of_address(), Tally::default(), Millis(1_000), 0);
    for _ in 0..14 * 24 * 60 {
        now = now.plus(Duration::from_secs(60));
        let taken = (0..100).filter(|_| matches!(tally.charge(&schedule, now), Charged::Taken { .. })).count();
        (0..taken).for_each(|_| tally.confirm(&schedule, now));
        guesses += taken;
    }
    assert!(guesses <= 90 + 64 + 14 * 90, "{guesses} in two weeks");
}

proptest! {
    /// Whatever the schedule, and however patient the guesser: so many guesses a day, and not one more.
    #[test]
    fn no_patience_buys_more_guesses_than_the_schedule_gives(
        free in 1_u32..20,
        block in 1_u64..600,
        longer in 0_u64..7_200,
        pauses in prop::collection::vec(0_u64..120_000, 300),
    ) {
        let block_max = Duration::from_secs(block + longer);
        let schedule = Schedule { free, block: Duration::from_secs(block), block_max, fades: None };
        let (mut tally, mut now, mut taken) = (Tally::default(), Millis(1_000), 0);
        let begun = now;
        for pause in pauses {
            now = Millis(now.0 + pause);
            let before = tally;
            match tally.charge(&schedule, now) {
                Charged::Taken { serial } => {
                    taken += 1;
                    prop_assert_eq!(serial, taken);
                }
                Charged::Blocked { again_in } => {
                    prop_assert!(again_in <= block_max && !again_in.is_zero());
                    prop_assert_eq!(tally, before);
                }
            }
            let blocked: Duration = (1..taken).filter_map(|failures| schedule.block_after(failures)).sum();
            prop_assert!(now.since(begun) >= blocked, "{} guesses within {:?}", taken, now.since(begun));
        }
    }

    #[test]
    fn blocks_never_shrink_and_never_pass_their_bound(free in 0_u32..100, failures in 0_u32..u32::MAX - 1) {
        let schedule = Schedule { free, ..TERMS };
        let (one, next) = (schedule.block_after(failures), schedule.block_after(failures + 1));
        prop_assert!(one <= next && next.is_none_or(|block| block <= TERMS.block_max));
        prop_assert_eq!(one.is_some(), failures > free);
    }

    /// However many are under way at once and in whatever order they end, only those count that were failures.
    #[test]
    fn what_is_given_back_is_as_if_it_had_never_been(
        wins in prop::collection::vec(any::<bool>(), 1..60),
        seed in any::<u64>(),
    ) {
        let endless = Schedule { free: 1_000, ..TERMS };
        let mut tally = Tally::default();
        let mut under_way: Vec<_> = wins.iter().map(|win| (tally.charge(&endless, Millis(5)), win)).collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut under_way);
        for (charged, win) in under_way {
            let Charged::Taken { serial } = charged else { panic!() };
            if *win {
                tally.give_back(serial, &endless);
            }
        }
        let lost = u32::try_from(wins.iter().filter(|win| !**win).count()).unwrap();
        prop_assert_eq!(tally.failures, lost);
    }
}
