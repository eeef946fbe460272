use super::*;
use crate::domain::session::{Lifetimes, OnLimit};
use crate::ports::store::{Created, Limit, NewFamily, NewSession, Sessions};
use std::sync::Arc;

const HOUR: Duration = Duration::from_secs(3_600);
const TERMS: Lifetimes = Lifetimes { idle: HOUR, absolute: Duration::from_secs(36_000) };

fn memory(bounds: Bounds) -> (Arc<AtomicU64>, Memory) {
    let time = Arc::new(AtomicU64::new(1_000_000));
    let read = Arc::clone(&time);
    (time, Memory::new(Clock::new(move || Millis(read.load(Ordering::SeqCst))), bounds))
}

fn session(number: u8) -> NewSession {
    NewSession {
        user: UserHash::from_bytes([number; 16]),
        id: SessionId::from_bytes([number; 16]),
        handle: Some(HandleHash::from_bytes([number; 32])),
        family: Some(NewFamily { id: FamilyId::from_bytes([number; 16]), lifetimes: TERMS }),
        lifetimes: TERMS,
        body: vec![number; 10],
        provider_sid: Some(ProviderSid::from_bytes([number; 16])),
    }
}

async fn create(memory: &Memory, new: &NewSession) -> Result<Created, StoreError> {
    memory.create(new, &Limit { cap: 5, on_limit: OnLimit::EvictOldest, revoked: &[] }).await
}

#[tokio::test]
async fn a_full_memory_forgets_what_has_expired_and_nobody_else() {
    let (time, memory) = memory(Bounds { sessions: 3, names: 2 });
    for number in 1..=3 {
        create(&memory, &session(number)).await.unwrap();
    }
    assert!(create(&memory, &session(4)).await.is_err(), "cannot tell, rather than sign somebody out");
    assert!(memory.first("a", Millis(0)).await.unwrap());
    assert!(memory.acquire("b", &Nonce([1; 16]), HOUR).await.unwrap());
    assert!(memory.first("c", Millis(0)).await.is_err());
    time.fetch_add(3_600_000, Ordering::SeqCst);
    assert!(matches!(create(&memory, &session(4)).await, Ok(Created::Done(_))));
    assert!(memory.first("c", Millis(0)).await.unwrap());
}

#[tokio::test]
async fn nothing_is_left_of_what_has_expired() {
    let (time, memory) = memory(Bounds::default());
    for number in 0..200 {
        create(&memory, &session(number)).await.unwrap();
        memory.first(&number.to_string(), Millis(2_000_000)).await.unwrap();
        memory.acquire(&number.to_string(), &Nonce([1; 16]), HOUR).await.unwrap();
    }
    time.fetch_add(36_000_000, Ordering::SeqCst);
    memory.sweep();
    let state = memory.state.lock();
    assert!(state.users.is_empty() && state.providers.is_empty() && state.once.is_empty() && state.locks.is_empty());
    assert_eq!((state.sessions, state.timers.len()), (0, 0));
}

#[tokio::test]
async fn a_restored_snapshot_knows_what_the_old_process_knew() {
    let (_, old) = memory(Bounds::default());
    for number in 1..=3 {
        create(&old, &session(number)).await.unwrap();
    }
    create(&old, &NewSession { handle: None, family: None, ..session(4) }).await.unwrap();
    old.end(session(2).user, session(2).id).await.unwrap();
    old.first("jti", Millis(9_000_000)).await.unwrap();
    old.replace("keys", 0, b"ring").await.unwrap();
    let (_, new) = memory(Bounds::default());
    new.restore(&old.snapshot()).unwrap();
    for number in 1..=4 {
        let (user, id) = (session(number).user, session(number).id);
        assert_eq!(new.load(user, id).await, old.load(user, id).await);
        let sid = ProviderSid::from_bytes([number; 16]);
        assert_eq!(new.by_provider_sid(sid).await, old.by_provider_sid(sid).await);
    }
    assert_eq!(new.by_handle(session(1).user, HandleHash::from_bytes([1; 32])).await.unwrap().unwrap().version, 1);
    assert_eq!(new.first("jti", Millis(9_000_000)).await, Ok(false));
    assert_eq!(new.read("keys").await, old.read("keys").await);
    assert!(new.state.lock().family(session(2).user, FamilyId::from_bytes([2; 16])).unwrap().revoked);
    assert_eq!(new.state.lock().sessions, 3);
}

#[tokio::test]
async fn a_snapshot_holds_everybody_up_for_pointers_only_and_shows_one_moment() {
    let (_, memory) = memory(Bounds::default());
    let new = session(1);
    create(&memory, &new).await.unwrap();
    create(&memory, &session(2)).await.unwrap();
    let copy = memory.state.lock().copy();
    let shared = |user| Arc::ptr_eq(&copy.users[&user], &memory.state.lock().users[&user]);
    assert!(shared(new.user) && shared(session(2).user));
    memory.rewrite(new.user, new.id, 1, b"later").await.unwrap();
    assert!(!shared(new.user) && shared(session(2).user), "only what changes is copied");
    assert_eq!(&*copy.users[&new.user].sessions[0].body, new.body);
    assert_eq!(memory.load(new.user, new.id).await.unwrap().unwrap().body, b"later");
}

#[tokio::test]
async fn what_expired_while_nobody_ran_is_gone() {
    let (_, old) = memory(Bounds::default());
    create(&old, &session(1)).await.unwrap();
    let (time, new) = memory(Bounds::default());
    time.fetch_add(36_000_000, Ordering::SeqCst);
    new.restore(&old.snapshot()).unwrap();
    assert_eq!(new.load(session(1).user, session(1).id).await, Ok(None));
    assert!(new.state.lock().users.is_empty());
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused_and_changes_nothing() {
    let (_, old) = memory(Bounds::default());
    create(&old, &session(1)).await.unwrap();
    let good = old.snapshot();
    let (_, new) = memory(Bounds::default());
    create(&new, &session(2)).await.unwrap();
    for length in 0..good.len() {
        assert!(new.restore(&good[..length]).is_err(), "cut at {length}");
    }
    assert!(new.restore(&[good.as_slice(), b"more"].concat()).is_err());
    let mut boasting = good.clone();
    boasting[18..26].fill(0xff);
    assert!(new.restore(&boasting).is_err(), "a count nobody could keep");
    assert!(new.load(session(2).user, session(2).id).await.unwrap().is_some());
}
