//! `[[provider]]`.

use super::identity::is_claim_path;
use super::issuer::{only_https_or_loopback, RESERVED};
use super::{ca, required, values};
use crate::config::include::Findings;
use crate::config::mistakes::Place;
use crate::config::raw::provider::{self as raw, Kind};
use crate::config::raw::shape::{Field, Given, List};
use crate::config::secrets::read_regular;
use crate::config::settings::{ProviderEntry, ProviderKind};
use crate::domain::principal::SourceName;
use std::path::PathBuf;

/// The largest file of users, bytes.
const MAX_USERS: u64 = 16 * 1024 * 1024;

pub(super) fn providers(list: &Field<List<raw::Provider>>, findings: &mut Findings) -> Option<Vec<ProviderEntry>> {
    let list: Vec<&raw::Provider> = list.value.as_ref()?.iter().filter_map(|field| field.value.as_ref()).collect();
    let mut local = list.iter().filter(|raw| raw.kind.value == Some(Kind::Local));
    if let (Some(first), Some(second)) = (local.next(), local.next()) {
        let text = format!("{} is local already, and its form asks for a name in one file", first.kind.place);
        findings.mistake(&second.kind.place, text);
    }
    let resolved: Vec<Option<ProviderEntry>> = list.into_iter().map(|raw| provider(raw, findings)).collect();
    resolved.into_iter().collect()
}

fn provider(raw: &raw::Provider, findings: &mut Findings) -> Option<ProviderEntry> {
    let name = required(&raw.name, "routes, headers and the callback URL name the provider by it", findings);
    if let Some(name) = &name {
        let name = name.0.as_str();
        if RESERVED.contains(&name) || name == "handoff" {
            findings.mistake(&raw.name.place, "has a meaning of its own; choose another name");
        }
        // it is a segment of the callback URL, where dots alone are resolved away
        if name.bytes().all(|b| b == b'.') {
            findings.mistake(&raw.name.place, "consists of dots alone; choose another name");
        }
    }
    let kind = match required(&raw.kind, "write \"oidc\" or \"local\"", findings)? {
        Kind::Oidc => oidc(raw, findings),
        Kind::Local => local(raw, findings),
    };
    Some(ProviderEntry { name: SourceName::new(&name?.0), kind: kind? })
}

fn oidc(raw: &raw::Provider, findings: &mut Findings) -> Option<ProviderKind> {
    not_for("oidc", &[(raw.users.given, &raw.users.place)], findings);
    let issuer = required(&raw.issuer, "write the issuer as its discovery document spells it", findings);
    if let Some(issuer) = &issuer {
        only_https_or_loopback(issuer, &raw.issuer.place, findings);
    }
    let client_id = required(&raw.client_id, "write what the provider calls this gate", findings);
    if client_id.as_deref() == Some("") {
        findings.mistake(&raw.client_id.place, "is empty; write what the provider calls this gate");
    }
    let scopes = scopes(&raw.scopes, findings);
    let roles_claim = raw.roles_claim.value.clone();
    if roles_claim.as_deref().is_some_and(|path| !is_claim_path(path)) {
        findings.mistake(&raw.roles_claim.place, "is no claim; write a name, or a path like \"realm_access.roles\"");
    }
    let authority = raw.ca.value.clone()?.0;
    if let Some(path) = &authority {
        ca(path, &raw.ca.place, findings);
    }
    if raw.client_secret.is_given() && raw.client_secret.value.is_none() {
        return None;
    }
    Some(ProviderKind::Oidc {
        issuer: issuer?,
        client_id: client_id?,
        client_secret: raw.client_secret.value.as_ref().map(|secret| secret.0.clone()),
        scopes,
        roles_claim: roles_claim?,
        ca: authority,
        userinfo: raw.userinfo.value?,
        trust_email: raw.trust_email.value?,
    })
}

fn scopes(list: &Field<List<String>>, findings: &mut Findings) -> Vec<String> {
    for field in list.value.iter().flatten() {
        // RFC 6749 section 3.3
        let fits =
            |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if field.value.as_deref().is_some_and(|text| !fits(text)) {
            findings.mistake(&field.place, "is no scope: one word of visible characters each");
        }
    }
    let scopes = values(list);
    if list.value.is_some() && !scopes.iter().any(|scope| scope == "openid") {
        findings.mistake(&list.place, "lacks \"openid\", without which a provider tells nothing about the caller");
    }
    scopes
}

fn local(raw: &raw::Provider, findings: &mut Findings) -> Option<ProviderKind> {
    let others = [
        (raw.issuer.given, &raw.issuer.place),
        (raw.client_id.given, &raw.client_id.place),
        (raw.client_secret.given, &raw.client_secret.place),
        (raw.scopes.given, &raw.scopes.place),
        (raw.roles_claim.given, &raw.roles_claim.place),
        (raw.ca.given, &raw.ca.place),
        (raw.userinfo.given, &raw.userinfo.place),
        (raw.trust_email.given, &raw.trust_email.place),
    ];
    not_for("local", &others, findings);
    let users = required(&raw.users, "write the file of users, like \"users.toml\"", findings)?.0;
    let Some(users) = users else {
        findings.mistake(&raw.users.place, "is empty; write the file of users, like \"users.toml\"");
        return None;
    };
    Some(ProviderKind::Local { users: users_file(users, &raw.users.place, findings) })
}

/// Who stands in it is checked where it is read; here, that it can be.
fn users_file(path: PathBuf, place: &Place, findings: &mut Findings) -> PathBuf {
    match read_regular(&path, MAX_USERS) {
        Err(why) => findings.mistake(place, format!("{}: {why}", path.display())),
        Ok(_) => findings.files.push(path.clone()),
    }
    path
}

fn not_for(kind: &str, fields: &[(Given, &Place)], findings: &mut Findings) {
    for (_, place) in fields.iter().filter(|(given, _)| *given == Given::InFile) {
        findings.mistake(place, format!("says nothing with kind = \"{kind}\"; take it out"));
    }
}
