//! The page a person sees instead of what they asked for.

use super::{texts, Site};
use crate::domain::denial::Code;
use askama::Template;

/// What happened, what to do about it, and what to quote when asking for help.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    pub site: &'a Site,
    pub code: Code,
    pub request_id: &'a str,
    /// A path of our own origin: where to try once more when that may help, and where to return to from signing in.
    pub retry: Option<&'a str>,
}

impl<'a> ErrorPage<'a> {
    #[must_use]
    pub fn new(site: &'a Site, code: Code, request_id: &'a str) -> Self {
        Self { site, code, request_id, retry: None }
    }

    fn heading(&self) -> &'static str {
        self.code.title()
    }

    fn advice(&self) -> &'static str {
        texts::advice(self.code.name(), self.code.status())
    }

    fn retry_href(&self) -> Option<&'a str> {
        self.retry.filter(|href| is_own_path(href))
    }

    /// A 403 or a 404 stays what it is however often it is asked for.
    fn may_pass(&self) -> bool {
        matches!(self.code.status(), 408 | 429 | 500..)
    }

    /// Whoever is not signed in is offered that instead of the same answer again.
    fn is_for_strangers(&self) -> bool {
        self.code.status() == 401
    }
}

/// A browser reads "//host" and "/\host" as another origin, and drops tabs and line ends before it looks.
fn is_own_path(href: &str) -> bool {
    let plain = href.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    plain && href.starts_with('/') && !href.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_never_leads_to_another_origin() {
        for href in
            ["//evil.example", "/\\evil.example", "/\t/evil.example", "https://evil.example", "javascript:x", ""]
        {
            assert!(!is_own_path(href), "{href:?}");
        }
        assert!(is_own_path("/app?x=1&y=%2F#z"));
    }

    #[test]
    fn every_refusal_comes_with_advice_for_people() {
        for code in Code::ALL {
            let advice = texts::advice(code.name(), code.status());
            assert!(advice.ends_with('.') && advice.len() > 15, "{code:?}");
        }
    }
}
