use super::super::fixture::*;
use super::*;
use crate::domain::signing::Mode as Rotation;

/// Why a request with these cookies was refused, and whether they were cleared.
async fn refused(town: &Town, jar: &str) -> (Code, bool) {
    turned(town.ask(jar).await)
}

fn turned<T: std::fmt::Debug>(answer: Result<T, Turned>) -> (Code, bool) {
    match answer {
        Err(Turned::Away(denial, cookies)) => (denial.code, !cookies.is_empty()),
        other => panic!("{other:?}"),
    }
}

/// The access token in a jar, which a client may send by itself.
fn token(jar: &str) -> &str {
    jar.split("; ").find_map(|pair| pair.strip_prefix("__Host-doorward=")).unwrap()
}

#[tokio::test]
async fn a_live_token_asks_no_store_until_it_is_due() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS * 4 / 5 - 1);
    assert_eq!(town.asked(town.ask(&jar)).await.1, Vec::<&str>::new());
    town.pass(1);
    assert_eq!(town.asked(town.ask(&jar)).await.1.first(), Some(&"load"));
}

#[tokio::test]
async fn what_few_requests_need_takes_no_room_in_every_request() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let headers = browser("");
        let held = OurCookies::default();
        let plan = town.house.cookies("app.test", Proto::Https);
        let asking = asking(&headers, town.now());
        let way = town.house.recognise(&held, &asking);
        assert!(size_of_val(&way) < 1024, "{} bytes", size_of_val(&way));
        let rest = town.house.renewed(Err(ended("for the test")), &held, &asking, &plan);
        assert!(size_of_val(&way) < size_of_val(&rest), "renewal lies elsewhere");
    }
}

#[tokio::test]
async fn a_key_that_another_replica_has_just_made_is_looked_up() {
    let town = Town::new(Mode::Jwt).await;
    let other = town.replica().await;
    other.house.ground.ring.rotate(Rotation::Now, town.now()).await.unwrap();
    let jar = other.sign_in("alice").await;
    assert!(town.house.read_bearer(token(&jar), town.now()).await.is_ok());
    let third = town.replica().await;
    other.house.ground.ring.rotate(Rotation::Now, town.now()).await.unwrap();
    let jar = other.sign_in("alice").await;
    let cookie = jar.split("; ").find(|pair| pair.starts_with("__Host-doorward=")).unwrap();
    let (answer, asked) = third.asked(third.ask(cookie)).await;
    assert!(answer.is_ok());
    assert_eq!(asked, ["read"], "the ring, and nothing was renewed");
}

#[tokio::test]
async fn while_the_store_is_away_an_unknown_key_is_not_taken_for_a_wrong_one() {
    let town = Town::new(Mode::Jwt).await;
    let other = town.replica().await;
    other.house.ground.ring.rotate(Rotation::Now, town.now()).await.unwrap();
    let jar = other.sign_in("alice").await;
    town.store.goes_away();
    assert_eq!(refused(&town, &jar).await, (Code::StoreUnavailable, false));
    let bearer = town.house.read_bearer(token(&jar), town.now()).await;
    assert_eq!(bearer.unwrap_err().code, Code::StoreUnavailable);
    let headers = browser(&jar);
    let held = town.house.cookies("app.test", Proto::Https).read(&headers).unwrap();
    assert!(town.house.place(&held, town.now()).await.unwrap().is_some(), "the renewal token says whose it is");
    town.store.comes_back();
    assert!(town.ask(&jar).await.is_ok());
}

#[tokio::test]
async fn a_key_that_is_known_to_be_revoked_needs_no_store_to_be_refused() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.house.ground.ring.rotate(Rotation::Emergency, town.now()).await.unwrap();
    town.store.goes_away();
    let bearer = town.house.read_bearer(token(&jar), town.now()).await;
    assert_eq!(bearer.unwrap_err().code, Code::TokenRevoked);
    town.store.comes_back();
    assert!(town.ask(&jar).await.is_ok(), "the renewal token is as good as before");
}

/// A family that believes its newest token arrived takes the one before for a copy, once the grace is over.
#[tokio::test]
async fn a_renewal_whose_answer_was_lost_has_not_arrived() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    town.ask(&jar).await.unwrap();
    town.house.ground.activity.confirm(&*town.house.ground.store).await.unwrap();
    town.pass(60);
    assert!(town.ask(&jar).await.is_ok(), "the same again, for nobody has seen it");
}

#[tokio::test]
async fn a_late_answer_to_a_script_does_not_take_the_cookies_of_the_session_that_came_after() {
    for (mode, later) in [(Mode::Jwt, ACCESS + 30), (Mode::Opaque, 30)] {
        let town = Town::new(mode).await;
        let former = town.sign_in("alice").await;
        let facts = town.ask(&former).await.unwrap();
        let place = facts.session().map(|facts| Place { user: facts.user, id: facts.id }).unwrap();
        // As signing in anew does.
        town.house.end(place, None).await.unwrap();
        for seconds in [0, later] {
            town.pass(seconds);
            let (late, page) = (town.recognise(&script(&former)).await, town.recognise(&browser(&former)).await);
            assert_eq!(turned(late), (Code::SessionTerminated, false), "{mode:?}");
            assert_eq!(turned(page), (Code::SessionTerminated, true), "{mode:?}");
        }
    }
}
