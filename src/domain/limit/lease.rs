//! What one replica knows of one bucket: tokens it has reserved, refusals it remembers, and its share while the store is
//! away.
//!
//! Tokens are taken from the store before they are spent and spent within [`LIFE`], so over all replicas a window sees
//! at most what the store gave in it and in the second before: `burst + rate × (window + 1 s)`. What is not spent by then
//! is dropped. Nothing is ever given on credit.

use super::bucket::{Bucket, Micros};
use super::fields::Standing;

/// How long after the question a reserved token may be spent.
pub const LIFE: Micros = 1_000_000;
/// A refusal is believed for this long without asking: an operator who resets a bucket does not wait longer.
const BELIEVED: Micros = 1_000_000;
/// Replicas that are taken to be there by one that has heard of nobody. More than most fleets have: to take oneself to be
/// alone would give out each bucket once for every replica that starts.
pub const UNHEARD: u32 = 16;
/// More is asked for this part of [`LIFE`] before there is none: many times as long as a store should take, and no longer,
/// for each question costs more than a request spares. Where a store takes a tenth of a second, some wait for it.
const EARLY: u64 = 6;
/// Callers slower than this many a second are not worth reserving for.
const WORTH_IT: u64 = 4;

/// A bucket as this replica sees it. All times are on the replica's own steady clock.
#[derive(Clone, Debug, Default)]
pub struct Lease {
    /// Older tokens first, so that they are spent before they are dropped.
    parcels: [Parcel; 2],
    /// When the bucket is full again, as the store last said.
    tat: Micros,
    /// When that was asked.
    heard: Micros,
    /// Spent since then: what the next second will need.
    spent: u32,
    /// Requests that spent it.
    visits: u32,
    /// Boxed, as what stands below: it is rare, and what is common should take few lines of memory, for a busy gate finds
    /// none of them near.
    refused: Option<Box<Refused>>,
    /// What it spent of its share while the store was away, until the store has been told.
    local: Option<Box<Local>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Parcel {
    tokens: u32,
    until: Micros,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    /// Believed until.
    until: Micros,
    /// When there will be enough.
    enough: Micros,
    /// For requests that cost at least this.
    cost: u32,
}

#[derive(Clone, Copy, Debug)]
struct Local {
    /// The outage it was spent in.
    since: Micros,
    /// When the share is full again.
    tat: Micros,
    /// When it was last spent from.
    at: Micros,
    /// Nobody else spent from the bucket.
    alone: bool,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Granted(Standing),
    Refused(Standing),
    /// Only the store knows.
    Ask,
}

/// The store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    pub since: Micros,
    /// That shared the bucket when it was last heard of them, ourselves included; 0: nobody was ever heard of.
    pub replicas: u32,
}

impl Away {
    fn shares(self) -> u32 {
        if self.replicas == 0 {
            UNHEARD
        } else {
            self.replicas
        }
    }

    /// What a share holds at first for a caller nothing is known of: a token, so that nobody is refused because of us. Who
    /// has heard of nobody gives out its small share, which is all it has for everybody behind one address.
    fn first(self, share: Bucket) -> u32 {
        if self.replicas == 0 {
            share.burst
        } else {
            1
        }
    }
}

/// A span without the store that is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    pub began: Micros,
    pub ended: Micros,
}

impl Lease {
    /// Spends what was reserved, or remembers a refusal.
    pub fn step(&mut self, bucket: Bucket, cost: u32, now: Micros) -> Step {
        if self.spend(cost, now) {
            return Step::Granted(self.standing(bucket, now));
        }
        self.recall(cost, now)
    }

    /// Whether [`Self::step`] would ask.
    #[must_use]
    pub fn lacks(&self, cost: u32, now: Micros) -> bool {
        !self.holds(cost, now) && self.recall(cost, now) == Step::Ask
    }

    /// Whether so much is reserved.
    #[must_use]
    pub fn holds(&self, cost: u32, now: Micros) -> bool {
        let live = self.parcels.iter().filter(|parcel| parcel.until > now).map(|parcel| parcel.tokens);
        live.fold(0, u32::saturating_add) >= cost
    }

    /// Remembers a refusal, and spends nothing.
    #[must_use]
    pub fn recall(&self, cost: u32, now: Micros) -> Step {
        match &self.refused {
            Some(refused) if now < refused.until && cost >= refused.cost => {
                Step::Refused(Standing { remaining: 0, until: refused.enough.saturating_sub(now) })
            }
            Some(_) | None => Step::Ask,
        }
    }

    /// Without the store: what is still reserved, then this replica's share of the rate.
    ///
    /// The share begins empty for a caller who was known to have spent something, because another replica may have
    /// given out the rest a moment ago; it begins with one token for everybody else, so that nobody is refused because
    /// of us. Alone, a replica knows all there is to know and goes on as the store would.
    pub fn step_alone(&mut self, bucket: Bucket, cost: u32, now: Micros, away: Away) -> Step {
        if self.spend(cost, now) {
            return Step::Granted(self.standing(bucket, now));
        }
        let share = bucket.share(away.shares());
        let tat = self.share_at(share, away);
        // What costs more than a share holds takes all of it, and the rest on credit: nothing more until that is paid.
        let least = share.interval.saturating_mul(u64::from(cost.min(share.burst)));
        let retry = tat.max(now).saturating_add(least).saturating_sub(now.saturating_add(share.fill()));
        let taken = tat.max(now).saturating_add(share.interval.saturating_mul(u64::from(cost)));
        let tat = if retry == 0 { taken } else { tat };
        self.local = Some(Box::new(Local { since: away.since, tat, at: now, alone: away.replicas == 1 }));
        if retry > 0 {
            return Step::Refused(Standing { remaining: 0, until: retry });
        }
        Step::Granted(Standing { remaining: share.available(tat, now), until: tat.saturating_sub(now) })
    }

    /// When this replica's share is full again. One outage after another brings nobody a new share: what was spent in an
    /// earlier one counts until the store has heard of it.
    fn share_at(&self, share: Bucket, away: Away) -> Micros {
        let earlier = self.local.as_ref().map_or(0, |local| local.tat);
        match &self.local {
            Some(local) if local.since == away.since => local.tat,
            Some(_) | None if away.replicas == 1 => self.tat.max(earlier),
            Some(_) | None if self.tat.max(earlier) > away.since => share.holding(0, away.since).max(earlier),
            Some(_) | None => share.holding(away.first(share), away.since),
        }
    }

    /// How many tokens to ask for: what waits now, or what the next second will need, up to `batch`.
    #[must_use]
    pub fn want(&self, bucket: Bucket, now: Micros, (waiting, batch): (u32, u32)) -> u32 {
        let ahead = u32::try_from(self.pace(now)).unwrap_or(u32::MAX).min(batch);
        ahead.max(waiting).clamp(1, bucket.burst.max(1))
    }

    /// How long what is reserved will last, where more should be reserved before anybody has to wait for it.
    #[must_use]
    pub fn runs_low(&self, now: Micros, batch: u32) -> Option<Micros> {
        let pace = self.pace(now);
        // One visit says nothing of a pace: whoever comes once would lose a batch each time.
        if batch < 2 || self.visits < 2 || pace < WORTH_IT || self.is_refused(now) {
            return None;
        }
        // A slow caller's next visit may be the first since then: ask at the last one before.
        let early = (2 * LIFE / pace).clamp(LIFE / EARLY, LIFE / 4);
        let lasting = now.saturating_add(early);
        let left: u32 = self.parcels.iter().filter(|parcel| parcel.until > lasting).map(|parcel| parcel.tokens).sum();
        // a small batch is gone in less time than that, so a larger part of it has to be there
        let low = u64::from(left) < pace.div_ceil(EARLY).min(u64::from(batch).div_ceil(4));
        low.then(|| {
            self.parcels.iter().fold(0, |lasts: Micros, parcel| {
                let spent = lasts + u64::from(parcel.tokens) * LIFE / pace;
                spent.min(parcel.until.saturating_sub(now)).max(lasts)
            })
        })
    }

    /// How far from full the bucket is as far as this replica knows, and the store may not: it can have lost its memory,
    /// and it has counted the time in which everybody spent elsewhere. 0 after the first question since.
    #[must_use]
    pub fn ahead(&self, outage: Outage, now: Micros) -> Micros {
        let told = outage.ended == 0 || self.heard > outage.ended;
        // As it was when the store went away, and what came in since it is back.
        let then = self.tat.saturating_sub(outage.began).saturating_sub(now.saturating_sub(outage.ended));
        match &self.local {
            Some(local) if local.alone => local.tat.saturating_sub(now),
            // The others are taken to have given out as much of their shares as we of ours.
            Some(local) => local.tat.saturating_sub(now).max(if told { 0 } else { then }),
            None if told => 0,
            None => then,
        }
    }

    /// What the store said to a question of `sent`.
    pub fn learn(&mut self, bucket: Bucket, told: &Told, (sent, now): (Micros, Micros)) {
        self.tat = sent.saturating_add(told.reset);
        self.heard = sent;
        self.spent = 0;
        self.visits = 0;
        // a question that was under way when the store was given up told it nothing of what was spent since
        self.local = self.local.take().filter(|local| local.at > sent);
        self.refused = None;
        // Who finds that others were quicker to spend the last it had need not ask, either.
        let retry = if told.granted == 0 { told.retry } else { bucket.lacks(told.reset, told.least) };
        if retry > 0 {
            let enough = now.saturating_add(retry);
            let until = enough.min(now.saturating_add(BELIEVED));
            self.refused = Some(Box::new(Refused { until, enough, cost: told.least }));
        }
    }

    /// Keeps what was granted to a question of `sent`, to be spent no later than [`LIFE`] after it: the store counted it
    /// later than that.
    pub fn keep(&mut self, granted: u32, (sent, now): (Micros, Micros)) {
        self.drop_stale(now);
        let until = sent.saturating_add(LIFE);
        let [first, second] = &mut self.parcels;
        let into = if first.tokens == 0 { first } else { second };
        if into.tokens == 0 {
            into.until = until;
        }
        // together with older ones they are dropped when those are
        into.tokens = into.tokens.saturating_add(granted);
    }

    /// Whether the store has answered a question of then, or of later.
    #[must_use]
    pub fn was_told_since(&self, then: Micros) -> bool {
        self.heard >= then
    }

    /// Forgets reservations and refusals: somebody has reset the bucket.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Nothing would be lost by forgetting this.
    #[must_use]
    pub fn is_idle(&self, now: Micros) -> bool {
        let live = self.parcels.iter().any(|parcel| parcel.tokens > 0 && parcel.until > now);
        !live && !self.is_refused(now) && self.tat <= now && self.local.as_ref().is_none_or(|local| local.tat <= now)
    }

    fn is_refused(&self, now: Micros) -> bool {
        self.refused.as_ref().is_some_and(|refused| now < refused.until)
    }

    /// How a request stands that was just let through.
    #[must_use]
    pub fn standing(&self, bucket: Bucket, now: Micros) -> Standing {
        let reserved: u32 = self.parcels.iter().filter(|parcel| parcel.until > now).map(|parcel| parcel.tokens).sum();
        let remaining = bucket.available(self.tat, now).saturating_add(reserved).min(bucket.burst);
        Standing { remaining, until: self.tat.saturating_sub(now) }
    }

    fn spend(&mut self, cost: u32, now: Micros) -> bool {
        self.drop_stale(now);
        let [first, second] = &mut self.parcels;
        if first.tokens.saturating_add(second.tokens) < cost {
            return false;
        }
        let from_first = cost.min(first.tokens);
        first.tokens -= from_first;
        second.tokens -= cost - from_first;
        self.spent = self.spent.saturating_add(cost);
        self.visits = self.visits.saturating_add(1);
        true
    }

    fn drop_stale(&mut self, now: Micros) {
        for parcel in &mut self.parcels {
            if parcel.until <= now {
                parcel.tokens = 0;
            }
        }
        let [first, second] = &mut self.parcels;
        if first.tokens == 0 {
            std::mem::swap(first, second);
        }
    }

    /// Tokens a second, as spent since the last question.
    fn pace(&self, now: Micros) -> u64 {
        let elapsed = now.saturating_sub(self.heard).max(LIFE / 20);
        (u64::from(self.spent) * LIFE).div_ceil(elapsed)
    }
}

/// The store's word on one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub granted: u32,
    pub remaining: u32,
    /// Until it is full again.
    pub reset: Micros,
    /// Until there will be `least`; 0 when there was.
    pub retry: Micros,
    /// The least that was asked for.
    pub least: u32,
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
