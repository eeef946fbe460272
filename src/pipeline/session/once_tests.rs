use super::super::fixture::*;
use super::*;
use crate::domain::csrf::Csrf;
use crate::domain::headers::forwarded::Proto;
use crate::domain::principal::{Principal, SourceName};
use crate::pipeline::permit::Caller;
use crate::pipeline::session::Mode;
use crate::ports::store::Sessions as _;
use crate::ports::RevokedFor;
use http::Method;
use serde_json::json;

/// One request on a sensitive route, as the gate has it.
async fn use_up(town: &Town, jar: &str) -> Result<String, (Option<Code>, String)> {
    let headers = browser(jar);
    let Caller::Known { verified, .. } = town.recognise(&headers).await.unwrap().caller else { panic!("nobody") };
    let cookies = town.house.cookies("app.test", Proto::Https).read(&headers).unwrap();
    let asking = Asking {
        method: &Method::POST,
        headers: &headers,
        authority: "app.test",
        proto: Proto::Https,
        ip: None,
        websocket: false,
        csrf: Csrf::Off,
        renews: true,
        uses: true,
        now: town.now(),
    };
    match town.house.use_up(&verified, &cookies, &asking).await {
        Ok(lines) => Ok(kept(jar, &lines)),
        Err(Unused::Refused(denial, lines)) => Err((Some(denial.code), kept(jar, &lines))),
        Err(Unused::Back(lines)) => Err((None, kept(jar, &lines))),
    }
}

/// What the browser with this jar holds after these lines.
fn kept(jar: &str, lines: &[HeaderValue]) -> String {
    let new = held(lines);
    let name = |pair: &str| pair.split('=').next().unwrap().to_owned();
    let names: Vec<String> = new.split("; ").map(name).collect();
    let old = jar.split("; ").filter(|pair| !names.contains(&name(pair)));
    old.chain(Some(new.as_str()).filter(|new| !new.is_empty())).collect::<Vec<_>>().join("; ")
}

fn code(answer: Result<String, (Option<Code>, String)>) -> Option<Code> {
    answer.expect_err("it was let in").0
}

async fn fresh_replica(town: &Town) -> Town {
    let replica = town.replica().await;
    assert!(replica.house.ground.revocations.caught_up().await);
    replica
}

#[tokio::test]
async fn a_cookie_counts_once_and_the_answer_brings_the_next_which_ends_no_later() {
    let town = Town::new(Mode::Jwt).await;
    let first = town.sign_in("alice").await;
    town.pass(100);
    let second = use_up(&town, &first).await.unwrap();
    assert_eq!(code(use_up(&town, &first).await), Some(Code::TokenUsed));
    let third = use_up(&town, &second).await.unwrap();
    assert!(first != second && second != third);
    let (old, new) = (town.ask(&first).await.unwrap(), town.ask(&third).await.unwrap());
    assert_eq!(old.principal.expires, new.principal.expires);
    let claim = |verified: &Verified, name: &str| verified.principal.claims.get(name).cloned();
    for same in ["sid", "iat", "exp", "rv", "fid", "gen", "sub", "roles", "dfp"] {
        assert_eq!(claim(&old, same), claim(&new, same), "{same}");
    }
    assert_ne!(claim(&old, "jti"), claim(&new, "jti"));
}

#[tokio::test]
async fn what_was_used_here_is_used_up_everywhere() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let other = fresh_replica(&town).await;
    use_up(&town, &jar).await.unwrap();
    assert_eq!(code(use_up(&other, &jar).await), Some(Code::TokenUsed));
}

#[tokio::test]
async fn a_replica_whose_list_was_never_confirmed_lets_nobody_in() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let stale = town.replica().await;
    assert_eq!(code(use_up(&stale, &jar).await), Some(Code::RevocationStale));
    assert!(use_up(&town, &jar).await.is_ok(), "and nothing was used up");
}

#[tokio::test]
async fn what_was_revoked_elsewhere_a_moment_ago_counts_before_anything_is_used_up() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let other = fresh_replica(&town).await;
    let id = other.ask(&jar).await.unwrap().session().unwrap().id;
    town.house.ground.revocations.revoke_session(id, RevokedFor::Operator).await;
    assert_eq!(code(use_up(&other, &jar).await), Some(Code::SessionTerminated));
}

#[tokio::test]
async fn a_store_that_is_away_lets_nobody_in_and_uses_nothing_up() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.store.goes_away();
    assert_eq!(code(use_up(&town, &jar).await), Some(Code::StoreUnavailable));
    town.store.comes_back();
    assert!(use_up(&town, &jar).await.is_ok());
}

#[tokio::test]
async fn a_browser_that_lost_the_answer_is_refused_and_gets_a_token_to_come_again_with() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    use_up(&town, &jar).await.unwrap();
    let (refused, again) = use_up(&town, &jar).await.unwrap_err();
    assert_eq!(refused, Some(Code::TokenUsed));
    assert!(use_up(&town, &again).await.is_ok());
    let copied = jar.split("; ").find(|pair| !pair.contains("-r")).unwrap();
    let (refused, still) = use_up(&town, copied).await.unwrap_err();
    assert_eq!(
        (refused, still.as_str()),
        (Some(Code::TokenUsed), copied),
        "whoever only copied the token gets no other"
    );
}

#[tokio::test]
async fn a_renewal_token_is_no_token_to_use_up_so_the_browser_comes_again() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 10);
    assert_eq!(code(use_up(&town, &jar).await), None, "sent back");
}

#[tokio::test]
async fn a_browser_that_keeps_no_token_is_sent_back_once() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    town.pass(ACCESS + 10);
    let (none, marked) = use_up(&town, &jar).await.unwrap_err();
    assert_eq!(none, None);
    assert_eq!(code(use_up(&town, &marked).await), Some(Code::TryAgain));
    assert!(town.ask(&marked).await.is_ok(), "and the session is none the worse for it");
}

#[tokio::test]
async fn a_session_that_has_no_record_does_nothing_that_is_sensitive() {
    let town = Town::new(Mode::Jwt).await;
    let jar = town.sign_in("alice").await;
    let verified = town.ask(&jar).await.unwrap();
    let facts = verified.session().unwrap();
    town.store.inner.end(facts.user, facts.id).await.unwrap();
    assert_eq!(code(use_up(&town, &jar).await), Some(Code::SessionExpired));
}

#[tokio::test]
async fn a_handle_may_come_again() {
    let town = Town::new(Mode::Opaque).await;
    let jar = town.sign_in("alice").await;
    let (_, asked) = town
        .asked(async {
            assert_eq!(use_up(&town, &jar).await.unwrap(), jar);
            assert_eq!(use_up(&town, &jar).await.unwrap(), jar);
        })
        .await;
    assert!(!asked.contains(&"first"), "{asked:?}");
}

fn foreign(source: &str, token: &str, jti: Option<&str>) -> Verified {
    let claims = jti.map(|jti| json!({ "jti": jti })).unwrap_or_else(|| json!({}));
    let principal = Principal {
        source: SourceName::new(source),
        subject: "u".to_owned(),
        method: AuthMethod::Bearer,
        roles: Vec::new(),
        scopes: Vec::new(),
        claims: claims.as_object().unwrap().clone(),
        email_trusted: false,
        expires: UnixTime(0),
    };
    Verified::new(token, principal, Vec::new())
}

#[test]
fn a_token_is_known_by_its_jti_and_without_one_by_what_was_signed() {
    let same = |one: &Verified, other: &Verified| name(one) == name(other);
    assert!(same(&foreign("a", "h.p.s", Some("1")), &foreign("a", "h.q.t", Some("1"))));
    assert!(!same(&foreign("a", "h.p.s", Some("1")), &foreign("b", "h.p.s", Some("1"))), "of another issuer");
    assert!(same(&foreign("a", "h.p.s", None), &foreign("a", "h.p.another-spelling", None)));
    assert!(!same(&foreign("a", "h.p.s", None), &foreign("a", "h.q.s", None)));
    assert!(!same(&foreign("a", "h.p.s", Some("")), &foreign("a", "h.q.s", Some(""))), "nobody is called nothing");
    assert!(!same(&foreign("a", "x.s", None), &foreign("a", "x.s", Some("x"))));
    assert!(!same(&foreign("a b", "h.p.s", Some("c")), &foreign("a", "h.p.s", Some("b c"))));
}
