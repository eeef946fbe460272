use super::*;
use crate::domain::denial::Code;
use crate::domain::time::UnixTime;
use askama::Template;
use std::time::Duration;

/// What somebody may have typed as a name, a device, a path.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&amp;{{ site }}";
const NOW: UnixTime = UnixTime(1_000_000_000);

fn site() -> Site {
    Site::new(Theme::new(HOSTILE, None, "#1f5fa8").unwrap(), "/.auth")
}

fn rows() -> [SessionRow<'static>; 2] {
    let row = |current| SessionRow {
        id: HOSTILE,
        device: HOSTILE,
        network: HOSTILE,
        created: UnixTime(NOW.0 - 86_400),
        last_seen: UnixTime(NOW.0 - 300),
        current,
    };
    [row(true), row(false)]
}

const WAYS: [Way<'static>; 2] = [Way { name: HOSTILE, label: HOSTILE }, Way { name: "auth0", label: "Auth0" }];

/// Every page, every field hostile.
fn every_page() -> Vec<(&'static str, String)> {
    let site = &site();
    let (ways, rows, here) = (&WAYS[..], &rows()[..], Some(HOSTILE));
    let sign_in = SignIn {
        site,
        provider: HOSTILE,
        csrf: Hidden(HOSTILE),
        return_to: here,
        username: HOSTILE,
        problem: Some(Problem::WrongCredentials),
        notice: None,
        captcha: None,
        others: ways,
    };
    let person = Person { name: HOSTILE, subject: HOSTILE, provider: HOSTILE, roles: &[HOSTILE] };
    let provider = Way { name: HOSTILE, label: HOSTILE };
    let mut pages = vec![
        ("sign-in", html(&sign_in)),
        ("chooser", html(&Chooser { site, ways, return_to: here, notice: Some(Notice::SessionEnded) })),
        ("down", html(&ProviderDown { site, provider, others: ways, return_to: here, request_id: HOSTILE })),
        ("bounced", html(&Bounced { site, return_to: here, request_id: HOSTILE })),
        ("onward", html(&Onward { site, to: HOSTILE })),
        ("sign-out", html(&SignOut { site, name: here })),
        ("signed-out", html(&SignedOut { site, still_at: here })),
        ("sessions", html(&Sessions { site, sessions: rows, ended: Some(Ended::One), now: NOW })),
        (
            "too-many",
            html(&TooManySessions {
                site,
                sessions: rows,
                action: HOSTILE,
                hidden: &[(HOSTILE, Hidden(HOSTILE))],
                now: NOW,
            }),
        ),
        ("demo", html(&DemoPage { site, person: Some(person), headers: &[(HOSTILE, HOSTILE)] })),
    ];
    let errors =
        Code::ALL.map(|code| (code.name(), html(&ErrorPage { retry: here, ..ErrorPage::new(site, code, HOSTILE) })));
    pages.extend(errors);
    pages
}

#[test]
fn nothing_that_is_shown_becomes_markup() {
    for (name, page) in every_page() {
        for forbidden in ["<script", "<img src=x", "\"'>", "onerror=alert(2)>"] {
            assert!(!page.contains(forbidden), "{name} holds {forbidden}: {page}");
        }
        // escaped twice would show, escaped never would have been found above
        assert!(page.contains("&#60;script&#62;alert(1)"), "{name} does not show what it was given");
    }
}

#[test]
fn no_page_has_a_script_or_a_style_of_its_own() {
    for (name, page) in every_page() {
        for forbidden in ["<script", "<style", " style=", " onclick", " onsubmit", "javascript:"] {
            assert!(!page.contains(forbidden), "{name} has {forbidden}");
        }
    }
}

#[test]
fn every_page_has_a_language_a_title_and_one_heading() {
    for (name, page) in every_page() {
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        assert_eq!(page.matches("<h1>").count(), 1, "{name}");
        assert_eq!(page.matches("<title>").count(), 1, "{name}");
        assert!(page.contains("name=\"viewport\""), "{name}");
    }
}

#[test]
fn every_page_loads_the_style_sheet_that_is_served() {
    let site = site();
    for (name, page) in every_page() {
        let href = page.split("<link rel=\"stylesheet\" href=\"").nth(1).and_then(|rest| rest.split('"').next());
        let path = href.and_then(|href| href.strip_prefix("/.auth")).unwrap_or_default();
        let asset = site.asset(path).unwrap_or_else(|| panic!("{name} asks for {href:?}"));
        assert_eq!(asset.freshness, Freshness::ForEver, "{name}");
    }
}

/// A browser under `no-referrer` says `Origin: null`, which the check of unsafe requests refuses.
#[test]
fn a_page_with_a_form_lets_the_browser_tell_us_its_origin() {
    for (name, page) in every_page() {
        let tells = page.contains("<meta name=\"referrer\" content=\"same-origin\">");
        assert_eq!(tells, page.contains("<form"), "{name}");
    }
}

#[test]
fn whatever_changes_something_is_a_post() {
    for (name, page) in every_page() {
        assert_eq!(
            page.matches("<form").count(),
            page.matches("<form method=\"post\" action=\"/.auth").count(),
            "{name}"
        );
    }
}

fn sign_in(problem: Option<Problem>, username: &str) -> String {
    let site = Site::new(Theme::default(), "/.auth");
    let page = SignIn {
        site: &site,
        provider: "local",
        csrf: Hidden("c5rf"),
        return_to: Some("/app?x=1&y=2"),
        username,
        problem,
        notice: Some(Notice::SessionEnded),
        captcha: None,
        others: &[],
    };
    html(&page)
}

#[test]
fn the_form_sends_what_the_sign_in_endpoint_reads() {
    let page = sign_in(None, "");
    for part in [
        "<form method=\"post\" action=\"/.auth/login?provider=local\">",
        "name=\"csrf\" value=\"c5rf\"",
        "name=\"return_to\" value=\"/app?x=1&#38;y=2\"",
        "name=\"username\" type=\"text\" value=\"\" autocomplete=\"username\"",
        "name=\"password\" type=\"password\" autocomplete=\"current-password\"",
        "<label for=\"username\">",
        "<label for=\"password\">",
    ] {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

#[test]
fn a_mistake_is_announced_and_belongs_to_its_fields() {
    let page = sign_in(Some(Problem::TooManyFailures { wait: Duration::from_secs(60) }), "alice");
    assert!(page.contains("id=\"problem\" role=\"alert\""));
    assert!(page.contains("wait 1 minute and"));
    assert_eq!(page.matches("aria-describedby=\"problem\"").count(), 2);
    assert!(page.contains("value=\"alice\""), "the name need not be typed twice");
    assert!(!page.contains(texts::SESSION_ENDED), "one message at a time");
}

#[test]
fn the_cursor_begins_where_typing_does() {
    let focused = |page: &str, id: &str| {
        let field = page.split(&format!("<input id=\"{id}\"")).nth(1).and_then(|rest| rest.split('>').next());
        field.is_some_and(|field| field.contains("autofocus"))
    };
    let (fresh, again) = (sign_in(None, ""), sign_in(Some(Problem::WrongCredentials), "alice"));
    assert_eq!((focused(&fresh, "username"), focused(&fresh, "password")), (true, false));
    assert_eq!((focused(&again, "username"), focused(&again, "password")), (false, true));
}

#[test]
fn links_carry_where_the_person_wanted_to_go() {
    let site = Site::new(Theme::default(), "/.auth");
    let href = site.sign_in_href(Some("auth 0"), Some("/app?x=1&provider=evil"));
    assert_eq!(href, "/.auth/login?provider=auth+0&return_to=%2Fapp%3Fx%3D1%26provider%3Devil");
    assert_eq!(site.sign_in_href(None, None), "/.auth/login");
}

#[test]
fn a_session_of_ones_own_is_not_ended_by_mistake() {
    let site = Site::new(Theme::default(), "/.auth");
    let row = |id, current| SessionRow {
        id,
        device: "Firefox on Linux",
        network: "203.0.113.0/24",
        created: UnixTime(NOW.0 - 7200),
        last_seen: NOW,
        current,
    };
    let alone = html(&Sessions { site: &site, sessions: &[row("s1", true)], ended: None, now: NOW });
    assert!(!alone.contains("/revoke") && alone.contains(texts::ONLY_THIS));
    let both = html(&Sessions { site: &site, sessions: &[row("s1", true), row("s2", false)], ended: None, now: NOW });
    assert!(both.contains("action=\"/.auth/sessions/s2/revoke\""));
    assert!(both.contains("action=\"/.auth/sessions/others/revoke\""));
    assert!(!both.contains("/s1/revoke"));
}

#[test]
fn a_device_without_a_name_still_has_a_row() {
    let site = Site::new(Theme::default(), "/.auth");
    let mut row = rows()[1];
    row.device = "";
    let page = html(&Sessions { site: &site, sessions: &[row], ended: None, now: NOW });
    assert!(page.contains(texts::DEVICE_UNKNOWN));
}

#[test]
fn an_error_offers_another_try_only_at_home_and_only_where_it_may_help() {
    let site = Site::new(Theme::default(), "/.auth");
    let page = |code, retry| html(&ErrorPage { retry, ..ErrorPage::new(&site, code, "id") });
    assert!(page(Code::UpstreamTimeout, Some("/app")).contains("href=\"/app\""));
    assert!(!page(Code::UpstreamTimeout, Some("//evil.example")).contains("evil.example"));
    assert!(!page(Code::UpstreamTimeout, None).contains(texts::TRY_AGAIN));
    assert!(!page(Code::Forbidden, Some("/app")).contains(texts::TRY_AGAIN));
    assert!(page(Code::Unauthenticated, Some("/app")).contains("href=\"/.auth/login?return_to=%2Fapp\""));
}

#[test]
fn a_page_that_cannot_be_made_still_says_something() {
    struct Broken;
    impl std::fmt::Display for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    #[derive(Template)]
    #[template(source = "{{ inner }}", ext = "txt")]
    struct Page {
        inner: Broken,
    }
    assert_eq!(html(&Page { inner: Broken }), texts::UNRENDERABLE);
}
