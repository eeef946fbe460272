//! Questions on their way to the store: many travel together, those of one request side by side, those that somebody waits
//! for before all others, and there is an end to how many there are.

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
    /// Somebody waits for them, or did.
    awaited: VecDeque<Asked>,
    /// Nobody waited for these when they came, and until when each can wait. They take what room a call has left.
    ahead: Vec<(Micros, Asked)>,
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
    /// All of them, or none where there is no room. They can wait until `at`, or not at all.
    pub(super) fn push(&mut self, asked: Vec<Asked>, at: Option<Micros>) -> Result<(), Full> {
        let Some(room) = MOST_WAITING.checked_sub(self.awaited.len().saturating_add(asked.len())) else {
            return Err(Full);
        };
        match at {
            None => {
                // nobody misses what nobody waits for
                self.ahead.truncate(room);
                self.awaited.extend(asked);
            }
            Some(_) if self.ahead.len() > room => return Err(Full),
            Some(at) => self.ahead.extend(asked.into_iter().map(|asked| (at, asked))),
        }
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

    /// Whether a further call has to take what could wait.
    pub(super) fn can_be_hurried(&mut self) -> bool {
        !self.ahead.is_empty() && self.needs_a_lane(None)
    }

    /// The call that gathered until `at` goes now.
    pub(super) fn gathered(&mut self, at: Micros) {
        if let Some(its) = self.gathering.iter().position(|goes| *goes == at) {
            self.gathering.swap_remove(its);
        }
    }

    /// What one call asks at `now`. `None`: there is nothing to ask, and this lane has ended.
    pub(super) fn batch(&mut self, now: Micros) -> Option<Vec<Asked>> {
        // behind all that are awaited already, and before all that will be: so nothing waits for ever
        let urgent = self.ahead.extract_if(.., |(at, asked)| *at <= now || asked.reply.waiting() > 0);
        self.awaited.extend(urgent.map(|(_, asked)| asked));
        let mut batch: Vec<Asked> = Vec::new();
        while let Some(next) = self.awaited.front() {
            let together = batch.last().is_some_and(|last| last.group.holds(next.group));
            if batch.len() >= TOGETHER && !together {
                break;
            }
            batch.extend(self.awaited.pop_front().filter(|asked| asked.reply.is_wanted()));
        }
        let room = TOGETHER.saturating_sub(batch.len()).min(self.ahead.len());
        batch.extend(self.ahead.drain(..room).map(|(_, asked)| asked));
        if batch.is_empty() {
            self.lanes = self.lanes.saturating_sub(1);
            return None;
        }
        Some(batch)
    }
}

impl Reply {
    /// How many wait for it by now.
    pub(super) fn waiting(&self) -> usize {
        match self {
            // the page holds one of them
            Self::Shared(tell) => tell.receiver_count().saturating_sub(1),
            Self::Exact(tell) => usize::from(!tell.is_closed()),
        }
    }

    /// Whoever asked for themselves alone may have gone. What is shared is kept for the next.
    fn is_wanted(&self) -> bool {
        matches!(self, Self::Shared(_)) || self.waiting() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The group of a question that can wait.
    const LATER: u32 = 9;

    fn asked(group: u32) -> Asked {
        let bucket = Bucket { interval: 1, burst: 1 };
        let reply = Reply::Shared(watch::channel(()).0);
        Asked { id: BucketId([0; 16]), limit: bucket, page: None, least: 1, group: Group(group), reply }
    }

    /// What one call asks.
    fn groups(queue: &mut Queue, now: Micros) -> Vec<u32> {
        queue.batch(now).into_iter().flatten().map(|asked| asked.group.0).collect()
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
        assert!(queue.batch(120).is_none(), "it has come back");
        assert!(queue.needs_a_lane(Some(135)), "and the other one gathers for too long");
    }

    #[test]
    fn who_waits_is_not_held_up_by_those_that_gather() {
        let mut queue = Queue::default();
        assert_eq!([9, 8, 7, 6, 5].map(|at| queue.needs_a_lane(Some(at))), [true, true, true, true, false]);
        assert!(!queue.can_be_hurried(), "there is nothing to ask");
        queue.push(vec![asked(0)], Some(9)).unwrap();
        assert!(queue.can_be_hurried());
        assert_eq!([(); 4].map(|()| queue.needs_a_lane(None)), [true, true, true, false]);
        assert!(!queue.can_be_hurried(), "all that can be asked at once is");
    }

    #[test]
    fn what_belongs_together_is_asked_in_one_call() {
        let mut queue = Queue::default();
        queue.push((0..127).map(|_| asked(0)).chain([asked(7), asked(7), asked(7), asked(0)]).collect(), None).unwrap();
        assert_eq!([(); 2].map(|()| groups(&mut queue, 0).len()), [130, 1]);
    }

    #[test]
    fn what_somebody_waits_for_goes_first_and_what_can_wait_takes_the_room_that_is_left() {
        let mut queue = Queue::default();
        queue.push((0..200).map(|_| asked(0)).collect(), Some(100)).unwrap();
        queue.push(vec![asked(7), asked(7)], None).unwrap();
        let first = groups(&mut queue, 0);
        assert_eq!((first.len(), &first[..3]), (128, &[7, 7, 0][..]));
        assert_eq!(groups(&mut queue, 0).len(), 74);
    }

    /// Whether a call asks about [`LATER`] though there is enough for it that somebody waits for.
    fn takes_later_from_a_crowd(queue: &mut Queue, now: Micros) -> bool {
        queue.push((0..128).map(|_| asked(0)).collect(), None).unwrap();
        groups(queue, now).contains(&LATER)
    }

    #[test]
    fn what_can_wait_is_asked_when_its_time_has_come_however_many_are_in_a_hurry() {
        let mut queue = Queue::default();
        queue.push(vec![asked(LATER)], Some(20)).unwrap();
        assert!(!(0..20).any(|now| takes_later_from_a_crowd(&mut queue, now)));
        assert_eq!([20, 20].map(|now| takes_later_from_a_crowd(&mut queue, now)), [false, true]);
    }

    #[test]
    fn what_could_wait_cannot_once_somebody_waits_for_it() {
        let mut queue = Queue::default();
        let (tell, on_the_page) = watch::channel(());
        queue.push(vec![Asked { reply: Reply::Shared(tell), ..asked(LATER) }], Some(20)).unwrap();
        assert!(!takes_later_from_a_crowd(&mut queue, 0));
        let somebody = on_the_page.clone();
        assert_eq!([0, 0].map(|now| takes_later_from_a_crowd(&mut queue, now)), [false, true]);
        drop((on_the_page, somebody));
    }

    #[test]
    fn what_can_wait_takes_room_like_all_others() {
        let mut queue = Queue::default();
        queue.push((1..MOST_WAITING).map(|_| asked(0)).collect(), Some(20)).unwrap();
        assert!(queue.push(vec![asked(0)], None).is_ok());
        assert!(queue.push(vec![asked(0)], Some(20)).is_err());
        assert!(queue.push((0..MOST_WAITING - 1).map(|_| asked(0)).collect(), None).is_ok(), "in the place of those");
        assert!(queue.push(vec![asked(0)], None).is_err());
    }
}
