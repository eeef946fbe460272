use super::super::fixture::*;
use crate::domain::denial::Code;
use crate::domain::signing::Mode as Rotation;
use crate::pipeline::session::{Mode, Turned};
use crate::ports::KeySource as _;

async fn emergency(town: &Town) {
    town.house.ground.ring.rotate(Rotation::Emergency, town.now()).await.unwrap();
}

#[tokio::test]
async fn a_revoked_key_ends_what_it_signed_and_no_session() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let before = town.ask(&jar).await.unwrap();
    emergency(&town).await;
    assert!(town.house.check_revoked(&before).is_ok(), "a socket that was opened before does not hear of the ring");
    town.house.ground.list_revoked_keys(town.now()).await;
    assert_eq!(town.house.check_revoked(&before).unwrap_err().code, Code::TokenRevoked);
    let after = town.ask(&jar).await.unwrap();
    assert!(town.house.check_revoked(&after).is_ok());
    assert_eq!(before.session().unwrap().id, after.session().unwrap().id);
}

#[tokio::test]
async fn without_a_way_to_renew_a_token_under_a_revoked_key_is_refused() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let access = jar.split("; ").find(|pair| pair.starts_with("__Host-doorward=")).unwrap();
    town.ask(access).await.unwrap();
    emergency(&town).await;
    town.house.ground.list_revoked_keys(town.now()).await;
    match town.ask(access).await {
        Err(Turned::Away(denial, _)) => assert_eq!(denial.code, Code::TokenRevoked),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_replica_that_hears_of_it_before_its_ring_moves_on_gives_out_no_dead_token() {
    let (town, jar, kid) = {
        let town = Town::new(Mode::Jwt).await;
        let jar = town.sign_in("alice").await;
        town.ask(&jar).await.unwrap();
        let kid = town.house.ground.ring.list().first().unwrap().kid.clone();
        (town, jar, kid)
    };
    emergency(&town.replica().await).await;
    let generation = town.house.ground.ring.generation();
    town.house.ground.revocations.revoke_key(&kid).await;
    let renewed = town.ask(&jar).await.unwrap();
    assert_ne!(town.house.ground.ring.generation(), generation, "it has looked");
    assert!(town.house.check_revoked(&renewed).is_ok());
}

#[tokio::test]
async fn a_key_is_put_on_the_list_once_and_not_long_after() {
    let town = Town::new(Mode::Jwt).await;
    let ground = &town.house.ground;
    emergency(&town).await;
    let untold = ground.revocations.generation();
    town.pass(3600);
    ground.list_revoked_keys(town.now()).await;
    assert_eq!(ground.revocations.generation(), untold, "whatever it could cut has ended");
    emergency(&town).await;
    ground.list_revoked_keys(town.now()).await;
    let told = ground.revocations.generation();
    assert_ne!(told, untold);
    ground.list_revoked_keys(town.now()).await;
    assert_eq!(ground.revocations.generation(), told);
}
