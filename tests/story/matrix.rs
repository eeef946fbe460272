//! Who may do what: every caller at every route with every method, through the running gate.
//!
//! `tests/golden/matrix.txt` is the table. A change of it is a change of who gets in.

use super::support::backend::Backend;
use super::support::gate::Gate;
use super::support::golden::check;
use super::support::issuer::{self, with, HS256, SECRET};
use serde_json::json;
use std::fmt::Write;

const STAFF: &str = "https://staff.test";
const PARTNERS: &str = "https://partners.test";

const ROUTES: &str = r#"
[[route]]
path   = "/public"
access = "public"

[[route]]
path   = "/optional"
access = "optional"

[[route]]
path   = "/signed-in"
access = "authenticated"

[[route]]
path  = "/roles"
roles = ["admin", "editor"]
from  = ["staff"]

[[route]]
path   = "/scopes"
scopes = ["read", "write"]

[[route]]
path = "/from"
access = "authenticated"
from   = ["partners"]

[[route]]
path = "/when"
when = 'claims.email.endsWith("@staff.test")'

[[route]]
path = "/when-errs"
when = 'claims.no.such.claim == 1'

[[route]]
path   = "/all"
roles  = ["admin"]
scopes = ["write"]
when   = 'request.method == "POST"'
from   = ["staff"]

[[route]]
path    = "/split"
methods = ["GET"]
access  = "public"

[[route]]
path    = "/split"
methods = ["POST", "PURGE"]
roles   = ["admin"]
from    = ["staff"]

[[route]]
path   = "/nested/**"
access = "public"

[[route]]
path  = "/nested/admin/**"
roles = ["admin"]
from  = ["staff"]

[[route]]
path   = "/users/{id}"
access = "public"

[[route]]
path   = "/users/me"
access = "authenticated"

[[route]]
path    = "/users/{id}/keys"
methods = ["GET"]
access  = "authenticated"

[[route]]
host   = "intern.test"
path   = "/**"
access = "authenticated"
from   = ["staff"]

[[route]]
path   = "/cross"
access = "authenticated"
cors   = { origins = ["https://app.test"], methods = ["DELETE"] }
"#;

const TARGETS: [&str; 21] = [
    "/public",
    "/public/",
    "/optional",
    "/signed-in",
    "/roles",
    "/scopes",
    "/from",
    "/when",
    "/when-errs",
    "/all",
    "/split",
    "/nested/a",
    "/nested/admin",
    "/nested/admin/x",
    "/nested/administrator",
    "/users/7",
    "/users/me",
    "/users/7/keys",
    "//intern.test/public",
    "/cross",
    "/nowhere",
];

const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "OPTIONS", "PURGE", "TRACE"];

#[test]
fn everybody_gets_in_where_the_table_says_and_nowhere_else() {
    let backend = Backend::echo();
    let issuers = [("staff", STAFF), ("partners", PARTNERS)];
    let issuers = issuers.map(|(name, iss)| issuer::table(name, iss, "secret = \"env:SECRET\"")).concat();
    let gate = Gate::setup().variable("SECRET", SECRET).start(&[&issuers, &backend.upstream("app"), ROUTES].concat());
    let callers = callers();
    let mut told = String::from("# Written by tests/story/matrix.rs with UPDATE_GOLDEN=1: who may do what.\n");
    writeln!(told, "# 200 came from the backend, everything else from the gate.").unwrap();
    for target in TARGETS {
        let (host, path) =
            target.strip_prefix("//").and_then(|rest| rest.split_once('/')).unwrap_or(("app.test", target));
        let path = format!("/{}", path.trim_start_matches('/'));
        writeln!(told, "\n{host}{path}").unwrap();
        let mut rows: Vec<(String, Vec<&str>)> = Vec::new();
        for (caller, authorization) in &callers {
            let verdicts = METHODS.map(|method| {
                backend.take();
                let answer = gate.raw(format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n"));
                let reached = !backend.take().is_empty();
                assert_eq!(reached, answer.status == 200, "{caller} {method} {target}: the backend saw something else");
                format!("{method} {}", answer.verdict())
            });
            let verdicts = verdicts.join(" | ");
            match rows.iter_mut().find(|(same, _)| *same == verdicts) {
                Some((_, alike)) => alike.push(caller),
                None => rows.push((verdicts, vec![caller])),
            }
        }
        for (verdicts, alike) in rows {
            let who = if alike.len() == callers.len() { "everybody".to_owned() } else { alike.join(", ") };
            writeln!(told, "    {who}\n        {verdicts}").unwrap();
        }
    }
    check("matrix.txt", &told);
}

/// Names, and the header line each sends.
fn callers() -> Vec<(&'static str, String)> {
    let token = |iss: &str, sub: &str, changes| {
        let claims = with(&issuer::claims(iss, sub), changes);
        format!("Authorization: Bearer {}\r\n", issuer::token(&claims, HS256))
    };
    let staff = |sub: &str, roles: &[&str], scope: &str| {
        let email = format!("{sub}@staff.test");
        token(STAFF, sub, json!({ "roles": roles, "scope": scope, "email": email, "email_verified": true }))
    };
    vec![
        ("nobody", String::new()),
        ("a user", staff("bob", &["user"], "read")),
        ("an editor", staff("eve", &["user", "editor"], "read write")),
        ("an admin", staff("alice", &["admin"], "write other read")),
        ("a partner's admin", token(PARTNERS, "alice", json!({ "roles": ["admin"], "scope": "readwrite" }))),
        ("admin,user", staff("mallory", &["admin,user", "ADMIN", "*"], "read,write")),
        ("expired", token(STAFF, "alice", json!({ "roles": ["admin"], "exp": issuer::now() - 60 }))),
        ("forged", token("https://evil.test", "alice", json!({ "roles": ["admin"] }))),
        ("Basic", "Authorization: Basic YTpi\r\n".to_owned()),
    ]
}
