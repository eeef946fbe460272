use super::*;
use crate::domain::session::Lifetimes;

const RULES: Rules = Rules {
    grace: Duration::from_secs(30),
    idle: Duration::from_secs(3_600),
    rotation: Rotation::Always,
    max_grace_streak: 3,
};
const STRICT: Rules = Rules { grace: Duration::ZERO, ..RULES };

fn family() -> Family {
    let lifetimes = Lifetimes { idle: RULES.idle, absolute: Duration::from_secs(43_200) };
    Family::begin(SessionId::from_bytes([1; 16]), Millis(0), lifetimes)
}

fn cookie(generation: u32) -> Presentation {
    Presentation { generation, same_device: true, bounced: false, transport: Transport::Cookie }
}

fn body(generation: u32) -> Presentation {
    Presentation { transport: Transport::Body, ..cookie(generation) }
}

fn bounced(generation: u32) -> Presentation {
    Presentation { bounced: true, ..cookie(generation) }
}

fn at(seconds: u64) -> Millis {
    Millis(seconds * 1_000)
}

/// A family whose generation 1 was made at second 100 and has arrived.
fn rotated() -> Family {
    let mut family = family();
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(100)), Verdict::Rotated(1));
    family.confirm(1);
    family
}

#[test]
fn a_token_younger_than_the_grace_is_answered_with_itself_in_a_browser_only() {
    let mut family = family();
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(29)), Verdict::Same(0));
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(30)), Verdict::Rotated(1));
    assert_eq!(present(&mut family, &body(1), &RULES, at(31)), Verdict::Rotated(2));
}

#[test]
fn a_lost_response_is_repeated_on_the_same_device_however_late() {
    let mut family = family();
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(100)), Verdict::Rotated(1));
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(900)), Verdict::Reissued(1));
    assert_eq!(present(&mut family, &body(0), &RULES, at(901)), Verdict::Reissued(1));
    let elsewhere = Presentation { same_device: false, ..bounced(0) };
    assert_eq!(present(&mut family, &elsewhere, &RULES, at(902)), Verdict::Reuse);
}

#[test]
fn the_predecessor_is_forgiven_within_the_grace_in_a_browser_only() {
    let mut family = rotated();
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(130)), Verdict::Grace(1));
    assert_eq!(present(&mut family, &body(0), &RULES, at(131)), Verdict::Reuse);
}

#[test]
fn a_stale_token_goes_back_once_and_is_theft_the_second_time() {
    let mut family = rotated();
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(131)), Verdict::Bounce);
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(132)), Verdict::Bounce, "another tab");
    assert_eq!(present(&mut family, &bounced(1), &RULES, at(132)), Verdict::Rotated(2), "its jar had the child");
    assert_eq!(present(&mut family, &bounced(0), &RULES, at(133)), Verdict::Reuse);
}

#[test]
fn reuse_ends_the_family_for_everybody() {
    let mut family = rotated();
    assert_eq!(present(&mut family, &body(0), &RULES, at(200)), Verdict::Reuse);
    for token in [cookie(1), cookie(0), cookie(9), body(1)] {
        assert_eq!(present(&mut family, &token, &RULES, at(201)), Verdict::Revoked);
    }
}

#[test]
fn without_grace_every_second_use_is_theft() {
    let mut family = family();
    assert_eq!(present(&mut family, &cookie(0), &STRICT, at(1)), Verdict::Rotated(1));
    for second in [cookie(0), bounced(0), body(0)] {
        let mut copy = family.clone();
        assert_eq!(present(&mut copy, &second, &STRICT, at(1)), Verdict::Reuse, "not even a lost response counts");
    }
    assert_eq!(present(&mut family, &cookie(1), &STRICT, at(1)), Verdict::Rotated(2));
}

#[test]
fn a_generation_ahead_of_the_store_is_believed() {
    let mut family = family();
    assert_eq!(present(&mut family, &body(7), &RULES, at(100)), Verdict::Rotated(8));
    let mut browser = rotated();
    assert_eq!(present(&mut browser, &cookie(5), &RULES, at(200)), Verdict::Same(5));
    assert_eq!(present(&mut browser, &bounced(1), &RULES, at(201)), Verdict::Reuse);
}

/// Renews as the owner and forgives `token`, generation by generation.
fn shadowed(generations: u32) -> (Family, u64) {
    let (mut family, mut now) = (family(), 0);
    for generation in 0..generations {
        now += 100;
        assert_eq!(present(&mut family, &cookie(generation), &RULES, at(now)), Verdict::Rotated(generation + 1));
        family.confirm(generation + 1);
        if generation + 1 < generations {
            let forgiven = present(&mut family, &bounced(generation), &RULES, at(now + 1));
            assert_eq!(forgiven, Verdict::Grace(generation + 1));
        }
    }
    (family, now)
}

#[test]
fn a_shadow_is_found_in_its_third_generation() {
    let (mut family, now) = shadowed(3);
    assert_eq!(present(&mut family, &bounced(2), &RULES, at(now + 1)), Verdict::StepUp);
    assert_eq!(present(&mut family, &bounced(2), &RULES, at(now + 2)), Verdict::StepUp);
}

#[test]
fn a_browser_that_is_late_three_times_in_a_row_looks_into_its_jar_before_anybody_is_suspected() {
    let (mut family, now) = shadowed(3);
    assert_eq!(present(&mut family, &cookie(2), &RULES, at(now + 1)), Verdict::Bounce);
    assert_eq!(present(&mut family, &bounced(3), &RULES, at(now + 2)), Verdict::Same(3));
}

#[test]
fn a_generation_without_forgiveness_ends_the_streak() {
    let (mut family, now) = shadowed(3);
    assert_eq!(present(&mut family, &cookie(3), &RULES, at(now + 100)), Verdict::Rotated(4));
    family.confirm(4);
    assert_eq!(present(&mut family, &cookie(3), &RULES, at(now + 101)), Verdict::Grace(4));
}

#[test]
fn without_rotation_one_token_serves_until_the_absolute_deadline() {
    let never = Rules { rotation: Rotation::Never, ..RULES };
    let strict = Rules { grace: Duration::ZERO, ..never };
    let mut family = family();
    for hour in 1..24 {
        let shown = if hour % 2 == 0 { cookie(0) } else { body(0) };
        let rules = if hour % 3 == 0 { strict } else { never };
        assert_eq!(present(&mut family, &shown, &rules, at(hour * 1_800)), Verdict::Same(0));
    }
    assert_eq!(present(&mut family, &cookie(0), &never, at(43_200)), Verdict::Expired);
}

#[test]
fn a_family_ends_by_neglect_and_by_age() {
    assert_eq!(present(&mut family(), &cookie(0), &RULES, at(3_600)), Verdict::Expired);
    let (mut family, mut now) = (family(), 0);
    for generation in 0..13 {
        now += 3_599;
        let verdict = present(&mut family, &cookie(generation), &RULES, at(now));
        assert_eq!(verdict, if now < 43_200 { Verdict::Rotated(generation + 1) } else { Verdict::Expired });
    }
}

#[test]
fn nobody_confirms_a_generation_that_was_never_made() {
    let mut family = family();
    family.confirm(9);
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(100)), Verdict::Rotated(1));
    assert_eq!(present(&mut family, &cookie(0), &RULES, at(200)), Verdict::Reissued(1));
}

#[test]
fn a_renewal_that_may_live_for_less_ends_the_family_sooner_and_never_later() {
    let hours = |hours: u64| Some(Duration::from_secs(hours * 3_600));
    assert_eq!(RULES.within(None), RULES);
    assert_eq!(RULES.within(hours(2)), RULES, "idle comes first");
    assert_eq!(RULES.within(Some(Duration::ZERO)), RULES, "whoever is refused ends nothing");
    let short = RULES.within(Some(Duration::from_secs(600)));
    let mut family = family();
    assert_eq!(present(&mut family, &cookie(0), &short, at(100)), Verdict::Rotated(1));
    assert_eq!(present(&mut family, &cookie(1), &short, at(699)), Verdict::Rotated(2), "counted from the renewal");
    assert_eq!(present(&mut family, &cookie(2), &short, at(1_299)), Verdict::Expired);
}
