//! What a replica keeps on its disk, so that a restart while the store is away does not make it forget.

use super::record::{Record, LENGTH};
use super::sealed::RecordKeys;
use crate::domain::time::UnixTime;

/// Everything that was known when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The last moment at which nothing was missing. A replica that has lost its log goes on keeping what it knows, and
    /// this stays where it was.
    pub as_of: UnixTime,
    /// In the log, as far as we know.
    pub logged: Vec<Record>,
    /// Made here and not delivered yet.
    pub waiting: Vec<Record>,
}

/// The snapshot is damaged, of another version or not ours; it says nothing about what is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the snapshot of revocations cannot be trusted")]
pub struct Spoilt;

const VERSION: &[u8; 8] = b"dwrv 1\r\n";
const TAG: usize = 32;

impl Snapshot {
    /// `None` without a key: a list that anybody may have written is worse than none.
    #[must_use]
    pub fn to_bytes(&self, keys: &RecordKeys) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(64 + (self.logged.len() + self.waiting.len()) * LENGTH);
        bytes.extend(VERSION);
        bytes.extend(self.as_of.0.to_be_bytes());
        bytes.extend((self.logged.len() as u64).to_be_bytes());
        self.logged.iter().chain(&self.waiting).for_each(|record| bytes.extend(record.write()));
        let tag = keys.stamp(&bytes)?;
        bytes.extend(tag.as_ref());
        Some(bytes)
    }

    /// # Errors
    /// [`Spoilt`]: not one bit of it may be believed.
    pub fn from_bytes(bytes: &[u8], keys: &RecordKeys) -> Result<Self, Spoilt> {
        let (body, tag) = bytes.split_last_chunk::<TAG>().ok_or(Spoilt)?;
        if !keys.stamped(body, tag) {
            return Err(Spoilt);
        }
        let body = body.strip_prefix(VERSION).ok_or(Spoilt)?;
        let (as_of, body) = body.split_first_chunk::<8>().ok_or(Spoilt)?;
        let (logged, body) = body.split_first_chunk::<8>().ok_or(Spoilt)?;
        let (records, rest) = body.as_chunks::<LENGTH>();
        let logged = usize::try_from(u64::from_be_bytes(*logged)).map_err(|_| Spoilt)?;
        let (logged, waiting) = records.split_at_checked(logged).filter(|_| rest.is_empty()).ok_or(Spoilt)?;
        // A record of a kind that only a newer build knows is left out. A shared log has it; of a memory store this was the
        // only copy, and whoever goes back to an older build loses it.
        let read = |records: &[[u8; LENGTH]]| records.iter().filter_map(Record::read).collect();
        Ok(Self { as_of: UnixTime(u64::from_be_bytes(*as_of)), logged: read(logged), waiting: read(waiting) })
    }
}
