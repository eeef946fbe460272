//! `[server]`.

use super::origins::{listed, public_urls};
use super::{pem, required};
use crate::config::include::Findings;
use crate::config::mistakes::Place;
use crate::config::raw::server as raw;
use crate::config::raw::shape::{Field, List};
use crate::config::settings::{Admin, Listen, Server, Tls, Trusted};
use crate::domain::policy::pattern::PathPattern;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn server(raw: &raw::Server, findings: &mut Findings) -> Option<Server> {
    let listen = listen(&raw.listen, findings);
    let public_urls = public_urls(raw, findings);
    let prefix = prefix(&raw.prefix, findings);
    let csrf_origins = listed(&raw.csrf_origins, findings);
    let return_to_origins = listed(&raw.return_to_origins, findings);
    let trusted = trusted(&raw.trusted_proxies, findings);
    let tls = raw.tls.value.as_ref().map(|tls| self::tls(tls, findings));
    let max_header = max_header(raw, findings);
    for span in [&raw.header_timeout, &raw.idle_timeout] {
        above_zero(span, findings);
    }
    let proxy_protocol = raw.proxy_protocol.value?;
    if proxy_protocol && trusted.networks.is_empty() && !trusted.unix {
        findings.warning(&raw.proxy_protocol.place, "no peer is trusted to send it; list them in trusted_proxies");
    }
    let drain = raw.drain.value.as_ref()?;
    Some(Server {
        listen,
        public_urls,
        prefix: prefix?,
        csrf_origins,
        return_to_origins,
        trusted,
        proxy_protocol,
        threads: threads(raw.threads.value?),
        max_header: max_header?,
        header_timeout: raw.header_timeout.value?,
        idle_timeout: raw.idle_timeout.value?,
        drain_pre_stop: drain.pre_stop.value?,
        drain_max: drain.max.value?,
        tls: match tls {
            None => None,
            Some(tls) => Some(tls?),
        },
    })
}

/// Two listeners on one address: the second could not start.
pub(super) fn collisions(server: Option<&Server>, admin: Option<&Admin>, place: &Place, findings: &mut Findings) {
    let main = server.into_iter().flat_map(|server| &server.listen).filter_map(|listen| match listen {
        Listen::Tcp(address) => Some(*address),
        Listen::Unix(_) => None,
    });
    let main: Vec<SocketAddr> = main.filter(|address| address.port() != 0).collect();
    let Some(admin) = admin else { return };
    if main.contains(&admin.listen) {
        findings.mistake(&place.key("listen"), "server.listen has this address already");
    }
    if let Some(health) = admin.health.filter(|health| health.port() != 0) {
        if main.contains(&health) || health == admin.listen {
            findings.mistake(&place.key("health"), "another listener has this address already");
        }
    }
}

fn listen(list: &Field<List<String>>, findings: &mut Findings) -> Vec<Listen> {
    let mut found = Vec::new();
    if list.value.as_ref().is_some_and(Vec::is_empty) {
        findings.mistake(&list.place, "is empty; write where to listen, like [\"[::]:8080\"]");
    }
    for field in list.value.iter().flatten() {
        let Some(text) = &field.value else { continue };
        let listen = match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Listen::Unix(PathBuf::from(path))),
            Some(_) => Err("a unix socket has an absolute path: \"unix:/run/doorward.sock\"".to_owned()),
            None => address(text).map(Listen::Tcp),
        };
        match listen {
            Err(why) => findings.mistake(&field.place, why),
            Ok(Listen::Tcp(address)) if address.port() == 0 => found.push(Listen::Tcp(address)),
            Ok(listen) if found.contains(&listen) => findings.mistake(&field.place, "stands in the list already"),
            Ok(listen) => found.push(listen),
        }
    }
    found
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| match text.strip_prefix(':') {
        Some(port) if port.parse::<u16>().is_ok() => {
            format!("{text:?} has no address; write \"[::]:{port}\" for every one")
        }
        _ => format!("{text:?} is no address and port; write \"[::]:8080\", \"127.0.0.1:8080\" or \"unix:/path\""),
    })
}

fn prefix(field: &Field<String>, findings: &mut Findings) -> Option<String> {
    let text = field.value.as_deref()?;
    let plain = is_plain_prefix(text);
    if !plain {
        findings.mistake(
            &field.place,
            "is no path we can keep to ourselves; write one like \"/.auth\", without a slash at its end",
        );
    }
    plain.then(|| text.to_owned())
}

/// A canonical path that ends in a whole segment, without `{}` or `*`.
pub(super) fn is_plain_prefix(text: &str) -> bool {
    text.len() > 1 && !text.ends_with('/') && !text.contains(['{', '}', '*']) && PathPattern::parse(text).is_ok()
}

fn trusted(list: &Field<List<String>>, findings: &mut Findings) -> Trusted {
    let mut trusted = Trusted::default();
    for field in list.value.iter().flatten() {
        let Some(text) = &field.value else { continue };
        if text == "unix" {
            trusted.unix = true;
            continue;
        }
        let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        match network {
            None => findings
                .mistake(&field.place, format!("{text:?} is no network; write one like \"10.0.0.0/8\", or \"unix\"")),
            Some(network) if network.prefix_len() == 0 => {
                findings.mistake(&field.place, "trusts every peer there is, so anybody could claim any address");
            }
            Some(network) => trusted.networks.push(network.trunc()),
        }
    }
    trusted
}

fn tls(raw: &raw::Tls, findings: &mut Findings) -> Option<Tls> {
    let hint = "tls needs cert and key, both PEM files";
    let cert = required(&raw.cert, hint, findings).and_then(|path| path.0);
    let key = required(&raw.key, hint, findings).and_then(|path| path.0);
    if let Some(path) = &cert {
        pem::<rustls_pki_types::CertificateDer<'static>>(path, &raw.cert.place, "certificate", findings);
    }
    if let Some(path) = &key {
        pem::<rustls_pki_types::PrivateKeyDer<'static>>(path, &raw.key.place, "private key", findings);
    }
    for (path, field) in [(&cert, &raw.cert), (&key, &raw.key)] {
        if path.is_none() && field.value.is_some() {
            findings.mistake(&field.place, format!("is empty; {hint}"));
        }
    }
    Some(Tls { cert: cert?, key: key? })
}

fn max_header(raw: &raw::Server, findings: &mut Findings) -> Option<usize> {
    let size = raw.max_header.value?.0;
    if !(1024..=1024 * 1024).contains(&size) {
        findings.mistake(&raw.max_header.place, "is out of bounds: from 1KiB to 1MiB");
    }
    usize::try_from(size).ok()
}

pub(super) fn above_zero(field: &Field<Duration>, findings: &mut Findings) {
    if field.value == Some(Duration::ZERO) {
        findings.mistake(&field.place, "leaves no time at all");
    }
}

fn threads(asked: usize) -> usize {
    match asked {
        // the standard library honours cgroup quotas and CPU affinity
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        asked => asked,
    }
}
