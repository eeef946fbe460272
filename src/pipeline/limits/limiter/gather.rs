//! Several questions of one request, in one call: the store takes from all of these buckets or from none.

use super::queue::{Asked, Reply};
use super::{asked, Limiter, Spend, Verdict, PATIENCE};
use crate::domain::limit::fields::Standing;
use crate::domain::limit::lease::{Step, Told};
use crate::ports::limits::Group;
use std::sync::atomic::Ordering;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};

/// What spending would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Foreseen {
    Refused(Standing),
    /// The store has to be asked.
    Unknown,
    Passes,
}

enum Answer {
    /// In memory, for whoever spends first.
    Shared(watch::Receiver<()>),
    /// To this request alone.
    Exact(oneshot::Receiver<Option<Told>>),
}

impl Limiter {
    /// What spending would come to, and nothing is spent. While the store is away each limit is for itself: what a share
    /// holds is known when it is spent.
    pub(in super::super) fn foresee(&self, spend: Spend<'_>) -> Foreseen {
        if self.is_alone() {
            return Foreseen::Passes;
        }
        let now = self.now();
        let Some(page) = self.book.find(spend.key) else { return Foreseen::Unknown };
        let entry = page.entry();
        let reserved = !spend.limit.exact && entry.lease.holds(spend.cost, now);
        if reserved || entry.is_missed(now) {
            return Foreseen::Passes;
        }
        match entry.lease.recall(spend.cost, now) {
            Step::Refused(standing) => Foreseen::Refused(standing),
            Step::Granted(_) | Step::Ask => Foreseen::Unknown,
        }
    }

    /// Asks about those that are not in memory in one call, and waits for what it says: whoever spends next finds it there.
    /// A verdict is given where it is for this request alone. Shadows turn nobody away, and so hold nobody back.
    pub(in super::super) async fn gather(self: &Arc<Self>, spends: &[Spend<'_>]) -> Vec<Option<Verdict>> {
        let group = Group(self.groups.fetch_add(1, Ordering::Relaxed).max(1));
        let (mut asking, mut answers) = (Vec::new(), Vec::with_capacity(spends.len()));
        for spend in spends {
            let (question, answer) = self.question(*spend).unzip();
            let group = if spend.limit.shadow { Group::NONE } else { group };
            asking.extend(question.map(|question| Asked { group, ..question }));
            answers.push(answer);
        }
        asking.sort_by_key(|asked| asked.group == Group::NONE);
        // without room all answers end at once, and each is asked for by itself
        let _ = self.enqueue(asking, None);
        let mut verdicts = Vec::with_capacity(spends.len());
        for (spend, answer) in spends.iter().zip(answers) {
            verdicts.push(match answer {
                Some(answer) => heard(answer, spend.cost).await,
                None => None,
            });
        }
        verdicts
    }

    /// What has to be asked, if anything has.
    fn question(&self, spend: Spend<'_>) -> Option<(Asked, Answer)> {
        if spend.limit.exact {
            if self.foresee(spend) != Foreseen::Unknown {
                return None;
            }
            let (tell, told) = oneshot::channel();
            let page = self.book.open(spend.key, self.now());
            return Some((asked(spend, page.as_ref(), Reply::Exact(tell)), Answer::Exact(told)));
        }
        if self.is_alone() {
            return None;
        }
        let now = self.now();
        let page = self.book.open(spend.key, now)?;
        let mut entry = page.entry();
        if !entry.asks(spend.cost, now) {
            return None;
        }
        let (tell, told) = watch::channel(());
        entry.question = Some(told.clone());
        Some((asked(spend, Some(&page), Reply::Shared(tell)), Answer::Shared(told)))
    }
}

async fn heard(answer: Answer, cost: u32) -> Option<Verdict> {
    match answer {
        Answer::Shared(mut told) => {
            let _ = tokio::time::timeout(PATIENCE, told.changed()).await;
            None
        }
        Answer::Exact(told) => match tokio::time::timeout(PATIENCE, told).await.ok()?.ok()?? {
            told if told.granted >= cost => Some(granted(&told)),
            // it would have been granted, but for another one
            told if told.retry == 0 => None,
            told => Some(refused(&told)),
        },
    }
}

pub(super) fn granted(told: &Told) -> Verdict {
    Verdict::Granted(Standing { remaining: told.remaining, until: told.reset })
}

pub(super) fn refused(told: &Told) -> Verdict {
    Verdict::Refused(Standing { remaining: 0, until: told.retry })
}
