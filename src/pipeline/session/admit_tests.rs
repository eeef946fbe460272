use super::super::fixture::*;
use super::*;
use crate::domain::headers::forwarded::Proto;
use crate::domain::session::OnLimit;
use crate::pipeline::session::{Mode, Terms, Turned};
use crate::ports::RevokedFor;
use std::sync::atomic::Ordering;

fn code(turned: Turned) -> Code {
    match turned {
        Turned::Away(denial, _) => denial.code,
        Turned::Back(_) => panic!("sent back"),
        Turned::TooOften(over) => over.denial.code,
    }
}

#[tokio::test]
async fn while_the_store_is_away_a_sign_in_is_worth_five_minutes_and_leaves_nothing_behind() {
    let town = Town::new(Mode::Jwt).await;
    town.store.goes_away();
    let signed_in = town.try_sign_in("alice").await.unwrap();
    assert!(signed_in.issued.renewal.is_none() && signed_in.issued.keep == WITHOUT_STORE);
    let plan = town.house.cookies("app.test", Proto::Https);
    let jar = held(&signed_in.issued.cookies(&plan, &Default::default()).unwrap());
    let verified = town.ask(&jar).await.unwrap();
    assert_eq!(verified.principal.roles, ["admin"]);
    assert_eq!((verified.session().unwrap().generation, town.house.ground.degraded.is(Feature::SignIn)), (None, true));
    town.store.comes_back();
    town.pass(299);
    assert!(town.recognise(&browser(&jar)).await.unwrap().cookies.is_empty(), "and nothing renews it");
    town.flush().await;
    assert_eq!(town.house.list(signed_in.place.user).await.unwrap().len(), 0);
    // and the seconds that clocks may differ by
    town.pass(1 + 5);
    assert_eq!(code(town.ask(&jar).await.unwrap_err()), Code::SessionExpired);
}

#[tokio::test]
async fn a_store_that_only_answers_questions_is_no_store_to_sign_in_with() {
    let town = Town::new(Mode::Jwt).await;
    assert!(!town.house.falls_back(true, town.now()).await, "nobody has tried");
    town.store.full.store(true, Ordering::SeqCst);
    town.try_sign_in("alice").await.unwrap();
    for _ in 0..2 {
        assert!(town.house.falls_back(true, town.now()).await, "it answers, and takes nothing");
    }
    town.store.full.store(false, Ordering::SeqCst);
    assert!(!town.house.falls_back(true, town.now()).await);
    assert!(town.house.falls_back(false, town.now()).await, "known before anybody tries");
    town.sign_in("alice").await;
    assert!(!town.house.ground.degraded.is(Feature::SignIn));
}

#[tokio::test]
async fn a_short_access_ttl_is_not_stretched() {
    let town = Town::with(Terms { access_ttl: Duration::from_secs(60), ..terms(Mode::Jwt) }).await;
    town.store.goes_away();
    assert_eq!(town.try_sign_in("alice").await.unwrap().issued.expires_in, Duration::from_secs(60));
}

#[tokio::test]
async fn a_handle_without_a_store_would_open_nothing() {
    let town = Town::new(Mode::Opaque).await;
    town.store.goes_away();
    match town.try_sign_in("alice").await {
        Err(Refused::Denied(denial)) => assert_eq!(denial.code, Code::StoreUnavailable),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replica_that_never_saw_the_list_signs_nobody_in() {
    let town = Town::new(Mode::Jwt).await;
    let blind = town.blind_replica().await;
    let arrived = town.try_sign_in("alice").await.unwrap().record;
    assert_eq!(blind.house.check_arrival(&arrived).unwrap_err().code, Code::StoreUnavailable);
    assert!(town.house.check_arrival(&arrived).is_ok());
}

#[tokio::test]
async fn a_sign_in_that_waited_for_a_place_is_hit_by_what_was_revoked_meanwhile() {
    let town = Town::with(Terms { cap: 1, on_limit: OnLimit::Reject, ..terms(Mode::Jwt) }).await;
    let first = town.try_sign_in("alice").await.unwrap();
    let full = || async {
        match town.try_sign_in("alice").await {
            Err(Refused::Full(full)) => *full,
            other => panic!("{other:?}"),
        }
    };
    let (ticket, late) = (full().await, full().await);
    town.house.end(first.place, None).await.unwrap();
    let second = town.house.admit_record(ticket, None, town.now()).await.unwrap();
    town.house.end(second.place, None).await.unwrap();
    town.house.ground.revocations.revoke_user(&SourceName::new("local"), "alice", RevokedFor::Operator).await;
    match town.house.admit_record(late, None, town.now()).await {
        Err(Refused::Denied(denial)) => assert_eq!(denial.code, Code::BadState),
        other => panic!("{other:?}"),
    }
    assert!(town.try_sign_in("alice").await.is_ok(), "who signs in anew comes in");
}

#[tokio::test]
async fn signing_out_counts_also_for_a_token_without_a_record() {
    let town = Town::new(Mode::Jwt).await;
    town.store.goes_away();
    let place = town.try_sign_in("alice").await.unwrap().place;
    let jar = town.sign_in("alice").await;
    let other = town.ask(&jar).await.unwrap();
    let facts = other.session().unwrap();
    town.store.comes_back();
    assert_ne!(place.id, facts.id);
    town.house.sign_out(Place { user: facts.user, id: facts.id }, None).await.unwrap();
    assert_eq!(code(town.ask(&jar).await.unwrap_err()), Code::SessionTerminated);
}

#[tokio::test]
async fn a_token_that_nothing_renews_is_not_renewed_by_what_a_former_session_left() {
    let town = Town::new(Mode::Jwt).await;
    let former = town.sign_in("alice").await;
    town.store.goes_away();
    let jar = town.sign_in("alice").await;
    town.store.comes_back();
    let left = former.split("; ").find(|pair| pair.contains("-r")).unwrap();
    let headers = browser(&format!("{jar}; {left}"));
    let plan = town.house.cookies("app.test", Proto::Https);
    assert!(town.house.renewal(&plan.read(&headers).unwrap()).is_none());
    assert!(town.house.renewal(&plan.read(&browser(left)).unwrap()).is_some());
}
