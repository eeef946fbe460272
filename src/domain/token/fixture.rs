//! For tests: an issuer, its keys, and tokens signed with them.

use super::issuer::Issuer;
use super::jose::Unverified;
use super::keys::KeySet;
use super::verify::{verify, Rejection};
use crate::domain::denial::Code;
use crate::domain::principal::{Principal, SourceName};
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{json, Value};
use std::time::Duration;

/// The moment of every test.
pub(crate) const NOW: UnixTime = UnixTime(1_800_000_000);
pub(crate) const JWKS: &str = include_str!("../../../tests/keys/jwks.json");
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

pub(crate) const ALL: [(Algorithm, &str); 6] = [
    (Algorithm::RS256, "rsa-a"),
    (Algorithm::PS256, "rsa-a"),
    (Algorithm::ES256, "p256"),
    (Algorithm::ES384, "p384"),
    (Algorithm::EdDSA, "ed25519"),
    (Algorithm::RS512, "rsa-b"),
];

pub(crate) fn issuer() -> Issuer {
    Issuer {
        name: SourceName::new("id"),
        issuer: "https://id.example.com/".to_owned(),
        audience: vec!["api".to_owned(), "other-api".to_owned()],
        algorithms: ALL.iter().map(|(algorithm, _)| *algorithm).collect(),
        leeway: Duration::from_secs(30),
        max_token_life: Duration::from_secs(24 * 3600),
        claims: Vec::new(),
        trust_email: false,
    }
}

pub(crate) fn keys() -> KeySet {
    KeySet::from_jwks(JWKS.as_bytes()).unwrap()
}

/// The public key of that name, as it stands in the set.
pub(crate) fn jwk(kid: &str) -> Value {
    let set: Value = serde_json::from_str(JWKS).unwrap();
    set["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid).unwrap().clone()
}

/// A set of just these keys.
pub(crate) fn set_of(keys: &[Value]) -> KeySet {
    KeySet::from_jwks(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://id.example.com/", "aud": "api", "sub": "u1",
        "exp": NOW.0 + 600, "iat": NOW.0 - 10, "roles": ["admin", "user"], "scope": "read write",
    })
}

/// [`claims`] with these members set; `null` takes one away.
pub(crate) fn claims_with(changes: Value) -> Value {
    let (Value::Object(mut claims), Value::Object(changes)) = (claims(), changes) else { panic!("no object") };
    for (name, value) in changes {
        match value {
            Value::Null => claims.remove(&name),
            value => claims.insert(name, value),
        };
    }
    Value::Object(claims)
}

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token as its issuer makes it.
pub(crate) fn token(algorithm: Algorithm, kid: &str, claims: &Value) -> String {
    let header = json!({ "alg": format!("{algorithm:?}"), "kid": kid, "typ": "JWT" });
    signed(&header.to_string(), claims.to_string(), algorithm, kid)
}

/// The usual token with these claims.
pub(crate) fn rs256(claims: &Value) -> String {
    token(Algorithm::RS256, "rsa-a", claims)
}

/// Any header and payload, well signed by the private key of file `key`.
pub(crate) fn signed(header: &str, payload: impl AsRef<[u8]>, algorithm: Algorithm, key: &str) -> String {
    let input = format!("{}.{}", b64(header), b64(payload));
    format!("{input}.{}", jsonwebtoken::crypto::sign(input.as_bytes(), &private(key), algorithm).unwrap())
}

/// Signed with a secret.
pub(crate) fn hs256(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let input = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
    let key = EncodingKey::from_secret(secret);
    format!("{input}.{}", jsonwebtoken::crypto::sign(input.as_bytes(), &key, Algorithm::HS256).unwrap())
}

pub(crate) fn secret_keys() -> KeySet {
    KeySet::from_secret(&Secret::new(SECRET.to_vec()))
}

/// The whole way of a token.
pub(crate) fn accept(token: &str, issuer: &Issuer, keys: &KeySet) -> Result<Principal, Rejection> {
    let token = Unverified::parse(token).map_err(Rejection::Denied)?;
    verify(&token, issuer, keys, NOW)
}

/// What the usual issuer and keys make of `token`.
pub(crate) fn verdict(token: &str) -> Result<Principal, Code> {
    accept(token, &issuer(), &keys()).map_err(|rejection| rejection.into_denial().code)
}

fn private(name: &str) -> EncodingKey {
    let pem = match name {
        "rsa-a" => include_str!("../../../tests/keys/rsa-a.pem"),
        "rsa-b" => include_str!("../../../tests/keys/rsa-b.pem"),
        "rsa-weak" => include_str!("../../../tests/keys/rsa-weak.pem"),
        "p256" => include_str!("../../../tests/keys/p256.pem"),
        "p384" => include_str!("../../../tests/keys/p384.pem"),
        "ed25519" => include_str!("../../../tests/keys/ed25519.pem"),
        _ => panic!("no key {name}"),
    };
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).unwrap();
    match name.split('-').next() {
        Some("rsa") => EncodingKey::from_rsa_der(&der),
        Some("ed25519") => EncodingKey::from_ed_der(&der),
        _ => EncodingKey::from_ec_der(&der),
    }
}
