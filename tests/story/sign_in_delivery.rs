//! Tokens reach a client as the file says: in cookies, in JSON, or some of each, and are renewed as it says.

use super::support::backend::Backend;
use super::support::browser::{json, set_cookies, Browser, SCRIPT};
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::people;

fn names(answer: &Response) -> Vec<String> {
    set_cookies(answer).into_iter().map(|cookie| cookie.name).collect()
}

/// With this token and no cookie.
fn get_as(gate: &Gate, path: &str, token: &str) -> Response {
    Browser::new(gate).ask("GET", path, &format!("{SCRIPT}Authorization: Bearer {token}\r\n"), "")
}

fn refresh(gate: &Gate, token: &str) -> Response {
    let body = serde_json::json!({ "refresh_token": token }).to_string();
    Browser::new(gate).ask(
        "POST",
        "/.auth/refresh",
        "Accept: application/json\r\nContent-Type: application/json\r\n",
        &body,
    )
}

#[test]
fn where_only_refresh_renews_a_request_does_not() {
    let gate = people::house(&Backend::echo(), "[session]\nrenewal = \"endpoint\"\n[tokens]\nreuse_grace = \"0s\"\n");
    let mut browser = Browser::signed_in(&gate, "alice");
    let session = browser.session();
    browser.forget_access();
    let refused = browser.get("/app/x");
    assert_eq!((refused.status, refused.all("set-cookie").len()), (401, 0), "its cookies may still be renewed");
    let renewed = browser.post("/.auth/refresh");
    assert_eq!((renewed.status, names(&renewed)), (200, vec!["doorward".to_owned(), "doorward-r1".to_owned()]));
    assert_eq!(renewed.header("cache-control"), Some("no-store"));
    let told = json(&renewed);
    assert_eq!((told["expires_in"].as_u64(), told["id"]["sub"].as_str()), (Some(900), Some("alice")));
    assert!(told["access_token"].is_null() && told["refresh_token"].is_null(), "what is HttpOnly stays so");
    assert_eq!(browser.get("/app/x").status, 200);
    assert_eq!(browser.session(), session);
}

#[test]
fn without_renewal_there_is_no_token_for_it() {
    let gate = people::house(&Backend::echo(), "[session]\nrenewal = \"off\"\n");
    let mut browser = Browser::new(&gate);
    let answer = browser.sign_in("alice");
    assert!(!names(&answer).iter().any(|name| name.starts_with("doorward-r")), "{:?}", names(&answer));
    assert_eq!(browser.get("/app/x").status, 200);
    assert_eq!(browser.post("/.auth/refresh").verdict(), "401 unauthenticated");
    browser.forget_access();
    assert_eq!(browser.get("/app/x").status, 401);
}

#[test]
fn a_script_may_hold_the_access_token_in_memory() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "[session]\ndelivery = \"memory\"\n");
    let mut browser = Browser::new(&gate);
    let answer = browser.sign_in("alice");
    assert_eq!(answer.status, 303);
    assert!(browser.cookie("doorward").is_none() && browser.cookie("doorward-r0").is_some());
    assert_eq!(browser.get("/app/x").status, 401, "the renewal token opens nothing");
    let renewed = browser.post("/.auth/refresh");
    assert_eq!(renewed.status, 200);
    assert!(browser.cookie("doorward").is_none());
    let told = json(&renewed);
    assert_eq!((told["token_type"].as_str(), &told["refresh_token"]), (Some("Bearer"), &serde_json::Value::Null));
    let token = told["access_token"].as_str().unwrap().to_owned();
    assert_eq!(get_as(&gate, "/app/x", &token).status, 200);
    assert_eq!(backend.last().header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(browser.post("/.auth/logout").status, 204);
    assert_eq!(get_as(&gate, "/app/x", &token).verdict(), "401 session_terminated");
}

#[test]
fn a_client_without_cookies_holds_both_tokens() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "[session]\ndelivery = \"body\"\n");
    let mut browser = Browser::new(&gate);
    let answer = browser.sign_in("alice");
    assert_eq!((answer.status, answer.all("set-cookie").len()), (200, 0), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = json(&answer);
    assert_eq!(told["id"]["sub"], "alice");
    let (access, first) = (told["access_token"].as_str().unwrap(), told["refresh_token"].as_str().unwrap());
    assert_eq!(get_as(&gate, "/app/x", access).status, 200);
    let seen = backend.last();
    assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"));
    assert_eq!(seen.header("x-auth-provider").as_deref(), Some("local"), "the user's, as with a cookie");

    let renewed = refresh(&gate, first);
    assert_eq!((renewed.status, renewed.all("set-cookie").len()), (200, 0));
    let told = json(&renewed);
    let second = told["refresh_token"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(get_as(&gate, "/app/x", told["access_token"].as_str().unwrap()).status, 200);
    assert_eq!(refresh(&gate, first).verdict(), "401 token_reused", "there is no grace where there is no browser");
    assert_eq!(refresh(&gate, second).status, 401);
    assert_eq!(get_as(&gate, "/app/x", access).verdict(), "401 session_terminated");
}

#[test]
fn our_own_token_counts_once_and_says_so_when_it_is_none() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let token = browser.cookie("doorward").unwrap().to_owned();
    assert_eq!(get_as(&gate, "/app/x", &token).status, 200, "from the cookie or as bearer, it is one token");
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(get_as(&gate, "/app/x", &format!("{signed}.AAAA")).verdict(), "401 token_invalid");
    let cross = format!("Sec-Fetch-Site: cross-site\r\nAuthorization: Bearer {token}\r\n");
    assert_eq!(Browser::new(&gate).ask("POST", "/app/x", &cross, "").status, 200, "nobody adds that unasked");
    assert_eq!(browser.post("/.auth/logout").status, 204);
    assert_eq!(get_as(&gate, "/app/x", &token).verdict(), "401 session_terminated");
}
