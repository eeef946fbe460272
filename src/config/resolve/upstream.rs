//! `[[upstream]]`.

use super::server::above_zero;
use super::{ca, distinct, required};
use crate::config::include::Findings;
use crate::config::origin::{authority_parts, Origin};
use crate::config::raw::shape::{Field, List};
use crate::config::raw::upstream as raw;
use crate::config::settings::{Endpoint, Protocol, Upstream, UpstreamTls};
use std::path::PathBuf;

pub(super) fn upstreams(list: &Field<List<raw::Upstream>>, findings: &mut Findings) -> Option<Vec<Upstream>> {
    let list: Vec<&raw::Upstream> = list.value.as_ref()?.iter().filter_map(|field| field.value.as_ref()).collect();
    let names = list.iter().filter_map(|raw| Some((raw.name.value.as_ref()?.0.as_str(), &raw.name.place)));
    distinct(names, "the upstream", findings);
    // every one is looked at, also after one that is wrong
    let resolved: Vec<Option<Upstream>> = list.into_iter().map(|raw| upstream(raw, findings)).collect();
    resolved.into_iter().collect()
}

fn upstream(raw: &raw::Upstream, findings: &mut Findings) -> Option<Upstream> {
    let name = required(&raw.name, "routes name the upstream they forward to", findings);
    for span in [&raw.connect_timeout, &raw.read_timeout, &raw.stream_idle] {
        above_zero(span, findings);
    }
    let host = raw.host.value.as_deref().filter(|host| !host.is_empty());
    if host.is_some_and(|host| authority_parts(host).is_none()) {
        findings.mistake(&raw.host.place, "is no host; write \"name\" or \"name:port\"");
    }
    let targets = targets(raw, findings);
    let protocol = protocol(raw, targets.as_deref(), findings);
    Some(Upstream {
        name: name?.0,
        endpoints: targets?.into_iter().map(|target| target.endpoint).collect(),
        protocol: protocol?,
        host: host.map(str::to_owned),
        connect_timeout: raw.connect_timeout.value?,
        read_timeout: raw.read_timeout.value?,
        stream_idle: raw.stream_idle.value?,
    })
}

struct Target {
    scheme: String,
    endpoint: Endpoint,
}

/// At least one, all of one scheme.
fn targets(raw: &raw::Upstream, findings: &mut Findings) -> Option<Vec<Target>> {
    let single = raw.url.is_given().then_some(&raw.url);
    let several = raw.urls.value.iter().flatten();
    match (raw.url.is_given(), raw.urls.is_given()) {
        (false, false) => findings
            .mistake(&raw.url.place, "is missing; write where the application is, like \"http://127.0.0.1:3000\""),
        (true, true) => findings.mistake(&raw.urls.place, "url stands here too; write one of them"),
        (false, true) if raw.urls.value.as_ref().is_some_and(Vec::is_empty) => {
            findings.mistake(&raw.urls.place, "is empty; write where the application is");
        }
        _ => {}
    }
    let mut found: Vec<Target> = Vec::new();
    for field in single.into_iter().chain(several) {
        let Some(text) = &field.value else { continue };
        match target(text) {
            Err(why) => findings.mistake(&field.place, why),
            Ok(target) if found.first().is_some_and(|first| first.scheme != target.scheme) => {
                findings.mistake(&field.place, "the urls of one upstream share one scheme");
            }
            Ok(target) if found.iter().any(|known| known.endpoint == target.endpoint) => {
                findings.mistake(&field.place, "stands in the list already");
            }
            Ok(target) => found.push(target),
        }
    }
    (!found.is_empty()).then_some(found)
}

fn target(text: &str) -> Result<Target, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        if !path.starts_with('/') || path.contains('\0') {
            return Err("a unix socket has an absolute path: \"unix:/run/app.sock\"".to_owned());
        }
        return Ok(Target { scheme: "unix".to_owned(), endpoint: Endpoint::Unix(PathBuf::from(path)) });
    }
    let origin = Origin::parse(text, &["http", "https", "h2c"])?;
    Ok(Target { scheme: origin.scheme, endpoint: Endpoint::Tcp { host: origin.host, port: origin.port } })
}

fn protocol(raw: &raw::Upstream, targets: Option<&[Target]>, findings: &mut Findings) -> Option<Protocol> {
    let authority = raw.ca.value.clone()?.0;
    let asked = raw.server_name.value.as_deref()?;
    let scheme = targets?.first()?.scheme.as_str();
    if scheme != "https" {
        for (given, place) in [(authority.is_some(), &raw.ca.place), (!asked.is_empty(), &raw.server_name.place)] {
            if given {
                findings.mistake(place, format!("says nothing for {scheme}; it is for https"));
            }
        }
        return Some(if scheme == "h2c" { Protocol::H2c } else { Protocol::Http });
    }
    if let Some(path) = &authority {
        ca(path, &raw.ca.place, findings);
    }
    let mut hosts = targets?.iter().filter_map(|target| match &target.endpoint {
        Endpoint::Tcp { host, .. } => Some(host.as_str()),
        Endpoint::Unix(_) => None,
    });
    let first = hosts.next()?;
    if asked.is_empty() && hosts.any(|host| host != first) {
        findings.mistake(
            &raw.server_name.place,
            "is missing; the urls have several hosts, so write which name the certificates carry",
        );
    }
    let server_name = if asked.is_empty() { first } else { asked };
    if rustls_pki_types::ServerName::try_from(server_name).is_err() {
        findings.mistake(&raw.server_name.place, format!("{server_name:?} is no name that a certificate could carry"));
    }
    Some(Protocol::Https(UpstreamTls { server_name: server_name.to_owned(), ca: authority }))
}
