//! What was revoked in this process. Nothing of it is shared: for one process with the memory store.

use crate::domain::principal::SourceName;
use crate::domain::session::{SessionId, UserHash};
use crate::ports::session::{Credential, Revocations, RevokedFor};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer than any token lives after it was revoked: clocks differ.
const MARGIN: Duration = Duration::from_secs(120);

/// Revocations of one process.
#[derive(Debug)]
pub struct Revoked {
    /// Of a token.
    longest: Duration,
    position: AtomicU64,
    listed: Mutex<Listed>,
}

#[derive(Debug, Default)]
struct Listed {
    /// Until when, in seconds.
    sessions: HashMap<SessionId, u64>,
    /// The position at which everything of the user was revoked, and until when that matters.
    users: HashMap<UserHash, (u64, u64)>,
}

impl Revoked {
    #[must_use]
    pub fn new(longest: Duration) -> Self {
        // Sessions may have been kept over a restart: what stood where the list was then is before everything now.
        let position = AtomicU64::new(now().saturating_mul(1000));
        Self { longest, position, listed: Mutex::default() }
    }

    fn until(&self) -> u64 {
        now().saturating_add((self.longest + MARGIN).as_secs())
    }

    fn change(&self, change: impl FnOnce(&mut Listed, u64)) {
        let mut listed = self.listed.lock();
        let over = now();
        listed.sessions.retain(|_, until| *until > over);
        listed.users.retain(|_, (_, until)| *until > over);
        // Moved within the lock: who sees the new position sees the list that belongs to it.
        change(&mut listed, self.position.load(Ordering::Acquire) + 1);
        self.position.fetch_add(1, Ordering::AcqRel);
    }
}

#[async_trait]
impl Revocations for Revoked {
    fn generation(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }

    fn position(&self) -> u64 {
        self.generation()
    }

    fn refuses(&self, credential: &Credential<'_>) -> bool {
        let listed = self.listed.lock();
        let user = UserHash::of(&SourceName::new(credential.source), credential.subject);
        let session = credential.session.is_some_and(|session| listed.sessions.contains_key(&session));
        let before = |(position, _): &(u64, u64)| credential.minted_at.is_none_or(|minted| minted < *position);
        session || listed.users.get(&user).is_some_and(before)
    }

    fn is_blocked(&self, _source: &str, _subject: &str) -> bool {
        false
    }

    async fn revoke_session(&self, id: SessionId, _why: RevokedFor) {
        let until = self.until();
        self.change(|listed, _| {
            listed.sessions.insert(id, until);
        });
    }

    async fn revoke_user(&self, source: &str, subject: &str, _why: RevokedFor) {
        let (user, until) = (UserHash::of(&SourceName::new(source), subject), self.until());
        self.change(|listed, position| {
            listed.users.insert(user, (position, until));
        });
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
