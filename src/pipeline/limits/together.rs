//! Several limits of one request: it is counted in all of them, or in none.
//!
//! What is in memory is looked at before any of it is spent, and what has to be asked is asked in one call, where the
//! store takes all or nothing. Somebody else may take the last token between the look and the spending; whoever then is
//! refused has been counted by the limits before.

use super::limiter::{Foreseen, Spend, Verdict};
use super::{Facts, Guard, Kept, Met, Over, Paid};
use crate::domain::limit::{Charge, KeyText};

/// What is to be counted.
#[derive(Debug)]
pub(super) struct Due<'g> {
    pub(super) kept: &'g Kept,
    pub(super) key: KeyText,
    pub(super) cost: u32,
}

impl Due<'_> {
    fn spend(&self) -> Spend<'_> {
        Spend { limit: &self.kept.limit, key: self.key.as_bytes(), page: None, cost: self.cost }
    }
}

impl Guard {
    /// Whether all of several limits would let a request pass, as far as memory knows.
    pub(super) fn foresee(&self, charges: &[Charge], facts: &Facts<'_>, met: &mut Met) -> Result<Paid, Over> {
        let mut paid = Paid::InFull;
        for charge in charges {
            let Some(due) = self.due(*charge, facts) else { continue };
            match self.limiter.foresee(due.spend()) {
                Foreseen::Refused(standing) if !due.kept.limit.shadow => {
                    self.take(due.kept, Verdict::Refused(standing), met)?;
                }
                Foreseen::Unknown => paid = Paid::InPart,
                Foreseen::Refused(_) | Foreseen::Passes => {}
            }
        }
        Ok(paid)
    }

    /// Counts a request in all that is due, and waits for the store where it has to.
    pub(super) async fn charge_all(&self, due: &[Due<'_>], met: &mut Met) -> Result<(), Over> {
        let mut told = Vec::new();
        if let [_, _, ..] = due {
            self.refuse(due, &told, met)?;
            told = self.limiter.gather(&due.iter().map(Due::spend).collect::<Vec<_>>()).await;
            self.refuse(due, &told, met)?;
        }
        for (at, due) in due.iter().enumerate() {
            let verdict = match told.get(at).copied().flatten() {
                Some(verdict) => verdict,
                None => self.limiter.spend(due.spend()).await,
            };
            self.take(due.kept, verdict, met)?;
        }
        Ok(())
    }

    /// Refuses where one of them is known to, before any other is spent from.
    fn refuse(&self, due: &[Due<'_>], told: &[Option<Verdict>], met: &mut Met) -> Result<(), Over> {
        for (at, due) in due.iter().enumerate().filter(|(_, due)| !due.kept.limit.shadow) {
            let standing = match (told.get(at).copied().flatten(), self.limiter.foresee(due.spend())) {
                (Some(Verdict::Refused(standing)), _) | (None, Foreseen::Refused(standing)) => standing,
                (Some(_), _) | (None, Foreseen::Unknown | Foreseen::Passes) => continue,
            };
            self.take(due.kept, Verdict::Refused(standing), met)?;
        }
        Ok(())
    }

    pub(super) fn due(&self, charge: Charge, facts: &Facts<'_>) -> Option<Due<'_>> {
        let kept = self.kept.get(charge.limit)?;
        Some(Due { kept, key: self.key(kept, facts), cost: charge.cost })
    }
}
