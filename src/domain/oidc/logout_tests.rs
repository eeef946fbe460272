use super::super::fixture::{metadata, settings, ISSUER, NOW};
use super::*;
use crate::domain::token::fixture::{jwk, keys, rs256, set_of, signed, token};
use jsonwebtoken::Algorithm;
use serde_json::json;
use std::collections::HashMap;

fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "doorward", "iat": NOW.0, "exp": NOW.0 + 120, "jti": "j1", "sid": "s1", "sub": "alice",
        "events": { EVENT: {} },
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

fn check(token: &str) -> Result<LogoutToken, Code> {
    LogoutToken::check(token, &metadata(), &settings(), &keys(), NOW).map_err(|rejection| rejection.into_denial().code)
}

fn verdict(changes: Value) -> Result<LogoutToken, Code> {
    check(&rs256(&claims(changes)))
}

fn refused(changes: Value) -> bool {
    verdict(changes) == Err(Code::TokenInvalid)
}

#[test]
fn a_logout_ends_a_session_or_everything_of_a_user() {
    let ends = |changes| verdict(changes).map(|token| token.ends);
    let session = |subject: Option<&str>| Ends::Session { sid: "s1".to_owned(), subject: subject.map(str::to_owned) };
    assert_eq!(ends(json!({})), Ok(session(Some("alice"))));
    assert_eq!(ends(json!({"sub": null})), Ok(session(None)));
    assert_eq!(ends(json!({"sid": null})), Ok(Ends::Everything { subject: "alice".to_owned() }));
    assert!(refused(json!({"sid": null, "sub": null})));
}

#[test]
fn its_type_is_its_own_or_none_at_all() {
    let typed = |typ: Value| {
        let mut header = json!({"alg": "RS256", "kid": "rsa-a"});
        if !typ.is_null() {
            header["typ"] = typ;
        }
        check(&signed(&header.to_string(), claims(json!({})).to_string(), Algorithm::RS256, "rsa-a"))
    };
    for good in [json!("logout+jwt"), json!("application/logout+jwt"), json!("LOGOUT+JWT"), json!("JWT"), Value::Null] {
        assert!(typed(good.clone()).is_ok(), "{good}");
    }
    for other in [json!("at+jwt"), json!("secevent+jwt"), json!("id_token+jwt"), json!(""), json!(7)] {
        assert!(typed(other.clone()).is_err(), "{other}");
    }
}

#[test]
fn an_id_token_is_no_logout_token() {
    assert!(refused(json!({"nonce": "n"})));
    for events in [Value::Null, json!({}), json!([EVENT]), json!(EVENT), json!({ EVENT: true }), json!({"other": {}})] {
        assert!(refused(json!({"events": events.clone()})), "{events}");
    }
    assert!(verdict(json!({"events": { EVENT: {}, "other": {} }})).is_ok());
}

#[test]
fn a_logout_of_somebody_elses_is_refused() {
    for iss in [json!("https://id.example.com"), json!("https://evil.example.com/"), Value::Null] {
        assert!(refused(json!({"iss": iss.clone()})), "{iss}");
    }
    for aud in [json!("other"), json!(["other"]), Value::Null] {
        assert!(refused(json!({"aud": aud.clone()})), "{aud}");
    }
}

#[test]
fn a_logout_is_made_when_it_is_sent() {
    assert!(verdict(json!({"iat": NOW.0 - 120})).is_ok());
    assert_eq!(verdict(json!({"iat": NOW.0 - 121})), Err(Code::TokenExpired));
    assert!(verdict(json!({"iat": NOW.0 + 120})).is_ok());
    assert!(refused(json!({"iat": NOW.0 + 121})) && refused(json!({"iat": null})));
    assert_eq!(verdict(json!({"exp": NOW.0 - 120})), Err(Code::TokenExpired));
    assert!(verdict(json!({"exp": null})).is_ok(), "older providers send none");
    assert!(refused(json!({"exp": "soon"})));
}

#[test]
fn a_logout_has_a_name_so_that_it_counts_once() {
    for jti in [Value::Null, json!(""), json!(7), json!("x".repeat(256))] {
        assert!(refused(json!({"jti": jti.clone()})), "{jti}");
    }
    let token = verdict(json!({"iat": NOW.0 - 20})).unwrap();
    assert_eq!(token.jti, "j1");
    let at =
        |now| LogoutToken::check(&rs256(&claims(json!({"iat": NOW.0 - 20}))), &metadata(), &settings(), &keys(), now);
    assert!(at(token.over).is_err() && at(UnixTime(token.over.0 - 1)).is_ok(), "remembered just as long as it counts");
}

#[test]
fn its_signature_is_checked_like_any_other() {
    let forged = rs256(&claims(json!({}))).replace("eyJh", "eyJi");
    assert!(check(&forged).is_err());
    assert!(check(&token(Algorithm::ES384, "p384", &claims(json!({})))).is_err());
    let unknown =
        LogoutToken::check(&rs256(&claims(json!({}))), &metadata(), &settings(), &set_of(&[jwk("p256")]), NOW);
    assert!(matches!(unknown, Err(Rejection::UnknownKey)));
}

fn query(sign_out: &SignOut<'_>) -> HashMap<String, String> {
    let url = end_session_url(&metadata(), "doorward", sign_out).unwrap();
    url.query_pairs().into_owned().collect()
}

#[test]
fn the_browser_is_sent_to_sign_out_with_what_is_known() {
    let id_token = Secret::new(b"h.p.s".to_vec());
    let back = "https://app.example.com/.auth/logout?done=1&x=y";
    let all = query(&SignOut { id_token: Some(&id_token), back_to: Some(back), state: Some("s&t") });
    assert_eq!(all["id_token_hint"], "h.p.s");
    assert_eq!((all["post_logout_redirect_uri"].as_str(), all["state"].as_str()), (back, "s&t"));
    assert_eq!(query(&SignOut::default()), HashMap::from([("client_id".to_owned(), "doorward".to_owned())]));
}

#[test]
fn a_hint_too_long_for_a_request_line_stays_here() {
    let long = Secret::new(vec![b'x'; MAX_HINT + 1]);
    let query = query(&SignOut { id_token: Some(&long), ..SignOut::default() });
    assert!(!query.contains_key("id_token_hint") && query.contains_key("client_id"));
}

#[test]
fn a_provider_without_a_place_to_sign_out_has_none() {
    let mut metadata = metadata();
    metadata.end_session_endpoint = None;
    assert_eq!(end_session_url(&metadata, "doorward", &SignOut::default()), None);
}
