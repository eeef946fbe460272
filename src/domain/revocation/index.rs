//! Everything a replica knows to be revoked, in a form that answers a request at once.
//!
//! An index is a value. Marks lie in 256 shards behind shared pointers, so that a changed copy costs the pointers and
//! the shards that changed: with 100 000 entries a new revocation copies some 400 of them, and readers go on with the
//! old value meanwhile, without a lock. A question costs one look-up for each name the credential bears whose kind
//! occurs at all.

use super::position::Position;
use super::record::{Kind, Reason, Record};
use super::subject::Subject;
use super::target::Id;
use crate::domain::time::UnixTime;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

const SHARDS: u64 = 256;
/// Clocks differ, and leeway lets a token live on: an entry outlives what it hits by this much.
const MARGIN: Duration = Duration::from_secs(60);

/// The union of all records seen.
#[derive(Clone, Debug)]
pub struct Index {
    hasher: FixedState,
    shards: Vec<Arc<Shard>>,
    blocks: Arc<HashMap<Id, Block>>,
    /// A bit for each kind there may be a mark of: most kinds have none most of the time, and cost no look-up.
    kinds: u16,
}

type Shard = HashMap<Id, Mark, FixedState>;

/// Where a record was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    At(Position),
    /// Not in the log yet: the store is away. It counts from the moment it was made, which is all there is to go by.
    Waiting,
}

/// What a credential was hit by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub kind: Kind,
    pub reason: Reason,
}

/// All marks on one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    kind: Kind,
    latest: Latest,
    /// When the newest record was made that is not in the log yet, in Unix milliseconds; 0: all of them are.
    waiting: u64,
    expires: UnixTime,
}

/// The mark that cuts off most, and its story. Ordered by what it cuts off first, so that the union of two indices does
/// not depend on their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Latest {
    cut: Position,
    made: u64,
    reason: Reason,
}

/// The last word about a user. Of two words spoken at the same moment the stricter one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    made: u64,
    blocked: bool,
    reason: Reason,
    /// The last place in the log where it stands; what comes near the end that is trimmed is appended again.
    place: Position,
}

impl Index {
    /// `seed` is drawn anew in every process: nobody outside can aim at one shard.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let hasher = FixedState::with_seed(seed);
        let shards = (0..SHARDS).map(|_| Arc::new(HashMap::with_hasher(hasher.clone()))).collect();
        Self { hasher, shards, blocks: Arc::default(), kinds: 0 }
    }

    /// Whether the credential is refused, and by what. `None` for one that nothing known here speaks against.
    #[must_use]
    pub fn check(&self, subject: &Subject) -> Option<Hit> {
        self.block_on(&subject.user).or_else(|| self.mark_on(subject))
    }

    /// The same but for blocks, which can be lifted: what is hit by this stays refused.
    #[must_use]
    pub fn mark_on(&self, subject: &Subject) -> Option<Hit> {
        let known = subject.marks.iter().filter(|(kind, _)| self.kinds & kind.bit() != 0);
        known.filter_map(|(_, id)| self.shard(*id)?.get(id)).find(|mark| mark.hits(subject)).map(Mark::hit)
    }

    /// Whether this user is blocked, for those who have no credential yet.
    #[must_use]
    pub fn is_blocked(&self, source: &str, subject: &str) -> bool {
        self.block_on(&[Id::of_user(Some(source), subject), Id::of_user(None, subject)]).is_some()
    }

    /// A block of one user and one of everybody with that `sub` are two voices in one matter: the last one counts.
    fn block_on(&self, user: &[Id; 2]) -> Option<Hit> {
        if self.blocks.is_empty() {
            return None;
        }
        let last = user.iter().filter_map(|id| self.blocks.get(id)).max()?;
        last.blocked.then_some(Hit { kind: Kind::Block, reason: last.reason })
    }

    /// Adds one record. `false` when that changed nothing.
    pub fn apply(&mut self, record: &Record, placed: Placed) -> bool {
        if record.kind.is_block() {
            self.apply_block(record, placed)
        } else {
            self.apply_mark(record, placed)
        }
    }

    fn apply_block(&mut self, record: &Record, placed: Placed) -> bool {
        let place = match placed {
            Placed::At(position) => position,
            Placed::Waiting => Position::ZERO,
        };
        let blocked = record.kind == Kind::Block;
        let block = Block { made: record.made, blocked, reason: record.reason, place };
        if self.blocks.get(&record.id).is_some_and(|known| *known >= block) {
            return false;
        }
        Arc::make_mut(&mut self.blocks).insert(record.id, block);
        true
    }

    fn apply_mark(&mut self, record: &Record, placed: Placed) -> bool {
        let known = self.shard(record.id).and_then(|shard| shard.get(&record.id)).copied();
        let mark = Mark::of(record, placed, known);
        if known == Some(mark) {
            return false;
        }
        self.kinds |= record.kind.bit();
        let slot = self.slot(record.id);
        if let Some(shard) = self.shards.get_mut(slot) {
            Arc::make_mut(shard).insert(record.id, mark);
        }
        true
    }

    /// Whether this very order is on the list already, from wherever: when it is heard of again that is no news.
    #[must_use]
    pub fn knows(&self, record: &Record) -> bool {
        if record.kind.is_block() {
            return self.last_word(record.id) == record.made && self.blocks.contains_key(&record.id);
        }
        let mark = self.shard(record.id).and_then(|shard| shard.get(&record.id));
        mark.is_some_and(|mark| mark.waiting == record.made || mark.latest.made == record.made)
    }

    /// Marks last for `longer` than was thought when they were made, because what they hit may.
    pub fn prolong(&mut self, longer: Duration) {
        for shard in self.shards.iter_mut().filter(|shard| !shard.is_empty()) {
            Arc::make_mut(shard).values_mut().for_each(|mark| mark.expires = mark.expires.plus(longer));
        }
    }

    /// Drops the marks that nothing alive can be hit by. Blocks stay.
    pub fn sweep(&mut self, now: UnixTime) {
        let over = |mark: &Mark| mark.expires.plus(MARGIN) < now;
        let mut kinds = 0;
        for shard in &mut self.shards {
            if shard.values().any(over) {
                Arc::make_mut(shard).retain(|_, mark| !over(mark));
            }
            kinds = shard.values().fold(kinds, |kinds, mark| kinds | mark.kind.bit());
        }
        self.kinds = kinds;
    }

    /// Everything that is or was in the log, each record with its original place; what waits to be delivered is not
    /// among it.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let logged = |mark: &Mark| mark.latest.cut > Position::ZERO;
        let marks = self.shards.iter().flat_map(|shard| shard.iter());
        let marks = marks.filter(move |(_, mark)| logged(mark)).map(|(id, mark)| mark.record(*id));
        marks.chain(self.blocks.iter().map(|(id, block)| block.record(*id)))
    }

    /// What was made here and is not in the log yet.
    pub fn waiting(&self) -> impl Iterator<Item = Record> + '_ {
        let marks = self.shards.iter().flat_map(|shard| shard.iter()).filter(|(_, mark)| mark.waiting > 0);
        let marks = marks.map(|(id, mark)| Record { made: mark.waiting, cut: mark.time(), ..mark.record(*id) });
        let blocks = self.blocks.iter().filter(|(_, block)| block.place == Position::ZERO);
        marks.chain(blocks.map(|(id, block)| block.record(*id)))
    }

    /// What `store` does not know or knows less strictly: what has to be appended again after it lost its memory.
    #[must_use]
    pub fn beyond(&self, store: &Self, now: UnixTime) -> Vec<Record> {
        let alive = |record: &Record| record.kind.is_block() || record.expires >= now;
        self.records().filter(alive).filter(|record| !store.covers(record)).collect()
    }

    fn covers(&self, record: &Record) -> bool {
        if record.kind.is_block() {
            let blocked = record.kind == Kind::Block;
            return self.blocks.get(&record.id).is_some_and(|b| (b.made, b.blocked) >= (record.made, blocked));
        }
        let mark = self.shard(record.id).and_then(|shard| shard.get(&record.id));
        mark.is_some_and(|mark| Some(mark.latest.cut) >= record.cut && mark.expires >= record.expires)
    }

    /// The last word about users whose place in the log is before `position`, and would be trimmed away next.
    pub fn blocks_before(&self, position: Position) -> impl Iterator<Item = Record> + '_ {
        let placed = move |block: &Block| block.place > Position::ZERO && block.place < position;
        self.blocks.iter().filter(move |(_, block)| placed(block)).map(|(id, block)| block.record(*id))
    }

    /// When the last word about this user was made, so that the next one can be put behind it.
    #[must_use]
    pub fn last_word(&self, id: Id) -> u64 {
        self.blocks.get(&id).map_or(0, |block| block.made)
    }

    #[must_use]
    pub fn entries(&self) -> usize {
        self.blocks.len() + self.shards.iter().map(|shard| shard.len()).sum::<usize>()
    }

    /// Entries that this value does not share with an earlier one.
    #[cfg(test)]
    pub(super) fn copied_since(&self, earlier: &Self) -> usize {
        let shards = self.shards.iter().zip(&earlier.shards);
        shards.filter(|(now, then)| !Arc::ptr_eq(now, then)).map(|(now, _)| now.len()).sum()
    }

    fn shard(&self, id: Id) -> Option<&Shard> {
        self.shards.get(self.slot(id)).map(Arc::as_ref)
    }

    fn slot(&self, id: Id) -> usize {
        // the upper bits: the maps within use the lower ones
        usize::try_from((self.hasher.hash_one(id) >> 40) % SHARDS).unwrap_or_default()
    }
}

impl Mark {
    /// `known` and the record together.
    fn of(record: &Record, placed: Placed, known: Option<Self>) -> Self {
        let cut = match (placed, record.kind) {
            (Placed::At(position), _) => record.cut.unwrap_or(position),
            (Placed::Waiting, Kind::IssuedBefore) => record.cut.unwrap_or_default(),
            (Placed::Waiting, _) => Position::ZERO,
        };
        let latest = Latest { cut, made: record.made, reason: record.reason };
        let known = known.unwrap_or(Self { kind: record.kind, latest, waiting: 0, expires: record.expires });
        let waiting = match placed {
            Placed::Waiting => known.waiting.max(record.made),
            // only its own delivery ends the waiting: another record of this user may stand before it in the log
            Placed::At(_) if known.waiting == record.made => 0,
            Placed::At(_) => known.waiting,
        };
        Self { latest: known.latest.max(latest), waiting, expires: known.expires.max(record.expires), ..known }
    }

    fn hits(&self, subject: &Subject) -> bool {
        match self.kind {
            Kind::Jti | Kind::Session | Kind::Family | Kind::SigningKey => true,
            Kind::User | Kind::Client => self.younger_than(subject),
            Kind::IssuedBefore => {
                subject.issued_at.is_none_or(|issued| issued.0.saturating_mul(1000) < self.latest.cut.ms)
            }
            Kind::Block | Kind::Unblock => false,
        }
    }

    /// Our own tokens say where the log stood when they were minted. Others say a second; what was issued within the
    /// second of the revocation counts as before it.
    fn younger_than(&self, subject: &Subject) -> bool {
        let by = |ms: u64| subject.issued_at.is_none_or(|issued| issued.0 <= ms / 1000);
        let waiting = self.waiting > 0 && by(self.waiting);
        let logged = match subject.position {
            Some(position) => position < self.latest.cut,
            None => self.latest.cut > Position::ZERO && by(self.latest.cut.ms),
        };
        waiting || logged
    }

    /// The time of an "issued before", which is part of what it says and not a place in the log.
    fn time(&self) -> Option<Position> {
        (self.kind == Kind::IssuedBefore).then_some(self.latest.cut)
    }

    fn hit(&self) -> Hit {
        Hit { kind: self.kind, reason: self.latest.reason }
    }

    fn record(&self, id: Id) -> Record {
        let Latest { cut, made, reason } = self.latest;
        Record { kind: self.kind, reason, id, made, cut: Some(cut), expires: self.expires }
    }
}

impl Block {
    fn record(&self, id: Id) -> Record {
        let kind = if self.blocked { Kind::Block } else { Kind::Unblock };
        Record { kind, reason: self.reason, id, made: self.made, cut: None, expires: Record::NEVER }
    }
}
