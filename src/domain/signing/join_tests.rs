use super::super::fixture::{fresh, hours, schedule, START};
use super::super::ring::Change;
use super::super::Algorithm;
use super::*;

fn step(ring: &Ring, change: &Change) -> Ring {
    ring.after(change, START, &schedule(), change.needs_key().then(|| fresh(Algorithm::Es256))).unwrap()
}

fn first() -> Ring {
    step(&Ring::default(), &Change::Replace)
}

fn join(ours: &Ring, stored: &Ring) -> Ring {
    ours.joined(stored, START, &schedule())
}

fn state_of(ring: &Ring, kid: &str) -> Option<&'static str> {
    ring.keys().iter().find(|key| key.kid().as_str() == kid).map(|key| key.state().name())
}

fn active(ring: &Ring) -> String {
    ring.active().unwrap().kid().as_str().to_owned()
}

#[test]
fn a_later_copy_is_taken_over_as_it_is() {
    let before = first();
    let later = step(&step(&before, &Change::Replace), &Change::Publish { sign_from: START });
    let joined = join(&before, &later);
    assert_eq!(format!("{joined:?}"), format!("{later:?}"));
    assert_eq!(join(&later, &later).serial(), later.serial());
}

#[test]
fn a_store_that_was_emptied_gets_its_ring_back() {
    let ours = first();
    let joined = join(&ours, &Ring::default());
    assert_eq!(active(&joined), active(&ours));
    assert_ne!(joined.serial(), Ring::default().serial());
}

#[test]
fn a_store_put_back_from_an_older_copy_brings_no_revoked_key_back() {
    let old = first();
    let leaked = active(&old);
    let ours = step(&old, &Change::RevokeAll);
    let joined = join(&ours, &old);
    assert_eq!(state_of(&joined, &leaked), Some("revoked"));
    assert_eq!(active(&joined), active(&ours));
    assert!(joined.serial() > ours.serial());
}

#[test]
fn a_revocation_that_only_one_side_saw_counts_on_both() {
    let common = first();
    let leaked = active(&common);
    let ours = step(&common, &Change::RevokeAll);
    // the other side went on for longer, with the leaked key
    let theirs = step(&step(&common, &Change::Publish { sign_from: START }), &Change::Promise);
    assert!(theirs.serial() > ours.serial());
    let joined = join(&ours, &theirs);
    assert_eq!(state_of(&joined, &leaked), Some("revoked"));
    assert!(joined.serial() > theirs.serial());
    // our own key signed tokens meanwhile; they stay good, and what signs next is made anew
    assert_eq!(state_of(&joined, &active(&ours)), Some("retiring"));
    assert_eq!(joined.due(START, &schedule()), Some(Change::Replace));
}

#[test]
fn replicas_that_started_two_rings_end_with_one_and_lose_no_token() {
    let (one, other) = (first(), first());
    let joined = join(&one, &other);
    assert_eq!(active(&joined), active(&other), "what is stored counts");
    assert_eq!(state_of(&joined, &active(&one)), Some("retiring"));
    assert_eq!(join(&other, &joined).serial(), joined.serial(), "there is nothing left to write");
    assert_eq!(join(&one, &joined).serial(), joined.serial());
}

#[test]
fn what_was_forgotten_in_good_time_is_not_told_again() {
    let before = step(&first(), &Change::RevokeAll);
    let later = START.plus(hours(24 * 500));
    let forgot = before.after(&Change::Forget, later, &schedule(), None).unwrap();
    assert_eq!(forgot.keys().len(), 1);
    assert_eq!(before.joined(&forgot, later, &schedule()).serial(), forgot.serial());
}
