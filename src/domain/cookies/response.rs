//! What a response becomes that carries our cookies.

use http::header::{AGE, CACHE_CONTROL, EXPIRES, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Puts `cookies` on a response and keeps it out of every cache: a cache that stored the answer would hand one
/// person's session to the next who asks. Without cookies nothing changes.
pub fn attach(headers: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    let mut any = false;
    for cookie in cookies {
        headers.append(SET_COOKIE, cookie);
        any = true;
    }
    if any {
        forbid_storing(headers);
    }
}

fn forbid_storing(headers: &mut HeaderMap) {
    let doomed: Vec<HeaderName> = headers.keys().filter(|name| speaks_to_caches(name)).cloned().collect();
    for name in doomed {
        headers.remove(name);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// A CDN obeys its own field before `Cache-Control` (RFC 9213); each vendor may have one.
fn speaks_to_caches(name: &HeaderName) -> bool {
    *name == EXPIRES || *name == AGE || name == "surrogate-control" || name.as_str().ends_with("cdn-cache-control")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached() -> HeaderMap {
        let fields = [
            ("cache-control", "public, max-age=600"),
            ("cdn-cache-control", "max-age=600"),
            ("cloudflare-cdn-cache-control", "max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ("age", "5"),
            ("etag", "\"x\""),
            ("set-cookie", "theirs=1"),
        ];
        fields
            .into_iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn no_cache_keeps_an_answer_with_our_cookies() {
        let mut headers = cached();
        attach(&mut headers, [HeaderValue::from_static("__Host-doorward=x")]);
        assert_eq!(headers["cache-control"], "no-store");
        for gone in ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control", "expires", "age"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        assert!(headers.contains_key("etag"));
        assert_eq!(headers.get_all(SET_COOKIE).iter().collect::<Vec<_>>(), ["theirs=1", "__Host-doorward=x"]);
    }

    #[test]
    fn an_answer_without_them_is_left_as_it_is() {
        let mut headers = cached();
        attach(&mut headers, []);
        assert_eq!(headers, cached());
    }
}
