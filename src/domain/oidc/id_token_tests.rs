use super::super::fixture::{attempt, metadata, settings, NOW};
use super::*;
use crate::domain::token::fixture::{hs256, jwk, keys, rs256, secret_keys, set_of, signed, token, SECRET};
use serde_json::json;

const ACCESS: &[u8] = b"the access token";

/// The claims of a good ID token with these changed; `null` takes one away.
pub(in crate::domain::oidc) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.example.com/", "aud": "doorward", "sub": "alice",
        "iat": NOW.0 - 1, "exp": NOW.0 + 300, "nonce": attempt().nonce.expose(), "auth_time": NOW.0 - 60,
    });
    let (Value::Object(changes), Some(members)) = (changes, claims.as_object_mut()) else { panic!("no object") };
    for (name, value) in changes {
        match value {
            Value::Null => members.remove(&name),
            value => members.insert(name, value),
        };
    }
    claims
}

fn check_as(token: &str, occasion: Occasion<'_>) -> Result<IdToken, Code> {
    let (metadata, settings) = (metadata(), settings());
    let terms = Terms { metadata: &metadata, settings: &settings, occasion, now: NOW };
    IdToken::check(token, &terms, &keys()).map_err(|rejection| rejection.into_denial().code)
}

fn sign_in(token: &str, max_age: Option<Duration>) -> Result<IdToken, Code> {
    check_as(token, Occasion::SignIn { nonce: &attempt().nonce, max_age, access_token: ACCESS })
}

fn renewal(token: &str) -> Result<IdToken, Code> {
    check_as(token, Occasion::Refresh { subject: "alice", access_token: ACCESS })
}

/// What becomes of a sign-in with this ID token.
fn verdict(changes: Value) -> Result<String, Code> {
    sign_in(&rs256(&claims(changes)), None).map(|token| token.subject)
}

fn accepted(changes: Value) -> bool {
    verdict(changes).as_deref() == Ok("alice")
}

fn refused(changes: Value) -> bool {
    verdict(changes) == Err(Code::TokenInvalid)
}

#[test]
fn a_good_id_token_is_believed_in_every_algorithm_of_the_provider() {
    for (algorithm, kid) in [
        (Algorithm::RS256, "rsa-a"),
        (Algorithm::PS256, "rsa-a"),
        (Algorithm::ES256, "p256"),
        (Algorithm::EdDSA, "ed25519"),
    ] {
        let token = token(algorithm, kid, &claims(json!({})));
        assert_eq!(sign_in(&token, None).map(|token| token.subject).as_deref(), Ok("alice"), "{algorithm:?}");
    }
}

#[test]
fn an_algorithm_that_is_not_believed_here_is_refused_though_the_signature_is_good() {
    assert!(sign_in(&token(Algorithm::ES384, "p384", &claims(json!({}))), None).is_err());
    let shared = hs256(&json!({"alg": "HS256"}), &claims(json!({})), SECRET);
    let (metadata, settings) = (metadata(), settings());
    let (occasion, now) = (Occasion::Refresh { subject: "alice", access_token: ACCESS }, NOW);
    let terms = Terms { metadata: &metadata, settings: &settings, occasion, now };
    assert!(matches!(IdToken::check(&shared, &terms, &secret_keys()), Err(Rejection::Denied(_))));
    let unsigned = signed(r#"{"alg":"none"}"#, claims(json!({})).to_string(), Algorithm::RS256, "rsa-a");
    assert!(sign_in(&unsigned, None).is_err());
}

#[test]
fn a_key_nobody_knows_yet_is_worth_another_look() {
    let (metadata, settings) = (metadata(), settings());
    let (occasion, now) = (Occasion::Refresh { subject: "alice", access_token: ACCESS }, NOW);
    let terms = Terms { metadata: &metadata, settings: &settings, occasion, now };
    let token = rs256(&claims(json!({})));
    assert!(matches!(IdToken::check(&token, &terms, &set_of(&[jwk("p256")])), Err(Rejection::UnknownKey)));
}

#[test]
fn another_issuer_is_refused() {
    for iss in [json!("https://id.example.com"), json!("https://evil.example.com/"), json!(["x"]), Value::Null] {
        assert!(refused(json!({"iss": iss.clone()})), "{iss}");
    }
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    for aud in [json!("other"), json!(["other"]), json!([]), json!(["doorward", 1]), json!({}), Value::Null] {
        assert!(refused(json!({"aud": aud.clone()})), "{aud}");
    }
    assert!(accepted(json!({"aud": ["doorward"]})));
}

#[test]
fn one_of_several_audiences_must_be_named_as_the_party_it_was_made_for() {
    assert!(refused(json!({"aud": ["doorward", "other"]})));
    assert!(accepted(json!({"aud": ["doorward", "other"], "azp": "doorward"})));
    for azp in [json!("other"), json!(1), json!(["doorward"])] {
        assert!(refused(json!({"azp": azp.clone()})), "{azp}");
        assert!(refused(json!({"aud": ["doorward", "other"], "azp": azp.clone()})), "{azp}");
    }
}

#[test]
fn a_token_lives_until_exp_and_two_minutes_for_clocks_that_differ() {
    assert!(accepted(json!({"exp": NOW.0 - 119})));
    assert_eq!(verdict(json!({"exp": NOW.0 - 120})), Err(Code::TokenExpired));
    assert!(refused(json!({"exp": null})) && refused(json!({"exp": "9999999999"})));
}

#[test]
fn a_provider_whose_clock_is_ahead_is_told_so_in_seconds() {
    assert!(accepted(json!({"iat": NOW.0 + 120})));
    for name in ["iat", "nbf"] {
        assert!(refused(json!({name: NOW.0 + 121})), "{name}");
    }
    assert!(refused(json!({"iat": null})));
    let denial = check_not_ahead(UnixTime(NOW.0 + 180), NOW).unwrap_err();
    assert!(denial.detail.contains("180 s ahead"));
}

#[test]
fn the_nonce_of_another_attempt_is_refused() {
    for nonce in [json!("x"), json!(attempt().state.expose()), json!(7), json!(""), Value::Null] {
        assert!(refused(json!({"nonce": nonce.clone()})), "{nonce}");
    }
}

#[test]
fn the_access_token_must_be_the_one_of_the_hash() {
    // left half of SHA-256 and of SHA-512, as two different libraries make them
    let half = |digest: &[u8]| URL_SAFE_NO_PAD.encode(&digest[..digest.len() / 2]);
    let (short, long) = (half(&Sha256::digest(ACCESS)), half(&Sha512::digest(ACCESS)));
    assert!(accepted(json!({"at_hash": short})));
    for wrong in [json!(long), json!(half(&Sha256::digest(b"another"))), json!(""), json!(7), json!(null)] {
        let present = !wrong.is_null();
        assert_eq!(refused(json!({"at_hash": wrong})), present);
    }
    let with_ed25519 =
        |hash: &str| sign_in(&token(Algorithm::EdDSA, "ed25519", &claims(json!({"at_hash": hash}))), None);
    assert!(with_ed25519(&long).is_ok() && with_ed25519(&short).is_err());
    assert!(renewal(&rs256(&claims(json!({"at_hash": long})))).is_err(), "after a refresh too");
}

#[test]
fn the_hash_is_that_of_the_example_in_the_standard() {
    // OpenID Connect Core appendix A.3
    let access = b"jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let claims = json!({"at_hash": "77QmUPtjPfzWtF2AnpK9RQ"});
    assert!(check_hash(claims.as_object().unwrap(), Algorithm::RS256, access).is_ok());
}

#[test]
fn a_sign_in_older_than_wanted_is_refused() {
    let aged = |auth_time: Value, max_age| sign_in(&rs256(&claims(json!({"auth_time": auth_time}))), max_age).is_ok();
    let five = Some(Duration::from_secs(300));
    assert!(aged(json!(NOW.0 - 420), five), "two minutes for clocks");
    assert!(!aged(json!(NOW.0 - 421), five));
    assert!(!aged(json!(NOW.0 + 121), five), "nobody signs in in the future");
    assert!(!aged(Value::Null, five), "asked for and not answered");
    assert!(aged(Value::Null, None) && aged(json!(1), None));
    assert!(!aged(json!("yesterday"), None), "a time that is none");
}

#[test]
fn a_subject_is_a_name_of_at_most_255_bytes() {
    for sub in [json!(""), json!("x".repeat(256)), json!("a\nb"), json!(7), Value::Null] {
        assert!(refused(json!({"sub": sub.clone()})), "{sub}");
    }
    assert!(verdict(json!({"sub": "x".repeat(255)})).is_ok());
}

#[test]
fn tokens_made_for_another_purpose_are_refused() {
    assert!(refused(json!({"events": {}})));
    for typ in ["at+jwt", "logout+jwt", "secevent+jwt", "dpop+jwt"] {
        let header = json!({"alg": "RS256", "kid": "rsa-a", "typ": typ}).to_string();
        let token = signed(&header, claims(json!({})).to_string(), Algorithm::RS256, "rsa-a");
        assert!(sign_in(&token, None).is_err(), "{typ}");
    }
}

#[test]
fn a_refreshed_token_is_for_the_same_user_and_needs_no_nonce() {
    assert!(renewal(&rs256(&claims(json!({"nonce": null})))).is_ok());
    assert!(renewal(&rs256(&claims(json!({"nonce": "of the first sign-in"})))).is_ok());
    assert!(renewal(&rs256(&claims(json!({"sub": "bob"})))).is_err());
}

#[test]
fn debug_output_shows_no_access_token() {
    let occasion = Occasion::Refresh { subject: "alice", access_token: ACCESS };
    assert_eq!(format!("{occasion:?}"), "Refresh(..)");
}
