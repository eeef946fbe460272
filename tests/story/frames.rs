//! The odd requests of HTTP/2: what a peer that writes its own frames can say, and what comes of it.
//!
//! `tests/golden/frames.txt` tells it, like the parser table of HTTP/1.

use super::parser::{received, Table, PROBE};
use super::support::frames::{Frames, Outcome};
use super::support::golden::{check, escaped};
use std::fmt::Write;

/// Header fields, in the order they are sent, and DATA frames.
struct Row {
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    data: Vec<&'static [u8]>,
}

fn field(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> (Vec<u8>, Vec<u8>) {
    (name.as_ref().to_vec(), value.as_ref().to_vec())
}

/// `GET /public/a`, with pseudo-header fields changed or taken away (`None`), and these fields behind them.
fn row(pseudo: &[(&str, Option<&str>)], fields: &[(&str, &str)]) -> Row {
    let usual = [(":method", "GET"), (":scheme", "http"), (":authority", "app.test"), (":path", "/public/a")];
    let mut all = Vec::new();
    for (name, value) in usual {
        let changed = pseudo.iter().find(|(changed, _)| *changed == name);
        all.extend(changed.map_or(Some(value), |(_, value)| *value).map(|value| field(name, value)));
    }
    let new = pseudo.iter().filter(|(name, _)| !usual.iter().any(|(usual, _)| usual == name));
    all.extend(new.filter_map(|(name, value)| value.map(|value| field(name, value))));
    all.extend(fields.iter().map(|(name, value)| field(name, value)));
    Row { fields: all, data: Vec::new() }
}

fn with(fields: &[(&str, &str)]) -> Row {
    row(&[], fields)
}

fn path(path: &str) -> Row {
    row(&[(":path", Some(path))], &[])
}

fn post(fields: &[(&str, &str)], data: &[&'static [u8]]) -> Row {
    Row { data: data.to_vec(), ..row(&[(":method", Some("POST"))], fields) }
}

fn sections() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("Pseudo-header fields", pseudo()),
        ("Host and :authority", hosts()),
        ("Fields", fields()),
        ("Bodies", bodies()),
    ]
}

fn pseudo() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        "/public/a",
        "/public/../admin/x",
        "/public/%2e%2e/admin/x",
        "/%61dmin/x",
        "/public/a b",
        "/public/a\tb",
        "/public/a\r\nX-Odd: v",
        "/public/a\0",
        "/public/a#f",
        "/public\\..\\admin",
        "/public/\u{e9}",
        "public/a",
        "a:80",
        "",
        "*",
        "?q",
        "http://app.test/public/a",
        "//other.test/admin/x",
    ]
    .into_iter()
    .map(path)
    .collect();
    rows.extend([":method", ":scheme", ":authority", ":path"].map(|name| row(&[(name, None)], &[])));
    rows.extend(["get", "TRACE", "GET /admin/x", "", "CONNECT"].map(|method| row(&[(":method", Some(method))], &[])));
    rows.push(row(&[(":method", Some("CONNECT")), (":scheme", None), (":path", None)], &[]));
    rows.push(row(&[(":method", Some("CONNECT")), (":protocol", Some("websocket"))], &[]));
    rows.extend(["https", "ftp", "", "http://x"].map(|scheme| row(&[(":scheme", Some(scheme))], &[])));
    rows.push(row(&[(":status", Some("200"))], &[]));
    rows.push(row(&[(":odd", Some("v"))], &[]));
    rows.push(with(&[(":path", "/admin/x")]));
    rows.push(with(&[("x-odd", "v"), (":path", "/admin/x")]));
    rows.push(with(&[(":authority", "other.test")]));
    rows
}

fn hosts() -> Vec<Row> {
    let mut rows = vec![
        row(&[(":authority", None)], &[("host", "app.test")]),
        with(&[("host", "app.test")]),
        with(&[("host", "APP.test")]),
        with(&[("host", "other.test")]),
        with(&[("host", "app.test:80")]),
        with(&[("host", "app.test"), ("host", "app.test")]),
        with(&[("host", "")]),
    ];
    rows.extend(
        ["other.test", "OTHER.test.", "u@app.test", "app.test:0", "app.test@other.test", "a b", "a/b", ""]
            .map(|authority| row(&[(":authority", Some(authority))], &[])),
    );
    rows
}

fn fields() -> Vec<Row> {
    let lines = [
        ("X-Odd", "v"),
        ("x odd", "v"),
        ("x-odd:", "v"),
        ("", "v"),
        ("x-odd\r\nx-auth-subject", "v"),
        ("x-odd", "a\r\nX-Auth-Subject: root"),
        ("x-odd", "a\nb"),
        ("x-odd", "a\0b"),
        ("x-odd", " v "),
        ("x-odd", "\u{e9}"),
        ("connection", "close"),
        ("connection", "x-auth-method"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "trailers"),
        ("te", "gzip"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
        ("cookie", "a=\0b"),
        ("x_auth_subject", "root"),
        ("authorization", "Basic YTpi"),
    ];
    let mut rows: Vec<Row> = lines.into_iter().map(|line| with(&[line])).collect();
    rows.push(with(&[("authorization", "Basic YTpi"), ("authorization", "Bearer x")]));
    rows.push(with(&[("cookie", "a=1"), ("cookie", "doorward=x"), ("cookie", "b=2")]));
    rows
}

fn bodies() -> Vec<Row> {
    vec![
        post(&[], &[b"ab"]),
        // the last frame empty: the backend must see one end, not two
        post(&[], &[b"ab", b""]),
        post(&[], &[b""]),
        post(&[], &[b"", b"", b"ab", b""]),
        post(&[], &[b"0\r\n\r\nGET /admin/x HTTP/1.1\r\nHost: app.test\r\n\r\n", b""]),
        post(&[], &[]),
        post(&[("content-length", "2")], &[b"ab"]),
        post(&[("content-length", "2")], &[b"ab", b""]),
        post(&[("content-length", "2")], &[b"abc"]),
        post(&[("content-length", "5")], &[b"ab"]),
        post(&[("content-length", "5")], &[]),
        post(&[("content-length", "+2")], &[b"ab"]),
        post(&[("content-length", "2"), ("content-length", "2")], &[b"ab"]),
        post(&[("content-length", "2"), ("content-length", "3")], &[b"ab"]),
        post(&[("transfer-encoding", "chunked")], &[b"0\r\n\r\n"]),
        post(&[("expect", "100-continue")], &[b"ab"]),
        Row { data: vec![b"ab"], ..row(&[], &[]) },
    ]
}

#[test]
fn every_odd_frame_is_answered_as_written_down() {
    let table = Table::set();
    let mut told =
        String::from("# Written by tests/story/frames.rs with UPDATE_GOLDEN=1: like parser.txt, for HTTP/2.\n");
    for (title, rows) in sections() {
        writeln!(told, "\n## {title}\n").unwrap();
        for row in rows {
            writeln!(told, "{}\n    -> {}", shown(&row), outcome(&table, &row)).unwrap();
        }
    }
    check("frames.txt", &told);
}

/// Sends the row, then an honest request on the same connection.
fn outcome(table: &Table, row: &Row) -> String {
    table.backend.take();
    let mut frames = Frames::connect(table.gate.http);
    frames.request(1, &row.fields, &row.data);
    let mut told = match frames.outcome(1) {
        Outcome::Answer(status, _) => status,
        Outcome::Reset(code) => format!("RST_STREAM {code}"),
        Outcome::GoAway(code) => format!("GOAWAY {code}"),
        Outcome::Closed => "closed".to_owned(),
    };
    frames.request(3, &path(PROBE).fields, &[]);
    told.push_str(match frames.outcome(3) {
        Outcome::Answer(status, _) if status == "200" => ", keeps",
        Outcome::Answer(..) | Outcome::Reset(_) => ", keeps but answers otherwise",
        Outcome::GoAway(_) | Outcome::Closed => ", closes",
    });
    format!("{told}; {}", received(&table.backend.take()))
}

fn shown(row: &Row) -> String {
    let fields = row.fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    let data = row.data.iter().map(|piece| format!("DATA({})", escaped(piece)));
    fields.chain(data).collect::<Vec<_>>().join(" ")
}
