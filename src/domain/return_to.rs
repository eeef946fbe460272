//! `return_to`: where a browser goes after signing in.
//!
//! Whoever can choose that freely has an open redirect under our name, at the very moment people trust it most. The
//! text is read exactly as a browser will read it, and what is sent back is the result of that reading, not the text.

use super::denial::{Code, Denial};
use super::origins::Origin;
use super::request::{canonicalise, RawHead};
use http::{HeaderMap, Method, Version};
use url::Url;

/// Bytes, before and after reading. It travels in a sealed cookie, which has to fit.
const LONGEST: usize = 2048;

/// Where a sign-in at one public origin may end.
#[derive(Clone, Copy, Debug)]
pub struct Destinations<'a> {
    /// The public origin the sign-in happens at.
    pub own: &'a Origin,
    /// `return_to_origins`.
    pub listed: &'a [Origin],
    /// Our own endpoints: to return to `/logout` would undo the sign-in, to return to `/login` would begin it anew.
    pub prefix: &'a str,
}

impl Destinations<'_> {
    /// The absolute URL to redirect to for `text`, a `return_to` as somebody sent it.
    ///
    /// # Errors
    /// `bad_return_to` for everything that leads elsewhere, or that two readers could follow to different places.
    pub fn check(&self, text: &str) -> Result<String, Denial> {
        let url = self.read(text)?;
        let origin = Origin::of(&url).ok_or_else(|| refused("it is no address of the web"))?;
        if origin != *self.own && !self.listed.contains(&origin) {
            return Err(refused("it leads to an origin that is neither our own nor listed"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refused("it carries a user or a password"));
        }
        self.check_path(&url)?;
        let url = String::from(url);
        if url.len() > LONGEST {
            return Err(refused("it grows beyond 2 KiB when it is escaped"));
        }
        Ok(url)
    }

    /// Reads by the rules of the WHATWG, against the root of our origin.
    fn read(&self, text: &str) -> Result<Url, Denial> {
        if text.len() > LONGEST {
            return Err(refused("it is longer than 2 KiB"));
        }
        // Browsers drop tabs and line ends and turn backslashes into slashes: "/\t/evil" and "/\evil" leave the site.
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(refused("it holds a control character or a backslash"));
        }
        if is_ambiguous(text) {
            return Err(refused("it has a scheme without \"//\""));
        }
        let base = Url::parse(self.own.as_str()).map_err(|_| refused("our own origin is unreadable"))?;
        base.join(text).map_err(|_| refused("it is no URL"))
    }

    /// The path as it will be read when the browser comes back with it: what our own reading would refuse is no place
    /// to return to, and an escape or an empty segment must not hide our endpoints.
    fn check_path(&self, url: &Url) -> Result<(), Denial> {
        let headers = HeaderMap::new();
        let head = RawHead {
            version: Version::HTTP_2,
            method: &Method::GET,
            target: url.path().as_bytes(),
            authority: Some("return-to"),
            headers: &headers,
            wire: None,
        };
        let canonical = canonicalise(&head).map_err(|_| refused("its path can be read in more than one way"))?;
        match canonical.path.strip_prefix(self.prefix) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Err(refused("it leads to our own endpoints")),
            Some(_) | None => Ok(()),
        }
    }
}

/// `https:evil` is a path to a browser that is on `https`, and a host to others.
fn is_ambiguous(text: &str) -> bool {
    let scheme_end = text.find([':', '/', '?', '#']).and_then(|at| text.get(at..));
    scheme_end.is_some_and(|rest| rest.starts_with(':') && !rest.starts_with("://"))
}

fn refused(detail: &'static str) -> Denial {
    Denial::new(Code::BadReturnTo, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, Denial> {
        let own = Origin::parse("https://app.test").unwrap();
        let listed = [Origin::parse("https://friend.test:8443").unwrap()];
        Destinations { own: &own, listed: &listed, prefix: "/.auth" }.check(text)
    }

    #[test]
    fn what_stays_on_our_origin_is_returned_as_a_whole_address() {
        for (text, expected) in [
            ("", "https://app.test/"),
            ("/", "https://app.test/"),
            ("/a/b?c=d&e=//x#f", "https://app.test/a/b?c=d&e=//x#f"),
            ("a", "https://app.test/a"),
            ("?q=1", "https://app.test/?q=1"),
            ("/a/../b/./c", "https://app.test/b/c"),
            ("/suche/für", "https://app.test/suche/f%C3%BCr"),
            ("/a?x=https://evil.test", "https://app.test/a?x=https://evil.test"),
            ("/time/12:30", "https://app.test/time/12:30"),
            ("/.authors", "https://app.test/.authors"),
            ("/x/.auth/logout", "https://app.test/x/.auth/logout"),
            ("https://app.test/a", "https://app.test/a"),
            ("HTTPS://APP.TEST:443/a", "https://app.test/a"),
            ("//app.test/a", "https://app.test/a"),
            ("https://friend.test:8443/a", "https://friend.test:8443/a"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn nothing_leads_to_another_site() {
        for text in [
            "//evil.test",
            "//evil.test/%2f..",
            "///evil.test",
            "////evil.test",
            "/\\evil.test",
            "\\\\evil.test",
            "\\/evil.test",
            "/\t/evil.test",
            "/\n/evil.test",
            "\t//evil.test",
            " //evil.test",
            "\u{85}//evil.test",
            "/\0/evil.test",
            "https:evil.test",
            "https:/evil.test",
            "https:///evil.test",
            "http:evil.test",
            "http://app.test/",
            "https://evil.test",
            "https://app.test.evil.test",
            "https://app.test@evil.test",
            "https://app.test:pw@evil.test",
            "https://app.test%2eevil.test",
            "https://app.test%00.evil.test",
            "https://app.test:8443",
            "https://friend.test",
            "https://[::1]",
            "https://аpp.test",
            "https://app。test.evil.test",
            "//evil\u{3002}test",
            "ftp://app.test/",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "javascript://app.test/%0aalert(1)",
            "data:text/html,x",
            "blob:https://app.test/x",
            "mailto:a@app.test",
            "file:///etc/passwd",
            "https://",
            "https://app.test:99999/",
        ] {
            assert_eq!(check(text).map_err(|denial| denial.code), Err(Code::BadReturnTo), "{text:?}");
        }
    }

    #[test]
    fn escapes_of_a_foreign_address_are_only_a_path_of_ours() {
        for text in ["/%2fevil.test", "/%5cevil.test", "/%09/evil.test", "%2f%2fevil.test"] {
            if let Ok(url) = check(text) {
                assert!(url.starts_with("https://app.test/"), "{text} became {url}");
            }
        }
    }

    #[test]
    fn a_user_or_password_is_not_carried_along() {
        for text in ["https://user@app.test/", "https://user:pw@app.test/", "https://:pw@app.test/"] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn our_own_endpoints_are_no_place_to_return_to() {
        for text in [
            "/.auth",
            "/.auth/",
            "/.auth/logout",
            "/.auth?x",
            "/.auth#x",
            ".auth/logout",
            "./.auth/logout",
            "/x/../.auth/logout",
            "/x/%2e%2e/.auth/logout",
            "/%2Eauth/logout",
            "/.%61uth/logout",
            "/..//.auth/logout",
            "/.//.auth/logout",
            "https://app.test/.auth/logout",
            "https://app.test//.auth/logout",
            "https://friend.test:8443/.auth/logout",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_length_is_bounded_before_and_after_escaping() {
        assert!(check(&format!("/{}", "a".repeat(2000))).is_ok());
        assert!(check(&format!("/{}", "a".repeat(2048))).is_err());
        assert!(check(&format!("/{}", "ü".repeat(1000))).is_err(), "six bytes for each of them");
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_accepted_is_read_the_same_again(text in "[/\\\\a-z.:@?#% \t]{0,24}|//?[a-z./%2e:@]{0,24}|https?:/{0,3}[a-z.@:/]{0,20}") {
            if let Ok(url) = check(&text) {
                proptest::prop_assert!(url.starts_with("https://app.test/") || url.starts_with("https://friend.test:8443/"), "{}", url);
                let again = check(&url);
                proptest::prop_assert_eq!(again, Ok(url));
            }
        }
    }
}
