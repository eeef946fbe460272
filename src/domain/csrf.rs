//! Cross-site request forgery: whether a browser was led here by somebody else's page.
//!
//! A cookie travels with every request to us, whoever caused it. What a page cannot choose is what the browser itself
//! says about the cause: Fetch Metadata in every browser of today, `Origin` in the older ones.

use super::denial::{Code, Denial};
use super::origins::Origin;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, Method};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// `csrf` of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Csrf {
    /// Not checked: the application defends itself.
    Off,
    #[default]
    On,
    /// A request that says nothing about its cause is refused too. Programs say nothing; browsers always do.
    Strict,
}

/// The part of a request that tells who caused it.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// A WebSocket handshake is a GET, and what follows it is anything but safe.
    pub websocket: bool,
}

/// Whose pages may cause requests here.
#[derive(Clone, Copy, Debug)]
pub struct Friends<'a> {
    /// The origin of the request itself. `None`: no page can come from there, so only listed ones count.
    pub own: Option<&'a Origin>,
    pub listed: &'a [Origin],
}

/// Whether a request whose credential is a cookie may be what its user wanted.
///
/// # Errors
/// `csrf` when another site caused it, or may have.
pub fn check(cause: &Cause<'_>, mode: Csrf, friends: &Friends<'_>) -> Result<(), Denial> {
    if mode == Csrf::Off || cause.is_safe() {
        return Ok(());
    }
    let origin = Origins::read(cause.headers);
    let site = cause.headers.get_all(SEC_FETCH_SITE).iter().map(|value| value.as_bytes()).collect::<Vec<_>>();
    match (site.as_slice(), origin) {
        // "none": a bookmark or the address bar
        (&[b"same-origin" | b"none"], _) => Ok(()),
        (&[_, ..], Origins::One(origin)) if friends.lists(origin) => Ok(()),
        (&[_, ..], _) => Err(refused("the browser says that another site caused the request")),
        (&[], Origins::One(origin)) if friends.owns(origin) || friends.lists(origin) => Ok(()),
        (&[], Origins::One(_) | Origins::Unclear) => Err(refused("the Origin is neither our own nor listed")),
        (&[], Origins::Absent) if mode == Csrf::Strict => Err(refused("neither Sec-Fetch-Site nor Origin")),
        (&[], Origins::Absent) => Ok(()),
    }
}

impl Cause<'_> {
    fn is_safe(&self) -> bool {
        !self.websocket && [Method::GET, Method::HEAD, Method::OPTIONS].contains(self.method)
    }
}

impl Friends<'_> {
    fn owns(&self, origin: &[u8]) -> bool {
        self.own.is_some_and(|own| own.is(origin))
    }

    fn lists(&self, origin: &[u8]) -> bool {
        self.listed.iter().any(|listed| listed.is(origin))
    }
}

enum Origins<'a> {
    Absent,
    One(&'a [u8]),
    /// Repeated, or `null`: a sandboxed frame, a `data:` URL or a redirect across sites, which anybody can have.
    Unclear,
}

impl<'a> Origins<'a> {
    fn read(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(ORIGIN).iter().map(|value| value.as_bytes());
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(origin), None) if origin != b"null" => Self::One(origin),
            (Some(_), _) => Self::Unclear,
        }
    }
}

fn refused(detail: &'static str) -> Denial {
    Denial::new(Code::Csrf, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const OWN: &str = "https://app.test";
    const FRIEND: &str = "https://friend.test";

    fn passes_as(method: &Method, websocket: bool, mode: Csrf, list: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let (own, listed) = (Origin::parse(OWN).unwrap(), [Origin::parse(FRIEND).unwrap()]);
        let verdict =
            check(&Cause { method, headers: &headers, websocket }, mode, &Friends { own: Some(&own), listed: &listed });
        assert!(verdict.as_ref().err().is_none_or(|denial| denial.code == Code::Csrf));
        verdict.is_ok()
    }

    fn passes(list: &[(&'static str, &'static str)]) -> bool {
        let on = passes_as(&Method::POST, false, Csrf::On, list);
        if !list.is_empty() {
            assert_eq!(on, passes_as(&Method::POST, false, Csrf::Strict, list), "strict differs for {list:?}");
        }
        assert_eq!(on, passes_as(&Method::GET, true, Csrf::On, list), "a WebSocket differs for {list:?}");
        assert!(passes_as(&Method::POST, false, Csrf::Off, list));
        on
    }

    #[test]
    fn what_the_browser_says_comes_first() {
        assert!(passes(&[("sec-fetch-site", "same-origin")]));
        assert!(passes(&[("sec-fetch-site", "none")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site")]));
        assert!(!passes(&[("sec-fetch-site", "same-site")]), "a sister host may have been taken over");
    }

    #[test]
    fn a_listed_origin_may_send_from_another_site() {
        assert!(passes(&[("sec-fetch-site", "cross-site"), ("origin", FRIEND)]));
        assert!(passes(&[("sec-fetch-site", "same-site"), ("origin", FRIEND)]));
        assert!(passes(&[("origin", FRIEND)]));
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", "null")]));
        assert!(!passes(&[("sec-fetch-site", "cross-site"), ("origin", FRIEND), ("origin", FRIEND)]));
    }

    #[test]
    fn without_fetch_metadata_the_origin_decides() {
        assert!(passes(&[("origin", OWN)]));
        for origin in
            ["https://evil.test", "http://app.test", "https://app.test:8443", "https://app.test.evil.test", "null", ""]
        {
            assert!(!passes(&[("origin", origin)]), "{origin}");
        }
        assert!(!passes(&[("origin", OWN), ("origin", "https://evil.test")]));
    }

    #[test]
    fn our_own_pages_hide_their_origin_and_pass_where_the_browser_speaks_for_them() {
        // with `Referrer-Policy: no-referrer` a form sends `Origin: null` even to its own site
        assert!(passes(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
    }

    #[test]
    fn a_value_nobody_defined_is_not_a_yes() {
        assert!(!passes(&[("sec-fetch-site", "Same-Origin")]));
        assert!(!passes(&[("sec-fetch-site", "")]));
        assert!(!passes(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")]));
        assert!(!passes(&[("sec-fetch-site", "new-word"), ("origin", OWN)]));
    }

    #[test]
    fn a_program_that_says_nothing_passes_unless_the_route_is_strict() {
        assert!(passes(&[]));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert!(passes_as(&method, false, Csrf::On, &[]));
            assert!(!passes_as(&method, false, Csrf::Strict, &[]), "{method}");
        }
    }

    #[test]
    fn reading_is_safe_and_everything_else_is_not() {
        let evil = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")];
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            assert!(passes_as(&method, false, Csrf::Strict, &evil), "{method}");
        }
        for name in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"] {
            assert!(!passes_as(&Method::from_bytes(name.as_bytes()).unwrap(), false, Csrf::On, &evil), "{name}");
        }
    }

    #[test]
    fn a_host_without_pages_of_its_own_takes_listed_origins_only() {
        let headers: HeaderMap = [(ORIGIN, HeaderValue::from_static(OWN))].into_iter().collect();
        let cause = Cause { method: &Method::POST, headers: &headers, websocket: false };
        assert!(check(&cause, Csrf::On, &Friends { own: None, listed: &[] }).is_err());
    }
}
