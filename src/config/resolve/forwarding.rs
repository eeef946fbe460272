//! How a route changes and bounds what it forwards, and its answer to other origins.

use super::headers::not_for_routes;
use super::route::{is_under, Surroundings};
use super::server::is_plain_prefix;
use super::values;
use crate::config::include::Findings;
use crate::config::mistakes::Place;
use crate::config::origin::Origin;
use crate::config::raw::route::{self as raw, Route as Raw};
use crate::config::raw::shape::Field;
use crate::domain::policy::cors::{Cors, Origins};
use crate::domain::policy::pattern::PathPattern;
use crate::domain::policy::route::{EncodedSlash, Forwarding};
use http::{HeaderName, HeaderValue};

pub(super) fn forwarding(
    raw: &Raw,
    path: &PathPattern,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Forwarding> {
    let defaults = around.defaults;
    let strip_prefix = strip_prefix(raw.strip_prefix.or(&defaults.strip_prefix), path, findings);
    let headers = raw.request_headers.or(&defaults.request_headers).value.as_ref();
    let (set_headers, remove_headers) = headers.map(|headers| request_headers(headers, around, findings))?;
    let max_body = raw.max_body.or(&defaults.max_body);
    if max_body.is_given() && max_body.value.is_none() {
        return None;
    }
    Some(Forwarding {
        encoded_slash: match raw.encoded_slash.or(&defaults.encoded_slash).value? {
            raw::EncodedSlash::Reject => EncodedSlash::Reject,
            raw::EncodedSlash::Keep => EncodedSlash::Keep,
        },
        strip_prefix: strip_prefix?,
        set_headers,
        remove_headers,
        websocket: raw.websocket.or(&defaults.websocket).value?,
        max_body: max_body.value.map_or(around.max_body, |size| size.0),
    })
}

fn strip_prefix(field: &Field<String>, path: &PathPattern, findings: &mut Findings) -> Option<String> {
    let text = field.value.as_deref()?;
    if text.is_empty() {
        return Some(String::new());
    }
    if !is_plain_prefix(text) {
        findings.mistake(
            &field.place,
            "is no path without parameters; write one like \"/api\", without a slash at its end",
        );
    } else if !is_under(path.as_str(), text) {
        findings.mistake(&field.place, format!("{text:?} is not how {:?} begins", path.as_str()));
    }
    Some(text.to_owned())
}

type Changes = (Vec<(HeaderName, HeaderValue)>, Vec<HeaderName>);

fn request_headers(raw: &raw::RequestHeaders, around: &Surroundings<'_>, findings: &mut Findings) -> Changes {
    let mut set: Vec<(HeaderName, HeaderValue)> = Vec::new();
    for (typed, field) in raw.set.value.iter().flatten() {
        let Ok(name) = HeaderName::from_bytes(typed.as_bytes()) else {
            findings.mistake(&field.place, format!("{typed:?} is no header name"));
            continue;
        };
        check_name(&name, &field.place, around, findings);
        if set.iter().any(|(known, _)| *known == name) {
            findings.mistake(&field.place, format!("{typed:?} is set twice"));
        }
        if let Some(value) = &field.value {
            set.push((name, value.clone()));
        }
    }
    for field in raw.remove.value.iter().flatten() {
        let Some(name) = &field.value else { continue };
        check_name(name, &field.place, around, findings);
        if set.iter().any(|(known, _)| known == name) {
            findings.mistake(&field.place, format!("{name} is set and removed"));
        }
    }
    (set, values(&raw.remove))
}

fn check_name(name: &HeaderName, place: &Place, around: &Surroundings<'_>, findings: &mut Findings) {
    if let Some(why) = not_for_routes(name, &around.managed) {
        findings.mistake(place, format!("{name} {why}"));
    }
}

/// `None` without origins: the backend answers for itself.
pub(super) fn cors(field: &Field<raw::Cors>, findings: &mut Findings) -> Option<Cors> {
    let raw = field.value.as_ref()?;
    let credentials = raw.credentials.value?;
    let listed = values(&raw.origins);
    if listed.is_empty() {
        let others = [raw.methods.is_given(), raw.headers.is_given(), credentials, raw.max_age.is_given()];
        if others.contains(&true) && raw.origins.value.as_ref().is_some_and(Vec::is_empty) {
            findings.mistake(&field.place, "says nothing without origins");
        }
        return None;
    }
    let any = listed.iter().any(|origin| origin == "*");
    if any && listed.len() > 1 {
        findings.mistake(&raw.origins.place, "\"*\" stands for every origin; write it alone");
    }
    if any && credentials {
        // any site could act with its visitors' cookies
        findings.mistake(&raw.credentials.place, "never together with \"*\"; list the origins");
    }
    for field in raw.origins.value.iter().flatten() {
        let Some(text) = field.value.as_deref().filter(|text| *text != "*") else { continue };
        match Origin::parse(text, &["http", "https"]).map(|origin| origin.to_string()) {
            Err(why) => findings.mistake(&field.place, why),
            Ok(written) if written != text => {
                findings.mistake(&field.place, format!("browsers write this origin as {written:?}"));
            }
            Ok(_) => {}
        }
    }
    Some(Cors {
        origins: if any { Origins::Any } else { Origins::Listed(listed) },
        methods: values(&raw.methods).into_iter().map(|method| method.as_str().to_owned()).collect(),
        headers: values(&raw.headers).into_iter().map(|name| name.as_str().to_owned()).collect(),
        credentials,
        max_age: raw.max_age.value?,
    })
}
