//! Renewal: a renewal token becomes a new access token, once, however many ask at the same time.

use super::elsewhere::Seen;
use super::issue::Given;
use super::lease::end_of;
use super::{session_of, House, Issued, Place, Record};
use crate::domain::denial::{Code, Denial};
use crate::domain::device::Device;
use crate::domain::family::{Presentation, Renewal as Said, Rules, Transport, Verdict};
use crate::domain::principal::SourceName;
use crate::domain::session::{FamilyId, Millis, SessionId, Times};
use crate::domain::time::UnixTime;
use crate::pipeline::cache::Verified;
use crate::pipeline::limits::Over;
use crate::ports::store::{Ruling, Stored, Touch};
use crate::ports::{Credential, KeySource, RevokedFor, SessionEvent};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A renewal token whose MAC was checked, and who presented it.
#[derive(Clone, Debug)]
pub struct Renewing {
    pub said: Said,
    pub device: Device,
    /// It came back after it was sent back once.
    pub bounced: bool,
    pub transport: Transport,
    /// How long a token that was replaced still counts where it was presented.
    pub grace: Duration,
    /// It puts off the idle end.
    pub uses: bool,
    pub occasion: Occasion,
    pub ip: Option<IpAddr>,
    pub now: UnixTime,
}

/// Why a renewal is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody asks for it.
    Asked,
    /// A request came whose access token has ended, or soon will.
    Unseen,
}

/// What came of it.
#[derive(Clone, Debug)]
pub enum Renewed {
    Issued {
        verified: Arc<Verified>,
        issued: Issued,
        /// What the session says, and its times: nobody has to ask the store once more.
        about: Arc<(Record, Times)>,
        /// The store knows of it as a use of the session.
        told: bool,
    },
    /// Sent back with this generation, to look for a newer one.
    Back(u32),
    /// Not now or not here: the user is blocked, or on another device, or nothing is renewed. The session goes on, and its
    /// cookies stay.
    Refused(Denial),
    /// The session has ended, or the user has to prove something first.
    Ended(Denial),
    /// Too often. The session goes on, and its cookies stay.
    Over(Over),
    /// Neither: the store cannot be asked.
    CannotTell(Denial),
}

/// What tells one question from another. The device is part of it: a thief who asks at the same moment as the owner
/// shares neither the answer the owner gets nor the one they get themselves.
pub(super) type Flight = (FamilyId, u32, bool, (bool, Duration), Device);

impl House {
    /// Renews the session of `renewing`. Whoever asks meanwhile, on this replica, gets the same answer.
    pub async fn renew(self: &Arc<Self>, renewing: Renewing) -> Renewed {
        // A family may be left from before the file said so.
        if self.terms.renewal == super::Renewal::Off {
            self.ground.events.renewed("expired");
            return Renewed::Refused(Denial::new(Code::SessionExpired, "sessions are not renewed"));
        }
        let Renewing { said, device, bounced, transport, grace, .. } = &renewing;
        let door = (*transport == Transport::Body, *grace);
        let key = (said.family, said.generation, *bounced, door, device.clone());
        let (house, uses, now) = (Arc::clone(self), renewing.uses, renewing.now);
        let flown = self.ground.renewals.join(key, async move { house.renew_now(&renewing).await }).await;
        // The store could not be told, or whoever asked first only looked.
        if let (true, Some(Renewed::Issued { verified, told: false, .. })) = (uses, &flown) {
            self.ground.activity.note(verified, now);
        }
        flown.unwrap_or_else(|| Renewed::CannotTell(Denial::new(Code::Internal, "a renewal broke off")))
    }

    async fn renew_now(self: &Arc<Self>, renewing: &Renewing) -> Renewed {
        // The store may have a session still that was revoked while it was away, and only the list knows.
        if self.ground.revocations.is_blind() {
            let words = "the list of revocations was never seen";
            return Renewed::CannotTell(Denial::new(Code::StoreUnavailable, words));
        }
        let place = Place { user: renewing.said.user, id: session_of(renewing.said.family) };
        if let Err(over) = self.charge(place, renewing).await {
            return Renewed::Over(over);
        }
        let (record, stored) = match self.standing(place).await {
            Ok(found) => found,
            Err(renewed) => return renewed,
        };
        if let Err(over) = self.charge_user(place, renewing).await {
            return Renewed::Over(over);
        }
        let seen = Seen {
            place,
            provider: &record.provider,
            subject: &record.subject,
            dfp: &record.dfp,
            device: &renewing.device,
            ip: renewing.ip,
        };
        let verdict = match self.judge_renewal(&seen).await {
            Ok(verdict) => verdict,
            Err(renewed) => return renewed,
        };
        let shown = Presentation {
            generation: renewing.said.generation,
            same_device: verdict.valid,
            bounced: renewing.bounced,
            transport: renewing.transport,
        };
        let life = self.terms.device.renewal_life(&verdict);
        let rules = Rules { grace: renewing.grace, ..self.terms.family.within(life) };
        let ruling = match self.ground.store.present(place.user, renewing.said.family, &shown, &rules).await {
            Ok(Some(ruling)) => ruling,
            Ok(None) => return self.ended("unknown", Code::SessionExpired, "the store knows no such family"),
            Err(error) => return Renewed::CannotTell(error.into()),
        };
        let given = match self.given(&ruling, place, renewing, &record).await {
            Ok(given) => given,
            Err(renewed) => return renewed,
        };
        self.renew_with(place, (record, stored), given, renewing).await
    }

    /// The session as the store has it, if it goes on.
    async fn standing(&self, place: Place) -> Result<(Record, Stored), Renewed> {
        let revoked = || self.ended("revoked", Code::SessionTerminated, "the session was revoked");
        let stored = match self.ground.store.load(place.user, place.id).await {
            Ok(Some(stored)) => stored,
            // The family may still know that it was revoked; to the caller it is all the same.
            Ok(None) if self.is_revoked(place.id) => return Err(revoked()),
            Ok(None) => return Err(self.ended("unknown", Code::SessionExpired, "the store knows no such session")),
            Err(error) => return Err(Renewed::CannotTell(error.into())),
        };
        let record = match Record::open(&self.ground.seals, place, &stored.body) {
            Ok(record) => record,
            Err(_) if self.is_revoked(place.id) => return Err(revoked()),
            Err(unopened) => return Err(Renewed::CannotTell(unopened.into())),
        };
        if let Err(denial) = self.check_standing(place, &record, &stored.times) {
            self.ground.events.renewed("revoked");
            // Whoever is unblocked goes on where they were.
            let blocked = denial.code == Code::UserBlocked;
            return Err(if blocked { Renewed::Refused(denial) } else { Renewed::Ended(denial) });
        }
        Ok((record, stored))
    }

    /// Once for all who wait for one answer: twenty tabs are one renewal. The MAC was good, so nobody spends for others;
    /// and before the store is asked, so a renewal token that died costs it little, however often it comes.
    async fn charge(&self, place: Place, renewing: &Renewing) -> Result<(), Over> {
        let Some(limits) = &self.limits else { return Ok(()) };
        match limits.charge_family(place.id).await {
            // whether the store can be asked is told by the questions that follow
            Err(over) if renewing.occasion == Occasion::Unseen && over.denial.code != Code::RateLimited => Ok(()),
            charged => charged,
        }
    }

    /// Only for a session that lives: dead ones must not spend for those a user has left.
    async fn charge_user(&self, place: Place, renewing: &Renewing) -> Result<(), Over> {
        match &self.limits {
            Some(limits) if renewing.occasion == Occasion::Asked => limits.charge_user(place.user).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn renew_with(
        self: &Arc<Self>,
        place: Place,
        (record, stored): (Record, Stored),
        given: Given,
        renewing: &Renewing,
    ) -> Renewed {
        let now = renewing.now;
        let seen = Touch { user: place.user, id: place.id, last_seen: end_of(now), idle: self.terms.lifetimes.idle };
        let touched = if renewing.uses { self.ground.store.touch(&[seen]).await } else { Ok(vec![true]) };
        // It was there a moment ago, and renewing has succeeded: noting the use can wait for the next flush.
        let told = renewing.uses && touched.is_ok();
        if touched.is_ok_and(|alive| alive.first() != Some(&true)) {
            return self.ended("unknown", Code::SessionTerminated, "the session has just been ended");
        }
        let record = self.refreshed(place, record, now).await;
        let record = match record {
            Ok(record) => record,
            Err(denial) => return Renewed::Ended(denial),
        };
        let mut times = stored.times;
        if renewing.uses {
            times.touch(seen.last_seen, seen.idle, seen.last_seen);
        }
        // What is no use of the session gives nobody a token that outlives its idle end.
        let until = if renewing.uses { times.absolute } else { times.expires() };
        match self.issue_good((&record, place), (&times, until), given, now).await {
            Ok((issued, verified)) => {
                let (verified, about) = (Arc::new(verified), Arc::new((record, times)));
                // The browser comes back with it, and finds the device judged.
                self.remember_token(&verified);
                Renewed::Issued { verified, issued, about, told }
            }
            Err(denial) => Renewed::CannotTell(denial),
        }
    }

    /// A token that counts. Another replica may have revoked the key that this one still signs with: the list is quicker
    /// than the ring.
    async fn issue_good(
        &self,
        session: (&Record, Place),
        until: (&Times, Millis),
        given: Given,
        now: UnixTime,
    ) -> Result<(Issued, Verified), Denial> {
        let issued = self.issue(session, until, given, now)?;
        let verified = self.read(&issued.access, now).await?;
        if !self.check_revoked(&verified).is_err_and(|denial| denial.code == Code::TokenRevoked) {
            return Ok((issued, verified));
        }
        self.ground.ring.look_for_new_keys(verified.generation).await;
        let issued = self.issue(session, until, given, now)?;
        let verified = self.read(&issued.access, now).await?;
        Ok((issued, verified))
    }

    /// Which renewal token goes back, or why none does.
    async fn given(
        &self,
        ruling: &Ruling,
        place: Place,
        renewing: &Renewing,
        record: &Record,
    ) -> Result<Given, Renewed> {
        let name = name(ruling.verdict);
        let refused = |code, words| Err(self.ended(name, code, words));
        match ruling.verdict {
            Verdict::Same(generation) => {
                self.ground.events.renewed(name);
                Ok(Given::Same(generation))
            }
            Verdict::Rotated(generation) | Verdict::Reissued(generation) | Verdict::Grace(generation) => {
                self.ground.events.renewed(name);
                Ok(Given::New(generation))
            }
            Verdict::Bounce => {
                self.ground.events.renewed(name);
                Err(Renewed::Back(renewing.said.generation))
            }
            Verdict::StepUp => refused(Code::StepUpRequired, "renewed too often side by side"),
            Verdict::Revoked => refused(Code::SessionTerminated, "the session was revoked"),
            Verdict::Expired => refused(Code::SessionExpired, "the session is past its time"),
            Verdict::Reuse => {
                self.end_revoked(place, RevokedFor::Reuse).await;
                self.ground.events.noted(&SessionEvent {
                    name: "refresh_reuse_detected",
                    session: Some(place.id),
                    provider: &record.provider,
                    subject: &record.subject,
                    client: renewing.ip,
                    detail: "two held one renewal token; the session and all it minted are revoked",
                });
                refused(Code::TokenReused, "a renewal token was used in two places")
            }
        }
    }

    /// A store that was away while a session was revoked has it still.
    fn check_standing(&self, place: Place, record: &Record, times: &Times) -> Result<(), Denial> {
        let list = &self.ground.revocations;
        if list.is_blocked(&record.provider, &record.subject) {
            return Err(Denial::new(Code::UserBlocked, "a blocked user's session"));
        }
        let credential = Credential {
            jti: None,
            session: Some(place.id),
            foreign_session: None,
            source: &SourceName::new(&record.provider),
            subject: &record.subject,
            client: None,
            key: None,
            issued: times.created.0 / 1000,
            minted_at: record.revocations_at(),
        };
        if list.refuses(&credential) {
            return Err(Denial::new(Code::SessionTerminated, "the session was revoked"));
        }
        Ok(())
    }

    /// The session itself, of which nothing else is known: what hits everything of before some day says nothing of it.
    pub(super) fn is_revoked(&self, id: SessionId) -> bool {
        let nobody = SourceName::new("");
        self.ground.revocations.refuses(&Credential { session: Some(id), ..Credential::of_nobody(&nobody) })
    }

    fn ended(&self, verdict: &'static str, code: Code, words: &'static str) -> Renewed {
        self.ground.events.renewed(verdict);
        Renewed::Ended(Denial::new(code, words))
    }
}

/// As `doorward_refresh_total` counts it.
fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Rotated(_) => "rotated",
        Verdict::Same(_) => "same",
        Verdict::Reissued(_) => "reissued",
        Verdict::Grace(_) => "grace",
        Verdict::StepUp => "step_up",
        Verdict::Bounce => "bounce",
        Verdict::Reuse => "reuse",
        Verdict::Revoked => "revoked",
        Verdict::Expired => "expired",
    }
}

#[cfg(test)]
#[path = "renew_tests.rs"]
mod tests;
