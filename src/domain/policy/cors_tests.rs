use super::*;

fn cors() -> Cors {
    Cors {
        origins: Origins::Listed(vec!["https://app.example.com".to_owned()]),
        methods: vec!["PUT".to_owned()],
        headers: vec!["x-tenant".to_owned()],
        credentials: true,
        max_age: Duration::from_secs(600),
    }
}

fn asked(origin: &'static str, method: &'static str, names: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ORIGIN, HeaderValue::from_static(origin));
    headers.insert(ACCESS_CONTROL_REQUEST_METHOD, HeaderValue::from_static(method));
    headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(names));
    headers
}

fn preflight(headers: &HeaderMap) -> Result<HeaderMap, Code> {
    let asked = Preflight::read(&Method::OPTIONS, headers).unwrap();
    cors().preflight(&asked).map(|list| list.into_iter().collect()).map_err(|denial| denial.code)
}

#[test]
fn a_listed_origin_may_use_listed_methods_and_headers() {
    let headers = preflight(&asked("https://app.example.com", "PUT", "X-Tenant")).unwrap();
    assert_eq!(headers["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert_eq!(headers["access-control-max-age"], "600");
    assert_eq!(headers["vary"], "Origin");
}

#[test]
fn whatever_is_not_listed_is_refused() {
    for (origin, method, names) in [
        ("https://app.example.com.evil.test", "PUT", ""),
        ("null", "PUT", ""),
        ("https://app.example.com", "DELETE", ""),
        ("https://app.example.com", "PUT", "x-tenant, x-other"),
    ] {
        assert_eq!(
            preflight(&asked(origin, method, names)).unwrap_err(),
            Code::OriginNotAllowed,
            "{origin} {method} {names}"
        );
    }
}

#[test]
fn a_plain_options_request_is_no_preflight() {
    let mut headers = asked("https://app.example.com", "PUT", "");
    assert!(Preflight::read(&Method::GET, &headers).is_none());
    headers.remove(ACCESS_CONTROL_REQUEST_METHOD);
    assert!(Preflight::read(&Method::OPTIONS, &headers).is_none());
}

#[test]
fn an_origin_that_is_not_listed_reads_nothing() {
    let names: Vec<_> = cors().grant(&asked("https://evil.test", "GET", "")).headers().map(|(name, _)| name).collect();
    assert_eq!(names, [VARY]);
}
