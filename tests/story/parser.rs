//! What becomes of every odd request there is: sent byte by byte, answered, and received by a backend or not.
//!
//! `tests/golden/parser.txt` is the table. Read its diff after every upgrade of the proxy underneath: a request
//! that is refused today and forwarded tomorrow is how requests are smuggled.

use super::support::backend::Backend;
use super::support::client::Client;
use super::support::gate::Gate;
use super::support::golden::{escaped, table, unescaped};
use super::support::issuer::{self, SECRET};
use super::support::seen::Seen;
use std::fmt::Write;

const ROUTES: &str = r#"
[[route]]
path   = "/"
access = "public"

[[route]]
path   = "/public/**"
access = "public"

[[route]]
path  = "/admin/**"
roles = ["admin"]

[[route]]
path   = "/api/**"
access = "authenticated"

[[route]]
path   = "/one/{id}"
access = "public"

[[route]]
path          = "/kept/**"
access        = "public"
encoded_slash = "keep"

[[route]]
path    = "/any/**"
access  = "public"
methods = ["GET", "FOO"]

[[route]]
path      = "/plain/**"
access    = "public"
websocket = false

[[route]]
host   = "other.test"
path   = "/**"
access = "authenticated"

[[route]]
host   = "*.wild.test"
path   = "/**"
access = "public"
"#;

pub(crate) const PROBE: &str = "/public/probe";

/// The gate and the backend that every row meets.
pub(crate) struct Table {
    pub(crate) gate: Gate,
    pub(crate) backend: Backend,
}

impl Table {
    pub(crate) fn set() -> Self {
        let backend = Backend::echo();
        let issuer = issuer::table("id", "https://id.test", "secret = \"env:SECRET\"");
        let setup = Gate::setup().server("header_timeout = \"1s\"").variable("SECRET", SECRET);
        Self { gate: setup.start(&[&issuer, &backend.upstream("app"), ROUTES].concat()), backend }
    }
}

#[test]
fn every_odd_request_is_answered_as_written_down() {
    let stage = Table::set();
    table("parser.txt", |row| outcome(&stage, &unescaped(row)));
}

#[test]
fn a_head_may_be_as_large_as_the_file_says_and_no_larger() {
    let Table { gate, backend } = Table::set();
    let many = |count: usize| (0..count).map(|at| format!("X-{at}: v\r\n")).collect::<String>();
    let wide = |kibibytes: usize| format!("X-Wide: {}\r\n", "v".repeat(kibibytes << 10));
    let long = |kibibytes: usize| format!("/public/{}", "a".repeat(kibibytes << 10));
    let cases = [
        ("/public/a".to_owned(), many(100), "200"),
        // the parser underneath takes 256
        ("/public/a".to_owned(), many(300), "400"),
        ("/public/a".to_owned(), wide(31), "200"),
        ("/public/a".to_owned(), wide(33), "431 header_too_large"),
        ("/public/a".to_owned(), format!("{}: v\r\n", "N".repeat(40 << 10)), "431 header_too_large"),
        (long(31), String::new(), "200"),
        (long(40), String::new(), "431 header_too_large"),
        (format!("/public/a?{}", "q".repeat(40 << 10)), String::new(), "431 header_too_large"),
        (format!("/public/{}admin/x", "../".repeat(9_000)), String::new(), "401 unauthenticated"),
        // three times as long once escaped
        (format!("/public/{}", "\"".repeat(30 << 10)), String::new(), "400 bad_path"),
    ];
    for (target, fields, verdict) in cases {
        let answer = gate.get(&target, &fields);
        assert_eq!(answer.verdict(), verdict, "{:.40} {:.40}", target, fields);
        assert_eq!(backend.take().len(), usize::from(answer.status == 200));
    }
}

#[test]
fn a_head_beyond_all_measure_is_refused_and_the_gate_lives() {
    let Table { gate, backend } = Table::set();
    for kibibytes in [900, 2_000] {
        let mut client = Client::connect(gate.http);
        client.send(format!(
            "GET /public/a HTTP/1.1\r\nHost: app.test\r\nX-Wide: {}\r\n\r\n",
            "v".repeat(kibibytes << 10)
        ));
        // whether an answer still gets through is for the kernel to say: bytes nobody read reset a connection
        let status = client.receive().map(|answer| answer.status);
        assert!(matches!(status, None | Some(400 | 431)), "{status:?}");
        assert_eq!(backend.take().len(), 0);
        assert_eq!(gate.get("/public/a", "").status, 200);
        assert_eq!(backend.take().len(), 1);
    }
}

/// The proxy underneath does not pipeline: a request that comes before the answer to the one ahead ends both. Whether the
/// first has reached the backend by then is a race; the second never has.
#[test]
fn a_request_sent_ahead_of_an_answer_is_never_taken_for_another() {
    let Table { gate, backend } = Table::set();
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let empty = "GET /public/a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n";
    for (first, second) in
        [(one("/public/a"), "/public/b"), (one("/public/a"), "/admin/x"), (empty.to_owned(), "/public/b")]
    {
        let mut client = Client::connect(gate.http);
        client.send(first + &one(second));
        assert_eq!(client.receive().map(|answer| answer.verdict()).as_deref(), Some("400 bad_request"));
        assert_eq!(client.receive(), None);
    }
    assert_eq!(gate.get("/public/last", "").status, 200);
    assert!(backend.take().iter().all(|seen| ["/public/a", "/public/last"].contains(&seen.target().as_str())));
}

/// Sends the row, then asks once more on the same connection: an answer to anything else would be smuggled.
fn outcome(Table { gate, backend }: &Table, bytes: &[u8]) -> String {
    backend.take();
    let mut client = Client::connect(gate.http);
    client.send(bytes);
    let Some(answer) = client.receive() else {
        return format!("no answer, closes; {}", received(&backend.take()));
    };
    let mut told = answer.verdict();
    if answer.status == 101 {
        return format!("{told}; {}", received(&backend.take()));
    }
    client.send(format!("GET {PROBE} HTTP/1.1\r\nHost: app.test\r\n\r\n"));
    match client.receive() {
        None => told.push_str(", closes"),
        Some(next) if next.status == 200 && next.text().starts_with(&format!("GET {PROBE} ")) => {
            told.push_str(", keeps")
        }
        Some(next) => write!(told, ", then answers {} to {:?}", next.verdict(), first_line(&next.text())).unwrap(),
    }
    format!("{told}; {}", received(&backend.take()))
}

/// What matters of the requests the backend received.
pub(crate) fn received(seen: &[Seen]) -> String {
    let told: Vec<String> = seen.iter().filter(|seen| seen.target() != PROBE).map(essence).collect();
    if told.is_empty() {
        "the backend received nothing".to_owned()
    } else {
        told.join(" AND ")
    }
}

fn essence(seen: &Seen) -> String {
    let mut told = escaped(seen.request_line().as_bytes());
    let telling =
        ["Host", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Expect", "Trailer", "X-Odd"];
    for name in telling {
        for value in seen.all(name) {
            write!(told, " | {name}: {}", escaped(&latin1(&value))).unwrap();
        }
    }
    if !seen.body.is_empty() {
        write!(told, " | body {}", escaped(&seen.body)).unwrap();
    }
    told
}

/// The bytes of a field value again.
fn latin1(value: &str) -> Vec<u8> {
    value.chars().filter_map(|c| u8::try_from(c).ok()).collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
