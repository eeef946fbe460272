use super::super::fixture::fresh;
use super::*;

/// RFC 7638 section 3.1 and RFC 8037 appendix A.3.
#[test]
fn a_key_is_named_by_its_thumbprint() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n\
             3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd\
             AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur\
             -kEgU8awapJzKnqDKgw";
    let rsa = PublicKey::Rsa { n: n.to_owned(), e: "AQAB".to_owned() };
    assert_eq!(rsa.thumbprint().as_str(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned();
    let okp = PublicKey::Okp { crv: "Ed25519".to_owned(), x };
    assert_eq!(okp.thumbprint().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn the_public_half_has_the_members_its_type_asks_for() {
    for (algorithm, crv, lengths) in [
        (Algorithm::Es256, Some("P-256"), vec![("x", 32), ("y", 32)]),
        (Algorithm::EdDsa, Some("Ed25519"), vec![("x", 32)]),
        (Algorithm::Rs256, None, vec![("n", 256), ("e", 3)]),
    ] {
        let jwk = serde_json::to_value(&fresh(algorithm).public).unwrap();
        assert_eq!(jwk.get("crv").and_then(|crv| crv.as_str()), crv, "{algorithm:?}");
        for (name, length) in &lengths {
            let bytes = URL_SAFE_NO_PAD.decode(jwk[*name].as_str().unwrap()).unwrap();
            assert_eq!(bytes.len(), *length, "{algorithm:?} {name}");
        }
        assert_eq!(jwk.as_object().unwrap().len(), lengths.len() + 1 + usize::from(crv.is_some()));
    }
}

#[test]
fn a_key_of_one_algorithm_is_none_of_another() {
    for (algorithm, other) in [
        (Algorithm::Es256, Algorithm::EdDsa),
        (Algorithm::EdDsa, Algorithm::Rs256),
        (Algorithm::Rs256, Algorithm::Es256),
    ] {
        let key = fresh(algorithm).private;
        assert_eq!(FreshKey::from_pkcs8(other, key).unwrap_err(), BadKey(other));
    }
    assert!(FreshKey::from_pkcs8(Algorithm::Es256, Secret::new(b"no key".to_vec())).is_err());
}

#[test]
fn debug_output_never_shows_a_private_key() {
    for algorithm in Algorithm::ALL {
        let key = fresh(algorithm);
        let signer = Signer::new(&key.kid, algorithm, &key.private).unwrap();
        assert!(format!("{key:?}").contains("Secret(..)"), "{algorithm:?}");
        assert_eq!(format!("{signer:?}"), format!("Signer {{ kid: {:?}, .. }}", key.kid));
    }
}
