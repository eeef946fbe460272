//! `[session]`, `[tokens]` and `[keys]`: spans of time that must fit into one another.

use super::origins::{bare, plain_domain, warn_of_clear_text, Reach};
use super::server::above_zero;
use crate::config::include::Findings;
use crate::config::mistakes::Place;
use crate::config::origin::authority_parts;
use crate::config::raw::session as raw;
use crate::config::raw::shape::Field;
use crate::config::raw::File;
use crate::config::settings::{
    is_within, Delivery, KeySettings, Mode, Nesting, Renewal, SameSite, SessionSettings, TokenSettings,
};
use std::net::IpAddr;
use std::time::Duration;

const WARN_BEFORE: Duration = Duration::from_secs(5 * 60);
const COOKIE_GRACE: Duration = Duration::from_secs(30);

pub(super) fn session(file: &File, findings: &mut Findings) -> Option<SessionSettings> {
    let raw = file.session.value.as_ref()?;
    for span in [&raw.idle_timeout, &raw.absolute_timeout] {
        above_zero(span, findings);
    }
    if raw.max_per_user.value == Some(0) {
        findings.mistake(&raw.max_per_user.place, "lets nobody sign in; write 1 or more");
    }
    if let (Some(idle), Some(absolute)) = (raw.idle_timeout.value, raw.absolute_timeout.value) {
        if raw.idle_timeout.is_given() && idle > absolute {
            findings
                .warning(&raw.idle_timeout.place, "is longer than absolute_timeout, which ends every session before");
        }
    }
    let warn_before = warn_before(raw, findings);
    let delivery = delivery(raw, findings);
    let cookie = raw.cookie.value.as_ref();
    let cookie_domain = cookie.and_then(|cookie| cookie_domain(&cookie.domain, findings));
    Some(SessionSettings {
        mode: raw.mode.value?,
        delivery: delivery?,
        renewal: renewal(raw, findings)?,
        max_per_user: raw.max_per_user.value?,
        on_limit: raw.on_limit.value?,
        idle_timeout: raw.idle_timeout.value?,
        absolute_timeout: raw.absolute_timeout.value?,
        warn_before: warn_before?,
        same_site: cookie?.same_site.value?,
        cookie_domain: cookie_domain?,
    })
}

fn warn_before(raw: &raw::Session, findings: &mut Findings) -> Option<Duration> {
    let idle = raw.idle_timeout.value?;
    if !raw.warn_before.is_given() {
        // five minutes of the thirty that are the default
        return Some(WARN_BEFORE.min(idle / 6));
    }
    let span = raw.warn_before.value?;
    if span >= idle {
        let text = format!("is not shorter than idle_timeout ({}): the warning would never end", shown(idle));
        findings.mistake(&raw.warn_before.place, text);
    }
    Some(span)
}

fn delivery(raw: &raw::Session, findings: &mut Findings) -> Option<Delivery> {
    let delivery = raw.delivery.value?;
    if raw.mode.value == Some(Mode::Opaque) && delivery != Delivery::Cookie {
        let text = "mode \"opaque\" has no token to deliver but its cookie; write \"cookie\", or mode = \"jwt\"";
        findings.mistake(&raw.delivery.place, text);
    }
    Some(delivery)
}

fn renewal(raw: &raw::Session, findings: &mut Findings) -> Option<Renewal> {
    let renewal = raw.renewal.value?;
    if renewal == Renewal::Transparent && raw.delivery.value != Some(Delivery::Cookie) {
        if raw.renewal.is_given() {
            let text = "reads as \"endpoint\": only with delivery = \"cookie\" can a request renew what it carries";
            findings.warning(&raw.renewal.place, text);
        }
        return Some(Renewal::Endpoint);
    }
    Some(renewal)
}

fn cookie_domain(field: &Field<String>, findings: &mut Findings) -> Option<Option<String>> {
    let text = field.value.as_deref()?;
    if text.is_empty() {
        return Some(None);
    }
    let name = plain_domain(text);
    let plain = matches!(authority_parts(&name), Some((_, None))) && name.parse::<IpAddr>().is_err();
    // a domain of one label is a whole country's, or nobody's: browsers refuse it
    if !plain || !name.contains('.') || name.contains("..") || name.contains('_') {
        findings.mistake(&field.place, "is no domain that hosts could share; write one like \"example.com\"");
    } else if name != text {
        findings.mistake(&field.place, format!("write {name:?}: it is for the hosts below it as well"));
    }
    Some(Some(name))
}

/// What is looked at only where people sign in: a file for bearer tokens alone has no cookies, and no tokens of ours.
pub(super) fn cookies_and_origins(file: &File, reach: &Reach, findings: &mut Findings) {
    if let Some(server) = &file.server.value {
        warn_of_clear_text(server, findings);
    }
    let (Some(origins), Some(session)) = (&reach.origins, &file.session.value) else { return };
    if let Some(cookie) = &session.cookie.value {
        let domain = reach.cookie_domain.as_deref();
        if domain.is_some_and(|domain| !origins.iter().any(|origin| is_within(bare(&origin.host), domain))) {
            let text = "holds no public_url, so every browser would drop the cookie";
            findings.mistake(&cookie.domain.place, text);
        }
        if cookie.same_site.value == Some(SameSite::None) && origins.iter().any(|origin| origin.scheme == "http") {
            let text = "\"none\" needs https: browsers drop such a cookie without Secure; mend server.public_url";
            findings.mistake(&cookie.same_site.place, text);
        }
    }
    let ours = origins.first().map(ToString::to_string);
    for raw in file.issuer.value.iter().flatten().filter_map(|field| field.value.as_ref()) {
        if ours.is_some() && raw.issuer.value == ours {
            findings.mistake(&raw.issuer.place, "is the first public_url, the issuer of the gate's own tokens");
        }
    }
}

pub(super) fn tokens(
    file: &File,
    session: Option<&SessionSettings>,
    reach: &Reach,
    findings: &mut Findings,
) -> Option<TokenSettings> {
    let raw = file.tokens.value.as_ref()?;
    for span in [&raw.access_ttl, &raw.refresh_ttl] {
        above_zero(span, findings);
    }
    if let Some(session) = session {
        access_within_idle(file, raw, session, findings);
        refresh_within_session(raw, session, findings);
    }
    let audience = audience(raw, reach, findings);
    let grace = raw.reuse_grace.value;
    if raw.reuse_grace.is_given() && grace.is_none() {
        return None;
    }
    let nesting = raw.nesting.value?;
    if nesting == Nesting::JwsOfJwe && session.is_some_and(|session| session.mode == Mode::Opaque) {
        findings.warning(&raw.nesting.place, "says nothing: with mode = \"opaque\" there is no token to wrap");
    }
    Some(TokenSettings {
        audience: audience?,
        access_ttl: raw.access_ttl.value?,
        refresh_ttl: raw.refresh_ttl.value?,
        rotation: raw.rotation.value?,
        reuse_grace: grace.unwrap_or(match session?.delivery {
            Delivery::Cookie | Delivery::Memory => COOKIE_GRACE,
            Delivery::Body => Duration::ZERO,
        }),
        token_endpoint_grace: grace.unwrap_or_default(),
        nesting,
        session_claim: raw.session_claim.value?,
    })
}

/// A live access token needs no store, so a session could not end by neglect before its token does.
fn access_within_idle(file: &File, raw: &raw::Tokens, session: &SessionSettings, findings: &mut Findings) {
    let Some(access) = raw.access_ttl.value.filter(|access| *access > session.idle_timeout) else { return };
    let idle = file.session.value.as_ref().map(|session| &session.idle_timeout);
    let written = idle.filter(|idle| idle.is_given() && !raw.access_ttl.is_given());
    let place: &Place = written.map_or(&raw.access_ttl.place, |idle| &idle.place);
    let text = format!(
        "tokens.access_ttl ({}) is longer than session.idle_timeout ({}): write an access_ttl of {1} or less",
        shown(access),
        shown(session.idle_timeout),
    );
    findings.mistake(place, text);
}

fn refresh_within_session(raw: &raw::Tokens, session: &SessionSettings, findings: &mut Findings) {
    let Some(refresh) = raw.refresh_ttl.value.filter(|_| raw.refresh_ttl.is_given()) else { return };
    if refresh > session.absolute_timeout {
        let text = format!(
            "is longer than session.absolute_timeout ({}), which ends renewal before",
            shown(session.absolute_timeout)
        );
        findings.warning(&raw.refresh_ttl.place, text);
    } else if raw.access_ttl.value.is_some_and(|access| refresh < access) {
        findings.warning(&raw.refresh_ttl.place, "ends before the first access token does: nothing is ever renewed");
    }
}

fn audience(raw: &raw::Tokens, reach: &Reach, findings: &mut Findings) -> Option<Vec<String>> {
    if !raw.audience.is_given() {
        return Some(reach.origins.as_ref()?.first().map(ToString::to_string).into_iter().collect());
    }
    let list = &raw.audience.value.as_ref()?.0;
    let audience: Vec<String> = list.iter().filter_map(|field| field.value.clone()).collect();
    if list.is_empty() || audience.iter().any(String::is_empty) {
        findings.mistake(&raw.audience.place, "is empty; leave it out for the first public_url");
    }
    Some(audience)
}

pub(super) fn keys(raw: &raw::Keys, access_ttl: Option<Duration>, findings: &mut Findings) -> Option<KeySettings> {
    above_zero(&raw.rotate_every, findings);
    let (rotate, ahead, overlap) = (raw.rotate_every.value?, raw.publish_ahead.value?, raw.overlap.value?);
    if rotate > Duration::ZERO && ahead >= rotate {
        // the next key would have to be published before the present one
        let at = if raw.publish_ahead.is_given() { &raw.publish_ahead.place } else { &raw.rotate_every.place };
        let text = format!("publish_ahead ({}) is not shorter than rotate_every ({})", shown(ahead), shown(rotate));
        findings.mistake(at, format!("{text}; a key is published while the one before it signs"));
    }
    if let Some(access) = access_ttl.filter(|access| overlap < *access) {
        let text =
            format!("is shorter than tokens.access_ttl; keys stay for {}, or their tokens would die", shown(access));
        findings.warning(&raw.overlap.place, text);
    }
    Some(KeySettings { algorithm: raw.algorithm.value?, rotate_every: rotate, publish_ahead: ahead, overlap })
}

/// A span as it would be written in the file.
fn shown(span: Duration) -> String {
    let millis = span.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let unit = units.into_iter().find(|(_, unit)| millis >= *unit && millis.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{millis}ms"), |(name, unit)| format!("{}{name}", millis / unit))
}
