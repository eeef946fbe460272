use super::*;
use crate::domain::principal::SourceName;
use crate::domain::time::UnixTime;
use proptest::prelude::*;
use std::time::Duration;

const SEED: u64 = 7;
const FAR: UnixTime = UnixTime(1 << 40);

/// A token of ours: alice of auth0, session s, family f, client c, key k.
fn alice(position: Position, issued: u64) -> Subject {
    let source = SourceName::new("auth0");
    let marks = Marks { position: Some(position), issued_at: Some(UnixTime(issued)), ..foreign(&source) };
    Subject::new(&marks)
}

fn foreign(source: &SourceName) -> Marks<'_> {
    Marks {
        source,
        subject: "alice",
        jti: Some("j"),
        session: Some("s"),
        family: Some("f"),
        client: Some("c"),
        key: Some("k"),
        issued_at: None,
        position: None,
    }
}

fn issued(second: Option<u64>) -> Subject {
    Subject::new(&Marks { issued_at: second.map(UnixTime), ..foreign(&SourceName::new("auth0")) })
}

fn user(source: &str) -> User {
    User::of(&SourceName::new(source), "alice")
}

fn record(target: &Target, made: u64) -> Record {
    Record::new(target, Reason::Operator, made, FAR)
}

fn at(ms: u64, seq: u64) -> Placed {
    Placed::At(Position::new(ms, seq))
}

fn after(records: &[(Target, u64, Placed)]) -> Index {
    let mut index = Index::new(SEED);
    records.iter().for_each(|(target, made, placed)| _ = index.apply(&record(target, *made), *placed));
    index
}

fn kind(index: &Index, subject: &Subject) -> Option<Kind> {
    index.check(subject).map(|hit| hit.kind)
}

#[test]
fn what_never_comes_back_is_refused_whenever_it_says_it_was_issued() {
    let named = [
        (Target::Jti("j".to_owned()), Kind::Jti),
        (Target::Session("s".to_owned()), Kind::Session),
        (Target::Family("f".to_owned()), Kind::Family),
        (Target::SigningKey("k".to_owned()), Kind::SigningKey),
    ];
    for (target, expected) in named {
        let index = after(&[(target, 5000, at(5000, 0))]);
        let forged = Position::new(u64::MAX, u64::MAX);
        assert_eq!(kind(&index, &alice(forged, u64::MAX)), Some(expected));
        assert_eq!(kind(&index, &issued(Some(u64::MAX))), Some(expected));
    }
}

#[test]
fn other_names_are_not_hit() {
    let others = [Target::Jti("J".to_owned()), Target::Session("j".to_owned()), Target::Family("s".to_owned())];
    for target in others {
        assert_eq!(kind(&after(&[(target, 5000, at(5000, 0))]), &alice(Position::ZERO, 0)), None);
    }
}

#[test]
fn our_own_tokens_are_told_apart_by_their_place_in_the_log_alone() {
    let index = after(&[(Target::User(user("auth0")), 5000, at(5000, 3))]);
    for iat in [0, u64::MAX] {
        assert_eq!(kind(&index, &alice(Position::new(5000, 2), iat)), Some(Kind::User), "minted before");
        assert_eq!(kind(&index, &alice(Position::new(5000, 3), iat)), None, "minted after");
    }
}

#[test]
fn a_foreign_token_of_the_same_second_counts_as_before() {
    for target in [Target::User(user("auth0")), Target::Client("c".to_owned())] {
        let index = after(&[(target, 5999, at(5999, 0))]);
        assert!(index.check(&issued(Some(4))).is_some());
        assert!(index.check(&issued(Some(5))).is_some(), "whichever came first within the second");
        assert_eq!(index.check(&issued(Some(6))), None);
        assert!(index.check(&issued(None)).is_some(), "nothing shows that it is younger");
    }
}

#[test]
fn issued_before_goes_by_iat_and_by_source() {
    let time = UnixTime(10);
    let of = |source: Option<&str>| Target::IssuedBefore { source: source.map(SourceName::new), time };
    for (source, hits) in [(None, true), (Some("auth0"), true), (Some("k8s"), false)] {
        let index = after(&[(of(source), 20_000, at(20_000, 0))]);
        assert_eq!(index.check(&issued(Some(9))).is_some(), hits);
        assert_eq!(index.check(&alice(Position::new(30_000, 0), 9)).is_some(), hits, "our own as well");
        assert_eq!(index.check(&issued(Some(10))), None);
    }
}

#[test]
fn a_user_of_another_source_is_another_user() {
    let index = after(&[(Target::User(user("k8s")), 5000, at(5000, 0)), (Target::Block(user("k8s")), 5, at(5001, 0))]);
    assert_eq!(kind(&index, &alice(Position::ZERO, 0)), None);
    let index = after(&[(Target::User(User::anywhere("alice")), 5000, at(5000, 0))]);
    assert_eq!(kind(&index, &alice(Position::ZERO, 0)), Some(Kind::User));
}

#[test]
fn the_last_word_about_a_user_counts_wherever_it_stands_in_the_log() {
    let (block, unblock) = (Target::Block(user("auth0")), Target::Unblock(user("auth0")));
    let replayed = [
        (block.clone(), 10, at(10, 0)),
        (unblock.clone(), 20, at(20, 0)),
        (block, 30, at(30, 0)),
        // somebody who can write to the store appends the old record once more
        (unblock, 20, at(40, 0)),
    ];
    let index = after(&replayed);
    assert_eq!(kind(&index, &alice(Position::new(99, 0), 99)), Some(Kind::Block));
    assert!(index.is_blocked("auth0", "alice"));
    assert!(!index.is_blocked("k8s", "alice"));
}

#[test]
fn a_block_everywhere_is_lifted_for_the_one_source_that_is_named_later() {
    let everywhere = (Target::Block(User::anywhere("alice")), 10, at(10, 0));
    let index = after(&[everywhere, (Target::Unblock(user("auth0")), 20, at(20, 0))]);
    assert!(!index.is_blocked("auth0", "alice"));
    assert!(index.is_blocked("k8s", "alice"));
}

#[test]
fn a_record_that_waits_counts_from_the_moment_it_was_made() {
    let mut index = after(&[(Target::User(user("auth0")), 5000, Placed::Waiting)]);
    let minted_before = alice(Position::new(9, 0), 4);
    let signed_in_again = alice(Position::new(9, 0), 6);
    assert!(index.check(&minted_before).is_some());
    assert_eq!(index.check(&signed_in_again), None, "or nobody could sign in while the store is away");
    let waiting: Vec<Record> = index.waiting().collect();
    assert_eq!(waiting, [record(&Target::User(user("auth0")), 5000)]);

    index.apply(&waiting[0], at(8000, 0));
    assert_eq!(index.waiting().count(), 0);
    assert!(index.check(&minted_before).is_some());
    assert_eq!(index.check(&alice(Position::new(8000, 0), 5)), None, "the same second no longer matters");
}

#[test]
fn a_mark_on_a_user_that_is_delivered_late_spares_who_signed_in_meanwhile() {
    let mut index = after(&[(Target::User(user("auth0")), 5000, Placed::Waiting)]);
    let late: Vec<Record> = index.waiting().map(|record| record.delivered_at(60_000)).collect();
    index.apply(&late[0], at(60_000, 0));
    assert_eq!(index.waiting().count(), 0);
    assert!(index.check(&alice(Position::new(4999, 0), 0)).is_some());
    assert!(index.check(&alice(Position::new(6500, 0), 0)).is_some(), "clocks are not that exact");
    assert_eq!(index.check(&alice(Position::new(30_000, 0), 0)), None);
}

#[test]
fn a_mark_that_is_hardly_late_counts_from_its_place() {
    for (target, late) in [(Target::User(user("auth0")), 8000), (Target::Session("s".to_owned()), 60_000)] {
        assert_eq!(record(&target, 5000).delivered_at(late).cut, None, "{target:?}");
    }
}

#[test]
fn the_delivery_of_one_record_does_not_end_the_waiting_of_another() {
    let target = Target::User(user("auth0"));
    let mut index = after(&[(target.clone(), 5000, Placed::Waiting), (target.clone(), 7000, Placed::Waiting)]);
    index.apply(&record(&target, 5000), at(8000, 0));
    let between = alice(Position::new(8000, 0), 6);
    assert!(index.check(&between).is_some(), "the second order has not been delivered");
    index.apply(&record(&target, 7000), at(8000, 1));
    assert_eq!(index.waiting().count(), 0);
}

#[test]
fn marks_go_when_nothing_they_hit_is_alive_and_blocks_stay() {
    let mut index = Index::new(SEED);
    let mark = Record { expires: UnixTime(1000), ..record(&Target::Session("s".to_owned()), 5) };
    index.apply(&mark, at(5, 0));
    index.apply(&record(&Target::Block(user("auth0")), 5), at(5, 1));
    index.sweep(UnixTime(1060));
    assert_eq!(index.entries(), 2, "clocks differ by less than a minute");
    index.sweep(UnixTime(1061));
    assert_eq!(index.entries(), 1);
    index.sweep(FAR);
    assert_eq!(kind(&index, &alice(Position::ZERO, 0)), Some(Kind::Block));
}

#[test]
fn blocks_near_the_trimmed_end_are_named_until_they_were_appended_again() {
    let block = record(&Target::Block(user("auth0")), 5);
    let mut index = after(&[(Target::Block(user("auth0")), 5, at(100, 0))]);
    assert_eq!(index.blocks_before(Position::new(100, 0)).count(), 0);
    assert_eq!(index.blocks_before(Position::new(101, 0)).collect::<Vec<_>>(), [block]);
    index.apply(&block, at(200, 0));
    assert_eq!(index.blocks_before(Position::new(101, 0)).count(), 0);
}

#[test]
fn an_index_with_a_hundred_thousand_entries_copies_next_to_nothing_for_one_more() {
    let mut index = Index::new(SEED);
    let session = record(&Target::Session("another".to_owned()), 5);
    for n in 0..100_000_u128 {
        index.apply(&Record { id: Id(n.to_be_bytes()), ..session }, at(5, 0));
    }
    let before = index.clone();
    index.apply(&record(&Target::Session("s".to_owned()), 6), at(6, 0));
    assert_eq!(kind(&before, &alice(Position::ZERO, 0)), None, "readers keep what they hold");
    assert_eq!(kind(&index, &alice(Position::ZERO, 0)), Some(Kind::Session));
    let copied = index.copied_since(&before);
    assert!(copied < 1000, "{copied} entries were copied");
}

fn any_target() -> impl Strategy<Value = Target> {
    let name = proptest::sample::select(vec!["j", "s", "f", "c", "k", "other"]);
    let source = proptest::sample::select(vec![None, Some("auth0"), Some("k8s")]);
    (0..9_usize, name, source, 0..20_u64).prop_map(|(kind, name, source, time)| {
        let source = source.map(SourceName::new);
        let user = User { source: source.clone(), subject: "alice".to_owned() };
        match kind {
            0 => Target::Jti(name.to_owned()),
            1 => Target::Session(name.to_owned()),
            2 => Target::Family(name.to_owned()),
            3 => Target::Client(name.to_owned()),
            4 => Target::SigningKey(name.to_owned()),
            5 => Target::IssuedBefore { source, time: UnixTime(time) },
            6 => Target::User(user),
            7 => Target::Block(user),
            _ => Target::Unblock(user),
        }
    })
}

prop_compose! {
    fn entry()(target in any_target(), made in 1..20_000_u64, ms in 1..20_000_u64, seq in 0..3_u64, life in 0..40_u64,
               healed in proptest::option::of((1..20_000_u64, 0..3_u64)))
              -> (Record, Placed) {
        let record = Record::new(&target, Reason::Operator, made, UnixTime(life));
        let cut = record.cut.or_else(|| healed.map(|(ms, seq)| Position::new(ms, seq)));
        (Record { cut, ..record }, at(ms, seq))
    }
}

fn subjects() -> Vec<Subject> {
    let ours = [0, 5, 12, 19].map(|second| alice(Position::new(second * 1000, 1), second));
    ours.into_iter().chain([Some(0), Some(7), Some(15), Some(20), None].map(issued)).collect()
}

fn union(entries: &[(Record, Placed)]) -> Index {
    let mut index = Index::new(SEED);
    entries.iter().for_each(|(record, placed)| _ = index.apply(record, *placed));
    index
}

fn everything(index: &Index) -> (Vec<String>, Vec<Option<Hit>>) {
    let mut records: Vec<String> = index.records().map(|record| format!("{record:?}")).collect();
    records.sort();
    (records, subjects().iter().map(|subject| index.check(subject)).collect())
}

#[test]
fn a_mark_that_was_prolonged_is_swept_that_much_later() {
    let (until, longer) = (UnixTime(1000), Duration::from_secs(500));
    let mut index = Index::new(SEED);
    index.apply(&Record::new(&Target::Jti("j".to_owned()), Reason::Operator, 5000, until), at(5000, 0));
    index.apply(&record(&Target::Block(user("auth0")), 5000), at(5000, 1));
    index.prolong(longer);
    index.sweep(until.plus(longer));
    assert_eq!(index.entries(), 2);
    index.sweep(until.plus(longer).plus(Duration::from_secs(61)));
    assert_eq!(index.entries(), 1, "and blocks are for good");
}

#[test]
fn an_order_is_known_from_when_it_was_made_to_when_it_is_heard_of_again() {
    for target in [Target::User(user("auth0")), Target::Block(user("auth0"))] {
        let (order, later) = (record(&target, 5000), record(&target, 6000));
        let mut index = Index::new(SEED);
        assert!(!index.knows(&order));
        for placed in [Placed::Waiting, at(5001, 0), at(7000, 0)] {
            index.apply(&order, placed);
            assert!(index.knows(&order) && !index.knows(&later), "{target:?} {placed:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn the_order_of_records_does_not_matter(entries in proptest::collection::vec(entry(), 0..30), turn in 0..30_usize) {
        let forwards = everything(&union(&entries));
        let mut turned = entries.clone();
        turned.reverse();
        turned.rotate_left(turn.min(entries.len()));
        prop_assert_eq!(&everything(&union(&turned)), &forwards);
    }

    #[test]
    fn records_add_up_and_twice_is_once(entries in proptest::collection::vec(entry(), 0..30)) {
        let mut index = union(&entries);
        let once = everything(&index);
        for (record, placed) in &entries {
            prop_assert!(!index.apply(record, *placed), "applied once before");
        }
        let again: Vec<Record> = index.records().collect();
        again.iter().for_each(|record| _ = index.apply(record, at(19_999, 9)));
        prop_assert_eq!(everything(&index), once, "a healed log says the same");
    }

    /// What was refused stays refused, whatever else is learned, unless a block was lifted.
    #[test]
    fn nothing_learned_later_lets_anybody_back_in(
        entries in proptest::collection::vec(entry(), 0..20),
        more in proptest::collection::vec(entry(), 0..20),
    ) {
        let mut index = union(&entries);
        let before = everything(&index).1;
        more.iter().filter(|(record, _)| record.kind != Kind::Unblock)
            .for_each(|(record, placed)| _ = index.apply(record, *placed));
        for (then, now) in before.iter().zip(everything(&index).1) {
            prop_assert!(then.is_none() || now.is_some());
        }
    }

    #[test]
    fn no_mark_is_dropped_before_its_end(entries in proptest::collection::vec(entry(), 0..30), now in 0..200_u64) {
        let mut index = union(&entries);
        let all: Vec<Record> = index.records().collect();
        index.sweep(UnixTime(now));
        let kept: Vec<Record> = index.records().collect();
        for record in all {
            let over = !record.kind.is_block() && record.expires.0 + 60 < now;
            prop_assert_eq!(kept.contains(&record), !over);
        }
    }

    /// Whatever two replicas and the store each know: after healing, a newcomer that reads the store knows it all.
    #[test]
    fn a_healed_store_holds_the_union(
        one in proptest::collection::vec(entry(), 0..20),
        two in proptest::collection::vec(entry(), 0..20),
        kept in proptest::collection::vec(entry(), 0..20),
    ) {
        let (one, two, mut store) = (union(&one), union(&two), union(&kept));
        for replica in [&one, &two] {
            let missing = replica.beyond(&store, UnixTime(0));
            missing.iter().for_each(|record| _ = store.apply(record, at(19_999, 9)));
        }
        prop_assert!(one.beyond(&store, UnixTime(0)).is_empty());
        prop_assert!(two.beyond(&store, UnixTime(0)).is_empty());
        for replica in [one, two] {
            for ((was, is), subject) in everything(&replica).1.iter().zip(everything(&store).1).zip(subjects()) {
                let lifted = is.is_none() && was.is_some_and(|hit| hit.kind == Kind::Block);
                prop_assert!(was.is_none() || is.is_some() || lifted, "{:?}", subject);
            }
        }
    }
}
