//! Somebody else judges whether a program is signing in; whether they answer or not, people get in.

use super::support::backend::{After, Backend};
use super::support::browser::{encoded, hidden, Browser, PERSON, SCRIPT};
use super::support::client::Response;
use super::support::eventually;
use super::support::gate::Gate;
use super::support::people::{self, LOCAL, ROUTES};
use super::support::provider::Provider;
use super::support::seen::Seen;
use parking_lot::Mutex;
use serde_json::Value;
use std::io::Write;
use std::sync::Arc;

/// Judges as it is told, and takes "solved" for a solution.
struct Judge {
    server: Backend,
    verdict: Arc<Mutex<String>>,
}

impl Judge {
    fn start(verdict: &str) -> Self {
        let verdict = Arc::new(Mutex::new(verdict.to_owned()));
        let says = Arc::clone(&verdict);
        let server = Backend::answering(move |seen, stream| {
            let body = match seen.target().as_str() {
                "/judge" => says.lock().clone(),
                _ => format!("{{\"success\":{}}}", body(seen).contains("response=solved")),
            };
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
            Ok(After::Close)
        });
        Self { server, verdict }
    }

    fn says(&self, verdict: &str) {
        verdict.clone_into(&mut self.verdict.lock());
    }

    fn table(&self) -> String {
        format!("[bot]\nwebhook = \"http://{}/judge\"\n", self.server.address)
    }

    fn with_captcha(&self) -> String {
        let at = self.server.address;
        format!(
            "{}captcha = {{ site_key = \"public\", secret = \"env:CAPTCHA_SECRET\", verify_url = \"http://{at}/check\", \
             script_url = \"https://captcha.test/api.js\", field = \"solution\" }}\n",
            self.table()
        )
    }
}

fn body(seen: &Seen) -> String {
    String::from_utf8_lossy(&seen.body).into_owned()
}

fn house(backend: &Backend, tables: &str) -> Gate {
    let setup = people::setup().variable("CAPTCHA_SECRET", "theirs");
    setup.start(&[LOCAL, &backend.upstream("app"), ROUTES, tables].concat())
}

fn sign_in(browser: &mut Browser, csrf: &str, solution: &str) -> Response {
    let password = people::password("alice");
    let form = [("csrf", csrf), ("username", "alice"), ("password", &password), ("solution", solution)];
    browser.submit("/.auth/login", &form)
}

fn checks(gate: &Gate, verdict: &str) -> f64 {
    gate.metric(&format!("doorward_bot_checks_total{{verdict={verdict:?}}}"))
}

#[test]
fn whoever_is_allowed_signs_in_and_the_webhook_learns_no_name() {
    let (backend, judge) = (Backend::echo(), Judge::start("{\"verdict\":\"allow\"}"));
    let gate = house(&backend, &judge.table());
    assert_eq!(Browser::signed_in(&gate, "alice").who(), "alice");
    let asked = judge.server.last();
    let said: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!((&said["ip"], &said["route"]), (&"127.0.0.1".into(), &"/.auth/login".into()));
    assert!(said["user_agent"].as_str().unwrap().contains("Firefox"));
    assert_eq!(said["username_hash"].as_str().map(str::len), Some(22));
    assert!(!body(&asked).contains("alice"), "{said}");
}

#[test]
fn whoever_is_blocked_is_refused_before_anything_is_compared() {
    let (backend, judge) = (Backend::echo(), Judge::start("{\"verdict\":\"block\"}"));
    let gate = house(&backend, &judge.table());
    let mut browser = Browser::new(&gate);
    for _ in 0..12 {
        assert_eq!(browser.sign_in("alice").status, 403);
    }
    let csrf = browser.csrf();
    let form = encoded(&[("csrf", csrf.as_str()), ("username", "alice"), ("password", "x")]);
    let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{SCRIPT}");
    assert_eq!(browser.ask("POST", "/.auth/login", &headers, &form).verdict(), "403 sign_in_refused");
    let told = gate.journal.wait(|line| line["event"] == "sign_in_refused");
    assert_eq!(told["detail"], "block");
    judge.says("{\"verdict\":\"challenge\"}");
    assert_eq!(browser.sign_in("alice").status, 403, "there is nothing to solve");
    judge.says("{\"verdict\":\"allow\"}");
    assert_eq!(browser.sign_in("alice").status, 303, "nothing was held against them");
}

#[test]
fn a_webhook_that_is_away_or_talks_nonsense_keeps_nobody_out() {
    let (backend, judge) = (Backend::echo(), Judge::start("{\"verdict\":\"perhaps\"}"));
    let gate = house(&backend, &judge.table());
    for nonsense in ["{\"verdict\":\"perhaps\"}", "", "[]", "{\"verdict\":null}", "<html>"] {
        judge.says(nonsense);
        assert_eq!(Browser::new(&gate).sign_in("alice").status, 303, "{nonsense:?}");
    }
    assert!(checks(&gate, "unknown") > 4.5);
    let away = house(&backend, "[bot]\nwebhook = \"http://127.0.0.1:1/judge\"\n");
    for _ in 0..3 {
        assert_eq!(Browser::new(&away).sign_in("alice").status, 303);
    }
    assert!(checks(&away, "unknown") > 2.5);
    let said = || away.messages.all().iter().filter(|line| line.contains("bot.webhook")).count();
    eventually("it says so", || said() > 0);
    assert_eq!(said(), 1, "once a minute");
}

/// A flood of guesses must not become a flood of questions.
#[test]
fn nobody_is_asked_about_whoever_may_try_nothing() {
    let judge = Judge::start("{\"verdict\":\"allow\"}");
    let gate = house(&Backend::echo(), &(judge.table() + "[brute_force]\nfree = 1\n"));
    let mut browser = Browser::new(&gate);
    let csrf = browser.csrf();
    let form = encoded(&[("csrf", &csrf), ("username", "alice"), ("password", "a guess"), ("return_to", "/app/")]);
    let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{PERSON}");
    let statuses: Vec<u16> = (0..5).map(|_| browser.ask("POST", "/.auth/login", &headers, &form).status).collect();
    assert_eq!(statuses, [401, 401, 429, 429, 429]);
    assert!((1.5..2.5).contains(&checks(&gate, "allow")), "{}", checks(&gate, "allow"));
}

#[test]
fn whoever_is_challenged_solves_it_and_signs_in() {
    let (backend, judge) = (Backend::echo(), Judge::start("{\"verdict\":\"challenge\"}"));
    let gate = house(&backend, &judge.with_captcha());
    let mut browser = Browser::new(&gate);
    let csrf = browser.csrf();
    let plain = browser.visit("/.auth/login");
    assert!(!plain.text().contains("<script"), "nobody is challenged before they come");
    let page = sign_in(&mut browser, &csrf, "");
    assert_eq!(page.status, 401);
    assert!(page.text().contains("<script src=\"https://captcha.test/api.js\" async defer>"), "{}", page.text());
    assert!(page.text().contains("data-sitekey=\"public\""));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src https://captcha.test;") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(sign_in(&mut browser, &csrf, "a guess").status, 401);
    assert_eq!(sign_in(&mut browser, &csrf, &"x".repeat(9_000)).status, 401);
    assert_eq!(sign_in(&mut browser, &csrf, "solved").status, 303);
    assert_eq!(browser.who(), "alice");
    let asked = judge.server.seen().iter().filter(|seen| seen.target() == "/check").count();
    assert_eq!(asked, 2, "what is no solution is not asked about");
    assert!(judge.server.seen().iter().any(|seen| body(seen).contains("secret=theirs&response=solved")));
    assert!(checks(&gate, "solved") > 0.5 && checks(&gate, "unsolved") > 0.5);
}

#[test]
fn nobody_is_sent_to_a_provider_before_they_have_solved_it() {
    let (backend, provider) = (Backend::echo(), Provider::start());
    let judge = Judge::start("{\"verdict\":\"challenge\"}");
    let (name, secret) = Provider::secret();
    let setup = people::setup().variable(name, secret).variable("CAPTCHA_SECRET", "theirs");
    let gate = setup.start(&[&provider.table("id"), &backend.upstream("app"), ROUTES, &judge.with_captcha()].concat());
    let mut browser = Browser::new(&gate);
    let page = browser.visit("/.auth/login?provider=id&return_to=/app/x");
    assert_eq!((page.status, page.header("location")), (200, None));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains(&format!("form-action 'self' {}", provider.url())), "the form ends there: {policy}");
    let csrf = hidden(&page.text(), "csrf");
    let send = |browser: &mut Browser, csrf: &str, solution: &str| {
        let form = encoded(&[("csrf", csrf), ("return_to", "/app/x"), ("solution", solution)]);
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{PERSON}");
        browser.ask("POST", "/.auth/login?provider=id", &headers, &form)
    };
    assert_eq!(send(&mut browser, &csrf, "a guess").status, 200);
    assert_eq!(send(&mut browser, "made up", "solved").status, 400);
    let sent = send(&mut browser, &csrf, "solved");
    assert_eq!(sent.status, 302, "{}", sent.text());
    let location = sent.header("location").unwrap();
    assert!(location.starts_with(&provider.url()), "{location}");
    judge.says("{\"verdict\":\"block\"}");
    assert_eq!(browser.visit("/.auth/login?provider=id").status, 403);
}
