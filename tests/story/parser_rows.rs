//! The rows of the parser table: what is sent.

/// The bytes of one request, or of more than one.
pub(crate) struct Row(pub(crate) Vec<u8>);

pub(crate) fn sections() -> Vec<(&'static str, Vec<Row>)> {
    vec![
        ("The form of the target", target_forms()),
        ("Dot segments and doubled slashes", dots()),
        ("Escapes", escapes()),
        ("Path parameters", parameters()),
        ("Bytes that are no URI", loose_bytes()),
        ("Where a route begins and ends", borders()),
        ("The request line", request_lines()),
        ("Methods", methods()),
        ("Host", hosts()),
        ("Field syntax", field_syntax()),
        ("Size", sizes()),
        ("Connection and what it names", connection()),
        ("Upgrade", upgrades()),
        ("Content-Length and Transfer-Encoding", framing()),
        ("Chunks and trailers", chunks()),
        ("More than one request", several()),
    ]
}

/// `GET target`, nothing else odd about it.
fn get(target: impl AsRef<[u8]>) -> Row {
    Row([b"GET ", target.as_ref(), b" HTTP/1.1\r\nHost: app.test\r\n\r\n"].concat())
}

fn gets<const N: usize>(targets: [&str; N]) -> Vec<Row> {
    targets.into_iter().map(get).collect()
}

/// `GET /public/a` with these bytes for its field lines.
fn fields(lines: impl AsRef<[u8]>) -> Row {
    Row([b"GET /public/a HTTP/1.1\r\nHost: app.test\r\n", lines.as_ref(), b"\r\n"].concat())
}

/// `POST /public/a` with these field lines and this body.
fn post(lines: &str, body: &str) -> Row {
    Row(format!("POST /public/a HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n{body}").into())
}

/// A request line with a plain Host.
fn line(line: &str) -> Row {
    Row(format!("{line}\r\nHost: app.test\r\n\r\n").into())
}

fn raw(bytes: impl AsRef<[u8]>) -> Row {
    Row(bytes.as_ref().to_vec())
}

fn target_forms() -> Vec<Row> {
    let mut rows = gets([
        "/public/a",
        "/public/a?q=1&r=%2e%2e",
        "a:80",
        "foo/bar",
        "a/b:c",
        "?q",
        "*",
        "/*",
        "http://app.test/public/p?z",
        "HTTP://APP.TEST:80/public/p",
        "http://app.test./public/p",
        "https://app.test/public/p",
        "https://app.test:443/public/p",
        "http://app.test:443/public/p",
        "http://app.test",
        "http://app.test?x=/admin",
        "http://app.test/public/../admin/x",
        "http://other.test/public/a",
        "http://u:p@app.test/public/a",
        "http://app.test@other.test/public/a",
        "http://app.test#@other.test/public/a",
        "http:///public/a",
        "http:/public/a",
        "ftp://app.test/public/a",
        "//public/a",
        "//other.test/public/a",
        "/http://app.test/public/a",
    ]);
    rows.push(line("OPTIONS * HTTP/1.1"));
    rows.push(raw("GET http://app.test/admin/x HTTP/1.1\r\nHost: other.test\r\n\r\n"));
    rows.push(raw("GET http://app.test/public/a HTTP/1.1\r\n\r\n"));
    rows
}

fn dots() -> Vec<Row> {
    gets([
        "/public/../admin/x",
        "/public/./a",
        "/public/a/..",
        "/public/a/.",
        "/../public/a",
        "/public/../../../public/a",
        "/.",
        "/..",
        "/public//a",
        "/public///a//",
        "/public/..//admin/x",
        "/public//../admin/x",
        "/public/...",
        "/public/..a/b",
        "/public/%2e%2e/admin/x",
        "/public/.%2e/admin/x",
        "/public/%2E/a",
        "/public/%2e%2e%2e/a",
        "/public/a%2e%2e/b",
        "/public/../.auth/x",
        "/admin/../public/a",
        "/admin/x/../../public/a",
    ])
}

fn escapes() -> Vec<Row> {
    gets([
        "/%61dmin/x",
        "/adm%69n/x",
        "/public/%7Ea%41%2d",
        "/public/%c3%a9",
        "/public/%C3%A9",
        "/public/%252e%252e/admin/x",
        "/public/%2561",
        "/public%2f..%2fadmin/x",
        "/public/a%2Fb",
        "/admin%2Fx",
        "/public%2Fa",
        "/kept/a%2Fb",
        "/kept/a%2fb",
        "/kept/..%2Fadmin",
        "/kept/a%2F..",
        "/kept/a%2F../x",
        "/kept/%2e%2e%2Fadmin/x",
        "/kept/a%2F%2e",
        "/kept/%2F",
        "/kept%2Fa",
        "/public/..%5cadmin/x",
        "/public/a%5Cb",
        "/public/a%00",
        "/public/a%0a",
        "/public/a%0D%0AX-Odd:%201",
        "/public/a%1f",
        "/public/a%7f",
        "/public/a%20b",
        "/public/a%09b",
        "/public/a%23b",
        "/public/a%3Fb",
        "/public/a%25b",
        "/public/a%",
        "/public/a%4",
        "/public/a%zz",
        "/public/a%u002e",
        "/public/%80",
        "/public/%ff",
        "/%c0%ae%c0%ae/admin/x",
        "/public/%c0%af",
        "/public/%e0%80%af",
        "/public/%ed%a0%80",
        "/public/%f5%80%80%80",
        "/public/%c3",
        "/admin%E2%80%8B/x",
        "/public/%EF%BC%8E%EF%BC%8E/admin/x",
        "/public/a?%zz&%00&%2f..%2f",
    ])
}

fn parameters() -> Vec<Row> {
    gets([
        "/public/a;b=c",
        "/admin;x=1/y",
        "/public;/../admin/x",
        "/public;x/a",
        "/public/..;/admin/x",
        "/public/..;a=b/admin/x",
        "/public/.;/a",
        "/public/..%3b/admin/x",
        "/public/..%3B/admin/x",
        "/public/a%3bb",
        "/public/;/a",
        "/public/;..;/a",
        "/admin/;/x",
        "/;/admin/x",
        "/%3b/admin/x",
    ])
}

fn loose_bytes() -> Vec<Row> {
    let mut rows = gets([
        "/public/a\\b",
        "/public\\..\\admin\\x",
        "/public/a#frag",
        "/public/a?x#y",
        "/public/a#/../admin/x",
        "/public/a b",
        "/public/a\tb",
        "/public/a<b>",
        "/public/\"",
        "/public/^",
        "/public/`",
        "/public/{a}",
        "/public/a|b",
        "/public/[a]",
        "/public/a?q=\"",
        "/public/a?q=<>",
        "/public/a?q=^`{|}",
        "/public/a?q=\\",
        "/public/a?q= x",
        "/public/\u{e9}",
        "/\u{ff41}\u{ff44}\u{ff4d}\u{ff49}\u{ff4e}/x",
        "/public/a?q=\u{e9}",
    ]);
    for bytes in
        [&b"/public/\xff"[..], b"/public/a\x00", b"/public/a\x01", b"/public/a\x7f", b"/public/a\x0b", b"/public/a\rb"]
    {
        rows.push(get(bytes));
    }
    rows
}

fn borders() -> Vec<Row> {
    gets([
        "/",
        "/public",
        "/public/",
        "/publisher",
        "/pub",
        "/PUBLIC/a",
        "/admin",
        "/admin/",
        "/ADMIN/x",
        "/administrator",
        "/admin-public",
        "/admin/x?/public/",
        "/admin?x=/public/y",
        "/public/?../admin/x",
        "/public?/admin/x",
        "/one/x",
        "/one/x/",
        "/one/",
        "/one",
        "/one/x/y",
        "/.auth",
        "/.auth/login",
        "/.AUTH/login",
        "/.authx",
        "/.well-known/jwks.json",
        "/nowhere",
    ])
}

fn request_lines() -> Vec<Row> {
    let host = "Host: app.test\r\n\r\n";
    let mut rows: Vec<Row> = [
        "GET  /public/a HTTP/1.1",
        "GET /public/a  HTTP/1.1",
        "GET /public/a HTTP/1.1 ",
        " GET /public/a HTTP/1.1",
        "GET\t/public/a HTTP/1.1",
        "GET /public/a\tHTTP/1.1",
        "GET /public/a HTTP/1.0",
        "GET /public/a HTTP/1.2",
        "GET /public/a HTTP/2.0",
        "GET /public/a HTTP/0.9",
        "GET /public/a HTTP/1.11",
        "GET /public/a HTTP/11",
        "GET /public/a http/1.1",
        "GET /public/a HTTPS/1.1",
        "GET /public/a",
        "GET",
        "GET /public/a HTTP/1.1 HTTP/1.1",
        "GET /public/a /admin/x HTTP/1.1",
    ]
    .into_iter()
    .map(line)
    .collect();
    rows.push(raw("GET /public/a HTTP/1.0\r\n\r\n"));
    rows.push(raw(format!("GET /public/a HTTP/1.0\r\nConnection: keep-alive\r\n{host}")));
    rows.push(raw(format!("\r\nGET /public/a HTTP/1.1\r\n{host}")));
    rows.push(raw(format!("\r\n\r\nGET /public/a HTTP/1.1\r\n{host}")));
    rows.push(raw(format!("\nGET /public/a HTTP/1.1\r\n{host}")));
    rows.push(raw("GET /public/a HTTP/1.1\nHost: app.test\n\n"));
    rows.push(raw(format!("GET /public/a HTTP/1.1\n{host}")));
    rows.push(raw(format!("GET /public/a HTTP/1.1\r{host}")));
    rows.push(raw(format!("GET /public/a HTTP/1.1\r\r\n{host}")));
    rows.push(raw("\x16\x03\x01\x00\x05hello\r\n\r\n"));
    rows.push(raw("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"));
    rows
}

fn methods() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        "get /public/a",
        "get /any/a",
        "FOO /public/a",
        "FOO /any/a",
        "POST /any/a",
        "HEAD /any/a",
        "FOO!BAR /public/a",
        "G(T /public/a",
        "G\u{e9}T /public/a",
        "TRACE /public/a",
        "TRACE /any/a",
        "TRACK /public/a",
        "CONNECT app.test:443",
        "CONNECT /public/a",
        "HEAD /public/a",
        "HEAD /admin/x",
        "OPTIONS /admin/x",
        "PURGE /admin/x",
        "DELETE /public/a",
        "PATCH /public/a",
        "PROPFIND /public/a",
    ]
    .into_iter()
    .map(|start| line(&format!("{start} HTTP/1.1")))
    .collect();
    rows.push(raw(
        "OPTIONS /admin/x HTTP/1.1\r\nHost: app.test\r\nOrigin: https://a.test\r\nAccess-Control-Request-Method: GET\r\n\r\n",
    ));
    rows.push(raw(
        "POST /any/a HTTP/1.1\r\nHost: app.test\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n\r\n",
    ));
    rows
}

fn hosts() -> Vec<Row> {
    let with = |value: &[u8]| Row([b"GET /public/a HTTP/1.1\r\nHost: ", value, b"\r\n\r\n"].concat());
    let mut rows: Vec<Row> = [
        "",
        "app.test",
        "APP.test",
        "app.test:8080",
        "app.test:",
        "app.test:0",
        "app.test:99999",
        "app.test:8a",
        "app.test:+80",
        "app.test.",
        "app.test..",
        "app..test",
        ".app.test",
        "u@app.test",
        "u:p@app.test",
        "app.test@other.test",
        "[::1]",
        "[::1]:80",
        "[::1",
        "[zz]",
        "[::1]x",
        "::1",
        "127.0.0.1",
        "a, b",
        "app.test, other.test",
        "a/b?c#d",
        "app.test/",
        "app test",
        "app.test\\other.test",
        "app.test%2e",
        "app_test",
        "\u{e4}pp.test",
        "http://app.test",
        "*",
        "other.test",
        "OTHER.test.",
        "other.test:123",
        "a.wild.test",
        "a.b.wild.test",
        "wild.test",
        ".wild.test",
    ]
    .into_iter()
    .map(|value| with(value.as_bytes()))
    .collect();
    for value in [&b"app.test\x00"[..], b"app.test\x80", b"  app.test \t", b"app.test\x0b"] {
        rows.push(with(value));
    }
    for lines in [
        "",
        "Host: app.test\r\nHost: app.test\r\n",
        "Host: app.test\r\nHost: other.test\r\n",
        "Host: app.test\r\nhOST: other.test\r\n",
        "Host : app.test\r\n",
        " Host: app.test\r\n",
        "Host:\r\n app.test\r\n",
        "Host: app.test\r\n other.test\r\n",
        "Host: app.test\r\nX-Forwarded-Host: other.test\r\n",
        "Host: other.test\r\nX-Forwarded-Host: app.test\r\nX-Original-URL: /public/a\r\n",
    ] {
        rows.push(raw(format!("GET /public/a HTTP/1.1\r\n{lines}\r\n")));
    }
    rows.push(with(&[b'a'; 300]));
    rows
}

fn field_syntax() -> Vec<Row> {
    let lines: [&[u8]; 24] = [
        b"X-Odd: a\tb\r\n",
        b"X-Odd:\r\n",
        b"X-Odd:v\r\n",
        b"X-Odd:   v  \r\n",
        b"X-Odd: \xe9\xff\r\n",
        b"X-Odd : v\r\n",
        b"X-Odd\t: v\r\n",
        b"X-Odd: a\r\n b\r\n",
        b"X-Odd: a\r\n\tb\r\n",
        b"\tX-Odd: v\r\n",
        b"X-Odd: a\rb\r\n",
        b"X-Odd: a\nb\r\n",
        b"X-Odd: a\n",
        b"X-Odd: a\x00b\r\n",
        b"X-Odd: a\x01b\r\n",
        b"X-Odd: a\x7fb\r\n",
        b"X-Odd\r\n",
        b": v\r\n",
        b"X Odd: v\r\n",
        b"X(Odd: v\r\n",
        b"X-Odd\x85: v\r\n",
        b"X-\xc3\xa9: v\r\n",
        b"X-Odd: a\r\nX-Odd: b\r\n",
        b"X_Odd: v\r\nX.Odd: v\r\n",
    ];
    let mut rows: Vec<Row> = lines.into_iter().map(fields).collect();
    rows.push(fields("Authorization: Basic YTpi\r\nAuthorization: Bearer x\r\n"));
    rows.push(fields("Authorization: Basic YTpi\r\n"));
    rows
}

fn sizes() -> Vec<Row> {
    let many = |count: usize| fields((0..count).map(|at| format!("X-{at}: v\r\n")).collect::<String>());
    let wide = |bytes: usize| fields(format!("X-Wide: {}\r\n", "v".repeat(bytes)));
    vec![
        many(100),
        many(300),
        wide(30 << 10),
        wide(33 << 10),
        fields(format!("{}: v\r\n", "N".repeat(40 << 10))),
        get(format!("/public/{}", "a".repeat(30 << 10))),
        get(format!("/public/{}", "a".repeat(40 << 10))),
        get(format!("/public/{}admin/x", "../".repeat(9_000))),
        get(format!("/public/a?{}", "q".repeat(40 << 10))),
        get(format!("/public/{}", "\"".repeat(30 << 10))),
    ]
}

fn connection() -> Vec<Row> {
    let mut rows: Vec<Row> = [
        "Connection: close\r\n",
        "Connection: keep-alive\r\n",
        "Connection: Host\r\n",
        "Connection: X-Forwarded-For\r\n",
        "Connection: X-Odd\r\nX-Odd: v\r\n",
        "Connection: Authorization\r\nAuthorization: Bearer x\r\n",
        "Connection: a, b, c, d, e, f, g, h, i, j, k\r\n",
        "Connection: \r\n",
        "Connection: ,\r\n",
        "Connection: close, X-Odd\r\nX-Odd: v\r\n",
        "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n",
        "TE: trailers\r\n",
        "Connection: TE\r\nTE: trailers\r\n",
        "TE: gzip\r\n",
        "Trailer: X-Odd\r\n",
        "Proxy: http://evil.test\r\n",
    ]
    .into_iter()
    .map(fields)
    .collect();
    rows.push(post("Connection: Content-Length\r\nContent-Length: 2\r\n", "ab"));
    rows.push(post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n"));
    rows.push(post("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab"));
    rows.push(post("Expect: the-unexpected\r\nContent-Length: 2\r\n", "ab"));
    rows
}

fn upgrades() -> Vec<Row> {
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    const BOTH: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let mut rows: Vec<Row> = [
        format!("{BOTH}{KEY}Sec-WebSocket-Version: 13\r\n"),
        format!("Upgrade: websocket\r\n{KEY}Sec-WebSocket-Version: 13\r\n"),
        format!("Connection: Upgrade\r\n{KEY}Sec-WebSocket-Version: 13\r\n"),
        format!("{BOTH}{KEY}Sec-WebSocket-Version: 12\r\n"),
        format!("{BOTH}{KEY}"),
        format!("{BOTH}Sec-WebSocket-Version: 13\r\n"),
        format!("{BOTH}Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n"),
        format!("{BOTH}{KEY}{KEY}Sec-WebSocket-Version: 13\r\n"),
        format!("Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n{KEY}Sec-WebSocket-Version: 13\r\n"),
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n".to_owned(),
        "Connection: Upgrade\r\nUpgrade: foo\r\n".to_owned(),
    ]
    .into_iter()
    .map(fields)
    .collect();
    let whole = format!("Host: app.test\r\n{BOTH}{KEY}Sec-WebSocket-Version: 13\r\n");
    rows.push(raw(format!("GET /admin/x HTTP/1.1\r\n{whole}\r\n")));
    rows.push(raw(format!("GET /plain/x HTTP/1.1\r\n{whole}\r\n")));
    rows.push(raw(format!("GET /public/../admin/x HTTP/1.1\r\n{whole}\r\n")));
    rows.push(raw(format!("GET /public/%61 HTTP/1.1\r\n{whole}\r\n")));
    rows.push(raw(format!("POST /public/a HTTP/1.1\r\n{whole}Content-Length: 2\r\n\r\nab")));
    rows.push(raw(format!("GET /public/a HTTP/1.1\r\n{whole}Content-Length: 2\r\n\r\nab")));
    rows.push(raw(format!("GET /public/a HTTP/1.0\r\n{whole}\r\n")));
    rows
}

fn framing() -> Vec<Row> {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let smuggled = "0\r\n\r\nGET /admin/x HTTP/1.1\r\nHost: app.test\r\n\r\n";
    let mut rows = vec![
        post("Content-Length: 2\r\n", "ab"),
        post(CHUNKED, "2\r\nab\r\n0\r\n\r\n"),
        post("", ""),
        post("Content-Length: 0\r\n", ""),
        post(&format!("Content-Length: {}\r\n{CHUNKED}", smuggled.len()), smuggled),
        post(&format!("{CHUNKED}Content-Length: {}\r\n", smuggled.len()), smuggled),
        post(&format!("Content-Length: 5\r\n{CHUNKED}"), "0\r\n\r\n"),
        post("Content-Length: 2\r\nContent-Length: 2\r\n", "ab"),
        post("Content-Length: 2\r\nContent-Length: 3\r\n", "abc"),
    ];
    for length in [
        "2, 2",
        "2,",
        "+2",
        "-0",
        "0x2",
        "2_0",
        "",
        " ",
        "2 2",
        "2.0",
        "02",
        "2\t",
        "00000000000000000002",
        "99999999999999999999999",
        "\u{662}",
    ] {
        rows.push(post(&format!("Content-Length: {length}\r\n"), "ab"));
    }
    for coding in [
        "Chunked",
        "gzip, chunked",
        "chunked, gzip",
        "chunked, chunked",
        "chunked, identity",
        "identity",
        "xchunked",
        "chunked;x",
        "chunked,",
        ",chunked",
        "\"chunked\"",
        "chunked\t",
        "\x0bchunked",
        "",
    ] {
        rows.push(post(&format!("Transfer-Encoding: {coding}\r\n"), "2\r\nab\r\n0\r\n\r\n"));
    }
    rows.push(post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
    rows.push(post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"));
    rows.push(post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"));
    rows.push(post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"));
    rows.push(post("Transfer_Encoding: chunked\r\nContent-Length: 2\r\n", "ab"));
    rows.push(raw("POST /public/a HTTP/1.0\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"));
    rows.push(raw("GET /public/a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\n\r\nab"));
    rows.push(raw("HEAD /public/a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 2\r\n\r\nab"));
    rows.push(raw(
        "OPTIONS /public/a HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ));
    rows
}

fn chunks() -> Vec<Row> {
    [
        "2;x=y\r\nab\r\n0\r\n\r\n",
        "2;x=\"a\nb\"\r\nab\r\n0\r\n\r\n",
        "2 \r\nab\r\n0\r\n\r\n",
        "02\r\nab\r\n00\r\n\r\n",
        "2\nab\r\n0\r\n\r\n",
        "2\r\nab\n0\r\n\r\n",
        "2\r\nabX0\r\n\r\n",
        "0x2\r\nab\r\n0\r\n\r\n",
        "+2\r\nab\r\n0\r\n\r\n",
        "-2\r\nab\r\n0\r\n\r\n",
        "\r\nab\r\n0\r\n\r\n",
        "g\r\nab\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nab\r\n0\r\n\r\n",
        "10000000000000002\r\nab\r\n0\r\n\r\n",
        "2\r\nab\r\n0\r\nX-Odd: v\r\n\r\n",
        "2\r\nab\r\n0\r\nX-Auth-Subject: root\r\nHost: evil.test\r\nTransfer-Encoding: x\r\n\r\n",
        "2\r\nab\r\n0\r\nno colon\r\n\r\n",
    ]
    .into_iter()
    .map(|body| post("Transfer-Encoding: chunked\r\n", body))
    .collect()
}

fn several() -> Vec<Row> {
    let one = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n\r\n");
    let hidden = one("/public/hidden");
    let length = format!("Content-Length: {}\r\n", hidden.len());
    vec![
        raw(one("/public/a") + &one("/public/b")),
        raw(one("/admin/x") + &one("/public/b")),
        raw(one("/public/a") + &one("/admin/x")),
        raw(one("/public/a#") + &one("/public/b")),
        raw(format!("POST /admin/x HTTP/1.1\r\nHost: app.test\r\n{length}\r\n{hidden}")),
        raw(format!("GET /admin/x HTTP/1.1\r\nHost: app.test\r\n{length}\r\n{hidden}")),
        raw(format!("HEAD /admin/x HTTP/1.1\r\nHost: app.test\r\n{length}\r\n{hidden}")),
        raw(format!("POST /nowhere HTTP/1.1\r\nHost: app.test\r\n{length}\r\n{hidden}")),
        raw(format!(
            "POST /admin/x HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
            hidden.len()
        )),
        raw(format!("HEAD /public/a HTTP/1.1\r\nHost: app.test\r\n{length}\r\n{hidden}")),
        raw(format!("GET /public/a HTTP/1.1\r\nHost: app.test\r\nContent-Length: 0\r\n\r\n{hidden}")),
        raw(format!("POST /public/a HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\n{length}\r\n{hidden}")),
    ]
}
