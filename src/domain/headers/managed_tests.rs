use super::*;
use proptest::prelude::*;

fn managed() -> Managed {
    let names = ["x-auth-subject", "x-user", "tenant.id", "my-assertion"].map(HeaderName::from_static);
    Managed::new(&names)
}

const MANAGED: [&str; 42] = [
    "x-auth-subject",
    "x-auth-",
    "x-auth-anything",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-tls-client-cert",
    "x-forwarded-client-cert",
    "x-forwardedfor",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-cluster-client-ip",
    "remote-user",
    "x-remote-user",
    "x-webauth-user",
    "x-client-cert",
    "x-client-certificate",
    "client-cert",
    "client-cert-chain",
    "ssl-client-verify",
    "x-ssl-client-s-dn",
    "x-original-url",
    "x-original-method",
    "x-rewrite-url",
    "x-envoy-original-path",
    "x-middleware-subrequest",
    "x-http-method-override",
    "x-method-override",
    "impersonate-user",
    "x-pomerium-jwt-assertion",
    "x-doorward-x",
    "txn-token",
    "dpop",
    "x-user",
    "tenant.id",
    "tenant-id",
    "my-assertion",
];

#[test]
fn every_managed_name_is_covered() {
    for name in MANAGED {
        assert!(managed().covers(name), "{name}");
    }
}

#[test]
fn ordinary_names_are_left_alone() {
    for name in [
        "host",
        "accept",
        "user-agent",
        "cookie",
        "authorization",
        "content-type",
        "x",
        "x-",
        "x-auth",
        "x-authx",
        "x-requested-with",
        "x-request-id",
        "x-real-ips",
        "x-users",
        "xauth-subject",
        "auth-subject",
        "forwarded-for",
        "remote",
        "dpop-nonce",
        "x-api-key",
        "x-csrf-token",
        "client-certs-not",
        "ssl-client",
        "txn-tokens",
        "x-client-ip6",
        "-x-auth-subject",
        "",
    ] {
        // "client-cert*" and "x-client-cert*" are prefixes
        assert_eq!(managed().covers(name), name.starts_with("client-cert"), "{name}");
    }
}

#[test]
fn punctuation_is_no_disguise() {
    for name in [
        "x_auth_user",
        "x.auth.user",
        "x~auth~user",
        "x'auth'user",
        "X-AUTH-USER",
        "x|real|ip",
        "tenant_id",
        "remote_user",
    ] {
        assert!(managed().covers(name), "{name}");
    }
}

#[test]
fn an_empty_configuration_still_covers_the_built_in_names() {
    assert!(Managed::default().covers("x_forwarded_for"));
    assert!(!Managed::default().covers("x-user"));
}

proptest! {
    #[test]
    fn the_fold_knows_neither_case_nor_punctuation(
        name in proptest::sample::select(MANAGED.to_vec()),
        marks in proptest::collection::vec(proptest::sample::select(b"-_.~!#$%&'*+^`|".to_vec()), 32),
        upper in any::<u32>(),
    ) {
        let disguise = |(at, byte): (usize, u8)| match byte {
            b'-' | b'.' => marks[at % 32],
            letter if upper >> (at % 32) & 1 == 1 => letter.to_ascii_uppercase(),
            letter => letter,
        };
        let disguised = String::from_utf8(name.bytes().enumerate().map(disguise).collect()).unwrap();
        prop_assert!(managed().covers(&disguised), "{}", disguised);
    }

    #[test]
    fn what_is_covered_folds_to_what_is_covered(name in "[xrfdsti][a-z_.~-]{0,14}") {
        let folded: String = name.bytes().map(|byte| char::from(fold(byte))).collect();
        prop_assert_eq!(managed().covers(&name), managed().covers(&folded));
    }
}
