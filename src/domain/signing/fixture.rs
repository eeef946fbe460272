//! For tests: keys, schedules and tokens.

use super::access_token::{AccessToken, Audience, SessionClaim};
use super::key::{Algorithm, FreshKey};
use super::ring::Schedule;
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, ECDSA_P256_SHA256_FIXED_SIGNING};
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use std::time::Duration;
use uuid::Uuid;

/// The moment most tests begin at.
pub(crate) const START: UnixTime = UnixTime(1_800_000_000);
pub(crate) const ISSUER: &str = "https://app.example.com";

pub(crate) const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

pub(crate) const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// As an untouched configuration has it.
pub(crate) fn schedule() -> Schedule {
    Schedule {
        algorithm: Algorithm::Es256,
        rotate_every: hours(30 * 24),
        publish_ahead: hours(24),
        overlap: hours(48),
        token_life: minutes(15),
    }
}

/// A new key; of RSA always the same one, for making one takes long.
pub(crate) fn fresh(algorithm: Algorithm) -> FreshKey {
    let random = SystemRandom::new();
    let pkcs8 = match algorithm {
        Algorithm::Es256 => {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap().as_ref().to_vec()
        }
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).unwrap().as_ref().to_vec(),
        Algorithm::Rs256 => pkcs8_of_pkcs1(&der(include_str!("../../../tests/keys/rsa-a.pem"))),
    };
    FreshKey::from_pkcs8(algorithm, Secret::new(pkcs8)).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with('-')).collect::<String>()).unwrap()
}

/// Puts an RSA private key into its PKCS#8 envelope, should it have none.
fn pkcs8_of_pkcs1(der: &[u8]) -> Vec<u8> {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    use aws_lc_rs::rsa::KeyPair;
    let pair = KeyPair::from_der(der).or_else(|_| KeyPair::from_pkcs8(der)).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    der.as_ref().to_vec()
}

/// A token with everything in it, minted at `iat` for `life`.
pub(crate) fn token<'a>(audience: &'a [String], roles: &'a [String], iat: UnixTime, life: Duration) -> AccessToken<'a> {
    AccessToken {
        iss: ISSUER,
        sub: "u1",
        aud: Audience(audience),
        exp: iat.plus(life),
        iat,
        jti: Uuid::from_u128(0x1234_5678_9abc_4def_8123_4567_89ab_cdef),
        client_id: "doorward",
        scope: "read write",
        roles,
        session: Some(SessionClaim::Sid.holding("s-1")),
        provider: "auth0",
        device_fingerprint: Some("f00d"),
        dfp: Some("1.2.3.4"),
        rv: "7-0",
        fid: Some("fam"),
        r#gen: Some(2),
        email: Some("u1@example.com"),
        email_verified: Some(true),
        name: Some("Ünal \"U\" One"),
        auth_time: Some(iat),
        acr: Some("mfa"),
        amr: roles,
    }
}
