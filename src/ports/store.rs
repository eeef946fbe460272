//! What replicas share. Every answer of a store has three outcomes: yes, no, and "cannot tell", which is
//! [`StoreError`] and never turns into one of the other two.

use async_trait::async_trait;
use std::fmt::Debug;

/// The store did not answer, or not in a way we understand. In words for an operator's log, without any secret.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the store cannot be asked: {0}")]
pub struct StoreError(pub String);

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

/// One version of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub version: u64,
    pub bytes: Vec<u8>,
}
