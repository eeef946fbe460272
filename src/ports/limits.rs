//! Buckets that replicas share, and what spending from them needs of the world.

use super::store::StoreError;
use crate::domain::limit::bucket::Micros;
use crate::domain::limit::lease::Told;
use crate::domain::limit::{Bucket, BucketId};
use async_trait::async_trait;
use std::fmt::Debug;

/// The buckets themselves.
///
/// # When the answer is wrong
/// - A token that is granted twice lets more through than was promised: one bucket is judged at one moment, however
///   many replicas ask.
/// - A bucket that is forgotten is full again, so it is kept until it would be full anyway.
/// - A store that cannot tell says so: whether to wait, to share or to refuse is the limit's to decide.
#[async_trait]
pub trait Buckets: Send + Sync + Debug {
    /// Takes from every bucket that is asked for, each for itself, or of a [`Group`] from all or none; the answers stand in
    /// the order of the questions. Where each bucket may be on a server of its own, groups are not kept together. `None` is one that cannot be asked while others can, as where each has a server of its own. After that, or an
    /// error, some may have been taken: tokens are lost then, and none is too many.
    async fn reserve(&self, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError>;

    /// Whether there is anybody to ask: without a connection there is nothing to wait for.
    fn is_reachable(&self) -> bool {
        true
    }

    /// Fills a bucket. `false`: it was full.
    async fn refill(&self, id: BucketId) -> Result<bool, StoreError>;
}

/// A question to one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub id: BucketId,
    pub bucket: Bucket,
    /// The most to take; 0 only looks.
    pub want: u32,
    /// Nothing is taken where there is less.
    pub least: u32,
    /// The bucket is at least this far from full, whatever the store remembers; 0: whoever asks does not know better.
    pub ahead: Micros,
    pub group: Group,
}

/// Questions of one request. They stand next to each other in a call, about one bucket each, and where one of these
/// holds less than the least that is asked for, nothing is taken from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group(pub u32);

impl Group {
    /// A question by itself.
    pub const NONE: Self = Self(0);

    /// Whether a question of group `other` stands and falls with one of this.
    #[must_use]
    pub fn holds(self, other: Self) -> bool {
        self == other && self != Self::NONE
    }
}

/// Who else spends.
pub trait Fleet: Send + Sync + Debug {
    /// Replicas, ourselves included, when we last heard; 0: others may share these buckets, and nobody was heard of yet.
    fn replicas(&self) -> u32;
}

/// Alone in the world.
#[derive(Clone, Copy, Debug)]
pub struct Single;

impl Fleet for Single {
    fn replicas(&self) -> u32 {
        1
    }
}

/// Counts requests over one limit.
pub trait Tally: Send + Sync + Debug {
    fn over(&self);
}
