//! Buckets of one process.

use crate::domain::limit::bucket::{micros, Micros, Taken};
use crate::domain::limit::lease::Told;
use crate::domain::limit::{Bucket, BucketId};
use crate::ports::limits::{Ask, Buckets};
use crate::ports::store::StoreError;
use crate::store::Clock;
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Buckets that are not full, in shards.
const MOST: usize = 1 << 18;
const SHARDS: usize = 64;
/// Between two searches for buckets that have become full.
const SWEEP_EVERY: Micros = 100_000;

/// Buckets that no other process shares: a token bucket for each key, forgotten once it is full.
pub struct MemoryBuckets {
    clock: Clock,
    shards: Box<[Mutex<Shard>]>,
    room: usize,
}

#[derive(Default)]
struct Shard {
    full_at: HashMap<BucketId, Micros>,
    swept: Micros,
}

impl MemoryBuckets {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self::with_room(clock, MOST / SHARDS)
    }

    fn with_room(clock: Clock, room: usize) -> Self {
        Self { clock, shards: (0..SHARDS).map(|_| Mutex::default()).collect(), room }
    }

    /// From each of a group, or from none.
    fn take_all(&self, group: &[Ask]) -> Vec<Option<Told>> {
        let mut taken: Vec<_> = group.iter().map(|ask| self.take(ask)).collect();
        let short = |(ask, taken): (&Ask, &Option<(BucketId, Told)>)| {
            taken.as_ref().is_some_and(|(_, told)| told.granted < ask.least)
        };
        if group.len() > 1 && group.iter().zip(&taken).any(short) {
            for (ask, (id, told)) in
                group.iter().zip(&mut taken).filter_map(|(ask, taken)| Some((ask, taken.as_mut()?)))
            {
                self.give_back(*id, ask.bucket, told);
            }
        }
        taken.into_iter().map(|taken| taken.map(|(_, told)| told)).collect()
    }

    /// Whoever asked meanwhile found less than there was, and never more.
    fn give_back(&self, id: BucketId, bucket: Bucket, told: &mut Told) {
        let span = bucket.interval.saturating_mul(u64::from(told.granted));
        if let Some(full_at) = self.shard(id).map(Mutex::lock).as_mut().and_then(|shard| shard.full_at.get_mut(&id)) {
            *full_at = full_at.saturating_sub(span);
        }
        *told = Told {
            granted: 0,
            remaining: told.remaining.saturating_add(told.granted),
            reset: told.reset.saturating_sub(span),
            ..*told
        };
    }

    /// With the bucket it was taken from.
    fn take(&self, ask: &Ask) -> Option<(BucketId, Told)> {
        let now = self.now();
        let mut shard = self.shard(ask.id)?.lock();
        let id = if shard.has_room(ask.id, self.room, now) { ask.id } else { crowd(ask.bucket) };
        let known = shard.full_at.get(&id).copied().unwrap_or(0);
        let taken = ask.bucket.take(known.max(now.saturating_add(ask.ahead)), now, (ask.want, ask.least));
        if taken.granted > 0 || ask.ahead > 0 {
            shard.full_at.insert(id, taken.tat);
        }
        let reset = taken.tat.saturating_sub(now);
        let Taken { granted, remaining, retry, .. } = taken;
        Some((id, Told { granted, remaining, reset, retry, least: ask.least }))
    }

    fn shard(&self, id: BucketId) -> Option<&Mutex<Shard>> {
        let [first, ..] = id.0;
        self.shards.get(usize::from(first) % SHARDS)
    }

    fn now(&self) -> Micros {
        micros(Duration::from_millis(self.clock.now().0))
    }
}

/// Callers for whom there is no room share one bucket for each shape of limit. They may be refused for each other;
/// refusing all of them, or none, would be worse, and nobody who is known already suffers.
fn crowd(Bucket { interval, burst }: Bucket) -> BucketId {
    BucketId((u128::from(interval) << 64 | u128::from(burst) << 32 | u128::from(u32::MAX)).to_be_bytes())
}

impl Shard {
    fn has_room(&mut self, id: BucketId, room: usize, now: Micros) -> bool {
        if self.full_at.len() < room || self.full_at.contains_key(&id) {
            return true;
        }
        if now >= self.swept.saturating_add(SWEEP_EVERY) {
            self.swept = now;
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        self.full_at.len() < room
    }
}

#[async_trait]
impl Buckets for MemoryBuckets {
    async fn reserve(&self, asks: &[Ask]) -> Result<Vec<Option<Told>>, StoreError> {
        let groups = asks.chunk_by(|one, next| one.group.holds(next.group));
        Ok(groups.flat_map(|group| self.take_all(group)).collect())
    }

    async fn refill(&self, id: BucketId) -> Result<bool, StoreError> {
        let now = self.now();
        let gone = self.shard(id).and_then(|shard| shard.lock().full_at.remove(&id));
        Ok(gone.is_some_and(|full_at| full_at > now))
    }
}

impl fmt::Debug for MemoryBuckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBuckets").field("room", &self.room).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::Bucket;
    use crate::domain::session::Millis;
    use crate::ports::limits::Group;

    #[tokio::test]
    async fn strangers_beyond_the_room_share_one_bucket_and_shut_out_nobody_known() {
        let buckets = MemoryBuckets::with_room(Clock::new(|| Millis(1_000_000)), 2);
        let bucket = Bucket { interval: 1_000_000, burst: 3 };
        let ask = |n: u8| Ask { id: BucketId([n; 16]), bucket, want: 1, least: 1, ahead: 0, group: Group::NONE };
        // of one shard, all of them
        let ids = [0, 64, 128, 192];
        let mut granted = [0; 4];
        for _ in 0..4 {
            for (count, id) in granted.iter_mut().zip(ids) {
                *count += buckets.reserve(&[ask(id)]).await.unwrap()[0].unwrap().granted;
            }
        }
        assert_eq!(granted[..2], [3, 3], "whoever was there first has a bucket");
        assert_eq!(granted[2] + granted[3], 3, "the others have one together");
        let wide = Bucket { interval: 10_000_000, burst: 500 };
        let told = buckets.reserve(&[Ask { bucket: wide, ..ask(192) }]).await.unwrap()[0].unwrap();
        assert_eq!((told.granted, told.remaining), (1, 499), "but those of another limit have another");
        let after = buckets.reserve(&[ask(128)]).await.unwrap()[0].unwrap();
        assert_eq!(after.reset, 3_000_000, "whose shape is not theirs");
    }
}
