//! When to stop asking: a server that leaves questions unanswered is given up, so that nobody waits for it in vain.
//!
//! A refusal is an answer. It costs no waiting, and the next question may be one that the server can answer.

use parking_lot::Mutex;
use std::time::Duration;

/// Unanswered questions in a row that are enough. Those that were under way together count once: one hiccup of the
/// server leaves many of them.
const IN_A_ROW: u32 = 5;
/// A cluster has many servers, and one that died must not cost the others theirs.
const IN_A_ROW_OF_A_CLUSTER: u32 = 16;
/// Or more than half of those of the last seconds, of which this is the number…
const SECONDS: u64 = 10;
/// …if they were so many. Of fewer, half says little.
const ENOUGH: u32 = 20;

/// Counts what became of the questions on one connection.
#[derive(Debug)]
pub(super) struct Breaker {
    patience: u32,
    tally: Mutex<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    in_a_row: u32,
    /// When the last of them was given up.
    gave_up: Duration,
    /// Of the last [`SECONDS`].
    slots: [Slot; 10],
}

/// One second.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    second: u64,
    asked: u32,
    unanswered: u32,
}

impl Breaker {
    pub(super) fn for_one_server() -> Self {
        Self { patience: IN_A_ROW, tally: Mutex::default() }
    }

    pub(super) fn for_a_cluster() -> Self {
        Self { patience: IN_A_ROW_OF_A_CLUSTER, tally: Mutex::default() }
    }

    /// `now` is counted from when the connection was made, as in [`Self::unanswered`].
    pub(super) fn answered(&self, now: Duration) {
        let mut tally = self.tally.lock();
        tally.in_a_row = 0;
        tally.count(now, 0);
    }

    /// Whether a question that was `asked` then and given up now was one too many.
    pub(super) fn unanswered(&self, asked: Duration, now: Duration) -> bool {
        let mut tally = self.tally.lock();
        if asked >= tally.gave_up {
            tally.in_a_row = tally.in_a_row.saturating_add(1);
            tally.gave_up = now;
        }
        tally.count(now, 1);
        tally.in_a_row >= self.patience || tally.mostly_unanswered(now)
    }
}

impl Tally {
    fn count(&mut self, now: Duration, unanswered: u32) {
        let second = now.as_secs();
        let turn = usize::try_from(second % SECONDS).unwrap_or_default();
        if let Some(slot) = self.slots.get_mut(turn) {
            if slot.second != second {
                *slot = Slot { second, ..Slot::default() };
            }
            slot.asked = slot.asked.saturating_add(1);
            slot.unanswered = slot.unanswered.saturating_add(unanswered);
        }
    }

    fn mostly_unanswered(&self, now: Duration) -> bool {
        let recent = self.slots.iter().filter(|slot| slot.second + SECONDS > now.as_secs());
        let (asked, unanswered) = recent.fold((0_u64, 0_u64), |(asked, unanswered), slot| {
            (asked + u64::from(slot.asked), unanswered + u64::from(slot.unanswered))
        });
        asked >= u64::from(ENOUGH) && unanswered * 2 > asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    impl Breaker {
        /// One that was given up as soon as it was asked.
        fn in_vain(&self, now: Duration) -> bool {
            self.unanswered(now, now)
        }
    }

    #[test]
    fn four_are_borne_and_a_fifth_in_a_row_is_not() {
        let breaker = Breaker::for_one_server();
        for round in 0..10 {
            assert!((0..4).all(|_| !breaker.in_vain(at(round * 60_000))));
            breaker.answered(at(round * 60_000));
        }
        assert!((0..4).all(|_| !breaker.in_vain(at(900_000))));
        assert!(breaker.in_vain(at(900_000)));
    }

    #[test]
    fn those_that_were_under_way_together_are_one() {
        let breaker = Breaker::for_one_server();
        for wave in 1..=4 {
            let (asked, now) = (at(wave * 100), at(wave * 100 + 99));
            assert!((0..3).all(|_| !breaker.unanswered(asked, now)), "{wave}");
        }
        assert!(breaker.unanswered(at(500), at(599)));
    }

    #[test]
    fn a_cluster_bears_more_than_one_server_does() {
        let breaker = Breaker::for_a_cluster();
        assert!((0..15).all(|_| !breaker.in_vain(at(0))));
        assert!(breaker.in_vain(at(0)));
    }

    /// Two of three, `rounds` times, one round a second.
    fn two_of_three_in_vain(breaker: &Breaker, rounds: u64) -> bool {
        (0..rounds).any(|round| {
            let now = at(round * 1_000);
            let gave_up = breaker.in_vain(now) | breaker.in_vain(now);
            breaker.answered(now);
            gave_up
        })
    }

    #[test]
    fn more_than_half_within_ten_seconds_are_too_many_once_there_are_twenty() {
        let breaker = Breaker::for_one_server();
        assert!(!two_of_three_in_vain(&breaker, 6));
        assert!(!breaker.in_vain(at(6_000)), "the nineteenth");
        assert!(breaker.in_vain(at(6_000)), "the twentieth");
    }

    #[test]
    fn those_of_long_ago_do_not_count() {
        let breaker = Breaker::for_one_server();
        assert!(!two_of_three_in_vain(&breaker, 6));
        assert!(!breaker.in_vain(at(15_000)) && !breaker.in_vain(at(15_000)));
    }

    #[test]
    fn every_second_one_is_borne() {
        let breaker = Breaker::for_one_server();
        for round in 0..100 {
            breaker.answered(at(round * 100));
            assert!(!breaker.in_vain(at(round * 100)), "{round}");
        }
    }
}
