//! One signing key: what it is made of, what the world may see of it, and its signature.

use crate::domain::secret::Secret;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ECDSA_P256_SHA256_FIXED_SIGNING, RSA_PKCS1_SHA256,
};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// What our tokens may be signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256 (RFC 7518 section 3.4).
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256 and 2048 bits (RFC 7518 section 3.3).
    #[serde(rename = "RS256")]
    Rs256,
}

/// The name of a key: its RFC 7638 thumbprint, so that no two keys ever share one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Kid(String);

/// The public half, as the members of a JWK (RFC 7517 section 4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    #[serde(rename = "EC")]
    Ec { crv: String, x: String, y: String },
    #[serde(rename = "OKP")]
    Okp { crv: String, x: String },
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
}

/// A key nobody has used yet.
#[derive(Clone, Debug)]
pub struct FreshKey {
    pub(super) kid: Kid,
    pub(super) algorithm: Algorithm,
    pub(super) public: PublicKey,
    pub(super) private: Secret,
}

/// The bytes are no private key of that algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a usable {} private key", .0.name())]
pub struct BadKey(pub Algorithm);

/// Signs with one key. Parsed once; a signature costs the signature and nothing else.
pub struct Signer {
    kid: Kid,
    /// Base64url of the JOSE header of every token this key signs, and the dot behind it.
    header: String,
    /// The same where the claims are encrypted.
    nested: String,
    pair: Pair,
}

/// The library could not sign: not known to happen with a key that could be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library refused to sign")]
pub struct CannotSign;

enum Pair {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    /// Large, and rare.
    Rsa(Box<rsa::KeyPair>),
}

impl Algorithm {
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// As `alg` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// As the verifier of tokens knows it.
    #[must_use]
    pub fn for_verifying(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
        }
    }
}

impl FreshKey {
    /// # Errors
    /// `pkcs8` is no PKCS#8 private key for `algorithm`.
    pub fn from_pkcs8(algorithm: Algorithm, pkcs8: Secret) -> Result<Self, BadKey> {
        let public = Pair::parse(algorithm, &pkcs8)?.public();
        Ok(Self { kid: public.thumbprint(), algorithm, public, private: pkcs8 })
    }

    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Signer {
    /// # Errors
    /// `private` is no PKCS#8 private key for `algorithm`.
    pub fn new(kid: &Kid, algorithm: Algorithm, private: &Secret) -> Result<Self, BadKey> {
        let pair = Pair::parse(algorithm, private)?;
        // neither name needs escaping: one is ours, the other base64url
        let header = |further: &str| {
            let said = format!(r#"{{"alg":"{}","kid":"{}","typ":"at+jwt"{further}}}"#, algorithm.name(), kid.as_str());
            URL_SAFE_NO_PAD.encode(said) + "."
        };
        // what is inside is a JWT again (RFC 7519 section 5.2)
        Ok(Self { kid: kid.clone(), header: header(""), nested: header(r#","cty":"JWT""#), pair })
    }

    /// The compact JWS (RFC 7515 section 7.1) of `payload`, marked as an access token (RFC 9068 section 2.1).
    ///
    /// # Errors
    /// [`CannotSign`], which is not known to happen.
    pub fn access_token(&self, payload: &[u8]) -> Result<String, CannotSign> {
        self.signed(&self.header, payload)
    }

    /// The same of claims that were encrypted: a nested JWT (RFC 7519 section 5.2).
    ///
    /// # Errors
    /// [`CannotSign`], which is not known to happen.
    pub fn nested_token(&self, encrypted: &str) -> Result<String, CannotSign> {
        self.signed(&self.nested, encrypted.as_bytes())
    }

    fn signed(&self, header: &str, payload: &[u8]) -> Result<String, CannotSign> {
        // four characters for three bytes, and the largest signature is 256 bytes
        let mut token = String::with_capacity(header.len() + payload.len() / 3 * 4 + 4 + 1 + 344);
        token.push_str(header);
        URL_SAFE_NO_PAD.encode_string(payload, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    #[must_use]
    pub fn kid(&self) -> &Kid {
        &self.kid
    }
}

impl PublicKey {
    /// RFC 7638: the required members alone, in order of their names. Base64url and curve names need no escaping.
    fn thumbprint(&self) -> Kid {
        let canonical = match self {
            Self::Ec { crv, x, y } => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Okp { crv, x } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        Kid(URL_SAFE_NO_PAD.encode(Sha256::digest(canonical)))
    }
}

impl Pair {
    fn parse(algorithm: Algorithm, pkcs8: &Secret) -> Result<Self, BadKey> {
        let (bytes, bad) = (pkcs8.expose(), BadKey(algorithm));
        match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).map(Self::Ec).map_err(|_| bad)
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(bytes).map(Self::Ed).map_err(|_| bad),
            Algorithm::Rs256 => rsa::KeyPair::from_pkcs8(bytes).map(|pair| Self::Rsa(Box::new(pair))).map_err(|_| bad),
        }
    }

    fn public(&self) -> PublicKey {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ec(pair) => {
                // uncompressed point: 0x04 and the two coordinates (SEC 1 section 2.3.3)
                let point = pair.public_key().as_ref();
                let (x, y) = point.split_first().map(|(_, point)| point.split_at(point.len() / 2)).unwrap_or_default();
                PublicKey::Ec { crv: "P-256".to_owned(), x: text(x), y: text(y) }
            }
            Self::Ed(pair) => PublicKey::Okp { crv: "Ed25519".to_owned(), x: text(pair.public_key().as_ref()) },
            Self::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                let (n, e) = (n.big_endian_without_leading_zero(), e.big_endian_without_leading_zero());
                PublicKey::Rsa { n: text(n), e: text(e) }
            }
        }
    }

    /// The nonce of an ECDSA signature is drawn inside the library, which has a generator of its own and does not
    /// look at the one handed to it.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CannotSign> {
        let random = SystemRandom::new();
        match self {
            Self::Ec(pair) => pair.sign(&random, message).map(|signature| signature.as_ref().to_vec()),
            Self::Ed(pair) => pair.try_sign(message).map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map(|()| signature)
            }
        }
        .map_err(|_| CannotSign)
    }
}

impl Kid {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
