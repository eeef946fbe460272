//! The attacks on tokens that others have suffered, each as a sentence.

use super::fixture::*;
use super::jose::{Unverified, MAX_TOKEN};
use super::verify::Rejection;
use crate::domain::denial::Code;
use jsonwebtoken::Algorithm;
use proptest::prelude::*;
use serde_json::{json, Value};

const INVALID: Option<Code> = Some(Code::TokenInvalid);

fn refusal(token: &str) -> Option<Code> {
    verdict(token).err()
}

fn with_header(header: &Value) -> String {
    signed(&header.to_string(), claims().to_string(), Algorithm::RS256, "rsa-a")
}

#[test]
fn a_good_token_of_every_algorithm_is_accepted() {
    for (algorithm, kid) in ALL {
        let caller = verdict(&token(algorithm, kid, &claims())).unwrap();
        assert_eq!((caller.subject.as_str(), caller.source.as_str()), ("u1", "id"), "{algorithm:?}");
    }
}

#[test]
fn a_token_without_a_signature_algorithm_is_refused() {
    for alg in [json!("none"), json!("None"), json!("nOnE"), json!(""), json!(null), json!(["RS256"]), json!("rs256")] {
        assert_eq!(refusal(&with_header(&json!({ "alg": alg, "kid": "rsa-a" }))), INVALID, "{alg}");
    }
    assert_eq!(refusal(&with_header(&json!({ "kid": "rsa-a" }))), INVALID);
}

#[test]
fn a_token_whose_signature_was_cut_off_is_refused() {
    let good = rs256(&claims());
    let (input, _) = good.rsplit_once('.').unwrap();
    for token in [input.to_owned(), format!("{input}."), format!("{input}.."), format!("{input}.AA")] {
        assert_eq!(refusal(&token), INVALID);
    }
    let none = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64(claims().to_string()));
    assert_eq!(refusal(&none), INVALID);
}

#[test]
fn the_public_key_is_never_an_hmac_secret() {
    let header = json!({ "alg": "HS256", "kid": "rsa-a" });
    let mut careless = issuer();
    careless.algorithms.push(Algorithm::HS256);
    for secret in
        [include_bytes!("../../../tests/keys/rsa-a.pem").as_slice(), jwk("rsa-a")["n"].as_str().unwrap().as_bytes()]
    {
        let forged = hs256(&header, &claims(), secret);
        assert_eq!(refusal(&forged), INVALID);
        assert!(accept(&forged, &careless, &keys()).is_err());
    }
}

#[test]
fn a_header_that_brings_or_fetches_its_own_key_is_refused() {
    for (name, value) in [
        ("jwk", jwk("rsa-b")),
        ("jku", json!("https://evil.example.com/jwks.json")),
        ("x5c", json!(["MIIB"])),
        ("x5u", json!("https://evil.example.com/chain.pem")),
    ] {
        let mut header = json!({ "alg": "RS256", "kid": "rsa-a" });
        header[name] = value;
        assert_eq!(refusal(&with_header(&header)), INVALID, "{name}");
    }
}

#[test]
fn a_header_that_changes_the_rules_is_refused() {
    for header in [
        json!({ "alg": "RS256", "kid": "rsa-a", "crit": ["b64"], "b64": false }),
        json!({ "alg": "RS256", "kid": "rsa-a", "crit": ["unheard-of"] }),
        json!({ "alg": "RS256", "kid": "rsa-a", "crit": [] }),
        json!({ "alg": "RS256", "kid": "rsa-a", "crit": null }),
        json!({ "alg": "RS256", "kid": "rsa-a", "b64": true }),
        json!({ "alg": "RS256", "kid": "rsa-a", "zip": "DEF" }),
        json!({ "alg": "RS256", "kid": "rsa-a", "enc": "A256GCM" }),
        json!({ "alg": "RS256", "kid": 7 }),
    ] {
        assert_eq!(refusal(&with_header(&header)), INVALID, "{header}");
    }
}

#[test]
fn an_algorithm_the_issuer_does_not_use_is_refused_although_the_key_is_good() {
    let mut only_rs256 = issuer();
    only_rs256.algorithms = vec![Algorithm::RS256];
    for (algorithm, kid) in ALL.into_iter().filter(|(algorithm, _)| *algorithm != Algorithm::RS256) {
        let rejection = accept(&token(algorithm, kid, &claims()), &only_rs256, &keys()).unwrap_err();
        assert!(matches!(rejection, Rejection::Denied(denial) if denial.code == Code::TokenInvalid), "{algorithm:?}");
    }
}

#[test]
fn an_algorithm_that_does_not_fit_its_key_is_refused() {
    for (alg, kid) in [("ES384", "p256"), ("ES256", "p384"), ("EdDSA", "p256"), ("ES256", "ed25519"), ("RS256", "p256")]
    {
        let header = json!({ "alg": alg, "kid": kid }).to_string();
        let forged = signed(&header, claims().to_string(), Algorithm::RS256, "rsa-a");
        assert!(matches!(accept(&forged, &issuer(), &keys()), Err(Rejection::Denied(_))), "{alg} {kid}");
    }
}

#[test]
fn a_key_meant_for_one_algorithm_does_not_serve_another() {
    let mut key = jwk("rsa-a");
    key["alg"] = json!("RS256");
    let keys = set_of(&[key]);
    assert!(accept(&token(Algorithm::RS256, "rsa-a", &claims()), &issuer(), &keys).is_ok());
    assert!(accept(&token(Algorithm::PS256, "rsa-a", &claims()), &issuer(), &keys).is_err());
}

#[test]
fn a_kid_nobody_knows_is_worth_a_look_at_fresh_keys_and_then_refused() {
    let stranger = token(Algorithm::RS256, "rsa-a", &claims()).replacen(
        &b64(json!({ "alg": "RS256", "kid": "rsa-a", "typ": "JWT" }).to_string()),
        &b64(json!({ "alg": "RS256", "kid": "../../etc/passwd", "typ": "JWT" }).to_string()),
        1,
    );
    let rejection = accept(&stranger, &issuer(), &keys()).unwrap_err();
    assert_eq!(rejection, Rejection::UnknownKey);
    assert_eq!(rejection.into_denial().code, Code::TokenInvalid);
}

#[test]
fn a_kid_chooses_one_key_and_the_others_are_not_tried() {
    let header = json!({ "alg": "RS256", "kid": "rsa-b" }).to_string();
    let signed_by_a = signed(&header, claims().to_string(), Algorithm::RS256, "rsa-a");
    assert_eq!(refusal(&signed_by_a), INVALID);
}

#[test]
fn without_a_kid_every_fitting_key_is_tried() {
    let header = json!({ "alg": "RS256" }).to_string();
    for key in ["rsa-a", "rsa-b"] {
        assert!(verdict(&signed(&header, claims().to_string(), Algorithm::RS256, key)).is_ok(), "{key}");
    }
    let by_nobody = signed(&header, claims().to_string(), Algorithm::RS256, "rsa-a");
    assert_eq!(accept(&by_nobody, &issuer(), &set_of(&[jwk("rsa-b")])).unwrap_err(), Rejection::UnknownKey);
}

#[test]
fn a_token_of_one_issuer_signed_with_the_key_of_another_is_refused() {
    let other_keys = set_of(&[jwk("rsa-b")]);
    assert!(accept(&rs256(&claims()), &issuer(), &other_keys).is_err());
}

#[test]
fn a_token_that_says_it_is_no_access_token_is_refused() {
    for typ in ["logout+jwt", "dpop+jwt", "secevent+jwt", "rt+jwt", "JOSE", "at+jwt2", "application/jwt", "", " JWT"] {
        assert_eq!(refusal(&with_header(&json!({ "alg": "RS256", "kid": "rsa-a", "typ": typ }))), INVALID, "{typ}");
    }
    assert_eq!(refusal(&with_header(&json!({ "alg": "RS256", "kid": "rsa-a", "typ": null }))), INVALID);
}

#[test]
fn every_spelling_of_an_access_token_type_is_accepted() {
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert!(verdict(&with_header(&json!({ "alg": "RS256", "kid": "rsa-a", "typ": typ }))).is_ok(), "{typ}");
    }
    assert!(verdict(&with_header(&json!({ "alg": "RS256", "kid": "rsa-a" }))).is_ok());
}

#[test]
fn a_well_signed_payload_that_is_not_one_plain_object_is_refused() {
    let header = json!({ "alg": "RS256", "kid": "rsa-a" }).to_string();
    let text = claims().to_string();
    let twice = format!(r#"{{"sub":"admin",{}"#, &text[1..]);
    let bom = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    let latin1 = [&text.as_bytes()[..text.len() - 1], b",\"name\":\"\xE9\"}"].concat();
    let inner = rs256(&claims());
    for payload in [b"[]".as_slice(), b"null", b"\"u1\"", b"7", b"", twice.as_bytes(), &bom, &latin1, inner.as_bytes()]
    {
        assert_eq!(refusal(&signed(&header, payload, Algorithm::RS256, "rsa-a")), INVALID);
    }
    let header_twice = r#"{"alg":"none","alg":"RS256","kid":"rsa-a"}"#;
    assert_eq!(refusal(&signed(header_twice, &text, Algorithm::RS256, "rsa-a")), INVALID);
}

#[test]
fn a_second_spelling_of_a_good_token_is_refused() {
    let good = token(Algorithm::EdDSA, "ed25519", &claims());
    // 64 bytes leave four unused bits in the last character
    let (rest, last) = good.split_at(good.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    let loose = format!("{rest}{}", &alphabet[at + 1..at + 2]);
    let standard = good.replace('-', "+").replace('_', "/");
    assert_ne!(standard, good);
    let spellings = [
        loose,
        standard,
        format!("{good}="),
        format!("{good}=="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}."),
    ];
    for token in spellings {
        assert_eq!(refusal(&token), INVALID, "{token}");
    }
    assert!(verdict(&good).is_ok());
}

#[test]
fn five_parts_are_an_encrypted_token_and_refused() {
    assert_eq!(refusal("eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA"), INVALID);
    assert_eq!(refusal(&format!("{}.AAAA.AAAA", rs256(&claims()))), INVALID);
}

#[test]
fn a_token_beyond_16_kib_is_not_read_at_all() {
    let huge = rs256(&claims_with(json!({ "pad": "x".repeat(MAX_TOKEN) })));
    assert_eq!(refusal(&huge), INVALID);
    let large = rs256(&claims_with(json!({ "pad": "x".repeat(MAX_TOKEN / 2) })));
    assert!(verdict(&large).is_ok());
}

#[test]
fn a_shared_secret_verifies_hs256_and_nothing_else() {
    let mut terms = issuer();
    terms.algorithms = vec![Algorithm::HS256];
    let header = json!({ "alg": "HS256", "kid": "whatever" });
    assert!(accept(&hs256(&header, &claims(), SECRET), &terms, &secret_keys()).is_ok());
    let guessed = accept(&hs256(&header, &claims(), b"guess"), &terms, &secret_keys());
    assert!(matches!(guessed, Err(Rejection::Denied(_))), "nothing can be fetched for a secret");
    terms.algorithms = vec![Algorithm::RS256];
    assert!(accept(&rs256(&claims()), &terms, &secret_keys()).is_err());
}

#[test]
fn debug_output_never_shows_the_token() {
    let text = rs256(&claims());
    let shown = format!("{:?}", Unverified::parse(&text).unwrap());
    assert!(!shown.contains("u1") && !shown.contains("eyJ"), "{shown}");
}

/// RFC 7515 appendix A.1: its own vector, whose claims are not ours to accept but whose signature is good.
#[test]
fn the_vector_of_rfc_7515_verifies() {
    let token =
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                 cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let secret = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
    let secret = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, secret).unwrap();
    let keys = super::keys::KeySet::from_secret(&crate::domain::secret::Secret::new(secret));
    let mut joe = issuer();
    joe.issuer = "joe".to_owned();
    joe.algorithms = vec![Algorithm::HS256];
    let Err(Rejection::Denied(denial)) = accept(token, &joe, &keys) else { panic!("has no audience") };
    assert_eq!(denial.detail, "no \"aud\"", "the signature was good");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,200}") {
        let _ = Unverified::parse(&text).is_ok();
    }

    #[test]
    fn no_header_and_payload_make_the_verifier_panic(header in "\\PC{0,80}", payload in "\\PC{0,120}") {
        let token = format!("{}.{}.{}", b64(header), b64(payload), b64("signature"));
        prop_assert!(verdict(&token).is_err());
    }

    #[test]
    fn no_byte_of_a_good_token_can_be_changed(which in 0_usize..6, at in any::<prop::sample::Index>(), to in 0x20_u8..0x7F) {
        let (algorithm, kid) = ALL[which];
        let good = token(algorithm, kid, &claims());
        let mut bytes = good.into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        prop_assert!(verdict(&String::from_utf8(bytes).unwrap()).is_err());
    }

    #[test]
    fn claims_of_any_shape_never_make_it_panic(exp in any::<f64>(), nbf in any::<i64>(), sub in "\\PC{0,10}") {
        let token = rs256(&claims_with(json!({ "exp": exp, "nbf": nbf, "sub": sub })));
        if let Ok(caller) = verdict(&token) {
            prop_assert!(caller.expires > NOW);
        }
    }
}
