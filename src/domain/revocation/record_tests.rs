use super::*;
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use proptest::prelude::*;

fn keys(ring: &[&str]) -> RecordKeys {
    RecordKeys::new(&ring.iter().map(|key| Secret::new(key.as_bytes().to_vec())).collect::<Vec<_>>())
}

fn user(source: &str, subject: &str) -> User {
    User::of(&SourceName::new(source), subject)
}

fn every_target() -> Vec<Target> {
    let text = || "x".to_owned();
    let time = UnixTime(1000);
    vec![
        Target::Jti(text()),
        Target::Session(text()),
        Target::User(user("a", "x")),
        Target::Family(text()),
        Target::Client(text()),
        Target::SigningKey(text()),
        Target::IssuedBefore { source: None, time },
        Target::Block(user("a", "x")),
        Target::Unblock(user("a", "x")),
    ]
}

#[test]
fn every_kind_comes_back_as_it_was_sealed() {
    let keys = keys(&["one"]);
    for target in every_target() {
        for reason in Reason::ALL {
            let record = Record::new(&target, reason, 1_700_000_000_123, UnixTime(1_700_003_600));
            let sealed = Sealed::from_bytes(&keys.seal(&record).unwrap().to_bytes()).unwrap();
            assert_eq!(keys.open(&sealed), Some(record), "{target:?}");
        }
    }
}

#[test]
fn a_record_with_one_bit_changed_says_nothing() {
    let keys = keys(&["one"]);
    let record = Record::new(&Target::Unblock(user("a", "x")), Reason::Operator, 7, UnixTime(9));
    let bytes = keys.seal(&record).unwrap().to_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut forged = bytes;
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(keys.open(&Sealed::from_bytes(&forged).unwrap()), None, "bit {bit}");
    }
}

#[test]
fn the_previous_secret_still_opens_and_a_foreign_one_never_does() {
    let record = Record::new(&Target::Jti("x".to_owned()), Reason::Unstated, 7, UnixTime(9));
    let old = keys(&["old"]).seal(&record).unwrap();
    assert_eq!(keys(&["new", "old"]).open(&old), Some(record));
    assert_eq!(keys(&["new"]).open(&old), None);
    assert_eq!(keys(&[]).open(&old), None);
    assert!(keys(&[]).seal(&record).is_none());
}

#[test]
fn what_is_not_as_long_as_a_record_is_none() {
    assert!(Sealed::from_bytes(&[0; Sealed::LENGTH - 1]).is_none());
    assert!(Sealed::from_bytes(&[0; Sealed::LENGTH + 1]).is_none());
    assert!(Sealed::from_bytes(&[]).is_none());
}

#[test]
fn no_two_targets_share_a_name() {
    let mut ids: Vec<Id> = every_target().iter().map(Target::id).collect();
    ids.push(user("ax", "").id());
    ids.push(user("", "ax").id());
    ids.push(User::anywhere("ax").id());
    ids.push(Target::IssuedBefore { source: Some(SourceName::new("a")), time: UnixTime(1000) }.id());
    let all = ids.len();
    ids.sort();
    ids.dedup();
    // a user's marks and blocks go by one name: User, Block and Unblock of the same user
    assert_eq!(ids.len(), all - 2);
}

#[test]
fn the_store_learns_no_name_of_a_user() {
    let record = Record::new(&Target::Block(user("auth0", "alice")), Reason::Operator, 7, UnixTime(9));
    let bytes = keys(&["one"]).seal(&record).unwrap().to_bytes();
    assert!(!bytes.windows(5).any(|part| part == b"alice" || part == b"auth0"));
}

#[test]
fn a_snapshot_comes_back_whole_or_not_at_all() {
    let keys = keys(&["one"]);
    let record = |value: &str| Record::new(&Target::Jti(value.to_owned()), Reason::Limit, 7, UnixTime(9));
    let snapshot = Snapshot { as_of: UnixTime(5), logged: vec![record("a"), record("b")], waiting: vec![record("c")] };
    let bytes = snapshot.to_bytes(&keys).unwrap();
    assert_eq!(Snapshot::from_bytes(&bytes, &keys), Ok(snapshot));
    for at in 0..bytes.len() {
        let mut torn = bytes.clone();
        torn[at] ^= 1;
        assert_eq!(Snapshot::from_bytes(&torn, &keys), Err(Spoilt), "byte {at}");
        assert_eq!(Snapshot::from_bytes(&bytes[..at], &keys), Err(Spoilt), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_stranger_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let keys = keys(&["one"]);
        let opened = Sealed::from_bytes(&bytes).and_then(|sealed| keys.open(&sealed));
        prop_assert_eq!(opened, None);
        prop_assert_eq!(Snapshot::from_bytes(&bytes, &keys), Err(Spoilt));
    }
}
