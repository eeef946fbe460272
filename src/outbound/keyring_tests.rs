use super::*;
use crate::domain::secret::Secret;
use crate::domain::token::fixture::{issuer, jwk, set_of, SECRET};
use async_trait::async_trait;
use serde_json::json;
use std::future::pending;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// An issuer that says what a test tells it to say.
#[derive(Clone, Debug, Default)]
struct Fake(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
enum Said {
    #[default]
    Down,
    Silence,
    Keys(KeySet),
}

#[async_trait]
impl KeySource for Fake {
    async fn fetch(&mut self) -> Result<Fetched, FetchError> {
        sleep(Duration::from_millis(10)).await;
        let set = match &*self.0.lock() {
            Said::Down => return Err(FetchError::Timeout),
            Said::Silence => None,
            Said::Keys(set) => Some(set.clone()),
        };
        match set {
            Some(set) => Ok(Fetched { set, again_in: Duration::from_secs(600) }),
            None => pending().await,
        }
    }
}

impl Fake {
    fn says(&self, said: Said) {
        *self.0.lock() = said;
    }
}

fn settings() -> IssuerSettings {
    IssuerSettings { issuer: Arc::new(issuer()), keys: KeyOrigin::JwksFile("unused".into()) }
}

fn ring(said: Said) -> (Arc<Keyring>, Fake) {
    let fake = Fake::default();
    fake.says(said);
    (Keyring::keeping(&settings(), Box::new(fake.clone())), fake)
}

fn keys_a() -> Said {
    Said::Keys(set_of(&[jwk("rsa-a")]))
}

fn keys_b() -> Said {
    Said::Keys(set_of(&[jwk("rsa-b")]))
}

/// A keyring that has its first keys.
async fn ready() -> (Arc<Keyring>, Fake) {
    let (ring, fake) = ring(keys_a());
    assert_eq!(ring.refreshed_for_unknown_key(0).await, Refresh::Refreshed);
    (ring, fake)
}

fn generation(ring: &Keyring) -> u64 {
    ring.current().generation
}

/// What a thousand requests with unknown keys are told, all at once.
async fn flood(ring: &Arc<Keyring>) -> Vec<Refresh> {
    let seen = generation(ring);
    let mut crowd = JoinSet::new();
    for _ in 0..1000 {
        let ring = Arc::clone(ring);
        crowd.spawn(async move { ring.refreshed_for_unknown_key(seen).await });
    }
    crowd.join_all().await
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_unknown_keys_makes_one_fetch_in_half_a_minute() {
    let (ring, _) = ready().await;
    assert_eq!(ring.fetches(), 1);
    assert!(flood(&ring).await.iter().all(|told| *told == Refresh::Refreshed));
    assert_eq!(ring.fetches(), 2);
    for _ in 0..29 {
        sleep(Duration::from_secs(1)).await;
        assert!(flood(&ring).await.iter().all(|told| *told == Refresh::Cooling));
    }
    assert_eq!(ring.fetches(), 2);
    sleep(Duration::from_secs(1)).await;
    flood(&ring).await;
    assert_eq!(ring.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_key_is_learnt_by_the_first_token_signed_with_it() {
    let (ring, fake) = ready().await;
    let before = generation(&ring);
    fake.says(keys_b());
    assert_eq!(ring.refreshed_for_unknown_key(before).await, Refresh::Refreshed);
    assert_eq!(ring.current().set, set_of(&[jwk("rsa-b")]));
    assert!(generation(&ring) > before);
}

#[tokio::test(start_paused = true)]
async fn who_looked_before_the_keys_changed_is_sent_to_look_again() {
    let (ring, fake) = ready().await;
    let before = generation(&ring);
    fake.says(keys_b());
    ring.refreshed_for_unknown_key(before).await;
    let fetches = ring.fetches();
    assert_eq!(ring.refreshed_for_unknown_key(before).await, Refresh::Refreshed);
    assert_eq!(ring.fetches(), fetches);
}

#[tokio::test(start_paused = true)]
async fn keys_that_did_not_change_keep_their_generation() {
    let (ring, _) = ready().await;
    let before = generation(&ring);
    sleep(Duration::from_secs(3600)).await;
    assert!(ring.fetches() >= 6);
    assert_eq!(generation(&ring), before);
}

#[tokio::test(start_paused = true)]
async fn two_keyrings_never_share_a_generation() {
    let (one, _) = ready().await;
    let (other, _) = ready().await;
    assert_ne!(generation(&one), generation(&other));
}

#[tokio::test(start_paused = true)]
async fn keys_are_refreshed_ahead_without_anybody_asking() {
    let (ring, fake) = ready().await;
    fake.says(keys_b());
    sleep(Duration::from_secs(601)).await;
    assert_eq!(ring.current().set, set_of(&[jwk("rsa-b")]));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_at_the_start_is_unavailable_until_it_comes() {
    let (ring, fake) = ring(Said::Down);
    assert_eq!(ring.refreshed_for_unknown_key(0).await, Refresh::Unavailable);
    assert!(!ring.available() && !ring.up());
    sleep(Duration::from_secs(300)).await;
    let fetches = ring.fetches();
    assert!((5..=20).contains(&fetches), "{fetches} fetches in five minutes");
    fake.says(keys_a());
    sleep(Duration::from_secs(31)).await;
    assert!(ring.available() && ring.up());
}

#[tokio::test(start_paused = true)]
async fn a_flood_does_not_wake_an_issuer_that_is_away() {
    let (ring, _) = ring(Said::Down);
    flood(&ring).await;
    let fetches = ring.fetches();
    assert!(flood(&ring).await.iter().all(|told| *told == Refresh::Unavailable));
    assert_eq!(ring.fetches(), fetches);
}

#[tokio::test(start_paused = true)]
async fn the_last_good_keys_serve_for_a_day_and_no_longer() {
    let (ring, fake) = ready().await;
    let before = generation(&ring);
    fake.says(Said::Down);
    sleep(LAST_GOOD_LIFE - Duration::from_secs(60)).await;
    assert!(ring.available() && !ring.up());
    assert_eq!(generation(&ring), before);
    sleep(Duration::from_secs(700)).await;
    assert!(!ring.available());
    assert_ne!(generation(&ring), before, "what the old keys verified does not count any more");
}

#[tokio::test(start_paused = true)]
async fn while_the_issuer_is_away_an_unknown_key_is_neither_good_nor_bad() {
    let (ring, fake) = ready().await;
    fake.says(Said::Down);
    assert!(flood(&ring).await.iter().all(|told| *told == Refresh::Unavailable));
    assert!(flood(&ring).await.iter().all(|told| *told == Refresh::Unavailable));
    assert!(ring.available());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_five_seconds_for_a_silent_issuer() {
    let (ring, fake) = ready().await;
    fake.says(Said::Silence);
    let began = Instant::now();
    assert!(flood(&ring).await.iter().all(|told| *told == Refresh::Unavailable));
    assert!(began.elapsed() <= CALL_TIMEOUT + Duration::from_millis(10));
    fake.says(keys_b());
    sleep(Duration::from_secs(40)).await;
    assert_eq!(ring.current().set, set_of(&[jwk("rsa-b")]));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_does_not_take_the_fetch_along() {
    let (ring, fake) = ready().await;
    fake.says(keys_b());
    let seen = generation(&ring);
    let impatient = timeout(Duration::from_millis(1), ring.refreshed_for_unknown_key(seen)).await;
    assert!(impatient.is_err());
    assert_eq!(ring.refreshed_for_unknown_key(seen).await, Refresh::Refreshed);
    assert_eq!((ring.fetches(), ring.current().set.has("rsa-b")), (2, true));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_withdrew_all_its_keys_is_taken_at_its_word() {
    let (ring, fake) = ready().await;
    fake.says(Said::Keys(set_of(&[json!({})])));
    assert_eq!(ring.refreshed_for_unknown_key(generation(&ring)).await, Refresh::Unavailable);
    assert!(!ring.available() && !ring.up());
    fake.says(keys_b());
    sleep(Duration::from_secs(2)).await;
    assert!(ring.available() && ring.up());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_keyring_asks_nobody_any_more() {
    let (ring, _) = ready().await;
    let shared = Arc::clone(&ring.shared);
    drop(ring);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(shared.fetches.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_shared_secret_is_there_at_once_and_never_fetched() {
    let keys = KeyOrigin::Shared(Secret::new(SECRET.to_vec()));
    let ring = Keyring::spawn(&IssuerSettings { keys, ..settings() });
    assert!(ring.available() && ring.up());
    assert_eq!(ring.refreshed_for_unknown_key(generation(&ring)).await, Refresh::Cooling);
    assert_eq!(ring.fetches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_keyring_of_an_issuer_whose_keys_come_from_the_same_place() {
    let (ring, _) = ready().await;
    let mut other = settings();
    Arc::make_mut(&mut other.issuer).audience = vec!["new".to_owned()];
    assert!(ring.serves(&other));
    other.keys = KeyOrigin::JwksFile("elsewhere".into());
    assert!(!ring.serves(&other));
}
