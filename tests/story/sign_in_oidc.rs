//! People sign in at an OpenID provider, and nobody gets in with what was meant for somebody else.

use super::support::backend::Backend;
use super::support::browser::{encoded, json, set_cookies, Browser};
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::people::{self, LOCAL, ROUTES};
use super::support::provider::{query, Provider};
use serde_json::{json, Value};

/// In front of `backend`, with that provider and these tables besides.
fn house(backend: &Backend, provider: &Provider, tables: &str) -> Gate {
    let (name, secret) = Provider::secret();
    let all = [&provider.table("id"), &backend.upstream("app"), ROUTES, tables];
    people::setup().variable(name, secret).start(&all.concat())
}

/// Begins a sign-in: where the provider is asked.
fn leave(browser: &mut Browser, return_to: &str) -> String {
    let sent = browser.visit(&format!("/.auth/login?{}", encoded(&[("provider", "id"), ("return_to", return_to)])));
    assert_eq!(sent.status, 302, "{}", sent.text());
    sent.header("location").unwrap().to_owned()
}

/// Goes where the provider sent the browser.
fn come_back(browser: &mut Browser, location: &str) -> Response {
    let target = location.strip_prefix("http://localhost").expect("our own origin").to_owned();
    browser.visit(&target)
}

fn sign_in(browser: &mut Browser, provider: &Provider, sub: &str) -> Response {
    let asked = leave(browser, "/app/x");
    let back = provider.consent(&asked, sub);
    come_back(browser, &back)
}

#[test]
fn the_provider_is_asked_as_the_standards_want_and_its_user_comes_in() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    provider.claims(json!({ "name": "Alice A.", "roles": ["admin", "user"] }));
    let gate = house(&backend, &provider, "");
    let mut browser = Browser::new(&gate);
    let asked = leave(&mut browser, "/app/x?y=1");
    assert!(asked.starts_with(&format!("{}/authorize?", provider.url())), "{asked}");
    let said = query(&asked);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "the-gate"),
        ("redirect_uri", "http://localhost/.auth/callback/id"),
        ("code_challenge_method", "S256"),
        ("scope", "openid profile email offline_access"),
    ] {
        assert_eq!(said.get(name).map(String::as_str), Some(value), "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        assert_eq!(said[name].len(), 43, "{name} has 256 bits");
    }
    let attempts: Vec<_> = browser.jar.iter().filter(|(name, _)| name.starts_with("doorward-l-")).collect();
    let [(name, sealed)] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert!(!said["state"].contains(name.trim_start_matches("doorward-l-")) && !sealed.contains(&said["nonce"]));

    let answer = come_back(&mut browser, &provider.consent(&asked, "u-1"));
    assert_eq!((answer.status, answer.header("location")), (303, Some("http://localhost/app/x?y=1")));
    assert!(browser.jar.keys().all(|name| !name.starts_with("doorward-l-")), "the attempt is over");
    assert_eq!(browser.visit("/app/x").status, 200);
    let seen = backend.last();
    for (name, value) in [
        ("x-auth-subject", "u-1"),
        ("x-auth-provider", "id"),
        ("x-auth-email", "u-1@id.test"),
        ("x-auth-name", "Alice A."),
        ("x-auth-roles", "admin,user"),
        ("x-auth-method", "session"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(browser.visit("/admin/x").status, 200);
    let counts = provider.counts();
    assert_eq!((counts.codes, counts.refreshes, counts.refused), (1, 0, 0));
    for value in browser.jar.values() {
        assert!(!value.contains("refresh-") && !value.contains("access-"), "the provider's tokens stay here");
    }
}

#[test]
fn nobody_comes_in_with_an_answer_that_is_not_theirs() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let (mut alice, mut mallory) = (Browser::new(&gate), Browser::new(&gate));
    let (asked, theirs) = (leave(&mut alice, "/"), leave(&mut mallory, "/"));
    let back = provider.consent(&asked, "alice");
    let with = |name: &str, value: Option<&str>| {
        let mut said = query(&back);
        match value {
            Some(value) => said.insert(name.to_owned(), value.to_owned()),
            None => said.remove(name),
        };
        let pairs: Vec<(&str, &str)> = said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        format!("/.auth/callback/id?{}", encoded(&pairs))
    };
    let mallorys = query(&theirs)["state"].clone();
    for (what, target) in [
        ("another's state", with("state", Some(&mallorys))),
        ("no state", with("state", None)),
        ("an empty state", with("state", Some(""))),
        ("a long state", with("state", Some(&"s".repeat(5_000)))),
        ("another issuer", with("iss", Some("https://evil.test"))),
        ("no issuer, where the provider names itself", with("iss", None)),
        ("no code", with("code", None)),
        ("a code with control characters", with("code", Some("a\nb"))),
        ("a code and an error", with("error", Some("access_denied"))),
        ("the state twice", with("state", None) + "&state=a&state=b"),
    ] {
        let answer = alice.clone().ask("GET", &target, super::support::browser::SCRIPT, "");
        assert_eq!((answer.verdict().as_str(), answer.all("set-cookie").len()), ("400 bad_state", 0), "{what}");
    }
    assert_eq!(provider.counts().codes, 0, "none of them reached the provider");
    assert_eq!(come_back(&mut mallory, &back).status, 400, "in a browser that did not ask");
    assert_eq!(come_back(&mut Browser::new(&gate), &back).status, 400);
    assert_eq!(provider.counts().codes, 0);
    assert_eq!(come_back(&mut alice, &back).status, 303, "and its own browser still gets in");
}

#[test]
fn an_answer_counts_once() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let mut browser = Browser::new(&gate);
    let back = provider.consent(&leave(&mut browser, "/"), "alice");
    let mut copied = browser.clone();
    assert_eq!(come_back(&mut browser, &back).status, 303);
    assert_eq!(come_back(&mut browser, &back).status, 400, "the attempt is gone");
    assert_eq!(come_back(&mut copied, &back).status, 400, "the code is spent");
    assert_eq!(copied.who(), "401 unauthenticated");
    assert_eq!((browser.who().as_str(), provider.counts().codes), ("alice", 2));
}

#[test]
fn several_tabs_sign_in_side_by_side() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let mut browser = Browser::new(&gate);
    let (first, second) = (leave(&mut browser, "/app/1"), leave(&mut browser, "/app/2"));
    let second = come_back(&mut browser, &provider.consent(&second, "alice"));
    assert_eq!(second.header("location"), Some("http://localhost/app/2"));
    let first = come_back(&mut browser, &provider.consent(&first, "alice"));
    assert_eq!(first.header("location"), Some("http://localhost/app/1"));
    for turn in 0..12 {
        leave(&mut browser, &format!("/app/{turn}"));
        let attempts = browser.jar.keys().filter(|name| name.starts_with("doorward-l-")).count();
        assert!(attempts <= 5, "{attempts} attempts fill the cookie header");
    }
}

#[test]
fn a_no_of_the_provider_is_told_and_nothing_of_it_runs_in_the_page() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let mut browser = Browser::new(&gate);
    let asked = leave(&mut browser, "/");
    let answer = come_back(&mut browser, &provider.decline(&asked, "access_denied"));
    assert_eq!((answer.status, answer.header("location")), (403, None));
    assert!(!answer.text().contains("<no>"));
    assert_eq!(provider.counts().codes, 0);
    assert_eq!(sign_in(&mut browser, &provider, "alice").status, 303, "they may think again");
}

#[test]
fn an_id_token_that_speaks_of_something_else_signs_nobody_in() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    for claims in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "iss": "https://evil.test" }),
        json!({ "aud": "another-client" }),
        json!({ "aud": ["the-gate", "another-client"] }),
        json!({ "azp": "another-client" }),
        json!({ "sub": null }),
        json!({ "exp": 1_000 }),
        json!({ "at_hash": "AAAA" }),
    ] {
        provider.claims(claims.clone());
        let mut browser = Browser::new(&gate);
        let answer = sign_in(&mut browser, &provider, "alice");
        assert!(
            [401, 403].contains(&answer.status) && answer.header("location").is_none(),
            "{claims} {}",
            answer.status
        );
        assert!(browser.cookie("doorward").is_none(), "{claims}");
    }
    provider.claims(json!({}));
    assert_eq!(sign_in(&mut Browser::new(&gate), &provider, "alice").status, 303);
}

#[test]
fn no_sign_in_leads_to_another_site() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let mut browser = Browser::new(&gate);
    for evil in ["//evil.test", "/\\evil.test", "https://evil.test", "http://localhost@evil.test", "/.auth/logout"] {
        let pairs = encoded(&[("provider", "id"), ("return_to", evil)]);
        let answer = browser.visit(&format!("/.auth/login?{pairs}"));
        assert_eq!((answer.status, answer.header("location"), browser.jar.len()), (400, None, 0), "{evil}");
    }
    let asked = leave(&mut browser, "/app/x");
    let back = provider.consent(&asked, "alice") + "&return_to=https%3A%2F%2Fevil.test";
    assert_eq!(come_back(&mut browser, &back).header("location"), Some("http://localhost/app/x"));
}

#[test]
fn a_provider_that_is_away_at_the_start_keeps_nobody_else_out() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    provider.away(true);
    let gate = house(&backend, &provider, LOCAL);
    let mut browser = Browser::new(&gate);
    let page = browser.visit("/.auth/login?provider=id");
    assert_eq!((page.status, page.header("location")), (503, None));
    assert!(page.text().contains("local"), "the other way is offered: {}", page.text());
    let told = |line: &Value| line["request_id"].as_str().is_some_and(|id| id.len() == 32 && page.text().contains(id));
    gate.journal.wait(|line| line["kind"] == "audit" && line["reason"] == "provider_unavailable" && told(line));
    assert_eq!(browser.get("/.auth/login?provider=id").verdict(), "503 provider_unavailable");
    assert_eq!(browser.get("/public/x").status, 200);
    assert_eq!(browser.visit("/.auth/login").status, 200, "the choice of ways");
    assert_eq!(browser.sign_in("alice").status, 303);
    assert_eq!(browser.who(), "alice");
}

#[test]
fn a_provider_that_goes_away_leaves_everybody_signed_in() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let (mut alice, mut bob) = (Browser::new(&gate), Browser::new(&gate));
    assert_eq!(sign_in(&mut alice, &provider, "alice").status, 303);
    let asked = leave(&mut bob, "/app/x");
    let back = provider.consent(&asked, "bob");
    provider.away(true);
    assert_eq!(alice.get("/app/x").status, 200);
    let down = come_back(&mut bob, &back);
    assert_eq!((down.status, down.header("location")), (503, None));
    assert_eq!(alice.post("/.auth/logout").status, 204, "and may sign out");
    provider.away(false);
    assert_eq!(come_back(&mut bob, &back).status, 303, "the answer is as good as before");
    assert_eq!(bob.who(), "bob");
}

#[test]
fn signing_out_goes_on_at_the_provider_and_gives_its_token_back() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    let mut browser = Browser::new(&gate);
    assert_eq!(sign_in(&mut browser, &provider, "alice").status, 303);
    let answer = browser.submit("/.auth/logout", &[]);
    let location = answer.header("location").unwrap();
    assert!(answer.status == 303 && location.starts_with(&format!("{}/end?", provider.url())), "{location}");
    let said = query(location);
    assert_eq!(said["post_logout_redirect_uri"], "http://localhost/.auth/logout");
    assert!(said["id_token_hint"].split('.').count() == 3 && said["client_id"] == "the-gate");
    super::support::eventually("the refresh token is revoked", || provider.counts().revoked == 1);
}

#[test]
fn a_back_channel_logout_ends_the_session_it_names_once() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "");
    provider.claims(json!({ "sid": "sid-1" }));
    let mut first = Browser::new(&gate);
    assert_eq!(sign_in(&mut first, &provider, "alice").status, 303);
    provider.claims(json!({ "sid": "sid-2" }));
    let mut second = Browser::new(&gate);
    assert_eq!(sign_in(&mut second, &provider, "alice").status, 303);
    let post = |token: &str| {
        let form = encoded(&[("logout_token", token)]);
        let headers = "Content-Type: application/x-www-form-urlencoded\r\n";
        Browser::new(&gate).ask("POST", "/.auth/backchannel-logout/id", headers, &form)
    };
    let refused = post("nonsense");
    assert_eq!((refused.status, json(&refused)["error"].as_str()), (400, Some("invalid_request")));
    let id_token = provider.logout_token(json!({ "events": null, "nonce": "n", "sid": "sid-1" }));
    assert_eq!(post(&id_token).status, 400, "an ID token ends nothing");
    assert_eq!((first.who().as_str(), second.who().as_str()), ("alice", "alice"));
    assert_eq!(post(&provider.logout_token(json!({ "sid": "sid-1" }))).status, 200);
    assert_eq!((first.who().as_str(), second.who().as_str()), ("401 session_terminated", "alice"));

    let everything = provider.logout_token(json!({ "sub": "alice", "jti": "once" }));
    assert_eq!(post(&everything).status, 200);
    assert_eq!(second.who(), "401 session_terminated");
    let mut later = Browser::new(&gate);
    assert_eq!(sign_in(&mut later, &provider, "alice").status, 303);
    assert_eq!(post(&everything).status, 200, "it is taken twice, and does nothing the second time");
    assert_eq!(later.who(), "alice");
}

#[test]
fn an_id_that_two_providers_share_is_two_people() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, LOCAL);
    let (mut theirs, mut ours) = (Browser::new(&gate), Browser::signed_in(&gate, "alice"));
    assert_eq!(sign_in(&mut theirs, &provider, "alice").status, 303);
    assert_eq!(json(&ours.get("/.auth/sessions"))["sessions"].as_array().unwrap().len(), 1);
    let id = theirs.session();
    let answer = ours.ask("DELETE", &format!("/.auth/sessions/{id}"), super::support::browser::SCRIPT, "");
    assert_eq!(answer.verdict(), "404 no_route");
    assert_eq!(ours.post("/.auth/logout?all=true").status, 204);
    assert_eq!(theirs.who(), "alice");
    assert!(set_cookies(&theirs.get("/app/x")).is_empty());
}

#[test]
fn a_strict_cookie_that_stayed_behind_at_the_provider_leaves_no_session_behind() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let gate = house(&backend, &provider, "[session.cookie]\nsame_site = \"strict\"\n");
    let mut browser = Browser::new(&gate);
    assert_eq!(sign_in(&mut browser, &provider, "alice").status, 200, "a page leads on");
    let mut former = browser.clone();
    let asked = leave(&mut browser, "/app/x");
    // What a browser holds back on its way from another site.
    browser.jar.retain(|name, _| name.starts_with("doorward-l-"));
    assert_eq!(come_back(&mut browser, &provider.consent(&asked, "alice")).status, 200);
    assert_eq!(former.get("/app/x").verdict(), "401 session_terminated");
    let listed = json(&browser.get("/.auth/sessions"));
    assert_eq!(listed["sessions"].as_array().map(Vec::len), Some(1), "{listed}");
}
