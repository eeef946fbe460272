//! What a revocation is aimed at, and the name it goes by in the log.

use super::record::Kind;
use crate::domain::principal::SourceName;
use crate::domain::time::UnixTime;
use sha2::{Digest, Sha256};
use std::fmt;

/// What is to be refused from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One token, by its `jti`.
    Jti(String),
    /// One session, by its `sid`; it never comes back.
    Session(String),
    /// One session of an issuer, by the `sid` it gave: others may count from one as well.
    SessionOf(SourceName, String),
    /// Everything issued to a user so far. Signing in again helps.
    User(User),
    /// One line of renewal tokens, with all it minted; it never comes back.
    Family(String),
    /// Everything issued to a client or under an API key so far.
    Client(String),
    /// Everything signed by a key, whenever it says it was: whoever stole the key writes any date.
    SigningKey(String),
    /// Everything with an `iat` before `time`, of one source or of all. A fraction of a second is rounded up.
    IssuedBefore {
        source: Option<SourceName>,
        time: UnixTime,
    },
    /// A user, with whatever credential, until unblocked.
    Block(User),
    Unblock(User),
}

/// A user of one source; without a source, whoever has this `sub` anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub source: Option<SourceName>,
    pub subject: String,
}

/// The name of a target in the log: a hash, so that a store learns no user's name and every record has one length.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub(super) [u8; 16]);

impl Target {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Jti(_) => Kind::Jti,
            Self::Session(_) | Self::SessionOf(..) => Kind::Session,
            Self::User(_) => Kind::User,
            Self::Family(_) => Kind::Family,
            Self::Client(_) => Kind::Client,
            Self::SigningKey(_) => Kind::SigningKey,
            Self::IssuedBefore { .. } => Kind::IssuedBefore,
            Self::Block(_) => Kind::Block,
            Self::Unblock(_) => Kind::Unblock,
        }
    }

    #[must_use]
    pub fn id(&self) -> Id {
        match self {
            Self::Jti(value)
            | Self::Session(value)
            | Self::Family(value)
            | Self::Client(value)
            | Self::SigningKey(value) => Id::of(self.kind(), &[value]),
            Self::SessionOf(source, value) => Id::of(Kind::Session, &[source.as_str(), value]),
            Self::User(user) | Self::Block(user) | Self::Unblock(user) => user.id(),
            Self::IssuedBefore { source, .. } => Id::of_source(source.as_ref()),
        }
    }
}

impl User {
    #[must_use]
    pub fn of(source: &SourceName, subject: &str) -> Self {
        Self { source: Some(source.clone()), subject: subject.to_owned() }
    }

    #[must_use]
    pub fn anywhere(subject: &str) -> Self {
        Self { source: None, subject: subject.to_owned() }
    }

    pub(super) fn id(&self) -> Id {
        Id::of_user(self.source.as_ref().map(SourceName::as_str), &self.subject)
    }
}

impl Id {
    /// Sixteen bytes of SHA-256: two targets that share one would refuse an honest caller, never admit anybody.
    pub(super) fn of(kind: Kind, parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"doorward revocation 1");
        hash.update([kind.code()]);
        for part in parts {
            // the length first, so that no two lists of parts read the same
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// Marks and blocks of a user share the name; they are kept apart in the index.
    pub(super) fn of_user(source: Option<&str>, subject: &str) -> Self {
        match source {
            Some(source) => Self::of(Kind::User, &[source, subject]),
            None => Self::of(Kind::User, &[subject]),
        }
    }

    pub(super) fn of_source(source: Option<&SourceName>) -> Self {
        match source {
            Some(source) => Self::of(Kind::IssuedBefore, &[source.as_str()]),
            None => Self::of(Kind::IssuedBefore, &[]),
        }
    }
}

/// The name in full tells nothing that the log does not.
impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
