//! The part of the contract that is about families, locks, and things that happen once.

use super::*;
use crate::domain::family::{present, Family};
use crate::store::redis::server::eventually;

pub(super) async fn a_session_takes_its_family_along(rig: Rig) {
    let (one, two) = (rig.sign_in(user()).await, rig.sign_in(user()).await);
    let late = rig.sign_in(two.user).await;
    rig.store.end(one.user, one.id).await.unwrap();
    assert_eq!(rig.present(&one, cookie(0), &RULES).await, Some(Verdict::Revoked));
    let mut ended = rig.store.end_all(two.user).await.unwrap();
    ended.sort();
    let mut both = [two.id, late.id];
    both.sort();
    assert_eq!(ended, both);
    assert_eq!(rig.present(&two, cookie(0), &RULES).await, Some(Verdict::Revoked));
    assert_eq!(rig.present(&late, cookie(5), &RULES).await, Some(Verdict::Revoked));
}

pub(super) async fn evicted_sessions_take_their_families_along(rig: Rig) {
    let old = rig.sign_in(user()).await;
    let new = new_session(old.user);
    rig.create(&new, OnLimit::EvictOldest, 1, &[old.id]).await;
    assert_eq!(rig.present(&old, cookie(0), &RULES).await, Some(Verdict::Revoked));
    assert_eq!(rig.store.by_handle(old.user, old.handle.unwrap()).await, Ok(None));
    assert_eq!(rig.present(&new, cookie(0), &RULES).await, Some(Verdict::Same(0)));
}

/// Random histories, judged by the pure function and by the store. Of an expired family a store may know nothing.
pub(super) async fn verdicts_are_those_of_the_domain(rig: Rig) {
    let mut seen = std::collections::HashSet::new();
    for history in 0..150 {
        let mut random = fastrand::Rng::with_seed(history);
        let rules = Rules {
            grace: [RULES.grace, RULES.grace, Duration::ZERO][random.usize(0..3)],
            rotation: if random.u8(0..10) == 0 { Rotation::Never } else { Rotation::Always },
            max_grace_streak: random.u32(1..4),
            ..RULES
        };
        let new = rig.sign_in(user()).await;
        let mut family = Family::begin(new.id, rig.now(), new.family.unwrap().lifetimes);
        for step in 0..30 {
            let pause = [1, 5, 25, 31, 100, 900, 2_000, 3_700][random.usize(0..8)];
            rig.pass(Duration::from_secs(pause));
            let near = [0, 0, 0, 0, 1, 1, 1, 2][random.usize(0..8)];
            let ahead = u32::from(random.u8(0..30) == 0);
            let shown = Presentation {
                generation: family.generation.saturating_sub(near) + ahead,
                same_device: random.u8(0..5) > 0,
                bounced: random.u8(0..3) == 0,
                transport: if random.u8(0..4) == 0 { Transport::Body } else { Transport::Cookie },
            };
            if random.bool() {
                let confirmed = rig.store.confirm(new.user, new.family.unwrap().id, family.generation).await;
                confirmed.unwrap();
                family.confirm(family.generation);
            }
            let expected = present(&mut family, &shown, &rules, rig.now());
            let answer = rig.present(&new, shown, &rules).await.unwrap_or(Verdict::Expired);
            assert_eq!(answer, expected, "history {history}, step {step}: {shown:?} {rules:?} {family:?}");
            seen.insert(std::mem::discriminant(&expected));
            if matches!(expected, Verdict::Revoked | Verdict::Expired) {
                break;
            }
        }
    }
    assert_eq!(seen.len(), 9, "some verdict was never met: {seen:?}");
}

pub(super) async fn of_many_at_once_one_rotates(rig: Rig) {
    for (grace, transport) in [(Duration::ZERO, Transport::Body), (RULES.grace, Transport::Cookie)] {
        let new = Arc::new(rig.sign_in(user()).await);
        rig.pass(MINUTE);
        let mut under_way = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (store, new) = (Arc::clone(&rig.store), Arc::clone(&new));
            let (shown, rules) = (Presentation { transport, ..cookie(0) }, Rules { grace, ..RULES });
            under_way.spawn(async move {
                store.present(new.user, new.family.unwrap().id, &shown, &rules).await.unwrap().unwrap().verdict
            });
        }
        let verdicts = under_way.join_all().await;
        let count = |verdict| verdicts.iter().filter(|given| **given == verdict).count();
        assert_eq!(count(Verdict::Rotated(1)), 1, "{verdicts:?}");
        if transport == Transport::Body {
            assert_eq!((count(Verdict::Reuse), count(Verdict::Revoked)), (1, 18));
        } else {
            assert_eq!(count(Verdict::Reissued(1)), 19);
        }
    }
}

pub(super) async fn a_family_nobody_began_is_unknown(rig: Rig) {
    let nobody = new_session(user());
    let family = nobody.family.unwrap().id;
    assert_eq!(rig.present(&nobody, cookie(0), &RULES).await, None);
    assert_eq!(rig.store.confirm(nobody.user, family, 0).await, Ok(false));
    assert_eq!(rig.store.revoke(nobody.user, family).await, Ok(false));
    assert_eq!(rig.present(&nobody, cookie(7), &RULES).await, None, "and nothing of that began it");
}

pub(super) async fn a_revoked_family_stays_revoked(rig: Rig) {
    let new = rig.sign_in(user()).await;
    let family = new.family.unwrap().id;
    assert_eq!(rig.store.revoke(new.user, family).await, Ok(true));
    rig.store.confirm(new.user, family, 0).await.unwrap();
    for generation in [0, 1, 9] {
        assert_eq!(rig.present(&new, cookie(generation), &RULES).await, Some(Verdict::Revoked));
    }
    assert_eq!(rig.ids(new.user).await, [new.id], "the session is the caller's to end");
}

pub(super) async fn a_lock_has_one_holder_until_it_ends(rig: Rig) {
    let name = &format!("lock:{}", user());
    let (mine, yours) = (&Nonce([1; 16]), &Nonce([2; 16]));
    assert_eq!(rig.store.extend(name, mine, HOUR).await, Ok(false), "nobody has it");
    assert_eq!(rig.store.acquire(name, mine, HOUR).await, Ok(true));
    assert_eq!(rig.store.acquire(name, mine, HOUR).await, Ok(true), "asked again after a lost answer");
    assert_eq!(rig.store.acquire(name, yours, HOUR).await, Ok(false));
    assert_eq!(rig.store.extend(name, yours, HOUR).await, Ok(false));
    assert_eq!(rig.store.release(name, yours).await, Ok(false));
    assert_eq!(rig.store.extend(name, mine, Duration::from_millis(20)).await, Ok(true));
    eventually(|| async {
        rig.pass(Duration::from_millis(5));
        rig.store.acquire(name, yours, HOUR).await == Ok(true)
    })
    .await;
    assert_eq!(rig.store.release(name, mine).await, Ok(false));
    assert_eq!(rig.store.release(name, yours).await, Ok(true));
    assert_eq!(rig.store.acquire(name, mine, HOUR).await, Ok(true));
}

pub(super) async fn what_happened_once_does_not_happen_again(rig: Rig) {
    let name = &format!("jti:{}", user());
    assert_eq!(rig.store.first(name, rig.now().plus(HOUR)).await, Ok(true));
    assert_eq!(rig.store.first(name, rig.now().plus(HOUR)).await, Ok(false));
    let past = &format!("jti:{}", user());
    assert_eq!(rig.store.first(past, Millis(0)).await, Ok(true));
    assert_eq!(rig.store.first(past, Millis(0)).await, Ok(false), "a clock that is behind must not make two of one");
}

pub(super) async fn documents_are_replaced_version_by_version(rig: Rig) {
    let name = &format!("keys:{}", user());
    assert_eq!(rig.store.read(name).await, Ok(None));
    assert_eq!(rig.store.replace(name, 1, b"x").await, Ok(false));
    assert_eq!(rig.store.replace(name, 0, b"\0one").await, Ok(true));
    assert_eq!(rig.store.replace(name, 0, b"too late").await, Ok(false));
    assert_eq!(rig.store.read(name).await, Ok(Some(Document { version: 1, bytes: b"\0one".to_vec() })));
    assert_eq!(rig.store.replace(name, 1, b"two").await, Ok(true));
    assert_eq!(rig.store.read(name).await.unwrap().unwrap().version, 2);
}
