//! The renewal token itself: `dwr1.<user>.<family>.<generation>.<mac>`.
//!
//! A generation has one spelling, so "give the same one again" needs nothing stored. The MAC keeps strangers from
//! reaching the store at all.

use crate::domain::secret::Secret;
use crate::domain::session::id::first_half;
use crate::domain::session::{FamilyId, UserHash};
use aws_lc_rs::hmac;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use std::fmt;
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

const VERSION: &str = "dwr1";
/// The version, two names, ten digits, the MAC, and four dots.
const LONGEST: usize = 4 + 22 + 22 + 10 + 22 + 4;

/// What a renewal token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    pub user: UserHash,
    pub family: FamilyId,
    pub generation: u32,
}

/// A renewal token as a caller carries it. Whoever holds it is the user, so it is never stored or printed.
pub struct RenewalToken(Zeroizing<String>);

impl RenewalToken {
    /// For the cookie or the body it leaves in.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RenewalToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RenewalToken(..)")
    }
}

/// The MAC keys: the first one makes tokens, all of them verify.
pub struct MacRing {
    first: hmac::Key,
    others: Vec<hmac::Key>,
}

impl MacRing {
    #[must_use]
    pub fn new(first: &Secret, others: &[Secret]) -> Self {
        let key = |secret: &Secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        Self { first: key(first), others: others.iter().map(key).collect() }
    }

    #[must_use]
    pub fn mint(&self, renewal: &Renewal) -> RenewalToken {
        let Renewal { user, family, generation } = renewal;
        let said = format!("{VERSION}.{user}.{family}.{generation}");
        let mac = URL_SAFE_NO_PAD.encode(mac(&self.first, &said));
        RenewalToken(Zeroizing::new(format!("{said}.{mac}")))
    }

    /// What `token` says, if we made it. Everything else is `None`, and cost no store.
    #[must_use]
    pub fn parse(&self, token: &str) -> Option<Renewal> {
        if token.len() > LONGEST {
            return None;
        }
        let (said, presented) = token.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (version, user, family, generation) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() {
            return None;
        }
        let renewal =
            Renewal { user: UserHash::parse(user)?, family: FamilyId::parse(family)?, generation: number(generation)? };
        self.made(said, presented).then_some(renewal)
    }

    fn made(&self, said: &str, presented: &str) -> bool {
        let Ok(presented) = URL_SAFE_NO_PAD.decode(presented) else {
            return false;
        };
        let keys = std::iter::once(&self.first).chain(&self.others);
        let matches = keys.map(|key| mac(key, said).ct_eq(presented.as_slice()));
        // every key is tried, whichever fits: the time says nothing about the ring
        matches.fold(Choice::from(0), |any, one| any | one).into()
    }
}

impl fmt::Debug for MacRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacRing(..)")
    }
}

fn mac(key: &hmac::Key, said: &str) -> [u8; 16] {
    let mut whole = [0; 32];
    whole.iter_mut().zip(hmac::sign(key, said.as_bytes()).as_ref()).for_each(|(into, from)| *into = *from);
    first_half(whole)
}

/// Digits only and without leading zeros: `u32::from_str` would take a plus sign.
fn number(text: &str) -> Option<u32> {
    let canonical = text == "0" || !text.starts_with('0');
    (canonical && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Secret {
        Secret::new(vec![byte; 32])
    }

    fn renewal(generation: u32) -> Renewal {
        Renewal { user: UserHash::from_bytes([1; 16]), family: FamilyId::from_bytes([2; 16]), generation }
    }

    #[test]
    fn a_token_says_what_it_was_made_of_and_has_one_spelling() {
        let ring = MacRing::new(&key(1), &[]);
        for generation in [0, 1, 10, u32::MAX] {
            let token = ring.mint(&renewal(generation));
            assert!(token.as_str().len() <= LONGEST);
            assert_eq!(ring.parse(token.as_str()), Some(renewal(generation)));
            assert_eq!(token.as_str(), ring.mint(&renewal(generation)).as_str());
        }
    }

    #[test]
    fn a_new_key_makes_tokens_and_the_old_one_still_verifies() {
        let old = MacRing::new(&key(1), &[]).mint(&renewal(3));
        let both = MacRing::new(&key(2), &[key(1)]);
        assert_eq!(both.parse(old.as_str()), Some(renewal(3)));
        assert_ne!(both.mint(&renewal(3)).as_str(), old.as_str());
        assert_eq!(MacRing::new(&key(2), &[]).parse(old.as_str()), None, "its key has left the ring");
    }

    #[test]
    fn whatever_is_changed_it_is_no_token_of_ours() {
        let ring = MacRing::new(&key(1), &[]);
        let token = ring.mint(&renewal(7));
        let good = token.as_str();
        for at in 0..good.len() {
            for with in ['A', 'B', '.', '0', '=', 'é'] {
                let changed = format!("{}{with}{}", &good[..at], &good[at + 1..]);
                assert!(changed == good || ring.parse(&changed).is_none(), "{changed}");
            }
            assert_eq!(ring.parse(&good[..at]), None, "cut at {at}");
        }
        assert_eq!(ring.parse(&format!("{good}.")), None);
        assert_eq!(ring.parse(&format!("{good}A")), None);
        assert_eq!(ring.parse(&"dwr1.".repeat(1000)), None);
    }

    #[test]
    fn a_number_with_another_spelling_is_refused_even_with_a_good_mac() {
        let ring = MacRing::new(&key(1), &[]);
        let names = format!("{VERSION}.{}.{}", renewal(0).user, renewal(0).family);
        for odd in ["07", "+7", "", " 7", "7 ", "4294967296", "-0", "00"] {
            let said = format!("{names}.{odd}");
            let forged = format!("{said}.{}", URL_SAFE_NO_PAD.encode(mac(&ring.first, &said)));
            assert_eq!(ring.parse(&forged), None, "{odd:?}");
        }
        let said = format!("{names}.7.8");
        assert_eq!(ring.parse(&format!("{said}.{}", URL_SAFE_NO_PAD.encode(mac(&ring.first, &said)))), None);
    }

    #[test]
    fn debug_output_never_shows_a_token_or_a_key() {
        let ring = MacRing::new(&key(1), &[]);
        assert_eq!(format!("{:?} {ring:?}", ring.mint(&renewal(1))), "RenewalToken(..) MacRing(..)");
    }
}
