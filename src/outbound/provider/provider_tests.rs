//! The adapter against a provider on loopback: signing in, and everything that can be wrong with the other side.

use super::discovered::Discovered;
use super::fixture::{error, tokens, Asked, Does, Fake, IMPATIENT, WELL_KNOWN};
use super::*;
use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::authorise::{authorization_url, Asking};
use crate::domain::oidc::fixture::{attempt, NOW};
use crate::domain::oidc::id_token::{Occasion, Terms};
use crate::domain::oidc::{Callback, IdToken, Identity};
use crate::domain::token::fixture::{rs256, token};
use crate::ports::provider::keys_out_of_reach;
use crate::ports::with_keys;
use jsonwebtoken::Algorithm;
use serde_json::json;
use std::path::PathBuf;
use tokio::task::JoinSet;

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// Claims of an ID token that answers the usual attempt.
fn claims(fake: &Fake) -> Value {
    json!({
        "iss": fake.url, "aud": "doorward", "sub": "alice", "iat": NOW.0, "exp": NOW.0 + 300,
        "nonce": attempt().nonce.expose(), "sid": "s1",
    })
}

async fn exchange(provider: &OidcProvider) -> Result<Tokens, ProviderError> {
    provider.exchange(&secret("c0de"), &attempt().verifier, &attempt().redirect_uri).await
}

async fn refresh(provider: &OidcProvider) -> Result<Tokens, ProviderError> {
    provider.refresh(&secret("old")).await
}

fn is_away<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Away(_) | ProviderError::Unsent(_)))
}

fn is_unsent<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Unsent(_)))
}

/// Whether the ID token of an exchange is believed.
async fn believed(provider: &OidcProvider, id_token: &str) -> Result<IdToken, Denial> {
    let metadata = provider.metadata().await.unwrap();
    let attempt = attempt();
    let occasion = Occasion::SignIn { nonce: &attempt.nonce, max_age: None, access_token: b"the access token" };
    let terms = Terms { metadata: &metadata, settings: provider.settings(), occasion, now: NOW };
    with_keys(&*provider.keys(), |keys| IdToken::check(id_token, &terms, &keys.set), keys_out_of_reach).await
}

#[tokio::test]
async fn a_sign_in_goes_from_the_first_redirect_to_an_identity() {
    let fake = Fake::start().await;
    fake.on("/token", [tokens(&rs256(&claims(&fake)))]);
    fake.on("/userinfo", [Does::Says(200, json!({"sub": "alice", "roles": ["admin"]}).to_string())]);
    let (provider, attempt) = (fake.provider(), attempt());
    let metadata = provider.metadata().await.unwrap();
    let url = authorization_url(&metadata, provider.settings(), &attempt, &Asking::default());
    assert!(url.as_str().starts_with(&format!("{}/authorize?", fake.url)));

    let query = format!("code=c0de&state={}&iss={}", attempt.state.expose(), fake.url);
    let callback = Callback::parse(query.as_bytes()).unwrap();
    let code = callback.check(&attempt, &provider.settings().name, &metadata, NOW).unwrap();
    let found = provider.exchange(&code, &attempt.verifier, &attempt.redirect_uri).await.unwrap();
    let id_token = String::from_utf8(found.id_token.unwrap().expose().to_vec()).unwrap();
    let id_token = believed(&provider, &id_token).await.unwrap();
    let userinfo = provider.userinfo(&found.access_token).await.unwrap();
    let identity = Identity::read(&id_token, Some(&userinfo), provider.settings()).unwrap();
    assert_eq!(
        (identity.subject.as_str(), identity.roles, identity.idp_sid.as_deref()),
        ("alice", vec!["admin".to_owned()], Some("s1"))
    );

    let [Asked { form, authorization, .. }] = &fake.asked("/token")[..] else { panic!("one exchange") };
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "c0de"));
    assert_eq!(
        (form["code_verifier"].as_str(), &form["redirect_uri"]),
        (attempt.verifier.expose(), &attempt.redirect_uri)
    );
    assert_eq!(authorization.as_deref(), Some("Basic ZG9vcndhcmQ6czNjcmV0"));
    assert!(!form.contains_key("client_secret"));
    assert_eq!(fake.asked("/userinfo")[0].authorization.as_deref(), Some("Bearer the access token"));
    assert!(provider.is_up());
}

#[tokio::test]
async fn a_refresh_sends_the_token_and_brings_the_next() {
    let fake = Fake::start().await;
    fake.on(
        "/token",
        [Does::Says(200, r#"{"access_token":"a","token_type":"bearer","refresh_token":"new"}"#.to_owned())],
    );
    let found = refresh(&fake.provider()).await.unwrap();
    assert!(found.refresh_token.unwrap().matches(b"new") && found.id_token.is_none());
    let form = &fake.asked("/token")[0].form;
    assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", "old"));
}

#[tokio::test]
async fn a_code_that_brings_no_id_token_is_no_sign_in() {
    let fake = Fake::start().await;
    fake.on("/token", [Does::Says(200, r#"{"access_token":"a","token_type":"bearer"}"#.to_owned())]);
    assert!(is_away(&exchange(&fake.provider()).await));
}

#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_found_when_it_is_back() {
    let fake = Fake::start().await;
    fake.on(WELL_KNOWN, [Does::Says(503, String::new())]);
    let provider = fake.provider_at(IMPATIENT);
    assert!(is_away(&exchange(&provider).await) && is_away(&refresh(&provider).await));
    assert!(is_away(&provider.metadata().await) && !provider.is_up());
    fake.describes(&json!({}));
    fake.on("/token", [tokens("a.b.c")]);
    assert!(exchange(&provider).await.is_ok());
}

#[tokio::test]
async fn nobody_listening_is_away_and_not_a_no() {
    let fake = Fake::start().await;
    let mut settings = fake.settings();
    drop(fake);
    settings.issuer = "http://127.0.0.1:1".to_owned();
    let provider = OidcProvider::spawn(settings);
    assert!(is_unsent(&refresh(&provider).await));
}

#[tokio::test]
async fn a_refresh_token_that_was_never_sent_is_not_taken_for_one_whose_answer_was_lost() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    fake.on("/token", [tokens("a.b.c"), Does::HangsUp, Does::HangsUp]);
    assert!(refresh(&provider).await.is_ok());
    let lost = refresh(&provider).await;
    assert!(is_away(&lost) && !is_unsent(&lost));
    drop(fake);
    assert!(is_unsent(&refresh(&provider).await), "nobody listens there any more");
}

#[tokio::test]
async fn a_ca_file_that_is_missing_is_away_in_words() {
    let fake = Fake::start().await;
    let settings = ProviderSettings { ca: Some(PathBuf::from("/nowhere/ca.pem")), ..fake.settings() };
    let Err(ProviderError::Away(words)) = OidcProvider::spawn(settings).metadata().await else { panic!("found") };
    assert!(words.contains("/nowhere/ca.pem"), "{words}");
}

#[tokio::test]
async fn metadata_are_asked_for_once_however_many_wait() {
    let fake = Fake::start().await;
    let discovered = Discovered::new(&fake.settings(), Remote::default(), Pace::default());
    let mut waiting = JoinSet::new();
    for _ in 0..50 {
        let discovered = Arc::clone(&discovered);
        waiting.spawn(async move { discovered.get(Instant::now() + CALL_TIMEOUT).await.is_ok() });
    }
    assert!(waiting.join_all().await.into_iter().all(|found| found));
    assert!(discovered.get(Instant::now()).await.is_ok(), "no need to wait any more");
    assert_eq!(fake.asked(WELL_KNOWN).len(), 1);
}

#[tokio::test]
async fn a_provider_without_metadata_is_not_asked_again_at_once() {
    let fake = Fake::start().await;
    fake.on(WELL_KNOWN, [Does::Says(500, String::new())]);
    let pace = Pace { metadata_pause: Duration::from_secs(600), ..Pace::default() };
    let discovered = Discovered::new(&fake.settings(), Remote::default(), pace);
    for _ in 0..20 {
        let Err(ProviderError::Away(words)) = discovered.get(Instant::now() + CALL_TIMEOUT).await else { panic!() };
        assert!(words.contains("500"), "{words}");
    }
    assert_eq!(fake.asked(WELL_KNOWN).len(), 1);
}

#[tokio::test]
async fn the_last_good_metadata_serve_while_there_are_no_others() {
    let fake = Fake::start().await;
    fake.on("/token", [tokens("a.b.c")]);
    let provider = fake.provider_at(IMPATIENT);
    assert!(exchange(&provider).await.is_ok());
    for broken in [Does::Says(500, String::new()), Does::Says(200, "<html>".to_owned()), Does::HangsUp, Does::Hangs] {
        fake.on(WELL_KNOWN, [broken.clone()]);
        assert!(exchange(&provider).await.is_ok() && exchange(&provider).await.is_ok(), "{broken:?}");
    }
}

#[tokio::test]
async fn a_document_of_another_issuer_is_no_document() {
    let fake = Fake::start().await;
    for name in [format!("{}/", fake.url), "https://id.example.com/".to_owned()] {
        fake.describes(&json!({ "issuer": name }));
        let Err(ProviderError::Away(words)) = fake.provider().metadata().await else { panic!("{name}") };
        assert!(words.contains("another issuer"), "{words}");
    }
}

#[tokio::test]
async fn a_token_endpoint_in_clear_text_elsewhere_gets_no_secret() {
    let fake = Fake::start().await;
    fake.describes(&json!({ "token_endpoint": "http://id.example.com/token" }));
    assert!(is_away(&exchange(&fake.provider()).await));
}

#[tokio::test]
async fn a_slow_provider_is_away_after_ten_seconds() {
    let fake = Fake::start().await;
    fake.on("/token", [Does::Hangs]);
    let provider = fake.provider();
    provider.metadata().await.unwrap();
    // from here on time jumps whenever everybody waits
    tokio::time::pause();
    let began = Instant::now();
    assert!(is_away(&refresh(&provider).await));
    assert_eq!(began.elapsed().as_secs(), GRANT_TIMEOUT.as_secs());
}

#[tokio::test]
async fn garbage_and_server_errors_end_no_session() {
    let fake = Fake::start().await;
    for odd in [
        Does::Says(500, String::new()),
        Does::Says(502, r#"{"error":"invalid_grant"}"#.to_owned()),
        Does::Says(200, "<html>maintenance</html>".to_owned()),
        Does::Says(200, "{}".to_owned()),
        Does::Says(302, String::new()),
        Does::Says(404, "not found".to_owned()),
        Does::Says(200, " ".repeat(1024 * 1024 + 1)),
        Does::BreaksOff,
        Does::HangsUp,
        error(400, "temporarily_unavailable"),
    ] {
        fake.on("/token", [odd.clone()]);
        assert!(is_away(&refresh(&fake.provider()).await), "{odd:?}");
        assert!(is_away(&exchange(&fake.provider()).await), "{odd:?}");
    }
}

#[tokio::test]
async fn the_providers_own_no_is_a_no() {
    let fake = Fake::start().await;
    for status in [400, 403] {
        fake.on("/token", [error(status, "invalid_grant")]);
        assert_eq!(refresh(&fake.provider()).await.unwrap_err(), ProviderError::InvalidGrant, "{status}");
    }
    fake.on("/token", [error(400, "unauthorized_client")]);
    assert!(
        matches!(refresh(&fake.provider()).await, Err(ProviderError::Refused(why)) if why.code == "unauthorized_client")
    );
}

#[tokio::test]
async fn a_refresh_lost_before_any_answer_is_tried_once_more() {
    let fake = Fake::start().await;
    fake.on("/token", [Does::HangsUp, tokens("a.b.c")]);
    assert!(refresh(&fake.provider()).await.is_ok());
    assert_eq!(fake.asked("/token").len(), 2);
    fake.on("/token", [Does::HangsUp, Does::HangsUp, tokens("a.b.c")]);
    assert!(is_away(&refresh(&fake.provider()).await));
    assert_eq!(fake.asked("/token").len(), 4, "once and no more");
}

#[tokio::test]
async fn a_code_is_never_shown_twice_and_a_broken_answer_is_an_answer() {
    let fake = Fake::start().await;
    fake.on("/token", [Does::HangsUp, tokens("a.b.c")]);
    assert!(is_away(&exchange(&fake.provider()).await));
    fake.on("/token", [Does::BreaksOff, tokens("a.b.c")]);
    assert!(is_away(&refresh(&fake.provider()).await));
    assert_eq!(fake.asked("/token").len(), 2);
}

#[tokio::test]
async fn a_provider_that_asks_for_a_pause_gets_it() {
    let fake = Fake::start().await;
    fake.on("/token", [Does::Pauses(429, 30), tokens("a.b.c")]);
    let provider = fake.provider();
    for _ in 0..20 {
        assert!(is_away(&refresh(&provider).await));
    }
    assert_eq!(fake.asked("/token").len(), 1);
    assert!(!provider.is_up());
    fake.on("/userinfo", [Does::Says(200, r#"{"sub":"alice"}"#.to_owned())]);
    assert!(provider.userinfo(&secret("at")).await.is_ok(), "other endpoints go on");
}

#[tokio::test]
async fn keys_that_were_rotated_are_looked_at_once_and_no_stranger_is_let_in() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    assert!(believed(&provider, &rs256(&claims(&fake))).await.is_ok());
    fake.has_key("p256");
    assert!(believed(&provider, &token(Algorithm::ES256, "p256", &claims(&fake))).await.is_ok());
    let stranger = token(Algorithm::RS256, "rsa-b", &claims(&fake));
    assert_eq!(believed(&provider, &stranger).await.unwrap_err().code, Code::TokenInvalid);
}

#[tokio::test]
async fn without_keys_an_id_token_is_neither_good_nor_bad() {
    let fake = Fake::start().await;
    fake.on("/jwks", [Does::Says(500, String::new())]);
    let denial = believed(&fake.provider(), &rs256(&claims(&fake))).await.unwrap_err();
    assert_eq!(denial.code, Code::ProviderUnavailable);
}

#[tokio::test]
async fn a_client_registered_for_the_form_is_understood_and_remembered() {
    let fake = Fake::start().await;
    fake.on("/token", [error(401, "invalid_client"), tokens("a.b.c")]);
    let provider = fake.provider();
    assert!(exchange(&provider).await.is_ok() && exchange(&provider).await.is_ok());
    let asked = fake.asked("/token");
    let ways: Vec<bool> = asked.iter().map(|asked| asked.form.contains_key("client_secret")).collect();
    assert_eq!(ways, [false, true, true]);
    assert!(asked[1..].iter().all(|asked| asked.authorization.is_none()), "never two ways at once");
    fake.on("/token", [error(401, "invalid_client"), tokens("a.b.c")]);
    assert!(exchange(&provider).await.is_ok(), "registered the other way since");
    assert!(fake.asked("/token")[4].authorization.is_some());
}

#[tokio::test]
async fn a_wrong_secret_is_refused_both_ways_and_nothing_is_remembered() {
    let fake = Fake::start().await;
    fake.on("/token", [error(401, "invalid_client")]);
    let provider = fake.provider();
    for _ in 0..2 {
        assert!(matches!(exchange(&provider).await, Err(ProviderError::Refused(why)) if why.code == "invalid_client"));
    }
    let ways: Vec<bool> = fake.asked("/token").iter().map(|asked| asked.authorization.is_some()).collect();
    assert_eq!(ways, [true, false, true, false]);
}

#[tokio::test]
async fn only_what_the_provider_offers_is_tried() {
    let fake = Fake::start().await;
    fake.describes(&json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]}));
    fake.on("/token", [tokens("a.b.c")]);
    assert!(exchange(&fake.provider()).await.is_ok());
    assert_eq!(fake.asked("/token")[0].form["client_secret"], "s3cret");
    fake.describes(&json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}));
    assert!(matches!(exchange(&fake.provider()).await, Err(ProviderError::Refused(_))));
    assert_eq!(fake.asked("/token").len(), 1, "the secret was not sent anywhere");
}

#[tokio::test]
async fn a_public_client_sends_its_name_and_no_secret() {
    let fake = Fake::start().await;
    fake.on("/token", [tokens("a.b.c")]);
    let provider = OidcProvider::spawn(ProviderSettings { client_secret: None, ..fake.settings() });
    assert!(exchange(&provider).await.is_ok());
    let asked = &fake.asked("/token")[0];
    assert_eq!((asked.form["client_id"].as_str(), &asked.authorization), ("doorward", &None));
}

#[tokio::test]
async fn a_refresh_token_is_revoked_where_there_is_a_place_for_it() {
    let fake = Fake::start().await;
    fake.on("/revoke", [Does::Says(200, String::new())]);
    assert_eq!(fake.provider().revoke(&secret("old")).await, Ok(()));
    let asked = &fake.asked("/revoke")[0];
    assert_eq!((asked.form["token"].as_str(), asked.form["token_type_hint"].as_str()), ("old", "refresh_token"));
    assert!(asked.authorization.is_some());
    fake.on("/revoke", [Does::Says(503, String::new())]);
    assert!(is_away(&fake.provider().revoke(&secret("old")).await));
    fake.describes(&json!({ "revocation_endpoint": null }));
    assert_eq!(fake.provider().revoke(&secret("old")).await, Ok(()));
    assert_eq!(fake.asked("/revoke").len(), 2);
}

#[tokio::test]
async fn userinfo_that_does_not_come_is_away_or_refused() {
    let fake = Fake::start().await;
    for (odd, away) in [
        (Does::Says(401, String::new()), false),
        (Does::Says(500, String::new()), true),
        (Does::Says(200, "e30.e30.x".to_owned()), true),
    ] {
        fake.on("/userinfo", [odd.clone()]);
        let answer = fake.provider().userinfo(&secret("at")).await;
        assert_eq!((answer.is_err(), is_away(&answer)), (true, away), "{odd:?}");
    }
    let odd_token = fake.provider().userinfo(&secret("a\nb")).await;
    assert!(matches!(odd_token, Err(ProviderError::Refused(_))));
    fake.describes(&json!({ "userinfo_endpoint": null }));
    assert!(matches!(fake.provider().userinfo(&secret("at")).await, Err(ProviderError::Refused(_))));
}

#[tokio::test]
async fn a_reload_keeps_a_provider_only_with_the_same_settings() {
    let fake = Fake::start().await;
    let provider = fake.provider();
    assert!(provider.serves(&fake.settings()));
    assert!(!provider.serves(&ProviderSettings { client_secret: Some(secret("other")), ..fake.settings() }));
}
