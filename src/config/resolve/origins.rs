//! Origins: our own, and those of others that may do something with our cookies.

use crate::config::include::Findings;
use crate::config::origin::Origin;
use crate::config::raw::server as raw;
use crate::config::raw::shape::{Field, List};
use crate::config::raw::File;
use crate::config::settings::is_within;
use crate::domain::policy::pattern::HostPattern;

/// Where people find us, and which hosts our cookies reach.
#[derive(Debug)]
pub(super) struct Reach {
    /// `None` where the file says it wrongly: what depends on it is not looked at then.
    pub(super) origins: Option<Vec<Origin>>,
    pub(super) cookie_domain: Option<String>,
}

impl Reach {
    /// From the file as typed: another mistake in these tables hides none of what depends on this.
    pub(super) fn of(file: &File) -> Self {
        let urls = file.server.value.as_ref().and_then(|server| server.public_url.value.as_ref());
        let read = |field: &Field<String>| Origin::parse(field.value.as_deref()?, &["http", "https"]).ok();
        let cookie = file.session.value.as_ref().and_then(|session| session.cookie.value.as_ref());
        let domain = cookie.and_then(|cookie| cookie.domain.value.as_deref()).filter(|domain| !domain.is_empty());
        Self {
            origins: urls.and_then(|list| list.0.iter().map(read).collect()),
            cookie_domain: domain.map(plain_domain),
        }
    }

    /// Whether a browser that signed in can bring its cookie to some host of `pattern`. One public host below a
    /// wildcard is enough: a navigation to the others is sent to sign in there, and comes back.
    pub(super) fn covers(&self, pattern: &HostPattern) -> bool {
        let Some(origins) = &self.origins else { return true };
        let shared = |host: &str| self.cookie_domain.as_deref().is_some_and(|domain| is_within(host, domain));
        match pattern {
            HostPattern::Any => true,
            HostPattern::Exact(name) => {
                let name = name.trim_matches(['[', ']']);
                shared(name) || origins.iter().any(|origin| bare(&origin.host) == name)
            }
            HostPattern::Under(suffix) => {
                shared(suffix.trim_start_matches('.'))
                    || origins.iter().any(|origin| bare(&origin.host).ends_with(suffix))
            }
        }
    }
}

/// A domain as it is compared: lower case, no dot at either end.
pub(super) fn plain_domain(typed: &str) -> String {
    bare(typed.trim_start_matches('.')).to_ascii_lowercase()
}

/// Hosts are compared without a trailing dot.
pub(super) fn bare(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// The origins of `server.public_url`, as browsers write them.
pub(super) fn public_urls(raw: &raw::Server, findings: &mut Findings) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let Some(list) = &raw.public_url.value else { return found };
    if list.0.is_empty() {
        findings.mistake(&raw.public_url.place, "is empty; write the origin people type");
    }
    for field in &list.0 {
        let Some(text) = &field.value else { continue };
        match Origin::parse(text, &["http", "https"]).map(|origin| origin.to_string()) {
            Err(why) => findings.mistake(&field.place, why),
            Ok(origin) if found.contains(&origin) => findings.mistake(&field.place, "stands in the list already"),
            Ok(origin) => found.push(origin),
        }
    }
    found
}

/// Cookies over plain http are anybody's who is on the way.
pub(super) fn warn_of_clear_text(raw: &raw::Server, findings: &mut Findings) {
    for field in raw.public_url.value.iter().flat_map(|list| &list.0) {
        let Some(Ok(origin)) = field.value.as_deref().map(|text| Origin::parse(text, &["http"])) else { continue };
        if !origin.is_loopback() {
            let text =
                "people sign in over plain http: their cookies carry neither Secure nor __Host-, and whoever is \
                        on the way has them; write https://";
            findings.warning(&field.place, text);
        }
    }
}

/// Origins of others, exactly as browsers send them.
pub(super) fn listed(list: &Field<List<String>>, findings: &mut Findings) -> Vec<String> {
    let mut found = Vec::new();
    for field in list.value.iter().flatten() {
        let Some(text) = field.value.as_deref() else { continue };
        match Origin::parse(text, &["http", "https"]).map(|origin| origin.to_string()) {
            Err(_) if text == "*" => {
                findings.mistake(&field.place, "any site could act for its visitors; list the origins")
            }
            Err(why) => findings.mistake(&field.place, why),
            Ok(written) if written != text => {
                findings.mistake(&field.place, format!("browsers write this origin as {written:?}"));
            }
            Ok(written) => found.push(written),
        }
    }
    found
}
