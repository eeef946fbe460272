use super::super::fixture::{fresh, minutes, token, ISSUER, START};
use super::super::jwks::Jwks;
use super::super::own;
use super::super::ring::{Change, Ring, Schedule};
use super::super::Algorithm;
use super::*;
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;
use crate::domain::token::jose::{Kind, Unverified};
use crate::domain::token::keys::KeySet;
use crate::domain::token::verify::{verify, Rejection};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde_json::{json, Value};

fn audience() -> Vec<String> {
    vec![ISSUER.to_owned()]
}

fn roles() -> Vec<String> {
    vec!["admin".to_owned(), "user".to_owned()]
}

/// A ring with one key, and how it signs and is verified by others.
fn signing(algorithm: Algorithm) -> (Signer, KeySet) {
    let schedule = Schedule { algorithm, ..super::super::fixture::schedule() };
    let ring = Ring::default().after(&Change::Replace, START, &schedule, Some(fresh(algorithm))).unwrap();
    let keys = KeySet::from_jwks(&Jwks::of(&ring, &schedule).body).unwrap();
    (ring.active().unwrap().signer().unwrap().unwrap(), keys)
}

fn read(text: &str, keys: &KeySet, claim: SessionClaim) -> Result<Principal, Denial> {
    let unverified = Unverified::parse(text)?;
    let terms = own::terms(ISSUER, &audience(), claim);
    let verified = verify(&unverified, &terms, keys, START).map_err(Rejection::into_denial)?;
    own::principal(verified, unverified.unverified_kind())
}

#[test]
fn our_own_tokens_are_read_by_the_code_that_reads_everybodys() {
    for algorithm in Algorithm::ALL {
        let (signer, keys) = signing(algorithm);
        let (audience, roles) = (audience(), roles());
        let text = token(&audience, &roles, START, minutes(15)).sign(&signer).unwrap();
        let caller = read(&text, &keys, SessionClaim::Sid).unwrap();
        assert_eq!((caller.source.as_str(), caller.subject.as_str()), ("auth0", "u1"), "{algorithm:?}");
        assert_eq!((caller.roles, caller.scopes), (roles, vec!["read".to_owned(), "write".to_owned()]));
        assert!(caller.email_trusted);
        assert_eq!(caller.claims["sid"], "s-1");
        assert_eq!(caller.claims["acr"], "mfa");
        assert_eq!(caller.claims["auth_time"], START.0);
    }
}

#[test]
fn header_and_claims_are_those_of_rfc_9068() {
    let (signer, _) = signing(Algorithm::Es256);
    let (audience, roles) = (audience(), roles());
    let text = token(&audience, &roles, START, minutes(15)).sign(&signer).unwrap();
    let part = |at: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split('.').nth(at).unwrap()).unwrap()).unwrap()
    };
    assert_eq!(part(0), json!({ "alg": "ES256", "kid": signer.kid().as_str(), "typ": "at+jwt" }));
    assert_eq!(
        part(1),
        json!({
            "iss": ISSUER, "sub": "u1", "aud": ISSUER, "exp": START.0 + 900, "iat": START.0,
            "jti": "12345678-9abc-4def-8123-456789abcdef", "client_id": "doorward", "scope": "read write",
            "roles": ["admin", "user"], "sid": "s-1", "provider": "auth0", "device_fingerprint": "f00d",
            "dfp": "1.2.3.4", "rv": "7-0", "fid": "fam", "gen": 2, "email": "u1@example.com", "email_verified": true,
            "name": "Ünal \"U\" One", "auth_time": START.0, "acr": "mfa", "amr": ["admin", "user"],
        })
    );
}

#[test]
fn what_nobody_knows_is_left_out() {
    let (signer, keys) = signing(Algorithm::EdDsa);
    let audience = vec![ISSUER.to_owned(), "https://other.example.com".to_owned()];
    let bare = AccessToken {
        scope: "",
        session: None,
        device_fingerprint: None,
        dfp: None,
        fid: None,
        r#gen: None,
        email: None,
        email_verified: None,
        name: None,
        auth_time: None,
        acr: None,
        ..token(&audience, &[], START, minutes(15))
    };
    let text = bare.sign(&signer).unwrap();
    let caller = read(&text, &keys, SessionClaim::Sid).unwrap();
    let names: Vec<&str> = caller.claims.keys().map(String::as_str).collect();
    assert_eq!(names, ["aud", "client_id", "exp", "iat", "iss", "jti", "provider", "rv", "sub"]);
    assert!(!caller.email_trusted && caller.roles.is_empty() && caller.scopes.is_empty());
}

#[test]
fn the_session_is_found_under_the_name_the_operator_chose() {
    let (signer, keys) = signing(Algorithm::Es256);
    let audience = audience();
    let session = Some(SessionClaim::SessionId.holding("s-9"));
    let text = AccessToken { session, ..token(&audience, &[], START, minutes(15)) }.sign(&signer).unwrap();
    let unverified = Unverified::parse(&text).unwrap();
    assert_eq!(unverified.unverified_claims()["session_id"], "s-9");
    assert_eq!(unverified.unverified_claims().get("sid"), None);
    assert_eq!(read(&text, &keys, SessionClaim::SessionId).unwrap().claims["sid"], "s-9");
    assert_eq!(read(&text, &keys, SessionClaim::Sid).unwrap().claims.get("sid"), None);
}

#[test]
fn a_changed_token_is_none_of_ours() {
    let (signer, keys) = signing(Algorithm::Es256);
    let audience = audience();
    let honest = token(&audience, &[], START, minutes(15));
    let admin = [String::from("admin")];
    let greedy = AccessToken { roles: &admin, ..honest.clone() }.sign(&signer).unwrap();
    let honest = honest.sign(&signer).unwrap();
    let (_, signature) = honest.rsplit_once('.').unwrap();
    let forged = format!("{}.{signature}", greedy.rsplit_once('.').unwrap().0);
    assert_eq!(read(&forged, &keys, SessionClaim::Sid).unwrap_err().code, Code::TokenInvalid);
    assert!(read(&greedy, &signing(Algorithm::Es256).1, SessionClaim::Sid).is_err(), "another ring");
}

#[test]
fn only_an_access_token_that_names_its_provider_is_a_user() {
    let (signer, keys) = signing(Algorithm::Es256);
    let audience = audience();
    let text = token(&audience, &[], START, minutes(15)).sign(&signer).unwrap();
    let unverified = Unverified::parse(&text).unwrap();
    let terms = own::terms(ISSUER, &audience, SessionClaim::Sid);
    let verified = verify(&unverified, &terms, &keys, START).unwrap();
    assert!(own::principal(verified.clone(), Kind::AccessToken).is_ok());
    assert_eq!(own::principal(verified, Kind::Jwt).unwrap_err().code, Code::TokenInvalid);
    let nameless = AccessToken { provider: "", ..token(&audience, &[], START, minutes(15)) }.sign(&signer).unwrap();
    assert_eq!(read(&nameless, &keys, SessionClaim::Sid).unwrap_err().code, Code::TokenInvalid);
}

#[test]
fn ends_at_its_end_and_five_seconds_of_other_clocks() {
    let (signer, keys) = signing(Algorithm::Es256);
    let audience = audience();
    let text = token(&audience, &[], UnixTime(START.0 - 900), minutes(15)).sign(&signer).unwrap();
    assert_eq!(read(&text, &keys, SessionClaim::Sid).unwrap().expires, UnixTime(START.0 + 5));
    let text = token(&audience, &[], UnixTime(START.0 - 905), minutes(15)).sign(&signer).unwrap();
    assert_eq!(read(&text, &keys, SessionClaim::Sid).unwrap_err().code, Code::TokenExpired);
}

fn seals(fill: u8) -> Seals {
    Seals::new(&[Secret::new(vec![fill; 32])]).unwrap()
}

fn encrypted(signer: &Signer) -> String {
    let (audience, roles) = (audience(), roles());
    let fresh = Fresh { salt: [3; jwe::SALT], nonce: [4; 12] };
    token(&audience, &roles, START, minutes(15)).sign_encrypted(signer, &seals(1), &fresh).unwrap()
}

fn read_with(text: &str, keys: &KeySet, seals: &Seals) -> Result<Principal, Denial> {
    let unverified = Unverified::parse_nested(text, &|inside| jwe::decrypt(seals, inside))?;
    let terms = own::terms(ISSUER, &audience(), SessionClaim::Sid);
    let verified = verify(&unverified, &terms, keys, START).map_err(Rejection::into_denial)?;
    own::principal(verified, unverified.unverified_kind())
}

#[test]
fn encrypted_claims_are_read_by_us_and_by_nobody_else() {
    for algorithm in Algorithm::ALL {
        let (signer, keys) = signing(algorithm);
        let text = encrypted(&signer);
        let plain = token(&audience(), &roles(), START, minutes(15)).sign(&signer).unwrap();
        let ours = read_with(&text, &keys, &seals(1)).unwrap();
        assert_eq!(ours.subject, read(&plain, &keys, SessionClaim::Sid).unwrap().subject);
        assert_eq!(read_with(&text, &keys, &seals(2)).unwrap_err().code, Code::TokenInvalid, "another secret");
        assert_eq!(Unverified::parse(&text).unwrap_err().code, Code::TokenInvalid, "whoever has no secret at all");
        assert!(read_with(&plain, &keys, &seals(1)).is_ok(), "a token from before still counts");
        let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        assert_eq!((&header["typ"], &header["cty"]), (&json!("at+jwt"), &json!("JWT")));
    }
}

#[test]
fn what_is_inside_counts_only_within_our_own_signature() {
    let ((ours, keys), (others, _)) = (signing(Algorithm::Es256), signing(Algorithm::EdDsa));
    let text = encrypted(&ours);
    let parts: Vec<&str> = text.split('.').collect();
    let inside = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    let forged = [
        others.nested_token(&inside).unwrap(),
        // by us, but not as what it is
        ours.access_token(inside.as_bytes()).unwrap(),
        ours.nested_token("a.b.c.d.e").unwrap(),
        ours.nested_token("").unwrap(),
        inside.clone(),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","cty":"JWT"}"#), parts[1], parts[2]),
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A256GCM"}"#), parts[1], parts[2]),
        format!("{}.{}A.{}", parts[0], parts[1], parts[2]),
    ];
    for text in forged {
        assert_eq!(read_with(&text, &keys, &seals(1)).unwrap_err().code, Code::TokenInvalid, "{text}");
    }
}

#[test]
fn a_token_beyond_all_bounds_is_not_even_decrypted() {
    let (signer, _) = signing(Algorithm::Es256);
    let text = signer.nested_token(&"A".repeat(16 * 1024)).unwrap();
    let never = |_: &str| -> Option<Secret> { panic!("it was opened") };
    assert_eq!(Unverified::parse_nested(&text, &never).unwrap_err().code, Code::TokenInvalid);
}
