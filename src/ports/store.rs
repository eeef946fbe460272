//! What replicas share. Every answer of a store has three outcomes: yes, no, and "cannot tell", which is
//! [`StoreError`] and never turns into one of the other two.
//!
//! A store understands ids, times, counters and opaque bytes. What a session says is sealed before it gets here, so a
//! store has no key to lose. It lives by its own clock: replicas whose clocks differ still agree.

use crate::domain::failures::{Charged, Schedule, Tally, TallyKey};
use crate::domain::family::{Presentation, Rules, Verdict};
use crate::domain::session::{
    FamilyId, HandleHash, Lifetimes, Millis, OnLimit, ProviderSid, SessionId, Times, UserHash,
};
use async_trait::async_trait;
use std::fmt::Debug;
use std::time::Duration;

/// The store did not answer, or not in a way we understand. In words for an operator's log, without any secret.
///
/// Whatever was asked may have happened all the same: the question can have arrived and only the answer be lost.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the store cannot be asked: {0}")]
pub struct StoreError(pub String);

impl From<StoreError> for crate::domain::denial::Denial {
    /// 503: neither yes nor no.
    fn from(error: StoreError) -> Self {
        Self::new(crate::domain::denial::Code::StoreUnavailable, error.to_string())
    }
}

/// Everything that replicas share.
pub trait Store: Sessions + Families + Locks + Once + Vault + Failures + Reach {}

impl<S: Sessions + Families + Locks + Once + Vault + Failures + Reach> Store for S {}

/// Whether there is anybody to ask.
///
/// # When the answer is wrong
/// Operators are told of an outage that is none, or not of one. Nobody is let in or turned away by it.
pub trait Reach: Send + Sync + Debug {
    /// Whether the last question was answered. That there is no room left is an answer.
    fn answers(&self) -> bool;
}

/// Who is signed in.
///
/// # When the answer is wrong
/// - `None` for a live session signs a user out: annoying, safe.
/// - `Some` for a session that ended lets a signed-out user in: never acceptable. So nothing here brings a session
///   back: whatever is written, is written to a session that is still there.
/// - More sessions than the cap give a stolen password a place to stay unseen.
#[async_trait]
pub trait Sessions: Send + Sync + Debug {
    /// Creates a session unless its user has `cap` of them already. Asking again with the same id after a lost answer
    /// is safe, and finds what the first question made.
    ///
    /// A session that makes room for another must be revoked before it is deleted, or its tokens would outlive it
    /// where nobody can find them. So victims are named first; the caller revokes them and calls again, with everything
    /// it has revoked for this sign-in. Others may have been quicker meanwhile: then further victims are named.
    async fn create(&self, new: &NewSession, limit: &Limit<'_>) -> Result<Created, StoreError>;

    async fn load(&self, user: UserHash, id: SessionId) -> Result<Option<Stored>, StoreError>;

    async fn by_handle(&self, user: UserHash, handle: HandleHash) -> Result<Option<Stored>, StoreError>;

    /// Those of one user, oldest first.
    async fn list(&self, user: UserHash) -> Result<Vec<Stored>, StoreError>;

    /// Notes when sessions were last in use; `false` for one that is gone. One that could not be asked about fails
    /// the call, and what was noted before stays noted: saying it again changes nothing.
    async fn touch(&self, touches: &[Touch]) -> Result<Vec<bool>, StoreError>;

    /// Replaces version `seen` of a session's body.
    async fn rewrite(&self, user: UserHash, id: SessionId, seen: u64, body: &[u8]) -> Result<Rewrote, StoreError>;

    /// Deletes a session and revokes its family. `false`: there was none.
    async fn end(&self, user: UserHash, id: SessionId) -> Result<bool, StoreError>;

    /// The same for every session of one user.
    async fn end_all(&self, user: UserHash) -> Result<Vec<SessionId>, StoreError>;

    /// Sessions that began with this session of their provider. Some may have ended since.
    async fn by_provider_sid(&self, sid: ProviderSid) -> Result<Vec<(UserHash, SessionId)>, StoreError>;
}

/// A session to be created.
#[derive(Clone, Debug)]
pub struct NewSession {
    pub user: UserHash,
    /// Fresh random bits: an id must never name two sessions.
    pub id: SessionId,
    pub handle: Option<HandleHash>,
    pub family: Option<NewFamily>,
    pub lifetimes: Lifetimes,
    pub body: Vec<u8>,
    pub provider_sid: Option<ProviderSid>,
}

/// The renewal family that begins with a session, at generation 0.
#[derive(Clone, Copy, Debug)]
pub struct NewFamily {
    pub id: FamilyId,
    /// `idle` as in [`Rules::idle`].
    pub lifetimes: Lifetimes,
}

/// How many sessions a user may have.
#[derive(Clone, Copy, Debug)]
pub struct Limit<'a> {
    /// At least one.
    pub cap: usize,
    pub on_limit: OnLimit,
    /// Sessions the caller has revoked to make room.
    pub revoked: &'a [SessionId],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    Done(Times),
    /// The user has as many as they may, and [`OnLimit::Reject`].
    Full,
    /// Nothing was done yet: revoke these and call again.
    Revoke(Vec<SessionId>),
}

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub id: SessionId,
    /// Grows whenever the body is replaced; a new session has 1.
    pub version: u64,
    pub times: Times,
    pub family: Option<FamilyId>,
    pub body: Vec<u8>,
}

/// A session was in use.
#[derive(Clone, Copy, Debug)]
pub struct Touch {
    pub user: UserHash,
    pub id: SessionId,
    pub last_seen: Millis,
    pub idle: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrote {
    /// The new version.
    Done(u64),
    /// Somebody was quicker: this is what they wrote.
    Stale(Stored),
    Gone,
}

/// Renewal families.
///
/// # When the answer is wrong
/// - [`Verdict::Reuse`] for an honest browser signs a user out and alarms them.
/// - A new generation for a stolen token keeps a thief in. So one question is judged at one moment, however many
///   replicas ask.
#[async_trait]
pub trait Families: Send + Sync + Debug {
    /// Judges a token whose MAC was checked. `None`: nothing is known of this family, which is never rebuilt from a
    /// token. One that has expired may be forgotten, so both must mean the same to the caller.
    async fn present(
        &self,
        user: UserHash,
        family: FamilyId,
        shown: &Presentation,
        rules: &Rules,
    ) -> Result<Option<Ruling>, StoreError>;

    /// An access token made with `generation` was seen: the answer that carried it has arrived. `false`: unknown.
    async fn confirm(&self, user: UserHash, family: FamilyId, generation: u32) -> Result<bool, StoreError>;

    /// Ends a family for good. `false`: there was none.
    async fn revoke(&self, user: UserHash, family: FamilyId) -> Result<bool, StoreError>;
}

/// What came of a presented token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ruling {
    pub verdict: Verdict,
    pub session: SessionId,
    /// When the family ends in any case.
    pub absolute: Millis,
}

/// One at a time, across replicas.
///
/// # When the answer is wrong
/// Two holders of one lock spend a single-use token of a provider twice. A lock that outlives its holder makes others
/// wait, so it ends by itself.
#[async_trait]
pub trait Locks: Send + Sync + Debug {
    /// Takes the lock for `ttl`. Whoever has it already under this nonce has it on.
    async fn acquire(&self, name: &str, nonce: &Nonce, ttl: Duration) -> Result<bool, StoreError>;

    /// `false`: it is not ours any more.
    async fn extend(&self, name: &str, nonce: &Nonce, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives back what is ours; somebody else's stays.
    async fn release(&self, name: &str, nonce: &Nonce) -> Result<bool, StoreError>;
}

/// Random bits that tell one holder from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce(pub [u8; 16]);

/// Things that may happen once.
///
/// # When the answer is wrong
/// "First" twice is a replay that went through. So a store that cannot tell says so, and the caller refuses.
#[async_trait]
pub trait Once: Send + Sync + Debug {
    /// Whether nobody has asked for `name` before; remembered until at least `until`. Names are short: of what a stranger
    /// chose, take a hash.
    async fn first(&self, name: &str, until: Millis) -> Result<bool, StoreError>;
}

/// Small sealed documents, each with a version: the key ring lives in one.
///
/// # When the answer is wrong
/// A lost write would let two replicas sign with keys the other does not publish, so a write names the version it
/// replaces and fails when somebody was quicker.
#[async_trait]
pub trait Vault: Send + Sync + Debug {
    /// The document and its version, which grows with every write; `None` when there is none.
    async fn read(&self, name: &str) -> Result<Option<Document>, StoreError>;

    /// Replaces version `seen` (0: there is none yet) by `bytes`. `false`: somebody was quicker; read again.
    async fn replace(&self, name: &str, seen: u64, bytes: &[u8]) -> Result<bool, StoreError>;
}

/// Counters of failed sign-ins.
///
/// # When the answer is wrong
/// - [`Charged::Taken`] without having counted lets a stranger guess on.
/// - A counter that is forgotten before its time is a block that a stranger can wait out sooner: one that is full
///   forgets those first that say least.
#[async_trait]
pub trait Failures: Send + Sync + Debug {
    /// Charges one attempt, at one moment for all who ask.
    async fn charge(&self, key: TallyKey, schedule: &Schedule) -> Result<Charged, StoreError>;

    /// Charge number `serial` was no failure.
    async fn give_back(&self, key: TallyKey, serial: u32, schedule: &Schedule) -> Result<(), StoreError>;

    /// A charge was a failure indeed: where failures fade, this begins the block.
    async fn failed(&self, key: TallyKey, schedule: &Schedule) -> Result<(), StoreError>;

    /// How a counter stands, and when that is. Charges nothing.
    async fn tally(&self, key: TallyKey) -> Result<(Tally, Millis), StoreError>;

    /// Empties a counter.
    async fn forget(&self, key: TallyKey) -> Result<(), StoreError>;
}

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub version: u64,
    pub bytes: Vec<u8>,
}
