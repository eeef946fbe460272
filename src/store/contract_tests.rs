//! What every store promises: one list of tests, run on memory, on a real Redis, and on a cluster of six.

use super::memory::Bounds;
use super::redis::server::{Cluster, Server};
use super::{Clock, Memory};
use crate::domain::family::{Presentation, Rotation, Rules, Transport, Verdict};
use crate::domain::session::*;
use crate::ports::store::*;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const TERMS: Lifetimes = Lifetimes { idle: Duration::from_secs(1_800), absolute: Duration::from_secs(43_200) };
const RULES: Rules =
    Rules { grace: Duration::from_secs(30), idle: HOUR, rotation: Rotation::Always, max_grace_streak: 3 };

#[path = "contract_failures_tests.rs"]
mod failures;
#[path = "contract_families_tests.rs"]
mod families;
use failures::*;
use families::*;

/// A store and the time it lives in.
struct Rig {
    store: Arc<dyn Store>,
    time: Arc<AtomicU64>,
}

impl Rig {
    fn memory() -> Self {
        let (time, clock) = clock();
        Self { store: Arc::new(Memory::new(clock, Bounds::default())), time }
    }

    fn redis(redis: super::Redis) -> Self {
        let (time, clock) = clock();
        Self { store: Arc::new(redis.with_clock(clock)), time }
    }

    fn now(&self) -> Millis {
        Millis(self.time.load(Ordering::SeqCst))
    }

    fn pass(&self, span: Duration) {
        self.time.fetch_add(whole(span), Ordering::SeqCst);
    }

    async fn sign_in(&self, user: UserHash) -> NewSession {
        let new = new_session(user);
        assert!(matches!(self.create(&new, OnLimit::EvictOldest, 100, &[]).await, Created::Done(_)));
        new
    }

    async fn create(&self, new: &NewSession, on_limit: OnLimit, cap: usize, revoked: &[SessionId]) -> Created {
        self.store.create(new, &Limit { cap, on_limit, revoked }).await.unwrap()
    }

    async fn ids(&self, user: UserHash) -> Vec<SessionId> {
        self.store.list(user).await.unwrap().iter().map(|stored| stored.id).collect()
    }

    async fn present(&self, new: &NewSession, shown: Presentation, rules: &Rules) -> Option<Verdict> {
        let ruling = self.store.present(new.user, new.family.unwrap().id, &shown, rules).await.unwrap();
        ruling.map(|ruling| ruling.verdict)
    }
}

fn clock() -> (Arc<AtomicU64>, Clock) {
    let time = Arc::new(AtomicU64::new(1_800_000_000_000));
    let read = Arc::clone(&time);
    (time, Clock::new(move || Millis(read.load(Ordering::SeqCst))))
}

fn user() -> UserHash {
    UserHash::from_bytes(fastrand::u128(..).to_be_bytes())
}

fn new_session(user: UserHash) -> NewSession {
    let bits = || fastrand::u128(..).to_be_bytes();
    let family = NewFamily { id: FamilyId::from_bytes(bits()), lifetimes: Lifetimes { idle: HOUR, ..TERMS } };
    NewSession {
        user,
        id: SessionId::from_bytes(bits()),
        handle: Some(handle()),
        family: Some(family),
        lifetimes: TERMS,
        body: b"\0sealed\r\n\xff".to_vec(),
        provider_sid: None,
    }
}

fn handle() -> HandleHash {
    let mut bytes = [0; 32];
    bytes.fill_with(|| fastrand::u8(..));
    HandleHash::from_bytes(bytes)
}

fn cookie(generation: u32) -> Presentation {
    Presentation { generation, same_device: true, bounced: false, transport: Transport::Cookie }
}

/// Runs each of these on a [`Rig`] of every kind.
macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test] async fn $name() { super::$name(super::Rig::memory()).await })*
        }
        mod redis {
            $(#[tokio::test]
            async fn $name() {
                let server = super::Server::start(&[]);
                super::$name(super::Rig::redis(server.connect().await)).await;
            })*
        }
        /// One cluster for all of them: it takes seconds to agree with itself.
        #[tokio::test]
        async fn a_cluster_keeps_the_contract() {
            let cluster = Cluster::start();
            $(eprintln!(stringify!($name)); $name(Rig::redis(cluster.connect().await)).await;)*
        }
    };
}

contract! {
    a_session_is_found_by_its_id_and_its_handle
    users_do_not_find_each_others_sessions
    asking_twice_creates_once
    victims_are_named_before_anything_is_deleted
    sixty_four_sign_ins_at_once_leave_exactly_five
    a_full_user_is_turned_away_where_the_policy_says_so
    a_single_session_ends_all_others
    a_session_ends_by_neglect_and_use_prolongs_it
    nothing_prolongs_a_session_past_its_absolute_deadline
    an_ended_session_stays_ended
    of_two_writers_of_one_version_one_wins
    a_session_takes_its_family_along
    evicted_sessions_take_their_families_along
    a_provider_finds_the_sessions_it_began
    verdicts_are_those_of_the_domain
    of_many_at_once_one_rotates
    a_family_nobody_began_is_unknown
    a_revoked_family_stays_revoked
    a_lock_has_one_holder_until_it_ends
    what_happened_once_does_not_happen_again
    documents_are_replaced_version_by_version
    failures_are_charged_as_the_domain_says
    of_a_thousand_attempts_at_once_ten_go_on
    an_emptied_counter_begins_anew
}

async fn a_session_is_found_by_its_id_and_its_handle(rig: Rig) {
    let new = rig.sign_in(user()).await;
    let times = Times::begin(rig.now(), TERMS);
    let family = new.family.map(|family| family.id);
    let stored = Stored { id: new.id, version: 1, times, family, body: new.body.clone() };
    assert_eq!(rig.store.load(new.user, new.id).await, Ok(Some(stored.clone())));
    assert_eq!(rig.store.by_handle(new.user, new.handle.unwrap()).await, Ok(Some(stored.clone())));
    assert_eq!(rig.store.list(new.user).await, Ok(vec![stored]));
    assert_eq!(rig.store.by_handle(new.user, handle()).await, Ok(None));
    let bare = NewSession { handle: None, family: None, body: Vec::new(), ..new_session(user()) };
    assert!(matches!(rig.create(&bare, OnLimit::Single, 1, &[]).await, Created::Done(_)));
    let stored = rig.store.load(bare.user, bare.id).await.unwrap().unwrap();
    assert_eq!((stored.family, stored.body), (None, Vec::new()));
}

async fn users_do_not_find_each_others_sessions(rig: Rig) {
    let (one, other) = (rig.sign_in(user()).await, rig.sign_in(user()).await);
    assert_eq!(rig.store.load(other.user, one.id).await, Ok(None));
    assert_eq!(rig.store.by_handle(other.user, one.handle.unwrap()).await, Ok(None));
    assert_eq!(rig.store.end(other.user, one.id).await, Ok(false));
    assert_eq!(rig.store.end_all(other.user).await, Ok(vec![other.id]));
    assert_eq!(rig.ids(one.user).await, [one.id]);
}

async fn asking_twice_creates_once(rig: Rig) {
    let new = new_session(user());
    let first = rig.create(&new, OnLimit::Reject, 1, &[]).await;
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.create(&new, OnLimit::Reject, 1, &[]).await, first);
    assert_eq!(rig.ids(new.user).await, [new.id]);
}

async fn victims_are_named_before_anything_is_deleted(rig: Rig) {
    let user = user();
    let mut old = Vec::new();
    for _ in 0..3 {
        rig.pass(Duration::from_secs(1));
        old.push(rig.sign_in(user).await.id);
    }
    rig.pass(Duration::from_secs(1));
    let new = new_session(user);
    let asked = rig.create(&new, OnLimit::EvictOldest, 2, &[]).await;
    assert_eq!(asked, Created::Revoke(vec![old[0], old[1]]));
    assert_eq!(rig.ids(user).await, old, "nothing happened yet");
    let asked = rig.create(&new, OnLimit::EvictOldest, 2, &old[..1]).await;
    assert_eq!(asked, Created::Revoke(vec![old[1]]));
    assert!(matches!(rig.create(&new, OnLimit::EvictOldest, 2, &old[..2]).await, Created::Done(_)));
    assert_eq!(rig.ids(user).await, [old[2], new.id]);
}

async fn sixty_four_sign_ins_at_once_leave_exactly_five(rig: Rig) {
    let user = user();
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = Arc::clone(&rig.store);
        under_way.spawn(async move {
            let (new, mut revoked) = (new_session(user), Vec::new());
            loop {
                let limit = Limit { cap: 5, on_limit: OnLimit::EvictOldest, revoked: &revoked };
                match store.create(&new, &limit).await.unwrap() {
                    Created::Revoke(victims) => revoked.extend(victims),
                    Created::Done(_) => return (new.id, revoked),
                    Created::Full => panic!("nobody is turned away"),
                }
            }
        });
    }
    let outcomes = under_way.join_all().await;
    let left = rig.ids(user).await;
    assert_eq!(left.len(), 5);
    let revoked: Vec<SessionId> = outcomes.iter().flat_map(|(_, revoked)| revoked).copied().collect();
    for (id, _) in outcomes {
        assert!(left.contains(&id) || revoked.contains(&id), "{id} vanished without being revoked");
    }
}

async fn a_full_user_is_turned_away_where_the_policy_says_so(rig: Rig) {
    let old = rig.sign_in(user()).await;
    let new = new_session(old.user);
    assert_eq!(rig.create(&new, OnLimit::Reject, 1, &[old.id]).await, Created::Full);
    assert_eq!(rig.ids(old.user).await, [old.id]);
    rig.pass(TERMS.idle);
    assert!(matches!(rig.create(&new, OnLimit::Reject, 1, &[]).await, Created::Done(_)), "the old one has expired");
}

async fn a_single_session_ends_all_others(rig: Rig) {
    let old = rig.sign_in(user()).await;
    let new = new_session(old.user);
    assert_eq!(rig.create(&new, OnLimit::Single, 5, &[]).await, Created::Revoke(vec![old.id]));
    assert!(matches!(rig.create(&new, OnLimit::Single, 5, &[old.id]).await, Created::Done(_)));
    assert_eq!(rig.ids(old.user).await, [new.id]);
}

async fn a_session_ends_by_neglect_and_use_prolongs_it(rig: Rig) {
    let new = rig.sign_in(user()).await;
    let begun = rig.now();
    rig.pass(20 * MINUTE);
    let touch = |last_seen| Touch { user: new.user, id: new.id, last_seen, idle: TERMS.idle };
    assert_eq!(rig.store.touch(&[touch(rig.now().plus(HOUR))]).await, Ok(vec![true]), "a clock that is fast");
    assert_eq!(rig.store.touch(&[touch(begun)]).await, Ok(vec![true]), "late news");
    let last_seen = rig.store.load(new.user, new.id).await.unwrap().unwrap().times.last_seen;
    assert_eq!(last_seen, begun.plus(20 * MINUTE));
    rig.pass(29 * MINUTE);
    assert_eq!(rig.ids(new.user).await, [new.id]);
    rig.pass(MINUTE);
    assert_eq!(rig.store.touch(&[touch(rig.now())]).await, Ok(vec![false]));
    assert_eq!(rig.store.load(new.user, new.id).await, Ok(None));
    assert_eq!(rig.store.by_handle(new.user, new.handle.unwrap()).await, Ok(None));
    assert_eq!(rig.store.list(new.user).await, Ok(Vec::new()));
    assert_eq!(rig.store.end(new.user, new.id).await, Ok(false));
}

async fn nothing_prolongs_a_session_past_its_absolute_deadline(rig: Rig) {
    let (one, two, other) = (rig.sign_in(user()).await, rig.sign_in(user()).await, user());
    let last_seen = |rig: &Rig, user, id| Touch { user, id, last_seen: rig.now(), idle: HOUR };
    for _ in 0..23 {
        rig.pass(30 * MINUTE - Duration::from_millis(1));
        let touches =
            [last_seen(&rig, one.user, one.id), last_seen(&rig, other, one.id), last_seen(&rig, two.user, two.id)];
        assert_eq!(rig.store.touch(&touches).await, Ok(vec![true, false, true]));
    }
    rig.pass(30 * MINUTE);
    assert_eq!(rig.store.touch(&[last_seen(&rig, one.user, one.id)]).await, Ok(vec![true]));
    rig.pass(Duration::from_millis(23));
    assert_eq!(rig.store.load(one.user, one.id).await, Ok(None));
}

async fn an_ended_session_stays_ended(rig: Rig) {
    let new = rig.sign_in(user()).await;
    assert_eq!(rig.store.end(new.user, new.id).await, Ok(true));
    let touch = Touch { user: new.user, id: new.id, last_seen: rig.now(), idle: TERMS.idle };
    assert_eq!(rig.store.touch(&[touch]).await, Ok(vec![false]));
    assert_eq!(rig.store.rewrite(new.user, new.id, 1, b"back").await, Ok(Rewrote::Gone));
    assert_eq!(rig.store.end(new.user, new.id).await, Ok(false));
    assert_eq!(rig.store.load(new.user, new.id).await, Ok(None));
    assert_eq!(rig.store.by_handle(new.user, new.handle.unwrap()).await, Ok(None));
    assert_eq!(rig.store.list(new.user).await, Ok(Vec::new()));
}

async fn of_two_writers_of_one_version_one_wins(rig: Rig) {
    let new = rig.sign_in(user()).await;
    assert_eq!(rig.store.rewrite(new.user, new.id, 1, b"first").await, Ok(Rewrote::Done(2)));
    match rig.store.rewrite(new.user, new.id, 1, b"second").await.unwrap() {
        Rewrote::Stale(current) => assert_eq!((current.version, current.body.as_slice()), (2, &b"first"[..])),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.store.rewrite(new.user, new.id, 2, b"second").await, Ok(Rewrote::Done(3)));
    assert_eq!(rig.store.load(new.user, new.id).await.unwrap().unwrap().body, b"second");
}

async fn a_provider_finds_the_sessions_it_began(rig: Rig) {
    let sid = ProviderSid::from_bytes(fastrand::u128(..).to_be_bytes());
    let (a, b) = (user(), user());
    let begun = |user| NewSession { provider_sid: Some(sid), ..new_session(user) };
    let mut expected = Vec::new();
    for new in [begun(a), begun(a), begun(b)] {
        assert!(matches!(rig.create(&new, OnLimit::EvictOldest, 5, &[]).await, Created::Done(_)));
        expected.push((new.user, new.id));
    }
    rig.sign_in(a).await;
    let mut found = rig.store.by_provider_sid(sid).await.unwrap();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    rig.pass(TERMS.absolute);
    assert_eq!(rig.store.by_provider_sid(sid).await, Ok(Vec::new()));
}
