//! 256 random bits as text: the `state`, the `nonce` and the PKCE verifier of an attempt.

use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// 43 characters of base64url. Whoever knows them was there when the attempt began, so they are never printed.
#[derive(Clone)]
pub struct Unguessable(Zeroizing<String>);

impl Unguessable {
    /// Of 32 bytes from a cryptographic source.
    #[must_use]
    pub fn from_random(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// One that was written down.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text).ok()?);
        (bytes.len() == 32).then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// The text itself, for the one place it is sent to.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this one, in a time that depends only on its length.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        self.0.as_bytes().ct_eq(candidate.as_bytes()).into()
    }

    /// The S256 code challenge of this verifier (RFC 7636 section 4.2).
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for Unguessable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unguessable(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_rfc_7636_appendix_b() {
        let verifier = Unguessable::read("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        assert_eq!(verifier.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_verifier_is_as_long_as_the_standard_wants() {
        let verifier = Unguessable::from_random(&[0xff; 32]);
        assert_eq!(verifier.expose().len(), 43);
        assert!(verifier.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }

    #[test]
    fn only_the_whole_text_matches() {
        let state = Unguessable::from_random(&[7; 32]);
        let text = state.expose().to_owned();
        assert!(state.matches(&text));
        assert!(!state.matches(&text[..42]) && !state.matches("") && !state.matches(&text.to_uppercase()));
    }

    #[test]
    fn what_is_not_32_bytes_is_not_read() {
        for text in
            ["", "AAAA", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk"]
        {
            assert!(Unguessable::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_nothing() {
        assert_eq!(format!("{:?}", Unguessable::from_random(&[1; 32])), "Unguessable(..)");
    }
}
