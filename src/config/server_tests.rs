//! What `[server]` and `[admin]` may say.

use super::*;
use std::ffi::OsString;

#[test]
fn the_server_is_told_what_it_cannot_do() {
    for (key, place) in [
        ("listen = []", "listen"),
        ("listen = [\":8080\"]", "listen[0]"),
        ("listen = [\"[::]:1\", \"[::]:1\"]", "listen[1]"),
        ("listen = [\"unix:relative\"]", "listen[0]"),
        ("public_url = \"https://a/b\"", "public_url"),
        ("public_url = [\"https://a\", \"https://a:443/\"]", "public_url[1]"),
        ("prefix = \"/\"", "prefix"),
        ("prefix = \"auth\"", "prefix"),
        ("prefix = \"/a/../b\"", "prefix"),
        ("prefix = \"/{x}\"", "prefix"),
        ("prefix = \"/a/\"", "prefix"),
        ("trusted_proxies = [\"0.0.0.0/0\"]", "trusted_proxies[0]"),
        ("trusted_proxies = [\"::/0\"]", "trusted_proxies[0]"),
        ("trusted_proxies = [\"proxy.internal\"]", "trusted_proxies[0]"),
        ("max_header = \"1B\"", "max_header"),
        ("header_timeout = \"0s\"", "header_timeout"),
        ("idle_timeout = \"9999999d\"", "idle_timeout"),
        ("tls = { cert = \"a.crt\" }", "tls.key"),
        ("threads = -1", "threads"),
    ] {
        let found = wrong(&format!("[server]\n{key}\n"));
        assert!(found.iter().any(|text| text.starts_with(&format!("server.{place} (line 2)"))), "{key}: {found:#?}");
    }
}

#[test]
fn trusted_peers_are_networks_addresses_and_unix_sockets() {
    let trusted = good("server.trusted_proxies = [\"10.1.2.3/8\", \"::1\", \"unix\"]\n").server.trusted;
    assert!(trusted.unix);
    assert_eq!(trusted.networks, ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()]);
}

#[test]
fn the_admin_listener_stays_on_this_machine() {
    one_mistake("[admin]\nlisten = \"0.0.0.0:9901\"\n", "admin.listen (line 2)");
    one_mistake("[admin]\nhealth = \"[::]:8080\"\n", "admin.health");
    assert!(read("[admin]\nhealth = \"[::]:9902\"\nlisten = \"localhost:1\"\n").is_ok());
}

fn bytes() -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(vec![0xFF; 40])
}

/// Else the API would be away, or sessions end with the process, without a word.
#[test]
fn a_variable_that_is_no_text_is_not_one_that_is_absent() {
    for (variable, key) in [("DOORWARD_ADMIN_TOKEN", "admin.token"), ("DOORWARD_SECRET", "store.secret")] {
        let env = |name: &str| (name == variable).then(bytes);
        let found = from_text("", Path::new("."), &World { env: &env, secrets: Secrets::Indirect }).unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        assert!(found.to_string().starts_with(&format!("{key}: the variable {variable:?}")), "{found}");
    }
}

#[test]
fn operators_have_a_name_a_role_and_a_token_of_their_own() {
    use crate::domain::operators::Role;
    let env = |name: &str| match name {
        "DOORWARD_ADMIN_TOKEN" => Some("0123456789abcdef0123456789abcdef".into()),
        "READER" => Some("fedcba9876543210fedcba9876543210".into()),
        "SHORT" => Some("short".into()),
        "BYTES" => Some(bytes()),
        _ => None,
    };
    let world = World { env: &env, secrets: Secrets::Indirect };
    let read = |text: &str| from_text(&format!("[admin]\n{text}"), Path::new("."), &world);
    let admin = read("hosts = [\"Gate.Internal\"]\n[[admin.tokens]]\nname = \"grafana\"\nrole = \"reader\"\nsecret = \"env:READER\"\n");
    let admin = admin.unwrap().settings.admin;
    let role = |token: &str| admin.operators.find(token.as_bytes()).map(|found| (found.name.clone(), found.role));
    assert_eq!(role("0123456789abcdef0123456789abcdef"), Some(("operator".to_owned(), Role::Operator)));
    assert_eq!(role("fedcba9876543210fedcba9876543210"), Some(("grafana".to_owned(), Role::Reader)));
    assert_eq!(admin.hosts, ["gate.internal"]);
    for (text, place) in [
        ("token = \"env:SHORT\"", "admin.token (line 2)"),
        ("token = \"env:BYTES\"", "admin.token (line 2): the variable \"BYTES\""),
        ("token = \"env:NOBODY\"", "admin.token (line 2)"),
        ("token = \"0123456789abcdef0123456789abcdef\"", "admin.token (line 2)"),
        ("hosts = [\"http://gate\"]", "admin.hosts[0] (line 2)"),
        ("tokens = [{ name = \"a\", role = \"reader\" }]", "admin.tokens[0].secret (line 2)"),
        ("tokens = [{ name = \"a\", role = \"king\", secret = \"env:READER\" }]", "admin.tokens[0].role (line 2)"),
        ("tokens = [{ name = \"operator\", role = \"reader\", secret = \"env:READER\" }]", "admin.tokens[0].name"),
        (
            "tokens = [{ name = \"a\", role = \"reader\", secret = \"env:DOORWARD_ADMIN_TOKEN\" }]",
            "admin.tokens[0].secret",
        ),
    ] {
        let found = read(text).unwrap_err();
        assert!(found.0.len() == 1 && found.to_string().starts_with(place), "{text}: {found}");
    }
}

#[test]
fn without_a_token_there_is_no_operator() {
    assert!(good("[admin]\n").admin.operators.is_empty());
}
