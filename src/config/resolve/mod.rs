//! From the file as typed to [`Settings`]. Every check runs, whatever the others found.

mod forwarding;
mod headers;
mod identity;
mod issuer;
mod route;
mod rule;
mod server;
mod upstream;

use super::include::Findings;
use super::mistakes::{Mistake, Mistakes, Place};
use super::raw::shape::{Field, List};
use super::raw::File;
use super::secrets::read_bytes;
use super::{Loaded, Settings};
use std::collections::{HashMap, HashSet};
use std::path::Path;

pub(super) fn resolve(file: Option<&File>, mut findings: Findings) -> Result<Loaded, Mistakes> {
    let settings = file.and_then(|file| settings(file, &mut findings));
    let mut mistakes = findings.mistakes;
    in_order(&mut mistakes.0);
    in_order(&mut findings.warnings);
    match settings {
        Some(mut settings) if mistakes.is_empty() => {
            findings.files.sort();
            findings.files.dedup();
            settings.files = findings.files;
            Ok(Loaded { settings, warnings: findings.warnings })
        }
        Some(_) => Err(mistakes),
        None => {
            if mistakes.is_empty() {
                mistakes.add(&Place::default(), "it could not be understood");
            }
            Err(mistakes)
        }
    }
}

fn settings(file: &File, findings: &mut Findings) -> Option<Settings> {
    let admin = server::admin(file.admin.value.as_ref()?, findings);
    let server = server::server(file.server.value.as_ref()?, findings);
    server::store(file.store.value.as_ref()?, findings);
    server::collisions(server.as_ref(), admin.as_ref(), &file.admin.place, findings);
    let identity = identity::identity(file.identity.value.as_ref()?, findings);
    let issuers = issuer::issuers(&file.issuer, findings);
    let upstreams = upstream::upstreams(&file.upstream, findings);
    let routes = route::routes(file, identity.as_ref(), findings);
    Some(Settings {
        server: server?,
        admin: admin?,
        identity: identity?.into(),
        issuers: issuers?,
        upstreams: upstreams?,
        routes: routes?,
        files: Vec::new(),
    })
}

/// As an operator reads: file by file, from top to bottom, and once each, for a key of `[route_defaults]` is looked at
/// with every route.
fn in_order(mistakes: &mut Vec<Mistake>) {
    let mut known = HashSet::new();
    mistakes.retain(|mistake| known.insert(mistake.to_string()));
    mistakes.sort_by_key(|mistake| (mistake.place.file.clone(), mistake.place.line));
}

/// The values of a list; those that were mistakes have been noted.
fn values<T: Clone>(list: &Field<List<T>>) -> Vec<T> {
    list.value.iter().flatten().filter_map(|item| item.value.clone()).collect()
}

/// The value of a key that has no default.
fn required<T: Clone>(field: &Field<T>, hint: &str, findings: &mut Findings) -> Option<T> {
    if field.value.is_none() && !field.is_given() {
        findings.mistake(&field.place, format!("is missing; {hint}"));
    }
    field.value.clone()
}

/// Notes every name that was taken before.
fn distinct<'n>(names: impl Iterator<Item = (&'n str, &'n Place)>, what: &str, findings: &mut Findings) {
    let mut taken: HashMap<&str, &Place> = HashMap::new();
    for (name, place) in names {
        match taken.get(name) {
            Some(before) => findings.mistake(place, format!("{what} {name:?} stands at {before} already")),
            None => {
                taken.insert(name, place);
            }
        }
    }
}

/// Notes a PEM file that holds no `T`.
fn pem<T: rustls_pki_types::pem::PemObject>(path: &Path, place: &Place, what: &str, findings: &mut Findings) {
    let first = read_bytes(path, 1024 * 1024).map(|bytes| T::from_pem_slice(&bytes).is_ok());
    match first {
        Err(why) => findings.mistake(place, format!("{}: {why}", path.display())),
        Ok(false) => findings.mistake(place, format!("{}: holds no {what} (PEM)", path.display())),
        Ok(true) => findings.files.push(path.to_owned()),
    }
}

/// Notes a PEM file that holds no certificate.
fn ca(path: &Path, place: &Place, findings: &mut Findings) {
    pem::<rustls_pki_types::CertificateDer<'static>>(path, place, "certificate", findings);
}
