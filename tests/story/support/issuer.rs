//! An issuer of tokens: a key set on loopback that counts who asks, and tokens signed with the keys of `tests/keys`.

use super::backend::{After, Backend};
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine;
use jsonwebtoken::{Algorithm, EncodingKey};
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::io::Write;
use std::sync::Arc;

/// The public halves of every key in `tests/keys`.
const JWKS: &str = include_str!("../../keys/jwks.json");
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const AUDIENCE: &str = "api";

/// What tokens are signed with: an algorithm, and the name of a key in `tests/keys`.
pub(crate) const RS256: (Algorithm, &str) = (Algorithm::RS256, "rsa-a");
pub(crate) const ES256: (Algorithm, &str) = (Algorithm::ES256, "p256");
pub(crate) const HS256: (Algorithm, &str) = (Algorithm::HS256, "secret");

/// Answers discovery and the key set, for as long as it is not [`Self::away`].
pub(crate) struct Issuer {
    server: Backend,
    state: Arc<Mutex<State>>,
}

struct State {
    keys: String,
    away: bool,
}

impl Issuer {
    /// Publishes these keys of `tests/keys`.
    pub(crate) fn start(keys: &[&str]) -> Self {
        let state = Arc::new(Mutex::new(State { keys: key_set(keys), away: false }));
        let answers = Arc::clone(&state);
        let server = Backend::answering(move |seen, stream| {
            let State { keys, away } = &*answers.lock();
            let host = seen.header("host").unwrap_or_default();
            let body = match seen.target().as_str() {
                _ if *away => None,
                "/.well-known/openid-configuration" => Some(
                    json!({ "issuer": format!("http://{host}"), "jwks_uri": format!("http://{host}/jwks") })
                        .to_string(),
                ),
                "/jwks" => Some(keys.clone()),
                _ => None,
            };
            let (status, body) = body.map_or(("503 Service Unavailable", String::new()), |body| ("200 OK", body));
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
            Ok(After::Close)
        });
        Self { server, state }
    }

    /// Its `iss`, and where it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Publishes these keys instead.
    pub(crate) fn rotate(&self, keys: &[&str]) {
        self.state.lock().keys = key_set(keys);
    }

    /// Answers nothing but 503 from now on, or everything again.
    pub(crate) fn away(&self, away: bool) {
        self.state.lock().away = away;
    }

    /// How often the key set was asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.target() == "/jwks").count()
    }

    /// An `[[issuer]]` named `name` whose keys are found by discovery.
    pub(crate) fn table(&self, name: &str) -> String {
        table(name, &self.url(), "")
    }

    /// Claims of a token of this issuer for `sub` that is good for ten minutes.
    pub(crate) fn claims(&self, sub: &str) -> Value {
        claims(&self.url(), sub)
    }
}

/// An `[[issuer]]`; `keys` is the line that says where its keys are, "" for discovery.
pub(crate) fn table(name: &str, iss: &str, keys: &str) -> String {
    let algorithms = if keys.starts_with("secret") { r#"["HS256"]"# } else { r#"["RS256", "ES256"]"# };
    format!(
        "[[issuer]]\nname = {name:?}\nissuer = {iss:?}\naudience = [{AUDIENCE:?}]\nalgorithms = {algorithms}\n{keys}\n\n"
    )
}

pub(crate) fn now() -> u64 {
    doorward::observe::clock::now().0
}

/// The least a token says.
pub(crate) fn claims(iss: &str, sub: &str) -> Value {
    json!({ "iss": iss, "aud": AUDIENCE, "sub": sub, "iat": now() - 10, "exp": now() + 600 })
}

/// `claims` with these members changed; `null` takes one away.
pub(crate) fn with(claims: &Value, changes: Value) -> Value {
    let (Value::Object(mut claims), Value::Object(changes)) = (claims.clone(), changes) else { panic!("no object") };
    for (name, value) in changes {
        match value {
            Value::Null => claims.remove(&name),
            value => claims.insert(name, value),
        };
    }
    Value::Object(claims)
}

/// A token as its issuer makes it.
pub(crate) fn token(claims: &Value, (algorithm, key): (Algorithm, &str)) -> String {
    let header = json!({ "alg": format!("{algorithm:?}"), "kid": key, "typ": "JWT" });
    signed(&header, claims, (algorithm, key))
}

/// Any header and claims, well signed with that key whatever the header says.
pub(crate) fn signed(header: &Value, claims: &Value, (algorithm, key): (Algorithm, &str)) -> String {
    let input = unsigned(header, claims);
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &private(key), algorithm).unwrap();
    format!("{input}.{signature}")
}

/// Header and claims without a signature.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The public halves of these keys as a key set.
pub(crate) fn key_set(names: &[&str]) -> String {
    let all: Value = serde_json::from_str(JWKS).unwrap();
    let chosen = all["keys"].as_array().unwrap().iter().filter(|key| names.iter().any(|name| key["kid"] == *name));
    json!({ "keys": chosen.collect::<Vec<_>>() }).to_string()
}

fn private(name: &str) -> EncodingKey {
    // jsonwebtoken asks for one, and every test may be the first
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let pem = match name {
        "rsa-a" => include_str!("../../keys/rsa-a.pem"),
        "rsa-b" => include_str!("../../keys/rsa-b.pem"),
        "p256" => include_str!("../../keys/p256.pem"),
        "secret" => return EncodingKey::from_secret(SECRET.as_bytes()),
        _ => panic!("no key {name}"),
    };
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(base64).unwrap();
    if name.starts_with("rsa") {
        EncodingKey::from_rsa_der(&der)
    } else {
        EncodingKey::from_ec_der(&der)
    }
}
