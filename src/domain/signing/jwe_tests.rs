use super::*;
use proptest::prelude::*;
use serde_json::{json, Value};

const FRESH: Fresh = Fresh { salt: [5; SALT], nonce: [6; NONCE_LEN] };
const CLAIMS: &[u8] = br#"{"sub":"alice","email":"alice@app.test"}"#;

fn seals(fills: &[u8]) -> Seals {
    Seals::new(&fills.iter().map(|fill| Secret::new(vec![*fill; 32])).collect::<Vec<_>>()).unwrap()
}

fn opened(seals: &Seals, token: &str) -> Option<Vec<u8>> {
    decrypt(seals, token).map(|claims| claims.expose().to_vec())
}

fn token() -> String {
    encrypt(&seals(&[1]), &FRESH, CLAIMS).unwrap()
}

/// The token with another part in that place.
fn with(at: usize, part: &str) -> String {
    let token = token();
    let mut parts: Vec<&str> = token.split('.').collect();
    parts[at] = part;
    parts.join(".")
}

#[test]
fn what_we_encrypt_we_read_and_nobody_else_does() {
    let token = token();
    assert_eq!(opened(&seals(&[1]), &token).as_deref(), Some(CLAIMS));
    assert_eq!(opened(&seals(&[2]), &token), None, "another secret");
    assert!(!token.contains("alice") && !token.contains(&URL_SAFE_NO_PAD.encode(b"alice")));
}

#[test]
fn it_has_the_five_parts_of_a_jwe_and_says_how_it_was_made() {
    let token = token();
    let parts: Vec<&str> = token.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!((&header["alg"], &header["enc"]), (&json!("dir"), &json!("A256GCM")));
    assert_eq!(header.as_object().unwrap().len(), 3);
    let lengths: Vec<usize> = parts.iter().map(|part| URL_SAFE_NO_PAD.decode(part).unwrap().len()).collect();
    assert_eq!(lengths[1..], [0, 12, CLAIMS.len(), 16]);
}

#[test]
fn a_new_secret_encrypts_and_the_old_one_still_reads() {
    let old = token();
    let both = seals(&[2, 1]);
    assert_eq!(opened(&both, &old).as_deref(), Some(CLAIMS));
    let new = encrypt(&both, &FRESH, CLAIMS).unwrap();
    assert_ne!(new.split('.').next(), old.split('.').next(), "its name says which secret");
    assert_eq!(opened(&seals(&[2]), &new).as_deref(), Some(CLAIMS));
    assert_eq!(opened(&seals(&[1]), &new), None);
}

#[test]
fn no_two_tokens_share_a_key() {
    let one = token();
    let other = encrypt(&seals(&[1]), &Fresh { salt: [7; SALT], ..FRESH }, CLAIMS).unwrap();
    let body = |token: &str| token.split('.').skip(3).collect::<Vec<_>>().join(".");
    assert_ne!(body(&one), body(&other), "one nonce, and another key");
}

#[test]
fn a_header_that_asks_for_something_else_is_not_obeyed() {
    let token = token();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header = String::from_utf8(header).unwrap();
    for (from, to) in [
        ("\"dir\"", "\"A256KW\""),
        ("\"dir\"", "\"none\""),
        ("\"dir\"", "\"RSA1_5\""),
        ("A256GCM", "A128GCM"),
        ("A256GCM", "A256CBC-HS512"),
        ("{", "{ "),
        ("{", "{\"zip\":\"DEF\","),
        ("\"kid\"", "\"kiD\""),
    ] {
        let changed = header.replacen(from, to, 1);
        assert_ne!(changed, header);
        assert_eq!(opened(&seals(&[1]), &with(0, &URL_SAFE_NO_PAD.encode(changed))), None, "{to}");
    }
}

#[test]
fn a_token_that_was_cut_stretched_or_respelt_is_none() {
    let token = token();
    for at in 0..token.len() {
        assert_eq!(opened(&seals(&[1]), &token[..at]), None, "cut at {at}");
    }
    let parts: Vec<&str> = token.split('.').collect();
    for wrong in [
        format!("{token}."),
        format!("{token}.AAAA"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}{token}"),
        with(1, "AAAA"),
        with(2, ""),
        with(2, &"A".repeat(15)),
        with(3, ""),
        with(4, &parts[4][..20]),
        with(4, &format!("{}==", parts[4])),
        "....".to_owned(),
        ".".repeat(16_000),
        "A".repeat(16_000),
    ] {
        assert_eq!(opened(&seals(&[1]), &wrong), None, "{}", &wrong[..wrong.len().min(80)]);
    }
    // the last character of sixteen bytes holds four bits that must be zero
    let last = parts[4].chars().next_back().unwrap();
    for spare in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".chars().filter(|it| *it != last) {
        let respelt = format!("{}{spare}", &parts[4][..21]);
        assert_eq!(opened(&seals(&[1]), &with(4, &respelt)), None, "{respelt}");
    }
}

proptest! {
    #[test]
    fn whatever_is_changed_it_does_not_open(at in 0_usize..220, with in "[A-Za-z0-9_.-]") {
        let token = token();
        let at = at % token.len();
        let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert_eq!(opened(&seals(&[1]), &changed), None);
    }

    #[test]
    fn no_text_of_a_stranger_opens(text in "[A-Za-z0-9_.-]{0,300}") {
        prop_assert_eq!(opened(&seals(&[1]), &text), None);
    }

    #[test]
    fn any_claims_come_back(claims in proptest::collection::vec(any::<u8>(), 0..600), salt in any::<[u8; SALT]>()) {
        let token = encrypt(&seals(&[1]), &Fresh { salt, ..FRESH }, &claims).unwrap();
        prop_assert_eq!(opened(&seals(&[1]), &token), Some(claims));
    }
}
