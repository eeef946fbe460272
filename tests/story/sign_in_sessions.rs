//! What people see of their sessions, and how those end.

use super::support::backend::Backend;
use super::support::browser::{hidden, json, set_cookies, Browser, SCRIPT};
use super::support::client::Response;
use super::support::people;
use serde_json::Value;

/// Names of the cookies it makes a browser forget.
fn cleared(answer: &Response) -> Vec<String> {
    let gone = |attributes: &[String]| attributes.contains(&"max-age=0".to_owned());
    set_cookies(answer).into_iter().filter(|cookie| gone(&cookie.attributes)).map(|cookie| cookie.name).collect()
}

#[test]
fn me_tells_who_is_asking_and_never_a_token() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let answer = browser.get("/.auth/me");
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    let me = json(&answer);
    assert_eq!((me["sub"].as_str(), me["provider"].as_str()), (Some("alice"), Some("local")));
    assert_eq!((me["email"].as_str(), &me["roles"]), (Some("alice@app.test"), &serde_json::json!(["admin"])));
    assert_eq!(me["session"], browser.access()["sid"]);
    let between = |name: &str, least, most| {
        let told = me[name].as_u64().unwrap();
        assert!((least..=most).contains(&told), "{name} is {told}");
    };
    between("expires_in", 840, 900);
    between("idle_in", 1_740, 1_800);
    for value in browser.jar.values() {
        assert!(!answer.text().contains(value));
    }
    assert_eq!(Browser::new(&gate).who(), "401 unauthenticated");
}

#[test]
fn sessions_are_listed_and_ended_one_by_one() {
    let gate = people::house(&Backend::echo(), "");
    let (mut here, mut there) = (Browser::signed_in(&gate, "alice"), Browser::signed_in(&gate, "alice"));
    let listed = json(&here.get("/.auth/sessions"));
    let listed: Vec<&Value> = listed["sessions"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 2);
    let current: Vec<_> = listed.iter().filter(|one| one["current"] == true).map(|one| &one["id"]).collect();
    assert_eq!(current, [&here.session()]);
    assert_eq!(
        (listed[0]["ip"].as_str(), listed[0]["device"].as_str()),
        (Some("127.0.0.0/24"), Some("Firefox on Linux"))
    );
    for name in ["created", "last_seen", "expires"] {
        assert!(listed[0][name].is_u64(), "{name}");
    }
    let page = here.visit("/.auth/sessions");
    assert!(page.status == 200 && page.text().contains("Firefox on Linux") && page.text().contains(&there.session()));

    let id = there.session();
    let ended = here.ask("DELETE", &format!("/.auth/sessions/{id}"), SCRIPT, "");
    assert_eq!((ended.status, json(&ended)["ended"].as_str()), (200, Some("one")));
    let refused = there.get("/app/x");
    assert_eq!(refused.verdict(), "401 session_terminated");
    assert!(!there.has_forgotten(), "a script may come late");
    there.visit("/app/x");
    assert!(there.has_forgotten(), "it is cleared: {:?}", there.jar.keys());
    assert_eq!(here.who(), "alice");
    let again = here.ask("DELETE", &format!("/.auth/sessions/{id}"), SCRIPT, "");
    assert_eq!(again.verdict(), "404 no_route");
}

#[test]
fn a_form_ends_sessions_as_well() {
    let gate = people::house(&Backend::echo(), "");
    let (mut here, mut there) = (Browser::signed_in(&gate, "alice"), Browser::signed_in(&gate, "alice"));
    let mut third = Browser::signed_in(&gate, "alice");
    let id = there.session();
    let ended = here.submit(&format!("/.auth/sessions/{id}/revoke"), &[]);
    assert_eq!((ended.status, ended.header("location")), (303, Some("/.auth/sessions?ended=one")));
    assert_eq!(there.who(), "401 session_terminated");
    let ended = here.submit("/.auth/sessions/others/revoke", &[]);
    assert_eq!((ended.status, ended.header("location")), (303, Some("/.auth/sessions?ended=others")));
    assert_eq!((third.who().as_str(), here.who().as_str()), ("401 session_terminated", "alice"));
    let id = here.session();
    let ended = here.submit(&format!("/.auth/sessions/{id}/revoke"), &[]);
    assert_eq!(ended.status, 303);
    assert!(here.cookie("doorward").is_none() && here.cookie("doorward-r0").is_none(), "one's own is a sign-out");
}

#[test]
fn naming_the_session_of_somebody_else_does_nothing() {
    let gate = people::house(&Backend::echo(), "");
    let (mut alice, mut bob) = (Browser::signed_in(&gate, "alice"), Browser::signed_in(&gate, "bob"));
    let id = alice.session();
    for (method, target) in
        [("DELETE", format!("/.auth/sessions/{id}")), ("POST", format!("/.auth/sessions/{id}/revoke"))]
    {
        assert_eq!(bob.ask(method, &target, SCRIPT, "").verdict(), "404 no_route");
        assert_eq!(Browser::new(&gate).ask(method, &target, SCRIPT, "").verdict(), "401 unauthenticated");
    }
    assert_eq!((alice.who().as_str(), bob.who().as_str()), ("alice", "bob"));
    assert!(!json(&bob.get("/.auth/sessions")).to_string().contains(&id));
}

#[test]
fn signing_out_kills_what_was_copied_at_once() {
    let backend = Backend::echo();
    let gate = people::house(&backend, "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let mut copied = browser.clone();
    let mut renewing = browser.clone();
    renewing.forget_access();
    assert_eq!(copied.get("/app/x").status, 200);
    let answer = browser.post("/.auth/logout");
    assert_eq!(answer.status, 204);
    let gone = cleared(&answer);
    assert!(gone.contains(&"doorward".to_owned()) && gone.contains(&"doorward-r0".to_owned()), "{gone:?}");
    assert!(browser.has_forgotten(), "{:?}", browser.jar.keys());
    backend.take();
    assert_eq!(copied.get("/app/x").verdict(), "401 session_terminated");
    assert_eq!(renewing.get("/app/x").status, 401);
    assert_eq!(renewing.post("/.auth/refresh").status, 401);
    assert!(backend.seen().is_empty());
    assert_eq!(browser.who(), "401 unauthenticated");
    assert_eq!(browser.post("/.auth/logout").status, 204, "twice is no harm");
}

#[test]
fn a_person_who_signs_out_sees_a_page_and_a_link_signs_nobody_out() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let page = browser.visit("/.auth/logout");
    assert!(page.status == 200 && page.text().contains("<button"), "{}", page.text());
    assert_eq!(browser.who(), "alice");
    let answer = browser.submit("/.auth/logout", &[]);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/.auth/logout")));
    let page = browser.visit("/.auth/logout");
    assert!(page.status == 200 && !page.text().contains("<button"), "{}", page.text());
}

#[test]
fn signing_out_everywhere_ends_all_of_one_users_sessions() {
    let gate = people::house(&Backend::echo(), "");
    let mut everywhere: Vec<Browser> = (0..3).map(|_| Browser::signed_in(&gate, "alice")).collect();
    let mut bob = Browser::signed_in(&gate, "bob");
    assert_eq!(everywhere[0].post("/.auth/logout?all=true").status, 204);
    for browser in &mut everywhere[1..] {
        assert_eq!(browser.who(), "401 session_terminated");
    }
    assert_eq!(bob.who(), "bob");
    let mut again = Browser::signed_in(&gate, "alice");
    assert_eq!(again.who(), "alice", "what is signed in to later counts");
    assert_eq!(json(&again.get("/.auth/sessions"))["sessions"].as_array().unwrap().len(), 1);
}

#[test]
fn somebody_whose_token_is_over_can_still_sign_out() {
    let gate = people::house(&Backend::echo(), "");
    let mut browser = Browser::signed_in(&gate, "alice");
    let mut copied = browser.clone();
    browser.forget_access();
    assert_eq!(browser.post("/.auth/logout").status, 204);
    assert_eq!(copied.who(), "401 session_terminated");
}

#[test]
fn the_oldest_session_makes_room() {
    let gate = people::house(&Backend::echo(), "[session]\nmax_per_user = 2\n");
    let mut all: Vec<Browser> = (0..4).map(|_| Browser::signed_in(&gate, "alice")).collect();
    let verdicts: Vec<String> = all.iter_mut().map(Browser::who).collect();
    assert_eq!(verdicts, ["401 session_terminated", "401 session_terminated", "alice", "alice"]);
    assert!(gate.metric("doorward_session_evictions_total{reason=\"evict_oldest\"}") >= 2.0);
}

#[test]
fn a_new_browser_may_be_the_only_one() {
    let gate = people::house(&Backend::echo(), "[session]\non_limit = \"single\"\n");
    let mut all: Vec<Browser> = (0..3).map(|_| Browser::signed_in(&gate, "alice")).collect();
    let mut bob = Browser::signed_in(&gate, "bob");
    let verdicts: Vec<String> = all.iter_mut().map(Browser::who).collect();
    assert_eq!(verdicts, ["401 session_terminated", "401 session_terminated", "alice"]);
    assert_eq!(bob.who(), "bob");
}

#[test]
fn where_there_is_no_room_one_chooses_what_to_end() {
    let gate = people::house(&Backend::echo(), "[session]\nmax_per_user = 2\non_limit = \"reject\"\n");
    let mut all: Vec<Browser> = (0..2).map(|_| Browser::signed_in(&gate, "alice")).collect();
    let (mut third, oldest) = (Browser::new(&gate), all[0].session());
    let page = third.sign_in("alice");
    assert_eq!(page.status, 403);
    assert!(third.cookie("doorward").is_none() && page.text().contains(&oldest), "{}", page.text());
    let (ticket, place) = (hidden(&page.text(), "ticket"), hidden(&page.text(), "return_to"));
    assert_eq!(all[0].who(), "alice", "and nobody was pushed out");

    let forged = third.submit("/.auth/login/instead", &[("ticket", "x"), ("return_to", &place), ("session", &oldest)]);
    assert_eq!(forged.status, 400);
    let evil = [("ticket", ticket.as_str()), ("return_to", "//evil.test"), ("session", &oldest)];
    assert_eq!(third.submit("/.auth/login/instead", &evil).status, 400);
    let mut bob = Browser::signed_in(&gate, "bob");
    let others = [("ticket", ticket.as_str()), ("return_to", &place), ("session", &bob.session())];
    let still_full = third.submit("/.auth/login/instead", &others);
    assert_eq!(still_full.status, 403, "somebody else's makes no room");
    assert_eq!(bob.who(), "bob");

    let spent = [("ticket", ticket.as_str()), ("return_to", &place), ("session", &oldest)];
    assert_eq!(third.submit("/.auth/login/instead", &spent).status, 400, "a ticket counts once");
    let ticket = hidden(&still_full.text(), "ticket");
    let chosen = [("ticket", ticket.as_str()), ("return_to", &place), ("session", &oldest)];
    let answer = third.submit("/.auth/login/instead", &chosen);
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(
        (third.who().as_str(), all[0].who().as_str(), all[1].who().as_str()),
        ("alice", "401 session_terminated", "alice")
    );
    let again = Browser::new(&gate).submit("/.auth/login/instead", &chosen);
    assert_eq!(again.status, 400, "a ticket lets nobody beyond the cap");
}
