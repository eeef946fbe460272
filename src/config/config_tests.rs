use super::*;
use crate::domain::policy::rule::Access;
use settings::{Endpoint, KeyOrigin, Listen, Protocol};
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

#[path = "files_tests.rs"]
mod files;
#[path = "guard_tests.rs"]
mod guard;
#[path = "route_tests.rs"]
mod route;
#[path = "server_tests.rs"]
mod server;
#[path = "sign_in_tests.rs"]
mod sign_in;
#[path = "store_tests.rs"]
mod store;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// An upstream and an issuer, for files that are about something else; four lines and six.
const REST: &str = r#"
[[upstream]]
name = "app"
url = "http://127.0.0.1:3000"
[[issuer]]
name = "main"
issuer = "https://issuer.example.com/"
audience = ["my-api"]
algorithms = ["RS256"]
"#;

fn env(name: &str) -> Option<OsString> {
    match name {
        "SECRET" => Some(SECRET.into()),
        "SHORT" => Some("hunter2".into()),
        "SPAN" => Some("7s".into()),
        "EMPTY" => Some(OsString::new()),
        "CLIENT" => Some("hunter2".into()),
        "REDIS" => Some("redis://gate:hunter2@cache:7000/1".into()),
        // 32 bytes, and 24
        "SEALING" => Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into()),
        "OLDER" => Some("base64:ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA".into()),
        "TOO_FEW" => Some("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3".into()),
        "ENCODED" => Some("base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".into()),
        _ => None,
    }
}

fn read_in(text: &str, base: &Path) -> Result<Loaded, Mistakes> {
    from_text(text, base, &World { env: &env, secrets: Secrets::Indirect })
}

fn read(text: &str) -> Result<Loaded, Mistakes> {
    read_in(text, Path::new("/nowhere"))
}

fn good(text: &str) -> Settings {
    read(text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")).settings
}

/// The mistakes of `text`, one line each.
fn wrong(text: &str) -> Vec<String> {
    read(text).err().map(|mistakes| mistakes.0.iter().map(ToString::to_string).collect()).unwrap_or_default()
}

/// `text` has exactly one mistake, and it begins with `start`.
#[track_caller]
fn one_mistake(text: &str, start: &str) {
    let found = wrong(text);
    assert!(found.len() == 1 && found[0].starts_with(start), "expected {start:?}, found {found:#?}\nin {text}");
}

fn with_route(keys: &str) -> String {
    format!("{REST}[[route]]\npath = \"/a/**\"\n{keys}\n")
}

#[test]
fn an_empty_file_is_a_gate_that_answers_404() {
    let loaded = read("").unwrap();
    assert_eq!(loaded.settings.server.listen, [Listen::Tcp("[::]:8080".parse().unwrap())]);
    assert_eq!(loaded.settings.server.public_urls, ["http://localhost:8080"]);
    assert!(loaded.settings.server.threads >= 1);
    assert_eq!(loaded.settings.identity.entries.len(), 8);
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
}

#[test]
fn every_mistake_is_told_at_once_with_its_line() {
    let text = r#"
[server]
lisen = ["[::]:1"]
threads = "two"
max_header = "32 KB"
drain = { pre_stop = "soon", max = "30s", now = true }

[[route]]
path = "admin"
access = "open"

[[route]]
path = "/"
methods = ["get", "TRACE"]
"#;
    let expected = [
        "server.lisen (line 3): unknown key; did you mean \"listen\"?",
        "server.threads (line 4): a whole number",
        "server.max_header (line 5): \"32 KB\" is no size",
        "server.drain.now (line 6): unknown key",
        "server.drain.pre_stop (line 6): \"soon\" is no span of time",
        "route[0].path (line 9): a path begins with",
        "route[0].access (line 10): \"open\" is none of \"public\", \"optional\", \"authenticated\"",
        "route[1] (line 12): says nothing about access",
        "route[1].methods[0] (line 14): methods are told apart by case; write \"GET\"",
        "route[1].methods[1] (line 14): TRACE never passes",
    ];
    let found = wrong(text);
    // and neither route has an upstream to forward to
    assert_eq!(found.len(), expected.len() + 2, "{found:#?}");
    let places = expected.iter().filter(|start| found.iter().any(|text| text.starts_with(*start)));
    assert_eq!(places.count(), expected.len(), "{found:#?}");
}

#[test]
fn a_syntax_error_is_one_mistake_with_its_line() {
    one_mistake("[server]\nlisten = [\n[admin\n", "line ");
    one_mistake("[server]\nthreads = 1\nthreads = 2\n", "line 3: this is no TOML: duplicate key");
}

#[test]
fn a_table_of_the_wrong_kind_hides_no_other_mistake() {
    let found = wrong("server = 3\nroute = [1]\nadmin.lisen = 1\n");
    assert_eq!(found.len(), 3, "{found:#?}");
}

#[test]
fn what_is_not_available_yet_is_refused_and_never_ignored() {
    for (text, place) in [
        ("[server]\nverify_from = []", "server.verify_from (line 2)"),
        ("[activity]\nbuffer = 1", "activity (line 1)"),
        ("[[client]]\nid = \"x\"", "client (line 1)"),
        ("[identity]\nassertion = true", "identity.assertion (line 2)"),
    ] {
        let found = wrong(text);
        assert!(
            found.len() == 1 && found[0].starts_with(place) && found[0].contains("not available yet"),
            "{found:#?}"
        );
    }
    for key in ["accept = [\"bearer\", \"mtls\"]", "step_up = { acr = [] }"] {
        let found = wrong(&with_route(&format!("access = \"authenticated\"\n{key}")));
        assert!(found.len() == 1 && found[0].contains("not available yet"), "{key}: {found:#?}");
    }
}

#[test]
fn a_route_must_say_who_gets_in_and_not_contradict_itself() {
    one_mistake(&with_route(""), "route[0] (line 10): says nothing about access");
    one_mistake(&with_route("from = [\"main\"]"), "route[0] (line 10): says nothing about access");
    for keys in ["roles = [\"a\"]", "scopes = [\"a\"]", "when = \"true\"", "from = [\"main\"]"] {
        one_mistake(&with_route(&format!("access = \"public\"\n{keys}")), "route[0].access (line 12): is \"public\"");
    }
    one_mistake(&with_route("access = \"optional\"\nroles = [\"a\"]"), "route[0].access (line 12): is \"optional\"");
    assert!(read(&with_route("access = \"optional\"\nfrom = [\"main\"]")).is_ok());
}

#[test]
fn roles_scopes_and_expressions_imply_authenticated() {
    for keys in ["roles = [\"a\"]", "scopes = [\"a\"]", "when = \"true\""] {
        let settings = good(&with_route(keys));
        assert_eq!(settings.routes.routes()[0].rule.access, Access::Authenticated);
    }
}

#[test]
fn route_defaults_fill_in_what_a_route_leaves_out() {
    let text = with_route("") + "[[route]]\npath = \"/b\"\naccess = \"public\"\nfrom = []\nmax_body = \"1B\"\n";
    let settings =
        good(&format!("{text}[route_defaults]\naccess = \"authenticated\"\nfrom = [\"main\"]\nmax_body = \"2B\"\n"));
    let [a, b] = settings.routes.routes() else { panic!() };
    assert_eq!((a.rule.access, a.rule.from.len(), a.forwarding.max_body), (Access::Authenticated, 1, 2));
    assert_eq!((b.rule.access, b.rule.from.len(), b.forwarding.max_body), (Access::Public, 0, 1));
}

#[test]
fn roles_of_a_route_outrank_an_inherited_public() {
    let settings = good(&(with_route("roles = [\"a\"]") + "[route_defaults]\naccess = \"public\"\n"));
    assert_eq!(settings.routes.routes()[0].rule.access, Access::Authenticated);
}

#[test]
fn inherited_roles_are_never_dropped_by_public() {
    let text = with_route("access = \"public\"") + "[route_defaults]\nroles = [\"a\"]\n";
    one_mistake(&text, "route[0].access (line 12): is \"public\", yet roles");
    assert!(read(&text.replace("= \"public\"", "= \"public\"\nroles = []")).is_ok());
}

#[test]
fn ties_name_both_routes() {
    let text = with_route("access = \"public\"") + "[[route]]\npath = \"/a/**\"\naccess = \"public\"\n";
    one_mistake(&text, "route[1] (line 13): ties with route[0] (line 10)");
}

#[test]
fn a_route_is_refused_when_it_points_nowhere() {
    let public = "access = \"public\"\n";
    for (keys, start) in [
        ("upstream = \"ap\"", "route[0].upstream (line 13): no upstream is called \"ap\"; did you mean \"app\"?"),
        ("encoded_slash = \"maybe\"", "route[0].encoded_slash"),
        ("strip_prefix = \"/b\"", "route[0].strip_prefix"),
        ("strip_prefix = \"/a/\"", "route[0].strip_prefix"),
        ("request_headers.set.\"X-Auth-Subject\" = \"root\"", "route[0].request_headers.set.X-Auth-Subject"),
        ("request_headers.set.\"X_Auth_Subject\" = \"root\"", "route[0].request_headers.set.X_Auth_Subject"),
        ("request_headers.set.Host = \"x\"", "route[0].request_headers.set.Host"),
        ("request_headers.remove = [\"Transfer-Encoding\"]", "route[0].request_headers.remove[0]"),
        ("request_headers.set.X-A = \"a\\nb\"", "route[0].request_headers.set.X-A"),
        ("cors = { origins = [\"*\"], credentials = true }", "route[0].cors.credentials"),
        ("cors = { origins = [\"https://a/\"] }", "route[0].cors.origins[0]"),
        ("cors = { origins = [\"https://A\"] }", "route[0].cors.origins[0]"),
        ("cors = { origins = [\"null\"] }", "route[0].cors.origins[0]"),
        ("cors = { credentials = true }", "route[0].cors"),
        ("accept = []", "route[0].accept"),
        ("methods = []", "route[0].methods"),
        ("methods = [\"GET\", \"GET\"]", "route[0].methods"),
    ] {
        one_mistake(&with_route(&format!("{public}{keys}")), start);
    }
    one_mistake(
        &with_route("access = \"authenticated\"\nfrom = [\"mian\"]"),
        "route[0].from[0] (line 13): no provider or issuer is called \"mian\"; did you",
    );
    one_mistake(&with_route("when = \"(((\""), "route[0].when (line 12): is no expression");
    one_mistake(&format!("{REST}[[route]]\npath = \"/.auth/x\"\naccess = \"public\"\n"), "route[0].path (line 11)");
    one_mistake(&format!("{REST}[[route]]\naccess = \"public\"\n"), "route[0].path (line 10): is missing");
}

#[test]
fn an_upstream_must_be_named_when_there_are_two() {
    let text = with_route("access = \"public\"") + "[[upstream]]\nname = \"other\"\nurl = \"http://b\"\n";
    one_mistake(&text, "route[0].upstream (line 10): is missing");
}

#[test]
fn upstreams_are_addresses_and_nothing_more() {
    for (keys, place) in [
        ("", "url"),
        ("url = \"http://a/b\"", "url"),
        ("url = \"http://u:p@a\"", "url"),
        ("url = \"http://a?x\"", "url"),
        ("url = \"ftp://a\"", "url"),
        ("url = \"unix:app.sock\"", "url"),
        ("url = \"http://a\"\nurls = [\"http://b\"]", "urls"),
        ("urls = []", "urls"),
        ("urls = [\"http://a\", \"https://b\"]", "urls[1]"),
        ("urls = [\"http://a\", \"http://a:80\"]", "urls[1]"),
        ("urls = [\"https://a\", \"https://b\"]", "server_name"),
        ("url = \"http://a\"\nserver_name = \"a\"", "server_name"),
        ("url = \"http://a\"\nread_timeout = \"0s\"", "read_timeout"),
        ("url = \"http://a\"\nhost = \"a b\"", "host"),
        ("url = \"https://a\"\nca = \"nowhere.pem\"", "ca"),
    ] {
        one_mistake(&format!("[[upstream]]\nname = \"app\"\n{keys}\n"), &format!("upstream[0].{place} "));
    }
    let two = "[[upstream]]\nname = \"a\"\nurl = \"http://a\"\n".repeat(2);
    one_mistake(&two, "upstream[1].name (line 5): the upstream \"a\" stands at upstream[0].name (line 2) already");
}

#[test]
fn the_name_of_a_certificate_is_the_host_unless_given() {
    let text = "[[upstream]]\nname = \"app\"\nurls = [\"https://A.example.com\"]\n";
    let upstream = good(text).upstreams.remove(0);
    assert_eq!(upstream.endpoints, [Endpoint::Tcp { host: "a.example.com".to_owned(), port: 443 }]);
    let Protocol::Https(tls) = upstream.protocol else { panic!() };
    assert_eq!(tls.server_name, "a.example.com");
    let ipv6 = good("[[upstream]]\nname = \"app\"\nurl = \"https://[::1]:8443\"\n").upstreams.remove(0);
    assert_eq!(ipv6.endpoints, [Endpoint::Tcp { host: "::1".to_owned(), port: 8443 }]);
}

/// `REST` with `line` of the issuer's replaced or added.
fn with_issuer(keys: &str) -> String {
    let given: Vec<&str> = keys.lines().filter_map(|line| line.split_once(" =")).map(|(key, _)| key).collect();
    let defaults = [
        ("name", "\"main\""),
        ("issuer", "\"https://issuer.example.com/\""),
        ("audience", "[\"my-api\"]"),
        ("algorithms", "[\"RS256\"]"),
    ];
    let rest = defaults.iter().filter(|(key, _)| !given.contains(key)).map(|(key, value)| format!("{key} = {value}\n"));
    format!("[[issuer]]\n{}{keys}\n", rest.collect::<String>())
}

#[test]
fn an_issuer_is_believed_only_on_exact_terms() {
    for (keys, place) in [
        ("audience = []", "audience"),
        ("audience = [\"\"]", "audience"),
        ("algorithms = []", "algorithms"),
        ("algorithms = [\"none\"]", "algorithms[0]"),
        ("algorithms = [\"HS512\"]", "algorithms[0]"),
        ("algorithms = [\"HS256\"]", "algorithms"),
        ("secret = \"env:SECRET\"", "algorithms"),
        ("secret = \"env:SECRET\"\nalgorithms = [\"HS256\", \"RS256\"]", "algorithms"),
        ("secret = \"0123456789abcdef0123456789abcdef\"\nalgorithms = [\"HS256\"]", "secret"),
        ("secret = \"env:SHORT\"\nalgorithms = [\"HS256\"]", "secret"),
        ("secret = \"env:NOTHING\"\nalgorithms = [\"HS256\"]", "secret"),
        ("secret = \"env:SECRET\"\nalgorithms = [\"HS256\"]\njwks_url = \"https://a\"", "secret"),
        ("issuer = \"http://issuer.example.com\"", "issuer"),
        ("issuer = \"issuer.example.com\"", "issuer"),
        ("issuer = \"http://a.example\"\njwks_url = \"https://a\"", "issuer"),
        ("jwks_url = \"http://10.0.0.1/keys\"", "jwks_url"),
        ("jwks_file = \"nowhere.json\"", "jwks_file"),
        ("name = \"api_key\"", "name"),
        ("name = \"a b\"", "name"),
        ("claims = { exp = \"never\" }", "claims.exp"),
        ("claims = { roles = \"\" }", "claims.roles"),
        ("verify = \"introspection\"", "verify"),
        ("client_secret = \"env:SECRET\"", "client_secret"),
        ("max_token_life = \"0s\"", "max_token_life"),
    ] {
        one_mistake(&with_issuer(keys), &format!("issuer[0].{place} "));
    }
    one_mistake(
        "[[issuer]]\nname = \"a\"\nissuer = \"https://a\"\nalgorithms = [\"RS256\"]\n",
        "issuer[0].audience (line 1): is missing",
    );
}

#[test]
fn one_iss_belongs_to_one_issuer() {
    let text = with_issuer("") + &with_issuer("name = \"other\"");
    one_mistake(&text, "issuer[1].issuer ");
}

#[test]
fn a_mistake_never_shows_what_a_variable_holds() {
    for keys in [
        "secret = \"env:SHORT\"\nalgorithms = [\"HS256\"]",
        "leeway = \"env:SHORT\"",
        "name = \"env:SPAN\"\nverify = \"env:SHORT\"",
    ] {
        let found = wrong(&with_issuer(keys)).join("\n");
        assert!(!found.is_empty() && !found.contains("hunter2"), "{found}");
    }
}

#[test]
fn a_key_set_without_a_usable_key_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let text = with_issuer("jwks_file = \"keys.json\"");
    for content in ["", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}"] {
        fs::write(dir.path().join("keys.json"), content).unwrap();
        let found = read_in(&text, dir.path()).unwrap_err();
        assert_eq!(found.0.len(), 1, "{content}: {found}");
    }
}

#[test]
fn identity_headers_cannot_be_headers_with_a_meaning_of_their_own() {
    for name in [
        "Host",
        "Connection",
        "Content-Length",
        "transfer-encoding",
        "Cookie",
        "Authorization",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "a b",
    ] {
        let found = wrong(&format!("[identity.headers]\n\"{name}\" = \"sub\"\n"));
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
    }
    let found = wrong("[identity.headers]\n\"X-User\" = \"sub\"\n\"X_User\" = \"email\"\n");
    assert!(found.len() == 1 && found[0].contains("one header to many backends"), "{found:#?}");
}

#[test]
fn how_the_caller_was_identified_is_told_whatever_headers_were_chosen() {
    let method = |text: &str| {
        let settings = good(text);
        let entries = settings.identity.entries.iter();
        entries.filter(|(name, claim)| name == "x-auth-method" && claim == "method").count()
    };
    assert_eq!(method("[identity.headers]\n\"Who\" = \"sub\"\n"), 1);
    assert_eq!(method("[identity.headers]\n\"x-auth-method\" = \"method\"\n\"How\" = \"method\"\n"), 1);
    for other in ["\"X-Auth-Method\" = \"sub\"", "\"X_Auth_Method\" = \"method\""] {
        let found = wrong(&format!("[identity.headers]\n{other}\n"));
        assert!(found.len() == 1 && found[0].contains("leave it out"), "{found:#?}");
    }
}

#[test]
fn role_routes_without_a_source_are_warned_about_when_there_are_two() {
    let other = with_issuer("name = \"other\"\nissuer = \"https://other\"");
    let text = with_route("roles = [\"admin\"]") + &other;
    let warnings = read(&text).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].to_string().starts_with("route[0].roles (line 12)"), "{warnings:?}");
    assert_eq!(read(&(with_route("roles = [\"admin\"]\nfrom = [\"main\"]") + &other)).unwrap().warnings, []);
}

#[test]
fn only_what_a_reload_cannot_change_asks_for_a_restart() {
    let old = good("");
    assert_eq!(restart_needed(&old, &good("server.max_header = \"8KiB\"\n")), Vec::<&str>::new());
    let new =
        good("[server]\nlisten = [\"[::]:1\"]\nthreads = 77\n[admin]\nlisten = \"127.0.0.1:2\"\nhealth = \"[::]:3\"\n");
    assert_eq!(restart_needed(&old, &new), ["server.listen", "server.threads", "admin.listen", "admin.health"]);
}

#[test]
fn the_default_headers_are_those_the_domain_calls_default() {
    let mut domain = crate::domain::headers::identity::IdentityHeaders::default();
    domain.entries.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    assert_eq!(*good("").identity, domain);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn a_torn_file_becomes_settings_or_mistakes(at in 0usize..17_000, gap in 0usize..40, patch in "[\\[\\]{}\"'=.,#\n a-z0-9-]{0,6}") {
        let text = include_str!("../../conf/doorward.toml");
        let (from, to) = (at.min(text.len()), (at + gap).min(text.len()));
        let (from, to) = (text.floor_char_boundary(from), text.floor_char_boundary(to));
        let torn = format!("{}{patch}{}", &text[..from], &text[to..]);
        if let Err(mistakes) = read(&torn) {
            proptest::prop_assert!(!mistakes.is_empty());
        }
    }
}

#[test]
fn a_file_nested_beyond_reason_is_a_mistake() {
    let deep = "[".repeat(100_000);
    assert!(!wrong(&format!("a = {deep}")).is_empty());
    let deep = "(".repeat(20_000);
    assert!(!wrong(&with_route(&format!("when = \"{deep}\""))).is_empty());
}
