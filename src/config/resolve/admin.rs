//! `[admin]`.

use super::required;
use super::server::address;
use crate::config::include::Findings;
use crate::config::raw::server as raw;
use crate::config::raw::shape::{Field, List};
use crate::config::settings::Admin;
use crate::domain::operators::{Operator, Operators, Role};
use std::net::SocketAddr;

/// What the audit log calls the holder of `admin.token`.
const OPERATOR: &str = "operator";

pub(super) fn admin(raw: &raw::Admin, findings: &mut Findings) -> Option<Admin> {
    let listen = admin_address(&raw.listen, findings);
    if listen.is_some_and(|address| !address.ip().is_loopback()) {
        let text = "an admin listener beyond this machine needs tls, which is not available yet; \
                    listen on a loopback address, and give probes and Prometheus admin.health";
        findings.mistake(&raw.listen.place, text);
    }
    let operators = operators(raw, findings);
    let hosts = hosts(&raw.hosts, findings);
    let health = match raw.health.value.as_deref()? {
        "" => None,
        _ => Some(admin_address(&raw.health, findings)?),
    };
    Some(Admin { listen: listen?, health, operators: operators?, hosts })
}

fn admin_address(field: &Field<String>, findings: &mut Findings) -> Option<SocketAddr> {
    let found = address(field.value.as_deref()?);
    found.map_err(|why| findings.mistake(&field.place, why)).ok()
}

/// No two under one name, and no two with one token: the audit log must be able to say who it was.
fn operators(raw: &raw::Admin, findings: &mut Findings) -> Option<Operators> {
    let own = raw.token.value.as_ref().and_then(|token| token.0.as_ref());
    let mut known: Vec<Operator> =
        own.map(|token| Operator::new(OPERATOR, Role::Operator, &token.0)).into_iter().collect();
    for field in raw.tokens.value.iter().flatten() {
        let Some(raw) = &field.value else { continue };
        let hint = "a further token has a name, a role and a secret";
        let name = required(&raw.name, hint, findings);
        let role = required(&raw.role, hint, findings);
        let secret = required(&raw.secret, hint, findings);
        let (Some(name), Some(role), Some(secret)) = (name, role, secret) else { continue };
        let operator = Operator::new(&name.0, role, &secret.0);
        if name.0 == OPERATOR || known.iter().any(|before| before.name == operator.name) {
            findings.mistake(&raw.name.place, format!("the name {:?} is taken already", name.0));
        }
        if known.iter().any(|before| before.shares_a_token(&operator)) {
            findings.mistake(&raw.secret.place, "another holder has this token already");
        }
        known.push(operator);
    }
    Some(Operators::new(known))
}

fn hosts(list: &Field<List<String>>, findings: &mut Findings) -> Vec<String> {
    let mut found = Vec::new();
    for field in list.value.iter().flatten() {
        let Some(text) = &field.value else { continue };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = bracketed.is_some_and(|inside| inside.parse::<std::net::Ipv6Addr>().is_ok());
        if text.is_empty() || !(address || text.bytes().all(plain)) {
            findings.mistake(&field.place, format!("{text:?} is no host name; write one without scheme and port"));
            continue;
        }
        found.push(text.to_ascii_lowercase());
    }
    found
}
