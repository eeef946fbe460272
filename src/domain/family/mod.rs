//! Renewal families: one sign-in's line of renewal tokens, and what a presented one deserves.
//!
//! Every use of a token makes its successor, so a copied token shows itself: sooner or later one of its two holders
//! comes with a generation that was replaced. Browsers do that innocently all day (tabs race, responses get lost or
//! overtake each other), and [`present`] tells the two apart. It is written a second time as a script for Redis; a test
//! holds both to the same verdicts.
//!
//! What no such counter can see: a thief with the device's own context who always renews first and lets the owner
//! collect the successor before using it.

mod token;

pub use token::{MacRing, Renewal, RenewalToken};

use super::session::{Lifetimes, Millis, SessionId};
use std::time::Duration;

/// The state of a family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    pub session: SessionId,
    /// The newest generation that was made.
    pub generation: u32,
    /// When it was made.
    pub created: Millis,
    /// When it was last handed out.
    pub handed: Millis,
    /// The highest generation that is known to have arrived: its token was presented, or an access token made with it.
    pub confirmed: u32,
    /// Revoked for good: nothing brings a family back.
    pub revoked: bool,
    /// When it ends without use.
    pub idle_at: Millis,
    /// When it ends in any case.
    pub absolute: Millis,
    pub streak: Streak,
}

/// Generations in a row whose predecessor was forgiven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Streak {
    pub length: u32,
    /// The last generation that counted.
    pub counted: u32,
    /// The last generation the streak reaches to: repeating a lost response neither adds to it nor ends it, or a
    /// shadow would hide behind every one of them.
    pub reaches: u32,
}

/// A renewal token whose MAC was checked, and the circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Presentation {
    pub generation: u32,
    /// The device looks like the one that signed in.
    pub same_device: bool,
    /// This is the request that came back after [`Verdict::Bounce`].
    pub bounced: bool,
    pub transport: Transport,
}

/// How a renewal token travels. Only a browser can be sent back to look into its jar again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Cookie,
    Body,
}

/// The terms of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How old a replaced token may be; nothing: every second use of any token is theft.
    pub grace: Duration,
    /// A family is told of renewals only, not of what happens between them: at least the session's idle time and the
    /// life of an access token together, or it ends before its session does.
    pub idle: Duration,
    pub rotation: Rotation,
    /// In which generation in a row a forgiven predecessor means that somebody walks in another one's steps.
    pub max_grace_streak: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    Always,
    /// One token for the whole life of the family.
    Never,
}

/// What a presented token deserves. The number is the generation to answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new generation.
    Rotated(u32),
    /// It is the current one and was handed out just now: a new access token, no new renewal token.
    Same(u32),
    /// The current generation once more: nobody has seen it arrive, so the response that carried it was lost.
    Reissued(u32),
    /// The current generation once more: the request was on its way while another renewed.
    Grace(u32),
    /// Forgiven too often: the user proves again who they are.
    StepUp,
    /// Stale, and perhaps only in this request: the browser is sent back once to look into its jar again.
    Bounce,
    /// Two hold one token. The family has just been revoked.
    Reuse,
    /// The family was revoked before.
    Revoked,
    /// The family is past its idle time or its deadline.
    Expired,
}

impl Family {
    /// Generation 0, handed out at `now`.
    #[must_use]
    pub fn begin(session: SessionId, now: Millis, lifetimes: Lifetimes) -> Self {
        let absolute = now.plus(lifetimes.absolute);
        Self {
            session,
            generation: 0,
            created: now,
            handed: now,
            confirmed: 0,
            revoked: false,
            idle_at: now.plus(lifetimes.idle).min(absolute),
            absolute,
            streak: Streak::default(),
        }
    }

    /// An access token made with `generation` was seen. Of a generation we do not know nothing is believed.
    pub fn confirm(&mut self, generation: u32) {
        if generation <= self.generation {
            self.confirmed = self.confirmed.max(generation);
        }
    }

    /// How long a store has to keep it: a revoked one as long as its tokens could still come, to name them.
    #[must_use]
    pub fn kept_until(&self) -> Millis {
        if self.revoked {
            self.absolute
        } else {
            self.idle_at
        }
    }

    fn keep_alive(&mut self, rules: &Rules, now: Millis) {
        self.idle_at = now.plus(rules.idle).min(self.absolute);
    }

    /// Hands `made` out as the newest generation.
    fn advance(&mut self, made: u32, now: Millis) {
        self.generation = made;
        self.created = now;
        self.handed = now;
    }
}

impl Streak {
    /// The predecessor of `generation` came although its successor had arrived.
    fn count(&mut self, generation: u32) {
        if self.length == 0 || generation.saturating_sub(self.reaches) > 1 {
            self.length = 1;
        } else if self.counted != generation {
            self.length = self.length.saturating_add(1);
        }
        self.counted = generation;
        self.reaches = generation;
    }

    /// `generation` was handed out once more because nobody had seen it arrive.
    fn reach(&mut self, generation: u32) {
        if generation.saturating_sub(self.reaches) == 1 {
            self.reaches = generation;
        }
    }
}

/// Judges a presented token and moves the family on.
pub fn present(family: &mut Family, shown: &Presentation, rules: &Rules, now: Millis) -> Verdict {
    if family.revoked {
        return Verdict::Revoked;
    }
    if now >= family.idle_at {
        return Verdict::Expired;
    }
    if shown.generation > family.generation {
        // The MAC says we made it, so the store lost what it was told: a failover must not sign anybody out.
        family.advance(shown.generation, now);
        family.confirmed = shown.generation;
    }
    if shown.generation == family.generation {
        return present_current(family, shown, rules, now);
    }
    if shown.generation.checked_add(1) == Some(family.generation) {
        if let Some(verdict) = present_predecessor(family, shown, rules, now) {
            return verdict;
        }
    }
    if rules.may_bounce(shown) {
        return Verdict::Bounce;
    }
    family.revoked = true;
    Verdict::Reuse
}

fn present_current(family: &mut Family, shown: &Presentation, rules: &Rules, now: Millis) -> Verdict {
    family.confirmed = family.confirmed.max(shown.generation);
    let just_now = now.since(family.handed) < rules.grace && shown.transport == Transport::Cookie;
    if just_now || rules.rotation == Rotation::Never {
        family.keep_alive(rules, now);
        return Verdict::Same(family.generation);
    }
    let Some(next) = family.generation.checked_add(1) else {
        return Verdict::Expired;
    };
    family.advance(next, now);
    family.keep_alive(rules, now);
    Verdict::Rotated(next)
}

/// Whether the token right before the current one is forgiven. Only on the device it was made for: a thief elsewhere
/// must not live on the owner's lost responses.
fn present_predecessor(family: &mut Family, shown: &Presentation, rules: &Rules, now: Millis) -> Option<Verdict> {
    if rules.grace.is_zero() || !shown.same_device {
        return None;
    }
    if family.confirmed < family.generation {
        family.streak.reach(family.generation);
        family.handed = now;
        family.keep_alive(rules, now);
        return Some(Verdict::Reissued(family.generation));
    }
    if shown.transport != Transport::Cookie || now.since(family.created) > rules.grace {
        return None;
    }
    family.streak.count(family.generation);
    if family.streak.length >= rules.max_grace_streak {
        // An honest browser with many tabs gets here too; sent back, it comes with the current token, a thief cannot.
        return Some(if rules.may_bounce(shown) { Verdict::Bounce } else { Verdict::StepUp });
    }
    family.handed = now;
    family.keep_alive(rules, now);
    Some(Verdict::Grace(family.generation))
}

impl Rules {
    /// The same for a renewal that lives for `life` at most: counted from the renewal, so that each one begins anew.
    /// Nothing at all would end the family for its owner, too; whoever is refused is not told so by the family.
    #[must_use]
    pub fn within(self, life: Option<Duration>) -> Self {
        let life = life.filter(|life| !life.is_zero());
        Self { idle: life.map_or(self.idle, |life| self.idle.min(life)), ..self }
    }

    fn may_bounce(&self, shown: &Presentation) -> bool {
        !self.grace.is_zero() && shown.transport == Transport::Cookie && !shown.bounced
    }
}

#[cfg(test)]
#[path = "simulation_tests.rs"]
mod simulation;

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
