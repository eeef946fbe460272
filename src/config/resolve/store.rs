//! `[store]`.

use super::ca;
use super::server::above_zero;
use crate::config::include::Findings;
use crate::config::raw::shape::Field;
use crate::config::raw::store as raw;
use crate::config::secrets::plain;
use crate::config::settings::{StoreKind, StoreSettings, Topology};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// How often the revocation log is confirmed.
const CONFIRMED_EVERY: Duration = Duration::from_secs(1);

/// `people` says whether anybody can sign in: only then does the store hold what must be sealed.
pub(super) fn store(raw: &raw::Store, people: bool, findings: &mut Findings) -> Option<StoreSettings> {
    for span in [&raw.timeout, &raw.max_staleness] {
        above_zero(span, findings);
    }
    if raw.max_staleness.value.is_some_and(|span| span > Duration::ZERO && span <= CONFIRMED_EVERY) {
        let text = "the revocation log is confirmed once a second, so a healthy replica would be stale again and again";
        findings.warning(&raw.max_staleness.place, text);
    }
    let prefix = prefix(&raw.prefix, findings);
    let state_dir = state_dir(raw, findings);
    let secrets = raw.secret.value.as_ref().map(|list| {
        list.0.iter().filter_map(|field| field.value.as_ref().map(|secret| secret.0.clone())).collect::<Vec<_>>()
    });
    let kind = raw.url.value.as_ref().map(|url| url.0.clone());
    let authority = authority(raw, kind.as_ref(), findings);
    sentinels(raw, kind.as_ref(), findings);
    if raw.sentinel_password.is_given() && raw.sentinel_password.value.is_none() {
        return None;
    }
    let secrets = secrets?;
    if secrets.is_empty() {
        without_secret(raw, kind.as_ref(), people, findings);
    }
    Some(StoreSettings {
        kind: kind?,
        ca: authority?,
        sentinel_username: raw.sentinel_username.value.clone().filter(|name| !name.is_empty()),
        sentinel_password: raw.sentinel_password.value.as_ref().map(|password| password.0.clone()),
        prefix: prefix?,
        timeout: raw.timeout.value?,
        max_staleness: raw.max_staleness.value?,
        state_dir: state_dir?,
        secrets,
    })
}

/// An authority that nobody is held to would be believed to protect something.
fn authority(raw: &raw::Store, kind: Option<&StoreKind>, findings: &mut Findings) -> Option<Option<PathBuf>> {
    let path = raw.ca.value.clone()?.0;
    match (&path, kind) {
        (None, _) | (_, None) => {}
        (Some(path), Some(StoreKind::Redis { tls: true, .. })) => ca(path, &raw.ca.place, findings),
        (Some(_), Some(_)) => {
            findings.mistake(&raw.ca.place, "says nothing without TLS; write \"rediss://…\" in store.url");
        }
    }
    Some(path)
}

fn sentinels(raw: &raw::Store, kind: Option<&StoreKind>, findings: &mut Findings) {
    let watched = matches!(kind, None | Some(StoreKind::Redis { topology: Topology::Sentinel { .. }, .. }));
    let named = raw.sentinel_username.value.as_deref().is_some_and(|name| !name.is_empty());
    if named && raw.sentinel_password.value.is_none() && !raw.sentinel_password.is_given() {
        findings.mistake(&raw.sentinel_username.place, "needs a store.sentinel_password");
    }
    for (given, place) in
        [(named, &raw.sentinel_username.place), (raw.sentinel_password.is_given(), &raw.sentinel_password.place)]
    {
        if given && !watched {
            findings.warning(place, "says nothing here; it is for redis+sentinel:// and rediss+sentinel://");
        }
    }
}

fn without_secret(raw: &raw::Store, kind: Option<&StoreKind>, people: bool, findings: &mut Findings) {
    let place = &raw.secret.place;
    if raw.secret.is_given() {
        if raw.secret.value.as_ref().is_some_and(|list| list.0.is_empty()) {
            findings.mistake(place, "is empty; `openssl rand -base64 32` makes a secret");
        }
        return;
    }
    match kind {
        Some(StoreKind::Redis { .. }) => {
            let text =
                "is missing, and the environment has no DOORWARD_SECRET: what one replica seals, all must open; \
                        `openssl rand -base64 32` makes one";
            findings.mistake(place, text);
        }
        Some(StoreKind::Memory) if raw.state_dir.value.as_ref().is_some_and(|dir| dir.0.is_some()) => {
            let text =
                "is missing, and the environment has no DOORWARD_SECRET: without one, what state_dir keeps could \
                        not be opened after a restart; `openssl rand -base64 32` makes one";
            findings.mistake(place, text);
        }
        Some(StoreKind::Memory) if people => {
            let text = "is missing, and the environment has no DOORWARD_SECRET: a random one is made at every start, \
                        and all sessions end with the process; `openssl rand -base64 32` makes one that stays";
            findings.warning(place, text);
        }
        Some(StoreKind::Memory) | None => {}
    }
}

fn prefix(field: &Field<String>, findings: &mut Findings) -> Option<String> {
    let text = field.value.as_deref()?;
    // braces choose the slot of a cluster, and are ours to write
    if text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'{' && b != b'}') {
        findings.mistake(&field.place, "is no prefix: up to 64 visible characters, no \"{\" or \"}\", like \"dw:\"");
    }
    Some(text.to_owned())
}

/// One that is not there yet is made at start.
fn state_dir(raw: &raw::Store, findings: &mut Findings) -> Option<Option<PathBuf>> {
    let path = raw.state_dir.value.clone()?.0;
    if let Some(path) = &path {
        let wrong = match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => None,
            Ok(_) => Some("is not a directory".to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => Some(plain(&error)),
        };
        if let Some(why) = wrong {
            findings.mistake(&raw.state_dir.place, format!("{}: {why}", path.display()));
        }
    }
    Some(path)
}
