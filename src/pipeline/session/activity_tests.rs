use super::super::fixture::*;
use super::*;
use crate::pipeline::session::Mode;

const LIFE: Duration = Duration::from_secs(IDLE);

/// So many callers, each with a session of their own.
async fn callers(town: &Town, many: usize) -> Vec<Arc<Verified>> {
    let mut callers = Vec::new();
    for _ in 0..many {
        callers.push(town.peek(&town.sign_in("alice").await).await.unwrap());
    }
    callers
}

/// As a replica that has not heard of them yet.
fn unheard(callers: &[Arc<Verified>]) {
    callers.iter().filter_map(|caller| caller.session()).for_each(SessionFacts::tell_again);
}

#[tokio::test]
async fn a_use_that_finds_the_list_full_is_listed_by_the_next_one() {
    let town = Town::new(Mode::Jwt).await;
    let activity = Activity::of_at_most(1);
    let callers = callers(&town, 2).await;
    callers.iter().for_each(|caller| activity.note(caller, town.now()));
    assert_eq!(activity.flush(&*town.store, LIFE).await, Ok(1));
    activity.note(&callers[1], town.now());
    assert_eq!(activity.flush(&*town.store, LIFE).await, Ok(1));
}

#[tokio::test]
async fn an_arrival_that_finds_the_list_full_is_told_when_it_is_seen_again() {
    let town = Town::new(Mode::Jwt).await;
    let activity = Activity::of_at_most(1);
    let callers = callers(&town, 2).await;
    unheard(&callers);
    for _ in 0..2 {
        callers.iter().for_each(|caller| activity.arrived(caller));
        assert_eq!(town.asked(activity.confirm(&*town.store)).await.1, ["confirm"]);
    }
    callers.iter().for_each(|caller| activity.arrived(caller));
    assert!(town.asked(activity.confirm(&*town.store)).await.1.is_empty(), "both are told");
}

#[tokio::test]
async fn however_many_arrive_at_once_a_turn_asks_so_often_and_the_rest_waits_for_the_next() {
    let town = Town::new(Mode::Jwt).await;
    let activity = Activity::default();
    let callers = callers(&town, 1).await;
    for _ in 0..TURN + 10 {
        unheard(&callers);
        activity.arrived(&callers[0]);
    }
    for many in [TURN, 10, 0] {
        assert_eq!(town.asked(activity.confirm(&*town.store)).await.1.len(), many);
    }
}
