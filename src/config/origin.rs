//! URLs as they stand in the file: an origin, or an origin with a path, and nothing that could mean two things.

use std::fmt;
use std::net::IpAddr;

/// Scheme, host and port. Its `Display` is serialised as browsers do it: lower case, no default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) scheme: String,
    /// Lower case; an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// Reads `scheme://host[:port]`, with at most a single slash behind it.
    pub(crate) fn parse(text: &str, schemes: &[&str]) -> Result<Self, String> {
        let (origin, rest) = Self::split(text, schemes)?;
        if rest.is_empty() || rest == "/" {
            return Ok(origin);
        }
        Err(format!("{} goes on after the host; write {origin} alone", shown(text)))
    }

    /// Reads a URL: its origin, and the path behind it.
    pub(crate) fn split<'t>(text: &'t str, schemes: &[&str]) -> Result<(Self, &'t str), String> {
        let expected = || schemes.iter().map(|s| format!("{s}://")).collect::<Vec<_>>().join(" or ");
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| format!("{} is no URL; it begins with {}", shown(text), expected()))?;
        let scheme = scheme.to_ascii_lowercase();
        if !schemes.contains(&scheme.as_str()) {
            return Err(format!("{} must begin with {}", shown(text), expected()));
        }
        if rest.contains(['?', '#']) {
            return Err(format!("{} has a query or a fragment, which nobody would see", shown(text)));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a URL with a user or password in it is not taken".to_owned());
        }
        if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(format!("{} holds a character that no URL may", shown(text)));
        }
        let (host, port) =
            authority_parts(authority).ok_or_else(|| format!("{} has no host we could reach", shown(text)))?;
        let port = port.unwrap_or_else(|| default_port(&scheme));
        Ok((Self { scheme, host, port }, path))
    }

    /// Whether nothing sent here leaves the machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let name = self.host.strip_suffix('.').unwrap_or(&self.host);
        name == "localhost"
            || name.ends_with(".localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{close}", self.scheme, self.host)?;
        if self.port == default_port(&self.scheme) {
            Ok(())
        } else {
            write!(f, ":{}", self.port)
        }
    }
}

/// Host and port of `host[:port]`; the host is a name or an address, lower case, an IPv6 address without brackets.
pub(crate) fn authority_parts(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:".contains(&b));
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    plain.then(|| (host.to_ascii_lowercase(), port))
}

fn default_port(scheme: &str) -> u16 {
    if scheme == "https" {
        443
    } else {
        80
    }
}

fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(80).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_the_way_browsers_write_it() {
        for (typed, written) in [
            ("HTTPS://App.Example.com:443/", "https://app.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(Origin::parse(typed, &["http", "https"]).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_could_mean_two_things_is_no_origin() {
        for typed in [
            "app",
            "app.example.com",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://a b",
            "http://::1",
            "http://[::1",
            "http://a\\b",
        ] {
            assert!(Origin::parse(typed, &["http", "https"]).is_err(), "{typed}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        for (typed, expected) in [
            ("http://localhost", true),
            ("http://a.localhost:1", true),
            ("http://127.0.0.9", true),
            ("http://[::1]", true),
        ]
        .into_iter()
        .chain([
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1.example.com", false),
        ]) {
            assert_eq!(Origin::parse(typed, &["http"]).unwrap().is_loopback(), expected, "{typed}");
        }
    }
}
