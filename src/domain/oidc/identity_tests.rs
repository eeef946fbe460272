use super::super::fixture::{settings, NOW};
use super::*;
use crate::domain::denial::Code;
use serde_json::json;

fn id_token(claims: Value) -> IdToken {
    let Value::Object(mut claims) = claims else { panic!("no object") };
    claims.insert("sub".to_owned(), json!("alice"));
    IdToken { subject: "alice".to_owned(), claims, auth_time: Some(NOW) }
}

fn read_by(claim: &str, token: Value, userinfo: Option<Value>) -> Result<Identity, Code> {
    let mut settings = settings();
    settings.roles_claim = claim.to_owned();
    let userinfo = userinfo.map(|userinfo| userinfo.as_object().unwrap().clone());
    Identity::read(&id_token(token), userinfo.as_ref(), &settings).map_err(|denial| denial.code)
}

fn read(token: Value, userinfo: Option<Value>) -> Identity {
    read_by("roles", token, userinfo).unwrap()
}

#[test]
fn roles_are_found_where_each_provider_keeps_them() {
    for (claim, token, expected) in [
        ("roles", json!({"roles": ["admin", "user"]}), &["admin", "user"][..]),
        ("roles", json!({"roles": "admin"}), &["admin"]),
        ("roles", json!({"roles": "admin,user"}), &["admin,user"]),
        ("realm_access.roles", json!({"realm_access": {"roles": ["a"]}}), &["a"]),
        ("resource_access.my.client.roles", json!({"resource_access": {"my.client": {"roles": ["c"]}}}), &["c"]),
        ("https://example.com/roles", json!({"https://example.com/roles": ["u"]}), &["u"]),
        (
            "realm_access.roles",
            json!({"realm_access.roles": ["literal"], "realm_access": {"roles": ["path"]}}),
            &["literal"],
        ),
        ("groups", json!({"roles": ["not asked for"]}), &[]),
        ("roles", json!({"roles": ["a", 7]}), &[]),
        ("roles", json!({"roles": {"admin": true}}), &[]),
        ("", json!({"roles": ["a"]}), &[]),
    ] {
        let identity = read_by(claim, token, None).unwrap();
        assert_eq!(identity.roles, expected, "{claim}");
        let shown = identity.claims.get("roles").map_or(0, |roles| roles.as_array().map_or(0, Vec::len));
        assert_eq!(shown, expected.len(), "rules see what headers see: {claim}");
    }
}

#[test]
fn what_the_id_token_leaves_out_is_taken_from_userinfo() {
    let identity = read(
        json!({"name": "Alice", "sid": "s1"}),
        Some(
            json!({"sub": "alice", "name": "Other", "roles": ["admin"], "email": "a@example.com", "email_verified": true}),
        ),
    );
    assert_eq!(identity.name.as_deref(), Some("Alice"), "the signed word stands first");
    assert_eq!(identity.roles, ["admin"]);
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("a@example.com"), true));
}

#[test]
fn one_documents_verification_says_nothing_of_the_others_address() {
    let split = read(json!({"email_verified": true}), Some(json!({"sub": "alice", "email": "a@example.com"})));
    assert!(!split.email_verified);
    let other = read(
        json!({"email": "a@example.com"}),
        Some(json!({"sub": "alice", "email": "b@example.com", "email_verified": true})),
    );
    assert_eq!((other.email.as_deref(), other.email_verified), (Some("a@example.com"), false));
}

#[test]
fn only_a_plain_true_verifies_an_address() {
    for (value, expected) in [(json!(true), true), (json!("true"), false), (json!(1), false), (Value::Null, false)] {
        let identity = read(json!({"email": "a@example.com", "email_verified": value.clone()}), None);
        assert_eq!(identity.email_verified, expected, "{value}");
    }
}

#[test]
fn userinfo_about_somebody_else_is_refused() {
    for userinfo in
        [json!({"sub": "bob"}), json!({"name": "Alice"}), json!({"sub": ["alice"]}), json!({"sub": "Alice"})]
    {
        assert_eq!(read_by("roles", json!({}), Some(userinfo.clone())).err(), Some(Code::TokenInvalid), "{userinfo}");
        assert!(Identity::reread("alice", userinfo.as_object().unwrap(), &settings()).is_err(), "{userinfo}");
    }
}

#[test]
fn how_the_user_signed_in_is_the_id_tokens_to_say() {
    let identity = read(
        json!({"acr": "mfa", "amr": ["pwd", "otp"], "sid": "s1"}),
        Some(json!({"sub": "alice", "acr": "phr", "amr": ["hwk"], "sid": "s2"})),
    );
    assert_eq!((identity.acr.as_deref(), identity.idp_sid.as_deref()), (Some("mfa"), Some("s1")));
    assert_eq!((identity.amr.as_slice(), identity.auth_time), (&["pwd".to_owned(), "otp".to_owned()][..], Some(NOW)));
    let silent = read(json!({}), Some(json!({"sub": "alice", "acr": "phr", "amr": ["hwk"], "sid": "s2"})));
    assert_eq!((silent.acr, silent.amr.len(), silent.idp_sid), (None, 0, None));
}

#[test]
fn a_sid_that_is_no_name_is_refused_and_an_odd_amr_is_left_out() {
    for sid in [json!(""), json!(7), json!("a\nb"), json!("x".repeat(256)), json!(["s"])] {
        assert!(read_by("roles", json!({"sid": sid.clone()}), None).is_err(), "{sid}");
    }
    assert_eq!(read(json!({"amr": ["pwd", 7]}), None).amr, Vec::<String>::new());
    assert_eq!(read(json!({"amr": "pwd"}), None).amr, ["pwd"]);
    assert_eq!(read(json!({"acr": 1}), None).acr.as_deref(), Some("1"));
}

#[test]
fn claims_are_about_the_user_and_leave_our_names_to_us() {
    let identity = read(
        json!({
            "iss": "i", "aud": "a", "exp": 1, "iat": 1, "nonce": "n", "at_hash": "h", "azp": "p", "sid": "s", "acr": "1",
            "provider": "local", "method": "mtls", "cnf": {}, "scope": "admin", "department": "physics", "name": "Alice",
        }),
        Some(json!({"sub": "alice", "provider": "local", "locale": "en"})),
    );
    let names: Vec<&str> = identity.claims.keys().map(String::as_str).collect();
    assert_eq!(names, ["department", "locale", "name", "sub"]);
    assert_eq!(identity.claims["sub"], "alice");
}

#[test]
fn claims_read_again_leave_the_sign_in_as_it_was() {
    let userinfo = json!({"sub": "alice", "roles": ["user"], "email": "new@example.com", "acr": "mfa", "sid": "s"});
    let identity = Identity::reread("alice", userinfo.as_object().unwrap(), &settings()).unwrap();
    assert_eq!((identity.roles, identity.email.as_deref()), (vec!["user".to_owned()], Some("new@example.com")));
    assert_eq!((identity.acr, identity.idp_sid, identity.auth_time), (None, None, None));
}
