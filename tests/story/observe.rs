//! What operators see, and what nobody may see.

use super::support::backend::Backend;
use super::support::gate::Gate;
use super::support::issuer::{self, HS256, SECRET};
use super::support::{client, h2, nowhere};
use http::Request;
use serde_json::Value;

const ROUTES: &str = "[[route]]\npath = \"/open/**\"\naccess = \"public\"\n\n[[route]]\npath = \"/api/**\"\naccess = \
                      \"authenticated\"\n\n[[route]]\npath = \"/admin/**\"\nroles = [\"admin\"]\n\n";

fn gate(backend: &Backend, log: &str) -> Gate {
    let issuers = issuer::table("main", "https://issuer.test", "secret = \"env:SECRET\"");
    let setup = Gate::setup().variable("SECRET", SECRET).variable("DOORWARD_LOG", log);
    setup.start(&[&issuers, &backend.upstream("app"), ROUTES].concat())
}

fn token() -> String {
    issuer::token(&issuer::claims("https://issuer.test", "alice"), HS256)
}

#[test]
fn every_metric_is_there_from_the_start() {
    let gate = gate(&Backend::echo(), "info");
    let text = client::raw(gate.admin, "GET /metrics HTTP/1.1\r\nHost: admin\r\n\r\n").text();
    for name in [
        "requests_total",
        "request_duration_seconds",
        "gate_duration_seconds",
        "upstream_duration_seconds",
        "auth_total",
        "token_cache_total",
        "revocations_total",
        "revocation_lag_seconds",
        "revocation_entries",
        "sessions_active",
        "session_evictions_total",
        "refresh_total",
        "rate_limited_total",
        "store_up",
        "store_duration_seconds",
        "degraded",
        "streams_open",
        "streams_cut_total",
        "config_generation",
        "config_last_reload_success",
        "provider_up",
        "build_info",
    ] {
        assert!(text.contains(&format!("# TYPE doorward_{name} ")), "{name}");
    }
}

#[test]
fn a_request_is_counted_and_written_down_without_its_secrets() {
    let backend = Backend::echo();
    let gate = gate(&backend, "info");
    let headers = format!("Authorization: Bearer {}\r\nCookie: theirs=crumb\r\n", token());
    assert_eq!(gate.get("/api/x?q=hush", &headers).status, 200);
    let id = backend.last().header("x-request-id").unwrap();
    let line = gate.access(&id);
    let told = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(["method", "host", "path", "route"].map(told), ["GET", "app.test", "/api/x", "/api/**"]);
    assert_eq!(["decision", "source", "sub", "upstream"].map(told), ["admitted", "main", "alice", "app"]);
    assert_eq!(["client_ip", "protocol"].map(told), ["127.0.0.1", "HTTP/1.1"]);
    assert_eq!(line["status"], 200);
    assert!(line["bytes_out"].as_u64().unwrap() > 0);
    for number in ["duration_ms", "gate_us", "upstream_ms"] {
        assert!(line[number].is_number(), "{number}: {line}");
    }
    for text in ["time", "trace_id"] {
        assert!(line[text].is_string(), "{text}: {line}");
    }
    let all = gate.journal.all().join("\n");
    assert!(!all.contains("hush") && !all.contains("crumb") && !all.contains("Bearer"), "{all}");
    let counted = "doorward_requests_total{route=\"/api/**\",decision=\"admitted\",code=\"200\"}";
    assert_eq!(gate.metric(counted), 1.0);
}

#[test]
fn a_refusal_is_written_down_with_the_reason_its_caller_was_not_told() {
    let gate = gate(&Backend::echo(), "info");
    let answer = gate.get_as("/admin/x", &token());
    assert_eq!(answer.verdict(), "403 forbidden");
    assert!(!answer.text().contains("admin"), "{}", answer.text());
    let problem: Value = serde_json::from_slice(&answer.body).unwrap();
    let id = problem["request_id"].as_str().unwrap();
    let line = gate.audit(id);
    assert_eq!((&line["reason"], &line["status"], &line["sub"]), (&"forbidden".into(), &403.into(), &"alice".into()));
    assert!(line["detail"].as_str().unwrap().contains("admin"), "{line}");
    assert_eq!(gate.access(id)["decision"], "refused");
}

#[test]
fn a_refusal_behind_a_trusted_proxy_is_written_down_under_the_client_s_address() {
    let setup = Gate::setup().server("trusted_proxies = [\"127.0.0.0/8\"]");
    let gate =
        setup.start(&[&Backend::echo().upstream("app"), "[[route]]\npath = \"/\"\naccess = \"public\"\n"].concat());
    let answer = gate.get("/elsewhere", "X-Forwarded-For: 192.0.2.9\r\nX-Request-Id: behind-1\r\n");
    assert_eq!(answer.verdict(), "404 no_route");
    assert_eq!(gate.audit("behind-1")["client_ip"], "192.0.2.9");
    assert_eq!(gate.access("behind-1")["client_ip"], "192.0.2.9");
}

#[test]
fn an_admitted_request_that_comes_to_nothing_is_a_failure_in_both_logs() {
    let gone = nowhere();
    let upstream = format!("[[upstream]]\nname = \"app\"\nurl = \"http://{gone}\"\n\n");
    let gate = Gate::start(&[&upstream, "[[route]]\npath = \"/**\"\naccess = \"public\"\n\n"].concat());
    let problem: Value = serde_json::from_slice(&gate.get("/", "").body).unwrap();
    let id = problem["request_id"].as_str().unwrap();
    assert_eq!(gate.access(id)["decision"], "failed");
    assert_eq!(gate.audit(id)["reason"], "upstream_unavailable");
}

#[test]
fn no_secret_is_written_however_much_is_asked_for() {
    let backend = Backend::echo();
    let gate = gate(&backend, "trace");
    let token = token();
    let forged = format!("{}x", &token[..token.len() - 1]);
    let headers = format!("Authorization: Bearer {token}\r\nCookie: theirs=crumb-of-a-cookie\r\n");
    assert_eq!(gate.get("/api/x?q=hush-hush", &headers).status, 200);
    assert_eq!(gate.get_as("/api/x?q=hush-hush", &forged).verdict(), "401 token_invalid");
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                  dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(gate.get("/api/socket?q=hush-hush", &[socket, &headers].concat()).status, 101);
    let request =
        Request::get("http://app.test/api/frames?q=hush-hush").header("authorization", format!("Bearer {token}"));
    let request = request.header("cookie", "theirs=crumb-of-a-cookie").body(()).unwrap();
    assert_eq!(h2::request(gate.http, request, None, None).unwrap().status, 200);
    gate.raw(format!("GET /api/x?q=hush-hush HTTP/1.1\r\nHost: a b\r\n{headers}\r\n"));
    gate.signal("INT");
    assert!(gate.journal.wait_end() && gate.messages.wait_end());
    let written = [gate.journal.all(), gate.messages.all()].concat().join("\n");
    let signature = token.rsplit('.').next().unwrap();
    for secret in [token.as_str(), &token[..40], signature, "crumb-of-a-cookie", "hush-hush", SECRET] {
        let line = written.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
