//! What is taken off and put on a backend's response before the client sees it.

use super::managed::Managed;
use super::rewrite::{erase_from_response, may_not_pass};
use crate::domain::cookies::attach;
use crate::domain::limit::fields::{RateFields, RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::domain::policy::cors::Grant;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What is known of the request a response answers.
#[derive(Clone, Debug)]
pub struct Backward<'a> {
    /// Somebody was identified: what is for them is not for a shared cache.
    pub authenticated: bool,
    /// On routes with `cors`.
    pub grant: Option<&'a Grant>,
    /// Of ours, for the browser.
    pub cookies: &'a [HeaderValue],
    /// How the request stands with our limits.
    pub limits: Option<RateFields>,
}

/// Makes a response head what the client may see.
pub fn rewrite(head: &mut HeaderMap, managed: &Managed, backward: Backward<'_>) {
    let mut found = Found::of(head, managed);
    if found.connection {
        erase_nominated(head);
        found = Found::of(head, managed);
    }
    if found.suspect {
        erase_from_response(head, managed);
    }
    if backward.limits.is_some() {
        // What we add, and `Date` and `Connection` after us: to grow step by step costs more than all the rest in here.
        head.reserve(5 + backward.cookies.len());
    }
    if backward.authenticated && !found.cache_control {
        head.insert(&CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    if let Some(grant) = backward.grant {
        share(head, grant);
    }
    if let Some(limits) = backward.limits {
        // Beside the backend's own: both are lists, and its word is not ours to change.
        head.append(&RATE_LIMIT_POLICY, limits.policy);
        head.append(&RATE_LIMIT, limits.state);
    }
    attach(head, backward.cookies.iter().cloned());
}

/// What stands in a head, seen in one pass: looking each name up by its hash costs more, and few heads need an edit.
#[derive(Default)]
struct Found {
    connection: bool,
    cache_control: bool,
    /// Something that may have to go.
    suspect: bool,
}

impl Found {
    fn of(head: &HeaderMap, managed: &Managed) -> Self {
        let mut found = Self::default();
        for name in head.keys() {
            found.connection |= *name == CONNECTION;
            found.cache_control |= *name == CACHE_CONTROL;
            found.suspect |= *name == SET_COOKIE || may_not_pass(name, managed);
        }
        found
    }
}

/// What `Connection` says is between the backend and us only (RFC 9110 section 7.6.1).
fn erase_nominated(head: &mut HeaderMap) {
    if let Some(nominated) = head.get(CONNECTION).cloned() {
        let tokens = nominated.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        for name in tokens.filter_map(|token| HeaderName::from_bytes(token).ok()) {
            // The framing was read by these already; without them the body would have no end.
            if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
                head.remove(&name);
            }
        }
    }
}

/// The backend's own word on who may read across origins is replaced by the route's.
fn share(head: &mut HeaderMap, grant: &Grant) {
    let own = head.keys().filter(|name| name.as_str().starts_with("access-control-"));
    for name in own.cloned().collect::<Vec<_>>() {
        head.remove(&name);
    }
    for (name, value) in grant.headers() {
        if name == VARY {
            head.append(&name, value);
        } else {
            head.insert(&name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::cors::{Cors, Origins};
    use std::time::Duration;

    fn rewritten(list: &[(&'static str, &'static str)], backward: Backward<'_>) -> HeaderMap {
        let mut head = HeaderMap::new();
        for (name, value) in list {
            head.append(*name, HeaderValue::from_static(value));
        }
        rewrite(&mut head, &Managed::new([].iter()), backward);
        head
    }

    #[test]
    fn what_is_between_backend_and_gate_stays_there() {
        let list = [
            ("connection", "x-internal, keep-alive"),
            ("x-internal", "1"),
            ("keep-alive", "timeout=5"),
            ("x-kept", "1"),
        ];
        let head = rewritten(&list, Backward { authenticated: false, grant: None, cookies: &[], limits: None });
        assert_eq!(head.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-kept"]);
    }

    #[test]
    fn what_is_for_somebody_is_not_for_a_shared_cache() {
        let known = Backward { authenticated: true, grant: None, cookies: &[], limits: None };
        assert_eq!(rewritten(&[], known.clone())["cache-control"], "private");
        assert_eq!(rewritten(&[("cache-control", "max-age=5")], known)["cache-control"], "max-age=5");
        assert!(rewritten(&[], Backward { authenticated: false, grant: None, cookies: &[], limits: None }).is_empty());
    }

    #[test]
    fn the_route_not_the_backend_says_who_may_read() {
        let cors = Cors {
            origins: Origins::Listed(vec!["https://a.test".to_owned()]),
            methods: Vec::new(),
            headers: Vec::new(),
            credentials: false,
            max_age: Duration::ZERO,
        };
        let from = |origin: &'static str| {
            [("origin".parse().unwrap(), HeaderValue::from_static(origin))].into_iter().collect()
        };
        let backend =
            [("access-control-allow-origin", "*"), ("access-control-expose-headers", "x"), ("vary", "Accept")];
        let grant = cors.grant(&from("https://a.test"));
        let head =
            rewritten(&backend, Backward { authenticated: false, grant: Some(&grant), cookies: &[], limits: None });
        assert_eq!(head["access-control-allow-origin"], "https://a.test");
        assert!(!head.contains_key("access-control-expose-headers"));
        assert_eq!(head.get_all("vary").iter().collect::<Vec<_>>(), ["Accept", "Origin"]);
        let grant = cors.grant(&from("https://evil.test"));
        let head =
            rewritten(&backend, Backward { authenticated: false, grant: Some(&grant), cookies: &[], limits: None });
        assert!(!head.contains_key("access-control-allow-origin"));
    }

    #[test]
    fn our_limits_stand_beside_those_of_the_backend() {
        let limits = RateFields {
            policy: HeaderValue::from_static("\"ours\";q=5;w=1"),
            state: HeaderValue::from_static("\"ours\";r=4;t=1"),
        };
        let backward = Backward { authenticated: false, grant: None, cookies: &[], limits: Some(limits) };
        let head = rewritten(&[("ratelimit", "\"theirs\";r=1")], backward);
        assert_eq!(head.get_all("ratelimit").iter().collect::<Vec<_>>(), ["\"theirs\";r=1", "\"ours\";r=4;t=1"]);
        assert_eq!(head["ratelimit-policy"], "\"ours\";q=5;w=1");
    }
}
