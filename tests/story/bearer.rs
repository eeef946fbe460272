//! Bearer tokens from end to end: which open a route, and what the others are told.

use super::support::backend::Backend;
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::issuer::{self, with, Issuer, ES256, HS256, RS256, SECRET};
use jsonwebtoken::Algorithm;
use serde_json::{json, Value};

const ISS: &str = "https://id.test";
const OTHER: &str = "https://other.test";
const ROUTES: &str = "[[route]]\npath = \"/public/**\"\naccess = \"public\"\n\n\
                      [[route]]\npath = \"/api/**\"\naccess = \"authenticated\"\n\n\
                      [[route]]\npath = \"/optional/**\"\naccess = \"optional\"\n\n";
const KEYS_IN_FILE: &str = "jwks_file = \"jwks.json\"";

pub(crate) struct Stage {
    pub(crate) gate: Gate,
    pub(crate) backend: Backend,
}

impl Stage {
    /// An issuer whose keys are in a file, one with a shared secret, and whatever `issuers` says.
    pub(crate) fn set(issuers: &str) -> Self {
        let backend = Backend::echo();
        let file = issuer::table("file", ISS, KEYS_IN_FILE);
        let shared = issuer::table("shared", OTHER, "secret = \"env:SECRET\"");
        let setup = Gate::setup().variable("SECRET", SECRET).file("jwks.json", issuer::key_set(&["rsa-a", "p256"]));
        Self { gate: setup.start(&[&file, &shared, issuers, &backend.upstream("app"), ROUTES].concat()), backend }
    }

    pub(crate) fn api(&self, token: &str) -> Response {
        self.gate.get_as("/api/a", token)
    }
}

pub(crate) fn alice() -> Value {
    issuer::claims(ISS, "alice")
}

pub(crate) fn header(changes: Value) -> Value {
    with(&json!({ "alg": "RS256", "kid": "rsa-a", "typ": "JWT" }), changes)
}

#[test]
fn good_tokens_of_every_kind_open() {
    let stage = Stage::set("");
    let good = [
        issuer::token(&alice(), RS256),
        issuer::token(&alice(), ES256),
        issuer::token(&issuer::claims(OTHER, "alice"), HS256),
        issuer::token(&with(&alice(), json!({ "aud": ["x", "api"], "nbf": issuer::now() })), RS256),
        issuer::signed(&header(json!({ "typ": "at+jwt" })), &alice(), RS256),
        issuer::signed(&header(json!({ "typ": null, "kid": null })), &alice(), RS256),
    ];
    for token in good {
        assert_eq!(stage.api(&token).verdict(), "200", "{token}");
        assert_eq!(stage.backend.last().header("x-auth-subject").as_deref(), Some("alice"));
    }
    let token = issuer::token(&alice(), RS256);
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        assert_eq!(stage.gate.get("/api/a", &format!("Authorization: {scheme} {token}\r\n")).status, 200, "{scheme}");
    }
}

/// Tokens that must not open, and the code for each.
fn refused() -> Vec<(&'static str, String, &'static str)> {
    let token = |changes: Value| issuer::token(&with(&alice(), changes), RS256);
    let headed = |changes: Value| issuer::signed(&header(changes), &alice(), RS256);
    let good = issuer::token(&alice(), RS256);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let now = issuer::now();
    let modulus = issuer::key_set(&["rsa-a"]);
    let confused = jsonwebtoken::crypto::sign(
        issuer::unsigned(&header(json!({ "alg": "HS256" })), &alice()).as_bytes(),
        &jsonwebtoken::EncodingKey::from_secret(modulus.as_bytes()),
        Algorithm::HS256,
    );
    vec![
        ("alg none", format!("{}.", issuer::unsigned(&json!({ "alg": "none" }), &alice())), "token_invalid"),
        ("alg nOnE", format!("{}.", issuer::unsigned(&header(json!({ "alg": "nOnE" })), &alice())), "token_invalid"),
        ("alg none, signed", headed(json!({ "alg": "none" })), "token_invalid"),
        ("no signature", format!("{input}."), "token_invalid"),
        ("two parts", input.to_owned(), "token_invalid"),
        ("four parts", format!("{good}.{signature}"), "token_invalid"),
        ("padded", format!("{good}="), "token_invalid"),
        ("a bit flipped", good.replace(&signature[..8], "AAAAAAAA"), "token_invalid"),
        (
            "HS256 with the public key",
            format!("{}.{}", issuer::unsigned(&header(json!({ "alg": "HS256" })), &alice()), confused.unwrap()),
            "token_invalid",
        ),
        ("an algorithm not configured", headed(json!({ "alg": "PS256" })), "token_invalid"),
        ("another key", issuer::signed(&header(json!({})), &alice(), (Algorithm::RS256, "rsa-b")), "token_invalid"),
        ("a key nobody has", issuer::token(&alice(), (Algorithm::RS256, "rsa-b")), "token_invalid"),
        ("the other issuer's secret", issuer::token(&alice(), HS256), "token_invalid"),
        ("an issuer nobody knows", token(json!({ "iss": "https://evil.test" })), "token_invalid"),
        ("a slash more", token(json!({ "iss": "https://id.test/" })), "token_invalid"),
        ("no issuer", token(json!({ "iss": null })), "token_invalid"),
        ("another audience", token(json!({ "aud": "other" })), "token_invalid"),
        ("no audience", token(json!({ "aud": null })), "token_invalid"),
        ("an audience of numbers", token(json!({ "aud": ["api", 1] })), "token_invalid"),
        ("no subject", token(json!({ "sub": null })), "token_invalid"),
        ("an empty subject", token(json!({ "sub": "" })), "token_invalid"),
        ("expired", token(json!({ "exp": now - 60 })), "token_expired"),
        ("no end", token(json!({ "exp": null })), "token_invalid"),
        ("an end in words", token(json!({ "exp": (now + 60).to_string() })), "token_invalid"),
        ("an end in a week", token(json!({ "exp": now + 7 * 86_400 })), "token_invalid"),
        ("not yet", token(json!({ "nbf": now + 120 })), "token_invalid"),
        ("from the future", token(json!({ "iat": now + 120 })), "token_invalid"),
        ("an own key", headed(json!({ "jwk": { "kty": "RSA" } })), "token_invalid"),
        ("a key elsewhere", headed(json!({ "jku": "https://evil.test/jwks" })), "token_invalid"),
        ("a chain", headed(json!({ "x5c": ["AA=="] })), "token_invalid"),
        ("critical", headed(json!({ "crit": ["b64"], "b64": false })), "token_invalid"),
        ("another type", headed(json!({ "typ": "logout+jwt" })), "token_invalid"),
        ("no JWT", "opaque".to_owned(), "token_invalid"),
        ("nothing", String::new(), "token_invalid"),
        ("two at once", "a, Bearer b".to_owned(), "token_invalid"),
    ]
}

#[test]
fn a_bad_token_is_401_says_so_and_reaches_nobody() {
    let stage = Stage::set("");
    for (what, token, code) in refused() {
        for path in ["/api/a", "/optional/a"] {
            let answer = stage.gate.get_as(path, &token);
            assert_eq!(answer.verdict(), format!("401 {code}"), "{what} at {path}");
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
        }
        assert_eq!(stage.backend.take().len(), 0, "{what}");
    }
    let requests = 2 * refused().len();
    stage.gate.accounted(requests);
    let results =
        |result: &str| stage.gate.metric(&format!("doorward_auth_total{{method=\"bearer\",result=\"{result}\"}}"));
    assert_eq!((results("accepted"), results("refused")), (0.0, requests as f64));
}

#[test]
fn a_refusal_is_a_problem_document_that_tells_no_more_than_its_code() {
    let stage = Stage::set("");
    let answer = stage.gate.get("/api/a", "");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"doorward\""));
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["type"], "urn:doorward:error:unauthenticated");
    assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(401), Some("unauthenticated")));
    let audit = stage.gate.audit(problem["request_id"].as_str().unwrap());
    assert_eq!((audit["reason"].as_str(), audit["route"].as_str()), (Some("unauthenticated"), Some("/api/**")));
    let token = issuer::token(&with(&alice(), json!({ "aud": "other" })), RS256);
    let refused = stage.api(&token);
    assert!(!refused.text().contains("aud"), "{}", refused.text());
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert!(stage.gate.audit(problem["request_id"].as_str().unwrap())["detail"].as_str().unwrap().contains("aud"));
}

#[test]
fn a_person_gets_a_page_and_a_program_does_not() {
    let stage = Stage::set("");
    let kind = |headers: &str| {
        let answer = stage.gate.get("/api/a", headers);
        assert_eq!(answer.status, 401);
        answer.header("content-type").unwrap_or_default().to_owned()
    };
    let (page, problem) = ("text/html; charset=utf-8", "application/problem+json");
    assert_eq!(kind("Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n"), page);
    assert_eq!(kind("Sec-Fetch-Mode: navigate\r\nAccept: */*\r\n"), page);
    assert_eq!(kind("Sec-Fetch-Mode: cors\r\nAccept: text/html\r\n"), problem);
    assert_eq!(kind("Accept: */*\r\n"), problem);
    let answer = stage.gate.get("/api/a", "Sec-Fetch-Mode: navigate\r\n");
    for name in ["content-security-policy", "x-content-type-options", "referrer-policy", "www-authenticate"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn only_one_credential_is_read_and_only_where_it_belongs() {
    let stage = Stage::set("");
    let token = issuer::token(&alice(), RS256);
    let verdict = |target: &str, headers: String| stage.gate.get(target, &headers).verdict();
    let twice = format!("Authorization: Bearer {token}\r\n").repeat(2);
    assert_eq!(verdict("/api/a", twice.clone()), "400 bad_request");
    assert_eq!(verdict("/public/a", twice), "400 bad_request");
    assert_eq!(verdict("/api/a", "Authorization: Basic YTpi\r\n".to_owned()), "401 unauthenticated");
    assert_eq!(verdict("/optional/a", "Authorization: Basic YTpi\r\n".to_owned()), "200");
    assert_eq!(verdict(&format!("/api/a?access_token={token}"), String::new()), "401 unauthenticated");
    for cookie in ["__Host-doorward", "doorward", "access_token"] {
        assert_eq!(verdict("/api/a", format!("Cookie: {cookie}={token}\r\n")), "401 unauthenticated");
    }
    assert_eq!(verdict("/api/a", format!("X-Authorization: Bearer {token}\r\n")), "401 unauthenticated");
}

#[test]
fn a_public_route_looks_at_no_credential() {
    let stage = Stage::set("");
    for (what, token, _) in refused() {
        assert_eq!(stage.gate.get_as("/public/a", &token).status, 200, "{what}");
    }
    assert_eq!(stage.gate.get_as("/public/a", &issuer::token(&alice(), RS256)).status, 200);
    assert_eq!(stage.backend.last().header("x-auth-method").as_deref(), Some("anonymous"));
    stage.gate.accounted(refused().len() + 1);
    assert_eq!(stage.gate.metric("doorward_token_cache_total{result=\"miss\"}"), 0.0);
}

#[test]
fn an_optional_route_knows_who_says_so_and_lets_others_be_nobody() {
    let stage = Stage::set("");
    assert_eq!(stage.gate.get("/optional/a", "").status, 200);
    assert_eq!(stage.backend.last().header("x-auth-method").as_deref(), Some("anonymous"));
    assert_eq!(stage.gate.get_as("/optional/a", &issuer::token(&alice(), RS256)).status, 200);
    assert_eq!(stage.backend.last().header("x-auth-subject").as_deref(), Some("alice"));
}

#[test]
fn a_token_seen_before_is_not_verified_again() {
    let stage = Stage::set("");
    let token = issuer::token(&alice(), RS256);
    assert_eq!(stage.api(&token).status, 200);
    let count = |result: &str| stage.gate.metric(&format!("doorward_token_cache_total{{result=\"{result}\"}}"));
    for _ in 0..20 {
        assert_eq!(stage.api(&token).status, 200);
    }
    stage.gate.accounted(21);
    assert_eq!((count("miss"), count("hit")), (1.0, 20.0));
    // one character of the signature more or less is another token
    assert_eq!(stage.api(&token[..token.len() - 1]).verdict(), "401 token_invalid");
}

#[test]
fn one_issuers_key_signs_nothing_for_another() {
    let other = Issuer::start(&["rsa-b"]);
    let stage = Stage::set(&other.table("other"));
    let forged = issuer::signed(&header(json!({ "kid": "rsa-b" })), &alice(), (Algorithm::RS256, "rsa-b"));
    assert_eq!(stage.api(&forged).verdict(), "401 token_invalid");
    let forged = issuer::token(&other.claims("bob"), RS256);
    assert_eq!(stage.api(&forged).verdict(), "401 token_invalid");
    assert_eq!(stage.api(&issuer::token(&other.claims("bob"), (Algorithm::RS256, "rsa-b"))).status, 200);
    assert_eq!(stage.backend.last().header("x-auth-provider").as_deref(), Some("other"));
}

#[test]
fn a_reload_forgets_what_only_the_old_file_allowed() {
    let stage = Stage::set("");
    let token = issuer::token(&alice(), RS256);
    assert_eq!(stage.api(&token).status, 200);
    let tables = |issuer: &str| [issuer, &stage.backend.upstream("app"), ROUTES].concat();
    let strict = issuer::table("file", ISS, KEYS_IN_FILE).replace("\"api\"", "\"elsewhere\"");
    assert!(stage.gate.reload(&tables(&strict)));
    assert_eq!(stage.api(&token).verdict(), "401 token_invalid");
    assert!(stage.gate.reload(&tables(&issuer::table("file", ISS, KEYS_IN_FILE))));
    assert_eq!(stage.api(&token).status, 200);
}

#[test]
fn no_token_is_ever_written_down() {
    let stage = Stage::set("");
    let good = issuer::token(&alice(), RS256);
    let tokens: Vec<String> = refused().into_iter().map(|(_, token, _)| token).chain([good]).collect();
    for token in &tokens {
        stage.api(token);
        stage.gate.get(&format!("/api/a?access_token={token}"), "");
    }
    stage.gate.accounted(2 * tokens.len());
    let written = [stage.gate.journal.all(), stage.gate.messages.all()].concat().join("\n");
    for token in tokens.iter().filter(|token| token.len() > 40) {
        let payload = token.split('.').nth(1).unwrap_or(token);
        assert!(!written.contains(payload), "a token in a log");
    }
}
