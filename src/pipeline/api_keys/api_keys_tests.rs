use super::*;
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::principal::AuthMethod;
use crate::domain::revocation::{Target, User};
use crate::domain::secret::Secret;
use crate::pipeline::cache::{CredentialCache, Verified};
use crate::pipeline::permit::Memory;
use crate::pipeline::session::fixture::Town;
use crate::pipeline::session::Mode;

fn keys(town: &Town) -> Arc<ApiKeys> {
    let ground = &town.house.ground;
    ApiKeys::new(Arc::clone(&town.store) as _, Arc::clone(&ground.seals), Arc::clone(&ground.revocations))
}

fn sealed_with(town: &Town, fills: &[u8]) -> Arc<ApiKeys> {
    let secrets: Vec<Secret> = fills.iter().map(|fill| Secret::new(vec![*fill; 32])).collect();
    let seals = Arc::new(Seals::new(&secrets).unwrap());
    ApiKeys::new(Arc::clone(&town.store) as _, seals, Arc::clone(&town.house.ground.revocations))
}

fn wanted(subject: &str) -> Wanted {
    Wanted {
        name: "export".to_owned(),
        subject: subject.to_owned(),
        roles: vec!["reader".to_owned(), "writer".to_owned()],
        scopes: vec!["a".to_owned(), "b".to_owned()],
        expires: None,
    }
}

async fn made(keys: &ApiKeys, subject: &str, town: &Town) -> (KeyId, String) {
    let (id, text) = keys.create(wanted(subject), town.now()).await.unwrap();
    (id, text.expose().to_owned())
}

fn known(keys: &ApiKeys, text: &str, cache: &CredentialCache, town: &Town) -> Option<(Arc<Verified>, Memory)> {
    keys.known(text, (cache, &IdentityHeaders::default()), town.now()).unwrap()
}

async fn verdict(keys: &ApiKeys, text: &str, town: &Town) -> Result<String, Code> {
    let found = keys.find(text, town.now()).await;
    found.map(|(key, _)| key.subject).map_err(|denial| denial.code)
}

async fn town() -> Town {
    Town::new(Mode::Jwt).await
}

#[tokio::test]
async fn a_key_speaks_for_its_subject() {
    let town = town().await;
    let keys = keys(&town);
    let (id, text) = made(&keys, "exporter", &town).await;
    let cache = CredentialCache::default();
    let (caller, memory) = known(&keys, &text, &cache, &town).unwrap();
    assert_eq!(memory, Memory::Miss);
    let who = &caller.principal;
    assert_eq!((who.source.as_str(), &*who.subject, who.method), ("api_key", "exporter", AuthMethod::ApiKey));
    assert_eq!((&*who.roles, &*who.scopes), (&*wanted("").roles, &*wanted("").scopes));
    assert_eq!((who.claims["client_id"].as_str(), who.claims["scope"].as_str()), (Some(id.as_str()), Some("a b")));
    let (again, memory) = known(&keys, &text, &cache, &town).unwrap();
    assert!(Arc::ptr_eq(&again, &caller) && memory == Memory::Hit);
    let sought = self::keys(&town).seek(&text, (&cache, &IdentityHeaders::default()), town.now()).await;
    assert_eq!(sought.unwrap().principal.subject, "exporter");
}

#[tokio::test]
async fn known_keys_cost_the_store_nothing() {
    let town = town().await;
    let keys = keys(&town);
    let (_, text) = made(&keys, "exporter", &town).await;
    let (found, asked) = town.asked(verdict(&keys, &text, &town)).await;
    assert_eq!((found, asked.len()), (Ok("exporter".to_owned()), 0));
    let (ticked, asked) = town.asked(async { keys.tick(town.now()).await.is_ok() }).await;
    assert!(ticked && asked.is_empty(), "it was read a moment ago");
    town.pass(5);
    let (_, asked) = town.asked(keys.tick(town.now())).await;
    assert_eq!(asked, ["read"]);
}

#[tokio::test]
async fn a_new_key_counts_at_every_replica_at_once() {
    let town = town().await;
    let (here, there) = (keys(&town), keys(&town));
    there.tick(town.now()).await.unwrap();
    let (_, text) = made(&here, "exporter", &town).await;
    assert_eq!(verdict(&there, &text, &town).await, Ok("exporter".to_owned()));
}

#[tokio::test]
async fn what_never_was_a_key_is_refused_without_a_question() {
    let town = town().await;
    let keys = keys(&town);
    let (_, text) = made(&keys, "exporter", &town).await;
    let other = KeyText::mint([9; 8], &[9; 32]).1;
    let same_id = {
        let said = format!("{}{}", &text[..15], &other.expose()[15..58]);
        let checksum = crc32fast::hash(said.as_bytes());
        let digits = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let digit = |place: u32| char::from(digits[(checksum / 62_u32.pow(place) % 62) as usize]);
        format!("{said}_{}", (0..6).rev().map(digit).collect::<String>())
    };
    assert!(KeyId::of_key(&same_id).is_some(), "its form is right");
    for wrong in [&text[..60], "dwk_", &same_id, &text.replace("dwk_", "dwk_0")] {
        let (found, asked) = town.asked(verdict(&keys, wrong, &town)).await;
        assert_eq!((found, asked.len()), (Err(Code::ApiKeyInvalid), 0), "{wrong}");
    }
}

#[tokio::test]
async fn strangers_make_nobody_look_more_often_than_bounded() {
    let town = town().await;
    let keys = keys(&town);
    keys.tick(town.now()).await.unwrap();
    let guess = |seed: u8| KeyText::mint([seed; 8], &[seed; 32]).1.expose().to_owned();
    let ((), asked) = town
        .asked(async {
            for seed in 0..100 {
                assert_eq!(verdict(&keys, &guess(seed), &town).await, Err(Code::ApiKeyInvalid));
            }
        })
        .await;
    assert_eq!(asked.len(), LOOKS as usize);
}

#[tokio::test]
async fn without_the_store_no_number_of_strangers_turns_cannot_tell_into_no() {
    let town = town().await;
    let keys = keys(&town);
    keys.tick(town.now()).await.unwrap();
    town.store.goes_away();
    town.pass(2);
    let unknown = KeyText::mint([9; 8], &[9; 32]).1;
    for _ in 0..10 {
        assert_eq!(verdict(&keys, unknown.expose(), &town).await, Err(Code::StoreUnavailable));
    }
}

#[tokio::test]
async fn those_who_come_meanwhile_share_the_next_look() {
    let town = town().await;
    let keys = keys(&town);
    keys.tick(town.now()).await.unwrap();
    let (_, text) = made(&self::keys(&town), "exporter", &town).await;
    let all = async {
        tokio::join!(verdict(&keys, &text, &town), verdict(&keys, &text, &town), verdict(&keys, &text, &town))
    };
    let ((one, two, three), asked) = town.asked(all).await;
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(asked.len(), 2, "one was under way when the others came: they have the next one together");
}

#[tokio::test]
async fn without_the_store_known_keys_count_for_an_hour_and_of_others_nothing_can_be_told() {
    let town = town().await;
    let keys = keys(&town);
    let (_, text) = made(&keys, "exporter", &town).await;
    let unknown = KeyText::mint([9; 8], &[9; 32]).1;
    town.store.goes_away();
    town.pass(3599);
    assert!(keys.tick(town.now()).await.is_err());
    assert_eq!(verdict(&keys, &text, &town).await, Ok("exporter".to_owned()));
    assert_eq!(verdict(&keys, unknown.expose(), &town).await, Err(Code::StoreUnavailable));
    town.pass(1);
    assert_eq!(verdict(&keys, &text, &town).await, Err(Code::StoreUnavailable), "neither yes nor no");
    town.store.comes_back();
    keys.tick(town.now()).await.unwrap();
    assert_eq!(verdict(&keys, &text, &town).await, Ok("exporter".to_owned()));
    assert_eq!(verdict(&keys, unknown.expose(), &town).await, Err(Code::ApiKeyInvalid));
    let blind = self::keys(&town);
    town.store.goes_away();
    assert_eq!(verdict(&blind, &text, &town).await, Err(Code::StoreUnavailable));
}

#[tokio::test]
async fn a_key_counts_until_it_expires_also_where_it_is_remembered() {
    let town = town().await;
    let keys = keys(&town);
    let expires = Some(town.now().plus(Duration::from_secs(10)));
    let (_, text) = keys.create(Wanted { expires, ..wanted("exporter") }, town.now()).await.unwrap();
    let cache = CredentialCache::default();
    assert!(known(&keys, text.expose(), &cache, &town).is_some());
    town.pass(9);
    assert!(known(&keys, text.expose(), &cache, &town).is_some());
    town.pass(1);
    assert!(known(&keys, text.expose(), &cache, &town).is_none());
    assert_eq!(verdict(&keys, text.expose(), &town).await, Err(Code::ApiKeyInvalid));
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_a_remembered_key_is_looked_up_again() {
    let town = town().await;
    let keys = keys(&town);
    let ((id, text), (_, other)) = (made(&keys, "exporter", &town).await, made(&keys, "importer", &town).await);
    let cache = CredentialCache::default();
    assert!(known(&keys, &text, &cache, &town).is_some());
    assert!(keys.delete(id, town.now()).await.unwrap());
    assert!(!keys.delete(id, town.now()).await.unwrap(), "it was gone already");
    assert!(known(&keys, &text, &cache, &town).is_none());
    assert_eq!(verdict(&keys, &text, &town).await, Err(Code::ApiKeyInvalid));
    assert_eq!(verdict(&keys, &other, &town).await, Ok("importer".to_owned()));
}

#[tokio::test]
async fn whatever_ends_a_key_takes_it_out_of_the_store_before_that_is_forgotten() {
    let town = town().await;
    let keys = keys(&town);
    let source = SourceName::new(SOURCE);
    let (id, _) = made(&keys, "deleted", &town).await;
    for subject in ["revoked", "anywhere", "blocked", "lives"] {
        made(&keys, subject, &town).await;
    }
    town.order(Target::Client(id.to_string())).await;
    town.order(Target::User(User::of(&source, "revoked"))).await;
    town.order(Target::User(User::anywhere("anywhere"))).await;
    town.order(Target::Block(User::of(&source, "blocked"))).await;
    town.order(Target::User(User::of(&SourceName::new("local"), "lives"))).await;
    let left = |keys: Vec<ApiKey>| keys.into_iter().map(|key| key.subject).collect::<Vec<_>>();
    assert_eq!(left(keys.list(town.now()).await.unwrap()), ["blocked", "lives"]);
    let (_, again) = made(&keys, "revoked", &town).await;
    assert_eq!(verdict(&keys, &again, &town).await, Ok("revoked".to_owned()), "made after the order");
    town.pass(1);
    town.revoke_all_before(town.now()).await;
    let another = self::keys(&town);
    assert!(another.list(town.now()).await.unwrap().is_empty());
    assert!(town.store.read(DOCUMENT).await.unwrap().is_some(), "an empty list, not none");
}

#[tokio::test]
async fn keys_made_at_two_replicas_at_once_are_both_kept() {
    let town = town().await;
    let (here, there) = (keys(&town), keys(&town));
    let (one, other) = tokio::join!(made(&here, "one", &town), made(&there, "other", &town));
    for keys in [&here, &there] {
        assert!(verdict(keys, &one.1, &town).await.is_ok() && verdict(keys, &other.1, &town).await.is_ok());
    }
}

#[tokio::test]
async fn a_store_that_lost_its_data_is_given_the_keys_again_and_none_that_was_deleted() {
    let (town, emptied) = (town().await, town().await);
    let keys = keys(&town);
    let ((id, text), (_, other)) = (made(&keys, "deleted", &town).await, made(&keys, "lives", &town).await);
    let moved = moved(keys, &emptied);
    town.order(Target::Client(id.to_string())).await;
    emptied.store.misses("replace");
    town.pass(5);
    assert!(moved.tick(town.now()).await.is_err(), "it is tried again");
    town.pass(5);
    moved.tick(town.now()).await.unwrap();
    let fresh = ApiKeys::new(
        Arc::clone(&emptied.store) as _,
        Arc::clone(&town.house.ground.seals),
        Arc::clone(&town.house.ground.revocations),
    );
    assert_eq!(verdict(&fresh, &other, &town).await, Ok("lives".to_owned()));
    assert_eq!(verdict(&fresh, &text, &town).await, Err(Code::ApiKeyInvalid));
}

/// What the store of `town` holds, put into the store of another, which then is at an older version of it.
async fn copied(town: &Town, into: &Town) {
    let document = town.store.read(DOCUMENT).await.unwrap().unwrap();
    assert!(into.store.replace(DOCUMENT, 0, &document.bytes).await.unwrap());
}

fn moved(keys: Arc<ApiKeys>, to: &Town) -> ApiKeys {
    ApiKeys { vault: Arc::clone(&to.store) as _, ..Arc::into_inner(keys).unwrap() }
}

#[tokio::test]
async fn a_store_that_went_back_in_time_is_told_what_it_forgot_and_believed_what_is_new() {
    let (town, older) = (town().await, town().await);
    let keys = keys(&town);
    let ((id, deleted), (_, kept)) = (made(&keys, "deleted", &town).await, made(&keys, "kept", &town).await);
    copied(&town, &older).await;
    town.pass(60);
    assert!(keys.delete(id, town.now()).await.unwrap());
    let (_, lost) = made(&keys, "made since", &town).await;
    town.pass(60);
    let (_, news) = made(&self::keys(&older), "made there", &town).await;
    let keys = moved(keys, &older);
    keys.tick(town.now()).await.unwrap();
    let fresh = self::keys(&older);
    for text in [&kept, &lost, &news] {
        assert!(verdict(&keys, text, &town).await.is_ok() && verdict(&fresh, text, &town).await.is_ok());
    }
    assert_eq!(verdict(&fresh, &deleted, &town).await, Err(Code::ApiKeyInvalid), "no mark speaks against it here");
}

#[tokio::test]
async fn whoever_heals_second_takes_nothing_back_that_the_first_brought() {
    let (town, emptied) = (town().await, town().await);
    let (first, second) = (keys(&town), keys(&town));
    let (_, old) = made(&first, "old", &town).await;
    second.tick(town.now()).await.unwrap();
    town.pass(1);
    let (_, new) = made(&first, "new", &town).await;
    let (first, second) = (moved(first, &emptied), moved(second, &emptied));
    town.pass(60);
    emptied.store.misses("replace");
    assert!(second.tick(town.now()).await.is_err(), "it could not write");
    first.tick(town.now()).await.unwrap();
    town.pass(60);
    second.tick(town.now()).await.unwrap();
    first.tick(town.now()).await.unwrap();
    let fresh = keys(&emptied);
    for keys in [&first, &second, &*fresh] {
        assert!(verdict(keys, &old, &town).await.is_ok() && verdict(keys, &new, &town).await.is_ok());
    }
}

#[tokio::test]
async fn another_document_of_the_same_age_is_no_reason_to_forget_a_key() {
    let (town, emptied) = (town().await, town().await);
    let keys = keys(&town);
    let (_, ours) = made(&keys, "ours", &town).await;
    let keys = moved(keys, &emptied);
    let (_, theirs) = made(&self::keys(&emptied), "theirs", &town).await;
    town.pass(5);
    keys.tick(town.now()).await.unwrap();
    let fresh = self::keys(&emptied);
    assert!(verdict(&fresh, &ours, &town).await.is_ok() && verdict(&fresh, &theirs, &town).await.is_ok());
}

#[tokio::test]
async fn a_store_that_takes_nothing_answers_all_the_same() {
    let town = town().await;
    let keys = keys(&town);
    let (id, _) = made(&keys, "ended", &town).await;
    town.order(Target::Client(id.to_string())).await;
    let fresh = self::keys(&town);
    town.store.misses("replace");
    let unknown = KeyText::mint([9; 8], &[9; 32]).1;
    assert_eq!(verdict(&fresh, unknown.expose(), &town).await, Err(Code::ApiKeyInvalid), "it was read");
    town.store.misses("replace");
    assert!(fresh.list(town.now()).await.is_ok());
    town.store.misses("replace");
    town.pass(5);
    assert!(fresh.tick(town.now()).await.is_err(), "and who looks after it is told");
}

#[tokio::test]
async fn a_copy_older_than_what_is_remembered_of_revocations_is_given_to_nobody() {
    let (town, emptied) = (town().await, town().await);
    let keys = keys(&town);
    let (_, text) = made(&keys, "exporter", &town).await;
    let keys = moved(keys, &emptied);
    town.pass(KNOWN_FOR.as_secs());
    keys.tick(town.now()).await.unwrap();
    assert_eq!(verdict(&keys, &text, &town).await, Err(Code::ApiKeyInvalid));
}

#[tokio::test]
async fn keys_that_expired_long_ago_make_room() {
    let town = town().await;
    let keys = keys(&town);
    let expires = Some(town.now().plus(Duration::from_secs(10)));
    keys.create(Wanted { expires, ..wanted("exporter") }, town.now()).await.unwrap();
    town.pass(7 * 86_400);
    assert_eq!(keys.list(town.now()).await.unwrap().len(), 1);
    town.pass(10);
    assert!(keys.list(town.now()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_secret_can_be_replaced_without_losing_a_key() {
    let town = town().await;
    let (_, text) = made(&sealed_with(&town, &[1]), "exporter", &town).await;
    assert_eq!(verdict(&sealed_with(&town, &[2, 1]), &text, &town).await, Ok("exporter".to_owned()));
    assert_eq!(verdict(&sealed_with(&town, &[2]), &text, &town).await, Ok("exporter".to_owned()), "it was sealed anew");
}

#[tokio::test]
async fn what_cannot_be_opened_is_left_alone() {
    let town = town().await;
    let (_, text) = made(&sealed_with(&town, &[1]), "exporter", &town).await;
    let stranger = sealed_with(&town, &[2]);
    assert_eq!(verdict(&stranger, &text, &town).await, Err(Code::StoreUnavailable));
    let created = stranger.create(wanted("other"), town.now()).await;
    assert!(matches!(created, Err(ApiKeysError::Sealed)));
    assert_eq!(verdict(&sealed_with(&town, &[1]), &text, &town).await, Ok("exporter".to_owned()));
}

#[tokio::test]
async fn there_are_only_so_many_keys() {
    let town = town().await;
    let keys = keys(&town);
    let (_, text) = made(&keys, "exporter", &town).await;
    let (key, _) = keys.find(&text, town.now()).await.unwrap();
    let full = (1..MOST_KEYS).fold(keys.known.load().list.clone(), |list, _| list.with(key.clone()));
    assert!(keys.change(town.now(), |_| Ok(Some(full.clone()))).await.unwrap());
    assert!(matches!(keys.create(wanted("one more"), town.now()).await, Err(ApiKeysError::TooMany)));
}
