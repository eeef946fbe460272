//! Origins: where we are to be found from outside, and which of these places a request came to.
//!
//! Cookies, redirect URIs and return addresses all come from the public origin a request names, so that they agree
//! with each other and with what stands in the browser's address bar.

use super::headers::forwarded::Proto;
use super::request::parse_port;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use url::Url;

/// Scheme, host and port, written as browsers write them: lower case, no default port, no slash behind it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    text: Box<str>,
    proto: Scheme,
    /// Where the host stands in `text`.
    host: Range<usize>,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

/// Every origin we are reached under, the issuer first. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicOrigins {
    issuer: Origin,
    others: Vec<Origin>,
}

impl Origin {
    /// Reads `http://host[:port]` or `https://…`, with at most a slash behind it; `None` for everything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if bare && url.username().is_empty() && url.password().is_none() {
            Self::of(&url)
        } else {
            None
        }
    }

    /// The origin of a URL of the web; other schemes have none we could name.
    pub(super) fn of(url: &Url) -> Option<Self> {
        let (proto, begin) = match url.scheme() {
            "http" => (Scheme::Http, "http://".len()),
            "https" => (Scheme::Https, "https://".len()),
            _ => return None,
        };
        let text = url.origin().ascii_serialization();
        let (host, port) = split(text.get(begin..)?);
        let (host, port) = (begin..begin + host.len(), port.unwrap_or_else(|| proto.port()));
        Some(Self { text: text.into(), proto, host, port })
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn authority(&self) -> &str {
        self.text.get(self.host.start..).unwrap_or_default()
    }

    /// Whether a browser keeps `Secure` cookies for it.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.proto == Scheme::Https
    }

    /// Whether this is what an `Origin` header says. Browsers serialise origins one way only.
    pub(super) fn is(&self, header: &[u8]) -> bool {
        self.text.as_bytes() == header
    }

    /// Whether `authority` names this host and port, where no port means the one of our own scheme: TLS may end in
    /// front of us, so the scheme a request came by says little.
    fn answers_to(&self, host: &str, port: Option<u16>) -> bool {
        let own = self.text.get(self.host.clone()).unwrap_or_default();
        own.eq_ignore_ascii_case(host) && port.unwrap_or_else(|| self.proto.port()) == self.port
    }
}

impl Scheme {
    /// Where none is named.
    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl PublicOrigins {
    #[must_use]
    pub fn new(issuer: Origin, others: Vec<Origin>) -> Self {
        Self { issuer, others }
    }

    /// Reads the public URLs of a configuration; `None` when there is none, or one that is no origin.
    #[must_use]
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        let mut origins = texts.into_iter().map(Origin::parse);
        let issuer = origins.next()??;
        Some(Self { issuer, others: origins.collect::<Option<_>>()? })
    }

    /// The one that signs tokens, and where people sign in who came by a name that is not public.
    #[must_use]
    pub fn issuer(&self) -> &Origin {
        &self.issuer
    }

    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.issuer).chain(&self.others)
    }

    /// The public origin that a request for `authority` (`host[:port]`, as sent) came to; `None` when it names none.
    /// The scheme decides only between two that differ in nothing else.
    #[must_use]
    pub fn named(&self, authority: &str, proto: Proto) -> Option<&Origin> {
        // As browsers write the only one there is: every request asks, and there is nothing to take apart.
        if self.others.is_empty() && self.issuer.authority() == authority {
            return Some(&self.issuer);
        }
        let (host, port) = split(authority);
        let same_scheme = |origin: &&Origin| origin.is_https() == (proto == Proto::Https);
        let mut fitting = self.iter().filter(|origin| origin.answers_to(host, port));
        let first = fitting.next()?;
        Some(std::iter::once(first).chain(fitting).find(same_scheme).unwrap_or(first))
    }

    /// The origin that the pages of a request's host have. A host that is not public (one that `cookie.domain` covers)
    /// is taken to be reached by the issuer's scheme. `None`: nobody's pages can come from there.
    #[must_use]
    pub fn own(&self, authority: &str, proto: Proto) -> Option<Cow<'_, Origin>> {
        if let Some(origin) = self.named(authority, proto) {
            return Some(Cow::Borrowed(origin));
        }
        let scheme = if self.issuer.is_https() { "https" } else { "http" };
        Origin::parse(&format!("{scheme}://{authority}")).map(Cow::Owned)
    }
}

/// Whether a browser would keep a cookie for `domain`, in lower case, that came from `authority` (`host[:port]`, as sent).
#[must_use]
pub fn is_within(authority: &str, domain: &str) -> bool {
    let host = split(authority).0.to_ascii_lowercase();
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Host without its trailing dot, and port. An IPv6 literal keeps its brackets.
fn split(authority: &str) -> (&str, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, digits)) if parse_port(digits.as_bytes()).is_some() => (host, parse_port(digits.as_bytes())),
        Some(_) | None => (authority, None),
    };
    (host.strip_suffix('.').unwrap_or(host), port)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(list: &[&'static str]) -> PublicOrigins {
        PublicOrigins::parse(list.iter().copied()).unwrap()
    }

    fn named(list: &[&'static str], authority: &str, proto: Proto) -> Option<String> {
        origins(list).named(authority, proto).map(ToString::to_string)
    }

    #[test]
    fn a_domain_holds_itself_and_the_hosts_below_it() {
        for authority in ["app.test", "a.app.test:8443", "A.App.Test.", "a.b.app.test"] {
            assert!(is_within(authority, "app.test"), "{authority}");
        }
        for authority in ["other.test", "notapp.test", "test", "app.test.evil.test", "[::1]:80", ""] {
            assert!(!is_within(authority, "app.test"), "{authority}");
        }
    }

    #[test]
    fn a_request_belongs_to_the_origin_whose_host_it_names() {
        let list = ["https://app.test", "https://other.test", "http://localhost:8080"];
        for (authority, expected) in [
            ("app.test", Some("https://app.test")),
            ("APP.test.", Some("https://app.test")),
            ("app.test:443", Some("https://app.test")),
            ("other.test", Some("https://other.test")),
            ("localhost:8080", Some("http://localhost:8080")),
            ("localhost", None),
            ("app.test:8443", None),
            ("app.test.evil.test", None),
            ("", None),
        ] {
            assert_eq!(named(&list, authority, Proto::Https).as_deref(), expected, "{authority}");
        }
    }

    #[test]
    fn a_load_balancer_that_ends_tls_does_not_change_where_we_are() {
        assert_eq!(named(&["https://app.test"], "app.test", Proto::Http).as_deref(), Some("https://app.test"));
    }

    #[test]
    fn the_scheme_tells_two_origins_of_one_host_apart() {
        let list = ["https://app.test", "http://app.test"];
        assert_eq!(named(&list, "app.test", Proto::Http).as_deref(), Some("http://app.test"));
        assert_eq!(named(&list, "app.test", Proto::Https).as_deref(), Some("https://app.test"));
    }

    #[test]
    fn an_ipv6_literal_is_a_host_like_any_other() {
        assert_eq!(named(&["http://[::1]:8080"], "[::1]:8080", Proto::Http).as_deref(), Some("http://[::1]:8080"));
        assert_eq!(named(&["http://[::1]"], "[::1]", Proto::Http).as_deref(), Some("http://[::1]"));
    }

    #[test]
    fn the_first_is_the_issuer_and_a_list_of_none_is_no_list() {
        assert_eq!(origins(&["https://a.test", "https://b.test"]).issuer().as_str(), "https://a.test");
        assert_eq!(PublicOrigins::parse([]), None);
        assert_eq!(PublicOrigins::parse(["https://a.test", "nonsense"]), None);
    }

    #[test]
    fn what_is_more_than_an_origin_is_none() {
        for text in ["https://a.test/x", "https://u@a.test", "https://a.test/?q", "https://a.test/#f", "ftp://a.test"] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
        assert_eq!(Origin::parse("HTTPS://A.test:443/").unwrap().as_str(), "https://a.test");
    }

    #[test]
    fn pages_of_a_host_nobody_listed_have_the_scheme_of_the_issuer() {
        let origins = origins(&["https://app.test"]);
        assert_eq!(origins.own("api.test", Proto::Http).unwrap().as_str(), "https://api.test");
        assert!(origins.own("a b", Proto::Http).is_none());
    }
}
