//! What callgrind counts: our own share of one request, again and again (see benches/instructions.sh).
//!
//!     instructions               the names of the cases, one a line
//!     instructions CASE TIMES    runs a case that often
//!
//! Everything is prepared once, as in a gate that has been running for a while: routes are arranged, the caller is
//! known. What is repeated is what every request costs.

use doorward::domain::denial::Denial;
use doorward::domain::policy::expression::Facts;
use doorward::domain::policy::pattern::{HostPattern, PathPattern};
use doorward::domain::policy::route::{EncodedSlash, Forwarding, OnUnauthenticated};
use doorward::domain::policy::rule::{Access, Rule};
use doorward::domain::policy::{Route, RouteTable};
use doorward::domain::principal::{AuthMethod, Principal, SourceName};
use doorward::domain::request::{canonicalise, RawHead};
use doorward::domain::time::UnixTime;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use std::error::Error;
use std::hint::black_box;

/// Each decides about one request.
const CASES: [(&str, &[u8]); 2] = [
    // as clean as most requests are
    ("route-clean", b"/api/items/4711?fields=name"),
    // one that has to be written anew
    ("route-rewritten", b"/api/./items//%34711?fields=name"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(wanted) = args.next() else {
        CASES.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let times: u32 = args.next().ok_or("usage: instructions CASE TIMES")?.parse()?;
    let (_, target) = CASES.iter().find(|(name, _)| *name == wanted).ok_or("there is no such case")?;

    let (routes, caller, headers) = (routes()?, caller(), headers());
    for _ in 0..times {
        decide(black_box(target), &routes, &caller, &headers).map_err(|denial| format!("refused: {denial:?}"))?;
    }
    Ok(())
}

fn decide(target: &[u8], routes: &RouteTable, caller: &Principal, headers: &HeaderMap) -> Result<(), Denial> {
    let head =
        RawHead { version: Version::HTTP_11, method: &Method::GET, target, authority: None, headers, wire: None };
    let request = canonicalise(&head)?;
    let chosen = routes.choose(&request.host, &request.path)?;
    let Ok(route) = chosen.for_method(head.method) else { return Ok(()) };
    let facts = Facts {
        method: head.method.as_str(),
        host: &request.host,
        path: &request.path,
        query: request.query,
        headers,
        ip: None,
        now: UnixTime(1_700_000_000),
    };
    black_box(route).rule.decide(Some(caller), &facts)
}

/// A table of the size one meets, so that finding the right one is part of the price.
fn routes() -> Result<RouteTable, String> {
    let paths =
        ["/public/**", "/", "/api/**", "/api/items", "/api/items/{id}", "/api/users/{id}", "/admin/**", "/hook"];
    let routes: Result<Vec<Route>, String> = paths.iter().enumerate().map(|(index, path)| route(index, path)).collect();
    Ok(RouteTable::new(routes?))
}

fn route(index: usize, path: &str) -> Result<Route, String> {
    Ok(Route {
        index,
        host: HostPattern::Any,
        path: PathPattern::parse(path)?,
        methods: None,
        upstream: 0,
        rule: Rule {
            access: Access::Authenticated,
            from: vec![SourceName::new("issuer")],
            roles: vec!["writer".to_owned()],
            scopes: vec!["read:item".to_owned()],
            when: None,
            accepts_bearer: true,
        },
        forwarding: Forwarding {
            encoded_slash: EncodedSlash::Reject,
            strip_prefix: String::new(),
            set_headers: Vec::new(),
            remove_headers: Vec::new(),
            websocket: true,
            max_body: 10 << 20,
        },
        unauthenticated: OnUnauthenticated::Auto,
        cors: None,
    })
}

fn caller() -> Principal {
    Principal {
        source: SourceName::new("issuer"),
        subject: "user-4711".to_owned(),
        method: AuthMethod::Bearer,
        roles: vec!["reader".to_owned(), "writer".to_owned()],
        scopes: vec!["read:item".to_owned(), "write:item".to_owned()],
        claims: serde_json::Map::new(),
        email_trusted: true,
        expires: UnixTime(2_000_000_000),
    }
}

/// What a browser's `fetch` sends along.
fn headers() -> HeaderMap {
    let pairs = [
        ("host", "app.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("accept", "application/json"),
        ("accept-language", "en-GB,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-mode", "cors"),
        ("connection", "keep-alive"),
    ];
    pairs.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}
