use super::*;
use crate::domain::headers::Peer;
use crate::domain::limit::RouteLimits;
use crate::domain::policy::pattern::{HostPattern, PathPattern};
use crate::domain::policy::route::{Csrf, Forwarding, OnUnauthenticated};
use crate::domain::policy::rule::{Access, Rule};
use crate::domain::token::fixture::{claims, claims_with, issuer, keys, rs256, NOW};
use crate::domain::token::keys::KeySet;
use crate::pipeline::session::fixture::{script, Town};
use crate::pipeline::session::Mode;
use crate::ports::{Keys, Looked};
use async_trait::async_trait;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Version};
use parking_lot::Mutex;
use permit::Memory;
use serde_json::json;
use std::sync::atomic::{AtomicU64, Ordering};

/// An issuer in the hands of the test.
#[derive(Debug)]
struct Hand {
    keys: Mutex<Arc<Keys>>,
    looks: AtomicU64,
    answer: Looked,
    arriving: Mutex<Option<KeySet>>,
}

impl Hand {
    fn holding(set: KeySet) -> Arc<Self> {
        Self::new(set, Looked::Unknown, None)
    }

    fn new(set: KeySet, answer: Looked, arriving: Option<KeySet>) -> Arc<Self> {
        let keys = Mutex::new(Arc::new(Keys { set, generation: 1 }));
        Arc::new(Self { keys, looks: AtomicU64::new(0), answer, arriving: Mutex::new(arriving) })
    }

    fn replace(&self, set: KeySet) {
        let mut keys = self.keys.lock();
        *keys = Arc::new(Keys { set, generation: keys.generation + 1 });
    }
}

#[async_trait]
impl KeySource for Hand {
    fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.lock())
    }

    fn generation(&self) -> u64 {
        self.keys.lock().generation
    }

    async fn look_for_new_keys(&self, _: u64) -> Looked {
        self.looks.fetch_add(1, Ordering::Relaxed);
        if let Some(set) = self.arriving.lock().take() {
            self.replace(set);
        }
        self.answer
    }
}

fn route(index: usize, path: &str, access: Access, roles: &[&str]) -> Route {
    Route {
        index,
        host: HostPattern::Any,
        path: PathPattern::parse(path).unwrap(),
        methods: None,
        upstream: 0,
        rule: Rule {
            access,
            from: Vec::new(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            scopes: Vec::new(),
            when: None,
            accepts_bearer: true,
            accepts_session: false,
            accepts_api_key: false,
        },
        forwarding: Forwarding {
            encoded_slash: EncodedSlash::Reject,
            strip_prefix: if path.starts_with("/strip") { "/strip".to_owned() } else { String::new() },
            set_headers: Vec::new(),
            remove_headers: Vec::new(),
            websocket: !path.starts_with("/public"),
            max_body: 0,
        },
        unauthenticated: OnUnauthenticated::Auto,
        csrf: Csrf::On,
        activity: true,
        sensitive: false,
        cors: None,
        limits: RouteLimits::default(),
    }
}

fn gate(keys: Arc<Hand>) -> Gate {
    Gate::new(Plan {
        routes: RouteTable::new(vec![
            route(0, "/public/**", Access::Public, &[]),
            route(1, "/me", Access::Authenticated, &[]),
            route(2, "/admin/**", Access::Authenticated, &["admin"]),
            route(3, "/maybe", Access::Optional, &[]),
            route(4, "/strip/**", Access::Public, &[]),
        ]),
        issuers: vec![Desk { terms: Arc::new(issuer()), keys }],
        identity: Arc::default(),
        trusted: Trusted::default(),
        prefix: "/.auth".to_owned(),
        endpoints: None,
        house: None,
        limits: None,
        api_keys: None,
    })
}

async fn ask_at(gate: &Gate, target: &str, token: Option<&str>, now: UnixTime) -> Result<Permit, Code> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, HeaderValue::from_static("app.test"));
    if let Some(token) = token {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    }
    let head = RawHead {
        version: Version::HTTP_11,
        method: &Method::GET,
        target: target.as_bytes(),
        authority: None,
        headers: &headers,
        wire: None,
    };
    let peer = Peer { ip: None, trusted: false, tls: false };
    let admitted = gate.admit(&Arrival { head, peer, now }).await;
    admitted.map_err(|answer| answer.denial().map_or(Code::Internal, |denial| denial.code))
}

async fn ask(gate: &Gate, target: &str, token: Option<&str>) -> Result<Permit, Code> {
    ask_at(gate, target, token, NOW).await
}

fn memory(permit: &Permit) -> Option<Memory> {
    match permit.caller() {
        Caller::Anonymous => None,
        Caller::Known { memory, .. } => Some(*memory),
    }
}

fn header<'g>(gate: &'g Gate, permit: &'g Permit, name: &str) -> Option<&'g str> {
    let found = gate.identity_of(permit).iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.to_str().unwrap())
}

#[tokio::test]
async fn a_token_seen_before_costs_no_signature() {
    let gate = gate(Hand::holding(keys()));
    let token = rs256(&claims());
    assert_eq!(memory(&ask(&gate, "/me", Some(&token)).await.unwrap()), Some(Memory::Miss));
    assert_eq!(memory(&ask(&gate, "/me", Some(&token)).await.unwrap()), Some(Memory::Hit));
}

#[tokio::test]
async fn a_token_seen_before_still_ends_when_it_ends() {
    let gate = gate(Hand::holding(keys()));
    let token = rs256(&claims());
    ask(&gate, "/me", Some(&token)).await.unwrap();
    let last = UnixTime(NOW.0 + 600 + 29);
    assert!(ask_at(&gate, "/me", Some(&token), last).await.is_ok(), "within the leeway");
    let ended = UnixTime(NOW.0 + 600 + 30);
    assert_eq!(ask_at(&gate, "/me", Some(&token), ended).await.unwrap_err(), Code::TokenExpired);
}

#[tokio::test]
async fn a_token_seen_before_is_verified_anew_once_keys_change() {
    let hand = Hand::holding(keys());
    let gate = gate(Arc::clone(&hand));
    let token = rs256(&claims());
    ask(&gate, "/me", Some(&token)).await.unwrap();
    hand.replace(keys());
    assert_eq!(memory(&ask(&gate, "/me", Some(&token)).await.unwrap()), Some(Memory::Stale));
    hand.replace(KeySet::from_jwks(br#"{"keys":[]}"#).unwrap());
    assert_eq!(ask(&gate, "/me", Some(&token)).await.unwrap_err(), Code::TokenInvalid, "its key was withdrawn");
}

#[tokio::test]
async fn a_key_that_is_new_is_looked_for_before_anybody_is_refused() {
    let none = KeySet::from_jwks(br#"{"keys":[]}"#).unwrap();
    let hand = Hand::new(none, Looked::Again, Some(keys()));
    let gate = gate(Arc::clone(&hand));
    assert!(ask(&gate, "/me", Some(&rs256(&claims()))).await.is_ok());
    assert_eq!(hand.looks.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_asked_is_503_and_only_for_its_tokens() {
    let none = KeySet::from_jwks(br#"{"keys":[]}"#).unwrap();
    let gate = gate(Hand::new(none, Looked::CannotTell, None));
    let token = rs256(&claims());
    assert_eq!(ask(&gate, "/me", Some(&token)).await.unwrap_err(), Code::ProviderUnavailable);
    assert!(ask(&gate, "/public/x", Some(&token)).await.is_ok());
    assert_eq!(ask(&gate, "/me", None).await.unwrap_err(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_refused_token_is_never_retried_as_anonymous() {
    let gate = gate(Hand::holding(keys()));
    for token in
        ["x", "a.b.c", "a, Bearer b", "a b", "a\tb", &rs256(&claims_with(json!({"iss": "https://other.test"})))]
    {
        assert_eq!(ask(&gate, "/maybe", Some(token)).await.unwrap_err(), Code::TokenInvalid, "{token}");
    }
    assert!(ask(&gate, "/maybe", None).await.is_ok());
}

#[tokio::test]
async fn a_public_route_looks_at_no_credential() {
    let gate = gate(Hand::holding(keys()));
    let permit = ask(&gate, "/public/x", Some("not a token")).await;
    assert_eq!(header(&gate, &permit.unwrap(), "x-auth-method"), Some("anonymous"));
}

#[tokio::test]
async fn roles_decide_and_the_backend_learns_them() {
    let gate = gate(Hand::holding(keys()));
    let user = rs256(&claims_with(json!({"roles": ["user"]})));
    assert_eq!(ask(&gate, "/admin", Some(&user)).await.unwrap_err(), Code::Forbidden);
    let permit = ask(&gate, "/admin", Some(&rs256(&claims()))).await.unwrap();
    assert_eq!(header(&gate, &permit, "x-auth-subject"), Some("u1"));
    assert_eq!(header(&gate, &permit, "x-auth-roles"), Some("admin,user"));
    assert_eq!(header(&gate, &permit, "x-auth-provider"), Some("id"));
}

#[tokio::test]
async fn what_was_decided_on_is_what_is_forwarded() {
    let gate = gate(Hand::holding(keys()));
    for (sent, forwarded) in [
        ("/public/x?q=%2F", None),
        ("/admin/../public//%78?q", Some("/public/x?q")),
        ("/strip/a?b", Some("/a?b")),
        ("/strip", Some("/")),
        ("/strip?b", Some("/?b")),
        ("http://app.test/public", Some("/public")),
    ] {
        let permit = ask(&gate, sent, None).await.unwrap();
        assert_eq!(permit.target().map(http::uri::PathAndQuery::as_str), forwarded, "{sent}");
    }
    assert_eq!(ask(&gate, "/public/../admin", None).await.unwrap_err(), Code::Unauthenticated);
    assert_eq!(ask(&gate, "/public/a%2Fb", None).await.unwrap_err(), Code::BadPath, "the route does not keep %2F");
}

#[tokio::test]
async fn nothing_below_our_own_prefix_reaches_a_backend() {
    let gate = gate(Hand::holding(keys()));
    for target in ["/.auth", "/.auth/login", "/public/../.auth/x"] {
        assert_eq!(ask(&gate, target, None).await.unwrap_err(), Code::NoRoute, "{target}");
    }
}

/// Endpoints to sign in at, which nobody asks for.
#[derive(Debug)]
struct Unasked;

#[async_trait]
impl Endpoints for Unasked {
    fn takes(&self, _: &str) -> bool {
        false
    }

    async fn answer(&self, _: OwnRequest) -> own::Reply {
        panic!("nobody asks")
    }
}

#[tokio::test]
async fn a_forged_request_for_a_sensitive_route_costs_the_store_nothing() {
    for mode in [Mode::Jwt, Mode::Opaque] {
        let town = Town::new(mode).await;
        let rule = Rule { accepts_session: true, ..route(0, "/pay", Access::Authenticated, &[]).rule };
        let pay = Route { sensitive: true, rule, ..route(0, "/pay", Access::Authenticated, &[]) };
        let gate = Gate::new(Plan {
            routes: RouteTable::new(vec![pay]),
            issuers: Vec::new(),
            identity: Arc::default(),
            trusted: Trusted::default(),
            prefix: "/.auth".to_owned(),
            endpoints: Some(Arc::new(Unasked)),
            house: Some(Arc::clone(&town.house)),
            limits: None,
            api_keys: None,
        });
        let mut headers = script(&town.sign_in("alice").await);
        headers.insert(HOST, HeaderValue::from_static("app.test"));
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        let (method, target) = (&Method::POST, &b"/pay"[..]);
        let head =
            RawHead { version: Version::HTTP_11, method, target, authority: None, headers: &headers, wire: None };
        let peer = Peer { ip: None, trusted: false, tls: true };
        let (answer, asked) = town.asked(gate.admit(&Arrival { head, peer, now: town.now() })).await;
        let denial = answer.unwrap_err().denial().map(|denial| denial.code);
        assert_eq!((denial, asked), (Some(Code::Csrf), Vec::new()), "{mode:?}");
    }
}
