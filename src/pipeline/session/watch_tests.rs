use super::*;
use crate::pipeline::session::fixture::{terms, Town, ABSOLUTE, ACCESS, IDLE};
use crate::pipeline::session::Mode;

const WARN: u64 = 300;

/// A page of alice's that waits, and the cookies she browses with elsewhere.
async fn watch(town: &Town) -> (Watch, String) {
    let jar = town.sign_in("alice").await;
    let verified = town.peek(&jar).await.unwrap();
    (sit_down(town, &verified).await.unwrap(), jar)
}

async fn sit_down(town: &Town, verified: &Arc<Verified>) -> Option<Watch> {
    let facts = verified.session().unwrap();
    let (_, times) = town.house.look(Place { user: facts.user, id: facts.id }).await.unwrap().unwrap();
    town.house.watch(verified, times, Duration::from_secs(WARN), town.now())
}

fn left(at_most: u64, idle: u64) -> Left {
    Left { at_most: Duration::from_secs(at_most), idle: Duration::from_secs(idle) }
}

#[tokio::test]
async fn a_page_is_warned_once_before_the_end_and_told_of_it() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let (mut watch, _) = watch(&town).await;
        town.pass(IDLE - WARN - 1);
        assert_eq!(watch.look(town.now()).await, None);
        town.pass(1);
        let warning = News::Expiring(left(ABSOLUTE - IDLE + WARN, WARN));
        assert_eq!(watch.look(town.now()).await, Some(warning));
        for _ in 0..WARN - 1 {
            town.pass(1);
            assert_eq!(watch.look(town.now()).await, None);
        }
        town.pass(1);
        assert!(matches!(watch.look(town.now()).await, Some(News::Ended(why)) if why.code == Code::SessionExpired));
    }
}

#[tokio::test]
async fn a_page_that_waits_costs_the_store_next_to_nothing() {
    let town = Town::new(Mode::Jwt).await;
    let (mut watch, _) = watch(&town).await;
    let work = async {
        for _ in 0..IDLE {
            town.pass(1);
            watch.look(town.now()).await;
        }
    };
    let (_, asked) = town.asked(work).await;
    assert!((2..=12).contains(&asked.len()), "{asked:?}");
}

#[tokio::test]
async fn whoever_works_elsewhere_is_not_warned_and_a_warning_is_taken_back() {
    let town = Town::new(Mode::Opaque).await;
    let (mut watch, jar) = watch(&town).await;
    town.pass(IDLE / 2);
    town.ask(&jar).await.unwrap();
    town.pass(IDLE / 2 - WARN);
    assert_eq!(watch.look(town.now()).await, None, "the use counts before the store has heard of it");
    town.pass(IDLE / 2 + 1);
    assert!(matches!(watch.look(town.now()).await, Some(News::Expiring(_))));
    town.ask(&jar).await.unwrap();
    town.pass(WARN / 10);
    let extended = watch.look(town.now()).await;
    assert!(matches!(extended, Some(News::Extended(left)) if left.idle > Duration::from_secs(WARN)), "{extended:?}");
}

#[tokio::test]
async fn a_use_that_the_store_cannot_be_told_of_now_is_no_neglect() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let (mut watch, jar) = watch(&town).await;
        town.pass(ACCESS / 2);
        town.ask(&jar).await.unwrap();
        town.pass(IDLE - WARN - ACCESS / 2);
        town.store.misses("touch");
        assert_eq!(watch.look(town.now()).await, None, "{mode:?}");
        town.flush().await;
        town.pass(ACCESS / 2 + 1);
        let news = watch.look(town.now()).await;
        assert!(matches!(news, Some(News::Expiring(_))), "{mode:?}: {news:?}");
    }
}

#[tokio::test]
async fn the_last_end_is_warned_of_however_busy_the_session_is() {
    let town = Town::new(Mode::Opaque).await;
    let (mut watch, jar) = watch(&town).await;
    let mut told = Vec::new();
    for _ in 0..ABSOLUTE / 60 {
        town.pass(60);
        let _ = town.ask(&jar).await;
        told.extend(watch.look(town.now()).await);
    }
    let [News::Expiring(left), News::Ended(_)] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(left.at_most, left.idle, "no use puts that off");
}

#[tokio::test]
async fn without_renewal_the_end_is_that_of_the_only_token() {
    let town = Town::with(super::super::Terms { renewal: Renewal::Off, ..terms(Mode::Jwt) }).await;
    let (watch, _) = watch(&town).await;
    let life = watch.verified.principal.expires.since(town.now()).as_secs();
    assert_eq!(watch.next_look(), town.now().plus(Duration::from_secs(life - WARN)));
}

#[tokio::test]
async fn a_store_that_is_away_ends_no_session_and_is_asked_seldom() {
    let town = Town::new(Mode::Jwt).await;
    let (mut watch, _) = watch(&town).await;
    town.store.goes_away();
    town.pass(IDLE - WARN);
    let work = async {
        for _ in 0..60 {
            town.pass(1);
            assert_eq!(watch.look(town.now()).await, None);
        }
    };
    let (_, asked) = town.asked(work).await;
    assert!(asked.len() <= 24, "{asked:?}");
    town.store.comes_back();
    town.pass(5);
    assert!(matches!(watch.look(town.now()).await, Some(News::Expiring(_))));
}

#[tokio::test]
async fn seats_are_bounded_and_given_back() {
    let town = Town::new(Mode::Jwt).await;
    let (first, jar) = watch(&town).await;
    let verified = town.peek(&jar).await.unwrap();
    let mut seats = vec![first];
    while let Some(seat) = sit_down(&town, &verified).await {
        seats.push(seat);
    }
    assert_eq!(seats.len(), MOST_OF_ONE);
    let (_other, _) = watch(&town).await;
    seats.pop();
    assert!(sit_down(&town, &verified).await.is_some());
    drop(seats);
    assert_eq!(town.house.ground.audience.0.lock().all, 1, "of another session");
}
