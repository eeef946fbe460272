//! Verified credentials, remembered: a token seen before costs one look-up instead of one signature check.
//!
//! The table is a fixed number of slots in sets of eight. A slot is read without any lock and written with one atomic
//! swap, so threads never wait for each other. Only tokens that were accepted get in, so a stranger cannot fill it;
//! what an insider can fill is bounded in slots and in bytes.

use super::api_keys::KeyFacts;
pub use super::facts::SessionFacts;
use super::limits::Bookmark;
use super::usage::Uses;
use crate::domain::principal::Principal;
use crate::domain::time::UnixTime;
use crate::ports::Credential;
use arc_swap::ArcSwapOption;
use foldhash::quality::RandomState;
use http::{HeaderName, HeaderValue};
use serde_json::Value;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

const SETS: usize = 1024;
const WAYS: usize = 8;
const BUDGET: usize = 32 * 1024 * 1024;
/// A session that is not in here costs the store a question, which is dearer than a signature.
const SETS_OF_SESSIONS: usize = 8 * SETS;
const BUDGET_OF_SESSIONS: usize = 64 * 1024 * 1024;
/// No generation of revocations.
const NEVER: u64 = u64::MAX;

/// A credential that was accepted, and everything a request needs of it.
pub struct Verified {
    /// The credential itself, compared in full on every hit.
    token: Box<str>,
    pub principal: Principal,
    /// Index of its issuer, and the key generation it was verified against.
    pub issuer: usize,
    pub generation: u64,
    /// Ready-made identity headers.
    pub identity: Vec<(HeaderName, HeaderValue)>,
    session: Option<SessionFacts>,
    /// Boxed: few callers have an API key.
    api_key: Option<Box<KeyFacts>>,
    /// The key of ours that signed it.
    key: Option<Box<str>>,
    /// Bytes of its claims, where the credential does not hold them itself.
    claims: usize,
    notes: Notes,
}

/// What requests write down beside a credential: all of it in one line of memory, for each of them looks at most of it.
#[derive(Debug)]
#[repr(align(64))]
struct Notes {
    /// The revocations it was last checked against.
    cleared: AtomicU64,
    uses: Uses,
    bookmark: Bookmark,
    /// Set by a hit, cleared by the clock hand.
    used: AtomicBool,
}

/// Bounded memory of [`Verified`] credentials.
pub struct CredentialCache {
    /// Keyed anew in every process: nobody outside can aim at one set.
    hasher: RandomState,
    slots: Box<[ArcSwapOption<Verified>]>,
    sets: usize,
    budget: usize,
    bytes: AtomicUsize,
}

impl Verified {
    #[must_use]
    pub fn new(token: &str, principal: Principal, identity: Vec<(HeaderName, HeaderValue)>) -> Self {
        Self {
            token: token.into(),
            principal,
            issuer: 0,
            generation: 0,
            identity,
            session: None,
            api_key: None,
            key: None,
            claims: 0,
            notes: Notes {
                cleared: AtomicU64::new(NEVER),
                uses: Uses::default(),
                bookmark: Bookmark::default(),
                used: AtomicBool::new(false),
            },
        }
    }

    #[must_use]
    pub fn by(mut self, issuer: usize, generation: u64) -> Self {
        self.issuer = issuer;
        self.generation = generation;
        self
    }

    #[must_use]
    pub fn of_session(mut self, session: SessionFacts) -> Self {
        self.session = Some(session);
        self
    }

    #[must_use]
    pub fn of_key(mut self, key: KeyFacts) -> Self {
        self.api_key = Some(Box::new(key));
        self
    }

    #[must_use]
    pub fn signed_with(mut self, kid: &str) -> Self {
        self.key = Some(kid.into());
        self
    }

    /// A handle says nothing: its claims, in bytes, came from elsewhere.
    #[must_use]
    pub fn with_claims_of(mut self, bytes: usize) -> Self {
        self.claims = bytes;
        self
    }

    pub(super) fn claims(&self) -> usize {
        self.claims
    }

    /// The credential itself.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn uses(&self) -> &Uses {
        &self.notes.uses
    }

    /// Where it is counted.
    pub(super) fn bookmark(&self) -> &Bookmark {
        &self.notes.bookmark
    }

    /// What the token says, not how long clocks that differ let it count.
    #[must_use]
    pub fn ends(&self) -> UnixTime {
        let exp = self.principal.claims.get("exp").and_then(Value::as_u64);
        exp.map_or(self.principal.expires, UnixTime)
    }

    /// Of a token or handle of ours, however it came.
    #[must_use]
    pub fn session(&self) -> Option<&SessionFacts> {
        self.session.as_ref()
    }

    /// It is an API key.
    #[must_use]
    pub fn api_key(&self) -> Option<&KeyFacts> {
        self.api_key.as_deref()
    }

    /// What it can be revoked by.
    pub(in crate::pipeline) fn credential(&self) -> Credential<'_> {
        let claim = |name| self.principal.claims.get(name);
        Credential {
            jti: claim("jti").and_then(|jti| jti.as_str()),
            session: self.session().map(|facts| facts.id),
            foreign_session: claim("sid").filter(|_| self.session.is_none()).and_then(|sid| sid.as_str()),
            source: &self.principal.source,
            subject: &self.principal.subject,
            client: self.api_key().map(|key| key.id.as_str()),
            key: self.key.as_deref(),
            issued: claim("iat").and_then(|iat| iat.as_u64()).unwrap_or(0),
            minted_at: match self.session() {
                Some(facts) => facts.minted_at,
                None => self.api_key().map(|key| key.minted_at),
            },
        }
    }

    /// Whether nothing was revoked since this was last looked up.
    #[must_use]
    pub fn is_cleared(&self, generation: u64) -> bool {
        self.notes.cleared.load(Ordering::Relaxed) == generation
    }

    /// It was looked up in the revocations of `generation`, and is not among them.
    pub fn clear_until(&self, generation: u64) {
        self.notes.cleared.store(generation, Ordering::Relaxed);
    }

    /// Bytes this entry is charged for: roughly what it holds, claims counted as large as the token they came in, and a page
    /// that nobody but its bookmark knows.
    fn weight(&self) -> usize {
        let headers: usize = self.identity.iter().map(|(_, value)| value.len() + 64).sum();
        768 + (self.token.len() + self.claims) * 3 + headers
    }
}

impl Default for CredentialCache {
    fn default() -> Self {
        Self::new(SETS, BUDGET)
    }
}

impl CredentialCache {
    /// Room for sessions that only the store can tell about.
    #[must_use]
    pub fn of_sessions() -> Self {
        Self::new(SETS_OF_SESSIONS, BUDGET_OF_SESSIONS)
    }

    fn new(sets: usize, budget: usize) -> Self {
        let slots = (0..sets * WAYS).map(|_| ArcSwapOption::empty()).collect();
        Self { hasher: RandomState::default(), slots, sets, budget, bytes: AtomicUsize::new(0) }
    }

    /// The entry for exactly this token.
    #[must_use]
    pub fn find(&self, token: &str) -> Option<Arc<Verified>> {
        let found = self.set(token).iter().find_map(|slot| {
            let entry = slot.load();
            entry.as_ref().filter(|entry| *entry.token == *token).map(Arc::clone)
        })?;
        // A plain load first: a hot entry's line stays shared between cores.
        if !found.notes.used.load(Ordering::Relaxed) {
            found.notes.used.store(true, Ordering::Relaxed);
        }
        Some(found)
    }

    /// Remembers `entry`, in the place of one that was not used since the clock hand last came by. Two threads that
    /// put the same set in order at once may forget an entry more than needed; it is verified again, nothing else.
    pub fn remember(&self, entry: Arc<Verified>) {
        let weight = entry.weight();
        let set = self.set(&entry.token);
        let Some(slot) = victim(set, &entry.token) else { return };
        let freed = slot.load().as_ref().map_or(0, |old| old.weight());
        if self.bytes.load(Ordering::Relaxed).saturating_sub(freed) + weight > self.budget {
            self.forget_one(set);
            return;
        }
        let old = slot.swap(Some(entry));
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        self.release(old.as_deref());
    }

    /// Takes out what no longer holds.
    pub fn forget(&self, entry: &Arc<Verified>) {
        for slot in self.set(&entry.token) {
            let held = slot.load();
            if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, entry)) {
                let old = slot.swap(None);
                self.release(old.as_deref());
            }
        }
    }

    /// Over budget, each arrival makes room for a later one instead of growing the table.
    fn forget_one(&self, set: &[ArcSwapOption<Verified>]) {
        if let Some(slot) = set.iter().find(|slot| slot.load().is_some()) {
            let old = slot.swap(None);
            self.release(old.as_deref());
        }
    }

    fn release(&self, old: Option<&Verified>) {
        if let Some(old) = old {
            self.bytes.fetch_sub(old.weight(), Ordering::Relaxed);
        }
    }

    fn set(&self, token: &str) -> &[ArcSwapOption<Verified>] {
        let hash = self.hasher.hash_one(token);
        let at = usize::try_from(hash % self.sets as u64).unwrap_or(0) * WAYS;
        self.slots.get(at..at + WAYS).unwrap_or_default()
    }
}

/// The slot to write: the token's own, a free one, or the first that was not used lately.
fn victim<'s>(set: &'s [ArcSwapOption<Verified>], token: &str) -> Option<&'s ArcSwapOption<Verified>> {
    let own = set.iter().find(|slot| slot.load().as_ref().is_some_and(|held| *held.token == *token));
    let free = || set.iter().find(|slot| slot.load().is_none());
    let idle = || {
        set.iter().find(|slot| slot.load().as_ref().is_some_and(|held| !held.notes.used.swap(false, Ordering::Relaxed)))
    };
    own.or_else(free).or_else(idle).or_else(|| set.first())
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("source", &self.principal.source).finish_non_exhaustive()
    }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::principal::{AuthMethod, SourceName};
    use crate::domain::time::UnixTime;
    use serde_json::Map;

    fn entry(token: &str) -> Arc<Verified> {
        let principal = Principal {
            source: SourceName::new("idp"),
            subject: token.to_owned(),
            method: AuthMethod::Bearer,
            roles: Vec::new(),
            scopes: Vec::new(),
            claims: Map::new(),
            email_trusted: false,
            expires: UnixTime(0),
        };
        Arc::new(Verified::new(token, principal, Vec::new()))
    }

    #[test]
    fn only_the_very_same_token_is_found() {
        let cache = CredentialCache::default();
        cache.remember(entry("a.b.c"));
        assert_eq!(cache.find("a.b.c").unwrap().principal.subject, "a.b.c");
        assert!(cache.find("a.b.d").is_none());
    }

    #[test]
    fn what_was_forgotten_is_gone_and_its_bytes_with_it() {
        let cache = CredentialCache::default();
        let kept = entry("a.b.c");
        cache.remember(Arc::clone(&kept));
        cache.forget(&kept);
        assert!(cache.find("a.b.c").is_none());
        assert_eq!(cache.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn however_many_tokens_come_memory_stays_within_its_budget() {
        let cache = CredentialCache::default();
        let padding = "x".repeat(4096);
        for n in 0..20_000 {
            cache.remember(entry(&format!("{n}.{padding}")));
        }
        assert!(cache.bytes.load(Ordering::Relaxed) <= BUDGET);
        let held: usize = cache.slots.iter().filter_map(|slot| slot.load().as_ref().map(|e| e.weight())).sum();
        assert_eq!(held, cache.bytes.load(Ordering::Relaxed));
    }

    #[test]
    fn an_entry_in_use_outlives_newcomers() {
        let cache = CredentialCache::default();
        cache.remember(entry("hot"));
        for n in 0..4 * SETS {
            cache.remember(entry(&format!("cold-{n}")));
            assert!(cache.find("hot").is_some(), "after {n} newcomers");
        }
    }
}
