//! How every page looks, and where its links lead: the theme, the prefix of our endpoints, and the two assets.

use super::assets::{Asset, Assets};
use super::headers::Script;
use super::theme::Theme;
use http::{HeaderName, HeaderValue};

/// Built once for each configuration; every page borrows it.
#[derive(Clone, Debug)]
pub struct Site {
    theme: Theme,
    prefix: String,
    assets: Assets,
}

impl Site {
    /// `prefix` begins with "/" and does not end in one.
    #[must_use]
    pub fn new(theme: Theme, prefix: &str) -> Self {
        Self { assets: Assets::new(theme.colour(), prefix), prefix: prefix.to_owned(), theme }
    }

    /// What lies at `path`, as given below the prefix ("/assets/…").
    #[must_use]
    pub fn asset(&self, path: &str) -> Option<Asset> {
        self.assets.find(path)
    }

    /// Sent with every page. `form_targets` are the origins besides our own at which a form of this page may end up
    /// (see [`super::headers`]).
    #[must_use]
    pub fn headers(&self, form_targets: &[&str]) -> Vec<(HeaderName, HeaderValue)> {
        self.headers_with(form_targets, None)
    }

    /// For a page that runs the script at `script.0`. It may load and talk where it comes from and at these origins.
    #[must_use]
    pub fn headers_with_script(&self, form_targets: &[&str], script: Script<'_>) -> Vec<(HeaderName, HeaderValue)> {
        self.headers_with(form_targets, Some(script))
    }

    fn headers_with(&self, form_targets: &[&str], script: Option<Script<'_>>) -> Vec<(HeaderName, HeaderValue)> {
        let logo = self.theme.logo().and_then(|logo| logo.source.as_deref());
        super::headers::of_page(logo, form_targets, script)
    }

    /// Where signing in begins: with `provider`, or with the choice of one.
    #[must_use]
    pub fn sign_in_href(&self, provider: Option<&str>, return_to: Option<&str>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("provider", provider), ("return_to", return_to)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}/login{mark}{query}", self.prefix)
    }

    #[must_use]
    pub fn sign_out_href(&self) -> String {
        format!("{}/logout", self.prefix)
    }

    #[must_use]
    pub fn sessions_href(&self) -> String {
        format!("{}/sessions", self.prefix)
    }

    /// Ends session `id`; `others` means all but the asking one. Ids of sessions are longer words than that.
    pub(super) fn end_session_href(&self, id: &str) -> String {
        let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        format!("{}/sessions/{id}/revoke", self.prefix)
    }

    pub(super) fn below_prefix(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(super) fn title(&self) -> &str {
        self.theme.title()
    }

    pub(super) fn style_href(&self) -> &str {
        &self.assets.style_href
    }

    pub(super) fn icon_href(&self) -> &str {
        &self.assets.icon_href
    }

    pub(super) fn logo_href(&self) -> &str {
        self.theme.logo().map_or(&self.assets.icon_href, |logo| &logo.url)
    }
}
