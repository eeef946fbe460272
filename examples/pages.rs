//! Writes every page there is to a folder, to look at them and for the browser tests:
//!
//!     cargo run --example pages -- FOLDER
//!
//! `pages.json` in it says what to serve where, with which headers.

use doorward::domain::denial::Code;
use doorward::domain::time::UnixTime;
use doorward::web::{
    html, Bounced, Chooser, DemoPage, Ended, ErrorPage, Hidden, Notice, Person, Problem, ProviderDown, SessionRow,
    Sessions, SignIn, SignOut, SignedOut, Site, Theme, TooManySessions, Way,
};
use serde_json::{json, Map, Value};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NOW: UnixTime = UnixTime(1_795_300_000);
const REQUEST_ID: &str = "0d6f1c8a9b3e4f52";
const LOGO: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA5NiAzMiI+PHJlY3Qgd2lkdGg9Ijk2IiBoZWlnaHQ9IjMyIiByeD0iNCIgZmlsbD0iI2ZmYzgwMCIvPjx0ZXh0IHg9IjQ4IiB5PSIyMiIgZm9udC1mYW1pbHk9InNhbnMtc2VyaWYiIGZvbnQtc2l6ZT0iMTgiIHRleHQtYW5jaG9yPSJtaWRkbGUiPkFDTUU8L3RleHQ+PC9zdmc+";

type Pages = Vec<(&'static str, String)>;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args().nth(1).map(PathBuf::from) else { return Err("usage: pages FOLDER".into()) };
    let plain = Site::new(Theme::default(), "/.auth");
    let acme = Site::new(acme_theme()?, "/.auth");
    fs::create_dir_all(&folder)?;

    let mut served = Map::new();
    let pages = [ways_in(&plain), sessions(&plain), others(&plain)].concat();
    for (name, page) in pages {
        write(&folder, &mut served, &plain, (name, &page))?;
    }
    for (name, page) in themed(&acme) {
        write(&folder, &mut served, &acme, (name, &page))?;
    }
    fs::write(folder.join("pages.json"), serde_json::to_string_pretty(&Value::Object(served))?)?;
    Ok(())
}

fn acme_theme() -> Result<Theme, String> {
    Theme::new("Acme Payroll", Some(LOGO), "#ffc800").map_err(|mistakes| format!("{mistakes:?}"))
}

fn ways_in(site: &Site) -> Pages {
    let others = &[Way { name: "auth0", label: "Auth0" }, Way { name: "entra", label: "Microsoft Entra ID" }];
    let form = SignIn {
        site,
        provider: "local",
        csrf: Hidden("example"),
        return_to: Some("/app"),
        username: "",
        problem: None,
        notice: None,
        captcha: None,
        others: &[],
    };
    let wrong = Some(Problem::WrongCredentials);
    let blocked = Some(Problem::TooManyFailures { wait: Duration::from_secs(60) });
    let provider = Way { name: "auth0", label: "Auth0" };
    let down = ProviderDown {
        site,
        provider,
        others: others.get(1..).unwrap_or_default(),
        return_to: Some("/app"),
        request_id: REQUEST_ID,
    };
    vec![
        ("sign-in", html(&form)),
        ("sign-in-wrong", html(&SignIn { username: "alice", problem: wrong, others, ..form.clone() })),
        ("sign-in-blocked", html(&SignIn { username: "alice", problem: blocked, ..form.clone() })),
        ("sign-in-ended", html(&SignIn { notice: Some(Notice::SessionEnded), ..form })),
        ("chooser", html(&Chooser { site, ways: others, return_to: Some("/app"), notice: None })),
        (
            "chooser-safety",
            html(&Chooser { site, ways: others, return_to: None, notice: Some(Notice::SignedOutForSafety) }),
        ),
        ("provider-down", html(&down)),
        ("bounced", html(&Bounced { site, return_to: Some("/app"), request_id: REQUEST_ID })),
    ]
}

fn rows() -> [SessionRow<'static>; 3] {
    let row = |id, device, network, (created, last_seen), current| SessionRow {
        id,
        device,
        network,
        created: UnixTime(NOW.0 - created),
        last_seen: UnixTime(NOW.0 - last_seen),
        current,
    };
    [
        row("4f2c7a1e9d", "Firefox on Linux", "203.0.113.0/24", (7_300, 5), true),
        row("b81f03cc52", "Safari on iPhone", "2001:db8:4c1a::/48", (90_000, 5_400), false),
        row("09aa6f771d", "", "198.51.100.0/24", (400_000, 200_000), false),
    ]
}

fn sessions(site: &Site) -> Pages {
    let rows = rows();
    let too_many = TooManySessions {
        site,
        sessions: &rows,
        action: "/login/end",
        hidden: &[("csrf", Hidden("example"))],
        now: NOW,
    };
    vec![
        ("sessions", html(&Sessions { site, sessions: &rows, ended: Some(Ended::One), now: NOW })),
        (
            "sessions-alone",
            html(&Sessions { site, sessions: rows.get(..1).unwrap_or_default(), ended: None, now: NOW }),
        ),
        ("too-many-sessions", html(&too_many)),
        ("sign-out", html(&SignOut { site, name: Some("Alice Example") })),
        ("signed-out", html(&SignedOut { site, still_at: None })),
        ("signed-out-still", html(&SignedOut { site, still_at: Some("Auth0") })),
    ]
}

fn others(site: &Site) -> Pages {
    let headers = [
        ("x-auth-subject", "alice"),
        ("x-auth-email", "alice@example.com"),
        ("x-auth-name", "Alice Example"),
        ("x-auth-roles", "admin,user"),
        ("x-auth-session", "4f2c7a1e9d0b4c6f8a2e5d7b1c3f9e60"),
        ("x-auth-method", "session"),
        ("x-auth-provider", "local"),
    ];
    let person = Person { name: "Alice Example", subject: "alice", provider: "local", roles: &["admin", "user"] };
    let nobody = [("x-auth-method", "anonymous")];
    let mut pages: Pages = Code::ALL.map(|code| (code.name(), error(site, code))).into();
    pages.push(("demo", html(&DemoPage { site, person: Some(person), headers: &headers })));
    pages.push(("demo-nobody", html(&DemoPage { site, person: None, headers: &nobody })));
    pages
}

fn error(site: &Site, code: Code) -> String {
    html(&ErrorPage { retry: Some("/app"), ..ErrorPage::new(site, code, REQUEST_ID) })
}

fn themed(site: &Site) -> Pages {
    let wanted = ["sign-in-wrong", "too-many-sessions", "demo"];
    let named = ["acme-sign-in", "acme-too-many", "acme-demo"];
    let pages = [ways_in(site), sessions(site), others(site)].concat();
    let chosen = wanted.iter().filter_map(|name| pages.iter().find(|(page, _)| page == name));
    named.into_iter().zip(chosen.map(|(_, page)| page.clone())).collect()
}

fn write(
    folder: &Path,
    served: &mut Map<String, Value>,
    site: &Site,
    page: (&str, &str),
) -> Result<(), Box<dyn Error>> {
    let (name, text) = page;
    let headers: Map<String, Value> = site
        .headers(&["http://login.example"])
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap_or_default())))
        .collect();
    fs::write(folder.join(format!("{name}.html")), text)?;
    served.insert(format!("/{name}"), json!({ "file": format!("{name}.html"), "headers": headers }));
    for href in text.split('"').filter(|part| part.starts_with("/.auth/assets/")) {
        let Some(asset) = href.strip_prefix("/.auth").and_then(|path| site.asset(path)) else { continue };
        let file = href.rsplit('/').next().unwrap_or_default();
        fs::write(folder.join(file), &asset.bytes)?;
        let headers = json!({ "content-type": asset.content_type.to_str()?, "etag": asset.etag,
            "cache-control": asset.cache_control().to_str()? });
        served.insert(href.to_owned(), json!({ "file": file, "headers": headers }));
    }
    Ok(())
}
