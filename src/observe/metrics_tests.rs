use super::*;
use crate::pipeline::account::Decision;
use std::time::Duration;

#[test]
fn every_metric_is_exported_before_anything_has_happened() {
    let text = Metrics::new().encode();
    for (name, kind) in [
        ("requests_total", "counter"),
        ("request_duration_seconds", "histogram"),
        ("gate_duration_seconds", "histogram"),
        ("upstream_duration_seconds", "histogram"),
        ("auth_total", "counter"),
        ("token_cache_total", "counter"),
        ("revocations_total", "counter"),
        ("revocation_lag_seconds", "histogram"),
        ("revocation_entries", "gauge"),
        ("revocations_ignored_total", "counter"),
        ("sessions_active", "gauge"),
        ("session_evictions_total", "counter"),
        ("refresh_total", "counter"),
        ("rate_limited_total", "counter"),
        ("sign_in_failures_total", "counter"),
        ("bot_checks_total", "counter"),
        ("store_up", "gauge"),
        ("store_duration_seconds", "histogram"),
        ("degraded", "gauge"),
        ("streams_open", "gauge"),
        ("streams_cut_total", "counter"),
        ("config_generation", "gauge"),
        ("config_last_reload_success", "gauge"),
        ("provider_up", "gauge"),
        ("build_info", "gauge"),
        ("connections_open", "gauge"),
        ("parse_failures_total", "counter"),
        ("log_lines_dropped_total", "counter"),
        ("requests_in_flight", "gauge"),
        ("upstream_ejections_total", "counter"),
        ("keys_fetches_total", "counter"),
    ] {
        let line = format!("# TYPE doorward_{name} {kind}\n");
        assert_eq!(text.matches(&line).count(), 1, "{line}");
        assert_eq!(text.matches(&format!("# HELP doorward_{name} ")).count(), 1, "{name}");
    }
}

#[test]
fn a_route_counts_on_after_a_reload() {
    let metrics = Metrics::new();
    metrics.route("app /a/**").count(Decision::Admitted, 200);
    metrics.route("app /a/**").count(Decision::Admitted, 200);
    metrics.route("app /a/**").duration.observe(Duration::from_millis(3));
    let text = metrics.encode();
    assert!(text.contains(r#"doorward_requests_total{route="app /a/**",decision="admitted",code="200"} 2"#), "{text}");
    assert!(text.contains(r#"doorward_request_duration_seconds_bucket{route="app /a/**",le="0.0025"} 0"#), "{text}");
    assert!(text.contains(r#"doorward_request_duration_seconds_bucket{route="app /a/**",le="0.005"} 1"#), "{text}");
    assert!(text.contains(r#"doorward_request_duration_seconds_bucket{route="app /a/**",le="+Inf"} 1"#), "{text}");
}

#[test]
fn a_refused_reload_keeps_the_generation_and_shows() {
    let metrics = Metrics::new();
    metrics.configured(7);
    metrics.reload_refused();
    let text = metrics.encode();
    assert!(text.contains("doorward_config_generation 7\n"));
    assert!(text.contains("doorward_config_last_reload_success 0\n"));
}

#[test]
fn a_credential_is_counted_by_method_and_result() {
    let metrics = Metrics::new();
    metrics.auth.of(AuthMethod::Bearer).refused.inc();
    assert!(metrics.encode().contains(r#"doorward_auth_total{method="bearer",result="refused"} 1"#));
    assert!(metrics.encode().contains(r#"doorward_auth_total{method="anonymous",result="refused"} 0"#));
}

#[test]
fn the_version_is_exported() {
    let line = format!("doorward_build_info{{version=\"{}\"}} 1\n", env!("CARGO_PKG_VERSION"));
    assert!(Metrics::new().encode().contains(&line));
}
