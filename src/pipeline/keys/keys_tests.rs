use super::fixture::*;
use super::*;
use crate::domain::signing::fixture::{hours, minutes, schedule, token, ISSUER, START};
use crate::domain::signing::Algorithm;
use crate::domain::token::verify::Rejection;
use crate::ports::store::Document;

#[tokio::test]
async fn replicas_that_start_at_once_agree_on_one_first_key() {
    let shelf = Arc::new(Shelf::default());
    let (one, two, three) = tokio::join!(replica(&shelf), replica(&shelf), replica(&shelf));
    assert_eq!(shelf.version(), 1);
    assert_eq!((one.list(), two.list()), (two.list(), three.list()));
    let text = mint(&one, START);
    for ring in [&one, &two, &three] {
        assert_eq!(accepts(ring, &text, START), Ok("u1".to_owned()));
        assert_eq!(ring.jwks().body, one.jwks().body);
    }
}

#[tokio::test]
async fn of_replicas_that_rotate_at_the_same_moment_one_does() {
    let shelf = Arc::new(Shelf::default());
    let (one, two) = (replica(&shelf).await, replica(&shelf).await);
    for (day, after) in [(29, vec!["active", "pending"]), (30, vec!["retiring", "active"]), (32, vec!["active"])] {
        let now = START.plus(hours(day * 24));
        let before = shelf.version();
        let (a, b) = tokio::join!(one.tick(now), two.tick(now));
        assert!(a.is_ok() && b.is_ok());
        assert_eq!(shelf.version(), before + 1, "day {day}");
        assert_eq!((states(&one), one.list()), (after, two.list()), "day {day}");
    }
}

#[tokio::test]
async fn nothing_is_written_and_nothing_verified_anew_while_nothing_is_due() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let generation = ring.generation();
    for second in 0..100 {
        ring.tick(UnixTime(START.0 + second)).await.unwrap();
    }
    assert_eq!((shelf.version(), ring.generation()), (1, generation));
    assert_eq!(shelf.reads.load(Ordering::Relaxed), 101);
}

#[tokio::test]
async fn every_algorithm_signs_what_the_same_ring_verifies() {
    for algorithm in Algorithm::ALL {
        let ring = opened(&Arc::new(Shelf::default()), Schedule { algorithm, ..schedule() }).await;
        assert_eq!(accepts(&ring, &mint(&ring, START), START), Ok("u1".to_owned()), "{algorithm:?}");
        assert_eq!(ring.list()[0].algorithm, algorithm.name());
    }
}

#[tokio::test]
async fn while_the_store_is_away_the_ring_signs_on_and_nothing_is_made_anew() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let before = ring.list();
    shelf.set_down(true);
    let later = START.plus(hours(30 * 24));
    assert!(matches!(ring.tick(later).await, Err(KeysError::Store(_))));
    assert!(matches!(ring.rotate(Mode::Now, later).await, Err(KeysError::Store(_))));
    assert_eq!(ring.list(), before);
    assert_eq!(accepts(&ring, &mint(&ring, later), later), Ok("u1".to_owned()));
    assert_eq!(ring.look_for_new_keys(ring.generation()).await, Looked::CannotTell);
    shelf.set_down(false);
    ring.tick(later).await.unwrap();
    assert_eq!(states(&ring), ["active", "pending"]);
}

#[tokio::test]
async fn a_replica_that_starts_without_the_store_signs_nothing_until_it_is_there() {
    let shelf = Arc::new(Shelf::default());
    shelf.set_down(true);
    let ring = SigningRing::new(Arc::clone(&shelf) as _, seals(&[1]), schedule());
    assert!(ring.tick(START).await.is_err());
    let audience = [ISSUER.to_owned()];
    assert_eq!(ring.sign(&token(&audience, &[], START, minutes(15))), Err(SignError::NoKey));
    assert_eq!(ring.look_for_new_keys(ring.generation()).await, Looked::CannotTell);
    assert_eq!(ring.jwks().body, br#"{"keys":[]}"#);
    shelf.set_down(false);
    ring.tick(START).await.unwrap();
    assert!(accepts(&ring, &mint(&ring, START), START).is_ok());
}

#[tokio::test]
async fn a_ring_that_cannot_be_opened_is_left_alone() {
    let shelf = Arc::new(Shelf::default());
    replica(&shelf).await;
    let before = shelf.document.lock().clone();
    let wrong = SigningRing::open(Arc::clone(&shelf) as _, seals(&[2]), schedule(), START).await;
    assert!(wrong.unwrap_err().to_string().contains("another store.secret"));
    assert_eq!(*shelf.document.lock(), before);
    for damaged in [Vec::new(), b"{}".to_vec(), before.unwrap().bytes[1..].to_vec()] {
        let document = Some(Document { version: 9, bytes: damaged });
        (*shelf.document.lock()).clone_from(&document);
        let opened = SigningRing::open(Arc::clone(&shelf) as _, seals(&[1]), schedule(), START).await;
        assert!(matches!(opened, Err(KeysError::Sealed)));
        assert_eq!(*shelf.document.lock(), document);
    }
}

#[tokio::test]
async fn a_damaged_ring_leaves_running_replicas_as_they_were() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    *shelf.document.lock() = Some(Document { version: 9, bytes: b"nonsense".to_vec() });
    assert!(matches!(ring.tick(START).await, Err(KeysError::Sealed)));
    assert!(accepts(&ring, &mint(&ring, START), START).is_ok());
    assert_eq!(shelf.version(), 9);
}

#[tokio::test]
async fn an_emergency_kills_every_token_here_at_once_and_elsewhere_with_the_next_tick() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (replica(&shelf).await, replica(&shelf).await);
    here.rotate(Mode::Now, START).await.unwrap();
    there.tick(START).await.unwrap();
    let stolen = mint(&there, START);
    let generation = here.generation();
    here.rotate(Mode::Emergency, START).await.unwrap();
    assert_ne!(here.generation(), generation, "cached verdicts must fall");
    assert_eq!(accepts(&here, &stolen, START), Err(Rejection::UnknownKey));
    assert!(accepts(&there, &stolen, START).is_ok());
    there.tick(START).await.unwrap();
    assert_eq!(accepts(&there, &stolen, START), Err(Rejection::UnknownKey));
    assert_eq!(there.look_for_new_keys(there.generation()).await, Looked::Unknown);
    assert_eq!(states(&there), ["revoked", "revoked", "active"]);
    assert!(accepts(&there, &mint(&here, START), START).is_ok());
    assert!(accepts(&here, &mint(&there, START), START).is_ok());
}

#[tokio::test]
async fn an_emergency_does_not_wait_for_the_store() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (replica(&shelf).await, replica(&shelf).await);
    let stolen = mint(&there, START);
    shelf.set_down(true);
    assert_eq!(here.rotate(Mode::Emergency, START).await.unwrap(), Reach::HereOnly);
    assert_eq!(accepts(&here, &stolen, START), Err(Rejection::UnknownKey));
    let meanwhile = mint(&here, START);
    assert_eq!(there.look_for_new_keys(there.generation()).await, Looked::CannotTell, "not: unknown");
    shelf.set_down(false);
    here.tick(START).await.unwrap();
    there.tick(START).await.unwrap();
    assert_eq!(accepts(&there, &stolen, START), Err(Rejection::UnknownKey));
    assert!(accepts(&there, &meanwhile, START).is_ok());
    assert_eq!(here.list(), there.list());
    let unopened = SigningRing::new(Arc::clone(&shelf) as _, seals(&[1]), schedule());
    shelf.set_down(true);
    assert!(unopened.rotate(Mode::Emergency, START).await.is_err(), "there is no ring to revoke");
}

#[tokio::test]
async fn an_emergency_on_one_side_survives_what_the_other_side_did_meanwhile() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (replica(&shelf).await, replica(&shelf).await);
    let stolen = mint(&there, START);
    shelf.set_down(true);
    here.rotate(Mode::Emergency, START).await.unwrap();
    shelf.set_down(false);
    for _ in 0..3 {
        there.rotate(Mode::Now, START).await.unwrap();
    }
    let honest = mint(&there, START);
    for ring in [&here, &there, &here] {
        ring.tick(START).await.unwrap();
    }
    for ring in [&here, &there] {
        assert_eq!(accepts(ring, &stolen, START), Err(Rejection::UnknownKey));
        assert!(accepts(ring, &honest, START).is_ok());
    }
    assert_eq!(here.list(), there.list());
}

#[tokio::test]
async fn rotating_and_retiring_sign_nobody_out() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let mut tokens = vec![mint(&ring, START)];
    ring.rotate(Mode::Scheduled, START).await.unwrap();
    tokens.push(mint(&ring, START));
    ring.rotate(Mode::Now, START).await.unwrap();
    tokens.push(mint(&ring, START));
    let kid = active(&ring);
    ring.retire(&kid, START).await.unwrap();
    tokens.push(mint(&ring, START));
    assert_ne!(active(&ring), kid);
    assert!(tokens.iter().all(|text| accepts(&ring, text, START).is_ok()));
    assert!(matches!(ring.retire("no such key", START).await, Err(KeysError::Refused(Refused::Unknown(_)))));
}

#[tokio::test]
async fn a_key_another_replica_began_to_use_this_second_is_found_by_looking() {
    let shelf = Arc::new(Shelf::default());
    let (here, there) = (replica(&shelf).await, replica(&shelf).await);
    here.rotate(Mode::Now, START).await.unwrap();
    let text = mint(&here, START);
    let seen = there.generation();
    assert_eq!(accepts(&there, &text, START), Err(Rejection::UnknownKey));
    assert_eq!(there.look_for_new_keys(seen).await, Looked::Again);
    assert!(accepts(&there, &text, START).is_ok());
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_a_few_looks_a_second() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let before = shelf.reads.load(Ordering::Relaxed);
    for asked in 0..1000 {
        let expected = if asked < LOOKS { Looked::Unknown } else { Looked::CannotTell };
        assert_eq!(ring.look_for_new_keys(ring.generation()).await, expected, "{asked}");
    }
    assert_eq!(shelf.reads.load(Ordering::Relaxed) - before, LOOKS);
    ring.tick(START).await.unwrap();
    assert_eq!(ring.look_for_new_keys(ring.generation()).await, Looked::Unknown, "another second, other looks");
    shelf.set_down(true);
    assert!(ring.tick(START).await.is_err());
    assert_eq!(ring.look_for_new_keys(ring.generation()).await, Looked::CannotTell);
}

#[tokio::test]
async fn a_store_that_lost_everything_is_given_the_same_ring_again() {
    let shelf = Arc::new(Shelf::default());
    let (one, two) = (replica(&shelf).await, replica(&shelf).await);
    let text = mint(&one, START);
    *shelf.document.lock() = None;
    let (new, a, b) = tokio::join!(replica(&shelf), one.tick(START), two.tick(START));
    assert!(a.is_ok() && b.is_ok());
    for _ in 0..3 {
        for ring in [&one, &two, &new] {
            ring.tick(START).await.unwrap();
        }
    }
    assert!([&one, &two, &new].iter().all(|ring| accepts(ring, &text, START).is_ok()));
    assert!(active(&one) == active(&two) && active(&one) == active(&new));
    let version = shelf.version();
    one.tick(START).await.unwrap();
    two.tick(START).await.unwrap();
    assert_eq!(shelf.version(), version, "there is peace");
}

#[tokio::test]
async fn a_store_put_back_from_yesterday_brings_no_leaked_key_back() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let yesterday = shelf.document.lock().clone();
    let stolen = mint(&ring, START);
    ring.rotate(Mode::Emergency, START).await.unwrap();
    *shelf.document.lock() = yesterday;
    ring.tick(START).await.unwrap();
    assert_eq!(accepts(&ring, &stolen, START), Err(Rejection::UnknownKey));
    let fresh_replica = replica(&shelf).await;
    assert_eq!(accepts(&fresh_replica, &stolen, START), Err(Rejection::UnknownKey));
    assert_eq!(active(&fresh_replica), active(&ring));
}

#[tokio::test]
async fn a_new_secret_seals_the_ring_anew_at_the_next_start() {
    let shelf = Arc::new(Shelf::default());
    let old = replica(&shelf).await;
    let both = SigningRing::new(Arc::clone(&shelf) as _, seals(&[2, 1]), schedule());
    shelf.set_read_only(true);
    assert!(both.tick(START).await.is_err());
    shelf.set_read_only(false);
    both.tick(START).await.unwrap();
    let new = SigningRing::open(Arc::clone(&shelf) as _, seals(&[2]), schedule(), START).await.unwrap();
    assert_eq!((active(&old), active(&both)), (active(&both), active(&new)));
    let version = shelf.version();
    for _ in 0..3 {
        both.tick(START).await.unwrap();
        new.tick(START).await.unwrap();
    }
    assert_eq!(shelf.version(), version);
}

#[tokio::test]
async fn no_token_outlives_what_its_key_has_promised() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let audience = [ISSUER.to_owned()];
    let long = token(&audience, &[], START, hours(72));
    assert_eq!(ring.sign(&long), Err(SignError::TooLong));
    ring.set_schedule(Schedule { token_life: hours(72), ..schedule() });
    assert_eq!(ring.sign(&long), Err(SignError::TooLong), "not before the promise is kept in the vault");
    ring.tick(START).await.unwrap();
    assert_eq!(ring.sign(&token(&audience, &[], START, hours(73))), Err(SignError::TooLong));
    let text = ring.sign(&long).unwrap();
    ring.set_schedule(schedule());
    ring.rotate(Mode::Now, START).await.unwrap();
    let nearly = START.plus(hours(72) - minutes(1));
    ring.tick(nearly).await.unwrap();
    assert!(accepts(&ring, &text, nearly).is_ok());
}

#[tokio::test]
async fn a_clock_beyond_all_reason_changes_nothing() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    assert!(matches!(ring.tick(UnixTime(u64::MAX)).await, Err(KeysError::Clock)));
    assert_eq!(shelf.version(), 1);
}

#[tokio::test]
async fn debug_output_never_shows_a_private_key() {
    let shelf = Arc::new(Shelf::default());
    let ring = replica(&shelf).await;
    let (shown, kid) = (format!("{ring:?}"), active(&ring));
    assert!(shown.contains(&kid) && shown.contains("private: Secret(..)"), "{shown}");
}
