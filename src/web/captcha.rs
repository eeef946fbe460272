//! A CAPTCHA on a page, and the page that shows nothing else. The only pages that run a script: somebody else's, from one
//! origin, and only for whoever is challenged.

use super::{texts, Hidden, Site};
use askama::Template;

/// What its script needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captcha<'a> {
    pub script_url: &'a str,
    pub site_key: &'a str,
    /// Of the element that the script fills.
    pub class: &'a str,
}

/// Before somebody is sent to a provider.
#[derive(Clone, Debug, Template)]
#[template(path = "challenge.html")]
pub struct Challenge<'a> {
    pub site: &'a Site,
    pub provider: &'a str,
    pub csrf: Hidden<'a>,
    pub return_to: Option<&'a str>,
    pub captcha: Captcha<'a>,
}

impl Challenge<'_> {
    fn heading(&self) -> String {
        texts::sign_in_to(self.site.title())
    }

    fn action(&self) -> String {
        self.site.sign_in_href(Some(self.provider), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::{html, Theme};

    #[test]
    fn the_page_has_one_script_and_shows_what_it_was_given_as_text() {
        let captcha =
            Captcha { script_url: "https://c.example/api.js", site_key: "\"><script>alert(1)</script>", class: "c" };
        let site = Site::new(Theme::default(), "/.auth");
        let csrf = Hidden("c5rf");
        let page = html(&Challenge { site: &site, provider: "id", csrf, return_to: Some("/app"), captcha });
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(page.contains("<script src=\"https://c.example/api.js\""), "{page}");
        for part in
            ["action=\"/.auth/login?provider=id\"", "name=\"csrf\" value=\"c5rf\"", "value=\"/app\"", "<noscript>"]
        {
            assert!(page.contains(part), "no {part} in {page}");
        }
    }
}
