use super::super::fixture::*;
use super::*;
use crate::domain::oidc::callback::Refusal;
use crate::domain::oidc::fixture::{metadata, settings};
use crate::domain::oidc::{Metadata, ProviderSettings};
use crate::domain::token::fixture::{claims_with, rs256};
use crate::pipeline::session::{Mode, Turned};
use parking_lot::Mutex;
use serde_json::json;
use std::sync::atomic::Ordering;

fn unsent() -> ProviderError {
    ProviderError::Unsent("nobody listens".to_owned())
}

fn lost() -> ProviderError {
    ProviderError::Away("the answer broke off".to_owned())
}

/// The next request after the claims have grown old, at a provider that fails so.
async fn comes_back(town: &Town, jar: &str, fails: Option<ProviderError>) -> Result<(), Code> {
    *town.provider.fails.lock() = fails;
    town.pass(ACCESS + 60);
    let answer = town.ask(jar).await;
    town.flush().await;
    match answer {
        Ok(_) => Ok(()),
        Err(Turned::Away(denial, _)) => Err(denial.code),
        Err(Turned::Back(_)) => Err(Code::TryAgain),
        Err(Turned::TooOften(over)) => Err(over.denial.code),
    }
}

/// Opaque, for there the browser has nothing to renew: all that is spent is the provider's.
async fn far() -> (Town, String) {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in_far().await;
    (town, jar)
}

#[tokio::test]
async fn a_no_is_believed_after_a_question_that_was_refused_or_never_sent() {
    for failure in [unsent(), ProviderError::Refused(Refusal::new("invalid_client", None))] {
        let (town, jar) = far().await;
        assert_eq!(comes_back(&town, &jar, Some(failure)).await, Ok(()));
        town.provider.ends.store(true, Ordering::SeqCst);
        assert_eq!(comes_back(&town, &jar, None).await, Err(Code::SessionTerminated));
        assert_eq!((town.watch.heard("provider_ended_session"), town.watch.heard("provider_token_lost")), (1, 0));
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_ends_no_session_and_the_provider_is_asked_once_more_and_then_left_alone() {
    let (town, jar) = far().await;
    assert_eq!(comes_back(&town, &jar, Some(lost())).await, Ok(()));
    town.provider.ends.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(comes_back(&town, &jar, None).await, Ok(()));
    }
    assert_eq!(town.provider.refreshes.load(Ordering::SeqCst), 2);
    assert_eq!((town.watch.heard("provider_ended_session"), town.watch.heard("provider_token_lost")), (0, 1));
}

#[tokio::test]
async fn a_question_that_was_never_sent_does_not_make_up_for_an_answer_that_was_lost() {
    let (town, jar) = far().await;
    assert_eq!(comes_back(&town, &jar, Some(lost())).await, Ok(()));
    assert_eq!(comes_back(&town, &jar, Some(unsent())).await, Ok(()));
    town.provider.ends.store(true, Ordering::SeqCst);
    assert_eq!(comes_back(&town, &jar, None).await, Ok(()));
}

#[tokio::test]
async fn a_token_that_comes_through_after_all_is_as_good_as_new() {
    let (town, jar) = far().await;
    assert_eq!(comes_back(&town, &jar, Some(lost())).await, Ok(()));
    assert_eq!(comes_back(&town, &jar, None).await, Ok(()));
    town.provider.ends.store(true, Ordering::SeqCst);
    assert_eq!(comes_back(&town, &jar, None).await, Err(Code::SessionTerminated));
}

/// An ID token of carol's that says nothing of roles, as some providers make them.
fn id_token(town: &Town) -> String {
    let now = town.now().0;
    rs256(&claims_with(
        json!({ "aud": "doorward", "sub": "carol", "iat": now, "exp": now + 2 * ACCESS, "roles": null, "scope": null }),
    ))
}

#[tokio::test]
async fn user_information_that_cannot_be_had_takes_no_roles_away() {
    let (town, jar) = far().await;
    for (quiet, roles) in [(None, "reader"), (Some(lost()), "reader"), (None, "writer")] {
        town.pass(ACCESS + 60);
        *town.provider.id_token.lock() = Some(id_token(&town));
        *town.provider.keeps_quiet.lock() = quiet;
        let verified = town.ask(&jar).await.unwrap();
        assert_eq!(verified.principal.roles, [roles]);
        town.flush().await;
        town.provider.claims.lock().insert("roles".to_owned(), json!(["writer"]));
    }
    assert_eq!(town.provider.refreshes.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_provider_without_user_information_is_not_asked_for_any_unless_the_file_says_so() {
    let metadata = Metadata { userinfo_endpoint: None, ..metadata() };
    let asked = |userinfo| Distant {
        metadata: Mutex::new(Some(metadata.clone())),
        keeps_quiet: Mutex::new(Some(ProviderError::Refused(Refusal::new("no_userinfo_endpoint", None)))),
        settings: ProviderSettings { userinfo, ..settings() },
        ..Distant::default()
    };
    let secret = || Secret::new(b"access".to_vec());
    let tokens = Tokens { access_token: secret(), id_token: None, refresh_token: None, expires_in: None };
    assert_eq!(identity(&asked(false), "carol", &tokens, UnixTime(START)).await, Ok(None));
    let refused = identity(&asked(true), "carol", &tokens, UnixTime(START)).await.unwrap_err();
    assert_eq!(refused.code, Code::ProviderUnavailable);
}
