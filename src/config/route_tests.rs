//! What a route may say of how dear a mistake there is, and of the credentials it takes.

use super::*;

/// People who sign in, and a route with these keys.
fn with_people(keys: &str) -> String {
    let local =
        "[[provider]]\nname = \"local\"\nkind = \"oidc\"\nissuer = \"https://id.example.com/\"\nclient_id = \"gate\"\n";
    format!("{local}{}", with_route(keys))
}

fn warned_of_handles(text: &str) -> bool {
    let loaded = read(text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
    loaded.warnings.iter().any(|warning| warning.to_string().contains("handles have none"))
}

#[test]
fn what_is_sensitive_asks_for_a_credential() {
    let text = with_route("access = \"public\"\nsensitive = true");
    one_mistake(&text, "route[0].sensitive (line 13): is true on a public route");
    let routes = good(&with_route("access = \"authenticated\"\nsensitive = true")).routes;
    assert!(routes.routes()[0].sensitive);
    let inherited = format!("[route_defaults]\nsensitive = true\n\n{}", with_route("access = \"public\""));
    assert!(!good(&inherited).routes.routes()[0].sensitive, "nothing is used up there");
}

#[test]
fn a_handle_that_can_be_replayed_on_a_sensitive_route_is_warned_about() {
    let opaque = |keys: &str| format!("session.mode = \"opaque\"\n{}", with_people(keys));
    assert!(warned_of_handles(&opaque("access = \"authenticated\"\nsensitive = true")));
    assert!(!warned_of_handles(&opaque("access = \"authenticated\"\nsensitive = true\naccept = [\"bearer\"]")));
    assert!(!warned_of_handles(&opaque("access = \"authenticated\"")));
    assert!(!warned_of_handles(&with_people("access = \"authenticated\"\nsensitive = true")), "tokens count once");
}

#[test]
fn a_route_takes_api_keys_where_somebody_can_make_them_and_unless_it_says_otherwise() {
    let shared = "[store]\nurl = \"redis://127.0.0.1:6379/0\"\nsecret = \"env:SEALING\"\n\n";
    let rule = |keys: &str| {
        let text = format!("{shared}{}", with_route(&format!("access = \"authenticated\"\n{keys}")));
        good(&text).routes.routes()[0].rule.clone()
    };
    assert!(rule("").accepts_api_key && rule("accept = [\"api_key\"]").accepts_api_key);
    assert!(!rule("accept = [\"bearer\"]").accepts_api_key);
    assert_eq!(rule("from = [\"api_key\"]").from[0].as_str(), "api_key");
    let nobody = with_route("access = \"authenticated\"\naccept = [\"api_key\"]");
    let warned = |text: &str, what: &str| read(text).unwrap().warnings.iter().any(|it| it.to_string().contains(what));
    assert!(warned(&nobody, "nobody could make one"));
    let sensitive = format!("{shared}{}", with_route("access = \"authenticated\"\nsensitive = true"));
    assert!(warned(&sensitive, "API keys are no tokens"));
    assert!(!warned(&format!("{shared}{nobody}"), "nobody could make one"), "somebody may, at another replica");
}
