//! Questions on their way to the store: many travel together, those of one request side by side, and there is an end to
//! how many wait.

use super::super::book::Page;
use crate::domain::limit::bucket::Micros;
use crate::domain::limit::lease::Told;
use crate::domain::limit::{Bucket, BucketId};
use crate::ports::limits::Group;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// Questions of one call; a group more, where one would be cut in two.
const TOGETHER: usize = 128;
/// Calls under way at the same time.
const LANES: usize = 4;
/// Questions that wait for one. More than a store answers before whoever asked has given up.
pub(super) const MOST_WAITING: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Asked>,
    /// Calls, those that gather questions yet among them.
    lanes: usize,
    /// When these go.
    gathering: Vec<Micros>,
}

/// A question on its way.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: BucketId,
    pub(super) limit: Bucket,
    /// Where the answer is written down, if there is room for it.
    pub(super) page: Option<Arc<Page>>,
    pub(super) least: u32,
    pub(super) group: Group,
    pub(super) reply: Reply,
}

#[derive(Debug)]
pub(super) enum Reply {
    /// To everybody who waits for this bucket.
    Shared(watch::Sender<()>),
    /// To one request, which gets exactly what it needs.
    Exact(oneshot::Sender<Option<Told>>),
}

/// The store is asked more than it can answer: that is as good as none.
#[derive(Debug)]
pub(super) struct Full;

impl Queue {
    /// All of them, or none where there is no room.
    pub(super) fn push(&mut self, asked: Vec<Asked>) -> Result<(), Full> {
        if self.waiting.len().saturating_add(asked.len()) > MOST_WAITING {
            return Err(Full);
        }
        self.waiting.extend(asked);
        Ok(())
    }

    /// Whether a further call has to take what was just pushed: at once, or no later than `at`. What can wait goes with
    /// whatever is under way, or goes soon enough. Those that gather are in nobody's way.
    pub(super) fn needs_a_lane(&mut self, at: Option<Micros>) -> bool {
        let under_way = self.lanes - self.gathering.len();
        let needed = match at {
            None => under_way < LANES,
            Some(at) => under_way == 0 && self.gathering.len() < LANES && self.gathering.iter().all(|goes| at < *goes),
        };
        if needed {
            self.lanes += 1;
            self.gathering.extend(at);
        }
        needed
    }

    /// Whether somebody waits for what could be asked now.
    pub(super) fn can_be_hurried(&mut self) -> bool {
        !self.gathering.is_empty() && !self.waiting.is_empty() && self.needs_a_lane(None)
    }

    /// The call that gathered until `at` goes now.
    pub(super) fn gathered(&mut self, at: Micros) {
        if let Some(its) = self.gathering.iter().position(|goes| *goes == at) {
            self.gathering.swap_remove(its);
        }
    }

    /// What one call asks. `None`: nobody waits for anything, and this lane has ended.
    pub(super) fn batch(&mut self) -> Option<Vec<Asked>> {
        let mut batch: Vec<Asked> = Vec::new();
        while let Some(next) = self.waiting.front() {
            let together = batch.last().is_some_and(|last| last.group.holds(next.group));
            if batch.len() >= TOGETHER && !together {
                break;
            }
            batch.extend(self.waiting.pop_front().filter(|asked| asked.reply.is_awaited()));
        }
        if batch.is_empty() {
            self.lanes = self.lanes.saturating_sub(1);
            return None;
        }
        Some(batch)
    }
}

impl Reply {
    /// Whoever asked for themselves alone may have gone. What is shared is kept for the next.
    fn is_awaited(&self) -> bool {
        match self {
            Self::Shared(_) => true,
            Self::Exact(tell) => !tell.is_closed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(group: u32) -> Asked {
        let bucket = Bucket { interval: 1, burst: 1 };
        let reply = Reply::Shared(watch::channel(()).0);
        Asked { id: BucketId([0; 16]), limit: bucket, page: None, least: 1, group: Group(group), reply }
    }

    #[test]
    fn what_can_wait_goes_with_what_goes_soon_enough() {
        let mut queue = Queue::default();
        assert!(queue.needs_a_lane(Some(150)), "the first gathers");
        assert!(!queue.needs_a_lane(Some(170)), "it will be gone by then");
        assert!(queue.needs_a_lane(Some(120)), "but not so soon");
        assert!(!queue.needs_a_lane(Some(125)));
        queue.gathered(120);
        assert!(!queue.needs_a_lane(Some(130)), "a call under way comes back for more");
        assert!(queue.batch().is_none(), "it has come back");
        assert!(queue.needs_a_lane(Some(135)), "and the other one gathers for too long");
    }

    #[test]
    fn who_waits_is_not_held_up_by_those_that_gather() {
        let mut queue = Queue::default();
        assert_eq!([9, 8, 7, 6, 5].map(|at| queue.needs_a_lane(Some(at))), [true, true, true, true, false]);
        assert!(!queue.can_be_hurried(), "there is nothing to ask");
        queue.push(vec![asked(0)]).unwrap();
        assert!(queue.can_be_hurried());
        assert_eq!([(); 4].map(|()| queue.needs_a_lane(None)), [true, true, true, false]);
        assert!(!queue.can_be_hurried(), "all that can be asked at once is");
    }

    #[test]
    fn what_belongs_together_is_asked_in_one_call() {
        let mut queue = Queue::default();
        queue.push((0..127).map(|_| asked(0)).chain([asked(7), asked(7), asked(7), asked(0)]).collect()).unwrap();
        let sizes = [queue.batch(), queue.batch()].map(|batch| batch.map_or(0, |batch| batch.len()));
        assert_eq!(sizes, [130, 1]);
    }
}
