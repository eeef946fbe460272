//! Sealed records: whoever can write to the store still cannot make up a revocation, lift a block or turn one target
//! into another.

use super::record::{Record, LENGTH};
use crate::domain::secret::Secret;
use aws_lc_rs::hmac::{sign, Key, Tag, HMAC_SHA256};
use std::fmt;
use subtle::ConstantTimeEq;

const MAC: usize = 16;

/// A record and its MAC: the first 16 bytes of HMAC-SHA-256. Not tied to a place in the log, since a record that a log
/// lost is appended again; a genuine record moved or repeated by somebody else refuses too much, never too little.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    record: [u8; LENGTH],
    mac: [u8; MAC],
}

/// The keys of the log, which replicas share: the first seals, all of them open.
pub struct RecordKeys(Vec<Key>);

impl RecordKeys {
    #[must_use]
    pub fn new(ring: &[Secret]) -> Self {
        Self(ring.iter().map(|secret| Key::new(HMAC_SHA256, secret.expose())).collect())
    }

    /// `None` when there is no key at all.
    #[must_use]
    pub fn seal(&self, record: &Record) -> Option<Sealed> {
        let record = record.write();
        let tag = sign(self.0.first()?, &record);
        Some(Sealed { record, mac: *tag.as_ref().first_chunk()? })
    }

    /// `None`: not ours, or of a version or kind that this build does not know.
    #[must_use]
    pub fn open(&self, sealed: &Sealed) -> Option<Record> {
        let ours = |tag: &Tag| tag.as_ref().get(..MAC).is_some_and(|mac| mac.ct_eq(&sealed.mac).into());
        let genuine = self.0.iter().any(|key| ours(&sign(key, &sealed.record)));
        if genuine {
            Record::read(&sealed.record)
        } else {
            None
        }
    }

    /// The whole tag over `bytes`, by the key that seals.
    pub(super) fn stamp(&self, bytes: &[u8]) -> Option<Tag> {
        Some(sign(self.0.first()?, bytes))
    }

    pub(super) fn stamped(&self, bytes: &[u8], tag: &[u8]) -> bool {
        self.0.iter().any(|key| sign(key, bytes).as_ref().ct_eq(tag).into())
    }
}

impl Sealed {
    pub const LENGTH: usize = LENGTH + MAC;

    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes.iter_mut().zip(self.record.into_iter().chain(self.mac)).for_each(|(to, from)| *to = from);
        bytes
    }

    /// `None` for any other length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (record, mac) = bytes.split_first_chunk::<LENGTH>()?;
        Some(Self { record: *record, mac: mac.try_into().ok()? })
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl fmt::Debug for RecordKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKeys({})", self.0.len())
    }
}
