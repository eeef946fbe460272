//! What the tables of sign-in may say: sessions, tokens, keys, devices, providers, pages, and the routes that count on
//! them.

use super::*;
use crate::domain::policy::route::{Csrf, OnUnauthenticated};
use settings::{Delivery, DeviceWeights, Mode, OnLimit, OnMismatch, ProviderKind, Renewal, Rotation, SameSite};

/// A provider; five lines.
const OIDC: &str = r#"[[provider]]
name = "people"
kind = "oidc"
issuer = "https://id.example.com/"
client_id = "gate"
"#;

const MINUTE: Duration = Duration::from_secs(60);

/// An upstream, a provider and a route with `keys`, which begin on line 11.
fn signed_in_route(keys: &str) -> String {
    format!("[[upstream]]\nname = \"app\"\nurl = \"http://127.0.0.1:3000\"\n{OIDC}[[route]]\npath = \"/**\"\n{keys}\n")
}

/// What `check` would warn of, but for a missing secret of the store and missing routes.
#[track_caller]
fn warnings(text: &str) -> Vec<String> {
    let loaded = read(text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    let known = ["store.secret", "route"];
    let others = loaded.warnings.iter().filter(|warning| !known.contains(&warning.place.path.as_str()));
    others.map(ToString::to_string).collect()
}

#[track_caller]
fn one_warning(text: &str, start: &str) {
    let found = warnings(text);
    assert!(found.len() == 1 && found[0].starts_with(start), "expected {start:?}, found {found:#?}\nin {text}");
}

#[test]
fn sessions_are_what_is_documented_when_nothing_is_said() {
    let settings = good(OIDC);
    let session = settings.session;
    assert_eq!((session.mode, session.delivery, session.renewal), (Mode::Jwt, Delivery::Cookie, Renewal::Transparent));
    assert_eq!((session.max_per_user, session.on_limit), (5, OnLimit::EvictOldest));
    assert_eq!((session.idle_timeout, session.absolute_timeout), (30 * MINUTE, 720 * MINUTE));
    assert_eq!((session.warn_before, session.same_site, session.cookie_domain), (5 * MINUTE, SameSite::Lax, None));
    let tokens = settings.tokens;
    assert_eq!(tokens.audience, ["http://localhost:8080"]);
    assert_eq!((tokens.access_ttl, tokens.refresh_ttl), (15 * MINUTE, 30 * 1440 * MINUTE));
    assert_eq!((tokens.rotation, tokens.reuse_grace), (Rotation::Always, Duration::from_secs(30)));
    assert_eq!((tokens.token_endpoint_grace, tokens.session_claim.name()), (Duration::ZERO, "sid"));
    let keys = settings.keys;
    assert_eq!((keys.rotate_every, keys.publish_ahead), (30 * 1440 * MINUTE, 1440 * MINUTE));
    assert_eq!(keys.overlap, 2880 * MINUTE);
    assert_eq!((settings.device.level.threshold(), settings.device.on_mismatch), (Some(850), OnMismatch::StepUp));
    assert_eq!(settings.device.risk_ttl.medium, 7 * 1440 * MINUTE);
    assert_eq!(settings.device.risk_ttl.high, Duration::ZERO);
}

#[test]
fn the_grace_of_a_refresh_token_depends_on_who_carries_it() {
    for (text, browser, client) in [
        ("session.delivery = \"cookie\"", 30, 0),
        ("session.delivery = \"memory\"", 30, 0),
        ("session.delivery = \"body\"", 0, 0),
        ("session.delivery = \"body\"\ntokens.reuse_grace = \"7s\"", 7, 7),
        ("tokens.reuse_grace = \"0s\"", 0, 0),
    ] {
        let tokens = good(text).tokens;
        assert_eq!((tokens.reuse_grace.as_secs(), tokens.token_endpoint_grace.as_secs()), (browser, client), "{text}");
    }
}

#[test]
fn spans_of_time_must_fit_into_one_another() {
    for (text, start) in [
        ("[tokens]\naccess_ttl = \"31m\"", "tokens.access_ttl (line 2): tokens.access_ttl (31m) is longer than"),
        ("[session]\nidle_timeout = \"10m\"", "session.idle_timeout (line 2): tokens.access_ttl (15m) is longer than"),
        ("[tokens]\naccess_ttl = \"0s\"", "tokens.access_ttl (line 2): leaves no time"),
        ("[tokens]\nrefresh_ttl = \"0s\"", "tokens.refresh_ttl (line 2): leaves no time"),
        ("[session]\nabsolute_timeout = \"0s\"", "session.absolute_timeout (line 2): leaves no time"),
        ("[session]\nwarn_before = \"30m\"", "session.warn_before (line 2): is not shorter than idle_timeout (30m)"),
        ("[session]\nmax_per_user = 0", "session.max_per_user (line 2): lets nobody"),
        ("[keys]\nrotate_every = \"0s\"", "keys.rotate_every (line 2): leaves no time"),
        ("[keys]\nrotate_every = \"24h\"", "keys.rotate_every (line 2): publish_ahead (1d) is not shorter"),
        ("[keys]\npublish_ahead = \"30d\"", "keys.publish_ahead (line 2): publish_ahead (30d) is not shorter"),
    ] {
        one_mistake(text, start);
    }
    assert!(wrong("[tokens]\naccess_ttl = \"30m\"").is_empty(), "exactly as long is not longer");
}

#[test]
fn a_warning_shrinks_with_a_short_session() {
    let text = "[session]\nidle_timeout = \"60s\"\n[tokens]\naccess_ttl = \"30s\"\n";
    assert_eq!(good(text).session.warn_before, Duration::from_secs(10));
}

#[test]
fn spans_that_never_count_are_warned_about() {
    for (text, start) in [
        (
            "[tokens]\nrefresh_ttl = \"13h\"",
            "tokens.refresh_ttl (line 2): is longer than session.absolute_timeout (12h)",
        ),
        ("[tokens]\nrefresh_ttl = \"1m\"", "tokens.refresh_ttl (line 2): ends before the first access token"),
        ("[session]\nidle_timeout = \"13h\"", "session.idle_timeout (line 2): is longer than absolute_timeout"),
        ("[device]\nrisk_ttl = { medium = \"14m\" }", "device.risk_ttl.medium (line 2): ends before the access token"),
        (
            "[tokens]\nnesting = \"jws_of_jwe\"\n[session]\nmode = \"opaque\"",
            "tokens.nesting (line 2): says nothing: with mode = \"opaque\"",
        ),
        ("[keys]\noverlap = \"14m\"", "keys.overlap (line 2): is shorter than tokens.access_ttl"),
    ] {
        one_warning(&format!("{text}\n{OIDC}"), start);
    }
    assert_eq!(warnings(OIDC), Vec::<String>::new(), "a default is nobody's mistake");
}

#[test]
fn a_handle_travels_in_a_cookie_only() {
    for delivery in ["memory", "body"] {
        let text = format!("[session]\nmode = \"opaque\"\ndelivery = \"{delivery}\"\n");
        one_mistake(&text, "session.delivery (line 3): mode \"opaque\" has no token");
    }
    assert_eq!(good("session.mode = \"opaque\"").session.delivery, Delivery::Cookie);
}

#[test]
fn only_cookies_are_renewed_transparently() {
    assert_eq!(good("session.delivery = \"memory\"").session.renewal, Renewal::Endpoint);
    assert_eq!(good("session = { delivery = \"body\", renewal = \"off\" }").session.renewal, Renewal::Off);
    let text = format!("session = {{ delivery = \"body\", renewal = \"transparent\" }}\n{OIDC}");
    one_warning(&text, "session.renewal (line 1): reads as \"endpoint\"");
}

#[test]
fn words_of_a_fixed_set_are_spelt_out() {
    for (key, words) in [
        ("session.mode", "\"jwt\", \"opaque\""),
        ("session.on_limit", "\"evict_oldest\", \"reject\", \"single\""),
        ("session.cookie.same_site", "\"lax\", \"strict\", \"none\""),
        ("tokens.rotation", "\"always\", \"never\""),
        ("tokens.session_claim", "\"sid\", \"session_id\""),
        ("keys.algorithm", "\"ES256\", \"EdDSA\", \"RS256\""),
        ("device.level", "\"off\", \"relaxed\", \"normal\", \"strict\""),
        ("device.on_mismatch", "\"log\", \"step_up\", \"deny\", \"logout\""),
    ] {
        one_mistake(&format!("{key} = \"else\""), &format!("{key} (line 1): \"else\" is none of {words}"));
    }
}

#[test]
fn an_audience_is_never_empty() {
    assert_eq!(good("tokens.audience = [\"a\", \"b\"]").tokens.audience, ["a", "b"]);
    assert_eq!(good("server.public_url = [\"https://a\", \"https://b\"]").tokens.audience, ["https://a"]);
    one_mistake("tokens.audience = []", "tokens.audience (line 1): is empty");
    one_mistake("tokens.audience = \"\"", "tokens.audience (line 1): is empty");
}

#[test]
fn the_domain_of_a_cookie_is_one_that_browsers_take() {
    for domain in ["com", "10.0.0.1", "a b", "a..b", ".example.com", "Example.com", "example.com:8080", "*.example.com"]
    {
        one_mistake(&format!("session.cookie.domain = \"{domain}\""), "session.cookie.domain (line 1): ");
    }
    let shared = format!("session.cookie.domain = \"example.com\"\n{OIDC}server.public_url = ");
    let shared = |urls: &str| shared.replace("server.public_url = ", &format!("[server]\npublic_url = {urls}\n"));
    one_mistake(&shared("\"https://other.org\""), "session.cookie.domain (line 1): holds no public_url");
    one_mistake(&shared("\"https://badexample.com\""), "session.cookie.domain (line 1): holds no public_url");
    let session = good(&shared("[\"https://app.example.com\", \"https://other.org\"]")).session;
    assert_eq!(session.domain_for("app.example.com"), Some("example.com"));
    assert_eq!(session.domain_for("other.org"), None, "an origin elsewhere keeps its cookies to itself");
}

#[test]
fn clear_text_beyond_this_machine_is_warned_about_where_people_sign_in() {
    let server = "[server]\npublic_url = [\"http://localhost\", \"http://app.example.com\"]\n";
    one_warning(&format!("{server}{OIDC}"), "server.public_url[1] (line 2): people sign in over plain http");
    assert_eq!(warnings(server), Vec::<String>::new());
    let text = format!("session.cookie.same_site = \"none\"\n{server}{OIDC}");
    one_mistake(&text, "session.cookie.same_site (line 1): \"none\" needs https");
}

#[test]
fn origins_of_others_are_written_as_browsers_do() {
    let settings = good("[server]\ncsrf_origins = [\"https://a\"]\nreturn_to_origins = [\"https://b:8443\"]\n");
    assert_eq!(settings.server.csrf_origins, ["https://a"]);
    assert_eq!(settings.server.return_to_origins, ["https://b:8443"]);
    for origin in ["https://a/", "https://A", "https://a:443", "a", "*", "null", "https://u@a", "https://*.a"] {
        for key in ["csrf_origins", "return_to_origins"] {
            one_mistake(&format!("[server]\n{key} = [\"{origin}\"]\n"), &format!("server.{key}[0] (line 2)"));
        }
    }
}

#[test]
fn weights_are_shares_of_a_whole() {
    let weights = |text: &str| good(&format!("device.weights = {text}")).device.weights;
    let default = DeviceWeights { user_agent: 400, screen_resolution: 300, timezone: 200, accept_language: 100 };
    assert_eq!(good("").device.weights, default);
    assert_eq!(weights("{ user_agent = 4, screen_resolution = 3, timezone = 2.0, accept_language = 1 }"), default);
    let thirds = weights("{ user_agent = 0.1, timezone = 0.1, accept_language = 0.1 }");
    let expected = DeviceWeights { user_agent: 334, screen_resolution: 0, timezone: 333, accept_language: 333 };
    assert_eq!(thirds, expected);
}

#[test]
fn devices_are_told_what_cannot_be_compared() {
    for (text, start) in [
        ("weights = { user_agent = 0.0 }", "device.weights.user_agent (line 2): is not above 0"),
        ("weights = { user_agent = -0.1 }", "device.weights.user_agent (line 2): a number from 0 on"),
        ("weights = { user_agent = inf }", "device.weights.user_agent (line 2): a number from 0 on"),
        ("weights = { user_agent = 1e3 }", "device.weights.user_agent (line 2): a number from 0 on"),
        ("weights = { user_agent = \"a lot\" }", "device.weights.user_agent (line 2): a number from 0 on"),
        ("weights = { time_zone = 1 }", "device.weights.time_zone (line 2): unknown key; did you mean \"timezone\"?"),
        ("weights = {}", "device.weights (line 2): is empty"),
        ("risk_ttl = { lowest = \"1d\" }", "device.risk_ttl.lowest (line 2): unknown key"),
        ("risk_ttl = { medium = \"31d\" }", "device.risk_ttl.medium (line 2): is longer than low"),
        ("risk_ttl = { high = \"8d\" }", "device.risk_ttl.high (line 2): is longer than medium"),
        ("risk_ttl = { low = \"soon\" }", "device.risk_ttl.low (line 2): \"soon\" is no span of time"),
    ] {
        let found = wrong(&format!("[device]\n{text}\n"));
        assert!(found.iter().any(|text| text.starts_with(start)), "expected {start:?}, found {found:#?}");
    }
}

/// `OIDC` with lines replaced or added.
fn with_provider(keys: &str) -> String {
    let given: Vec<&str> = keys.lines().filter_map(|line| line.split_once(" =")).map(|(key, _)| key).collect();
    let kept = OIDC.lines().filter(|line| line.split_once(" =").is_none_or(|(key, _)| !given.contains(&key)));
    kept.chain(keys.lines()).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_provider_is_understood_with_what_it_needs() {
    let text = with_provider("client_secret = \"env:CLIENT\"\nroles_claim = \"realm_access.roles\"\nuserinfo = true");
    let provider = good(&text).providers.remove(0);
    assert_eq!(provider.name.as_str(), "people");
    let ProviderKind::Oidc { issuer, client_id, client_secret, scopes, roles_claim, ca, userinfo, trust_email } =
        provider.kind
    else {
        panic!("it is no file of users")
    };
    assert_eq!((issuer.as_str(), client_id.as_str()), ("https://id.example.com/", "gate"));
    assert!(client_secret.unwrap().matches(b"hunter2"), "a provider's own secret may be short");
    assert_eq!(scopes, ["openid", "profile", "email", "offline_access"]);
    assert_eq!((roles_claim.as_str(), ca, userinfo, trust_email), ("realm_access.roles", None, true, false));
}

#[test]
fn a_provider_is_told_what_it_lacks() {
    for (keys, place) in [
        ("issuer = \"http://id.example.com\"", "issuer"),
        ("issuer = \"id.example.com\"", "issuer"),
        ("client_id = \"\"", "client_id"),
        ("client_secret = \"hunter2\"", "client_secret"),
        ("client_secret = \"env:EMPTY\"", "client_secret"),
        ("client_secret = \"env:NOTHING\"", "client_secret"),
        ("scopes = [\"profile\"]", "scopes"),
        ("scopes = [\"openid\", \"a b\"]", "scopes[1]"),
        ("roles_claim = \".roles\"", "roles_claim"),
        ("ca = \"nowhere.pem\"", "ca"),
        ("users = \"users.toml\"", "users"),
        ("kind = \"saml\"", "kind"),
        ("name = \"api_key\"", "name"),
        ("name = \"handoff\"", "name"),
        ("name = \"..\"", "name"),
        ("name = \"a/b\"", "name"),
    ] {
        one_mistake(&with_provider(keys), &format!("provider[0].{place} (line "));
    }
    let found = wrong("[[provider]]\nkind = \"oidc\"\n");
    assert_eq!(found.len(), 3, "name, issuer and client_id are missing: {found:#?}");
    assert!(wrong("[[provider]]\nname = \"x\"\n")[0].starts_with("provider[0].kind (line 1): is missing"));
    assert!(read(&with_provider("issuer = \"http://127.0.0.1:9000\"")).is_ok());
}

#[test]
fn local_users_stand_in_a_file_that_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let text = "[[provider]]\nname = \"local\"\nkind = \"local\"\nusers = \"users.toml\"\n";
    let found = read_in(text, dir.path()).unwrap_err().to_string();
    assert!(found.starts_with("provider[0].users (line 4): ") && found.contains("there is no such file"), "{found}");
    fs::write(dir.path().join("users.toml"), "").unwrap();
    let settings = read_in(text, dir.path()).unwrap().settings;
    let users = dir.path().join("users.toml");
    assert!(matches!(&settings.providers[0].kind, ProviderKind::Local { users: found } if *found == users));
    assert!(settings.files.contains(&users));
    let found = read_in(&format!("{text}issuer = \"https://a\"\n"), dir.path()).unwrap_err().to_string();
    assert!(found.starts_with("provider[0].issuer (line 5): says nothing with kind = \"local\""), "{found}");
    let second = text.replace("\"local\"\nkind", "\"other\"\nkind");
    let found = read_in(&format!("{text}{second}"), dir.path()).unwrap_err().to_string();
    assert!(found.starts_with("provider[1].kind (line 7): provider[0].kind (line 3) is local already"), "{found}");
    one_mistake("[[provider]]\nname = \"x\"\nkind = \"local\"\n", "provider[0].users (line 1): is missing");
    one_mistake("[[provider]]\nname = \"x\"\nkind = \"local\"\nusers = \"\"\n", "provider[0].users (line 4): is empty");
}

#[test]
fn providers_and_issuers_share_their_names() {
    let text = format!("{OIDC}{}", with_issuer("name = \"people\""));
    one_mistake(&text, "issuer[0].name (line 10): the name \"people\" stands at provider[0].name (line 2) already");
    one_mistake(&format!("{OIDC}{OIDC}"), "provider[1].name (line 7): the name \"people\"");
    let both = format!("{OIDC}{}", with_issuer("issuer = \"https://id.example.com/\""));
    assert!(wrong(&both).is_empty(), "one provider may sign people in and vouch for machines");
}

#[test]
fn nobody_else_issues_tokens_under_our_name() {
    let text = with_issuer("issuer = \"http://localhost:8080\"");
    one_mistake(&format!("{OIDC}{text}"), "issuer[0].issuer (line 10): is the first public_url");
    assert!(read(&text).is_ok(), "where nobody signs in, there are no tokens of ours");
}

#[test]
fn a_route_takes_sessions_and_bearer_tokens_unless_it_says_otherwise() {
    let route = |keys: &str| good(&signed_in_route(keys)).routes.routes()[0].clone();
    let rule = route("access = \"authenticated\"").rule;
    assert!(rule.accepts_session && rule.accepts_bearer);
    let rule = route("access = \"authenticated\"\naccept = [\"session\"]").rule;
    assert!(rule.accepts_session && !rule.accepts_bearer);
    let rule = route("access = \"authenticated\"\naccept = [\"bearer\"]").rule;
    assert!(!rule.accepts_session && rule.accepts_bearer);
    let rule = good(&with_route("access = \"authenticated\"")).routes.routes()[0].rule.clone();
    assert!(!rule.accepts_session, "without a provider nobody has a session");
    assert!(!rule.accepts_api_key, "without an operator nobody has a key");
}

#[test]
fn a_route_says_how_it_treats_browsers() {
    let route =
        |keys: &str| good(&signed_in_route(&format!("access = \"authenticated\"\n{keys}"))).routes.routes()[0].clone();
    let default = route("");
    assert_eq!((default.csrf, default.activity, default.unauthenticated), (Csrf::On, true, OnUnauthenticated::Auto));
    assert_eq!(route("csrf = \"strict\"").csrf, Csrf::Strict);
    assert_eq!(route("csrf = false").csrf, Csrf::Off);
    assert!(!route("activity = false").activity);
    assert_eq!(route("on_unauthenticated = \"login\"").unauthenticated, OnUnauthenticated::Login);
    let start = "route[0].csrf (line 12): true, false or \"strict\"";
    one_mistake(&signed_in_route("access = \"authenticated\"\ncsrf = \"lax\""), start);
}

#[test]
fn nobody_is_sent_to_a_sign_in_that_could_not_help() {
    let login = "access = \"authenticated\"\non_unauthenticated = \"login\"";
    let start = "route[0].on_unauthenticated (line 13): is \"login\", but there is no [[provider]]";
    one_mistake(&with_route(login), start);
    let text = signed_in_route(&format!("{login}\naccept = [\"bearer\"]"));
    one_mistake(&text, "route[0].on_unauthenticated (line 12): is \"login\", but the session");
    assert!(wrong(&signed_in_route("access = \"public\"\non_unauthenticated = \"login\"")).is_empty());
}

#[test]
fn a_route_for_sessions_stands_where_a_cookie_can_reach_it() {
    let route = |host: &str| signed_in_route(&format!("access = \"authenticated\"\nhost = \"{host}\""));
    let elsewhere = route("api.example.com");
    one_mistake(&elsewhere, "route[0].host (line 12): accepts sessions on a host that no server.public_url has");
    assert!(wrong(&format!("{elsewhere}accept = [\"bearer\"]\n")).is_empty());
    assert!(wrong(&elsewhere.replace("\"authenticated\"", "\"public\"")).is_empty());
    assert!(wrong(&elsewhere.replace(OIDC, &with_issuer(""))).is_empty(), "without a provider there are no sessions");
    let reached = |text: &str, urls: &str, domain: &str| {
        wrong(&format!("{text}[server]\npublic_url = {urls}\n[session]\ncookie.domain = \"{domain}\"\n"))
    };
    assert_eq!(reached(&elsewhere, "[\"https://www.example.com\", \"https://api.example.com:8443\"]", ""), [""; 0]);
    assert_eq!(reached(&elsewhere, "\"https://www.example.com\"", "example.com"), [""; 0]);
    assert_eq!(reached(&elsewhere, "\"https://www.example.com\"", "").len(), 1);
    assert_eq!(reached(&route("*.example.com"), "\"https://www.example.com\"", ""), [""; 0]);
    assert_eq!(reached(&route("*.example.com"), "\"https://example.com\"", "").len(), 1);
    assert_eq!(reached(&route("*.example.com"), "\"https://example.com\"", "example.com"), [""; 0]);
    assert_eq!(reached(&route("[::1]"), "\"http://[::1]:8080\"", ""), [""; 0]);
}

#[test]
fn a_host_inherited_by_many_routes_is_one_mistake() {
    let text = signed_in_route("access = \"authenticated\"\n[[route]]\npath = \"/a\"\naccess = \"authenticated\"");
    one_mistake(&format!("{text}[route_defaults]\nhost = \"api.example.com\"\n"), "route_defaults.host (line ");
}

#[test]
fn a_route_may_name_the_provider_its_callers_come_from() {
    let route = good(&signed_in_route("roles = [\"a\"]\nfrom = [\"people\"]")).routes.routes()[0].clone();
    assert_eq!(route.rule.from[0].as_str(), "people");
    let text = signed_in_route("roles = [\"a\"]\nfrom = [\"poeple\"]");
    one_mistake(
        &text,
        "route[0].from[0] (line 12): no provider or issuer is called \"poeple\"; did you mean \"people\"?",
    );
}

#[test]
fn a_provider_is_a_source_of_roles_like_an_issuer() {
    let both = signed_in_route("roles = [\"a\"]") + &with_issuer("");
    one_warning(&both, "route[0].roles (line 11): names no source (from)");
    assert_eq!(warnings(&signed_in_route("roles = [\"a\"]")), Vec::<String>::new());
}

#[test]
fn what_nobody_could_present_is_warned_about() {
    let session = "access = \"authenticated\"\naccept = [\"session\"]";
    let found = read(&with_route(session)).unwrap().warnings;
    let places: Vec<&str> = found.iter().map(|warning| warning.place.path.as_str()).collect();
    assert_eq!(places, ["route[0]", "route[0].accept"]);
    assert_eq!(warnings(&signed_in_route(session)), Vec::<String>::new());
    one_warning("[session]\nmax_per_user = 1\n", "session (line 1): says nothing: there is no [[provider]]");
}

#[test]
fn pages_take_nothing_that_could_be_more_than_it_looks() {
    let text = "[pages]\ntitle = \"Acme\"\nlogo = \"/brand/logo.svg\"\ncolour = \"#1A56DB\"\n";
    let pages = good(text).pages;
    assert_eq!((pages.title.as_str(), pages.logo.as_deref()), ("Acme", Some("/brand/logo.svg")));
    assert_eq!(pages.colour.as_deref(), Some("#1a56db"));
    for logo in ["https://cdn.example.com/a.png", "data:image/png;base64,AAAA"] {
        assert!(wrong(&format!("pages.logo = \"{logo}\"")).is_empty(), "{logo}");
    }
    for (key, value) in [
        ("title", " ".to_owned()),
        ("title", "a\\nb".to_owned()),
        ("title", "a".repeat(81)),
        ("logo", "logo.svg".to_owned()),
        ("logo", "//evil.example/a".to_owned()),
        ("logo", "http://cdn.example.com/a.png".to_owned()),
        ("logo", "javascript:alert(1)".to_owned()),
        ("logo", "data:text/html;base64,AAAA".to_owned()),
        ("logo", "data:image/png,<svg onload=x>".to_owned()),
        ("logo", "https://a/b; script-src *".to_owned()),
        ("logo", "/a'onerror='x".to_owned()),
        ("logo", format!("data:image/png;base64,{}", "A".repeat(33_000))),
        ("colour", "blue".to_owned()),
        ("colour", "#12345".to_owned()),
        ("colour", "#12345g".to_owned()),
        ("colour", "#000;x:y".to_owned()),
    ] {
        one_mistake(&format!("pages.{key} = \"{value}\""), &format!("pages.{key} (line 1)"));
    }
}
