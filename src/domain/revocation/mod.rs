//! Revocation: what must no longer be believed, and since when.
//!
//! A revocation is a [`Record`] in an append-only log that replicas share; its place there is a [`Position`]. A replica
//! folds every record it ever learned into an [`Index`] and asks it about the [`Subject`] of each request. Records only
//! ever add up: whatever order they arrive in, and however often, the same index comes out. That is what lets replicas
//! repair each other and a log that lost its memory.
//!
//! There are two sorts. A *mark* ends what was issued before it and is dropped when nothing it could hit is alive any
//! more. A *block* stands against a user until it is lifted, and is never dropped.

mod index;
mod position;
mod record;
mod sealed;
mod snapshot;
mod subject;
mod target;

pub use index::{Hit, Index, Placed};
pub use position::{NotAPosition, Position};
pub use record::{Kind, Reason, Record};
pub use sealed::{RecordKeys, Sealed};
pub use snapshot::{Snapshot, Spoilt};
pub use subject::{Marks, Subject};
pub use target::{Id, Target, User};

#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod record_tests;
