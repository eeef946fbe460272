//! Whatever stands in an `Authorization` header: no panic, and never a caller, for nothing here was signed.
#![no_main]

use doorward::domain::principal::SourceName;
use doorward::domain::secret::Secret;
use doorward::domain::time::UnixTime;
use doorward::domain::token::issuer::Issuer;
use doorward::domain::token::jose::{algorithm, Unverified};
use doorward::domain::token::keys::KeySet;
use doorward::domain::token::verify::verify;
use libfuzzer_sys::fuzz_target;
use std::time::Duration;

fuzz_target!(|input: &[u8]| {
    // the same bytes as a key set
    let fetched = KeySet::from_jwks(input).unwrap_or_default();
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(token) = Unverified::parse(text) else { return };
    let issuer = Issuer {
        name: SourceName::new("fuzz"),
        issuer: token.unverified_issuer().unwrap_or_default().to_owned(),
        audience: vec!["api".to_owned()],
        algorithms: ["HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA"].into_iter().filter_map(algorithm).collect(),
        leeway: Duration::from_secs(30),
        max_token_life: Duration::from_secs(86_400),
        claims: vec![("roles".to_owned(), "realm_access.roles".to_owned())],
        trust_email: false,
    };
    let shared = KeySet::from_secret(&Secret::new(b"a secret the fuzzer is never told".to_vec()));
    for keys in [&fetched, &shared] {
        assert!(verify(&token, &issuer, keys, UnixTime(1_800_000_000)).is_err());
    }
});
