use super::*;
use crate::pipeline::session::fixture::*;
use crate::pipeline::session::Mode;
use crate::ports::store::Sessions as _;

async fn holder(town: &Town, jar: &str) -> Holder {
    Holder {
        verified: town.ask(jar).await.unwrap(),
        house: Some(Arc::clone(&town.house)),
        activity: true,
        watched: false,
    }
}

fn until(extended: &Extended) -> Option<u64> {
    match extended {
        Extended::Until(moment) => Some(moment.0 - START),
        Extended::Over(_) | Extended::CannotTell(_) => None,
    }
}

#[tokio::test]
async fn what_stands_on_an_opaque_session_ends_when_nobody_uses_that() {
    let town = Town::new(Mode::Opaque).await;
    let holder = holder(&town, &town.sign_in("alice").await).await;
    let ends = holder.expires(town.now());
    assert!((IDLE..=IDLE + 1).contains(&(ends.0 - START)), "by neglect, not at the absolute deadline: {ends:?}");
    town.pass(IDLE + 2);
    assert!(matches!(holder.extended(town.now()).await, Extended::Over(denial) if denial.code == Code::SessionExpired));
}

#[tokio::test]
async fn a_session_that_was_used_meanwhile_takes_its_streams_along() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let jar = town.sign_in("alice").await;
        let holder = holder(&town, &jar).await;
        town.pass(ACCESS - 100);
        town.ask(&jar).await.unwrap();
        town.flush().await;
        town.pass(200);
        let ends = until(&holder.extended(town.now()).await).unwrap();
        assert!(ends >= ACCESS - 100 + IDLE, "{mode:?}: {ends}");
    }
}

#[tokio::test]
async fn while_the_store_is_away_an_opaque_session_goes_on_for_as_long_as_it_is_known_to() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let holder = holder(&town, &jar).await;
    town.store.goes_away();
    town.pass(IDLE - 10);
    town.ask(&jar).await.unwrap();
    town.pass(20);
    let ends = until(&holder.extended(town.now()).await).unwrap();
    assert!((2 * IDLE - 10..=2 * IDLE - 8).contains(&ends), "another request used it: {ends}");
    town.pass(IDLE);
    assert!(matches!(holder.extended(town.now()).await, Extended::CannotTell(_)), "other replicas may know better");
    let facts = holder.verified.session().unwrap();
    town.house.ground.revocations.revoke_session(facts.id, crate::ports::RevokedFor::Operator).await;
    assert!(holder.check().is_err(), "and what is revoked ends at once");
}

#[tokio::test]
async fn what_stands_on_a_token_that_nothing_renews_ends_with_it_and_asks_nobody() {
    let town = Town::new(Mode::Jwt).await;
    town.store.goes_away();
    let holder = holder(&town, &town.sign_in("alice").await).await;
    town.pass(310);
    let (extended, asked) = town.asked(holder.extended(town.now())).await;
    assert!(matches!(extended, Extended::Over(_)) && asked.is_empty(), "{asked:?}");
}

#[tokio::test]
async fn a_session_that_ended_ends_its_streams() {
    let town = Town::new(Mode::Jwt).await;
    let holder = holder(&town, &town.sign_in("alice").await).await;
    let facts = holder.verified.session().unwrap();
    town.store.inner.end(facts.user, facts.id).await.unwrap();
    town.pass(ACCESS + 5);
    assert!(matches!(holder.extended(town.now()).await, Extended::Over(_)));
}
