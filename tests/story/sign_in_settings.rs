//! What the file says of sessions, tokens, devices and pages has an effect: the keys that no other story turns.

use super::support::backend::Backend;
use super::support::browser::{encoded, json, set_cookies, Browser, SCRIPT};
use super::support::eventually;
use super::support::gate::Gate;
use super::support::people::{self, LOCAL, ROUTES};
use super::support::provider::{query, Provider};
use super::support::redis::Redis;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::Value;

const ANOTHER: &str = "User-Agent: curl/8.0\r\nAccept-Language: zz\r\n";

fn alice_with(tables: &str) -> (Gate, Browser) {
    let gate = people::house(&Backend::echo(), tables);
    let browser = Browser::signed_in(&gate, "alice");
    (gate, browser)
}

/// The verdict on that session in the hand of somebody with another browser.
fn elsewhere(owner: &Browser) -> String {
    let mut thief = Browser { device: ANOTHER.to_owned(), ..owner.clone() };
    let answer = thief.get("/app/x");
    if answer.status == 200 {
        "200".to_owned()
    } else {
        answer.verdict()
    }
}

/// The header of a token.
fn header(token: &str) -> Value {
    let first = token.split('.').next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    serde_json::from_slice(&first.expect("a JWT")).unwrap()
}

#[test]
fn a_session_may_be_called_by_another_name_and_ends_all_the_same() {
    for mode in ["jwt", "opaque"] {
        let backend = Backend::echo();
        let tables = format!("[tokens]\nsession_claim = \"session_id\"\n[session]\nmode = {mode:?}\n");
        let gate = people::house(&backend, &tables);
        let mut browser = Browser::signed_in(&gate, "alice");
        let session = browser.session();
        if mode == "jwt" {
            let access = browser.access();
            assert_eq!((&access["session_id"], &access["sid"]), (&session.as_str().into(), &Value::Null));
            let bearer = format!("{SCRIPT}Authorization: Bearer {}\r\n", browser.cookie("doorward").unwrap());
            assert_eq!(Browser::new(&gate).ask("GET", "/app/x", &bearer, "").status, 200);
        }
        assert_eq!(browser.get("/app/x").status, 200);
        assert_eq!(backend.last().header("x-auth-session"), Some(session), "{mode}");
        let mut copied = browser.clone();
        assert_eq!(browser.post("/.auth/logout").status, 204);
        assert_eq!(copied.get("/app/x").verdict(), "401 session_terminated", "{mode}");
    }
}

#[test]
fn tokens_are_meant_for_whom_the_file_says() {
    let (_gate, browser) = alice_with("[tokens]\naudience = [\"https://one.test\", \"two\"]\n");
    assert_eq!(browser.access()["aud"], serde_json::json!(["https://one.test", "two"]));
    let mut browser = browser;
    assert_eq!(browser.get("/app/x").status, 200);
}

#[test]
fn tokens_are_signed_with_the_algorithm_of_the_file() {
    for (algorithm, kty) in [("EdDSA", "OKP"), ("RS256", "RSA")] {
        let (_gate, mut browser) = alice_with(&format!("[keys]\nalgorithm = {algorithm:?}\n"));
        let said = header(browser.cookie("doorward").unwrap());
        let keys = json(&browser.get("/.well-known/jwks.json"));
        assert_eq!((said["alg"].as_str(), keys["keys"][0]["kty"].as_str()), (Some(algorithm), Some(kty)));
        assert_eq!(said["kid"], keys["keys"][0]["kid"]);
        assert_eq!(browser.get("/app/x").status, 200);
    }
}

#[test]
fn encrypted_claims_are_for_the_gate_alone_and_everything_else_goes_on() {
    let backend = Backend::echo();
    let head = "[tokens]\nreuse_grace = \"1s\"\n";
    let tables = |nesting: &str| [LOCAL, &backend.upstream("app"), ROUTES, head, nesting].concat();
    let gate = people::setup().start(&tables(""));
    let mut before = Browser::signed_in(&gate, "alice");
    assert!(gate.reload(&tables("nesting = \"jws_of_jwe\"\n")));
    assert_eq!(before.get("/app/x").status, 200, "a token from before counts on");
    let mut browser = Browser::signed_in(&gate, "alice");
    let token = browser.cookie("doorward").unwrap().to_owned();
    let said = header(&token);
    assert_eq!((&said["typ"], &said["cty"]), (&"at+jwt".into(), &"JWT".into()));
    let inside = String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
    assert_eq!((header(&inside)["alg"].as_str(), header(&inside)["enc"].as_str()), (Some("dir"), Some("A256GCM")));
    assert!(!inside.contains("alice"));
    assert_eq!((browser.get("/app/x").status, browser.who()), (200, "alice".to_owned()));
    assert_eq!(backend.last().header("x-auth-subject").as_deref(), Some("alice"));
    let bearer = format!("{SCRIPT}Authorization: Bearer {token}\r\n");
    assert_eq!(Browser::new(&gate).ask("GET", "/app/x", &bearer, "").status, 200);
    browser.forget_access();
    assert_eq!(browser.get("/app/x").status, 200, "renewed");
    let renewed = browser.cookie("doorward").unwrap().to_owned();
    assert!(renewed != token && header(&renewed)["cty"] == "JWT");
    let mut copied = browser.clone();
    assert_eq!(browser.post("/.auth/logout").status, 204);
    assert_eq!(copied.get("/app/x").verdict(), "401 session_terminated");
}

#[test]
fn keys_are_published_ahead_and_replaced_when_their_time_is_over() {
    let (_gate, mut browser) = alice_with("[keys]\nrotate_every = \"3s\"\npublish_ahead = \"2s\"\n");
    let signed_with = |browser: &Browser| header(browser.cookie("doorward").unwrap())["kid"].clone();
    let first = signed_with(&browser);
    let mut published = 1;
    eventually("another key stands first", || {
        let keys = json(&browser.get("/.well-known/jwks.json"));
        published = published.max(keys["keys"].as_array().map_or(0, Vec::len));
        keys["keys"][0]["kid"] != first
    });
    browser.sign_in("alice");
    assert_ne!(signed_with(&browser), first);
    assert!(published > 1, "it was published before it signed");
}

#[test]
fn what_a_session_on_another_device_deserves_is_for_the_file_to_say() {
    let verdict = |keys: &str| {
        let (gate, browser) = alice_with(&format!("[device]\n{keys}"));
        let verdict = elsewhere(&browser);
        let mut owner = browser;
        (verdict, owner.who(), gate)
    };
    let (said, owner, _) = verdict("level = \"off\"\n");
    assert_eq!((said.as_str(), owner.as_str()), ("200", "alice"));
    let (said, owner, gate) = verdict("on_mismatch = \"log\"\n");
    assert_eq!((said.as_str(), owner.as_str()), ("200", "alice"));
    gate.journal.wait(|line| {
        line["event"] == "device_checked" && line["detail"].as_str().is_some_and(|it| it.contains("\"valid\":false"))
    });
    let (said, owner, _) = verdict("on_mismatch = \"deny\"\n");
    assert_eq!((said.as_str(), owner.as_str()), ("401 device_mismatch", "alice"));
    let (said, owner, _) = verdict("on_mismatch = \"logout\"\n");
    assert_eq!((said.as_str(), owner.as_str()), ("401 device_mismatch", "401 session_terminated"));
}

#[test]
fn only_what_has_a_weight_is_compared_and_the_level_says_how_much_must_agree() {
    let french = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
                  Accept-Language: fr\r\n";
    for (keys, status) in [
        ("level = \"normal\"\n", 401),
        ("level = \"relaxed\"\n", 200),
        ("level = \"strict\"\nweights = { user_agent = 1.0 }\n", 200),
        ("level = \"relaxed\"\nweights = { accept_language = 1.0 }\n", 401),
    ] {
        let (_gate, browser) = alice_with(&format!("[device]\n{keys}"));
        let mut abroad = Browser { device: french.to_owned(), ..browser };
        assert_eq!(abroad.get("/app/x").status, status, "{keys}");
    }
}

#[test]
fn a_risk_that_renews_nothing_asks_to_sign_in() {
    let (_gate, mut browser) = alice_with("[device]\nrisk_ttl = { low = \"0s\", medium = \"0s\", high = \"0s\" }\n");
    assert_eq!(browser.get("/app/x").status, 200, "its first token counts");
    browser.forget_access();
    assert_eq!(browser.get("/app/x").verdict(), "401 step_up_required");
}

#[test]
fn cookies_go_where_the_file_says_and_no_further() {
    let backend = Backend::echo();
    let tables = "[session]\ncookie = { same_site = \"strict\", domain = \"app.test\" }\n";
    let gate = people::setup()
        .public_url("https://one.app.test")
        .start(&[LOCAL, &backend.upstream("app"), ROUTES, tables].concat());
    let mut browser = Browser { host: "one.app.test".to_owned(), ..Browser::new(&gate) };
    let answer = browser.sign_in("alice");
    let cookies = set_cookies(&answer);
    let session = cookies.iter().find(|cookie| cookie.name == "__Secure-doorward").unwrap();
    for attribute in ["domain=app.test", "samesite=strict", "secure", "httponly", "path=/"] {
        assert!(session.attributes.iter().any(|it| it == attribute), "{attribute}: {session:?}");
    }
}

#[test]
fn our_endpoints_live_where_the_file_says() {
    let backend = Backend::echo();
    let tables = [LOCAL, &backend.upstream("app"), ROUTES].concat();
    let gate = people::setup().server("prefix = \"/gate\"").start(&tables);
    let sent = Browser::new(&gate).visit("/app/x");
    assert!(sent.header("location").is_some_and(|to| to.contains("/gate/login?")), "{sent:?}");
    assert_eq!(Browser::new(&gate).get("/gate/me").verdict(), "401 unauthenticated");
    assert_eq!(Browser::new(&gate).get("/.auth/me").verdict(), "404 no_route");
}

#[test]
fn the_store_is_used_under_the_prefix_of_the_file() {
    let (redis, backend) = (Redis::start(), Backend::echo());
    let gate = people::house(&backend, &(redis.table() + "prefix = \"mine:\"\n"));
    let mut browser = Browser::signed_in(&gate, "alice");
    assert_eq!(browser.who(), "alice");
    let keys = redis.keys("*");
    assert!(!keys.is_empty() && keys.iter().all(|key| key.starts_with("mine:")), "{keys:?}");
}

#[test]
fn pages_look_as_the_file_says() {
    let (_gate, mut browser) =
        alice_with("[pages]\ntitle = \"The <House>\"\nlogo = \"/logo.svg\"\ncolour = \"#aa0011\"\n");
    let page = browser.visit("/.auth/login?provider=local").text();
    assert!(page.contains("The &#60;House&#62;") || page.contains("The &lt;House&gt;"), "{page}");
    assert!(page.contains("src=\"/logo.svg\""), "{page}");
    let style = page.split("href=\"").filter_map(|rest| rest.split('"').next()).find(|path| path.contains(".css"));
    let style = browser.get(style.expect("a style sheet")).text();
    assert!(style.contains("#aa0011"), "{style}");
}

#[test]
fn a_provider_is_asked_for_what_the_file_says_and_read_where_it_says() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    provider.claims(serde_json::json!({ "realm": { "roles": ["admin"] }, "roles": ["no"], "email_verified": false }));
    let (name, secret) = Provider::secret();
    let keys = "scopes = [\"openid\", \"email\", \"groups\"]\nroles_claim = \"realm.roles\"\ntrust_email = true\n\n";
    let table = provider.table("id").trim_end().to_owned() + "\n" + keys;
    let gate = people::setup().variable(name, secret).start(&[&table, &backend.upstream("app"), ROUTES].concat());
    let mut browser = Browser::new(&gate);
    let sent = browser.visit(&format!("/.auth/login?{}", encoded(&[("provider", "id"), ("return_to", "/admin/x")])));
    let asked = sent.header("location").unwrap().to_owned();
    let mut scopes: Vec<_> = query(&asked)["scope"].split(' ').map(str::to_owned).collect();
    scopes.sort();
    assert_eq!(scopes, ["email", "groups", "openid"]);
    let back = provider.consent(&asked, "carol");
    assert_eq!(browser.visit(back.strip_prefix("http://localhost").unwrap()).status, 303);
    assert_eq!(browser.visit("/admin/x").status, 200, "an admin by the claim the file names");
    let seen = backend.last();
    assert_eq!(seen.header("x-auth-roles").as_deref(), Some("admin"));
    assert_eq!(seen.header("x-auth-email").as_deref(), Some("carol@id.test"), "believed, for the file says so");
}
