//! Keys of ours that were revoked, put on the list of revocations.
//!
//! The ring itself tells whoever verifies a token, and within a second every replica has it. What goes on since before
//! asks no ring any more: a socket opened with a token under a stolen key would stay open. The list rings at it.

use super::Ground;
use crate::domain::principal::SourceName;
use crate::domain::time::UnixTime;
use crate::ports::Credential;
use std::time::Duration;

/// For how long a revoked key is put on the list where it is missing there; then nothing is left that it could cut.
const TOLD: Duration = Duration::from_secs(3600);

impl Ground {
    /// Every second, and at once where an operator has changed the ring. Costs nothing while no key was revoked lately.
    pub async fn list_revoked_keys(&self, now: UnixTime) {
        // What was never read may hold them already.
        if self.revocations.is_blind() {
            return;
        }
        let revoked = self.ring.list().into_iter().filter(|key| key.state == "revoked");
        for key in revoked.filter(|key| now.since(key.moment) < TOLD) {
            if !self.is_listed(&key.kid) {
                self.revocations.revoke_key(&key.kid).await;
            }
        }
    }

    /// The key itself, whatever else stands on the list.
    fn is_listed(&self, kid: &str) -> bool {
        let nobody = SourceName::new("");
        self.revocations.refuses(&Credential { key: Some(kid), ..Credential::of_nobody(&nobody) })
    }
}

#[cfg(test)]
#[path = "leaked_tests.rs"]
mod tests;
