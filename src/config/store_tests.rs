//! What `[store]` may say.

use super::*;
use settings::{StoreKind, Topology};

/// `text` with a `DOORWARD_SECRET` in the environment.
fn sealed(text: &str, secret: &'static str) -> Result<Loaded, Mistakes> {
    let env = |name: &str| if name == "DOORWARD_SECRET" { env(secret) } else { env(name) };
    from_text(text, Path::new("/nowhere"), &World { env: &env, secrets: Secrets::Indirect })
}

#[test]
fn without_a_word_about_it_state_is_kept_in_memory() {
    let store = good("").store;
    assert!(matches!(store.kind, StoreKind::Memory) && store.secrets.is_empty() && store.state_dir.is_none());
    assert_eq!((store.prefix.as_str(), store.timeout), ("dw:", Duration::from_millis(100)));
    assert_eq!(store.max_staleness, Duration::from_secs(5));
}

#[test]
fn a_shared_store_comes_from_the_environment_with_its_password() {
    let store = good("[store]\nurl = \"env:REDIS\"\nsecret = \"env:SEALING\"\n").store;
    let StoreKind::Redis { nodes, topology, tls, username, password, db } = &store.kind else { panic!("{store:?}") };
    assert_eq!((nodes.as_slice(), *tls, *db), ([("cache".to_owned(), 7000)].as_slice(), false, 1));
    assert_eq!((topology, username.as_deref()), (&Topology::Single, Some("gate")));
    assert!(password.as_ref().unwrap().matches(b"hunter2"));
    assert!(!format!("{store:?}").contains("hunter2"));
}

#[test]
fn several_secrets_keep_their_order_and_are_decoded() {
    let secrets = good("[store]\nsecret = [\"env:SEALING\", \"env:OLDER\"]\n").store.secrets;
    let [first, older] = secrets.as_slice() else { panic!("{}", secrets.len()) };
    assert!(first.matches(SECRET.as_bytes()) && older.matches(b"fedcba9876543210fedcba9876543210"));
}

#[test]
fn the_secret_of_the_environment_is_taken_where_the_file_names_none() {
    assert_eq!(sealed("", "SEALING").unwrap().settings.store.secrets.len(), 1);
    let found = sealed("", "TOO_FEW").unwrap_err();
    assert!(found.to_string().starts_with("store.secret: \"env:DOORWARD_SECRET\" holds no base64"), "{found}");
}

#[test]
fn the_store_is_told_what_it_cannot_be() {
    for (keys, place) in [
        ("url = \"memory\"", "url"),
        ("url = \"http://cache\"", "url"),
        ("url = \"redis://:hunter2@cache\"\nsecret = \"env:SEALING\"", "url"),
        ("url = \"redis://a,b\"\nsecret = \"env:SEALING\"", "url"),
        ("secret = \"env:SHORT\"", "secret"),
        ("secret = \"env:TOO_FEW\"", "secret"),
        ("secret = \"env:NOTHING\"", "secret"),
        ("secret = [\"env:SEALING\", \"env:TOO_FEW\"]", "secret[1]"),
        ("secret = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"", "secret"),
        ("secret = []", "secret"),
        ("ca = \"/dev/null\"\nurl = \"rediss://cache\"\nsecret = \"env:SEALING\"", "ca"),
        ("ca = \"ca.pem\"\nurl = \"redis://cache\"\nsecret = \"env:SEALING\"", "ca"),
        ("ca = \"ca.pem\"", "ca"),
        ("sentinel_password = \"hunter2\"", "sentinel_password"),
        ("sentinel_password = \"env:EMPTY\"", "sentinel_password"),
        ("prefix = \"{dw}\"", "prefix"),
        ("prefix = \"d w\"", "prefix"),
        ("timeout = \"0s\"", "timeout"),
        ("max_staleness = \"0s\"", "max_staleness"),
        ("state_dir = \"/dev/null\"\nsecret = \"env:SEALING\"", "state_dir"),
    ] {
        let text = format!("[store]\n{keys}\n");
        one_mistake(&text, &format!("store.{place} (line "));
        assert!(!wrong(&text)[0].contains("hunter2"), "{text}");
    }
}

#[test]
fn sentinels_have_a_password_of_their_own() {
    let watched = "[store]\nurl = \"redis+sentinel://a,b,c/main\"\nsecret = \"env:SEALING\"\n";
    let keys = "sentinel_username = \"gate\"\nsentinel_password = \"env:CLIENT\"\n";
    let store = good(&format!("{watched}{keys}")).store;
    assert_eq!(store.sentinel_username.as_deref(), Some("gate"));
    assert!(store.sentinel_password.as_ref().unwrap().matches(b"hunter2"));
    assert!(!format!("{store:?}").contains("hunter2"));
    one_mistake(&format!("{watched}sentinel_username = \"gate\"\n"), "store.sentinel_username (line 4): needs");
    let warned = read(&format!("[store]\n{keys}")).unwrap().warnings;
    let places: Vec<&str> = warned.iter().map(|warning| warning.place.path.as_str()).collect();
    assert!(places.contains(&"store.sentinel_username") && places.contains(&"store.sentinel_password"), "{places:?}");
}

#[test]
fn a_store_reached_by_tls_may_have_an_authority_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["cache".to_owned()]).unwrap();
    fs::write(folder.path().join("ca.pem"), made.cert.pem()).unwrap();
    let text = "[store]\nurl = \"rediss://cache\"\nca = \"ca.pem\"\nsecret = \"env:SEALING\"\n";
    let store = read_in(text, folder.path()).unwrap().settings.store;
    assert_eq!(store.ca, Some(folder.path().join("ca.pem")));
}

#[test]
fn replicas_must_share_a_secret() {
    let text = "[store]\nurl = \"redis://cache\"\n";
    one_mistake(text, "store.secret (line 1): is missing");
    assert!(sealed(text, "SEALING").is_ok());
}

#[test]
fn sessions_that_end_with_the_process_are_warned_about() {
    let local =
        "[[provider]]\nname = \"people\"\nkind = \"oidc\"\nissuer = \"https://id.example.com\"\nclient_id = \"gate\"\n";
    let of_store = |loaded: Loaded| loaded.warnings.iter().any(|warning| warning.place.path == "store.secret");
    assert!(of_store(read(local).unwrap()));
    assert!(!of_store(sealed(local, "SEALING").unwrap()));
    assert!(!of_store(read("").unwrap()), "tokens of others need no secret of ours");
}

#[test]
fn a_state_that_nobody_could_open_again_is_not_kept() {
    let local =
        "[[provider]]\nname = \"people\"\nkind = \"oidc\"\nissuer = \"https://id.example.com\"\nclient_id = \"gate\"\n";
    let text = format!("[store]\nstate_dir = \"state\"\n{local}");
    one_mistake(&text, "store.secret (line 1): is missing");
    one_mistake("[store]\nstate_dir = \"state\"\n", "store.secret (line 1): is missing");
    assert!(sealed(&text, "SEALING").unwrap().settings.store.state_dir.is_some());
}

#[test]
fn a_staleness_below_the_confirmation_is_warned_about() {
    let warned = |span: &str| read(&format!("[store]\nmax_staleness = \"{span}\"\n")).unwrap().warnings.len();
    assert_eq!((warned("1s"), warned("2s")), (2, 1), "one of them is that there is no route");
}

#[test]
fn a_change_of_the_store_asks_for_a_restart() {
    let store = |keys: &str| good(&format!("[store]\nsecret = \"env:SEALING\"\n{keys}\n"));
    let old = store("url = \"env:REDIS\"");
    let needed = |keys: &str| restart_needed(&old, &store(keys));
    assert_eq!(needed("url = \"env:REDIS\""), Vec::<&str>::new());
    assert_eq!(needed("url = \"redis://cache:7000/1\""), ["store.url"]);
    assert_eq!(needed(""), ["store.url"]);
    let others = "url = \"env:REDIS\"\nprefix = \"x\"\ntimeout = \"1s\"\nmax_staleness = \"9s\"\nstate_dir = \"state\"";
    assert_eq!(needed(others), ["store.prefix", "store.timeout", "store.max_staleness", "store.state_dir"]);
    let watched = |keys: &str| store(&format!("url = \"redis+sentinel://a/main\"\n{keys}"));
    let login = watched("sentinel_username = \"gate\"\nsentinel_password = \"env:CLIENT\"");
    assert_eq!(restart_needed(&watched(""), &login), ["store.sentinel_username", "store.sentinel_password"]);
    let rotated = good("[store]\nurl = \"env:REDIS\"\nsecret = [\"env:OLDER\", \"env:SEALING\"]\n");
    assert_eq!(restart_needed(&old, &rotated), ["store.secret"]);
}
