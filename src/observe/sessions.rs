//! Sessions as operators see them.

use super::audit::{AuditLog, Noted};
use super::clock;
use super::metrics::Metrics;
use crate::domain::session::OnLimit;
use crate::ports::session::{SessionEvent, SessionEvents};
use std::sync::Arc;

/// Metrics and audit lines of sessions.
#[derive(Debug)]
pub struct SessionWatch {
    pub metrics: Arc<Metrics>,
    pub audit: AuditLog,
}

impl SessionEvents for SessionWatch {
    fn evicted(&self, why: OnLimit) {
        let reason = match why {
            OnLimit::EvictOldest | OnLimit::Reject => "evict_oldest",
            OnLimit::Single => "single",
        };
        self.metrics.session_evictions.with(&[reason]).inc();
    }

    fn renewed(&self, verdict: &'static str) {
        self.metrics.refreshes.with(&[verdict]).inc();
    }

    fn bot_judged(&self, verdict: &'static str) {
        self.metrics.bot_checks.with(&[verdict]).inc();
    }

    fn noted(&self, event: &SessionEvent<'_>) {
        match event.name {
            "sign_in_failed" => self.metrics.sign_in_failures.with(&["wrong"]).inc(),
            "sign_in_blocked" => {
                self.metrics.sign_in_failures.with(&["blocked"]).inc();
                self.metrics.rate_limited.with(&["sign_in"]).inc();
            }
            _ => {}
        }
        let session = event.session.map(|id| id.to_string()).unwrap_or_default();
        self.audit.noted(&Noted {
            time: clock::wall(),
            event: event.name,
            session: &session,
            source: event.provider,
            subject: event.subject,
            client: event.client,
            detail: event.detail,
        });
    }
}
