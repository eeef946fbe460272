//! What `[server]` and `[admin]` may say.

use super::*;

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
