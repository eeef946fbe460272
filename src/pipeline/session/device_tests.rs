//! What says for how long a session is renewed: the device of the request first of all, and the file.

use super::fixture::*;
use super::{Mode, Renewal, Terms, Turned};
use crate::domain::denial::Code;
use crate::domain::device::{Level, OnMismatch, RiskTtl};
use crate::domain::headers::identity::IdentityHeaders;
use http::HeaderValue;
use std::time::Duration;

const HOUR: u64 = 3_600;

/// The browser that signed in, in another language: 0.80 of what both tell.
fn in_french(jar: &str) -> http::HeaderMap {
    let mut headers = browser(jar);
    headers.insert("accept-language", HeaderValue::from_static("fr"));
    headers
}

/// Sessions that may lie idle for a week, and renewals whose life is the device's to say: in hours, at low risk and medium.
async fn town(low: u64, medium: u64, on_mismatch: OnMismatch) -> Town {
    let mut terms = terms(Mode::Jwt);
    terms.lifetimes.idle = Duration::from_secs(7 * 24 * HOUR);
    terms.lifetimes.absolute = Duration::from_secs(90 * 24 * HOUR);
    terms.refresh_ttl = terms.lifetimes.absolute;
    terms.family.idle = terms.lifetimes.idle + terms.access_ttl;
    terms.device.level = Level::Relaxed;
    terms.device.on_mismatch = on_mismatch;
    let [low, medium] = [low, medium].map(|hours| Duration::from_secs(hours * HOUR));
    terms.device.risk_ttl = RiskTtl { low, medium, high: Duration::ZERO };
    Town::with(terms).await
}

/// The cookies of a browser after this request.
async fn after(town: &Town, headers: &http::HeaderMap) -> Result<String, Code> {
    match town.recognise(headers).await {
        Ok(recognised) => Ok(held(&recognised.cookies)),
        Err(Turned::Away(denial, _)) => Err(denial.code),
        Err(Turned::Back(_)) => Err(Code::TryAgain),
        Err(Turned::TooOften(over)) => Err(over.denial.code),
    }
}

#[tokio::test]
async fn a_cookie_that_comes_without_any_word_of_its_device_is_not_recognised() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let jar = town.sign_in("alice").await;
        let mut silent = browser(&jar);
        silent.remove("accept-language");
        assert!(town.recognise(&silent).await.is_ok(), "{mode:?}: one component is left out");
        silent.remove("user-agent");
        assert_eq!(after(&town, &silent).await.unwrap_err(), Code::StepUpRequired, "{mode:?}");
        let mut hiding = browser(&jar);
        hiding.remove("user-agent");
        assert_eq!(after(&town, &hiding).await.unwrap_err(), Code::StepUpRequired, "{mode:?}: every browser has one");
    }
}

#[tokio::test]
async fn a_renewal_on_the_device_that_signed_in_lives_for_the_span_of_low_risk() {
    let town = town(48, 2, OnMismatch::StepUp).await;
    let jar = town.sign_in("alice").await;
    town.pass(47 * HOUR);
    let renewed = after(&town, &browser(&jar)).await.unwrap();
    town.pass(47 * HOUR);
    let again = after(&town, &browser(&renewed)).await.unwrap();
    town.pass(48 * HOUR + 1);
    assert_eq!(after(&town, &browser(&again)).await, Err(Code::SessionExpired), "each renewal begins anew, and ends");
}

#[tokio::test]
async fn a_renewal_on_a_device_that_looks_less_alike_lives_for_the_span_of_medium_risk() {
    let town = town(48, 2, OnMismatch::StepUp).await;
    let jar = town.sign_in("alice").await;
    town.pass(3 * HOUR);
    let medium = after(&town, &in_french(&jar)).await.unwrap();
    town.pass(HOUR);
    let medium = after(&town, &in_french(&medium)).await.unwrap();
    town.pass(2 * HOUR + 1);
    assert_eq!(after(&town, &in_french(&medium)).await, Err(Code::SessionExpired));
}

#[tokio::test]
async fn what_cannot_renew_at_all_ends_the_family_for_nobody() {
    let town = town(48, 0, OnMismatch::StepUp).await;
    let jar = town.sign_in("alice").await;
    town.pass(HOUR);
    assert_eq!(after(&town, &in_french(&jar)).await, Err(Code::StepUpRequired));
    town.pass(HOUR);
    assert!(after(&town, &browser(&jar)).await.is_ok(), "its owner goes on");
}

#[tokio::test]
async fn devices_that_are_only_logged_shorten_nothing() {
    let town = town(1, 1, OnMismatch::Log).await;
    let jar = town.sign_in("alice").await;
    town.pass(5 * HOUR);
    assert!(after(&town, &another_browser(&jar)).await.is_ok());
}

#[tokio::test]
async fn renewing_goes_on_for_refresh_ttl_and_no_longer() {
    let mut terms = terms(Mode::Jwt);
    terms.refresh_ttl = Duration::from_secs(2 * ACCESS + 60);
    let town = Town::with(terms).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    let jar = after(&town, &browser(&jar)).await.unwrap();
    town.pass(ACCESS + 30);
    assert_eq!(after(&town, &browser(&jar)).await, Err(Code::SessionExpired));
}

#[tokio::test]
async fn where_renewal_was_switched_off_a_token_from_before_renews_nothing() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let off = town.reloaded(Terms { renewal: Renewal::Off, ..terms(Mode::Jwt) }, IdentityHeaders::default());
    assert!(after(&off, &browser(&jar)).await.is_ok(), "its access token lives");
    town.pass(ACCESS + 30);
    assert_eq!(after(&off, &browser(&jar)).await, Err(Code::SessionExpired));
}
