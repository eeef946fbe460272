use super::*;
use crate::config::{from_text, Secrets, World};
use crate::domain::request::RawHead;
use crate::domain::token::fixture::{claims_with, hs256, keys, rs256, token, NOW};
use crate::pipeline::Desk;
use crate::ports::{KeySource, Keys, Looked};
use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, LazyLock};

/// Where the keys of the issuer are.
const BY_FILE: &str = r#"jwks_file = "jwks.json""#;
const BY_DISCOVERY: &str = "";

static WITH_KEYS: LazyLock<Settings> = LazyLock::new(|| settings(BY_FILE));
static WITHOUT_KEYS: LazyLock<Settings> = LazyLock::new(|| settings(BY_DISCOVERY));

const FILE: &str = r#"
[[upstream]]
name = "app"
url  = "http://127.0.0.1:3000"

[[route]]
path   = "/public/**"
access = "public"
websocket = false

[[route]]
path   = "/optional"
access = "optional"
cors   = { origins = ["https://a.example"], methods = ["PUT"] }

[[route]]
path  = "/admin/**"
roles = ["admin"]
from  = ["id"]

[[route]]
path   = "/write"
methods = ["POST"]
scopes = ["write", "read"]

[[route]]
path = "/files/**"
access = "authenticated"
encoded_slash = "keep"
strip_prefix  = "/files"

[[route]]
host = "app.example.com"
path = "/**"
when = 'claims.sub.startsWith("u") && request.path != "/closed"'
"#;

fn settings(keys: &str) -> Settings {
    let issuer = format!(
        "[[issuer]]\nname = \"id\"\nissuer = \"https://id.example.com/\"\naudience = [\"api\", \"other-api\"]\n\
         algorithms = [\"RS256\"]\n{keys}\n"
    );
    let world = World { env: &|_| None, secrets: Secrets::Literal };
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys");
    from_text(&format!("{issuer}{FILE}"), &base, &world).unwrap().settings
}

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let parsed = |(name, value): &(&str, &str)| (HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    headers.iter().map(parsed).collect()
}

fn ask(keys: &str, request: (&str, &str), token: Option<&str>, claims: Option<&Value>) -> (String, bool) {
    let settings = settings(keys);
    let offline = Offline::new(&settings, NOW).unwrap();
    let mut question = Question::new(request.0, request.1, HeaderMap::new()).unwrap();
    if let Some(token) = token {
        question.bear(token).unwrap();
    }
    let finding = offline.ask(question, claims.map(claimed)).unwrap();
    (finding.name().to_owned(), finding.unchecked.is_some())
}

fn claimed(claims: &Value) -> Claimed {
    Claimed { claims: claims.as_object().unwrap().clone(), from: None }
}

/// Everything about a verdict that a caller, a backend or an operator could see.
#[derive(Debug, PartialEq)]
struct Seen {
    status: Option<u16>,
    denial: Option<Denial>,
    identity: Vec<(HeaderName, HeaderValue)>,
    route: Option<usize>,
    target: Option<String>,
}

fn seen(gate: &Gate, verdict: &Result<Permit, Answer>) -> Seen {
    match verdict {
        Ok(permit) => Seen {
            status: None,
            denial: None,
            identity: gate.identity_of(permit).to_vec(),
            route: Some(permit.route()),
            target: permit.target().map(ToString::to_string),
        },
        Err(answer) => Seen {
            status: Some(answer.status()),
            denial: answer.denial().cloned(),
            identity: Vec::new(),
            route: answer.route,
            target: None,
        },
    }
}

/// What the gate with the true keys says to a request that carries the true token.
fn truth(method: &Method, target: &str, headers: &HeaderMap) -> Seen {
    let settings = &*WITH_KEYS;
    let keys = Arc::new(Keys { set: keys(), generation: 7 });
    let terms = Arc::clone(&settings.issuers[0].issuer);
    let gate = app::gate(settings, vec![Desk { terms, keys: Arc::new(Fixed(keys)) }], None, None);
    let head =
        RawHead { version: Version::HTTP_11, method, target: target.as_bytes(), authority: None, headers, wire: None };
    let arrival = Arrival { head, peer: Peer { ip: Some(CALLER), trusted: false, tls: false }, now: NOW };
    let verdict = Builder::new_current_thread().build().unwrap().block_on(gate.admit(&arrival));
    seen(&gate, &verdict)
}

#[derive(Debug)]
struct Fixed(Arc<Keys>);

#[async_trait]
impl KeySource for Fixed {
    fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.0)
    }

    fn generation(&self) -> u64 {
        self.0.generation
    }

    async fn look_for_new_keys(&self, _: u64) -> Looked {
        Looked::Unknown
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Four ways to ask: with the keys at hand, with keys that are elsewhere, with the claims alone, and the truth.
    #[test]
    fn the_verdict_is_the_one_of_the_running_gate(
        method in select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PURGE"]),
        host in select(vec!["localhost", "app.example.com", "APP.example.com:8080", "a@b", "other.example.com."]),
        target in select(vec![
            "/public/x", "/public/../admin/", "/optional", "/admin", "/%61dmin/x?y=1", "/write", "/files/a%2Fb",
            "/public/a%2fb", "/admin/%2e%2e/", "/closed", "/nowhere", "/.auth/login", "//admin//x", "/files",
        ]),
        extra in select(vec![
            &[][..],
            &[("origin", "https://a.example"), ("access-control-request-method", "PUT")],
            &[("origin", "https://b.example"), ("access-control-request-method", "PUT")],
            &[("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13"),
              ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")],
            &[("content-length", "3"), ("transfer-encoding", "chunked")],
            &[("x-auth-subject", "root")],
        ]),
        changes in select(vec![
            json!({}), json!({"roles": "user"}), json!({"scope": "read"}), json!({"aud": "somebody-else"}),
            json!({"exp": NOW.0 - 31}), json!({"exp": NOW.0 - 29}), json!({"sub": "v\u{e9}ra, 1"}),
            json!({"iss": "https://id.example.com"}), json!({"nbf": NOW.0 + 100}), json!({"events": {}}),
            json!({"email": "a@b.c", "email_verified": true}), json!({"roles": [1]}), json!({"exp": "soon"}),
        ]),
        anonymous in prop::bool::weighted(0.2),
    ) {
        let claims = claims_with(changes);
        let signed = rs256(&claims);
        let mut sent = map(extra);
        sent.insert("host", host.parse().unwrap());
        if !anonymous {
            sent.insert(AUTHORIZATION, format!("Bearer {signed}").parse().unwrap());
        }
        let truth = truth(&Method::from_bytes(method.as_bytes()).unwrap(), target, &sent);

        let question = || Question::new(method, target, sent.clone()).unwrap();
        for settings in [&WITH_KEYS, &WITHOUT_KEYS] {
            let offline = Offline::new(settings, NOW).unwrap();
            let finding = offline.ask(question(), None).unwrap();
            prop_assert_eq!(&seen(finding.gate, &finding.verdict), &truth);
            prop_assert_eq!(finding.route.map(|route| route.index), truth.route);
        }
        if !anonymous {
            let offline = Offline::new(&WITHOUT_KEYS, NOW).unwrap();
            let mut question = question();
            question.headers.remove(AUTHORIZATION);
            let finding = offline.ask(question, Some(claimed(&claims))).unwrap();
            prop_assert_eq!(&seen(finding.gate, &finding.verdict), &truth);
        }
    }
}

#[test]
fn a_signature_is_checked_with_the_keys_that_are_at_hand() {
    let forged = token(Algorithm::RS512, "rsa-b", &claims_with(json!({})));
    let forged = forged.replacen(forged.split('.').next().unwrap(), rs256(&json!({})).split('.').next().unwrap(), 1);
    assert_eq!(ask(BY_FILE, ("GET", "/admin"), Some(&forged), None), ("token_invalid".to_owned(), false));
}

#[test]
fn a_signature_that_cannot_be_checked_is_said_to_be_unchecked() {
    let signed = rs256(&claims_with(json!({})));
    assert_eq!(ask(BY_DISCOVERY, ("GET", "/admin"), Some(&signed), None), ("allow".to_owned(), true));
    assert_eq!(ask(BY_FILE, ("GET", "/admin"), Some(&signed), None), ("allow".to_owned(), false));
}

#[test]
fn an_algorithm_the_issuer_does_not_use_is_refused_with_and_without_keys() {
    let claims = claims_with(json!({}));
    for signed in [token(Algorithm::ES256, "p256", &claims), hs256(&json!({"alg": "HS256"}), &claims, b"guessed")] {
        for keys in [BY_FILE, BY_DISCOVERY] {
            let (verdict, unchecked) = ask(keys, ("GET", "/admin"), Some(&signed), None);
            assert_eq!((verdict.as_str(), unchecked), ("token_invalid", false));
        }
    }
}

#[test]
fn claims_need_to_say_only_what_the_policy_is_about() {
    let verdict = |claims| ask(BY_DISCOVERY, ("GET", "/admin"), None, Some(&claims)).0;
    assert_eq!(verdict(json!({"roles": ["admin"]})), "allow");
    assert_eq!(verdict(json!({})), "forbidden");
    assert_eq!(verdict(json!({"roles": ["admin"], "exp": 1})), "token_expired");
    assert_eq!(verdict(json!({"roles": ["admin"], "exp": null})), "token_invalid");
    assert_eq!(verdict(json!({"roles": ["admin"], "sub": ""})), "token_invalid");
    assert_eq!(verdict(json!({"roles": ["admin"], "iss": "https://nobody.example"})), "token_invalid");
}

#[test]
fn claims_are_those_of_the_token_before_they_are_mapped() {
    let keys = "claims = { roles = \"realm.roles\", sub = \"uid\" }";
    let verdict = |claims| ask(keys, ("GET", "/admin"), None, Some(&claims)).0;
    assert_eq!(verdict(json!({"realm": {"roles": ["admin"]}})), "allow");
    assert_eq!(verdict(json!({"roles": ["admin"]})), "forbidden");
}

#[test]
fn claims_nobody_can_be_found_for_are_not_guessed_at() {
    let settings = settings("[[issuer]]\nname = \"second\"\nissuer = \"https://second.example\"\naudience = [\"api\"]\nalgorithms = [\"ES256\"]");
    let offline = Offline::new(&settings, NOW).unwrap();
    let verdict = |claims: Value, from: Option<&str>| {
        let claimed = Claimed { from: from.map(str::to_owned), ..claimed(&claims) };
        let question = Question::new("GET", "/admin", HeaderMap::new()).unwrap();
        offline.ask(question, Some(claimed)).map(|finding| finding.name())
    };
    let roles = json!({"roles": ["admin"]});
    assert!(verdict(roles.clone(), None).unwrap_err().contains("Several issuers"));
    assert!(verdict(roles.clone(), Some("third")).unwrap_err().contains("\"third\""));
    assert_eq!(verdict(roles.clone(), Some("id")), Ok("allow"));
    assert_eq!(verdict(roles, Some("second")), Ok("forbidden"));
    let named = json!({"roles": ["admin"], "iss": "https://id.example.com/"});
    assert_eq!(verdict(named.clone(), None), Ok("allow"));
    assert!(verdict(named, Some("second")).unwrap_err().contains("another issuer"));
}

#[test]
fn a_caller_of_two_credentials_is_not_asked_about() {
    let settings = settings(BY_FILE);
    let offline = Offline::new(&settings, NOW).unwrap();
    let question = Question::new("GET", "/admin", map(&[("authorization", "Bearer x")])).unwrap();
    assert!(offline.ask(question, Some(claimed(&json!({})))).is_err());
}

#[test]
fn two_authorization_headers_stay_two() {
    let settings = settings(BY_DISCOVERY);
    let offline = Offline::new(&settings, NOW).unwrap();
    let signed = format!("Bearer {}", rs256(&claims_with(json!({}))));
    let headers = map(&[("authorization", &signed), ("authorization", "Bearer x")]);
    let finding = offline.ask(Question::new("GET", "/admin", headers).unwrap(), None).unwrap();
    assert_eq!(finding.name(), "bad_request");
}

#[test]
fn a_url_is_taken_apart_and_not_tidied_up() {
    let read = |url: &str| {
        let question = Question::new("GET", url, HeaderMap::new()).unwrap();
        (question.headers["host"].to_str().unwrap().to_owned(), question.target, question.tls)
    };
    let is = |host: &str, target: &str, tls| (host.to_owned(), target.to_owned(), tls);
    assert_eq!(read("/a/../b?c=https://d"), is("localhost", "/a/../b?c=https://d", false));
    assert_eq!(read("HTTPS://App.example.com:8443/%61//b"), is("App.example.com:8443", "/%61//b", true));
    assert_eq!(read("http://app.example.com?x"), is("app.example.com", "/?x", false));
    assert_eq!(read("http://user@host"), is("user@host", "/", false));
    for url in ["", "a", "a:80", "ftp://a/", "*"] {
        assert!(Question::new("GET", url, HeaderMap::new()).is_err(), "{url:?}");
    }
    assert!(Question::new("G T", "/", HeaderMap::new()).is_err());
    assert!(Question::new("GET", "http://a/", map(&[("host", "b")])).is_err());
}

#[test]
fn what_only_the_bytes_on_the_wire_show_is_seen() {
    assert_eq!(ask(BY_FILE, ("GET", "/public/x#y"), None, None).0, "bad_path");
    assert_eq!(ask(BY_FILE, ("GET", "/public/x\ty"), None, None).0, "bad_framing");
}
