use super::*;
use crate::domain::limit::{BuiltIn, OnStoreDown, Part, Rate};

const BASE: &str = "[[upstream]]\nname = \"app\"\nurl = \"http://127.0.0.1:3000\"\n\n";

fn read(text: &str) -> Result<Loaded, Vec<String>> {
    let world = World { env: &|_| None, secrets: Secrets::Literal };
    let read = from_text(&format!("{BASE}{text}"), Path::new("/nowhere"), &world);
    read.map_err(|mistakes| mistakes.0.iter().map(ToString::to_string).collect())
}

fn limit(keys: &str) -> String {
    format!("[[limit]]\nname = \"a\"\n{keys}\n\n")
}

fn route(keys: &str) -> String {
    format!("[[route]]\npath = \"/**\"\naccess = \"public\"\n{keys}\n\n")
}

fn one_mistake(text: &str, expected: &str) {
    let found = read(text).map(|_| ()).unwrap_err();
    assert!(found.len() == 1 && found[0].contains(expected), "{expected}: {found:#?}");
}

#[test]
fn a_limit_needs_a_name_and_a_rate_and_has_defaults_for_the_rest() {
    let route = route("limits = [\"a\"]").replace("public", "optional");
    let loaded = read(&(limit("rate = \"100/min\"") + &route)).unwrap();
    let limit = &loaded.settings.limits[0];
    assert_eq!((limit.rate, limit.bucket.burst, limit.key.as_slice()), (Rate::per_minute(100), 20, &[Part::User][..]));
    assert_eq!((limit.cost, limit.exact, limit.on_store_down), (1, false, OnStoreDown::Local));
    assert!(limit.headers && !limit.shadow);
    let of_route = &loaded.settings.routes.routes()[0].limits;
    assert_eq!((of_route.before.len(), of_route.after.len(), of_route.after[0].cost), (0, 1, 1));
    one_mistake(&limit_without("name"), "limit[0].name");
    one_mistake(&limit_without("rate"), "limit[0].rate");
}

fn limit_without(key: &str) -> String {
    let keys = [("name", "name = \"a\"\n"), ("rate", "rate = \"1/s\"\n")];
    let rest: String = keys.iter().filter(|(known, _)| *known != key).map(|(_, line)| *line).collect();
    format!("[[limit]]\n{rest}\n")
}

#[test]
fn what_makes_no_sense_is_a_mistake_with_its_place() {
    for rate in ["", "100", "100/week", "100/m", "0/min", "-1/s", "1.5/s", "1000001/s", "+5/s"] {
        one_mistake(&limit(&format!("rate = {rate:?}")), "limit[0].rate (line 7)");
    }
    let rated = |keys: &str| limit(&format!("rate = \"1/min\"\n{keys}"));
    one_mistake(&rated("burst = 0"), "limit[0].burst (line 8)");
    one_mistake(&rated("cost = 0"), "limit[0].cost (line 8)");
    one_mistake(&rated("burst = 5\ncost = 6"), "is above burst (5)");
    one_mistake(&rated("burst = 100000"), "30 days");
    one_mistake(&rated("key = []"), "is empty");
    one_mistake(&rated("key = [\"ip\", \"ip\"]"), "limit[0].key[1]");
    one_mistake(&rated("key = [\"tenant\"]"), "is nothing to count by");
    one_mistake(&rated("key = [\"header:a b\"]"), "is nothing to count by");
    one_mistake(&rated("on_store_down = \"open\""), "limit[0].on_store_down");
    one_mistake(&(rated("") + &rated("")), "the name \"a\" stands at limit[0]");
    one_mistake("[[limit]]\nname = \"otp\"\nrate = \"1/s\"\n", "not available yet");
    one_mistake("[[limit]]\nname = \"sign_in\"\nrate = \"1/s\"\n", "[brute_force]");
    assert!(read(&rated("key = [\"client\", \"ip\"]")).is_ok());
    assert!(read(&rated("key = [\"api_key\"]")).is_ok());
    assert!(read("[[limit]]\nname = \"api_key_invalid\"\nrate = \"1/s\"\n").is_ok());
    one_mistake("[limits]\nipv4_prefix = 33\n", "limits.ipv4_prefix");
    one_mistake("[limits]\nipv6_prefix = 0\n", "limits.ipv6_prefix");
}

#[test]
fn a_route_names_limits_that_are_there() {
    let ten = limit("rate = \"1/s\"\nburst = 10\nkey = [\"ip\"]");
    one_mistake(&(ten.clone() + &route("limits = [\"b\"]")), "no limit is called \"b\"");
    one_mistake(&(ten.clone() + &route("limits = [\"a\", \"a\"]")), "the limit \"a\" stands at");
    one_mistake(&(ten.clone() + &route("limits = [\"a\"]\ncost = 11")), "is above the burst of limit \"a\" (10)");
    let loaded = read(&(ten.clone() + &route("limits = [\"a\", \"ip\"]\ncost = 4\nmax_in_flight = 3"))).unwrap();
    let limits = &loaded.settings.routes.routes()[0].limits;
    assert_eq!((limits.before[0].cost, limits.before[1].cost, limits.max_in_flight), (4, 4, 3));
    let of_one = read(&(ten.clone() + &route("max_in_flight_per_user = 2"))).unwrap();
    assert_eq!(of_one.settings.routes.routes()[0].limits.max_in_flight_per_user, 2);
    let inherited = ten + &route("") + "[route_defaults]\nlimits = [\"a\"]\n";
    assert_eq!(read(&inherited).unwrap().settings.routes.routes()[0].limits.before.len(), 1);
}

/// Else the whole world would share one bucket.
#[test]
fn a_limit_that_counts_callers_needs_a_route_that_has_some() {
    let by_user = limit("rate = \"1/s\"");
    let named = route("limits = [\"a\"]");
    one_mistake(&(by_user.clone() + &named), "a public route knows none");
    let optional = read(&(by_user.clone() + &named.replace("public", "optional"))).unwrap();
    assert!(optional.warnings.iter().any(|it| it.text.contains("share one bucket")));
    assert_eq!(optional.settings.routes.routes()[0].limits.after.len(), 1);
    let inherited = by_user + &route("") + "[route_defaults]\nlimits = [\"a\", \"ip\"]\n";
    let limits = read(&inherited).unwrap().settings.routes.routes()[0].limits.clone();
    assert_eq!((limits.before.len(), limits.after.len()), (1, 0), "what a public route can count, it does");
}

/// Else all who sign in would share one bucket.
#[test]
fn a_limit_by_client_on_a_route_that_takes_sessions_is_a_warning() {
    let provider =
        "[[provider]]\nname = \"id\"\nkind = \"oidc\"\nissuer = \"https://id.test/\"\nclient_id = \"gate\"\n\n";
    let issuer = "[[issuer]]\nname = \"machines\"\nissuer = \"https://issuer.test\"\naudience = [\"app\"]\nalgorithms = [\"RS256\"]\n\n";
    let warned = |key: &str, keys: &str| {
        let route = route(&format!("limits = [\"a\"]\n{keys}")).replace("public", "authenticated");
        let text = [provider, issuer, &limit(&format!("rate = \"1/s\"\nkey = {key}")), &route].concat();
        let loaded = read(&text).unwrap();
        loaded.warnings.iter().any(|it| it.text.contains("sessions of one provider count together"))
    };
    assert!(warned("[\"client\"]", "") && warned("[\"client\", \"route\"]", "from = [\"id\"]"));
    assert!(!warned("[\"client\"]", "accept = [\"bearer\"]"));
    assert!(!warned("[\"client\"]", "from = [\"machines\"]"), "nobody signs in there");
    assert!(!warned("[\"client\", \"user\"]", ""), "each has a bucket of their own");
    assert!(!warned("[\"user\"]", ""));
}

#[test]
fn a_limit_by_key_on_a_route_that_takes_others_is_a_warning() {
    let shared =
        "[store]\nurl = \"redis://127.0.0.1:6379/0\"\nsecret = \"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"\n\n";
    let issuer = "[[issuer]]\nname = \"machines\"\nissuer = \"https://issuer.test\"\naudience = [\"app\"]\nalgorithms = [\"RS256\"]\n\n";
    let warned = |key: &str, keys: &str| {
        let route = route(&format!("limits = [\"a\"]\n{keys}")).replace("public", "authenticated");
        let text = [shared, issuer, &limit(&format!("rate = \"1/s\"\nkey = {key}")), &route].concat();
        read(&text).unwrap().warnings.iter().any(|it| it.text.contains("without one share one bucket"))
    };
    assert!(warned("[\"api_key\"]", ""));
    assert!(!warned("[\"api_key\"]", "accept = [\"api_key\"]"));
    assert!(!warned("[\"api_key\"]", "from = [\"api_key\"]"));
    assert!(!warned("[\"api_key\", \"user\"]", ""));
}

#[test]
fn built_in_limits_are_there_and_a_file_changes_what_it_says_of_them() {
    let bare = read(&route("")).unwrap().settings.limits;
    assert_eq!(bare, BuiltIn::ALL.map(BuiltIn::limit));
    let text = "[[limit]]\nname = \"refresh.family\"\nrate = \"20/min\"\nshadow = true\n\n";
    let changed = read(&(text.to_owned() + &route(""))).unwrap().settings.limits;
    assert_eq!(changed.len(), BuiltIn::ALL.len());
    assert_eq!((changed[0].rate, changed[0].bucket.burst, changed[0].exact), (Rate::per_minute(20), 30, true));
    assert!(changed[0].shadow && changed[0].key == [Part::Session]);
    let endpoint = "[[limit]]\nname = \"token_endpoint\"\nburst = 7\n\n";
    let changed = read(&(endpoint.to_owned() + &route(""))).unwrap().settings.limits;
    assert_eq!(
        (changed[0].rate, changed[0].bucket.burst, &changed[0].key[..]),
        (Rate::per_second(20), 7, &[Part::Ip][..])
    );
    let usage = "[[limit]]\nname = \"token_usage\"\nrate = \"50/min\"\n\n";
    let changed = read(&(usage.to_owned() + &route(""))).unwrap().settings.limits;
    assert!(changed[0].shadow && changed[0].rate == Rate::per_minute(50), "what it does not say stays");
    one_mistake(&(usage.to_owned() + &route("limits = [\"token_usage\"]")), "counts on every route already");
    one_mistake("[[limit]]\nname = \"ip\"\nkey = [\"user\"]\n", "is [\"ip\"] for the built-in limit");
}

#[test]
fn a_header_without_a_trusted_proxy_is_a_warning() {
    let text = limit("rate = \"1/s\"\nkey = [\"header:X-Tenant\"]") + &route("limits = [\"a\"]");
    let warned = |text: &str| read(text).unwrap().warnings.iter().any(|it| it.text.contains("trusted_proxies"));
    assert!(warned(&text));
    assert!(!warned(&format!("[server]\ntrusted_proxies = [\"10.0.0.1\"]\n\n{text}")));
}
