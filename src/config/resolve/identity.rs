//! `[identity]`.

use super::headers::{folded, not_for_identity};
use crate::config::include::Findings;
use crate::config::raw::identity as raw;
use crate::domain::headers::identity::{IdentityHeaders, METHOD, METHOD_HEADER};
use http::HeaderName;
use std::collections::HashMap;

pub(super) fn identity(raw: &raw::Identity, findings: &mut Findings) -> Option<IdentityHeaders> {
    if raw.assertion.value == Some(true) {
        findings.mistake(&raw.assertion.place, "is not available yet");
    }
    let mut entries: Vec<(HeaderName, String)> = Vec::new();
    let mut taken: HashMap<String, String> = HashMap::new();
    for (typed, field) in raw.headers.value.as_ref()? {
        let Ok(name) = HeaderName::from_bytes(typed.as_bytes()) else {
            findings.mistake(&field.place, format!("{typed:?} is no header name"));
            continue;
        };
        if let Some(why) = not_for_identity(&name) {
            findings.mistake(&field.place, format!("{typed:?} {why}"));
        }
        if let Some(before) = taken.insert(folded(&name), typed.clone()) {
            findings.mistake(&field.place, format!("{typed:?} and {before:?} are one header to many backends"));
        }
        let Some(claim) = &field.value else { continue };
        if !is_claim_path(claim) {
            findings.mistake(
                &field.place,
                format!("{claim:?} is no claim; write a name, or a path like \"realm_access.roles\""),
            );
        }
        if folded(&name) == folded(&METHOD_HEADER) && (name != METHOD_HEADER || claim != METHOD) {
            findings.mistake(
                &field.place,
                "always says how the caller was identified; leave it out, or write \"X-Auth-Method\" = \"method\"",
            );
        }
        entries.push((name, claim.clone()));
    }
    // Backends tell by it a request that came through the gate, and an anonymous one.
    if !taken.contains_key(&folded(&METHOD_HEADER)) {
        entries.push((METHOD_HEADER, METHOD.to_owned()));
    }
    Some(IdentityHeaders { entries, forward_authorization: raw.forward_authorization.value? })
}

/// Names joined by dots. Dots may also be part of a name, as in claims that are URLs.
pub(super) fn is_claim_path(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.ends_with('.') && !text.chars().any(char::is_control)
}
