//! Claims that only we can read: a compact JWE (RFC 7516 section 7.1) that takes the place of the claims within a token
//! of ours, so that whoever holds or logs the token learns nothing about its user.
//!
//! `dir` with `A256GCM`, and nothing else in either direction. Each token has a key of its own, derived from
//! `store.secret` and random bits that stand in its `kid`: random nonces under one key for ever would run out. The
//! signature goes around it, so that others can still tell a token of ours from a forgery.

use crate::domain::seal::{CannotSeal, KeyId, Parts, Purpose, Seals};
use crate::domain::secret::Secret;
use aws_lc_rs::aead::NONCE_LEN;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;

/// Random bits that give a token its own key.
pub const SALT: usize = 16;
const TAG: usize = 16;
const KID: usize = size_of::<KeyId>() + SALT;

/// What makes one token's encryption its own: both random, and never used for another.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    pub salt: [u8; SALT],
    pub nonce: [u8; NONCE_LEN],
}

/// `claims`, readable by nobody without our secret.
///
/// # Errors
/// [`CannotSeal`], which is not known to happen.
pub fn encrypt(seals: &Seals, fresh: &Fresh, claims: &[u8]) -> Result<String, CannotSeal> {
    let mut kid = [0; KID];
    let named = seals.current().into_iter().flatten().chain(fresh.salt);
    kid.iter_mut().zip(named).for_each(|(into, from)| *into = from);
    let header = header(&kid);
    let key = seals.of_record(Purpose::AccessToken, &fresh.salt)?;
    let sealed = key.seal(header.as_bytes(), fresh.nonce, claims)?;
    let Parts { nonce, body, .. } = Parts::of(&sealed).ok_or(CannotSeal)?;
    let (text, tag) = body.split_last_chunk::<TAG>().ok_or(CannotSeal)?;
    let [nonce, text, tag] = [&nonce[..], text, &tag[..]].map(|part| URL_SAFE_NO_PAD.encode(part));
    // directly encrypted: the place of the encrypted key stays empty (RFC 7516 section 5.1, step 5)
    Ok(format!("{header}..{nonce}.{text}.{tag}"))
}

/// The claims that we encrypted as `token`; `None` for whatever is not exactly what [`encrypt`] writes. The header is
/// compared and never obeyed: no algorithm, key or compression comes from whoever presents it.
#[must_use]
pub fn decrypt(seals: &Seals, token: &str) -> Option<Secret> {
    let mut parts = token.split('.');
    let [protected, none, nonce, text, tag] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    if parts.next().is_some() || !none.is_empty() {
        return None;
    }
    let kid = kid(protected)?;
    let (id, salt) = kid.split_first_chunk()?;
    let nonce: [u8; NONCE_LEN] = decode(nonce)?.try_into().ok()?;
    let tag: [u8; TAG] = decode(tag)?.try_into().ok()?;
    let body = [decode(text)?.as_slice(), &tag].concat();
    let key = seals.of_record(Purpose::AccessToken, salt).ok()?;
    key.open(protected.as_bytes(), &Parts { id: *id, nonce, body: &body }.joined())
}

/// The protected header, as it stands in the token. Its text is what the seal is bound to (RFC 7516 section 5.1, step 14).
fn header(kid: &[u8; KID]) -> String {
    let kid = URL_SAFE_NO_PAD.encode(kid);
    URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"dir","enc":"A256GCM","kid":"{kid}"}}"#))
}

/// The `kid` of a header that is written as we write it.
fn kid(protected: &str) -> Option<[u8; KID]> {
    // all of ours are of one length: a longer one is not even decoded
    if protected.len() != header(&[0; KID]).len() {
        return None;
    }
    let text = decode(protected)?;
    let kid = std::str::from_utf8(&text).ok()?.split('"').nth_back(1)?;
    let kid: [u8; KID] = decode(kid)?.try_into().ok()?;
    (header(&kid) == protected).then_some(kid)
}

/// Canonical base64url: one spelling for the same bytes.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

#[cfg(test)]
#[path = "jwe_tests.rs"]
mod tests;
