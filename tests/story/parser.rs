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

const PROBE: &str = "/public/probe";

#[test]
fn every_odd_request_is_answered_as_written_down() {
    let backend = Backend::echo();
    let issuer = issuer::table("id", "https://id.test", "secret = \"env:SECRET\"");
    let setup = Gate::setup().server("header_timeout = \"1s\"").variable("SECRET", SECRET);
    let gate = setup.start(&[&issuer, &backend.upstream("app"), ROUTES].concat());
    let mut told = String::from("# Written by tests/story/parser.rs with UPDATE_GOLDEN=1: what was sent, what was answered, what the backend received.\n");
    for (title, rows) in sections() {
        writeln!(told, "\n## {title}\n").unwrap();
        for row in rows {
            writeln!(told, "{}\n    -> {}", shown(&row), outcome(&gate, &backend, &row)).unwrap();
        }
    }
    check("parser.txt", &told);
}

/// Sends the row, then asks once more on the same connection: an answer to anything else would be smuggled.
fn outcome(gate: &Gate, backend: &Backend, Row(bytes): &Row) -> String {
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
fn received(seen: &[Seen]) -> String {
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
            write!(told, " | {name}: {}", escaped(value.as_bytes())).unwrap();
        }
    }
    if !seen.body.is_empty() {
        write!(told, " | body {}", escaped(&seen.body)).unwrap();
    }
    shortened(told)
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
