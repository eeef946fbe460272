use super::super::fixture::{jwk, keys, set_of, SECRET};
use super::*;
use serde_json::json;

fn with(kid: &str, name: &str, value: Value) -> Value {
    let mut key = jwk(kid);
    key[name] = value;
    key
}

fn is_usable(key: &Value) -> bool {
    !set_of(std::slice::from_ref(key)).is_empty()
}

#[test]
fn keys_nobody_could_verify_with_are_left_out() {
    for key in [
        jwk("rsa-weak"),
        with("rsa-a", "use", json!("enc")),
        with("rsa-a", "key_ops", json!(["encrypt"])),
        with("rsa-a", "key_ops", json!("verify")),
        with("rsa-a", "alg", json!("RSA-OAEP")),
        with("rsa-a", "alg", json!("ES256")),
        with("rsa-a", "alg", json!(7)),
        with("rsa-a", "kid", json!(7)),
        with("rsa-a", "e", json!("AQ")),
        with("rsa-a", "e", json!("Ag")),
        with("rsa-a", "e", json!("")),
        with("rsa-a", "n", json!("not base64!")),
        with("rsa-a", "kty", json!("rsa")),
        with("p256", "crv", json!("P-384")),
        with("p256", "crv", json!("secp256k1")),
        with("p256", "x", json!("AA")),
        with("ed25519", "crv", json!("Ed448")),
        with("ed25519", "crv", json!("X25519")),
        json!({ "kty": "oct", "kid": "s", "k": b64(SECRET), "alg": "HS256" }),
        json!({ "kty": "AKP", "kid": "pq" }),
        json!({}),
    ] {
        assert!(!is_usable(&key), "{key}");
    }
}

#[test]
fn ordinary_keys_are_taken_however_much_they_say() {
    for kid in ["rsa-a", "p256", "p384", "ed25519"] {
        assert!(is_usable(&jwk(kid)), "{kid}");
        assert!(is_usable(&with(kid, "use", json!("sig"))), "{kid}");
        assert!(is_usable(&with(kid, "key_ops", json!(["sign", "verify"]))), "{kid}");
        assert!(is_usable(&with(kid, "d", json!("private members are not looked at"))), "{kid}");
    }
}

#[test]
fn one_bad_key_does_not_spoil_the_others() {
    let set = json!({ "keys": [7, null, "x", jwk("rsa-weak"), jwk("rsa-a")] });
    assert_eq!(KeySet::from_jwks(set.to_string().as_bytes()).unwrap().len(), 1);
}

#[test]
fn a_document_that_is_no_key_set_is_told_from_an_empty_one() {
    for text in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert_eq!(KeySet::from_jwks(text.as_bytes()), Err(Malformed::NotAKeySet), "{text}");
    }
    assert!(KeySet::from_jwks(br#"{"keys":[]}"#).unwrap().is_empty());
    assert_eq!(KeySet::from_jwks(&vec![b' '; MAX_DOCUMENT + 1]), Err(Malformed::TooLarge));
}

#[test]
fn a_hundred_keys_are_enough() {
    let many: Vec<Value> = (0..150).map(|at| with("ed25519", "kid", json!(format!("k{at}")))).collect();
    assert_eq!(set_of(&many).len(), 100);
}

#[test]
fn a_token_without_kid_costs_at_most_eight_keys() {
    let many: Vec<Value> = (0..50).map(|at| with("ed25519", "kid", json!(format!("k{at}")))).collect();
    assert_eq!(set_of(&many).find(None, Algorithm::EdDSA).count(), 8);
}

#[test]
fn a_kid_finds_its_own_key_only() {
    let mut nameless = jwk("p256");
    nameless.as_object_mut().unwrap().remove("kid");
    let set = set_of(&[jwk("rsa-a"), jwk("rsa-b"), nameless]);
    assert_eq!(set.find(Some("rsa-b"), Algorithm::RS256).count(), 1);
    assert_eq!(set.find(Some("rsa-c"), Algorithm::RS256).count(), 0);
    assert_eq!(set.find(Some("rsa-b"), Algorithm::ES256).count(), 0);
    assert_eq!(set.find(Some("p256"), Algorithm::ES256).count(), 0);
    assert_eq!(set.find(None, Algorithm::ES256).count(), 1);
}

#[test]
fn two_sets_are_equal_when_they_verify_the_same() {
    assert_eq!(keys(), keys());
    assert_eq!(set_of(&[jwk("rsa-a")]), set_of(&[with("rsa-a", "x5t", json!("ignored")), jwk("rsa-weak")]));
    assert_ne!(set_of(&[jwk("rsa-a")]), set_of(&[jwk("rsa-b")]));
    assert_ne!(set_of(&[jwk("rsa-a")]), set_of(&[with("rsa-a", "alg", json!("RS256"))]));
    assert_ne!(set_of(&[jwk("rsa-a")]), set_of(&[with("rsa-a", "kid", json!("other"))]));
}

#[test]
fn debug_output_never_shows_a_secret() {
    let shown = format!("{:?}", KeySet::from_secret(&Secret::new(SECRET.to_vec())));
    assert!(!shown.contains("0123") && !shown.contains("48, 49"), "{shown}");
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
