//! What sessions ask of the world besides the store: what was revoked, and who watches.

use crate::domain::principal::SourceName;
use crate::domain::revocation::Position;
use crate::domain::session::{OnLimit, SessionId};
use crate::domain::time::UnixTime;
use async_trait::async_trait;
use std::fmt::Debug;

/// What was revoked, as this replica knows it.
///
/// # When the answer is wrong
/// Something revoked that counts again lets a thief, or a person who was dismissed, back in. So what was known once is
/// known until no token is left that it could hit.
#[async_trait]
pub trait Revocations: Send + Sync + Debug {
    /// Changes whenever something is revoked: what was checked under this number needs no second look.
    fn generation(&self) -> u64;

    /// Where the list stands now; a token minted now is not hit by what stands there.
    fn position(&self) -> Position;

    /// Whether the list was never seen: whatever it may hold, it is not known here. Never so of one that nobody shares.
    fn is_blind(&self) -> bool;

    /// Whether the list was confirmed to be complete a moment ago. If not, what is on it is revoked all the same.
    fn is_fresh(&self) -> bool;

    /// Whether the store would still know of it if a credential that was issued then, and ends then by what it says, had
    /// been used. What came before the log began, or before the store was found to have lost something, it may not know.
    /// A credential that does not say when it was issued counts as issued at the beginning of time.
    fn remembers(&self, issued: UnixTime, ends: UnixTime) -> bool;

    /// Whether `credential` was revoked.
    fn refuses(&self, credential: &Credential<'_>) -> bool;

    /// Whether `credential` was revoked for good: a block, which can be lifted, does not count.
    fn has_ended(&self, credential: &Credential<'_>) -> bool;

    /// Whether the user may not enter, whatever they present.
    fn is_blocked(&self, source: &str, subject: &str) -> bool;

    /// Ends everything that was minted for a session. It counts here when this returns.
    async fn revoke_session(&self, id: SessionId, why: RevokedFor);

    /// Ends one token, which would have counted until then.
    async fn revoke_token(&self, jti: &str, until: UnixTime, why: RevokedFor);

    /// Ends everything that a key of ours has signed. It counts here when this returns.
    async fn revoke_key(&self, kid: &str);

    /// Ends everything that was minted for a user before now.
    async fn revoke_user(&self, source: &SourceName, subject: &str, why: RevokedFor);

    /// Looks at the end of the list, which others may have written to just now. `false`: it cannot be told.
    async fn caught_up(&self) -> bool;
}

/// What a credential can be hit by.
#[derive(Clone, Copy, Debug)]
pub struct Credential<'a> {
    pub jti: Option<&'a str>,
    pub session: Option<SessionId>,
    /// `sid` of a token of others, as `issuer.claims` finds it.
    pub foreign_session: Option<&'a str>,
    pub source: &'a SourceName,
    pub subject: &'a str,
    /// The id of an API key.
    pub client: Option<&'a str>,
    /// The `kid` it was signed with, if we signed it.
    pub key: Option<&'a str>,
    /// Seconds since 1970.
    pub issued: u64,
    /// For our own tokens and keys: where the list stood when it was minted.
    pub minted_at: Option<Position>,
}

impl<'a> Credential<'a> {
    /// Nobody's, of no date, for asking about one name: what is filled in can be hit, and by a mark on nothing else. A date
    /// would be hit by a mark on all that is older.
    #[must_use]
    pub fn of_nobody(source: &'a SourceName) -> Self {
        Self {
            jti: None,
            session: None,
            foreign_session: None,
            source,
            subject: "",
            client: None,
            key: None,
            issued: u64::MAX,
            minted_at: None,
        }
    }
}

/// Why something was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokedFor {
    SignOut,
    Limit,
    Reuse,
    Device,
    Provider,
    Operator,
}

/// Who watches sessions: metrics and the audit log.
pub trait SessionEvents: Send + Sync + Debug {
    fn evicted(&self, why: OnLimit);
    /// A renewal token was judged; `verdict` in lower case.
    fn renewed(&self, verdict: &'static str);
    /// What came of asking whether a program is signing in.
    fn bot_judged(&self, verdict: &'static str);
    fn noted(&self, event: &SessionEvent<'_>);
}

/// One line of the audit log.
#[derive(Clone, Copy, Debug)]
pub struct SessionEvent<'a> {
    /// `sign_in`, `sign_in_failed`, `sign_in_blocked`, `sign_out`, `refresh_reuse_detected`, `device_checked` …
    pub name: &'static str,
    pub session: Option<SessionId>,
    pub provider: &'a str,
    pub subject: &'a str,
    pub client: Option<std::net::IpAddr>,
    /// In words, or JSON for `device_checked`; never a credential.
    pub detail: &'a str,
}
