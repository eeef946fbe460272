//! What the backend is told about the caller is true, whoever tried to say something else: over HTTP/1, in a WebSocket
//! handshake and over HTTP/2.

use super::support::backend::{self, Backend};
use super::support::gate::{Gate, Setup};
use super::support::h2;
use super::support::issuer::{self, HS256, SECRET};
use super::support::seen::Seen;
use http::{HeaderMap, HeaderValue, Request};
use serde_json::{json, Value};

const ISS: &str = "https://id.test";
const ROUTES: &str = "[[route]]\npath = \"/public/**\"\naccess = \"public\"\n\n\
                      [[route]]\npath = \"/api/**\"\naccess = \"authenticated\"\n\n";

/// How a request comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Http1,
    WebSocket,
    Http2,
}

pub(crate) const WAYS: [Way; 3] = [Way::Http1, Way::WebSocket, Way::Http2];

pub(crate) struct Stage {
    pub(crate) gate: Gate,
    backend: Backend,
}

impl Stage {
    pub(crate) fn set() -> Self {
        Self::with(Gate::setup(), "")
    }

    pub(crate) fn with(setup: Setup, identity: &str) -> Self {
        let backend = Backend::echo();
        let issuer = issuer::table("id", ISS, "secret = \"env:SECRET\"");
        let tables = [&issuer, &backend.upstream("app"), ROUTES, identity].concat();
        Self { gate: setup.variable("SECRET", SECRET).start(&tables), backend }
    }

    /// What the backend received of a GET with these headers.
    pub(crate) fn arrives(&self, way: Way, path: &str, headers: &[(&str, &str)]) -> Seen {
        self.backend.take();
        let status = match way {
            Way::Http1 => self.gate.get(path, &lines(headers)).status,
            Way::WebSocket => self.gate.raw(handshake(path, headers)).status,
            Way::Http2 => {
                let start = Request::get(format!("http://app.test{path}"));
                let request = headers.iter().fold(start, |request, (name, value)| {
                    request.header(name.to_ascii_lowercase(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
                });
                h2::request(self.gate.http, request.body(()).unwrap(), None, None).unwrap().status
            }
        };
        assert_eq!(status, if way == Way::WebSocket { 101 } else { 200 }, "{way:?} {headers:?}");
        let mut seen = self.backend.take();
        assert_eq!(seen.len(), 1);
        seen.remove(0)
    }
}

fn lines(headers: &[(&str, &str)]) -> String {
    headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// A whole handshake; a `Connection` among the headers stands beside its own.
fn handshake(path: &str, headers: &[(&str, &str)]) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
        lines(headers)
    )
}

fn bearer(changes: Value) -> String {
    format!("Bearer {}", issuer::token(&issuer::with(&issuer::claims(ISS, "alice"), changes), HS256))
}

pub(crate) fn pairs(seen: &Seen, prefix: &str) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = seen.folded(prefix).into_iter().map(|(n, v)| (n.to_ascii_lowercase(), v)).collect();
    pairs.sort();
    pairs
}

pub(crate) fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

const FORGED: [&str; 12] = [
    "X-Auth-Subject",
    "x-auth-subject",
    "X_Auth_Subject",
    "X.Auth.Subject",
    "x~auth~subject",
    "X'Auth'Subject",
    "X-Auth_Roles",
    "X-AUTH-METHOD",
    "x_auth_email",
    "X-Auth-Assertion",
    "X-Auth-Anything",
    "X|Auth|Provider",
];

#[test]
fn a_forged_identity_never_arrives_in_whatever_spelling() {
    let stage = Stage::set();
    let alice = bearer(json!({}));
    for way in WAYS {
        for name in FORGED {
            let forged = [(name, "root"), (name, "admin")];
            let seen = stage.arrives(way, "/public/a", &forged);
            assert_eq!(pairs(&seen, "x-auth-"), [pair("x-auth-method", "anonymous")], "{way:?} {name}");
            let seen = stage.arrives(way, "/api/a", &[forged[0], ("Authorization", &alice), forged[1]]);
            let expected =
                [pair("x-auth-method", "bearer"), pair("x-auth-provider", "id"), pair("x-auth-subject", "alice")];
            assert_eq!(pairs(&seen, "x-auth-"), expected, "{way:?} {name}");
        }
    }
}

#[test]
fn names_other_gates_and_backends_believe_do_not_arrive_either() {
    let stage = Stage::set();
    let names = [
        "Forwarded",
        "X-Real-IP",
        "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Cluster-Client-IP",
        "Remote-User",
        "REMOTE_USER",
        "X-Remote-User",
        "X-WebAuth-User",
        "X-Client-Cert",
        "Client-Cert",
        "SSL-Client-Cert",
        "X-SSL-Client-Verify",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Envoy-External-Address",
        "X-Middleware-Subrequest",
        "X-HTTP-Method-Override",
        "X-Method-Override",
        "Impersonate-User",
        "X-Pomerium-Jwt-Assertion",
        "X-Doorward-Sub",
        "Txn-Token",
        "DPoP",
        "Proxy",
        "X-Forwarded-Prefix",
        "X_Forwarded_Proto",
        "X-Forwarded-Client-Cert",
        "X-Forwarded-User",
    ];
    for way in WAYS {
        let sent: Vec<(&str, &str)> = names.iter().map(|name| (*name, "evil")).collect();
        let seen = stage.arrives(way, "/public/a", &sent);
        assert!(!seen.text().contains("evil"), "{way:?}\n{}", seen.text());
    }
}

#[test]
fn a_connection_header_cannot_have_true_headers_removed() {
    let stage = Stage::set();
    let alice = bearer(json!({}));
    for way in [Way::Http1, Way::WebSocket] {
        for named in ["X-Auth-Subject, X-Auth-Method", "x-auth-subject", "Traceparent, X-Request-Id", "Authorization"] {
            let seen = stage.arrives(way, "/api/a", &[("Connection", named), ("Authorization", &alice)]);
            assert_eq!(seen.header("x-auth-subject").as_deref(), Some("alice"), "{way:?} {named}");
            assert_eq!(seen.header("x-auth-method").as_deref(), Some("bearer"));
            assert!(seen.header("x-request-id").is_some() && seen.header("traceparent").is_some(), "{way:?} {named}");
            assert_eq!(seen.all("authorization"), [""; 0]);
        }
    }
}

#[test]
fn trailers_carry_no_identity() {
    let stage = Stage::set();
    let trailers = "X-Auth-Subject: root\r\nX_Auth_Roles: root\r\nAuthorization: root\r\nX-Request-Id: root\r\n";
    let body = format!("2\r\nab\r\n0\r\n{trailers}\r\n");
    let head =
        "POST /public/a HTTP/1.1\r\nHost: app.test\r\nTrailer: X-Auth-Subject\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(stage.gate.raw([head, &body].concat()).status, 200);
    let mut map = HeaderMap::new();
    for name in ["x-auth-subject", "x_auth_roles", "authorization", "x-request-id"] {
        map.insert(name, HeaderValue::from_static("root"));
    }
    let request = Request::post("http://app.test/public/a").body(()).unwrap();
    assert_eq!(h2::request(stage.gate.http, request, Some(b"ab"), Some(map)).unwrap().status, 200);
    let seen = stage.backend.take();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        let body = String::from_utf8_lossy(&seen.body).into_owned();
        assert!(body.contains("ab"), "{body:?}");
        assert!(!body.contains("root") && !seen.text().contains("root"), "{}{body}", seen.text());
    }
}

#[test]
fn our_cookies_stay_here_and_the_others_arrive_as_they_are() {
    let stage = Stage::set();
    let cases = [
        ("a=1;b=2 ;  c=\"3\"", Some("a=1;b=2 ;  c=\"3\"")),
        ("a=1; __Host-doorward=secret; b=2", Some("a=1; b=2")),
        ("__Host-doorward=secret", None),
        ("__Host-doorward-r0=secret; __Host-doorward-r1=secret; __Host-doorward-l-abcdef=secret", None),
        ("__Secure-doorward=secret; doorward=secret; a==1; doorward-r0=secret", Some("a==1")),
        (" doorward =secret;a=1", Some("a=1")),
        ("xdoorward=1; doorwardx=2; DOORWARD=3", Some("xdoorward=1; doorwardx=2; DOORWARD=3")),
        ("novalue; =noname; doorward=secret", Some("novalue; =noname")),
    ];
    for way in WAYS {
        for (sent, arrives) in cases {
            let seen = stage.arrives(way, "/public/a", &[("Cookie", sent)]);
            assert_eq!(seen.header("cookie").as_deref(), arrives, "{way:?} {sent}");
        }
        let two = stage.arrives(way, "/public/a", &[("Cookie", "a=1"), ("Cookie", "doorward=secret; b=2")]);
        assert_eq!(two.all("cookie"), ["a=1; b=2"], "{way:?}");
    }
}

#[test]
fn the_callers_authorization_stays_here_unless_the_file_says_otherwise() {
    let alice = bearer(json!({}));
    let basic = "Basic YTpi";
    let stage = Stage::set();
    for way in WAYS {
        for (path, value) in [("/public/a", basic), ("/public/a", &alice), ("/api/a", &alice)] {
            assert_eq!(stage.arrives(way, path, &[("Authorization", value)]).header("authorization"), None, "{way:?}");
        }
    }
    let stage = Stage::with(Gate::setup(), "[identity]\nforward_authorization = true\n");
    for way in WAYS {
        for (path, value) in [("/public/a", basic), ("/api/a", &alice)] {
            let seen = stage.arrives(way, path, &[("Authorization", value)]);
            assert_eq!(seen.header("authorization").as_deref(), Some(value), "{way:?}");
        }
    }
}

#[test]
fn claims_that_no_header_can_hold_are_encoded_and_lists_cannot_be_split() {
    let stage = Stage::set();
    let alice = bearer(json!({
        "name": " Zo\u{eb}, 100%\r\nX-Auth-Roles: root \u{7f}", "roles": ["a,b", "admin", "x y", "%2C"],
        "scope": "read write", "email": "a@b.test", "email_verified": true,
    }));
    for way in WAYS {
        let seen = stage.arrives(way, "/api/a", &[("Authorization", &alice)]);
        let told = |name: &str| seen.header(name).unwrap_or_default();
        assert_eq!(told("x-auth-name"), "%20Zo%C3%AB, 100%25%0D%0AX-Auth-Roles: root %7F", "{way:?}");
        assert_eq!(told("x-auth-roles"), "a%2Cb,admin,x y,%252C");
        assert_eq!(told("x-auth-scopes"), "read write");
        assert_eq!(told("x-auth-email"), "a@b.test");
    }
}

#[test]
fn what_the_token_does_not_say_the_client_cannot_add() {
    let stage = Stage::set();
    let unverified = bearer(json!({ "email": "boss@b.test", "name": null, "roles": [], "sid": { "a": 1 } }));
    for way in WAYS {
        let forged = [("X-Auth-Email", "boss@b.test"), ("X-Auth-Name", "boss"), ("X-Auth-Roles", "root")];
        let seen = stage.arrives(way, "/api/a", &[&[("Authorization", unverified.as_str())], &forged[..]].concat());
        assert_eq!(pairs(&seen, "x-auth-").len(), 3, "method, provider and subject only: {}", seen.text());
    }
}

#[test]
fn configured_names_are_managed_too_and_replace_the_default_ones() {
    let identity = "[identity.headers]\n\"Who\" = \"sub\"\n\"Level\" = \"a.level\"\n\"How\" = \"method\"\n";
    let stage = Stage::with(Gate::setup(), identity);
    let alice = bearer(json!({ "a": { "level": 1.5 } }));
    for way in WAYS {
        let seen = stage.arrives(way, "/api/a", &[("Authorization", &alice), ("who", "root"), ("LEVEL", "9")]);
        let told = ["who", "level", "how"].map(|name| seen.header(name).unwrap_or_default());
        assert_eq!(told, ["alice", "1.5", "bearer"], "{way:?}");
        assert_eq!(pairs(&seen, "x-auth-"), [pair("x-auth-method", "bearer")], "sent whatever was chosen");
        let nobody = stage.arrives(way, "/public/a", &[("Who", "root"), ("Level", "9")]);
        assert_eq!(["who", "level", "how"].map(|name| nobody.header(name)), [None, None, Some("anonymous".to_owned())]);
    }
}

#[test]
fn a_backend_cannot_set_what_is_ours_at_the_client() {
    let headers = "Set-Cookie: a=1\r\nSet-Cookie: __Host-doorward=x; Path=/\r\nSet-Cookie: doorward-r0=x\r\n\
                   X-Auth-Subject: root\r\nX_Auth_Roles: root\r\nX-Odd: kept\r\n";
    let backend = Backend::answering(backend::text(headers, "hello"));
    let issuer = issuer::table("id", ISS, "secret = \"env:SECRET\"");
    let gate = Gate::setup().variable("SECRET", SECRET).start(&[&issuer, &backend.upstream("app"), ROUTES].concat());
    let public = gate.get("/public/a", "");
    assert_eq!(public.all("set-cookie"), ["a=1"]);
    assert_eq!((public.header("x-auth-subject"), public.header("x_auth_roles")), (None, None));
    assert_eq!((public.header("x-odd"), public.header("cache-control")), (Some("kept"), None));
    let known = gate.get("/api/a", &format!("Authorization: {}\r\n", bearer(json!({}))));
    assert_eq!(known.header("cache-control"), Some("private"));
}
