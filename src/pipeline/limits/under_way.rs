//! Requests under way at once: counted in, and counted out when whatever holds the count is dropped, on every path.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;

/// One request that is under way.
#[derive(Debug)]
pub struct UnderWay(Arc<AtomicU32>);

impl UnderWay {
    /// `None`: there are `most` already.
    pub(super) fn begin(count: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let more = |count: u32| (count < most).then(|| count.saturating_add(1));
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(Arc::clone(count)))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_makes_room() {
        let count = Arc::default();
        let first = UnderWay::begin(&count, 2);
        let second = UnderWay::begin(&count, 2);
        assert!(first.is_some() && second.is_some());
        assert!(UnderWay::begin(&count, 2).is_none());
        drop(first);
        assert!(UnderWay::begin(&count, 2).is_some());
        assert_eq!(count.load(Ordering::Relaxed), 1, "and what was not kept is gone");
    }
}
