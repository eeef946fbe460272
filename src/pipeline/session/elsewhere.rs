//! Whether a session is still where it began: one judgement, for requests and for renewals.
//!
//! A renewal is judged before its token counts. Judged afterwards, a thief on another device would retire the owner's
//! token and get nothing for it but an alarm that rings at the owner.

use super::recognise::Asking;
use super::renew::Renewed;
use super::{House, Place};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::{Device, Level, OnMismatch, Prints, Risk, Verdict};
use crate::pipeline::cache::{SessionFacts, Verified};
use crate::ports::{RevokedFor, SessionEvent};
use std::net::IpAddr;

/// A session that was presented somewhere.
pub(super) struct Seen<'a> {
    pub(super) place: Place,
    pub(super) provider: &'a str,
    pub(super) subject: &'a str,
    /// What it remembers of the device that signed in.
    pub(super) dfp: &'a str,
    pub(super) device: &'a Device,
    pub(super) ip: Option<IpAddr>,
}

/// The session is not for this device.
#[derive(Debug)]
pub(super) struct Elsewhere {
    pub(super) denial: Denial,
    /// It was the end of the session, for its owner too.
    pub(super) ends: bool,
}

impl House {
    /// Whether whoever presents `verified` is where it was handed out. A device that was found good costs one hash.
    pub(super) async fn check_device(&self, verified: &Verified, asking: &Asking<'_>) -> Result<(), Elsewhere> {
        let level = self.terms.device.level;
        let Some(facts) = verified.session().filter(|_| level != Level::Off) else { return Ok(()) };
        if facts.is_known_on(asking.headers) {
            return Ok(());
        }
        // Boxed: once a token and device.
        Box::pin(self.check_new_device(verified, facts, asking)).await
    }

    async fn check_new_device(
        &self,
        verified: &Verified,
        facts: &SessionFacts,
        asking: &Asking<'_>,
    ) -> Result<(), Elsewhere> {
        let seen = Seen {
            place: Place { user: facts.user, id: facts.id },
            provider: verified.principal.source.as_str(),
            subject: &verified.principal.subject,
            dfp: &facts.dfp,
            device: &Device::from_headers(asking.headers),
            ip: asking.ip,
        };
        let verdict = self.compare(&seen);
        // Requests that take turns on two devices would otherwise write a line each.
        if facts.is_news(verdict.similarity_score) {
            self.write_down(&seen, &verdict);
        }
        self.act_on(&seen, verdict).await?;
        facts.know_on(asking.headers);
        Ok(())
    }

    /// What `[device]` says of it, written down once.
    pub(super) async fn judge(&self, seen: &Seen<'_>) -> Result<Verdict, Elsewhere> {
        let verdict = self.compare(seen);
        if self.terms.device.level != Level::Off {
            self.write_down(seen, &verdict);
        }
        self.act_on(seen, verdict).await
    }

    fn compare(&self, seen: &Seen<'_>) -> Verdict {
        let remembered = Prints::from_text(seen.dfp).unwrap_or_default();
        self.terms.device.judge(&remembered, seen.device, &self.ground.device_keys)
    }

    fn write_down(&self, seen: &Seen<'_>, verdict: &Verdict) {
        self.ground.events.noted(&SessionEvent {
            name: "device_checked",
            session: Some(seen.place.id),
            provider: seen.provider,
            subject: seen.subject,
            client: seen.ip,
            detail: &verdict.to_json().to_string(),
        });
    }

    async fn act_on(&self, seen: &Seen<'_>, verdict: Verdict) -> Result<Verdict, Elsewhere> {
        let stays = |code| Elsewhere { denial: Denial::new(code, "the session is on another device"), ends: false };
        match self.terms.device.on_mismatch {
            _ if verdict.valid => Ok(verdict),
            OnMismatch::Log => Ok(verdict),
            OnMismatch::StepUp => Err(stays(Code::StepUpRequired)),
            OnMismatch::Deny => Err(stays(Code::DeviceMismatch)),
            OnMismatch::Logout => {
                self.end_revoked(seen.place, RevokedFor::Device).await;
                let words = "the session was on another device and has ended";
                Err(Elsewhere { denial: Denial::new(Code::DeviceMismatch, words), ends: true })
            }
        }
    }

    /// The same for a renewal, which also depends on how much the device looks like the one that signed in.
    pub(super) async fn judge_renewal(&self, seen: &Seen<'_>) -> Result<Verdict, Renewed> {
        let verdict = self.judge(seen).await.map_err(|elsewhere| match elsewhere {
            Elsewhere { denial, ends: true } => Renewed::Ended(denial),
            Elsewhere { denial, ends: false } => Renewed::Refused(denial),
        })?;
        if self.terms.device.renewal_life(&verdict).is_some_and(|life| life.is_zero()) {
            let high = verdict.risk_level == Risk::High;
            let words = if high { "another device renews" } else { "renewing needs a sign-in" };
            return Err(Renewed::Refused(Denial::new(Code::StepUpRequired, words)));
        }
        Ok(verdict)
    }
}

#[cfg(test)]
#[path = "elsewhere_tests.rs"]
mod tests;
