use super::*;
use crate::domain::principal::SourceName;
use crate::domain::time::UnixTime;
use proptest::prelude::*;
use serde_json::json;

fn alice() -> Principal {
    let Value::Object(claims) = json!({
        "sub": "not this one", "email": "alice@example.com", "name": "Zoë, 100%", "age": 41, "admin": true, "ratio": 0.5,
        "groups": ["a,b", " c ", 7, false], "nothing": null, "thing": {"a": {"b": "deep"}}, "thing.whole": "whole",
        "mixed": ["a", null], "nested": [["a"]], "none": [], "blank": "", "method": "forged", "provider": "forged",
    }) else {
        unreachable!()
    };
    Principal {
        source: SourceName::new("auth0"),
        subject: "auth0|1".to_owned(),
        method: AuthMethod::Bearer,
        roles: vec!["admin".to_owned(), "a,b".to_owned()],
        scopes: vec!["read".to_owned(), "write:x,y".to_owned()],
        claims,
        email_trusted: true,
        expires: UnixTime(0),
    }
}

/// What a header for `path` says about `principal`.
fn said(principal: &Principal, path: &str) -> Option<String> {
    let entries = vec![(HeaderName::from_static("x"), path.to_owned())];
    let headers = IdentityHeaders { entries, forward_authorization: false };
    headers.values(principal).first().map(|(_, value)| value.to_str().unwrap().to_owned())
}

fn decode(encoded: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = encoded.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte == b'%' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_default_set_tells_who_is_calling() {
    let values = IdentityHeaders::default().values(&alice());
    let values: Vec<(&str, &str)> =
        values.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let expected = [
        ("x-auth-subject", "auth0|1"),
        ("x-auth-email", "alice@example.com"),
        ("x-auth-name", "Zo%C3%AB, 100%25"),
        ("x-auth-roles", "admin,a%2Cb"),
        ("x-auth-scopes", "read write:x,y"),
        ("x-auth-method", "bearer"),
        ("x-auth-provider", "auth0"),
    ];
    assert_eq!(values, expected);
}

#[test]
fn of_an_anonymous_caller_only_the_method_is_told() {
    let expected = vec![(HeaderName::from_static("x-auth-method"), HeaderValue::from_static("anonymous"))];
    assert_eq!(IdentityHeaders::default().anonymous(), expected);
}

#[test]
fn an_unverified_address_is_not_shown() {
    assert_eq!(said(&Principal { email_trusted: false, ..alice() }, "email"), None);
}

#[test]
fn a_claim_cannot_pose_as_the_method_subject_or_source() {
    assert_eq!(said(&alice(), "method").unwrap(), "bearer");
    assert_eq!(said(&alice(), "provider").unwrap(), "auth0");
    assert_eq!(said(&alice(), "sub").unwrap(), "auth0|1");
}

#[test]
fn claims_are_spelt_as_json_scalars_and_lists_of_them() {
    for (path, expected) in [
        ("age", Some("41")),
        ("admin", Some("true")),
        ("ratio", Some("0.5")),
        ("groups", Some("a%2Cb,%20c%20,7,false")),
        ("thing.a.b", Some("deep")),
        ("thing.whole", Some("whole")),
        ("blank", Some("")),
        ("nothing", None),
        ("thing", None),
        ("thing.a", None),
        ("thing.x.b", None),
        ("mixed", None),
        ("nested", None),
        ("none", None),
        ("absent", None),
        ("", None),
        ("name.x", None),
    ] {
        assert_eq!(said(&alice(), path).as_deref(), expected, "{path}");
    }
}

#[test]
fn a_caller_without_roles_has_no_roles_header() {
    assert_eq!(said(&Principal { roles: vec![], ..alice() }, "roles"), None);
    assert_eq!(said(&Principal { scopes: vec![], ..alice() }, "scope"), None);
}

#[test]
fn a_line_break_in_a_claim_makes_no_second_header() {
    let forger = Principal { subject: "a\r\nX-Auth-Roles: admin\0".to_owned(), ..alice() };
    assert_eq!(said(&forger, "sub").unwrap(), "a%0D%0AX-Auth-Roles: admin%00");
}

#[test]
fn a_value_too_long_for_a_header_is_left_out() {
    let length = |length| Principal { subject: "a".repeat(length), ..alice() };
    assert!(said(&length(LONGEST_VALUE), "sub").is_some());
    assert_eq!(said(&length(LONGEST_VALUE + 1), "sub"), None);
    assert_eq!(said(&Principal { roles: vec!["a".repeat(100); 100], ..alice() }, "roles"), None);
}

proptest! {
    #[test]
    fn a_list_decodes_to_what_it_was(roles in proptest::collection::vec(any::<String>(), 1..6)) {
        let said = said(&Principal { roles: roles.clone(), ..alice() }, "roles").unwrap();
        let decoded: Vec<String> = said.split(',').map(|item| decode(item.trim_matches(' '))).collect();
        prop_assert_eq!(decoded, roles);
    }

    #[test]
    fn a_text_decodes_to_what_it_was(subject in any::<String>()) {
        let said = said(&Principal { subject: subject.clone(), ..alice() }, "sub").unwrap();
        prop_assert_eq!(said.trim(), &said);
        prop_assert_eq!(decode(&said), subject);
    }
}
