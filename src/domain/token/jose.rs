//! Compact JWS (RFC 7515 section 7.1), parsed so strictly that a token has one spelling and one meaning.
//!
//! Nothing here is believed: a parsed token is still [`Unverified`], and so say the names of what it gives.
//! Everything a header could use to bring its own key or its own rules is refused rather than ignored.

use super::json;
use crate::domain::denial::{Code, Denial};
use crate::domain::secret::Secret;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};
use std::fmt;
use std::str::FromStr;

/// The longest token we look at, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;

/// Header members that bring a key, fetch one, or change how the token is to be read. Keys come from configuration
/// alone (RFC 8725 section 3.5), we know no critical extension (RFC 7515 section 4.1.11), and `zip` and `enc` belong
/// to encrypted tokens.
const FORBIDDEN: [&str; 8] = ["crit", "jwk", "jku", "x5c", "x5u", "b64", "zip", "enc"];

/// A token whose signature nobody has checked yet.
#[derive(Clone)]
pub struct Unverified<'a> {
    algorithm: Algorithm,
    kid: Option<String>,
    kind: Kind,
    claims: Map<String, Value>,
    /// Header and payload as they were signed.
    signing_input: &'a str,
    signature: &'a str,
}

/// What `typ` says the token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `typ` is absent or `JWT`: anything, an access token included.
    Jwt,
    /// `at+jwt` (RFC 9068 section 2.1).
    AccessToken,
}

type KindOf = fn(&Map<String, Value>) -> Result<Kind, Denial>;

/// Decrypts a JWE that stands where claims are expected; `None` for what is not for us.
pub type Open<'o> = dyn Fn(&str) -> Option<Secret> + 'o;

impl<'a> Unverified<'a> {
    /// Reads `token`, the bare credential without its scheme.
    ///
    /// # Errors
    /// `token_invalid` for whatever is not exactly one signed JWT with an ordinary header.
    pub fn parse(token: &'a str) -> Result<Self, Denial> {
        Self::read(token, kind_of, &|_| None)
    }

    /// Reads `token`, whose claims may be encrypted (RFC 7519 section 5.2): `open` gives those that are for us.
    ///
    /// # Errors
    /// As [`Unverified::parse`].
    pub fn parse_nested(token: &'a str, open: &Open<'_>) -> Result<Self, Denial> {
        Self::read(token, kind_of, open)
    }

    /// Reads a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4), which may say in `typ` that it is one.
    ///
    /// # Errors
    /// As [`Unverified::parse`].
    pub fn parse_logout(token: &'a str) -> Result<Self, Denial> {
        Self::read(token, logout_kind, &|_| None)
    }

    fn read(token: &'a str, kind_of: KindOf, open: &Open<'_>) -> Result<Self, Denial> {
        if token.len() > MAX_TOKEN {
            return Err(invalid("the token is longer than 16 KiB"));
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or_else(|| invalid("not three parts"))?;
        let (header, payload) = signing_input.split_once('.').ok_or_else(|| invalid("not three parts"))?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() || payload.contains('.') {
            return Err(invalid("not three parts"));
        }
        let header =
            json::parse_object(&decode(header)?).map_err(|_| invalid("the header is no strict JSON object"))?;
        let claims = claims_of(&header, &decode(payload)?, open)?;
        decode(signature)?;
        if let Some(name) = FORBIDDEN.into_iter().find(|name| header.contains_key(*name)) {
            return Err(Denial::new(Code::TokenInvalid, format!("the header has \"{name}\"")));
        }
        let (algorithm, kid, kind) = (algorithm_of(&header)?, kid_of(&header)?, kind_of(&header)?);
        Ok(Self { algorithm, kid, kind, claims, signing_input, signature })
    }

    /// The `iss` this token claims to be from: good for choosing whose rules to check it by, for nothing else.
    #[must_use]
    pub fn unverified_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_str)
    }

    #[must_use]
    pub fn unverified_algorithm(&self) -> Algorithm {
        self.algorithm
    }

    #[must_use]
    pub fn unverified_kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// For people who inspect a token, and for code that has just checked the signature.
    #[must_use]
    pub fn unverified_claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Inside the signature like everything in the header, and as little to be believed before it is checked.
    #[must_use]
    pub fn unverified_kind(&self) -> Kind {
        self.kind
    }

    /// The bytes under the signature.
    #[must_use]
    pub fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// Canonical base64url, never empty.
    #[must_use]
    pub fn signature(&self) -> &'a str {
        self.signature
    }
}

/// A token is a credential also before it is checked: none of it is shown.
impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The algorithm named `name` in a header, a JWK or a file. `Ed25519` is the full name (RFC 9864) of the only EdDSA
/// there is here; HMAC with SHA-384 and SHA-512 exist, and no issuer can be configured to use them.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    if name == "Ed25519" {
        return Some(Algorithm::EdDSA);
    }
    Algorithm::from_str(name).ok()
}

/// Unpadded base64url of which there is only one for the same bytes: no padding, no white space, unused bits zero.
fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| invalid("a part is not canonical base64url"))
}

/// The claims, which may stand in a JWE where the header says so. What opens there was encrypted by whoever opens it, so
/// reading it before the signature is checked lets in nothing that the check would keep out.
fn claims_of(header: &Map<String, Value>, payload: &[u8], open: &Open<'_>) -> Result<Map<String, Value>, Denial> {
    let nested = header.get("cty").and_then(Value::as_str).is_some_and(|cty| cty.eq_ignore_ascii_case("JWT"));
    let not_json = invalid("the payload is no strict JSON object");
    // a JWE is base64url and dots
    if !nested || payload.starts_with(b"{") {
        return json::parse_object(payload).map_err(|_| not_json);
    }
    let inside = std::str::from_utf8(payload).ok().and_then(open);
    let inside = inside.ok_or_else(|| invalid("the claims are encrypted, and not for us"))?;
    json::parse_object(inside.expose()).map_err(|_| not_json)
}

/// Names are compared exactly: `none`, `None` and `rs256` name nothing.
fn algorithm_of(header: &Map<String, Value>) -> Result<Algorithm, Denial> {
    let name = header.get("alg").and_then(Value::as_str);
    name.and_then(algorithm).ok_or_else(|| invalid("\"alg\" names no signature algorithm"))
}

fn kid_of(header: &Map<String, Value>) -> Result<Option<String>, Denial> {
    match header.get("kid") {
        None => Ok(None),
        Some(Value::String(kid)) => Ok(Some(kid.clone())),
        Some(_) => Err(invalid("\"kid\" is no string")),
    }
}

/// A logout token, a DPoP proof or an assertion of ours says what it is and is therefore not taken for an access
/// token (RFC 8725 section 3.11). Media types are compared without case (RFC 7515 section 4.1.9).
fn kind_of(header: &Map<String, Value>) -> Result<Kind, Denial> {
    let Some(kind) = header.get("typ") else {
        return Ok(Kind::Jwt);
    };
    let kind = kind.as_str().unwrap_or_default();
    if kind.eq_ignore_ascii_case("JWT") {
        return Ok(Kind::Jwt);
    }
    if kind.eq_ignore_ascii_case("at+jwt") || kind.eq_ignore_ascii_case("application/at+jwt") {
        return Ok(Kind::AccessToken);
    }
    Err(invalid("\"typ\" says this is no access token"))
}

/// Many providers leave `typ` out or say `JWT`; its claims then tell a logout token from others.
fn logout_kind(header: &Map<String, Value>) -> Result<Kind, Denial> {
    let ours = ["JWT", "logout+jwt", "application/logout+jwt"];
    match header.get("typ").map(Value::as_str) {
        None => Ok(Kind::Jwt),
        Some(Some(kind)) if ours.iter().any(|name| kind.eq_ignore_ascii_case(name)) => Ok(Kind::Jwt),
        Some(_) => Err(invalid("\"typ\" says this is no logout token")),
    }
}

fn invalid(detail: &'static str) -> Denial {
    Denial::new(Code::TokenInvalid, detail)
}

#[cfg(test)]
#[path = "jose_tests.rs"]
mod tests;
