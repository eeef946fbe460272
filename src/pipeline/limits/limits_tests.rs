use super::*;
use crate::domain::api_key::KeyText;
use crate::domain::limit::{Bucket, OnStoreDown, Rate};
use crate::domain::principal::{AuthMethod, Principal, SourceName};
use crate::domain::revocation::Position;
use crate::domain::session::Millis;
use crate::domain::time::UnixTime;
use crate::pipeline::api_keys::KeyFacts;
use crate::pipeline::revocation::fixture::TestClock;
use crate::ports::limits::Single;
use crate::store::{Clock, MemoryBuckets};
use http::header::HOST;
use serde_json::{json, Map};

#[derive(Debug, Default)]
struct Count(std::sync::atomic::AtomicU32);

impl Tally for Count {
    fn over(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn limit(name: &str, key: &[Part]) -> Limit {
    let rate = Rate::per_minute(1);
    Limit {
        name: name.to_owned(),
        key: key.to_vec(),
        rate,
        bucket: Bucket::new(rate, 2),
        exact: false,
        cost: 1,
        on_store_down: OnStoreDown::Local,
        shadow: false,
        headers: true,
    }
}

fn guard(limits: &[Limit]) -> (Arc<Guard>, Arc<Count>) {
    let limiter = Limiter::new(
        Arc::new(MemoryBuckets::new(Clock::new(|| Millis(1_000_000)))),
        Arc::new(Single),
        TestClock::still(),
    );
    let count = Arc::new(Count::default());
    let plan = Plan { limiter, limits, routes: &[], prefixes: Prefixes::default() };
    (Guard::new(plan, |_| Arc::clone(&count) as _, |_| Arc::default()), count)
}

fn caller(source: &str, subject: &str, claims: &serde_json::Value) -> Verified {
    let principal = Principal {
        source: SourceName::new(source),
        subject: subject.to_owned(),
        method: AuthMethod::Bearer,
        roles: Vec::new(),
        scopes: Vec::new(),
        claims: claims.as_object().cloned().unwrap_or_else(Map::new),
        email_trusted: false,
        expires: UnixTime(0),
    };
    Verified::new("t", principal, Vec::new())
}

fn headers() -> HeaderMap {
    [(HOST, HeaderValue::from_static("app.test")), ("x-tenant".parse().unwrap(), HeaderValue::from_static("acme"))]
        .into_iter()
        .collect()
}

fn facts<'a>(headers: &'a HeaderMap, verified: Option<&'a Verified>) -> Facts<'a> {
    Facts { ip: "192.0.2.7".parse().ok(), trusted: false, headers, route: None, verified }
}

async fn charge(guard: &Guard, charges: &[Charge], facts: &Facts<'_>, met: &mut Met) -> Result<(), Over> {
    match guard.charge_now(charges, facts, met)? {
        Paid::InFull => Ok(()),
        Paid::InPart => guard.charge_rest(charges, facts, met).await,
    }
}

fn key(guard: &Guard, facts: &Facts<'_>) -> Vec<u8> {
    guard.key(&guard.kept[0], facts).as_bytes().to_vec()
}

#[test]
fn a_header_counts_only_from_a_trusted_proxy() {
    let (guard, _) = guard(&[limit("a", &[Part::Header("x-tenant".parse().unwrap())])]);
    let (with, without) = (headers(), HeaderMap::new());
    assert_eq!(key(&guard, &facts(&with, None)), key(&guard, &facts(&without, None)), "a stranger's word");
    let trusted = Facts { trusted: true, ..facts(&with, None) };
    assert_ne!(key(&guard, &trusted), key(&guard, &facts(&without, None)));
}

#[test]
fn a_user_is_a_source_and_a_subject() {
    let (guard, _) = guard(&[limit("a", &[Part::User])]);
    let headers = headers();
    let keys: Vec<_> = [("a", "1"), ("b", "1"), ("a", "2")]
        .map(|(source, subject)| key(&guard, &facts(&headers, Some(&caller(source, subject, &json!({}))))))
        .into();
    assert!(keys[0] != keys[1] && keys[0] != keys[2] && keys[1] != keys[2]);
}

/// All keys speak for one subject.
fn of_key(seed: u8) -> Verified {
    let (id, _) = KeyText::mint([seed; 8], &[seed; 32]);
    caller("api_key", "robot", &json!({})).of_key(KeyFacts { id, minted_at: Position::ZERO })
}

#[test]
fn tokens_sessions_and_machines_are_told_apart() {
    let headers = headers();
    for (part, one, other) in [
        (Part::Token, caller("a", "1", &json!({ "jti": "x" })), caller("a", "1", &json!({ "jti": "y" }))),
        (Part::Session, caller("a", "1", &json!({ "sid": "x" })), caller("a", "1", &json!({ "sid": "y" }))),
        (Part::Client, caller("a", "1", &json!({ "client_id": "x" })), caller("a", "1", &json!({ "client_id": "y" }))),
        (Part::Client, caller("a", "1", &json!({ "azp": "x" })), caller("a", "1", &json!({ "azp": "y" }))),
        (Part::ApiKey, of_key(1), of_key(2)),
    ] {
        let (guard, _) = guard(&[limit("a", std::slice::from_ref(&part))]);
        let of = |verified| key(&guard, &facts(&headers, verified));
        assert_ne!(of(Some(&one)), of(Some(&other)), "{part}");
        if part != Part::Token {
            assert_eq!(of(None), of(Some(&caller("a", "1", &json!({})))), "{part}: absent is one shared value");
        }
    }
}

#[test]
fn the_same_name_given_by_two_sources_is_two() {
    let headers = headers();
    for (part, name) in
        [(Part::Token, "jti"), (Part::Session, "sid"), (Part::Client, "client_id"), (Part::Client, "azp")]
    {
        let (guard, _) = guard(&[limit("a", &[part])]);
        let of = |source: &str| key(&guard, &facts(&headers, Some(&caller(source, "1", &json!({ name: "x" })))));
        assert_ne!(of("a"), of("b"), "{name}");
    }
}

#[test]
fn a_token_without_a_name_is_counted_by_itself() {
    let (guard, _) = guard(&[limit("a", &[Part::Token])]);
    let (headers, one) = (headers(), caller("a", "1", &json!({})));
    let other = Verified::new("another", one.principal.clone(), Vec::new());
    let of = |verified| key(&guard, &facts(&headers, verified));
    assert!(of(Some(&one)) != of(Some(&other)) && of(Some(&one)) != of(None));
    assert!(of(Some(&one)).len() < 80, "and not written down");
}

#[test]
fn a_header_that_stands_there_twice_says_nothing() {
    let (guard, _) = guard(&[limit("a", &[Part::Header("x-tenant".parse().unwrap())])]);
    let (once, mut twice, none) = (headers(), headers(), HeaderMap::new());
    twice.append("x-tenant", HeaderValue::from_static("other"));
    let of = |headers| key(&guard, &Facts { trusted: true, ..facts(headers, None) });
    assert_eq!(of(&twice), of(&none));
    assert_ne!(of(&once), of(&none));
}

#[tokio::test]
async fn whoever_is_over_a_limit_is_told_which_and_when_to_come_again() {
    let (guard, count) = guard(&[limit("per-user", &[Part::User])]);
    let (headers, alice) = (headers(), caller("a", "1", &json!({})));
    let charges = [Charge { limit: 0, cost: 1 }];
    let mut met = Met::default();
    for _ in 0..2 {
        assert!(charge(&guard, &charges, &facts(&headers, Some(&alice)), &mut met).await.is_ok());
    }
    assert_eq!(met.state, b"\"per-user\";r=1;t=60, \"per-user\";r=0;t=120");
    let over = charge(&guard, &charges, &facts(&headers, Some(&alice)), &mut met).await.unwrap_err();
    assert_eq!(over.denial.code, Code::RateLimited);
    let told: HeaderMap = over.headers.into_iter().collect();
    assert_eq!(told["ratelimit-policy"], "\"per-user\";q=3;w=60");
    let wait = told["retry-after"].to_str().unwrap();
    assert!(["59", "60"].contains(&wait), "{wait}");
    assert_eq!(told["ratelimit"], format!("\"per-user\";r=0;t={wait}"));
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn one_bucket_is_spent_from_whichever_credential_its_user_comes_with() {
    let (guard, _) = guard(&[limit("per-user", &[Part::User])]);
    let (headers, charges) = (headers(), [Charge { limit: 0, cost: 1 }]);
    let tokens = [caller("a", "1", &json!({"jti": "x"})), caller("a", "1", &json!({"jti": "y"}))];
    let mut passed = 0;
    for at in 0..8 {
        let facts = facts(&headers, Some(&tokens[at % 2]));
        passed += usize::from(charge(&guard, &charges, &facts, &mut Met::default()).await.is_ok());
    }
    assert_eq!(passed, 2);
    let number = guard.kept[0].number;
    let pages = tokens.each_ref().map(|token| token.bookmark().page(number).map(|page| page.key()));
    assert_eq!(pages, [Some(guard.key(&guard.kept[0], &facts(&headers, Some(&tokens[0]))).as_bytes()); 2]);
}

#[tokio::test]
async fn a_caller_whose_page_was_torn_out_is_counted_on_the_new_one() {
    let (guard, _) = guard(&[limit("per-user", &[Part::User])]);
    let (headers, alice, charges) = (headers(), caller("a", "1", &json!({})), [Charge { limit: 0, cost: 1 }]);
    let ask = async || charge(&guard, &charges, &facts(&headers, Some(&alice)), &mut Met::default()).await.is_ok();
    assert!(ask().await && ask().await && !ask().await);
    let number = guard.kept[0].number;
    assert!(alice.bookmark().page(number).is_some());
    guard.limiter.book.tear_out_all();
    assert!(alice.bookmark().page(number).is_none());
    assert!(!ask().await && !ask().await, "the store remembers");
}

#[tokio::test]
async fn a_limit_that_was_changed_is_not_spent_from_the_bucket_it_had() {
    let (headers, alice, charges) = (headers(), caller("a", "1", &json!({})), [Charge { limit: 0, cost: 1 }]);
    let narrow = limit("per-user", &[Part::User]);
    let wide = Limit { bucket: Bucket::new(Rate::per_second(1), 5), ..narrow.clone() };
    let (before, _) = guard(&[narrow]);
    let (after, _) = guard(&[wide]);
    let mut passed = [0, 0];
    for _ in 0..8 {
        for (guard, passed) in [&before, &after].into_iter().zip(&mut passed) {
            let met = &mut Met::default();
            *passed += usize::from(charge(guard, &charges, &facts(&headers, Some(&alice)), met).await.is_ok());
        }
    }
    assert_eq!(passed, [2, 5], "one credential, known under both");
}

#[test]
fn a_request_finds_all_it_needs_of_a_page_in_two_neighbouring_lines_of_memory() {
    assert_eq!((size_of::<book::Page>(), align_of::<book::Page>()), (128, 128));
}

#[tokio::test]
async fn where_requests_of_one_caller_are_counted_apart_nobody_has_a_bookmark() {
    let (headers, alice) = (headers(), caller("a", "1", &json!({})));
    for elsewhere in [Part::Ip, Part::Route, Part::Header(HOST)] {
        let (guard, _) = guard(&[limit("a", &[Part::User, elsewhere])]);
        for _ in 0..2 {
            let charges = [Charge { limit: 0, cost: 1 }];
            assert!(charge(&guard, &charges, &facts(&headers, Some(&alice)), &mut Met::default()).await.is_ok());
        }
        assert!(alice.bookmark().page(guard.kept[0].number).is_none());
    }
    let [user, session] = [Part::User, Part::Session].map(|part| number(&limit("a", &[part])));
    assert_ne!(user, session, "a bookmark of one is none of the other");
}

#[tokio::test]
async fn a_shadow_counts_and_lets_through() {
    let (guard, count) = guard(&[Limit { shadow: true, ..limit("a", &[Part::Ip]) }]);
    let headers = headers();
    for _ in 0..5 {
        let charges = [Charge { limit: 0, cost: 1 }];
        let mut met = Met::default();
        assert!(charge(&guard, &charges, &facts(&headers, None), &mut met).await.is_ok());
        assert_eq!(met.state, b"", "and nobody is told");
    }
    assert!(!is_shown(&guard.kept[0].limit));
    assert_eq!(count.0.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn renewal_is_counted_by_sign_in_and_by_user() {
    let (guard, _) = guard(&[BuiltIn::RefreshFamily.limit(), BuiltIn::RefreshUser.limit()]);
    let user = UserHash::of(&SourceName::new("local"), "alice");
    let session = |n: u8| SessionId::from_bytes([n; 16]);
    for _ in 0..30 {
        assert!(guard.charge_family(session(1)).await.is_ok());
    }
    assert!(guard.charge_family(session(1)).await.is_err(), "thirty at once of one sign-in");
    assert!(guard.charge_family(session(2)).await.is_ok(), "others of the user go on");
    let mut got = 0;
    for _ in 0..100 {
        got += usize::from(guard.charge_user(user).await.is_ok());
    }
    assert_eq!(got, 60, "sixty at once of one user");
}

#[tokio::test]
async fn operators_find_the_very_bucket_that_requests_spend_from() {
    let limits = [("a", &[Part::User][..]), ("b", &[Part::Ip, Part::User]), ("c", &[Part::Ip]), ("d", &[Part::Client])];
    let (guard, _) = guard(&limits.map(|(name, key)| limit(name, key)));
    let (headers, alice) = (headers(), caller("local", "alice", &json!({})));
    let charges = [Charge { limit: 0, cost: 2 }, Charge { limit: 1, cost: 1 }];
    charge(&guard, &charges, &facts(&headers, Some(&alice)), &mut Met::default()).await.unwrap();
    let named = |pairs: &[(&'static str, &str)]| {
        Named::parse(pairs.iter().map(|(part, value)| (*part, (*value).to_owned()))).unwrap()
    };
    let found = guard.look(&named(&[("user", "local/alice")])).await.unwrap();
    assert_eq!(found.iter().map(|it| (it.limit.as_str(), it.remaining)).collect::<Vec<_>>(), [("a", 0)]);
    let robot = caller("idp", "1", &json!({ "client_id": "robot", "azp": "not this" }));
    charge(&guard, &[Charge { limit: 3, cost: 2 }], &facts(&headers, Some(&robot)), &mut Met::default()).await.unwrap();
    assert_eq!(guard.look(&named(&[("client", "idp/robot")])).await.unwrap()[0].remaining, 0);
    let both = named(&[("user", "local/alice"), ("ip", "192.0.2.7")]);
    assert_eq!(guard.look(&both).await.unwrap()[0].remaining, 1, "in whichever order");
    let session = SessionId::from_bytes([7; 16]).to_string();
    let sources = |value| named(&[("session", value)]).sources().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!((sources(&session), sources("idp/7")), (vec![], vec!["idp".to_owned()]));
    assert_eq!(guard.reset(&both).await.unwrap(), ["b"]);
    assert_eq!(guard.look(&both).await.unwrap()[0].remaining, 2);
    let wrong = [
        ("token", "x"),
        ("client", "x"),
        ("ip", "x"),
        ("user", "alice"),
        ("user", "local/"),
        ("tenant", "x"),
        ("header:a b", "x"),
    ];
    for wrong in wrong.into_iter().chain([("session", "x"), ("session", "AAAAAAAAAAAAAAAAAAAAA")]) {
        assert_eq!(Named::parse([wrong].into_iter().map(|(part, value)| (part, value.to_owned()))), None);
    }
}

#[tokio::test]
async fn a_request_that_one_limit_refuses_is_counted_by_no_other() {
    let (headers, alice) = (headers(), caller("local", "alice", &json!({})));
    let facts = facts(&headers, Some(&alice));
    for exact in [false, true] {
        let narrow = Limit { bucket: Bucket::new(Rate::per_minute(1), 1), exact, ..limit("narrow", &[Part::Ip]) };
        let ghost = Limit { shadow: true, ..narrow.clone() };
        let limits =
            [Limit { exact, ..limit("wide", &[Part::User]) }, narrow, Limit { name: "ghost".to_owned(), ..ghost }];
        let (guard, count) = guard(&limits);
        let all = [0, 2, 1].map(|limit| Charge { limit, cost: 1 });
        let asked = async || charge(&guard, &all, &facts, &mut Met::default()).await;
        assert!(asked().await.is_ok());
        for _ in 0..3 {
            assert!(asked().await.unwrap_err().denial.detail.contains("narrow"), "the first time from the store");
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 3, "and counted as over that one");
        let left = guard.look(&Named::parse([("user", "local/alice".to_owned())].into_iter()).unwrap()).await.unwrap();
        assert_eq!(left[0].remaining, 1, "exact: {exact}");
    }
}
