//! Sessions whose records nobody here can open: they are not over, and they can be ended.

use super::super::fixture::*;
use crate::domain::denial::Code;
use crate::domain::oidc::logout::Ends;
use crate::domain::principal::SourceName;
use crate::pipeline::cache::Verified;
use crate::pipeline::session::{Mode, Place, Terms, Turned};
use crate::ports::store::Sessions as _;
use crate::ports::RevokedFor;

fn place(verified: &Verified) -> Place {
    let facts = verified.session().unwrap();
    Place { user: facts.user, id: facts.id }
}

async fn damage(town: &Town, place: Place) {
    let version = town.store.inner.load(place.user, place.id).await.unwrap().unwrap().version;
    town.store.inner.rewrite(place.user, place.id, version, b"sealed with another secret").await.unwrap();
}

async fn is_stored(town: &Town, place: Place) -> bool {
    town.store.inner.load(place.user, place.id).await.unwrap().is_some()
}

/// Why a request with these cookies was refused, and whether they were cleared.
async fn refused(town: &Town, jar: &str) -> (Code, bool) {
    match town.ask(jar).await {
        Err(Turned::Away(denial, cookies)) => (denial.code, !cookies.is_empty()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_opened_is_no_end_of_a_session() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let jar = town.sign_in("alice").await;
        let place = place(&town.ask(&jar).await.unwrap());
        damage(&town, place).await;
        assert_eq!(town.house.look(place).await.unwrap_err().code, Code::StoreUnavailable, "{mode:?}");
        town.pass(ACCESS + 30);
        let stranger = town.replica().await;
        assert_eq!(refused(&stranger, &jar).await, (Code::StoreUnavailable, false), "{mode:?}");
        assert!(is_stored(&town, place).await, "{mode:?}");
    }
}

#[tokio::test]
async fn a_session_in_memory_goes_on_though_its_record_can_no_longer_be_opened() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    damage(&town, place(&town.ask(&jar).await.unwrap())).await;
    town.pass(61);
    assert!(town.ask(&jar).await.is_ok());
}

#[tokio::test]
async fn a_revoked_session_is_over_whether_or_not_its_record_can_be_opened() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let place = place(&town.ask(&jar).await.unwrap());
    damage(&town, place).await;
    town.house.ground.revocations.revoke_session(place.id, RevokedFor::Operator).await;
    town.pass(ACCESS + 30);
    assert_eq!(refused(&town, &jar).await.0, Code::SessionTerminated);
}

/// What was given out later lives, though the mark stands; and of a session without a record only its token is left.
#[tokio::test]
async fn an_order_to_end_all_of_before_keeps_nobody_from_signing_out_later() {
    let town = Town::new(Mode::Jwt).await;
    town.revoke_all_before(town.now()).await;
    let jar = town.sign_in("alice").await;
    let place = place(&town.ask(&jar).await.unwrap());
    town.store.inner.end(place.user, place.id).await.unwrap();
    assert!(town.ask(&jar).await.is_ok(), "the token lives");
    town.house.sign_out(place, None).await.unwrap();
    assert_eq!(refused(&town, &jar).await.0, Code::SessionTerminated);
}

#[tokio::test]
async fn an_order_to_end_all_of_before_ends_nothing_of_which_less_is_known_than_when_it_began() {
    let town = Town::new(Mode::Jwt).await;
    town.revoke_all_before(town.now()).await;
    let (sealed, lost) = (town.sign_in("alice").await, town.sign_in("alice").await);
    let [other, gone] = [place(&town.ask(&sealed).await.unwrap()), place(&town.ask(&lost).await.unwrap())];
    damage(&town, other).await;
    town.store.inner.end(gone.user, gone.id).await.unwrap();
    town.pass(ACCESS + 30);
    assert_eq!(refused(&town, &sealed).await, (Code::StoreUnavailable, false), "a record that cannot be opened");
    assert_eq!(refused(&town, &lost).await.0, Code::SessionExpired, "a store that has lost it");
}

#[tokio::test]
async fn what_cannot_be_opened_can_be_ended_one_by_one_and_with_all_others() {
    let town = Town::new(Mode::Jwt).await;
    let (one, other, here) = (town.sign_in("alice").await, town.sign_in("alice").await, town.sign_in("alice").await);
    let [one, other, here] = [
        place(&town.ask(&one).await.unwrap()),
        place(&town.ask(&other).await.unwrap()),
        place(&town.ask(&here).await.unwrap()),
    ];
    damage(&town, one).await;
    damage(&town, other).await;
    assert!(town.house.end(one, None).await.unwrap());
    assert!(!is_stored(&town, one).await && is_stored(&town, other).await);
    town.house.end_others(here.user, Some(here.id), None).await.unwrap();
    assert!(!is_stored(&town, other).await && is_stored(&town, here).await);
}

#[tokio::test]
async fn a_token_can_be_given_up_to_a_replica_that_never_saw_the_list() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let verified = town.ask(&jar).await.unwrap();
    let blind = town.blind_replica().await;
    let again = blind.house.read_bearer(verified.token(), town.now()).await.unwrap();
    assert_eq!(blind.house.check_revoked(&again).unwrap_err().code, Code::StoreUnavailable);
    blind.house.revoke_token(&again, None).await;
    assert!(blind.house.ground.revocations.refuses(&again.credential()));
}

#[tokio::test]
async fn what_the_provider_gave_goes_back_however_a_session_ends() {
    let town = Town::with(Terms { cap: 2, ..terms(Mode::Jwt) }).await;
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(place(&town.ask(&town.sign_in_far().await).await.unwrap()));
    }
    assert_eq!((town.given_back().await, town.watch.heard("session_evicted")), (1, 1), "pushed out");
    town.house.end_revoked(places[1], RevokedFor::Reuse).await;
    assert_eq!(town.given_back().await, 2, "ended for safety");
    let ends = Ends::Everything { subject: "carol".to_owned() };
    town.house.end_by_provider(&SourceName::new("id"), &ends).await.unwrap();
    assert_eq!((town.given_back().await, town.watch.heard("provider_ended_session")), (3, 1), "by back-channel");
    let last = place(&town.ask(&town.sign_in_far().await).await.unwrap());
    let ground = &town.house.ground;
    assert!(ground.end_ordered(last).await.unwrap() && !ground.end_ordered(last).await.unwrap());
    assert_eq!(town.given_back().await, 4, "by an operator");
    assert!(!is_stored(&town, places[2]).await);
}

#[tokio::test]
async fn whether_an_ordered_end_found_a_record_is_not_known_while_the_store_is_away() {
    let town = Town::new(Mode::Jwt).await;
    let place = place(&town.ask(&town.sign_in("alice").await).await.unwrap());
    town.store.goes_away();
    assert!(town.house.ground.end_ordered(place).await.is_err());
    town.store.comes_back();
    assert!(town.house.ground.end_ordered(place).await.unwrap());
}
