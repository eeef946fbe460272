use super::super::fixture::*;
use super::*;
use crate::domain::headers::forwarded::Proto;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::session::Millis;
use crate::pipeline::session::{Mode, Renewal, Terms, Turned};
use crate::ports::store::Sessions as _;

/// A browser that comes back when its access token has ended.
async fn renewed(town: &Town, jar: &str) -> Result<Arc<Verified>, Code> {
    town.pass(ACCESS + 30);
    town.ask(jar).await.map_err(|turned| match turned {
        Turned::Away(denial, _) => denial.code,
        Turned::Back(_) => Code::TryAgain,
        Turned::TooOften(over) => over.denial.code,
    })
}

#[tokio::test]
async fn roles_that_changed_in_the_file_count_from_the_next_renewal_on() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let jar = town.sign_in("alice").await;
        assert_eq!(town.ask(&jar).await.unwrap().principal.roles, ["admin"]);
        town.users.says("alice", &["reader"]);
        let verified = renewed(&town, &jar).await.unwrap();
        assert_eq!(verified.principal.roles, ["reader"], "{mode:?}");
        let facts = verified.session().unwrap();
        let (record, _) = town.house.look(Place { user: facts.user, id: facts.id }).await.unwrap().unwrap();
        assert_eq!((record.roles, record.claims_at), (vec!["reader".to_owned()], town.now().0), "{mode:?}");
    }
}

#[tokio::test]
async fn a_user_who_left_the_file_is_signed_out_at_the_next_renewal() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let jar = town.sign_in("alice").await;
        let verified = town.ask(&jar).await.unwrap();
        town.users.forgets("alice");
        assert_eq!(renewed(&town, &jar).await.unwrap_err(), Code::SessionTerminated, "{mode:?}");
        let facts = verified.session().unwrap();
        assert_eq!(town.store.inner.load(facts.user, facts.id).await, Ok(None), "{mode:?}");
    }
}

/// Somebody who asks for a renewal with these cookies.
fn renewing(town: &Town, jar: &str) -> Renewing {
    let headers = browser(jar);
    let plan = town.house.cookies("app.test", Proto::Https);
    Renewing {
        said: town.house.renewal(&plan.read(&headers).unwrap()).unwrap(),
        device: Device::from_headers(&headers),
        bounced: false,
        transport: Transport::Cookie,
        grace: Duration::ZERO,
        uses: true,
        occasion: Occasion::Asked,
        ip: None,
        now: town.now(),
    }
}

/// When the store was told that the session of this answer was last in use.
async fn last_seen(town: &Town, renewed: &Renewed) -> Millis {
    let Renewed::Issued { verified, .. } = renewed else { panic!("{renewed:?}") };
    let facts = verified.session().unwrap();
    town.store.inner.load(facts.user, facts.id).await.unwrap().unwrap().times.last_seen
}

#[tokio::test]
async fn a_renewal_that_the_store_could_not_note_as_a_use_is_noted_with_the_next_flush() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    town.store.misses("touch");
    let renewed = town.house.renew(renewing(&town, &jar)).await;
    assert_eq!(last_seen(&town, &renewed).await, Millis(START * 1000));
    assert_eq!(town.flush().await, 1);
    assert_eq!(last_seen(&town, &renewed).await, Millis::from(town.now()));
    let other = town.sign_in("alice").await;
    assert!(matches!(town.house.renew(renewing(&town, &other)).await, Renewed::Issued { told: true, .. }));
    assert_eq!(town.flush().await, 0, "what the store knows is not said again");
}

#[tokio::test]
async fn who_asks_while_somebody_only_looks_has_used_the_session_all_the_same() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    let look = Renewing { uses: false, occasion: Occasion::Unseen, ..renewing(&town, &jar) };
    let both = async { tokio::join!(town.house.renew(look), town.house.renew(renewing(&town, &jar))) };
    let ((looked, renewed), asked) = town.asked(both).await;
    assert_eq!(asked.iter().filter(|question| **question == "present").count(), 1, "one flight: {asked:?}");
    assert!(matches!(looked, Renewed::Issued { .. }));
    town.flush().await;
    assert_eq!(last_seen(&town, &renewed).await, Millis::from(town.now()));
}

#[tokio::test]
async fn renewals_that_nobody_sees_are_counted_and_five_tabs_are_one() {
    let mut town = Town::new(Mode::Jwt).await;
    town.counts_renewals();
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    let tab = || town.ask(&jar);
    let answers = tokio::join!(tab(), tab(), tab(), tab(), tab());
    let answers = [answers.0, answers.1, answers.2, answers.3, answers.4];
    assert!(answers.iter().all(Result::is_ok), "one flight");
    for _ in 0..2 {
        town.ask(&jar).await.unwrap();
    }
    match town.ask(&jar).await {
        Err(Turned::TooOften(over)) => {
            assert_eq!(over.denial.code, Code::RateLimited);
            assert!(over.headers.iter().any(|(name, _)| name == "retry-after"));
        }
        other => panic!("{other:?}"),
    }
    let verified = town.ask(&town.sign_in("alice").await).await;
    assert!(verified.is_ok(), "another sign-in has its own count");
}

/// Else whoever keeps the cookies of a session that has ended spends for those that live.
#[tokio::test]
async fn what_died_spends_for_nobody() {
    let mut town = Town::new(Mode::Jwt).await;
    town.counts_renewals();
    let jars = [town.sign_in("alice").await, town.sign_in("alice").await];
    let plan = town.house.cookies("app.test", Proto::Https);
    let place = town.house.place(&plan.read(&browser(&jars[0])).unwrap(), town.now()).await.unwrap().unwrap();
    town.house.end(place, None).await.unwrap();
    for turn in 0..10 {
        let renewed = town.house.renew(renewing(&town, &jars[0])).await;
        assert!(if turn < 3 { matches!(renewed, Renewed::Ended(_)) } else { matches!(renewed, Renewed::Over(_)) });
    }
    assert!(matches!(town.house.renew(renewing(&town, &jars[1])).await, Renewed::Issued { .. }));
}

#[tokio::test]
async fn a_page_that_asks_how_long_it_has_left_puts_the_end_off_for_nobody() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    town.peek(&jar).await.unwrap();
    town.pass(IDLE - ACCESS - 20);
    match town.peek(&jar).await {
        Err(Turned::Away(denial, _)) => assert_eq!(denial.code, Code::SessionExpired),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_renewal_token_of_another_session_is_not_taken_for_this_one() {
    let town = Town::new(Mode::Jwt).await;
    let (former, jar) = (town.sign_in("alice").await, town.sign_in("alice").await);
    let planted = former.replace("__Host-doorward-r0", "__Host-doorward-r1");
    let planted = planted.split("; ").find(|pair| pair.starts_with("__Host-doorward-r1")).unwrap();
    let mixed = format!("{jar}; {planted}");
    let mine = town.ask(&jar).await.unwrap().session().unwrap().id;
    town.pass(ACCESS + 30);
    assert_eq!(town.ask(&mixed).await.unwrap().session().unwrap().id, mine);
}

/// A store that was away while somebody signed out has the session still.
#[tokio::test]
async fn a_revoked_session_is_not_renewed_though_the_store_knows_it() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let verified = town.ask(&jar).await.unwrap();
    town.house.ground.revocations.revoke_session(verified.session().unwrap().id, RevokedFor::SignOut).await;
    assert_eq!(renewed(&town, &jar).await.unwrap_err(), Code::SessionTerminated);
    let other = town.sign_in("alice").await;
    town.house.ground.revocations.revoke_user(&SourceName::new("local"), "alice", RevokedFor::Operator).await;
    assert_eq!(renewed(&town, &other).await.unwrap_err(), Code::SessionTerminated);
}

#[tokio::test]
async fn a_store_that_is_away_at_a_renewal_signs_nobody_out() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.store.goes_away();
    assert_eq!(renewed(&town, &jar).await.unwrap_err(), Code::StoreUnavailable);
    town.store.comes_back();
    assert!(town.ask(&jar).await.is_ok());
}

#[tokio::test]
async fn a_replica_that_never_saw_the_list_renews_nothing() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let blind = town.blind_replica().await;
    assert_eq!(renewed(&blind, &jar).await.unwrap_err(), Code::StoreUnavailable);
    assert!(town.ask(&jar).await.is_ok(), "elsewhere it goes on");
}

#[tokio::test]
async fn what_is_no_use_of_a_session_gives_no_token_that_outlives_its_idle_end() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let ends = |verified: &Verified| verified.principal.claims.get("exp").and_then(serde_json::Value::as_u64).unwrap();
    town.pass(ACCESS + 30);
    assert_eq!(ends(&town.peek(&jar).await.unwrap()), START + IDLE);
    let other = town.sign_in("alice").await;
    let signed_in = town.now().0;
    town.pass(ACCESS + 30);
    assert_eq!(ends(&town.ask(&other).await.unwrap()), signed_in + ACCESS + 30 + ACCESS);
}

#[tokio::test]
async fn where_nothing_is_renewed_a_session_that_goes_on_is_not_called_ended() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let now = town.reloaded(Terms { renewal: Renewal::Off, ..terms(Mode::Jwt) }, IdentityHeaders::default());
    assert!(matches!(now.house.renew(renewing(&now, &jar)).await, Renewed::Refused(_)));
}
