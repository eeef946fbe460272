//! An OpenID provider that does what it is told: refresh tokens that count once, delays, outages, and counts of it all.

use super::backend::{After, Backend};
use super::browser::Browser;
use super::client::Response;
use super::issuer::{self, RS256};
use super::seen::Seen;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::Engine;
use parking_lot::Mutex;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::time::Duration;

const CLIENT: (&str, &str) = ("the-gate", "the-secret");

#[derive(Clone)]
pub(crate) struct Provider {
    server: Backend,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    made: u64,
    codes: HashMap<String, Code>,
    /// Refresh tokens that count, and whose they are.
    live: HashMap<String, String>,
    /// Claims besides the usual.
    claims: Value,
    away: bool,
    stopped: bool,
    /// What it signs with, of `tests/keys`.
    key: &'static str,
    delay: Duration,
    /// Says when its token endpoint may answer.
    held: Option<Arc<Mutex<Receiver<()>>>>,
    counts: Counts,
}

#[derive(Clone)]
struct Code {
    sub: String,
    asked: HashMap<String, String>,
}

/// What the token endpoint was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) codes: u32,
    pub(crate) refreshes: u32,
    /// Of either, refused: spent, unknown, or not what the code was made for.
    pub(crate) refused: u32,
    pub(crate) revoked: u32,
}

impl Provider {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { key: RS256.1, ..State::default() }));
        let answers = Arc::clone(&state);
        let server = Backend::answering(move |seen, stream| {
            if answers.lock().stopped {
                return Err(ErrorKind::ConnectionReset.into());
            }
            let (status, body) = State::answer(&answers, seen);
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status} .\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{body}"
            )?;
            Ok(After::Close)
        });
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// A `[[provider]]` of that name.
    pub(crate) fn table(&self, name: &str) -> String {
        let (id, _) = CLIENT;
        format!(
            "[[provider]]\nname = {name:?}\nkind = \"oidc\"\nissuer = {:?}\nclient_id = {id:?}\n\
             client_secret = \"env:OIDC_SECRET\"\n\n",
            self.url()
        )
    }

    /// The variable that [`Self::table`] names.
    pub(crate) fn secret() -> (&'static str, &'static str) {
        ("OIDC_SECRET", CLIENT.1)
    }

    /// The user signs in and consents at this authorization URL: where the browser is sent back to.
    pub(crate) fn consent(&self, authorization_url: &str, sub: &str) -> String {
        let asked = query(authorization_url);
        let mut state = self.state.lock();
        let code = state.token("code");
        state.codes.insert(code.clone(), Code { sub: sub.to_owned(), asked: asked.clone() });
        drop(state);
        self.back(&asked, &[("code", &code)])
    }

    /// Signs `sub` in with this browser at the provider called `id`, from where it comes back to `/app/x`.
    pub(crate) fn sign_in(&self, browser: &mut Browser, sub: &str) -> Response {
        let sent = browser.visit("/.auth/login?provider=id&return_to=/app/x");
        let back = self.consent(sent.header("location").unwrap_or_else(|| panic!("{}", sent.text())), sub);
        browser.visit(back.strip_prefix("http://localhost").expect("our own origin"))
    }

    /// The user says no there.
    pub(crate) fn decline(&self, authorization_url: &str, error: &str) -> String {
        self.back(&query(authorization_url), &[("error", error), ("error_description", "they said <no>")])
    }

    fn back(&self, asked: &HashMap<String, String>, answer: &[(&str, &str)]) -> String {
        let iss = self.url();
        let pairs = [answer, &[("state", asked["state"].as_str()), ("iss", &iss)]].concat();
        format!("{}?{}", asked["redirect_uri"], super::browser::encoded(&pairs))
    }

    /// Nothing but 503 from now on, or everything again.
    pub(crate) fn away(&self, away: bool) {
        self.state.lock().away = away;
    }

    /// Connections end without a word from now on, or everything goes on.
    pub(crate) fn stopped(&self, stopped: bool) {
        self.state.lock().stopped = stopped;
    }

    /// Signs with this key of `tests/keys`, and publishes no other.
    pub(crate) fn rotates(&self, key: &'static str) {
        self.state.lock().key = key;
    }

    /// How often its keys were asked for.
    pub(crate) fn key_fetches(&self) -> usize {
        self.server.seen().iter().filter(|seen| seen.target() == "/jwks").count()
    }

    /// How long its token endpoint thinks, after it has spent what it was given.
    pub(crate) fn delays(&self, delay: Duration) {
        self.state.lock().delay = delay;
    }

    /// Its token endpoint answers nobody before the sender is gone, after it has spent what it was given.
    pub(crate) fn holds(&self) -> Sender<()> {
        let (sender, receiver) = channel();
        self.state.lock().held = Some(Arc::new(Mutex::new(receiver)));
        sender
    }

    /// Further members of every ID token from now on.
    pub(crate) fn claims(&self, claims: Value) {
        self.state.lock().claims = claims;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.lock().counts
    }

    /// A token for back-channel logout with these members besides the usual.
    pub(crate) fn logout_token(&self, members: Value) -> String {
        let mut state = self.state.lock();
        let usual = json!({
            "iss": self.url(), "aud": CLIENT.0, "iat": issuer::now(), "exp": issuer::now() + 120,
            "jti": state.token("logout"), "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        issuer::token(&issuer::with(&usual, members), (RS256.0, state.key))
    }

    /// Ends everything it has given to anybody.
    pub(crate) fn forget(&self) {
        self.state.lock().live.clear();
    }
}

impl State {
    fn answer(state: &Mutex<Self>, seen: &Seen) -> (u16, String) {
        let url = format!("http://{}", seen.header("host").unwrap_or_default());
        if state.lock().away {
            return (503, String::new());
        }
        match seen.target().as_str() {
            "/.well-known/openid-configuration" => (200, document(&url).to_string()),
            "/jwks" => (200, issuer::key_set(&[state.lock().key])),
            "/token" => {
                let form = form(seen);
                let (status, body, delay, held) = {
                    let mut state = state.lock();
                    let granted = if is_client(seen) { state.grant(&url, &form) } else { None };
                    state.counts.refused += u32::from(granted.is_none());
                    let refused = json!({ "error": "invalid_grant" });
                    (
                        if granted.is_some() { 200 } else { 400 },
                        granted.unwrap_or(refused),
                        state.delay,
                        state.held.clone(),
                    )
                };
                held.map(|held| held.lock().recv());
                std::thread::sleep(delay);
                (status, body.to_string())
            }
            "/revoke" => {
                let mut state = state.lock();
                state.counts.revoked += 1;
                let token = form(seen).remove("token").unwrap_or_default();
                state.live.remove(&token);
                (200, String::new())
            }
            _ => (404, String::new()),
        }
    }

    fn grant(&mut self, url: &str, form: &HashMap<String, String>) -> Option<Value> {
        let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        let (sub, nonce) = match said("grant_type") {
            "authorization_code" => {
                self.counts.codes += 1;
                let Code { sub, asked } = self.codes.remove(said("code"))?;
                let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(said("code_verifier")));
                let fits = asked["code_challenge"] == challenge && asked["redirect_uri"] == said("redirect_uri");
                fits.then_some((sub, Some(asked["nonce"].clone())))?
            }
            "refresh_token" => {
                self.counts.refreshes += 1;
                (self.live.remove(said("refresh_token"))?, None)
            }
            _ => return None,
        };
        let refresh = self.token("refresh");
        self.live.insert(refresh.clone(), sub.clone());
        let usual = json!({
            "iss": url, "aud": CLIENT.0, "sub": sub, "iat": issuer::now(), "exp": issuer::now() + 300,
            "email": format!("{sub}@id.test"), "email_verified": true,
        });
        let further = if self.claims.is_null() { json!({}) } else { self.claims.clone() };
        let claims = issuer::with(&issuer::with(&usual, json!({ "nonce": nonce })), further);
        let id_token = issuer::token(&claims, (RS256.0, self.key));
        Some(json!({
            "access_token": self.token("access"), "token_type": "Bearer", "expires_in": 300,
            "refresh_token": refresh, "id_token": id_token,
        }))
    }

    fn token(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}-{}", self.made)
    }
}

fn document(url: &str) -> Value {
    json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "revocation_endpoint": format!("{url}/revoke"),
        "end_session_endpoint": format!("{url}/end"),
        "jwks_uri": format!("{url}/jwks"),
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    })
}

fn is_client(seen: &Seen) -> bool {
    let (id, secret) = CLIENT;
    seen.header("authorization") == Some(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}"))))
}

fn form(seen: &Seen) -> HashMap<String, String> {
    form_urlencoded::parse(&seen.body).into_owned().collect()
}

/// The parameters of a URL, each of which stands there once.
pub(crate) fn query(url: &str) -> HashMap<String, String> {
    let (_, query) = url.split_once('?').unwrap_or_default();
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let count = pairs.len();
    let map: HashMap<String, String> = pairs.into_iter().collect();
    assert_eq!(map.len(), count, "a parameter twice in {url}");
    map
}
