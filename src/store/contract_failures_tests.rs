//! The part of the contract that is about failed sign-ins.

use super::*;
use crate::domain::failures::{Charged, Schedule, Tally, TallyKey, MEMORY};

const TERMS: Schedule = Schedule { free: 9, block: MINUTE, block_max: HOUR, fades: None };

fn counter() -> TallyKey {
    TallyKey::from_bytes(fastrand::u128(..).to_be_bytes())
}

/// Random histories, judged by the pure functions and by the store.
pub(super) async fn failures_are_charged_as_the_domain_says(rig: Rig) {
    let mut blocked = 0;
    for history in 0..20 {
        let mut random = fastrand::Rng::with_seed(history);
        let schedule =
            Schedule { free: random.u32(1..5), block: MINUTE, block_max: MINUTE * random.u32(1..40), fades: None };
        let schedule = if history % 2 == 0 { schedule } else { schedule.of_address() };
        let (key, mut tally) = (counter(), Tally::default());
        let mut serials = Vec::new();
        for step in 0..if history % 2 == 0 { 60 } else { 200 } {
            rig.pass(Duration::from_secs([0, 1, 30, 61, 600, 4_000][random.usize(0..6)]));
            if random.u8(0..40) == 0 {
                rig.pass(MEMORY);
            }
            if random.u8(0..4) == 0 && !serials.is_empty() {
                let serial = serials.swap_remove(random.usize(..serials.len()));
                rig.store.give_back(key, serial, &schedule).await.unwrap();
                tally.give_back(serial, &schedule);
                continue;
            }
            if random.u8(0..3) == 0 {
                rig.store.failed(key, &schedule).await.unwrap();
                tally.confirm(&schedule, rig.now());
            }
            let (told, now) = rig.store.tally(key).await.unwrap();
            assert_eq!((told.wait(&schedule, now), now), (tally.wait(&schedule, now), rig.now()), "history {history}");
            let expected = tally.charge(&schedule, rig.now());
            let charged = rig.store.charge(key, &schedule).await.unwrap();
            assert_eq!(charged, expected, "history {history}, step {step}");
            match charged {
                Charged::Taken { serial } => serials.push(serial),
                Charged::Blocked { .. } => blocked += 1,
            }
        }
    }
    assert!(blocked > 20, "{blocked}");
}

pub(super) async fn of_a_thousand_attempts_at_once_ten_go_on(rig: Rig) {
    let key = counter();
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..1_000 {
        let store = Arc::clone(&rig.store);
        under_way.spawn(async move { store.charge(key, &TERMS).await });
    }
    let charged = under_way.join_all().await;
    let taken = charged.iter().filter(|charged| matches!(charged, Ok(Charged::Taken { .. }))).count();
    let blocked = charged.iter().filter(|charged| matches!(charged, Ok(Charged::Blocked { .. }))).count();
    // one that was not answered in time may have been counted, and goes on no more than those that were blocked
    assert!(taken <= 10 && taken + blocked >= 900, "{taken} taken, {blocked} blocked");
    assert_eq!(rig.store.charge(key, &TERMS).await, Ok(Charged::Blocked { again_in: MINUTE }));
}

pub(super) async fn an_emptied_counter_begins_anew(rig: Rig) {
    let (key, other) = (counter(), counter());
    for _ in 0..10 {
        rig.store.charge(key, &TERMS).await.unwrap();
    }
    rig.store.forget(key).await.unwrap();
    rig.store.forget(other).await.unwrap();
    for serial in 1..=10 {
        assert_eq!(rig.store.charge(key, &TERMS).await, Ok(Charged::Taken { serial }));
    }
    rig.pass(MINUTE);
    assert_eq!(rig.store.charge(key, &TERMS).await, Ok(Charged::Taken { serial: 11 }));
}
