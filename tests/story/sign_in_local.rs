//! People sign in with a password, and nobody is led anywhere or into anything by doing so.

use super::support::backend::Backend;
use super::support::browser::{encoded, hidden, json, set_cookies, Browser, PERSON, SCRIPT};
use super::support::client::Response;
use super::support::gate::Gate;
use super::support::people::{self, LOCAL, ROUTES};

const WRONG: &str = "not the password";

fn names(answer: &Response) -> Vec<String> {
    set_cookies(answer).into_iter().map(|cookie| cookie.name).collect()
}

#[test]
fn whoever_must_sign_in_is_sent_there_and_back_to_where_they_wanted_to_go() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::new(&gate);
    let sent = browser.visit("/app/x?y=1&z=%2F");
    assert_eq!(sent.status, 302);
    let location = sent.header("location").unwrap().to_owned();
    assert_eq!(location, "/.auth/login?return_to=%2Fapp%2Fx%3Fy%3D1%26z%3D%252F");
    let page = browser.visit(&location);
    assert_eq!(page.status, 200);
    let (csrf, place) = (hidden(&page.text(), "csrf"), hidden(&page.text(), "return_to"));
    assert_eq!(place.replace("&#38;", "&").replace("&amp;", "&"), "/app/x?y=1&z=%2F");
    let password = people::password("alice");
    let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", &password), ("return_to", "/app/x?y=1")];
    let answer = browser.submit("/.auth/login", &form);
    assert_eq!((answer.status, answer.header("location")), (303, Some("http://localhost/app/x?y=1")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    for cookie in set_cookies(&answer) {
        for attribute in ["path=/", "httponly", "samesite=lax"] {
            assert!(cookie.attributes.contains(&attribute.to_owned()), "{attribute} {cookie:?}");
        }
        // a browser would not keep it: the public URL is http
        assert!(!cookie.attributes.contains(&"secure".to_owned()), "{cookie:?}");
    }
    assert!(names(&answer).contains(&"doorward".to_owned()) && names(&answer).contains(&"doorward-r0".to_owned()));
    assert!(backend.seen().is_empty());
    assert_eq!(browser.visit("/app/x?y=1").status, 200);
    assert_eq!(backend.last().header("x-auth-subject").as_deref(), Some("alice"));
}

#[test]
fn a_script_without_a_session_is_told_so_and_not_sent_anywhere() {
    let gate = people::house(&Backend::echo(), "");
    let answer = Browser::new(&gate).get("/app/x");
    assert_eq!(answer.verdict(), "401 unauthenticated");
    assert!(answer.header("www-authenticate").is_some() && answer.all("set-cookie").is_empty());
    assert_eq!(Browser::new(&gate).submit("/app/x", &[]).verdict(), "401", "a form would lose its fields on the way");
}

#[test]
fn on_https_the_browser_promises_that_the_cookies_are_ours() {
    let backend = Backend::echo();
    let setup = people::setup().public_url("https://app.test");
    let gate = setup.start(&[LOCAL, &backend.upstream("app"), ROUTES].concat());
    let mut browser = Browser { host: "app.test".to_owned(), ..Browser::new(&gate) };
    let answer = browser.sign_in("alice");
    assert_eq!((answer.status, answer.header("location")), (303, Some("https://app.test/app/")));
    for cookie in set_cookies(&answer) {
        assert!(cookie.name.starts_with("__Host-doorward"), "{cookie:?}");
        assert!(cookie.attributes.contains(&"secure".to_owned()), "{cookie:?}");
        assert!(!cookie.attributes.iter().any(|attribute| attribute.starts_with("domain")), "{cookie:?}");
    }
    assert_eq!(browser.who(), "alice");
    let bare = browser.jar.iter().map(|(name, value)| (name.replace("__Host-", ""), value.clone())).collect();
    assert_eq!(Browser { jar: bare, ..browser }.who(), "401 unauthenticated", "a name that a sister host could set");
}

#[test]
fn a_wrong_password_and_a_wrong_name_look_the_same() {
    let gate = people::house(&Backend::echo(), "");
    let tried = |name: &str| {
        let mut browser = Browser::new(&gate);
        let answer = browser.sign_in_with(name, WRONG, "/app/");
        assert_eq!(answer.status, 401);
        assert!(answer.all("set-cookie").is_empty() && browser.jar.is_empty());
        let page = answer.text();
        assert!(!page.contains(WRONG));
        let headers: Vec<_> = answer.headers.into_iter().filter(|(name, _)| !name.contains("content-length")).collect();
        (page.replace(&hidden(&page, "csrf"), "").replace(name, "NAME"), headers.into_iter().map(|(n, _)| n).collect())
    };
    let (known, unknown): ((String, Vec<String>), _) = (tried("alice"), tried("nobody"));
    assert_eq!(known, unknown);
    assert!(known.0.contains("role=\"alert\""), "it says what was wrong");
}

#[test]
fn a_form_that_is_not_ours_signs_nobody_in() {
    let gate = people::house(&Backend::echo(), "");
    let (mut browser, password) = (Browser::new(&gate), people::password("alice"));
    let csrf = browser.csrf();
    let flipped = if csrf.ends_with('A') { csrf[..csrf.len() - 1].to_owned() + "B" } else { csrf[1..].to_owned() };
    for field in [None, Some(""), Some("x"), Some(&flipped)] {
        let mut form = vec![("username", "alice"), ("password", &password), ("return_to", "/app/")];
        form.extend(field.map(|field| ("csrf", field)));
        let answer = browser.submit("/.auth/login", &form);
        assert_eq!((answer.status, answer.all("set-cookie").len()), (401, 0), "{field:?}");
    }
    assert_eq!(browser.sign_in("alice").status, 303, "the next form is good");
}

#[test]
fn signing_in_leads_to_no_other_site() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::new(&gate);
    let csrf = browser.csrf();
    for evil in [
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test/",
        "http://localhost@evil.test/",
        "http://localhost.evil.test/",
        "http://localhost:81/",
        "https://localhost/",
        "https:evil.test",
        "javascript:alert(1)",
        "data:text/html,x",
        "/\t/evil.test",
        "/\r\nSet-Cookie: a=b",
        "/\0",
        "/.auth/logout",
        "/x/../.auth/logout",
        "/%2eauth/logout",
        "//localhost/.auth/login",
    ] {
        let asked = browser.visit(&format!("/.auth/login?{}", encoded(&[("return_to", evil)])));
        assert_eq!((asked.status, asked.header("location")), (400, None), "GET {evil:?}");
        let password = people::password("alice");
        let form = [("csrf", csrf.as_str()), ("username", "alice"), ("password", &password), ("return_to", evil)];
        let answer = browser.submit("/.auth/login", &form);
        assert_eq!((answer.status, answer.header("location")), (400, None), "POST {evil:?}");
        assert!(browser.jar.is_empty(), "{evil:?}");
        let told = browser.get(&format!("/.auth/login?{}", encoded(&[("return_to", evil)])));
        assert_eq!(told.verdict(), "400 bad_return_to");
    }
}

#[test]
fn signing_in_leads_to_listed_origins() {
    let backend = Backend::echo();
    let setup = people::setup().server("return_to_origins = [\"https://friend.test\"]");
    let gate = setup.start(&[LOCAL, &backend.upstream("app"), ROUTES].concat());
    let answer = Browser::new(&gate).sign_in_with("alice", &people::password("alice"), "https://friend.test/a?b");
    assert_eq!(answer.header("location"), Some("https://friend.test/a?b"));
}

/// What other sites can make a browser send, and what our own pages do.
const CAUSES: [(&str, bool); 12] = [
    ("Sec-Fetch-Site: same-origin\r\n", true),
    ("Sec-Fetch-Site: same-origin\r\nOrigin: null\r\n", true),
    ("Sec-Fetch-Site: none\r\n", true),
    ("Origin: http://localhost\r\n", true),
    ("Sec-Fetch-Site: cross-site\r\n", false),
    ("Sec-Fetch-Site: same-site\r\n", false),
    ("Sec-Fetch-Site: cross-site\r\nOrigin: http://localhost\r\n", false),
    ("Origin: http://evil.test\r\n", false),
    ("Origin: http://localhost:81\r\n", false),
    ("Origin: https://localhost\r\n", false),
    ("Origin: null\r\n", false),
    ("", false),
];

#[test]
fn no_other_site_signs_anybody_in_or_out() {
    let gate = people::house(&Backend::echo(), "");
    let mut alice = Browser::signed_in(&gate, "alice");
    let (mut stranger, password) = (Browser::new(&gate), people::password("bob"));
    let csrf = stranger.csrf();
    let form = encoded(&[("csrf", &csrf), ("username", "bob"), ("password", &password), ("return_to", "/")]);
    let session = alice.session();
    for (cause, ours) in CAUSES {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{cause}");
        let answer = stranger.clone().ask("POST", "/.auth/login", &headers, &form);
        assert_eq!(answer.verdict(), if ours { "303" } else { "403 csrf" }, "login {cause:?}");
        if ours {
            continue;
        }
        for (method, target) in [
            ("POST", "/.auth/logout".to_owned()),
            ("POST", "/.auth/logout?all=true".to_owned()),
            ("POST", "/.auth/refresh".to_owned()),
            ("POST", "/.auth/login/instead".to_owned()),
            ("DELETE", format!("/.auth/sessions/{session}")),
            ("POST", format!("/.auth/sessions/{session}/revoke")),
            ("POST", "/.auth/sessions/others/revoke".to_owned()),
        ] {
            let answer = alice.ask(method, &target, cause, "");
            assert_eq!(
                (answer.verdict().as_str(), answer.all("set-cookie").len()),
                ("403 csrf", 0),
                "{target} {cause:?}"
            );
        }
    }
    assert_eq!(alice.who(), "alice", "and nothing came of all that");
}

#[test]
fn a_page_shows_no_script_and_lets_nobody_frame_it() {
    let gate = people::house(&Backend::echo(), "");
    let page = Browser::new(&gate).visit("/.auth/login");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-inline"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(!page.text().contains("<script"));
    let reflected = Browser::new(&gate).sign_in_with("\"><script>alert(1)</script>", WRONG, "/?\"><script>");
    assert_eq!(reflected.status, 401);
    assert!(!reflected.text().contains("<script"), "{}", reflected.text());
}

#[test]
fn signing_in_takes_over_no_session_that_was_there_before() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::signed_in(&gate, "bob");
    let (before, mut old) = (browser.session(), browser.clone());
    assert_eq!(browser.sign_in("alice").status, 303);
    assert_eq!(browser.who(), "alice");
    assert_ne!(browser.session(), before);
    assert_eq!(old.who(), "401 session_terminated", "two in one browser are one that nobody sees");
    let mut planted = Browser::new(&gate);
    planted.jar.insert("doorward".to_owned(), "chosen-by-somebody-else".to_owned());
    assert_eq!(planted.sign_in("alice").status, 303);
    assert_eq!(planted.who(), "alice");
}

#[test]
fn a_browser_that_keeps_no_cookie_is_told_so_instead_of_going_round() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::new(&gate);
    for _ in 0..3 {
        assert_eq!(browser.sign_in("alice").status, 303);
        browser.jar.retain(|name, _| name == "doorward-b");
    }
    let page = browser.visit("/.auth/login");
    assert_eq!(page.status, 400);
    assert!(!page.text().contains("password"), "a page that explains, not the form again");
    assert_eq!(browser.visit("/.auth/login").status, 200, "and then it may be tried again");
}

#[test]
fn what_is_none_of_our_endpoints_or_asked_otherwise_is_refused() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    for (method, target, verdict) in [
        ("GET", "/.auth", "404 no_route"),
        ("GET", "/.auth/nothing", "404 no_route"),
        ("GET", "/.auth/me/x", "405 method_not_allowed"),
        ("POST", "/.auth/me", "405 method_not_allowed"),
        ("GET", "/.auth/refresh", "405 method_not_allowed"),
        ("GET", "/.auth/callback/nobody", "404 no_route"),
        ("GET", "/.auth/callback/local", "404 no_route"),
        ("GET", "/.auth/login?provider=nobody", "404 no_route"),
        ("POST", "/.auth/backchannel-logout/local", "404 no_route"),
        ("DELETE", "/.auth/sessions/nonsense", "404 no_route"),
        ("GET", "/.auth/%2e%2e/app/x", "400 bad_path"),
    ] {
        assert_eq!(browser.ask(method, target, SCRIPT, "").verdict(), verdict, "{method} {target}");
    }
    assert!(backend.seen().is_empty(), "nothing below our prefix reaches a backend");
    let large = browser.ask("POST", "/.auth/login", PERSON, &"x".repeat(70_000));
    assert_eq!(large.status, 413);
}

#[test]
fn our_keys_are_there_for_everybody() {
    let gate: Gate = people::house(&Backend::echo(), "");
    let browser = Browser::signed_in(&gate, "alice");
    let keys = json(&Browser::new(&gate).get("/.well-known/jwks.json"));
    let keys = keys["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 1);
    assert!(keys[0].get("d").is_none(), "and no private part of them");
    let access = browser.access();
    assert_eq!(access["iss"], "http://localhost");
    assert_eq!(access["exp"].as_u64().unwrap() - access["iat"].as_u64().unwrap(), 900);
}

#[test]
fn the_access_log_says_who_asks_our_own_endpoints_and_which_sign_in_was_refused() {
    let gate = people::house(&Backend::echo(), "");
    let mut alice = Browser::signed_in(&gate, "alice");
    let line = |path: &str, method: &str| {
        gate.journal.wait(|line| line["path"] == path && line["method"] == method && line["kind"] != "audit")
    };
    assert_eq!(alice.get("/.auth/me").status, 200);
    assert_eq!(alice.get("/.auth/sessions").status, 200);
    assert_eq!(alice.post("/.auth/refresh").status, 200);
    assert_eq!(alice.post("/.auth/logout").status, 204);
    for (method, path) in [("GET", "me"), ("GET", "sessions"), ("POST", "refresh"), ("POST", "logout")] {
        let line = line(&format!("/.auth/{path}"), method);
        assert_eq!([&line["source"], &line["sub"]], ["local", "alice"], "{line}");
        assert_eq!(line["decision"], "answered", "{line}");
    }
    let mut stranger = Browser::new(&gate);
    assert_eq!(stranger.get("/.auth/me").status, 401);
    assert_eq!(stranger.sign_in_with("alice", WRONG, "/app/").status, 401);
    let refused =
        gate.journal.wait(|line| line["path"] == "/.auth/login" && line["status"] == 401 && line["kind"] != "audit");
    assert_eq!([&refused["decision"], &refused["reason"]], ["refused", "unauthenticated"], "{refused}");
    assert!(refused.get("sub").is_none(), "whoever it was, it was not alice: {refused}");
    let nobody =
        gate.journal.wait(|line| line["path"] == "/.auth/me" && line["status"] == 401 && line["kind"] != "audit");
    assert!(nobody.get("sub").is_none(), "{nobody}");
    assert!(!gate.journal.all().concat().contains(WRONG));
}
