//! From the file as typed to [`Settings`]. Every check runs, whatever the others found.

mod admin;
mod device;
mod forwarding;
mod guard;
mod headers;
mod identity;
mod issuer;
mod limit;
mod origins;
mod pages;
mod provider;
mod route;
mod rule;
mod server;
mod session;
mod store;
mod upstream;

use super::include::Findings;
use super::mistakes::{Mistake, Mistakes, Place};
use super::raw::shape::{Field, List};
use super::raw::File;
use super::secrets::read_bytes;
use super::{Loaded, Settings};
use origins::Reach;
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
    let admin = admin::admin(file.admin.value.as_ref()?, findings);
    let server = server::server(file.server.value.as_ref()?, findings);
    server::collisions(server.as_ref(), admin.as_ref(), &file.admin.place, findings);
    let session = session::session(file, findings);
    let reach = Reach::of(file);
    let tokens = session::tokens(file, session.as_ref(), &reach, findings);
    let access_ttl = tokens.as_ref().map(|tokens| tokens.access_ttl);
    let keys = session::keys(file.keys.value.as_ref()?, access_ttl, findings);
    let device = device::device(file.device.value.as_ref()?, access_ttl, findings);
    let brute_force = guard::brute_force(file.brute_force.value.as_ref()?, findings);
    let bot = guard::bot(file.bot.value.as_ref()?, findings);
    let pages = pages::pages(file.pages.value.as_ref()?, findings);
    let providers = provider::providers(&file.provider, findings);
    let people = people_sign_in(file);
    if people {
        session::cookies_and_origins(file, &reach, findings);
    } else if file.session.is_given() {
        findings.warning(&file.session.place, "says nothing: there is no [[provider]], so nobody signs in");
    }
    let store = store::store(file.store.value.as_ref()?, people, findings);
    sources(file, findings);
    let identity = identity::identity(file.identity.value.as_ref()?, findings);
    let issuers = issuer::issuers(&file.issuer, findings);
    let upstreams = upstream::upstreams(&file.upstream, findings);
    let limits = limit::limits(file, findings);
    let limit_prefixes = limit::prefixes(file, findings);
    let known = (identity.as_ref(), limits.as_deref().unwrap_or_default());
    let routes = route::routes(file, known, &reach, findings);
    Some(Settings {
        server: server?,
        admin: admin?,
        store: store?,
        keys: keys?,
        tokens: tokens?,
        session: session?,
        device: device?,
        brute_force: brute_force?,
        bot: bot?,
        providers: providers?,
        pages: pages?,
        identity: identity?.into(),
        issuers: issuers?,
        upstreams: upstreams?,
        limits: limits?,
        limit_prefixes: limit_prefixes?,
        routes: routes?,
        files: Vec::new(),
    })
}

/// Whether anybody can sign in.
fn people_sign_in(file: &File) -> bool {
    file.provider.value.as_ref().is_none_or(|list| !list.is_empty())
}

/// A user is a source and a subject, so no two sources share a name.
fn sources(file: &File, findings: &mut Findings) {
    let providers = file.provider.value.iter().flatten().filter_map(|field| Some(&field.value.as_ref()?.name));
    let issuers = file.issuer.value.iter().flatten().filter_map(|field| Some(&field.value.as_ref()?.name));
    let names = providers.chain(issuers).filter_map(|name| Some((name.value.as_ref()?.0.as_str(), &name.place)));
    distinct(names, "the name", findings);
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
