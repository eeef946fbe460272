//! The URL of a store. What is wrong with it is told without showing any of it: it may hold a password.

use super::origin::authority_parts;
use super::settings::{StoreKind, Topology};
use crate::domain::secret::Secret;

const FORMS: &str = "write \"memory:\", \"redis://host:6379/0\", \"rediss://…\" (TLS), \
                     \"redis+sentinel://a,b,c/mymaster/0\" or \"redis+cluster://a,b,c\"";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Single,
    Sentinel,
    Cluster,
}

/// # Errors
/// A sentence that shows nothing of `text`.
pub(super) fn parse(text: &str) -> Result<StoreKind, String> {
    if text == "memory:" {
        return Ok(StoreKind::Memory);
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("is no store; {FORMS}"))?;
    let (tls, flavour) = match scheme.to_ascii_lowercase().as_str() {
        "redis" => (false, Flavour::Single),
        "rediss" => (true, Flavour::Single),
        "redis+sentinel" => (false, Flavour::Sentinel),
        "rediss+sentinel" => (true, Flavour::Sentinel),
        "redis+cluster" => (false, Flavour::Cluster),
        "rediss+cluster" => (true, Flavour::Cluster),
        _ => return Err(format!("is no store; {FORMS}")),
    };
    if rest.contains(['?', '#']) || rest.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!(
            "holds a character that is not part of a store's URL; in a password write it as %23; {FORMS}"
        ));
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (Some(login), hosts),
        None => (None, authority),
    };
    let (username, password) = login.map_or(Ok((None, None)), credentials)?;
    let (topology, db) = topology(flavour, path)?;
    Ok(StoreKind::Redis { nodes: nodes(flavour, hosts)?, topology, tls, username, password, db })
}

fn credentials(login: &str) -> Result<(Option<String>, Option<Secret>), String> {
    let unreadable = || "has a user or password with a broken %-escape".to_owned();
    let (user, password) = login.split_once(':').ok_or("has a user without a password; write user:password@")?;
    let password = decoded(password).filter(|bytes| !bytes.is_empty());
    let password = password.ok_or("has no password behind the user, or one with a broken %-escape")?;
    let user = decoded(user).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable)?;
    Ok(((!user.is_empty()).then_some(user), Some(Secret::new(password))))
}

fn nodes(flavour: Flavour, hosts: &str) -> Result<Vec<(String, u16)>, String> {
    let default = if flavour == Flavour::Sentinel { 26379 } else { 6379 };
    let mut found: Vec<(String, u16)> = Vec::new();
    for host in hosts.split(',') {
        let (host, port) = authority_parts(host).ok_or_else(|| format!("has a host we could not reach; {FORMS}"))?;
        let node = (host, port.unwrap_or(default));
        if found.contains(&node) {
            return Err("names a host twice".to_owned());
        }
        found.push(node);
    }
    if flavour == Flavour::Single && found.len() > 1 {
        return Err("names several hosts: write redis+sentinel:// or redis+cluster://".to_owned());
    }
    Ok(found)
}

fn topology(flavour: Flavour, path: &str) -> Result<(Topology, u8), String> {
    let number = |text: &str| match text {
        "" => Ok(0),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse::<u8>().map_err(|_| "names a database beyond 255".to_owned())
        }
        _ => Err("names a database that is no number".to_owned()),
    };
    match flavour {
        Flavour::Single => Ok((Topology::Single, number(path)?)),
        Flavour::Cluster if number(path)? == 0 => Ok((Topology::Cluster, 0)),
        Flavour::Cluster => Err("names a database, of which a cluster has only 0".to_owned()),
        Flavour::Sentinel => {
            let (master, db) = path.split_once('/').unwrap_or((path, ""));
            let plain = master.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
            if master.is_empty() || !plain {
                return Err("does not name the primary: write redis+sentinel://a,b,c/mymaster/0".to_owned());
            }
            Ok((Topology::Sentinel { master: master.to_owned() }, number(db)?))
        }
    }
}

/// `%41` as `A`; `None` where an escape is broken.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut pieces = text.split('%');
    bytes.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything but the password, in one line.
    fn read(text: &str) -> String {
        match parse(text) {
            Ok(StoreKind::Memory) => "memory".to_owned(),
            Ok(StoreKind::Redis { nodes, topology, tls, username, password, db }) => {
                format!("{nodes:?} {topology:?} tls={tls} {username:?} {} {db}", password.is_some())
            }
            Err(why) => why,
        }
    }

    #[test]
    fn every_form_of_a_store_is_understood() {
        for (text, expected) in [
            ("memory:", "memory"),
            ("redis://cache", r#"[("cache", 6379)] Single tls=false None false 0"#),
            ("REDISS://cache:7000/3", r#"[("cache", 7000)] Single tls=true None false 3"#),
            ("redis://:secret@[::1]/", r#"[("::1", 6379)] Single tls=false None true 0"#),
            ("redis://ann%3A:secret@cache", r#"[("cache", 6379)] Single tls=false Some("ann:") true 0"#),
            (
                "redis+sentinel://a,b:1,c/mymaster/2",
                r#"[("a", 26379), ("b", 1), ("c", 26379)] Sentinel { master: "mymaster" } tls=false None false 2"#,
            ),
            ("redis+cluster://a,b,c", r#"[("a", 6379), ("b", 6379), ("c", 6379)] Cluster tls=false None false 0"#),
            ("rediss+cluster://a/0", r#"[("a", 6379)] Cluster tls=true None false 0"#),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_the_password() {
        for text in [
            "hunter2",
            "memory://hunter2",
            "http://hunter2",
            "redis://:hunter2@",
            "redis://hunter2@cache",
            "redis://user:@hunter2",
            "redis://:hunter2%zz@cache",
            "redis://:hunter2/x@cache",
            "redis://:hunter2#@cache",
            "redis://:hunter2@cache?db=1",
            "redis://:hunter2@a,b",
            "redis://:hunter2@cache/one",
            "redis://:hunter2@cache/256",
            "redis+sentinel://:hunter2@a,b",
            "redis+sentinel://:hunter2@a,b/my master",
            "redis+cluster://:hunter2@a,a",
            "redis+cluster://:hunter2@a/1",
        ] {
            let why = parse(text).map(|_| ()).unwrap_err();
            assert!(!why.contains("hunter2"), "{text}: {why}");
        }
    }

    #[test]
    fn an_escaped_password_is_read_as_it_is_meant() {
        let Ok(StoreKind::Redis { password: Some(password), .. }) = parse("redis://u:p%40%2Fa%25@cache") else {
            panic!("it is a password")
        };
        assert!(password.matches(b"p@/a%"));
    }
}
