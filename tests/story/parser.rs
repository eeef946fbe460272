//! What becomes of every odd request there is: sent byte by byte, answered, and received by a backend or not.
//!
//! `tests/golden/parser.txt` tells it line by line. Read its diff after every upgrade of the proxy underneath: a request
//! that is refused today and forwarded tomorrow is how requests are smuggled.

use super::parser_rows::{sections, Row};
use super::support::backend::Backend;
use super::support::client::Client;
use super::support::gate::Gate;
use super::support::golden::{check, escaped};
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
    let table = Table::set();
    let mut told = String::from(
        "# Written by tests/story/parser.rs with UPDATE_GOLDEN=1: what was sent, what was answered, and what the backend\n\
         # received. \"keeps\" and \"closes\" tell what becomes of the connection.\n",
    );
    for (title, rows) in sections() {
        writeln!(told, "\n## {title}\n").unwrap();
        for row in rows {
            writeln!(told, "{}\n    -> {}", shown(&row), outcome(&table, &row)).unwrap();
        }
    }
    check("parser.txt", &told);
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

/// Sends the row, then asks once more on the same connection: an answer to anything else would be smuggled.
fn outcome(Table { gate, backend }: &Table, Row(bytes): &Row) -> String {
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
    shortened(told)
}

/// The bytes of a field value again.
fn latin1(value: &str) -> Vec<u8> {
    value.chars().filter_map(|c| u8::try_from(c).ok()).collect()
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

fn shown(Row(bytes): &Row) -> String {
    shortened(escaped(bytes))
}

/// Long rows by their beginning and length.
fn shortened(text: String) -> String {
    if text.len() <= 300 {
        return text;
    }
    format!("{} ... {} in all", &text[..120], text.len())
}
