//! One attempt to sign in: what must be remembered between sending a browser to the provider and its return.
//!
//! Each attempt is remembered by the browser that began it, in a sealed cookie of its own, so that several tabs can sign
//! in at once and an answer meant for one browser is worth nothing in another. Sealing is for others.

use super::unguessable::Unguessable;
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::domain::session::{SessionId, UserHash};
use crate::domain::time::UnixTime;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How long somebody may take at the provider.
pub const ATTEMPT_LIFE: Duration = Duration::from_secs(600);

/// Another number makes what older versions wrote unreadable, and so the attempt is begun again.
const VERSION: &str = "2";

#[derive(Clone, Debug)]
pub struct Attempt {
    pub provider: SourceName,
    /// Ties the answer to the browser that asked.
    pub state: Unguessable,
    /// Ties the ID token to this attempt.
    pub nonce: Unguessable,
    /// Ties the code to whoever asked for it.
    pub verifier: Unguessable,
    pub created: UnixTime,
    /// The sign-in itself may be this old at most; asked of the provider and checked in its answer.
    pub max_age: Option<Duration>,
    /// Sent twice, and must be the same both times (RFC 6749 section 4.1.3).
    pub redirect_uri: String,
    /// Where the browser goes in the end, already checked.
    pub return_to: String,
    /// The session that this sign-in replaces. A provider brings the browser back from another site, and then it may
    /// not show the cookies that say so.
    pub former: Option<(UserHash, SessionId)>,
}

/// What is known when somebody wants to sign in.
#[derive(Clone, Debug)]
pub struct Wish {
    pub provider: SourceName,
    pub redirect_uri: String,
    pub return_to: String,
    pub max_age: Option<Duration>,
    pub former: Option<(UserHash, SessionId)>,
}

impl Attempt {
    /// `random`: 96 bytes from a cryptographic source, never used before.
    #[must_use]
    pub fn begin(wish: Wish, random: &[[u8; 32]; 3], now: UnixTime) -> Self {
        let [state, nonce, verifier] = random;
        Self {
            provider: wish.provider,
            state: Unguessable::from_random(state),
            nonce: Unguessable::from_random(nonce),
            verifier: Unguessable::from_random(verifier),
            created: now,
            max_age: wish.max_age,
            redirect_uri: wish.redirect_uri,
            return_to: wish.return_to,
            former: wish.former,
        }
    }

    /// Compact, and not sealed yet.
    #[must_use]
    pub fn to_bytes(&self) -> Secret {
        let max_age = self.max_age.map(|age| age.as_secs().to_string()).unwrap_or_default();
        let created = self.created.0.to_string();
        let former = self.former.map(|(user, id)| format!("{user} {id}")).unwrap_or_default();
        // one field a line; `return_to` is last, so that whatever stands in it stays in it
        let fields = [
            VERSION,
            self.provider.as_str(),
            self.state.expose(),
            self.nonce.expose(),
            self.verifier.expose(),
            &created,
            &max_age,
            &former,
            &self.redirect_uri,
            &self.return_to,
        ];
        Secret::new(fields.join("\n").into_bytes())
    }

    /// What [`Attempt::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut fields = std::str::from_utf8(bytes).ok()?.splitn(10, '\n');
        if fields.next()? != VERSION {
            return None;
        }
        let attempt = Self {
            provider: SourceName::new(fields.next()?),
            state: Unguessable::read(fields.next()?)?,
            nonce: Unguessable::read(fields.next()?)?,
            verifier: Unguessable::read(fields.next()?)?,
            created: UnixTime(fields.next()?.parse().ok()?),
            max_age: match fields.next()? {
                "" => None,
                seconds => Some(Duration::from_secs(seconds.parse().ok()?)),
            },
            former: match fields.next()? {
                "" => None,
                names => {
                    let (user, id) = names.split_once(' ')?;
                    Some((UserHash::parse(user)?, SessionId::parse(id)?))
                }
            },
            redirect_uri: fields.next()?.to_owned(),
            return_to: fields.next()?.to_owned(),
        };
        Some(attempt)
    }

    /// Exactly on the limit it still counts.
    #[must_use]
    pub fn is_over(&self, now: UnixTime) -> bool {
        now.since(self.created) > ATTEMPT_LIFE
    }

    /// Six characters that tell the attempts of one browser apart; the name of its cookie ends in them.
    #[must_use]
    pub fn label(&self) -> String {
        label(self.state.expose())
    }
}

/// Of a hash, so that a name that shows in logs tells nothing about the `state`.
pub(super) fn label(state: &str) -> String {
    let mut label = URL_SAFE_NO_PAD.encode(Sha256::digest(state.as_bytes()));
    label.truncate(6);
    label
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{attempt, NOW};
    use super::*;

    #[test]
    fn an_attempt_is_read_as_it_was_written() {
        for (max_age, return_to) in [(None, "/a?b=c#d"), (Some(Duration::from_secs(300)), "/"), (None, "/\n1\n2\u{fc}")]
        {
            let mut before = attempt();
            (before.max_age, before.return_to) = (max_age, return_to.to_owned());
            before.former = max_age.map(|_| (UserHash::from_bytes([7; 16]), SessionId::from_bytes([8; 16])));
            let after = Attempt::from_bytes(before.to_bytes().expose()).unwrap();
            assert_eq!(after.provider, before.provider);
            assert!(after.state.matches(before.state.expose()) && after.nonce.matches(before.nonce.expose()));
            assert!(after.verifier.matches(before.verifier.expose()));
            assert_eq!((after.created, after.max_age, after.former), (before.created, max_age, before.former));
            assert_eq!(
                (after.redirect_uri.as_str(), after.return_to.as_str()),
                (before.redirect_uri.as_str(), return_to)
            );
        }
    }

    #[test]
    fn an_attempt_is_small_enough_for_five_of_them_in_one_cookie_header() {
        assert!(attempt().to_bytes().expose().len() < 300);
    }

    #[test]
    fn the_three_secrets_of_an_attempt_differ() {
        let attempt = attempt();
        assert!(!attempt.state.matches(attempt.nonce.expose()));
        assert!(!attempt.nonce.matches(attempt.verifier.expose()));
    }

    #[test]
    fn what_an_attempt_did_not_write_is_not_read() {
        let text = String::from_utf8(attempt().to_bytes().expose().to_vec()).unwrap();
        let other_version = text.replacen('2', "1", 1);
        let short = text.lines().take(9).collect::<Vec<_>>().join("\n");
        let no_time = text.replace(&NOW.0.to_string(), "yesterday");
        for wrong in [other_version.as_str(), &short, &no_time, "", "1", "\u{0}"] {
            assert!(Attempt::from_bytes(wrong.as_bytes()).is_none(), "{wrong:?}");
        }
        assert!(Attempt::from_bytes(&[0xff, 0xfe]).is_none());
    }

    #[test]
    fn ten_minutes_are_enough_and_a_second_more_is_too_much() {
        assert!(!attempt().is_over(NOW.plus(ATTEMPT_LIFE)));
        assert!(attempt().is_over(NOW.plus(ATTEMPT_LIFE).plus(Duration::from_secs(1))));
        assert!(!attempt().is_over(UnixTime(NOW.0 - 5)), "the clock of another replica may be behind");
    }

    #[test]
    fn a_label_is_a_piece_of_a_cookie_name_and_no_piece_of_the_state() {
        let attempt = attempt();
        assert_eq!(attempt.label().len(), 6);
        assert!(attempt.label().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        assert!(!attempt.state.expose().starts_with(&attempt.label()));
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let attempt = attempt();
        let shown = format!("{attempt:?}");
        for secret in [&attempt.state, &attempt.nonce, &attempt.verifier] {
            assert!(!shown.contains(secret.expose()));
        }
    }
}
