use super::super::fixture::{document, ISSUER};
use super::*;
use serde_json::json;

const BASE: &str = "https://id.example.com";

fn https(url: &Url) -> bool {
    url.scheme() == "https"
}

fn parse(document: &Value) -> Result<Metadata, Unusable> {
    Metadata::parse(document.to_string().as_bytes(), ISSUER, https)
}

/// The usual document with one member set; `null` takes it away.
fn with(name: &str, value: Value) -> Value {
    let mut document = document(ISSUER, BASE);
    let members = document.as_object_mut().unwrap();
    match value {
        Value::Null => members.remove(name),
        value => members.insert(name.to_owned(), value),
    };
    document
}

#[test]
fn the_usual_document_gives_all_that_is_needed() {
    let metadata = parse(&document(ISSUER, BASE)).unwrap();
    assert_eq!(metadata.authorization_endpoint.as_str(), "https://id.example.com/authorize");
    assert_eq!(metadata.token_endpoint.as_str(), "https://id.example.com/token");
    assert_eq!(metadata.userinfo_endpoint.unwrap().path(), "/userinfo");
    assert_eq!(metadata.revocation_endpoint.unwrap().path(), "/revoke");
    assert_eq!(metadata.end_session_endpoint.unwrap().path(), "/logout");
    assert_eq!(metadata.client_auth, [ClientAuth::Basic, ClientAuth::Post]);
    assert!(metadata.names_itself);
}

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    for other in ["https://id.example.com", "https://ID.example.com/", "https://id.example.com//", ""] {
        assert_eq!(parse(&with("issuer", json!(other))), Err(Unusable("names another issuer")), "{other}");
    }
    assert_eq!(parse(&with("issuer", Value::Null)), Err(Unusable("names another issuer")));
}

#[test]
fn none_and_shared_secrets_are_never_among_the_algorithms() {
    let algorithms = |listed: Value| {
        parse(&with("id_token_signing_alg_values_supported", listed)).map(|metadata| metadata.algorithms)
    };
    assert_eq!(algorithms(json!(["none", "HS256", "ES256", "RS512"])), Ok(vec![Algorithm::ES256]));
    assert_eq!(algorithms(json!(["Ed25519"])), Ok(vec![Algorithm::EdDSA]));
    assert_eq!(algorithms(Value::Null), Ok(vec![Algorithm::RS256]));
    for nothing in [json!(["none"]), json!(["HS256"]), json!([]), json!([1])] {
        assert!(algorithms(nothing.clone()).is_err(), "{nothing}");
    }
}

#[test]
fn a_provider_that_lists_pkce_without_s256_is_refused() {
    let methods = |listed| parse(&with("code_challenge_methods_supported", listed));
    assert_eq!(methods(json!(["plain"])), Err(Unusable("offers no PKCE with S256")));
    assert!(methods(json!([])).is_err());
    assert!(methods(Value::Null).is_ok(), "Entra has it and does not say so");
}

#[test]
fn every_endpoint_must_be_one_that_may_be_called() {
    let names = [
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "revocation_endpoint",
        "end_session_endpoint",
    ];
    for name in names {
        for wrong in
            [json!("http://id.example.com/x"), json!("/x"), json!(""), json!(7), json!("https://id.example.com/x#y")]
        {
            assert!(parse(&with(name, wrong.clone())).is_err(), "{name} {wrong}");
        }
    }
    for (name, needed) in names.into_iter().zip([true, true, false, false, false]) {
        assert_eq!(parse(&with(name, Value::Null)).is_err(), needed, "{name}");
    }
}

#[test]
fn client_authentication_is_basic_unless_the_document_says_otherwise() {
    let ways = |listed| parse(&with("token_endpoint_auth_methods_supported", listed)).unwrap().client_auth;
    assert_eq!(ways(Value::Null), [ClientAuth::Basic]);
    assert_eq!(ways(json!(["client_secret_post"])), [ClientAuth::Post]);
    assert_eq!(ways(json!(["private_key_jwt"])), []);
}

#[test]
fn only_a_plain_true_says_that_answers_name_the_issuer() {
    for (value, expected) in [(json!(true), true), (json!("true"), false), (json!(false), false), (Value::Null, false)]
    {
        let name = "authorization_response_iss_parameter_supported";
        assert_eq!(parse(&with(name, value)).unwrap().names_itself, expected);
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_not_read() {
    let text = document(ISSUER, BASE).to_string();
    let doubled = text.replacen('{', r#"{"issuer":"https://evil.example.com/","#, 1);
    for wrong in [doubled.as_str(), "<html>", "[]", "", "null"] {
        assert_eq!(
            Metadata::parse(wrong.as_bytes(), ISSUER, https),
            Err(Unusable("is no strict JSON object")),
            "{wrong}"
        );
    }
}
