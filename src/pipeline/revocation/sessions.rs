//! Revocations as sessions see them.

use super::{Freshness, Order, Revocations, Wait};
use crate::domain::principal::SourceName;
use crate::domain::revocation::{Marks, Position, Reason, Subject, Target, User};
use crate::domain::session::SessionId;
use crate::domain::time::UnixTime;
use crate::ports::session::{Credential, RevokedFor};
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Nobody waits for others here: what is revoked counts on this replica when the order is given.
const AT_ONCE: Duration = Duration::ZERO;

#[async_trait]
impl crate::ports::session::Revocations for Revocations {
    fn generation(&self) -> u64 {
        Self::generation(self)
    }

    fn position(&self) -> Position {
        Self::position(self)
    }

    fn is_blind(&self) -> bool {
        self.terms.shared && self.freshness() == Freshness::Blind && !self.is_ready()
    }

    fn is_fresh(&self) -> bool {
        self.freshness() == Freshness::Fresh
    }

    fn remembers(&self, issued: UnixTime, ends: UnixTime) -> bool {
        let forgot = UnixTime(self.forgot.load(Ordering::Relaxed));
        // No token is accepted that ends later than so: before the loss this one would have been refused.
        forgot.0 == 0 || issued > forgot || ends > forgot.plus(self.spans.longest_token())
    }

    fn refuses(&self, credential: &Credential<'_>) -> bool {
        self.check(&subject(credential)).is_some()
    }

    fn has_ended(&self, credential: &Credential<'_>) -> bool {
        self.index.load().mark_on(&subject(credential)).is_some()
    }

    fn is_blocked(&self, source: &str, subject: &str) -> bool {
        Self::is_blocked(self, source, subject)
    }

    async fn revoke_session(&self, id: SessionId, why: RevokedFor) {
        self.revoke(&[Order::new(Target::Session(id.to_string()), reason(why))], Wait::None, AT_ONCE).await;
    }

    async fn revoke_token(&self, jti: &str, until: UnixTime, why: RevokedFor) {
        let order = Order { until: Some(until), ..Order::new(Target::Jti(jti.to_owned()), reason(why)) };
        self.revoke(&[order], Wait::None, AT_ONCE).await;
    }

    async fn revoke_key(&self, kid: &str) {
        let order = Order::new(Target::SigningKey(kid.to_owned()), Reason::Compromised);
        self.revoke(&[order], Wait::None, AT_ONCE).await;
    }

    async fn revoke_user(&self, source: &SourceName, subject: &str, why: RevokedFor) {
        let user = User::of(source, subject);
        self.revoke(&[Order::new(Target::User(user), reason(why))], Wait::None, AT_ONCE).await;
    }

    async fn caught_up(&self) -> bool {
        self.catch_up().await.is_ok()
    }
}

/// What `credential` goes by on the list. A session and its family of renewals share their name.
pub(in crate::pipeline) fn subject(credential: &Credential<'_>) -> Subject {
    let session = credential.session.map(|session| session.to_string());
    Subject::new(&Marks {
        source: credential.source,
        subject: credential.subject,
        jti: credential.jti,
        session: session.as_deref().or(credential.foreign_session),
        family: session.as_deref(),
        client: credential.client,
        key: credential.key,
        issued_at: Some(UnixTime(credential.issued)),
        position: credential.minted_at,
    })
}

fn reason(why: RevokedFor) -> Reason {
    match why {
        RevokedFor::SignOut => Reason::SignedOut,
        RevokedFor::Limit => Reason::Limit,
        RevokedFor::Reuse => Reason::Reuse,
        RevokedFor::Device => Reason::Compromised,
        RevokedFor::Provider => Reason::Provider,
        RevokedFor::Operator => Reason::Operator,
    }
}
