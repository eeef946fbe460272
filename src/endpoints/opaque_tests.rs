use super::*;
use crate::domain::headers::forwarded::{Client, Proto};
use crate::domain::oidc::fixture::metadata;
use crate::domain::oidc::Metadata;
use crate::pipeline::session::fixture::{browser, held, script, terms, File, Town, IDLE};
use crate::pipeline::session::{Mode, ProviderTokens, Terms};
use crate::web::Theme;
use bytes::Bytes;
use http::header::{CONTENT_SECURITY_POLICY, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

/// A browser in front of our endpoints.
struct Visit<'t> {
    town: &'t Town,
    own: Own,
}

impl<'t> Visit<'t> {
    fn new(town: &'t Town) -> Self {
        let users: Arc<dyn LocalUsers> = Arc::<File>::clone(&town.users);
        let own = Own {
            house: Arc::clone(&town.house),
            site: Site::new(Theme::default(), "/.auth"),
            prefix: "/.auth".to_owned(),
            ways: vec![Way { name: SourceName::new("local"), holds: Holds::Users(users) }],
            destinations: Vec::new(),
            delivery: Delivery::Cookie,
            warn_before: Duration::from_secs(300),
            bot: None,
        };
        Self { town, own }
    }

    async fn get(&self, path: &str, jar: &str) -> Reply {
        self.own.answer(self.request(Method::GET, path, jar, "")).await
    }

    async fn post(&self, path: &str, jar: &str, form: &str) -> Reply {
        self.own.answer(self.request(Method::POST, path, jar, form)).await
    }

    /// Signs in with the form, and the cookies that come of it.
    async fn sign_in(&self, jar: &str) -> String {
        let form = self.get("/login", jar).await;
        let page = String::from_utf8(form.body.to_vec()).unwrap();
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let reply = self.post("/login", jar, &format!("username=alice&password=secret&csrf={csrf}")).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER);
        held(cookies(&reply)).split("; ").find(|pair| pair.starts_with("__Host-doorward=")).unwrap().to_owned()
    }

    fn request(&self, method: Method, path: &str, jar: &str, form: &str) -> OwnRequest {
        let mut headers: HeaderMap = if path == "/login" { browser(jar) } else { script(jar) };
        headers.insert("sec-fetch-site", HeaderValue::from_static("same-origin"));
        let name = HeaderValue::from_static("app.test");
        let (authority, host) = (name.clone(), name);
        OwnRequest {
            method,
            path: format!("/.auth{path}"),
            query: String::new(),
            authority: "app.test".to_owned(),
            headers,
            body: Bytes::from(form.to_owned()),
            client: Client { ip: None, forwarded_for: None, proto: Proto::Https, authority, host, port: None },
            now: self.town.now(),
            request_id: "r1".to_owned(),
        }
    }
}

fn cookies(reply: &Reply) -> impl Iterator<Item = &HeaderValue> {
    reply.headers.iter().filter(|(name, _)| name == SET_COOKIE).map(|(_, value)| value)
}

fn said(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

#[tokio::test]
async fn a_refresh_puts_off_the_idle_end_and_hands_out_nothing() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let jar = visit.sign_in("").await;
    town.pass(IDLE - 60);
    let me = visit.get("/me", &jar).await;
    assert_eq!((me.status, said(&me)["expires_in"].as_u64()), (StatusCode::OK, Some(60)));
    let reply = visit.post("/refresh", &jar, "").await;
    assert_eq!((reply.status, cookies(&reply).count()), (StatusCode::OK, 0));
    let said = said(&reply);
    assert_eq!((said["expires_in"].as_u64(), said["id"]["sub"].as_str()), (Some(IDLE), Some("alice")));
    assert!(said.get("access_token").is_none());
    town.pass(IDLE - 1);
    assert_eq!(visit.get("/me", &jar).await.status, StatusCode::OK);
}

#[tokio::test]
async fn looking_at_oneself_puts_nothing_off() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let jar = visit.sign_in("").await;
    for _ in 0..10 {
        town.pass(IDLE / 10);
        visit.get("/me", &jar).await;
    }
    let me = visit.get("/me", &jar).await;
    assert_eq!((me.status, said(&me)["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("session_expired")));
    assert!(held(cookies(&me)).is_empty() && cookies(&me).count() == 1, "the cookie is cleared");
}

#[tokio::test]
async fn a_use_that_the_store_does_not_know_of_yet_is_counted_in_what_is_left() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let jar = visit.sign_in("").await;
    town.pass(600);
    town.ask(&jar).await.unwrap();
    town.pass(10);
    assert_eq!(said(&visit.get("/me", &jar).await)["idle_in"].as_u64(), Some(IDLE - 10));
}

#[tokio::test]
async fn a_store_that_is_away_is_no_reason_to_sign_anybody_out() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let jar = visit.sign_in("").await;
    town.store.goes_away();
    for reply in [visit.post("/refresh", &jar, "").await, visit.get("/me", &jar).await] {
        assert_eq!((reply.status, cookies(&reply).count()), (StatusCode::SERVICE_UNAVAILABLE, 0));
    }
    let out = visit.post("/logout", &jar, "").await;
    assert_eq!(out.status, StatusCode::SERVICE_UNAVAILABLE, "nobody is told that they are out while they are not");
    town.store.comes_back();
    assert_eq!(visit.get("/me", &jar).await.status, StatusCode::OK);
}

#[tokio::test]
async fn signing_in_again_changes_the_handle_and_ends_the_old_session() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let old = visit.sign_in("").await;
    let new = visit.sign_in(&old).await;
    assert_ne!(old, new);
    assert_eq!(visit.get("/me", &old).await.status, StatusCode::UNAUTHORIZED);
    let sessions = said(&visit.get("/sessions", &new).await);
    assert_eq!(sessions["sessions"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_store_that_stumbles_at_a_new_sign_in_does_not_keep_the_old_session_alive() {
    for missed in ["load", "end"] {
        let town = Town::new(Mode::Opaque).await;
        let visit = Visit::new(&town);
        let old = visit.sign_in("").await;
        town.store.misses(missed);
        let new = visit.sign_in(&old).await;
        assert_eq!(visit.get("/me", &old).await.status, StatusCode::UNAUTHORIZED, "{missed}");
        assert_eq!(visit.get("/me", &new).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_sign_in_that_comes_to_nothing_takes_nothing_away() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let jar = visit.sign_in("").await;
    let form = String::from_utf8(visit.get("/login", &jar).await.body.to_vec()).unwrap();
    let csrf = form.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    town.store.goes_away();
    let reply = visit.post("/login", &jar, &format!("username=alice&password=secret&csrf={csrf}")).await;
    assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
    town.store.comes_back();
    assert_eq!(visit.get("/me", &jar).await.status, StatusCode::OK);
}

#[tokio::test]
async fn whoever_signs_out_is_out_at_once() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let jar = visit.sign_in("").await;
    assert_eq!(visit.get("/me", &jar).await.status, StatusCode::OK);
    assert_eq!(visit.post("/logout", &jar, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(said(&visit.get("/me", &jar).await)["code"], "session_terminated");
}

#[tokio::test]
async fn strict_cookies_are_led_on_by_a_page_after_a_provider_and_by_a_redirect_after_our_form() {
    use crate::domain::cookies::SameSite;
    let town = Town::with(Terms { same_site: SameSite::Strict, ..terms(Mode::Opaque) }).await;
    let visit = Visit::new(&town);
    let mut signed_in = town.try_sign_in("alice").await.unwrap();
    let request = visit.request(Method::GET, "/callback/id", "", "");
    let asked = Asked::read(&visit.own, &request).unwrap();
    let here = visit.own.welcome(&asked, &signed_in, "/app").unwrap();
    assert_eq!(here.status, StatusCode::SEE_OTHER);
    signed_in.record.provider_tokens = Some(ProviderTokens { refresh: None, id_token: None, shown: false });
    let there = visit.own.welcome(&asked, &signed_in, "/app?x=1&y=\"2").unwrap();
    let page = String::from_utf8(there.body.to_vec()).unwrap();
    assert_eq!(there.status, StatusCode::OK);
    assert!(page.contains("<meta http-equiv=\"refresh\" content=\"0; url=/app?x=1&#38;y=&#34;2\">"), "{page}");
    assert!(there.headers.iter().all(|(name, _)| name != LOCATION) && cookies(&there).count() > 0);
    let lax = town.reloaded(terms(Mode::Opaque), Default::default());
    let visit = Visit::new(&lax);
    let asked = Asked::read(&visit.own, &request).unwrap();
    assert_eq!(visit.own.welcome(&asked, &signed_in, "/app").unwrap().status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn who_finds_an_old_token_ends_nothing_that_came_later() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit::new(&town);
    let (old, other) = (town.sign_in("alice").await, town.sign_in("alice").await);
    assert_eq!(visit.post("/logout", &old, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(visit.post("/logout", &old, "all=true").await.status, StatusCode::NO_CONTENT);
    assert!(town.ask(&other).await.is_ok());
    let renewal = old.split("; ").find(|pair| pair.contains("-r")).unwrap();
    visit.post("/logout", renewal, "all=true").await;
    assert!(town.ask(&other).await.is_ok());
    let third = town.sign_in("alice").await;
    assert_eq!(visit.post("/logout", &third, "all=true").await.status, StatusCode::NO_CONTENT);
    assert!(town.ask(&other).await.is_err() && town.ask(&third).await.is_err(), "one that goes on ends them all");
}

#[tokio::test]
async fn who_ends_all_sessions_while_the_store_is_away_has_ended_this_one() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit::new(&town);
    let jar = town.sign_in("alice").await;
    town.store.goes_away();
    assert_eq!(visit.post("/logout", &jar, "all=true").await.status, StatusCode::SERVICE_UNAVAILABLE);
    town.store.comes_back();
    assert!(town.ask(&jar).await.is_err());
}

/// The renewal token of a jar.
fn renewal(jar: &str) -> &str {
    jar.split("; ").find(|pair| pair.starts_with("__Host-doorward-r")).and_then(|pair| pair.split_once('=')).unwrap().1
}

/// A client that has a form to send, and neither cookies nor an origin.
async fn token(visit: &Visit<'_>, form: &str) -> (u16, Value) {
    let mut request = visit.request(Method::POST, "/token", "", form);
    request.headers.remove("sec-fetch-site");
    request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    let reply = visit.own.answer(request).await;
    assert!(reply.headers.iter().any(|(name, value)| name == "cache-control" && value == "no-store"));
    assert_eq!(cookies(&reply).count(), 0);
    (reply.status.as_u16(), said(&reply))
}

#[tokio::test]
async fn a_refresh_token_counts_once_at_the_token_endpoint() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit::new(&town);
    let first = format!("grant_type=refresh_token&refresh_token={}", renewal(&town.sign_in("alice").await));
    let (status, said) = token(&visit, &first).await;
    assert_eq!((status, said["token_type"].as_str()), (200, Some("Bearer")), "{said}");
    assert_eq!(said["expires_in"], 900);
    assert!(visit.own.house.read_bearer(said["access_token"].as_str().unwrap(), town.now()).await.is_ok());
    let second = format!("grant_type=refresh_token&refresh_token={}", said["refresh_token"].as_str().unwrap());
    assert_eq!(token(&visit, &second).await.0, 200);
    town.pass(1);
    let (status, refused) = token(&visit, &first).await;
    assert_eq!((status, refused["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(refused["error_description"], "token_reused");
}

#[tokio::test]
async fn what_is_no_grant_is_refused_in_words_of_oauth() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit::new(&town);
    for (form, error) in [
        ("", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=a&refresh_token=b", "invalid_request"),
        ("grant_type=refresh_token&refresh_token=dwr1.x", "invalid_grant"),
        ("grant_type=password&username=alice&password=secret", "unsupported_grant_type"),
    ] {
        let (status, said) = token(&visit, form).await;
        assert_eq!((status, said["error"].as_str()), (400, Some(error)), "{form}");
    }
    let opaque = Town::new(Mode::Opaque).await;
    let form = "grant_type=refresh_token&refresh_token=dwr1.x";
    assert_eq!(token(&Visit::new(&opaque), form).await.1["error"], "unsupported_grant_type");
}

#[tokio::test]
async fn whoever_lost_a_session_to_a_copy_reads_of_it_where_they_sign_in() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit::new(&town);
    let jar = town.sign_in("alice").await;
    let stale = format!("__Host-doorward-r0={}", renewal(&jar));
    let form = format!("grant_type=refresh_token&refresh_token={}", renewal(&jar));
    let next = token(&visit, &form).await.1["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(token(&visit, &format!("grant_type=refresh_token&refresh_token={next}")).await.0, 200);
    town.pass(60);
    let back = visit.post("/refresh", &stale, "").await;
    let reply = visit.post("/refresh", &format!("{stale}; {}", held(cookies(&back))), "").await;
    assert_eq!(said(&reply)["code"], "token_reused", "{:?}", said(&reply));
    let left = held(cookies(&reply));
    let words = |reply: &Reply| String::from_utf8(reply.body.to_vec()).unwrap().contains("somebody else used");
    assert!(words(&visit.get("/login", &left).await));
    assert!(!words(&visit.get("/login", "").await));
}

#[tokio::test]
async fn the_form_that_signs_out_may_lead_to_where_the_provider_ends_its_session() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit::new(&town);
    let (far, here) = (town.sign_in_far().await, town.sign_in("alice").await);
    let unknown = format!("__Host-doorward-r0={}", renewal(&far));
    let elsewhere = "https://bye.example.net/end?a=1".parse().unwrap();
    let metadata = Metadata { end_session_endpoint: Some(elsewhere), ..metadata() };
    *town.provider.metadata.lock() = Some(metadata);
    let policy = |reply: &Reply| {
        let value = reply.headers.iter().find(|(name, _)| name == CONTENT_SECURITY_POLICY).map(|(_, value)| value);
        let text = value.unwrap().to_str().unwrap();
        text.split("; ").find(|part| part.starts_with("form-action")).unwrap().to_owned()
    };
    for jar in [&far, &unknown] {
        assert_eq!(policy(&visit.get("/logout", jar).await), "form-action 'self' https://bye.example.net");
    }
    assert_eq!(policy(&visit.get("/logout", &here).await), "form-action 'self'", "a session of our own users");
    *town.provider.metadata.lock() = None;
    assert_eq!(policy(&visit.get("/logout", &far).await), "form-action 'self'");
}

#[tokio::test]
async fn extending_a_session_is_counted_as_a_renewal_is() {
    let mut town = Town::new(Mode::Opaque).await;
    town.counts_renewals();
    let visit = Visit::new(&town);
    let jar = town.sign_in("alice").await;
    for _ in 0..3 {
        assert_eq!(visit.post("/refresh", &jar, "").await.status, StatusCode::OK);
    }
    let (reply, asked) = town.asked(visit.post("/refresh", &jar, "")).await;
    assert_eq!((reply.status, said(&reply)["code"].as_str()), (StatusCode::TOO_MANY_REQUESTS, Some("rate_limited")));
    assert!(reply.headers.iter().any(|(name, _)| name == RETRY_AFTER) && cookies(&reply).count() == 0);
    assert_eq!(asked, Vec::<&str>::new(), "nothing is extended");
    assert_eq!(visit.get("/me", &jar).await.status, StatusCode::OK, "the session goes on");
    let other = town.sign_in("alice").await;
    let reply = visit.post("/refresh", &other, "").await;
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS, "all of one user's count together");
}

#[tokio::test]
async fn a_renewal_tells_how_long_the_session_lasts_from_then_on() {
    let town = Town::new(Mode::Jwt).await;
    let visit = Visit { own: Own { delivery: Delivery::Memory, ..Visit::new(&town).own }, town: &town };
    let jar = town.sign_in("alice").await;
    town.pass(600);
    assert_eq!(said(&visit.post("/refresh", &jar, "").await)["id"]["idle_in"], IDLE);
}

#[tokio::test]
async fn a_count_of_sign_ins_that_somebody_made_up_is_only_a_count() {
    let town = Town::new(Mode::Opaque).await;
    let visit = Visit::new(&town);
    let signed_in = town.try_sign_in("alice").await.unwrap();
    let request = visit.request(Method::GET, "/callback/id", &format!("__Host-doorward-b=s{}", u32::MAX), "");
    let asked = Asked::read(&visit.own, &request).unwrap();
    assert_eq!(visit.own.welcome(&asked, &signed_in, "/app").unwrap().status, StatusCode::SEE_OTHER);
}
