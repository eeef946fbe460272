//! Whether a person is looking: they get pages and redirects, programs get problem documents.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderName};

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// `Sec-Fetch-Mode` says so where a browser sends it; only without it `Accept` is asked.
#[must_use]
pub fn wants_page(headers: &HeaderMap) -> bool {
    match headers.get(SEC_FETCH_MODE) {
        Some(mode) => mode.as_bytes() == b"navigate",
        None => headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(|a| a.contains("text/html")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_script_that_accepts_anything_gets_no_page() {
        assert!(wants_page(&headers(&[("accept", "text/html,*/*")])));
        assert!(wants_page(&headers(&[("sec-fetch-mode", "navigate")])));
        assert!(!wants_page(&headers(&[("sec-fetch-mode", "cors"), ("accept", "text/html")])));
        assert!(!wants_page(&headers(&[("accept", "*/*")])));
    }
}
