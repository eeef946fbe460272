use super::super::fixture::{claims_with, issuer, rs256, verdict, NOW};
use super::*;
use serde_json::json;

fn refused(changes: Value) -> Option<Code> {
    verdict(&rs256(&claims_with(changes))).err()
}

fn accepted(changes: Value) -> Principal {
    verdict(&rs256(&claims_with(changes))).unwrap()
}

/// The caller of an issuer with these `claims`.
fn mapped(mapping: &[(&str, &str)], changes: Value) -> Result<Principal, Denial> {
    let mut issuer = issuer();
    issuer.claims = mapping.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
    principal(claims_with(changes).as_object().unwrap(), Kind::Jwt, &issuer, NOW)
}

const INVALID: Option<Code> = Some(Code::TokenInvalid);

#[test]
fn the_issuer_is_compared_byte_for_byte() {
    for iss in
        ["https://id.example.com", "https://ID.example.com/", "https://id.example.com//", "https://íd.example.com/", ""]
    {
        assert_eq!(refused(json!({ "iss": iss })), INVALID, "{iss}");
    }
    assert_eq!(refused(json!({ "iss": ["https://id.example.com/"] })), INVALID);
    assert_eq!(refused(json!({ "iss": null })), INVALID);
}

#[test]
fn the_audience_must_name_us_and_hold_nothing_but_strings() {
    for aud in [
        json!("nobody"),
        json!([]),
        json!(["nobody"]),
        json!(["api", 7]),
        json!(["api", null]),
        json!([["api"]]),
        json!({ "api": 1 }),
        json!(7),
        json!("api other-api"),
        json!("API"),
    ] {
        assert_eq!(refused(json!({ "aud": aud })), INVALID, "{aud}");
    }
    assert_eq!(refused(json!({ "aud": null })), INVALID);
    for aud in [json!("api"), json!("other-api"), json!(["nobody", "api"])] {
        assert_eq!(accepted(json!({ "aud": aud })).subject, "u1");
    }
}

#[test]
fn a_time_of_the_wrong_type_is_refused_and_not_read_as_absent() {
    for name in ["exp", "nbf", "iat"] {
        for time in [json!("1800000600"), json!(-1), json!(-0.5), json!(1e300), json!([NOW.0]), json!(true), json!({})]
        {
            assert_eq!(refused(json!({ name: time })), INVALID, "{name} {time}");
        }
        let mut payload = claims_with(json!({})).as_object().unwrap().clone();
        payload.insert(name.to_owned(), Value::Null);
        assert!(principal(&payload, Kind::Jwt, &issuer(), NOW).is_err(), "{name} null");
    }
    assert_eq!(refused(json!({ "exp": null })), INVALID);
}

#[test]
fn a_token_lives_until_the_last_second_of_its_leeway() {
    assert_eq!(accepted(json!({ "exp": NOW.0 - 29 })).expires, UnixTime(NOW.0 + 1));
    assert_eq!(refused(json!({ "exp": NOW.0 - 30 })), Some(Code::TokenExpired));
    assert_eq!(refused(json!({ "exp": 0 })), Some(Code::TokenExpired));
}

#[test]
fn a_fraction_of_a_second_is_accepted_and_given_away() {
    assert_eq!(accepted(json!({ "exp": 1_800_000_600.9 })).expires, UnixTime(1_800_000_630));
    assert_eq!(accepted(json!({ "nbf": 1_799_999_999.5 })).subject, "u1");
    assert_eq!(refused(json!({ "nbf": 1_800_000_030.5 })), INVALID);
}

#[test]
fn a_token_from_the_future_is_refused() {
    for name in ["nbf", "iat"] {
        assert_eq!(accepted(json!({ name: NOW.0 + 30 })).subject, "u1");
        assert_eq!(refused(json!({ name: NOW.0 + 31 })), INVALID);
        assert_eq!(refused(json!({ name: u64::MAX })), INVALID);
    }
}

#[test]
fn a_token_that_lives_too_long_is_refused() {
    assert_eq!(accepted(json!({ "exp": NOW.0 + 24 * 3600 + 30 })).subject, "u1");
    assert_eq!(refused(json!({ "exp": NOW.0 + 24 * 3600 + 31 })), INVALID);
    assert_eq!(refused(json!({ "exp": u64::MAX })), INVALID);
}

#[test]
fn a_subject_is_a_short_printable_string() {
    for sub in [
        json!(""),
        json!(7),
        json!(["u1"]),
        json!({}),
        json!("a\nb"),
        json!("a\u{0}b"),
        json!("a\u{85}b"),
        json!("x".repeat(256)),
        json!("x".repeat(4096)),
    ] {
        assert_eq!(refused(json!({ "sub": sub })), INVALID, "{sub}");
    }
    assert_eq!(refused(json!({ "sub": null })), INVALID);
    assert_eq!(accepted(json!({ "sub": "x".repeat(255) })).subject.len(), 255);
    assert_eq!(accepted(json!({ "sub": "auth0|zoë" })).subject, "auth0|zoë");
}

#[test]
fn tokens_made_for_another_purpose_are_refused() {
    assert_eq!(refused(json!({ "nonce": "n", "at_hash": "h" })), INVALID);
    assert_eq!(refused(json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } })), INVALID);
    assert_eq!(accepted(json!({ "nonce": "n" })).subject, "u1");
    assert_eq!(accepted(json!({ "at_hash": "h" })).subject, "u1");
}

#[test]
fn a_bound_token_is_not_taken_as_a_bearer_token() {
    for cnf in [json!({ "jkt": "x" }), json!({ "x5t#S256": "x" }), json!({ "jwk": {} })] {
        assert_eq!(refused(json!({ "cnf": cnf })), INVALID, "{cnf}");
        assert!(mapped(&[("cnf", "cnf")], json!({ "cnf": cnf })).is_err(), "{cnf}");
    }
}

#[test]
fn roles_are_exact_and_never_split() {
    let roles = |value: Value| accepted(json!({ "roles": value })).roles;
    assert_eq!(roles(json!("admin")), ["admin"]);
    assert_eq!(roles(json!("user,admin")), ["user,admin"]);
    assert_eq!(roles(json!("user admin")), ["user admin"]);
    assert_eq!(roles(json!(["b", "a", "*"])), ["b", "a", "*"]);
    for spoilt in
        [json!(["admin", 7]), json!([["admin"]]), json!({ "admin": true }), json!(7), json!(true), json!(""), json!([])]
    {
        assert!(roles(spoilt.clone()).is_empty(), "{spoilt}");
    }
}

#[test]
fn headers_and_rules_see_the_same_roles() {
    assert_eq!(accepted(json!({ "roles": "user,admin" })).claims["roles"], json!(["user,admin"]));
    assert_eq!(accepted(json!({ "roles": ["admin", 7] })).claims.get("roles"), None);
}

#[test]
fn scopes_are_split_at_spaces_and_nowhere_else() {
    let scopes = |changes: Value| accepted(changes).scopes;
    assert_eq!(scopes(json!({ "scope": "read  write " })), ["read", "write"]);
    assert_eq!(scopes(json!({ "scope": "read,write" })), ["read,write"]);
    assert_eq!(scopes(json!({ "scope": ["read", "write"] })), ["read", "write"]);
    assert_eq!(scopes(json!({ "scope": null, "scp": "read write" })), ["read", "write"]);
    assert_eq!(scopes(json!({ "scope": null, "scp": ["read"] })), ["read"]);
    assert_eq!(scopes(json!({ "scope": "read", "scp": "write" })), ["read"]);
    for spoilt in [json!(["read admin"]), json!(["read", 7]), json!(7), json!({ "read": true }), json!("")] {
        assert!(scopes(json!({ "scope": spoilt })).is_empty(), "{spoilt}");
    }
}

#[test]
fn the_scope_claim_reads_like_the_scopes() {
    assert_eq!(accepted(json!({ "scope": ["a", "b"] })).claims["scope"], "a b");
    assert_eq!(accepted(json!({ "scope": null, "scp": ["a", "b"] })).claims["scope"], "a b");
    assert_eq!(accepted(json!({ "scope": ["a b"] })).claims.get("scope"), None);
}

#[test]
fn a_mapped_name_counts_where_it_is_mapped_and_nowhere_else() {
    let caller = mapped(&[("roles", "realm_access.roles")], json!({ "realm_access": { "roles": ["r"] } })).unwrap();
    assert_eq!(caller.roles, ["r"]);
    let caller = mapped(&[("roles", "realm_access.roles")], json!({ "roles": ["admin"] })).unwrap();
    assert!(caller.roles.is_empty());
    assert_eq!(caller.claims.get("roles"), None);
    let caller = mapped(&[("scope", "permissions")], json!({ "scope": "admin", "scp": "admin" })).unwrap();
    assert!(caller.scopes.is_empty());
}

#[test]
fn two_names_can_change_places() {
    let caller = mapped(&[("a", "b"), ("b", "a")], json!({ "a": 1, "b": 2 })).unwrap();
    assert_eq!((&caller.claims["a"], &caller.claims["b"]), (&json!(2), &json!(1)));
}

#[test]
fn a_path_may_be_one_name_with_dots_in_it() {
    let url = "https://example.com/roles";
    assert_eq!(mapped(&[("roles", url)], json!({ url: ["r"] })).unwrap().roles, ["r"]);
    let pod = json!({ "kubernetes.io": { "namespace": "default", "pod": { "name": "p" } } });
    let caller = mapped(&[("namespace", "kubernetes.io.namespace"), ("pod", "kubernetes.io.pod.name")], pod).unwrap();
    assert_eq!((&caller.claims["namespace"], &caller.claims["pod"]), (&json!("default"), &json!("p")));
    let both = json!({ "a.b": ["literal"], "a": { "b": ["nested"] } });
    assert_eq!(mapped(&[("roles", "a.b")], both).unwrap().roles, ["literal"]);
}

#[test]
fn a_mapped_subject_replaces_the_subject_and_must_exist() {
    assert_eq!(mapped(&[("sub", "uid")], json!({ "uid": "u2" })).unwrap().subject, "u2");
    assert_eq!(mapped(&[("sub", "uid")], json!({})).unwrap_err().code, Code::TokenInvalid);
}

#[test]
fn what_is_ours_to_say_counts_only_when_mapped() {
    let theirs = json!({ "sid": "s", "provider": "p", "method": "session", "acr": "mfa", "amr": ["otp"], "auth_time": 1, "cnf": "x" });
    let caller = mapped(&[], theirs.clone()).unwrap();
    assert!(RESERVED.iter().all(|name| !caller.claims.contains_key(*name)));
    let caller = mapped(&[("acr", "acr"), ("sid", "session.id")], theirs).unwrap();
    assert_eq!(caller.claims["acr"], "mfa");
    assert_eq!(caller.claims.get("sid"), None);
}

#[test]
fn an_email_is_trusted_when_verified_is_true_and_nothing_like_it() {
    assert!(accepted(json!({ "email_verified": true })).email_trusted);
    for verified in [json!("true"), json!(1), json!(false), json!([true])] {
        assert!(!accepted(json!({ "email_verified": verified })).email_trusted, "{verified}");
    }
    assert!(!accepted(json!({})).email_trusted);
    let mut trusting = issuer();
    trusting.trust_email = true;
    let payload = claims_with(json!({}));
    assert!(principal(payload.as_object().unwrap(), Kind::Jwt, &trusting, NOW).unwrap().email_trusted);
}
