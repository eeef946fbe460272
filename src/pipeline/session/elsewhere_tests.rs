use super::super::fixture::*;
use crate::domain::denial::Code;
use crate::domain::device::{self, OnMismatch, RiskTtl};
use crate::pipeline::session::{Mode, Terms, Turned};
use crate::pipeline::Caller;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

fn on_mismatch(on_mismatch: OnMismatch, high: Duration) -> Terms {
    let terms = terms(Mode::Jwt);
    let risk_ttl = RiskTtl { high, ..terms.device.risk_ttl };
    Terms { device: device::Terms { on_mismatch, risk_ttl, ..terms.device }, ..terms }
}

/// Why a request was refused, and how many cookies came along.
fn refused<T: std::fmt::Debug>(answer: Result<T, Turned>) -> (Code, usize) {
    match answer {
        Err(Turned::Away(denial, cookies)) => (denial.code, cookies.len()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whoever_renews_on_another_device_does_not_touch_the_owners_renewal_token() {
    for high in [Duration::ZERO, Duration::from_secs(ABSOLUTE)] {
        let refusals = [(OnMismatch::StepUp, Code::StepUpRequired), (OnMismatch::Deny, Code::DeviceMismatch)];
        for (on, code) in refusals {
            let town = Town::with(on_mismatch(on, high)).await;
            let jar = town.sign_in("alice").await;
            town.pass(ACCESS + 30);
            let (answer, asked) = town.asked(town.recognise(&another_browser(&jar))).await;
            assert_eq!((refused(answer), asked), ((code, 0), vec!["load"]), "{on:?}");
            assert!(town.ask(&jar).await.is_ok(), "{on:?}");
        }
    }
}

#[tokio::test]
async fn a_renewal_on_another_device_ends_the_session_where_that_is_wanted() {
    let town = Town::with(on_mismatch(OnMismatch::Logout, Duration::ZERO)).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    let (code, cleared) = refused(town.recognise(&another_browser(&jar)).await);
    assert_eq!((code, cleared > 0), (Code::DeviceMismatch, true));
    assert_eq!(refused(town.ask(&jar).await).0, Code::SessionTerminated);
}

#[tokio::test]
async fn where_mismatches_are_only_written_down_both_renew() {
    let town = Town::with(on_mismatch(OnMismatch::Log, Duration::ZERO)).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    assert!(town.recognise(&another_browser(&jar)).await.is_ok());
    assert_eq!(town.watch.heard("device_checked"), 1);
}

#[tokio::test]
async fn a_thief_who_asks_at_the_same_moment_does_not_get_the_owners_answer() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 30);
    let (thiefs, owners) = (another_browser(&jar), browser(&jar));
    for thief_first in [true, false] {
        let (thief, owner) = if thief_first {
            let (thief, owner) = tokio::join!(town.recognise(&thiefs), town.recognise(&owners));
            (thief, owner)
        } else {
            let (owner, thief) = tokio::join!(town.recognise(&owners), town.recognise(&thiefs));
            (thief, owner)
        };
        assert_eq!(refused(thief), (Code::StepUpRequired, 0));
        assert!(!owner.unwrap().cookies.is_empty());
    }
}

#[tokio::test]
async fn a_page_and_its_scripts_that_take_turns_are_written_down_once() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let page = browser(&jar);
    let mut script = browser(&jar);
    script.insert("x-timezone", HeaderValue::from_static("Europe/Berlin"));
    for _ in 0..3 {
        for headers in [&page, &script] {
            town.recognise(headers).await.unwrap();
        }
    }
    assert_eq!(town.watch.heard("device_checked"), 1, "both look like the one that signed in");
    let facts = Arc::clone(&town.peek(&jar).await.unwrap());
    assert!([&page, &script].iter().all(|headers| facts.session().unwrap().is_known_on(headers)));
}

#[tokio::test]
async fn another_device_is_written_down_when_it_appears_and_not_with_each_request() {
    let town = Town::with(on_mismatch(OnMismatch::Log, Duration::ZERO)).await;
    let jar = town.sign_in("alice").await;
    for (headers, lines) in [(browser(&jar), 1), (another_browser(&jar), 1), (another_browser(&jar), 0)] {
        town.recognise(&headers).await.unwrap();
        assert_eq!(town.watch.heard("device_checked"), lines);
    }
}

#[tokio::test]
async fn a_device_is_written_down_once_a_renewal_and_not_again_with_the_token_it_brought() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.ask(&jar).await.unwrap();
    town.ask(&jar).await.unwrap();
    assert_eq!(town.watch.heard("device_checked"), 1);
    town.pass(ACCESS + 30);
    let renewed = town.recognise(&browser(&jar)).await.unwrap();
    let Caller::Known { .. } = renewed.caller else { panic!("nobody") };
    town.ask(&held(&renewed.cookies)).await.unwrap();
    assert_eq!(town.watch.heard("device_checked"), 1);
}
