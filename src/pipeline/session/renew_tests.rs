use super::super::fixture::*;
use super::*;
use crate::domain::headers::forwarded::Proto;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::limit::{Bucket, BuiltIn, Limit, Prefixes, Rate};
use crate::domain::session::Millis;
use crate::pipeline::limits::{Guard, Limiter, Plan};
use crate::pipeline::revocation::fixture::TestClock;
use crate::pipeline::session::{Mode, Renewal, Terms, Turned};
use crate::ports::limits::{Single, Tally};
use crate::ports::store::Sessions as _;
use crate::store::{Clock, MemoryBuckets};
use std::sync::Arc;

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

/// Renewals of one sign-in, at most three at once.
fn counted(town: &mut Town) {
    let rate = Rate::per_minute(1);
    let family = Limit { rate, bucket: Bucket::new(rate, 3), ..BuiltIn::RefreshFamily.limit() };
    let user = Limit { rate, bucket: Bucket::new(rate, 3), ..BuiltIn::RefreshUser.limit() };
    let buckets = MemoryBuckets::new(Clock::new(|| Millis(1_000_000)));
    let limiter = Limiter::new(Arc::new(buckets), Arc::new(Single), TestClock::new());
    let plan = Plan { limiter, limits: &[family, user], routes: &[], prefixes: Prefixes::default() };
    let guard = Guard::new(plan, |_| Arc::new(Unheard) as _, |_| Arc::default());
    Arc::get_mut(&mut town.house).unwrap().limits = Some(guard);
}

#[derive(Debug)]
struct Unheard;

impl Tally for Unheard {
    fn over(&self) {}
}

#[tokio::test]
async fn renewals_that_nobody_sees_are_counted_and_five_tabs_are_one() {
    let mut town = Town::new(Mode::Jwt).await;
    counted(&mut town);
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
    counted(&mut town);
    let jars = [town.sign_in("alice").await, town.sign_in("alice").await];
    let plan = town.house.cookies("app.test", Proto::Https);
    let asked = |town: &Town, jar: &str| {
        let headers = browser(jar);
        let said = town.house.renewal(&plan.read(&headers).unwrap()).unwrap();
        let (device, ip, now) = (Device::from_headers(&headers), None, town.now());
        let (transport, occasion) = (Transport::Cookie, Occasion::Asked);
        Renewing { said, device, bounced: false, transport, grace: Duration::ZERO, uses: true, occasion, ip, now }
    };
    let place = town.house.place(&plan.read(&browser(&jars[0])).unwrap(), town.now()).await.unwrap().unwrap();
    town.house.end(place, None).await.unwrap();
    for turn in 0..10 {
        let renewed = town.house.renew(asked(&town, &jars[0])).await;
        assert!(if turn < 3 { matches!(renewed, Renewed::Ended(_)) } else { matches!(renewed, Renewed::Over(_)) });
    }
    assert!(matches!(town.house.renew(asked(&town, &jars[1])).await, Renewed::Issued { .. }));
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
    let headers = browser(&jar);
    let now = town.reloaded(Terms { renewal: Renewal::Off, ..terms(Mode::Jwt) }, IdentityHeaders::default());
    let plan = now.house.cookies("app.test", Proto::Https);
    let said = now.house.renewal(&plan.read(&headers).unwrap()).unwrap();
    let (device, ip, now_at) = (Device::from_headers(&headers), None, town.now());
    let renewing = Renewing {
        said,
        device,
        bounced: false,
        transport: Transport::Cookie,
        grace: Duration::ZERO,
        uses: true,
        occasion: Occasion::Asked,
        ip,
        now: now_at,
    };
    assert!(matches!(now.house.renew(renewing).await, Renewed::Refused(_)));
}
