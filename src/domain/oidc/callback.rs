//! What a browser brings back from the provider (RFC 6749 section 4.1.2, RFC 9207), and whether it answers what we asked.
//!
//! Anybody can send anybody here with anything in the URL. So nothing in it counts before its `state` has been found in
//! the attempt of the very browser that brings it.

use super::attempt::label;
use super::{Attempt, Metadata};
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use std::borrow::Cow;
use std::fmt;

/// The longest query or form we read, in bytes; real ones, codes of two kilobytes included, are below four.
pub const MAX_CALLBACK: usize = 16 * 1024;
/// The longest reason of a provider that we keep, in characters.
const MAX_REASON: usize = 200;

/// A callback that nobody has matched with an attempt yet.
#[derive(Clone, Debug)]
pub struct Callback {
    unverified_state: Secret,
    unverified_iss: Option<String>,
    answer: Answer,
}

#[derive(Clone, Debug)]
enum Answer {
    /// Good for one exchange; whoever has it and the verifier is the user.
    Code(Secret),
    Refused(Refusal),
}

/// The provider's "no", fit for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// As RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6 name it: `access_denied`, `login_required` …
    pub code: String,
    /// In the provider's words, shortened and escaped.
    pub reason: Option<String>,
}

/// Why a callback goes no further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// It is no authorization response at all.
    #[error("the callback {0}")]
    Malformed(&'static str),
    /// It does not answer the attempt it came with, or came too late.
    #[error("{0}")]
    BadState(&'static str),
    #[error("the provider answered {0}")]
    Refused(Refusal),
}

impl Callback {
    /// Reads a query, or the body of a form.
    ///
    /// # Errors
    /// [`Unanswered::Malformed`].
    pub fn parse(input: &[u8]) -> Result<Self, Unanswered> {
        if input.len() > MAX_CALLBACK {
            return Err(Unanswered::Malformed("is longer than 16 KiB"));
        }
        let [state, code, error, reason, iss] =
            once_each(input, ["state", "code", "error", "error_description", "iss"])?;
        let state = state.filter(|state| !state.is_empty()).ok_or(Unanswered::Malformed("has no state"))?;
        let answer = match (code, error) {
            (Some(code), None) => Answer::Code(checked(&code)?),
            (None, Some(error)) => Answer::Refused(Refusal::new(&error, reason.as_deref())),
            (Some(_), Some(_)) => return Err(Unanswered::Malformed("has both a code and an error")),
            (None, None) => return Err(Unanswered::Malformed("has neither a code nor an error")),
        };
        Ok(Self {
            unverified_state: Secret::new(state.into_owned().into_bytes()),
            unverified_iss: iss.map(Cow::into_owned),
            answer,
        })
    }

    /// The [`Attempt::label`] of the attempt this says it answers.
    #[must_use]
    pub fn label(&self) -> String {
        label(&String::from_utf8_lossy(self.unverified_state.expose()))
    }

    /// The code, when this answers `attempt`. `provider` is the one whose redirect URI was called, `metadata` is its.
    ///
    /// # Errors
    /// [`Unanswered::BadState`], or the provider's refusal.
    pub fn check(
        self,
        attempt: &Attempt,
        provider: &SourceName,
        metadata: &Metadata,
        now: UnixTime,
    ) -> Result<Secret, Unanswered> {
        if !self.unverified_state.matches(attempt.state.expose().as_bytes()) {
            return Err(Unanswered::BadState("the state is not that of the attempt"));
        }
        if attempt.is_over(now) {
            return Err(Unanswered::BadState("the attempt is older than ten minutes"));
        }
        // each provider has its own redirect URI: an answer at another's is the mix-up attack (RFC 9700 section 4.4)
        if attempt.provider != *provider {
            return Err(Unanswered::BadState("the attempt was made at another provider"));
        }
        match &self.unverified_iss {
            Some(iss) if *iss == metadata.issuer => {}
            Some(_) => return Err(Unanswered::BadState("\"iss\" is another issuer")),
            None if metadata.names_itself => return Err(Unanswered::BadState("\"iss\" is missing")),
            None => {}
        }
        match self.answer {
            Answer::Code(code) => Ok(code),
            Answer::Refused(refusal) => Err(Unanswered::Refused(refusal)),
        }
    }
}

/// The values of these parameters. One that stands twice is refused (RFC 6749 section 3.1): two readers could take two
/// different ones. Others are none of our business.
fn once_each<'i, const N: usize>(input: &'i [u8], names: [&str; N]) -> Result<[Option<Cow<'i, str>>; N], Unanswered> {
    let mut found = [const { None }; N];
    for (name, value) in form_urlencoded::parse(input) {
        let Some(slot) = names.iter().position(|known| *known == name).and_then(|at| found.get_mut(at)) else {
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(Unanswered::Malformed("has a parameter twice"));
        }
    }
    Ok(found)
}

/// Visible ASCII and spaces (RFC 6749 appendix A.11).
fn checked(code: &str) -> Result<Secret, Unanswered> {
    if code.is_empty() || !code.bytes().all(|byte| (0x20..=0x7e).contains(&byte)) {
        return Err(Unanswered::Malformed("has a code with odd characters"));
    }
    Ok(Secret::new(code.as_bytes().to_vec()))
}

impl Refusal {
    /// The code is compared, counted and shown, so one that does not look like a code is none.
    #[must_use]
    pub fn new(code: &str, reason: Option<&str>) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.';
        let is_code = !code.is_empty() && code.len() <= 64 && code.bytes().all(plain);
        let reason = reason.map(|reason| reason.escape_debug().take(MAX_REASON).collect());
        Self { code: if is_code { code } else { "an error without a name" }.to_owned(), reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Some(reason) => write!(f, "{} ({reason})", self.code),
            None => f.write_str(&self.code),
        }
    }
}

#[cfg(test)]
#[path = "callback_tests.rs"]
mod tests;
