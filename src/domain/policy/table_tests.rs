use super::super::pattern::{HostPattern, PathPattern};
use super::super::route::{Csrf, EncodedSlash, Forwarding, OnUnauthenticated};
use super::super::rule::{Access, Rule};
use super::*;
use crate::domain::limit::RouteLimits;

fn route(index: usize, methods: Option<&str>, host: &str, path: &str) -> Route {
    Route {
        index,
        host: if host.is_empty() { HostPattern::Any } else { HostPattern::parse(host).unwrap() },
        path: PathPattern::parse(path).unwrap(),
        methods: methods.map(|list| list.split(',').map(|m| m.parse().unwrap()).collect()),
        upstream: 0,
        rule: Rule {
            access: Access::Public,
            from: Vec::new(),
            roles: Vec::new(),
            scopes: Vec::new(),
            when: None,
            accepts_bearer: true,
            accepts_session: false,
            accepts_api_key: false,
        },
        forwarding: Forwarding {
            encoded_slash: EncodedSlash::Reject,
            strip_prefix: String::new(),
            set_headers: Vec::new(),
            remove_headers: Vec::new(),
            websocket: true,
            max_body: 0,
        },
        unauthenticated: OnUnauthenticated::Auto,
        csrf: Csrf::On,
        activity: true,
        sensitive: false,
        cors: None,
        limits: RouteLimits::default(),
    }
}

fn table(places: &[(&str, &str)]) -> RouteTable {
    RouteTable::new(places.iter().enumerate().map(|(at, (host, path))| route(at, None, host, path)).collect())
}

fn chosen(table: &RouteTable, host: &str, path: &str) -> Option<String> {
    let chosen = table.choose(host, path).ok()?;
    chosen.for_method(&Method::GET).ok().map(|route| format!("{}{}", route.host, route.path.as_str()))
}

#[test]
fn literal_stands_before_parameter_before_subtree_segment_by_segment() {
    let table = table(&[("", "/a/{id}"), ("", "/a/b"), ("", "/a/**"), ("", "/a/b/**"), ("", "/a/{id}/c"), ("", "/**")]);
    for (path, want) in [
        ("/a/b", "/a/b"),
        ("/a/x", "/a/{id}"),
        ("/a/b/c", "/a/b/**"),
        ("/a/x/c", "/a/{id}/c"),
        ("/a/x/d", "/a/**"),
        ("/a", "/a/**"),
        ("/a/", "/a/**"),
        ("/b", "/**"),
        ("/", "/**"),
    ] {
        assert_eq!(chosen(&table, "h", path).as_deref(), Some(want), "{path}");
    }
}

#[test]
fn a_literal_branch_that_leads_nowhere_does_not_hide_a_parameter() {
    let table = table(&[("", "/a/b/d"), ("", "/a/{id}/c")]);
    assert_eq!(chosen(&table, "h", "/a/b/c").as_deref(), Some("/a/{id}/c"));
}

#[test]
fn a_subtree_covers_its_root_with_and_without_slash_but_no_sibling() {
    let table = table(&[("", "/admin/**")]);
    for path in ["/admin", "/admin/", "/admin/x/y"] {
        assert!(chosen(&table, "h", path).is_some(), "{path}");
    }
    for path in ["/administrator", "/Admin", "/", "/x/admin"] {
        assert!(chosen(&table, "h", path).is_none(), "{path}");
    }
}

#[test]
fn an_exact_path_covers_no_trailing_slash_and_a_parameter_no_empty_segment() {
    let table = table(&[("", "/a"), ("", "/b/{id}")]);
    assert!(chosen(&table, "h", "/a").is_some());
    assert!(chosen(&table, "h", "/a/").is_none());
    assert!(chosen(&table, "h", "/b/").is_none());
    assert!(chosen(&table, "h", "/b/1").is_some());
}

#[test]
fn a_host_once_chosen_is_final() {
    let table = table(&[("app.test", "/a"), ("*.test", "/b"), ("*.deep.test", "/c"), ("", "/d")]);
    assert_eq!(chosen(&table, "app.test", "/a").as_deref(), Some("app.test/a"));
    assert_eq!(chosen(&table, "app.test", "/b"), None, "the wildcard is not consulted");
    assert_eq!(chosen(&table, "x.test", "/b").as_deref(), Some("*.test/b"));
    assert_eq!(chosen(&table, "y.deep.test", "/b"), None, "the longer suffix was chosen");
    assert_eq!(chosen(&table, "test", "/d").as_deref(), Some("/d"), "a wildcard stands for at least one label");
    assert_eq!(chosen(&table, "x.test", "/d"), None);
}

#[test]
fn the_method_is_chosen_last_and_never_falls_through_to_another_pattern() {
    let routes = vec![
        route(0, Some("GET,POST"), "", "/a"),
        route(1, None, "", "/a"),
        route(2, Some("PURGE"), "", "/b"),
        route(3, None, "", "/**"),
    ];
    let table = RouteTable::new(routes);
    let taken = |path: &str, method: &str| {
        table
            .choose("h", path)
            .unwrap()
            .for_method(&method.parse().unwrap())
            .map(|route| route.index)
            .map_err(|no| no.allow)
    };
    assert_eq!(taken("/a", "POST"), Ok(0));
    assert_eq!(taken("/a", "HEAD"), Ok(0), "GET implies HEAD");
    assert_eq!(taken("/a", "DELETE"), Ok(1));
    assert_eq!(taken("/b", "PURGE"), Ok(2));
    assert_eq!(taken("/b", "GET"), Err("PURGE".to_owned()));
    assert_eq!(taken("/c", "PURGE"), Err("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT".to_owned()));
}

#[test]
fn trace_and_connect_pass_nowhere() {
    let table = RouteTable::new(vec![route(0, Some("TRACE,CONNECT,GET"), "", "/a")]);
    for method in [Method::TRACE, Method::CONNECT] {
        let refusal = table.choose("h", "/a").unwrap().for_method(&method).unwrap_err();
        assert_eq!(refusal.allow, "GET, HEAD");
    }
}

#[test]
fn two_routes_no_request_could_tell_apart_tie() {
    let routes = |list: &[(Option<&str>, &str, &str)]| {
        list.iter().enumerate().map(|(at, (m, h, p))| route(at, *m, h, p)).collect::<Vec<_>>()
    };
    assert_eq!(ties(&routes(&[(None, "", "/a/{id}"), (None, "", "/a/{name}")])), [(0, 1)]);
    assert_eq!(ties(&routes(&[(Some("GET,POST"), "", "/a"), (Some("POST"), "", "/a")])), [(0, 1)]);
    assert_eq!(ties(&routes(&[(Some("GET"), "", "/a"), (Some("POST"), "", "/a"), (None, "", "/a")])), []);
    assert_eq!(ties(&routes(&[(None, "a.test", "/a"), (None, "b.test", "/a"), (None, "", "/a/**")])), []);
}

#[test]
fn a_path_of_ten_thousand_segments_is_decided_without_trouble() {
    let table = table(&[("", "/{a}/{b}/{c}/{d}"), ("", "/x/**")]);
    let path = format!("/x{}", "/y".repeat(10_000));
    assert_eq!(chosen(&table, "h", &path).as_deref(), Some("/x/**"));
}
