use super::super::fixture::*;
use super::*;
use crate::domain::denial::Code;
use crate::domain::device::OnMismatch;
use crate::domain::headers::forwarded::Proto;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::principal::SourceName;
use crate::domain::session::OnLimit;
use crate::pipeline::session::{Mode, Terms};
use crate::ports::store::Sessions as _;
use crate::ports::RevokedFor;
use http::HeaderName;
use std::sync::atomic::Ordering;

/// What a refused request learns, and whether its cookies are cleared.
fn turned<T: std::fmt::Debug>(answer: Result<T, Turned>) -> (Code, bool) {
    match answer {
        Err(Turned::Away(denial, cookies)) => (denial.code, !cookies.is_empty()),
        other => panic!("{other:?}"),
    }
}

fn place(verified: &Verified) -> Place {
    let facts = verified.session().unwrap();
    Place { user: facts.user, id: facts.id }
}

#[tokio::test]
async fn a_backend_is_told_the_same_in_both_modes() {
    let (opaque, jwt) = (Town::new(Mode::Opaque).await, Town::new(Mode::Jwt).await);
    let one = opaque.ask(&opaque.sign_in("alice").await).await.unwrap();
    let other = jwt.ask(&jwt.sign_in("alice").await).await.unwrap();
    let said = |verified: &Verified| {
        let mut headers: Vec<String> =
            verified.identity.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.retain(|header| !header.starts_with("x-auth-session"));
        headers
    };
    assert_eq!(said(&one), said(&other));
    assert!(said(&one).contains(&"x-auth-roles: \"admin\"".to_owned()), "{:?}", said(&one));
    let sid = one.identity.iter().find(|(name, _)| name == "x-auth-session").map(|(_, value)| value.to_str().unwrap());
    assert_eq!(sid, Some(place(&one).id.to_string().as_str()), "the public name, not the handle");
    let names = |verified: &Verified| {
        let of_a_token = ["jti", "fid", "gen"];
        verified
            .principal
            .claims
            .keys()
            .filter(|name| !of_a_token.contains(&name.as_str()))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&one), names(&other));
    let principals = (&one.principal, &other.principal);
    assert_eq!((&principals.0.source, &principals.0.roles), (&principals.1.source, &principals.1.roles));
    assert_eq!(principals.0.method, principals.1.method);
}

#[tokio::test]
async fn the_store_never_gets_what_the_browser_carries() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let handle = value(&jar).split('.').nth(2).unwrap();
    let bits = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, handle).unwrap();
    let stored = town.store.inner.snapshot();
    assert!(!stored.windows(bits.len()).any(|window| window == bits));
    assert!(!jar.contains("-r0") && !jar.contains("-r1"), "nothing to renew: {jar}");
}

#[tokio::test]
async fn a_known_caller_costs_the_store_one_question_a_minute() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let (_, asked) = town.asked(town.ask(&jar)).await;
    assert_eq!(asked, ["by_handle"]);
    let minute = async {
        for _ in 0..590 {
            town.ask(&jar).await.unwrap();
        }
        town.pass(59);
        town.ask(&jar).await.unwrap();
    };
    assert_eq!(town.asked(minute).await.1, Vec::<&str>::new());
    town.pass(1);
    assert_eq!(town.asked(town.ask(&jar)).await.1, ["by_handle"]);
}

#[tokio::test]
async fn two_hundred_tabs_at_once_are_one_question() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let tabs = async {
        let (town, jar) = (&town, &jar);
        let asking: Vec<_> = (0..200).map(|_| Box::pin(town.ask(jar))).collect();
        all(asking).await
    };
    let (answers, asked) = town.asked(tabs).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(asked, ["by_handle"]);
}

#[tokio::test]
async fn what_we_did_not_make_reaches_no_store() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let (name, value) = jar.split_once('=').unwrap();
    let changed = format!("{}{}", &value[..40], if &value[40..41] == "A" { "B" } else { "A" });
    let forged = [String::new(), "x".to_owned(), "v1..".to_owned(), value[1..].to_owned(), changed + &value[41..]];
    for forged in forged.into_iter().chain([value.replace("v1.", "v2."), "e30.e30.e30".to_owned()]) {
        let (answer, asked) = town.asked(town.ask(&format!("{name}={forged}"))).await;
        assert_eq!((turned(answer), asked), ((Code::SessionExpired, true), vec![]), "{forged}");
    }
    let unknown = town.house.new_handle(place(&town.ask(&jar).await.unwrap()).user);
    let (answer, asked) = town.asked(town.ask(&format!("{name}={}", unknown.as_str()))).await;
    assert_eq!((turned(answer), asked), ((Code::SessionExpired, true), vec!["by_handle"]), "made by us, and nobody's");
}

#[tokio::test]
async fn while_the_store_is_away_a_known_caller_goes_on_and_is_never_signed_out() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    town.ask(&jar).await.unwrap();
    let stranger = town.replica().await;
    town.store.goes_away();
    for _ in 0..4 {
        town.pass(IDLE - 10);
        town.ask(&jar).await.unwrap();
    }
    let (_, asked) = town
        .asked(async {
            for _ in 0..100 {
                town.ask(&jar).await.unwrap();
            }
        })
        .await;
    assert!(asked.is_empty(), "it was asked within this second: {asked:?}");
    town.pass(IDLE + 2);
    assert_eq!(turned(town.ask(&jar).await), (Code::StoreUnavailable, false), "others may know of a later use");
    assert_eq!(turned(stranger.ask(&jar).await), (Code::StoreUnavailable, false));
}

#[tokio::test]
async fn a_reload_during_an_outage_signs_nobody_out_and_shows_the_new_headers() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    town.ask(&jar).await.unwrap();
    town.store.goes_away();
    let name = HeaderName::from_static("x-who");
    let identity = IdentityHeaders { entries: vec![(name.clone(), "sub".to_owned())], forward_authorization: false };
    let after = town.reloaded(town.house.terms.clone(), identity);
    let verified = after.ask(&jar).await.unwrap();
    assert_eq!(verified.identity, [(name, HeaderValue::from_static("alice"))]);
    town.store.comes_back();
    town.pass(1);
    assert_eq!(after.asked(after.ask(&jar)).await.1, ["by_handle"], "what the old configuration knew is not relied on");
}

#[tokio::test]
async fn a_revoked_session_is_refused_at_once_and_its_cookie_cleared() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let verified = town.ask(&jar).await.unwrap();
    town.store.goes_away();
    town.house.ground.revocations.revoke_session(place(&verified).id, RevokedFor::Operator).await;
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionTerminated, true));
    town.store.comes_back();
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionTerminated, true), "the store has it still");
}

#[tokio::test]
async fn what_is_revoked_before_now_hits_sessions_that_are_read_from_the_store_later() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    town.house.ground.revocations.revoke_user(&SourceName::new("local"), "alice", RevokedFor::Operator).await;
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionTerminated, true));
    let again = town.sign_in("alice").await;
    assert!(town.ask(&again).await.is_ok(), "it began afterwards");
}

#[tokio::test]
async fn a_session_that_ended_elsewhere_is_known_for_a_minute_at_most() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let place = place(&town.ask(&jar).await.unwrap());
    town.store.inner.end(place.user, place.id).await.unwrap();
    town.pass(60);
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionTerminated, true));
}

#[tokio::test]
async fn a_flush_that_finds_no_session_has_the_store_asked_before_the_next_use() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let place = place(&town.ask(&jar).await.unwrap());
    town.store.inner.end(place.user, place.id).await.unwrap();
    town.flush().await;
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionTerminated, true));
}

#[tokio::test]
async fn a_clock_here_that_is_ahead_of_the_stores_signs_nobody_out() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    town.ask(&jar).await.unwrap();
    let headers = browser(&jar);
    let held = town.house.cookies("app.test", Proto::Https).read(&headers).unwrap();
    let ahead = UnixTime(START + ABSOLUTE + 3_600);
    let answer = town.house.recognise(&held, &asking(&headers, ahead)).await;
    assert_eq!(turned(answer), (Code::StoreUnavailable, false));
    assert!(town.ask(&jar).await.is_ok());
}

#[tokio::test]
async fn neglect_ends_a_session_a_second_late_at_most_and_never_early() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    town.ask(&jar).await.unwrap();
    town.pass(600);
    town.ask(&jar).await.unwrap();
    town.flush().await;
    town.pass(IDLE - 1);
    assert!(town.peek(&jar).await.is_ok());
    town.pass(2);
    assert_eq!(turned(town.peek(&jar).await), (Code::SessionExpired, true));
}

#[tokio::test]
async fn a_use_just_before_the_end_is_told_before_the_request_goes_on() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    town.ask(&jar).await.unwrap();
    town.flush().await;
    let other = town.replica().await;
    other.ask(&jar).await.unwrap();
    town.pass(IDLE - 5);
    let (_, asked) = town.asked(town.ask(&jar)).await;
    assert_eq!(asked.last(), Some(&"touch"), "a flush could come too late");
    town.pass(20);
    assert!(other.ask(&jar).await.is_ok(), "it knows of no use itself, and asks before it refuses");
}

#[tokio::test]
async fn nothing_extends_a_session_beyond_its_absolute_deadline() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    for _ in 0..ABSOLUTE / 1_200 {
        town.ask(&jar).await.unwrap();
        town.flush().await;
        town.pass(1_200);
    }
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionExpired, true));
}

#[tokio::test]
async fn a_handle_in_another_browser_has_to_prove_itself_and_its_owner_goes_on() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    assert_eq!(turned(town.recognise(&another_browser(&jar)).await), (Code::StepUpRequired, false));
    assert!(town.ask(&jar).await.is_ok());
    let strict = Terms {
        device: crate::domain::device::Terms { on_mismatch: OnMismatch::Logout, ..terms(Mode::Opaque).device },
        ..terms(Mode::Opaque)
    };
    let strict = town.reloaded(strict, IdentityHeaders::default());
    assert_eq!(turned(strict.recognise(&another_browser(&jar)).await), (Code::DeviceMismatch, true));
    assert_eq!(turned(strict.ask(&jar).await), (Code::SessionTerminated, true));
}

#[tokio::test]
async fn old_claims_are_read_again_from_the_provider_once() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in_far().await;
    assert_eq!(town.ask(&jar).await.unwrap().principal.roles, ["reader"]);
    town.provider.claims.lock().insert("roles".to_owned(), serde_json::json!(["writer"]));
    town.pass(ACCESS - 1);
    assert_eq!(town.ask(&jar).await.unwrap().principal.roles, ["reader"], "young enough");
    assert_eq!(town.provider.refreshes.load(Ordering::SeqCst), 0);
    town.pass(60);
    let tabs: Vec<_> = (0..50).map(|_| Box::pin(town.ask(&jar))).collect();
    for answer in all(tabs).await {
        assert_eq!(answer.unwrap().principal.roles, ["writer"]);
    }
    assert_eq!(town.provider.refreshes.load(Ordering::SeqCst), 1);
    town.provider.ends.store(true, Ordering::SeqCst);
    town.pass(ACCESS + 60);
    assert_eq!(turned(town.ask(&jar).await), (Code::SessionTerminated, true), "the provider has ended it");
}

#[tokio::test]
async fn a_new_browser_ends_the_old_session_where_one_is_all_a_user_may_have() {
    for mode in [Mode::Opaque, Mode::Jwt] {
        let town = Town::with(Terms { on_limit: OnLimit::Single, ..terms(mode) }).await;
        let old = town.sign_in("alice").await;
        town.ask(&old).await.unwrap();
        let new = town.sign_in("alice").await;
        assert_eq!(turned(town.ask(&old).await).0, Code::SessionTerminated, "{mode:?}");
        assert!(town.ask(&new).await.is_ok(), "{mode:?}");
        town.users.says("bob", &[]);
        town.sign_in("bob").await;
        assert!(town.ask(&new).await.is_ok(), "another user is none of its business");
    }
}

#[tokio::test]
async fn cookies_of_the_other_mode_are_cleared_and_nothing_worse() {
    let town = Town::new(Mode::Jwt).await;
    let token = town.sign_in("alice").await;
    let opaque = town.reloaded(terms(Mode::Opaque), IdentityHeaders::default());
    assert_eq!(turned(opaque.ask(&token).await), (Code::SessionExpired, true));
    let handle = opaque.sign_in("alice").await;
    let (code, cleared) = turned(town.ask(&handle).await);
    assert_eq!((code.status(), cleared), (401, true));
}

#[tokio::test]
async fn whoever_signs_out_while_only_the_store_knows_them_and_is_away_is_not_told_that_they_are_out() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let headers = browser(&jar);
    let held = town.house.cookies("app.test", Proto::Https).read(&headers).unwrap();
    town.store.goes_away();
    let answer = town.house.place(&held, town.now()).await;
    assert_eq!(answer.unwrap_err().code, Code::StoreUnavailable);
    town.store.comes_back();
    assert!(town.house.place(&held, town.now()).await.unwrap().is_some());
}

/// Side by side in one task: all have begun before the first is done.
async fn all<F: std::future::Future + Unpin>(mut waiting: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (one, done) in waiting.iter_mut().zip(&mut done).filter(|(_, done)| done.is_none()) {
            if let std::task::Poll::Ready(answer) = std::pin::Pin::new(one).poll(context) {
                *done = Some(answer);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
