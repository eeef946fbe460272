//! `User-Agent`, reduced to what stays the same when a browser is updated: whose it is, what it runs on, and whether
//! that fits into a pocket.
//!
//! Client hints would say it more plainly, but one family of browsers sends them, and only over TLS: the same browser
//! would be two.

use std::fmt;

/// Bytes we look at. Honest ones have half of that.
const LONGEST: usize = 512;
/// The longest name of a program, bytes.
const LONGEST_NAME: usize = 32;

/// Every browser claims to be all that came before it, so the newest claim is looked for first.
const FAMILIES: [(&[u8], &str); 20] = [
    (b"Edg/", "Edge"),
    (b"EdgA/", "Edge"),
    (b"EdgiOS/", "Edge"),
    (b"Edge/", "Edge"),
    (b"OPR/", "Opera"),
    (b"OPT/", "Opera"),
    (b"SamsungBrowser/", "Samsung Internet"),
    (b"Vivaldi/", "Vivaldi"),
    (b"YaBrowser/", "Yandex Browser"),
    (b"DuckDuckGo/", "DuckDuckGo"),
    (b"FxiOS/", "Firefox"),
    (b"Firefox/", "Firefox"),
    (b"HeadlessChrome/", "Headless Chrome"),
    (b"CriOS/", "Chrome"),
    (b"Chromium/", "Chrome"),
    (b"Chrome/", "Chrome"),
    (b"Safari/", "Safari"),
    (b"AppleWebKit/", "WebKit"),
    (b"Trident/", "Internet Explorer"),
    (b"MSIE ", "Internet Explorer"),
];

/// Android calls itself Linux, and an iPhone says it is like Mac OS X.
const PLATFORMS: [(&[u8], &str); 12] = [
    (b"Android", "Android"),
    (b"iPhone", "iOS"),
    (b"iPad", "iOS"),
    (b"iPod", "iOS"),
    (b"Windows", "Windows"),
    (b"CrOS", "ChromeOS"),
    (b"Macintosh", "macOS"),
    (b"Mac OS X", "macOS"),
    (b"Darwin", "macOS"),
    (b"Linux", "Linux"),
    (b"X11", "Unix"),
    (b"BSD", "BSD"),
];

/// A browser, or a program that is none. Its `Display` is for people: "Firefox on Linux".
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Agent {
    /// Letters, digits and a few marks only: safe to show, log and store.
    family: String,
    platform: Option<&'static str>,
    mobile: bool,
}

impl Agent {
    /// `None`: nothing was said.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        if text.is_empty() {
            return None;
        }
        let text = text.get(..LONGEST).unwrap_or(text);
        let known = first_of(&FAMILIES, text).map(str::to_owned);
        Some(Self {
            family: known.unwrap_or_else(|| product(text)),
            platform: first_of(&PLATFORMS, text),
            mobile: contains(text, b"Mobi"),
        })
    }

    /// One spelling of it, to be hashed.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let mobile = if self.mobile { "mobile" } else { "" };
        [&self.family, self.platform.unwrap_or_default(), mobile].join("\0").into_bytes()
    }
}

/// `curl/8.5.0` is curl, whatever its version.
fn product(text: &[u8]) -> String {
    let name = text.split(|byte| matches!(byte, b'/' | b'(' | b' ' | b'\t')).next().unwrap_or_default();
    let name = name.iter().filter(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)).take(LONGEST_NAME);
    let name: String = name.map(|byte| char::from(*byte)).collect();
    if name.is_empty() || name == "Mozilla" {
        "Browser".to_owned()
    } else {
        name
    }
}

fn first_of(list: &[(&[u8], &'static str)], text: &[u8]) -> Option<&'static str> {
    list.iter().find(|(mark, _)| contains(text, mark)).map(|(_, name)| *name)
}

fn contains(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|window| window == mark)
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.family)?;
        self.platform.map_or(Ok(()), |platform| write!(f, " on {platform}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        Agent::read(text.as_bytes()).unwrap().to_string()
    }

    #[test]
    fn a_browser_is_known_by_its_own_name_not_by_those_it_claims() {
        for (text, expected) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1",
                "Chrome on iOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
                "Chrome on ChromeOS",
            ),
            ("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", "Internet Explorer on Windows"),
            ("curl/8.5.0", "curl"),
            ("python-requests/2.32", "python-requests"),
            ("Mozilla/5.0", "Browser"),
            ("<script>alert(1)</script>", "scriptalert"),
            ("()", "Browser"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn an_update_does_not_make_another_browser() {
        let version =
            |number: u32| format!("Mozilla/5.0 (X11; Linux x86_64; rv:{number}.0) Gecko/20100101 Firefox/{number}.0");
        assert_eq!(Agent::read(version(128).as_bytes()), Agent::read(version(140).as_bytes()));
        assert_eq!(Agent::read(b"curl/7.88.1"), Agent::read(b"curl/8.5.0"));
    }

    #[test]
    fn a_phone_and_a_tablet_of_one_maker_are_two_devices() {
        let phone = Agent::read(b"Mozilla/5.0 (Linux; Android 14) Chrome/140.0 Mobile Safari/537.36");
        let tablet = Agent::read(b"Mozilla/5.0 (Linux; Android 14) Chrome/140.0 Safari/537.36");
        assert_ne!(phone, tablet);
    }

    #[test]
    fn a_hostile_agent_costs_little_and_shows_nothing_of_itself() {
        let huge = [b"<>\"'&;\xFF\0".repeat(10_000), b"Firefox/1".to_vec()].concat();
        assert_eq!(Agent::read(&huge).unwrap().to_string(), "Browser");
        assert_eq!(shown(&"x".repeat(100_000)).len(), LONGEST_NAME);
    }

    #[test]
    fn nothing_said_is_no_agent() {
        assert_eq!(Agent::read(b""), None);
        assert_eq!(Agent::read(b"  \t"), None);
    }
}
