//! Local users: who stands in `users.toml`, and whether a password is theirs.
//!
//! Comparing a password is slow on purpose, which makes it a way to exhaust us. So it happens on threads of its own,
//! only so many at once, and only so many may wait; the rest is told to come back rather than kept.

mod failures;
mod password;
mod roster;
mod turnstile;

pub use failures::{Counting, Terms};
pub use password::{hash, Unhashable};
pub use roster::Roster;

use crate::domain::users::User;
use crate::ports::users::{Charge, FailureCounter, LocalUsers, Outcome, Refused, SignIn};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use roster::Opponent;
use std::sync::Arc;
use turnstile::Turnstile;

/// The longest name, bytes. It becomes part of keys and tokens.
const LONGEST_NAME: usize = 128;
/// The longest password, bytes.
const LONGEST_PASSWORD: usize = 1024;
/// How many sign-ins may wait for their comparison.
const QUEUE: usize = 64;

/// The users of one provider.
#[derive(Debug)]
pub struct Users {
    roster: ArcSwap<Roster>,
    failures: Arc<dyn FailureCounter>,
    turnstile: Turnstile,
}

impl Users {
    /// `threads`: how many passwords are compared at once, each on a thread and in memory of its own.
    #[must_use]
    pub fn new(roster: Roster, threads: usize, failures: Arc<dyn FailureCounter>) -> Self {
        Self { roster: ArcSwap::from_pointee(roster), failures, turnstile: Turnstile::new(threads.max(1), QUEUE) }
    }

    /// From now on these are the users. What is being compared right now ends as it began.
    pub fn replace(&self, roster: Roster) {
        self.roster.store(Arc::new(roster));
    }

    async fn compare(&self, attempt: &SignIn<'_>) -> Result<Arc<User>, Refused> {
        let turn = self.turnstile.enter().await.ok_or(Refused::Busy)?;
        let Opponent { password, user } = self.roster.load().opponent(attempt.name);
        let typed = attempt.password.clone();
        // the turn goes along: a client that hangs up must not make room for a further comparison
        let compared = tokio::task::spawn_blocking(move || {
            let matches = password.matches(typed.expose());
            drop(turn);
            matches
        });
        match (compared.await, user) {
            (Ok(Ok(true)), Some(user)) => Ok(user),
            (Ok(Ok(_)), _) => Err(Refused::Wrong),
            (Ok(Err(why)), _) => Err(Refused::CannotTell(why.to_string())),
            (Err(why), _) => Err(Refused::CannotTell(why.to_string())),
        }
    }
}

#[async_trait]
impl LocalUsers for Users {
    async fn verify(&self, attempt: &SignIn<'_>) -> Result<Arc<User>, Refused> {
        // nobody has such a name or password, so nothing is guessed and nothing is told
        if attempt.name.len() > LONGEST_NAME || attempt.password.expose().len() > LONGEST_PASSWORD {
            return Err(Refused::Wrong);
        }
        let receipt = match self.failures.charge(attempt).await {
            Ok(Charge::Taken(receipt)) => receipt,
            Ok(Charge::Blocked { again_in, free }) => return Err(Refused::Blocked { again_in, free }),
            Err(why) => return Err(Refused::CannotTell(why.to_string())),
        };
        let verdict = self.compare(attempt).await;
        // only a wrong password is a failure; whoever goes away in between stays charged for one
        let outcome = match &verdict {
            Ok(_) => Outcome::SignedIn,
            Err(Refused::Wrong) => Outcome::Wrong,
            Err(_) => Outcome::Uncompared,
        };
        self.failures.settle(receipt, outcome).await;
        verdict
    }

    async fn blocked(&self, attempt: &SignIn<'_>) -> Option<Refused> {
        let (again_in, free) = self.failures.wait(attempt).await.ok().flatten()?;
        Some(Refused::Blocked { again_in, free })
    }

    fn credential(&self, name: &str) -> Option<[u8; 32]> {
        self.roster.load().credential(name)
    }

    fn find(&self, name: &str) -> Option<Arc<User>> {
        self.roster.load().find(name)
    }
}

#[cfg(test)]
#[path = "users_tests.rs"]
mod tests;
