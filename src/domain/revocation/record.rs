//! Records: what the log holds, byte for byte.

use super::position::Position;
use super::target::{Id, Target};
use crate::domain::time::UnixTime;

/// One revocation, as replicas tell each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    pub reason: Reason,
    pub id: Id,
    /// Unix milliseconds at its maker. Orders blocks of one user: the maker puts each behind those it knows, and being
    /// under the MAC it cannot be moved by replaying an old "unblock" at the end of the log.
    pub made: u64,
    /// What it cuts off, when that is not its own place in the log: the original place of a record that was appended
    /// again, or the time of an "issued before".
    pub cut: Option<Position>,
    /// From here on nothing it could hit is alive. Means nothing for blocks.
    pub expires: UnixTime,
}

/// What a record is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Jti,
    Session,
    User,
    Family,
    Client,
    SigningKey,
    IssuedBefore,
    Block,
    Unblock,
}

/// Why, in words fit for an audit log and for the close of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Also a reason that a newer replica knows and we do not.
    #[default]
    Unstated,
    SignedOut,
    /// The session gave way to a newer one.
    Limit,
    /// A renewal token was used twice.
    Reuse,
    /// The provider ended the session.
    Provider,
    /// An operator did.
    Operator,
    Compromised,
    Idle,
}

/// Bytes of a record without its MAC.
pub(super) const LENGTH: usize = 52;
/// A second version would have another number here and another length.
const VERSION: u8 = 1;
const CUT: u8 = 1;

/// How far a moment may be off that a replica noted on its own while it could not ask the log, in milliseconds.
const NOTED_ALONE: u64 = 2000;

impl Record {
    pub(super) const NEVER: UnixTime = UnixTime(u64::MAX);

    /// A record for `target`, made at `made` (Unix milliseconds).
    #[must_use]
    pub fn new(target: &Target, reason: Reason, made: u64, expires: UnixTime) -> Self {
        let cut = match target {
            Target::IssuedBefore { time, .. } => Some(Position::new(time.0.saturating_mul(1000), 0)),
            _ => None,
        };
        let kind = target.kind();
        let expires = if kind.is_block() { Self::NEVER } else { expires };
        Self { kind, reason, id: target.id(), made, cut, expires }
    }

    /// The same, for a log in which it is late by now, `log_ms`. A mark on a user or a client hits what was minted before
    /// it was made, and not everything before its place: whoever signed in meanwhile did so after it.
    ///
    /// One that is hardly late counts from its place. A cut beyond that would hit what is minted right behind it.
    #[must_use]
    pub fn delivered_at(self, log_ms: u64) -> Self {
        let cut = self.made.saturating_add(NOTED_ALONE);
        let by_place = matches!(self.kind, Kind::User | Kind::Client) && self.cut.is_none();
        let late = cut.saturating_add(NOTED_ALONE) < log_ms;
        Self { cut: if by_place && late { Some(Position::new(cut, 0)) } else { self.cut }, ..self }
    }

    pub(super) fn write(&self) -> [u8; LENGTH] {
        let cut = self.cut.unwrap_or_default();
        let head = [VERSION, self.kind.code(), self.reason.code(), if self.cut.is_some() { CUT } else { 0 }];
        let numbers = [self.made, cut.ms, cut.seq, self.expires.0];
        let bytes = head.into_iter().chain(self.id.0).chain(numbers.into_iter().flat_map(u64::to_be_bytes));
        let mut written = [0; LENGTH];
        written.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        written
    }

    /// `None`: of another version, or of a kind we do not know.
    pub(super) fn read(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        let (made, rest) = rest.split_first_chunk::<8>()?;
        let (ms, rest) = rest.split_first_chunk::<8>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let expires = rest.first_chunk::<8>()?;
        let [VERSION, kind, reason, flags] = *head else {
            return None;
        };
        let kind = Kind::ALL.into_iter().find(|known| known.code() == kind)?;
        let reason = Reason::ALL.into_iter().find(|known| known.code() == reason).unwrap_or_default();
        let cut = Position::new(u64::from_be_bytes(*ms), u64::from_be_bytes(*seq));
        let cut = (flags & CUT != 0).then_some(cut);
        if kind == Kind::IssuedBefore && cut.is_none() {
            return None;
        }
        let made = u64::from_be_bytes(*made);
        Some(Self { kind, reason, id: Id(*id), made, cut, expires: UnixTime(u64::from_be_bytes(*expires)) })
    }
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Jti,
        Self::Session,
        Self::User,
        Self::Family,
        Self::Client,
        Self::SigningKey,
        Self::IssuedBefore,
        Self::Block,
        Self::Unblock,
    ];

    /// As metrics and the admin API write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Session => "session",
            Self::User => "user",
            Self::Family => "family",
            Self::Client => "client",
            Self::SigningKey => "signing_key",
            Self::IssuedBefore => "issued_before",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }

    /// Blocks and their ends never expire.
    #[must_use]
    pub fn is_block(self) -> bool {
        matches!(self, Self::Block | Self::Unblock)
    }

    /// Whether what it cuts off is said by its place in the log; an "issued before" says a time of its own.
    #[must_use]
    pub fn has_place(self) -> bool {
        self != Self::IssuedBefore && !self.is_block()
    }

    /// What hits a great part of all credentials at once: everything of a source, or under a key.
    #[must_use]
    pub fn is_wide(self) -> bool {
        matches!(self, Self::IssuedBefore | Self::SigningKey)
    }

    /// Written in the log of every installation: never renumber.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Jti => 1,
            Self::Session => 2,
            Self::User => 3,
            Self::Family => 4,
            Self::Client => 5,
            Self::SigningKey => 6,
            Self::IssuedBefore => 7,
            Self::Block => 8,
            Self::Unblock => 9,
        }
    }

    /// One bit for each kind.
    pub(super) fn bit(self) -> u16 {
        1 << self.code()
    }
}

impl Reason {
    pub const ALL: [Self; 8] = [
        Self::Unstated,
        Self::SignedOut,
        Self::Limit,
        Self::Reuse,
        Self::Provider,
        Self::Operator,
        Self::Compromised,
        Self::Idle,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unstated => "unstated",
            Self::SignedOut => "signed_out",
            Self::Limit => "limit",
            Self::Reuse => "reuse",
            Self::Provider => "provider",
            Self::Operator => "operator",
            Self::Compromised => "compromised",
            Self::Idle => "idle",
        }
    }

    /// Written in the log of every installation: never renumber.
    fn code(self) -> u8 {
        match self {
            Self::Unstated => 0,
            Self::SignedOut => 1,
            Self::Limit => 2,
            Self::Reuse => 3,
            Self::Provider => 4,
            Self::Operator => 5,
            Self::Compromised => 6,
            Self::Idle => 7,
        }
    }
}
