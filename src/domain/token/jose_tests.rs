use super::super::fixture::{b64, claims, rs256};
use super::*;

#[test]
fn what_a_token_says_of_itself_is_called_unverified() {
    let text = rs256(&claims());
    let token = Unverified::parse(&text).unwrap();
    assert_eq!(token.unverified_issuer(), Some("https://id.example.com/"));
    assert_eq!(token.unverified_kid(), Some("rsa-a"));
    assert_eq!(token.unverified_algorithm(), Algorithm::RS256);
    assert_eq!(token.unverified_kind(), Kind::Jwt);
    assert_eq!(format!("{}.{}", token.signing_input(), token.signature()), text);
}

#[test]
fn an_issuer_that_is_no_string_is_no_issuer() {
    let text = format!("{}.{}.AA", b64(r#"{"alg":"RS256"}"#), b64(r#"{"iss":["https://id.example.com/"]}"#));
    assert_eq!(Unverified::parse(&text).unwrap().unverified_issuer(), None);
}

#[test]
fn the_full_name_of_ed25519_is_known() {
    assert_eq!(algorithm("Ed25519"), Some(Algorithm::EdDSA));
    assert_eq!(algorithm("Ed448"), None);
    assert_eq!(algorithm("ES256K"), None);
}
