//! What the pipeline asks of the world.

pub mod bot;
pub mod limits;
pub mod provider;
pub mod revocation;
pub mod session;
pub mod store;
pub mod users;

pub use session::{Credential, Revocations, RevokedFor, SessionEvent, SessionEvents};

use crate::domain::denial::Denial;
use crate::domain::token::keys::KeySet;
use crate::domain::token::verify::Rejection;
use crate::pipeline::account::Record;
use async_trait::async_trait;
use std::fmt::Debug;
use std::sync::Arc;

/// Keys of one issuer at one moment.
#[derive(Debug, Default)]
pub struct Keys {
    /// Empty until the first set was had.
    pub set: KeySet,
    /// No two sets of this process share one: what was verified under this number was verified with these keys.
    pub generation: u64,
}

/// The keys of one issuer, as they are known right now.
///
/// # When the answer is wrong
/// - A key that its issuer withdrew still counting lets in whoever stole it: keys are replaced as soon as a new set
///   is seen, and [`KeySource::generation`] tells every cached verdict.
/// - No key where there should be one refuses an honest caller: so a source without any says
///   [`Looked::CannotTell`], and the caller is told 503, not 401.
#[async_trait]
pub trait KeySource: Send + Sync + Debug {
    /// The last good set.
    fn current(&self) -> Arc<Keys>;

    /// Changes whenever the set does. Read on every request, so it must cost no more than a load.
    fn generation(&self) -> u64;

    /// Called for a token whose key is not among those of generation `seen`. However many ask, the issuer is asked at
    /// most once in 30 s.
    async fn look_for_new_keys(&self, seen: u64) -> Looked;
}

/// What came of looking for new keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looked {
    /// The set may have changed: look once more.
    Again,
    /// The set is as fresh as it may be: what is not in it is unknown.
    Unknown,
    /// The issuer did not answer: unknown and new cannot be told apart.
    CannotTell,
}

/// Does `check` with the keys as they are, and once more with fresh ones if none of them made the signature.
///
/// # Errors
/// What `check` says, or `cannot_tell` when a new key and a wrong one cannot be told apart.
pub async fn with_keys<T>(
    keys: &dyn KeySource,
    check: impl Fn(&Keys) -> Result<T, Rejection> + Send + Sync,
    cannot_tell: impl FnOnce() -> Denial + Send,
) -> Result<T, Denial> {
    let current = keys.current();
    match check(&current) {
        Ok(found) => return Ok(found),
        Err(Rejection::Denied(denial)) => return Err(denial),
        Err(Rejection::UnknownKey) => {}
    }
    match keys.look_for_new_keys(current.generation).await {
        Looked::Again => check(&keys.current()).map_err(Rejection::into_denial),
        Looked::Unknown => Err(Rejection::UnknownKey.into_denial()),
        Looked::CannotTell => Err(cannot_tell()),
    }
}

/// Where finished requests leave their trace.
///
/// # When the answer is wrong
/// There is no answer: an observer that is slow or down must lose lines and count them, never hold up a request.
pub trait Journal: Send + Sync + Debug {
    /// One request is over, whatever became of it.
    fn account(&self, record: &Record<'_>);
}

/// What happens at the edge between requests.
pub trait EdgeEvents: Send + Sync + Debug {
    fn connection_opened(&self);
    fn connection_closed(&self);
    /// A connection ended within a request head: refused by the parser, too slow, or abandoned.
    fn head_failed(&self);
    fn request_began(&self);
    fn request_ended(&self);
    fn stream_opened(&self, kind: Stream);
    fn stream_closed(&self, kind: Stream);
    /// We ended one: `reason` is the name of a code, or `drain`.
    fn stream_cut(&self, reason: &'static str);
    fn upstream_ejected(&self, upstream: &str);
}

/// Long-lived exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    WebSocket,
    /// Server-sent events.
    Sse,
    Grpc,
    /// Any other answer or upload that goes on for longer than most.
    Http,
}
