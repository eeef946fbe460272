//! What is sent with every page: it runs nothing (but a CAPTCHA, where one is shown), fetches nothing from elsewhere, sits
//! in no frame and is kept nowhere.
//!
//! `form-action` needs care. Browsers hold it against where a form is sent and against every redirect after it, so a
//! form whose answer leads to another origin (a return_to elsewhere, a provider's sign-out) must list that origin or
//! the browser stops half-way, with nothing to see but a line in its console.

use http::header::{
    HeaderName, HeaderValue, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

/// Far above what anybody configures, far below what a proxy in front would refuse.
const MOST_TARGETS: usize = 32;

/// The URL of a script, and further origins it loads from, as a policy writes them.
pub(super) type Script<'s> = (&'s str, &'s [String]);

pub(super) fn of_page(
    logo: Option<&str>,
    form_targets: &[&str],
    script: Option<Script<'_>>,
) -> Vec<(HeaderName, HeaderValue)> {
    let fixed = HeaderValue::from_static;
    vec![
        (CONTENT_TYPE, fixed("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy(logo, form_targets, script)),
        (X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (REFERRER_POLICY, fixed("no-referrer")),
        (CACHE_CONTROL, fixed("no-store")),
    ]
}

fn policy(logo: Option<&str>, form_targets: &[&str], script: Option<Script<'_>>) -> HeaderValue {
    let script = script.and_then(|(url, others)| Some(sources(&origin(url)?, others)));
    let mut policy = String::from("default-src 'none'; style-src 'self'");
    if let Some(sources) = &script {
        policy.push_str(&format!(" {sources}; script-src {sources}; frame-src {sources}; connect-src {sources}"));
    }
    policy.push_str("; img-src 'self'");
    if let Some(source) = logo {
        policy.push(' ');
        policy.push_str(source);
    }
    policy.push_str("; form-action 'self'");
    for target in form_targets.iter().filter_map(|target| origin(target)).take(MOST_TARGETS) {
        policy.push(' ');
        policy.push_str(&target);
    }
    policy.push_str("; frame-ancestors 'none'; base-uri 'none'");
    // Origins and the checked logo are visible ASCII; were they not, nothing would be allowed rather than everything.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
}

fn sources(own: &str, others: &[String]) -> String {
    let others = others.iter().map(String::as_str).take(MOST_TARGETS);
    std::iter::once(own).chain(others).collect::<Vec<_>>().join(" ")
}

/// `scheme://host:port` of a target, written anew: a `;` or a `*` in it would write the policy for us.
fn origin(target: &str) -> Option<String> {
    let url = url::Url::parse(target).ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    let origin = url.origin().ascii_serialization();
    let plain = origin.bytes().all(|b| b.is_ascii_alphanumeric() || b":/.-[]_".contains(&b));
    (web && plain).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csp(logo: Option<&str>, targets: &[&str]) -> String {
        with_script(logo, targets, None)
    }

    fn with_script(logo: Option<&str>, targets: &[&str], script: Option<&str>) -> String {
        let others = ["https://*.captcha.example".to_owned()];
        let headers = of_page(logo, targets, script.map(|script| (script, others.as_slice())));
        let (_, value) = headers.into_iter().find(|(name, _)| *name == CONTENT_SECURITY_POLICY).unwrap();
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_page_without_wishes_may_do_nothing_but_look_as_it_does() {
        assert_eq!(
            csp(None, &[]),
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; \
             base-uri 'none'"
        );
    }

    #[test]
    fn a_form_may_end_at_the_origins_it_is_given() {
        let policy = csp(Some("https://cdn.example"), &["https://login.example/tenant?x", "http://localhost:4000"]);
        assert!(policy.contains("img-src 'self' https://cdn.example;"), "{policy}");
        assert!(policy.contains("form-action 'self' https://login.example http://localhost:4000;"), "{policy}");
    }

    #[test]
    fn a_script_runs_from_its_origins_alone() {
        let policy = with_script(None, &[], Some("https://captcha.example/api.js?x"));
        let all = "https://captcha.example https://*.captcha.example";
        let script = format!("style-src 'self' {all}; script-src {all}; frame-src {all}; connect-src {all};");
        assert!(policy.contains(&script) && !policy.contains("api.js") && !policy.contains("unsafe"), "{policy}");
        assert!(!with_script(None, &[], Some("data:,x")).contains("script-src"));
    }

    #[test]
    fn a_target_cannot_write_the_policy() {
        let targets =
            ["https://a.example; script-src *", "javascript:alert(1)", "data:,x", "*", "https://*.example", ""];
        let policy = csp(None, &targets);
        assert!(policy.contains("form-action 'self';"), "{policy}");
        assert!(!policy.contains("script-src") && !policy.contains('*'), "{policy}");
    }

    #[test]
    fn no_page_is_kept_or_tells_where_it_was() {
        let headers = of_page(None, &[], None);
        for (name, value) in [("cache-control", "no-store"), ("referrer-policy", "no-referrer")] {
            assert!(headers.iter().any(|(n, v)| n == name && v == value), "{name}");
        }
        assert!(headers.iter().any(|(n, v)| n == "x-content-type-options" && v == "nosniff"));
    }
}
