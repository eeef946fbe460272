//! `[[issuer]]`.

use super::identity::is_claim_path;
use super::{ca, distinct, required, values};
use crate::config::include::Findings;
use crate::config::mistakes::Place;
use crate::config::origin::Origin;
use crate::config::raw::issuer::{self as raw, Verify};
use crate::config::raw::shape::{Field, List};
use crate::config::secrets::read_bytes;
use crate::config::settings::{IssuerSettings, KeyOrigin, Remote};
use crate::domain::principal::SourceName;
use crate::domain::token::issuer::Issuer;
use crate::domain::token::keys::KeySet;
use jsonwebtoken::Algorithm;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where callers come from that no issuer vouches for; an issuer of that name could be mistaken for them.
pub(super) const RESERVED: [&str; 2] = [API_KEY, "client"];
/// Where API keys come from.
pub(super) const API_KEY: &str = "api_key";

/// What verification itself reads; a mapping could only weaken it.
const UNMAPPABLE: [&str; 6] = ["iss", "aud", "exp", "nbf", "iat", "jti"];

pub(super) fn issuers(list: &Field<List<raw::Issuer>>, findings: &mut Findings) -> Option<Vec<IssuerSettings>> {
    let list: Vec<&raw::Issuer> = list.value.as_ref()?.iter().filter_map(|field| field.value.as_ref()).collect();
    // the `iss` of a token must lead to one set of keys
    let values = list.iter().filter_map(|raw| Some((raw.issuer.value.as_deref()?, &raw.issuer.place)));
    distinct(values, "the iss", findings);
    let resolved: Vec<Option<IssuerSettings>> = list.into_iter().map(|raw| issuer(raw, findings)).collect();
    resolved.into_iter().collect()
}

fn issuer(raw: &raw::Issuer, findings: &mut Findings) -> Option<IssuerSettings> {
    let name = required(&raw.name, "routes and headers name the issuer by it", findings);
    if name.as_ref().is_some_and(|name| RESERVED.contains(&name.0.as_str())) {
        findings.mistake(&raw.name.place, "is the source of other callers; choose another name");
    }
    let issuer = required(&raw.issuer, "write the exact iss of its tokens", findings);
    if issuer.as_deref() == Some("") {
        findings.mistake(&raw.issuer.place, "is empty; write the exact iss of its tokens");
    }
    let audience = audience(raw, findings);
    let algorithms = algorithms(raw, findings);
    let claims = claims(raw, findings);
    if raw.max_token_life.value == Some(Duration::ZERO) {
        findings.mistake(&raw.max_token_life.place, "refuses every token");
    }
    let keys = keys(raw, findings);
    let Verify::Jwks = raw.verify.value?;
    Some(IssuerSettings {
        issuer: Arc::new(Issuer {
            name: SourceName::new(&name?.0),
            issuer: issuer?,
            audience,
            algorithms,
            leeway: raw.leeway.value?,
            max_token_life: raw.max_token_life.value?,
            claims: claims?,
            trust_email: raw.trust_email.value?,
        }),
        keys: keys?,
    })
}

fn audience(raw: &raw::Issuer, findings: &mut Findings) -> Vec<String> {
    let hint = "say which aud is meant for you, or tokens for others would count here";
    required(&raw.audience, hint, findings);
    let audience = values(&raw.audience);
    if raw.audience.value.as_ref().is_some_and(Vec::is_empty) || audience.iter().any(String::is_empty) {
        findings.mistake(&raw.audience.place, format!("is empty; {hint}"));
    }
    audience
}

/// Also holds HS256 and `secret` together: a public key taken for a shared secret lets anybody sign (RFC 8725 2.1).
fn algorithms(raw: &raw::Issuer, findings: &mut Findings) -> Vec<Algorithm> {
    let hint = "write what its tokens are signed with, like [\"RS256\"]";
    required(&raw.algorithms, hint, findings);
    if raw.algorithms.value.as_ref().is_some_and(Vec::is_empty) {
        findings.mistake(&raw.algorithms.place, format!("is empty; {hint}"));
    }
    let algorithms: Vec<Algorithm> = values(&raw.algorithms).into_iter().map(|algorithm| algorithm.0).collect();
    let shared = algorithms.contains(&Algorithm::HS256);
    if shared && !raw.secret.is_given() {
        findings.mistake(&raw.algorithms.place, "HS256 needs secret, and only an issuer with a secret takes it");
    }
    if raw.secret.is_given() && algorithms.iter().any(|algorithm| *algorithm != Algorithm::HS256) {
        findings.mistake(&raw.algorithms.place, "an issuer with a secret takes [\"HS256\"] alone");
    }
    algorithms
}

fn claims(raw: &raw::Issuer, findings: &mut Findings) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    for (name, field) in raw.claims.value.as_ref()? {
        if UNMAPPABLE.contains(&name.as_str()) || name.is_empty() {
            findings.mistake(&field.place, format!("{name:?} is read where it stands and cannot be moved"));
        }
        let Some(path) = &field.value else { continue };
        if !is_claim_path(path) {
            findings.mistake(
                &field.place,
                format!("{path:?} is no claim; write a name, or a path like \"realm_access.roles\""),
            );
        }
        found.push((name.clone(), path.clone()));
    }
    Some(found)
}

fn keys(raw: &raw::Issuer, findings: &mut Findings) -> Option<KeyOrigin> {
    let given: Vec<(&str, &Place)> =
        [("jwks_url", &raw.jwks_url.place), ("jwks_file", &raw.jwks_file.place), ("secret", &raw.secret.place)]
            .into_iter()
            .zip([raw.jwks_url.is_given(), raw.jwks_file.is_given(), raw.secret.is_given()])
            .filter_map(|(key, given)| given.then_some(key))
            .collect();
    if let [(first, _), rest @ ..] = given.as_slice() {
        for (key, place) in rest {
            findings.mistake(place, format!("{first} stands here too; keys come from one of {first} and {key}"));
        }
    }
    issuer_url(raw, given.is_empty(), findings);
    if raw.secret.is_given() || raw.jwks_file.is_given() {
        for field in [&raw.ca, &raw.bearer] {
            if field.value.as_ref().is_some_and(|path| path.0.is_some()) {
                findings.mistake(&field.place, "says nothing here: nobody is asked for these keys");
            }
        }
    }
    if raw.secret.is_given() {
        return raw.secret.value.clone().map(KeyOrigin::Shared);
    }
    if raw.jwks_file.is_given() {
        return jwks_file(raw, findings);
    }
    let remote = remote(raw, findings)?;
    if !raw.jwks_url.is_given() {
        return Some(KeyOrigin::Discovery(remote));
    }
    let url = raw.jwks_url.value.as_deref()?;
    only_https_or_loopback(url, &raw.jwks_url.place, findings);
    Some(KeyOrigin::JwksUrl(url.to_owned(), remote))
}

/// An `iss` may be any string where nobody is asked; by discovery it is a URL we call.
fn issuer_url(raw: &raw::Issuer, discovery: bool, findings: &mut Findings) {
    let Some(issuer) = raw.issuer.value.as_deref() else { return };
    if discovery || issuer.starts_with("http:") {
        only_https_or_loopback(issuer, &raw.issuer.place, findings);
    }
}

/// Keys fetched in clear text are whoever's stands in between.
pub(super) fn only_https_or_loopback(url: &str, place: &Place, findings: &mut Findings) {
    match Origin::split(url, &["https", "http"]) {
        Err(why) => findings.mistake(place, why),
        Ok((origin, _)) if origin.scheme == "http" && !origin.is_loopback() => {
            findings.mistake(place, "must begin with https://; plain http is for this machine only");
        }
        Ok(_) => {}
    }
}

fn remote(raw: &raw::Issuer, findings: &mut Findings) -> Option<Remote> {
    let remote = Remote { ca: raw.ca.value.clone()?.0, bearer: raw.bearer.value.clone()?.0 };
    if let Some(path) = &remote.ca {
        ca(path, &raw.ca.place, findings);
    }
    if let Some(path) = remote.bearer.as_ref().filter(|path| !path.is_file()) {
        findings.warning(&raw.bearer.place, format!("{}: there is no such file now", path.display()));
    }
    Some(remote)
}

fn jwks_file(raw: &raw::Issuer, findings: &mut Findings) -> Option<KeyOrigin> {
    let place = &raw.jwks_file.place;
    let Some(path) = raw.jwks_file.value.clone()?.0 else {
        findings.mistake(place, "is empty; write the file with its keys");
        return None;
    };
    let keys = read_bytes(&path, 1024 * 1024).and_then(|bytes| KeySet::from_jwks(&bytes).map_err(|e| e.to_string()));
    match keys {
        Err(why) => findings.mistake(place, format!("{}: {why}", path.display())),
        Ok(keys) if keys.is_empty() => findings.mistake(place, format!("{}: holds no key we can use", path.display())),
        Ok(_) => findings.files.push(Path::to_owned(&path)),
    }
    Some(KeyOrigin::JwksFile(path))
}
