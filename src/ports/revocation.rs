//! The log of revocations that replicas share, and what following it needs of the world.
//!
//! The log understands positions and sealed bytes; what a record says is none of its business.

use super::store::StoreError;
use crate::domain::revocation::{Kind, Position, Record, Sealed};
use async_trait::async_trait;
use std::fmt;
use std::fmt::Debug;
use std::time::Duration;

/// An append-only log. Each entry names the one before it, so that a reader notices what it missed and what a store
/// lost.
///
/// # When the answer is wrong
/// - An entry left out of [`pull`](Self::pull) lets in somebody who was thrown out, for as long as the token lives.
/// - A log that lost its memory and takes an append all the same would look like one in which nothing else is revoked:
///   it says [`Appended::NotOpen`] until somebody has opened it and every replica has had the chance to fill it again.
/// - A [`Confirmed`] that is older than the question calls a replica fresh that is not: the answer must come from
///   whoever takes the writes.
#[async_trait]
pub trait RevocationLog: Send + Sync + Debug {
    /// Starts the log when there is none, under the name `candidate`. Of several at the same time one wins.
    async fn open(&self, candidate: Epoch) -> Result<Opened, StoreError>;

    /// Appends all of `records`, at once or not at all, and tells subscribers. Entries older than `keep` may be dropped.
    /// After a [`StoreError`] they may stand in the log or not: appending once more is harmless.
    async fn append(&self, records: &[Sealed], keep: Duration) -> Result<Appended, StoreError>;

    /// Up to `most` entries behind `after`, in order.
    async fn pull(&self, after: Position, most: usize) -> Result<Vec<Entry>, StoreError>;

    /// Says that this replica lives and what it enforces, and reads the tail. A write, so that a store that has been
    /// demoted cannot confirm.
    async fn confirm(&self, ack: &Ack) -> Result<Confirmed, StoreError>;

    /// Who enforces everything up to `position`.
    async fn acknowledged(&self, position: Position) -> Result<Replicas, StoreError>;

    /// This replica stops: nobody need wait for it.
    async fn leave(&self, replica: &str) -> Result<(), StoreError>;

    /// From here on every append is told, until [`Pushed::Lost`].
    async fn subscribe(&self) -> Result<Box<dyn Subscription>, StoreError>;
}

/// Pushes of the log: quick, and not to be relied upon.
#[async_trait]
pub trait Subscription: Send + Debug {
    /// The next push, if there is one within `patience`.
    async fn next(&mut self, patience: Duration) -> Pushed;
}

/// The clocks, and waiting.
#[async_trait]
pub trait Clock: Send + Sync + Debug {
    /// Unix milliseconds.
    fn unix_ms(&self) -> u64;

    /// On the clock that never jumps; only differences mean anything. Never zero, which some keep for "not yet".
    fn steady(&self) -> Duration;

    async fn sleep(&self, span: Duration);
}

/// Learns of revocations as soon as they are enforced here: for what was admitted earlier and is still under way.
pub trait Witness: Send + Sync + Debug {
    /// Called on the way of the push, so it must not wait for anything. May hear of a record more than once.
    fn revoked(&self, records: &[Record]);

    /// Called once for each record that this process learns. `lag` is how long it stood in the log before, where others
    /// put it there while this replica followed.
    fn learned(&self, _kind: Kind, _lag: Option<Duration>) {}
}

/// Where the list outlives the process.
///
/// # When it is wrong
/// What was called kept and is not, is accepted again after a crash: somebody who signed out is signed in.
pub trait Shelf: Send + Sync + Debug {
    /// Replaces what lies there, as a whole or not at all, and returns when it would survive a power cut. Blocks for as
    /// long as that takes.
    ///
    /// # Errors
    /// What lay there before still does.
    fn put(&self, bytes: &[u8]) -> Result<(), StoreError>;
}

/// One life of the log, from its opening to the loss of its data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u128);

#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub epoch: Epoch,
    pub last: Position,
    /// Since this epoch began: a young one may still lack what other replicas remember.
    pub age: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub position: Position,
    /// The position before this one when it was appended.
    pub previous: Position,
    /// `None`: bytes that are no record.
    pub sealed: Option<Sealed>,
}

/// Entries that were appended together, in order and without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    pub epoch: Epoch,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    At(Batch),
    /// The log has lost its memory, or never had one: nothing was appended.
    NotOpen,
}

#[derive(Clone, Debug)]
pub struct Ack {
    pub replica: String,
    /// `None` until this replica has read the log.
    pub epoch: Option<Epoch>,
    pub position: Position,
}

#[derive(Clone, Copy, Debug)]
pub struct Confirmed {
    /// `None`: the log is not open.
    pub epoch: Option<Epoch>,
    pub last: Position,
    /// Unix milliseconds on the clock of the log.
    pub now_ms: u64,
    pub replicas: Replicas,
}

/// Replicas heard of within [`DEAD_AFTER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    pub live: u32,
    /// Of these, the ones that enforce everything up to the position in question.
    pub enforcing: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    Batch(Batch),
    Nothing,
    /// Something was or will be missed: subscribe again and read the log.
    Lost,
}

/// A replica that was not heard of for this long is not waited for. Its sensitive routes are closed by then: it cannot
/// have confirmed either.
pub const DEAD_AFTER: Duration = Duration::from_secs(5);

impl Replicas {
    #[must_use]
    pub fn pending(self) -> u32 {
        self.live.saturating_sub(self.enforcing)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
