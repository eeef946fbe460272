//! The wall clock, watched by the one that never jumps.
//!
//! Lives of tokens and sessions are counted on the wall clock. When somebody sets it, what has ended may live again, or
//! what lives may seem over; nobody here can say which of the two times is the right one, only that there are two.

use crate::ports::revocation::Clock;
use std::sync::Arc;
use std::time::Duration;

/// NTP moves clocks by less, and does it slowly.
const JUMP_MS: i64 = 30_000;
/// Unless it is set back where it was, the new time is the time after this.
const HELD_FOR: Duration = Duration::from_mins(15);
/// As fast as a clock is led to the right time, in milliseconds a second: what is faster adds up to a jump.
const SLEW: i64 = 1;

/// To be asked about once a second.
#[derive(Debug)]
pub struct ClockWatch {
    clock: Arc<dyn Clock>,
    /// How far the wall clock is ahead of the steady one where all is well, in milliseconds.
    ahead: i64,
    asked: Duration,
    jump: Option<Jump>,
}

#[derive(Clone, Copy, Debug)]
struct Jump {
    from: i64,
    at: Duration,
}

impl ClockWatch {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (ahead, asked) = (ahead(&*clock), clock.steady());
        Self { clock, ahead, asked, jump: None }
    }

    /// Whether the wall clock was set lately by more than half a minute, forwards or backwards.
    pub fn has_jumped(&mut self) -> bool {
        let (ahead, now) = (ahead(&*self.clock), self.clock.steady());
        let moved = ahead.saturating_sub(self.ahead);
        if is_jump(moved) {
            let from = self.jump.map_or(self.ahead, |jump| jump.from);
            (self.jump, self.ahead) = (Some(Jump { from, at: now }), ahead);
        } else {
            let seconds = i64::try_from(now.saturating_sub(self.asked).as_secs()).unwrap_or(i64::MAX);
            let most = seconds.saturating_mul(SLEW);
            self.ahead = self.ahead.saturating_add(moved.clamp(-most, most));
        }
        if now.saturating_sub(self.asked) >= Duration::from_secs(1) {
            self.asked = now;
        }
        self.jump = self.jump.filter(|jump| {
            let is_back = !is_jump(ahead.saturating_sub(jump.from));
            !is_back && now.saturating_sub(jump.at) < HELD_FOR
        });
        self.jump.is_some()
    }
}

fn is_jump(moved: i64) -> bool {
    moved.saturating_abs() > JUMP_MS
}

fn ahead(clock: &dyn Clock) -> i64 {
    let ms = |value: u128| i64::try_from(value).unwrap_or(i64::MAX);
    ms(clock.unix_ms().into()).saturating_sub(ms(clock.steady().as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use parking_lot::Mutex;

    /// Both clocks, in milliseconds.
    #[derive(Debug)]
    struct Hands(Mutex<(u64, u64)>);

    #[async_trait]
    impl Clock for Hands {
        fn unix_ms(&self) -> u64 {
            self.0.lock().0
        }

        fn steady(&self) -> Duration {
            Duration::from_millis(self.0.lock().1)
        }

        async fn sleep(&self, _: Duration) {}
    }

    impl Hands {
        /// So many seconds pass, in each of which the wall clock gains so many milliseconds.
        fn pass(&self, watch: &mut ClockWatch, seconds: u32, gain: i64) -> bool {
            let mut jumped = false;
            for _ in 0..seconds {
                let mut hands = self.0.lock();
                *hands = (hands.0.checked_add_signed(1000 + gain).unwrap(), hands.1 + 1000);
                drop(hands);
                jumped = watch.has_jumped();
            }
            jumped
        }

        fn set(&self, seconds: i64) {
            let mut hands = self.0.lock();
            hands.0 = hands.0.checked_add_signed(seconds * 1000).unwrap();
        }
    }

    fn started() -> (Arc<Hands>, ClockWatch) {
        let hands = Arc::new(Hands(Mutex::new((1_800_000_000_000, 1_000))));
        let watch = ClockWatch::new(Arc::clone(&hands) as _);
        (hands, watch)
    }

    #[test]
    fn a_clock_that_is_set_by_more_than_half_a_minute_shows_either_way_until_it_is_set_back() {
        for seconds in [31, -31, 3600, -86_400] {
            let (hands, mut watch) = started();
            assert!(!hands.pass(&mut watch, 100, 0));
            hands.set(seconds);
            assert!(hands.pass(&mut watch, 1, 0) && hands.pass(&mut watch, 600, 0), "{seconds}");
            hands.set(-seconds);
            assert!(!hands.pass(&mut watch, 1, 0), "{seconds}");
        }
    }

    #[test]
    fn what_ntp_does_is_no_jump() {
        for seconds in [29, -29] {
            let (hands, mut watch) = started();
            hands.set(seconds);
            assert!(!hands.pass(&mut watch, 60, 0), "{seconds}");
        }
        let (hands, mut watch) = started();
        assert!(!hands.pass(&mut watch, 100_000, 1), "a minute and a half, led there in a day");
    }

    #[test]
    fn many_small_steps_are_one_jump() {
        let (hands, mut watch) = started();
        assert!(!hands.pass(&mut watch, 3, -10_000));
        assert!(hands.pass(&mut watch, 1, -10_000));
    }

    #[test]
    fn a_time_that_lasts_is_the_time_and_the_next_jump_shows_again() {
        let (hands, mut watch) = started();
        hands.set(-3600);
        assert!(hands.pass(&mut watch, 899, 0));
        assert!(!hands.pass(&mut watch, 2, 0));
        hands.set(60);
        assert!(hands.pass(&mut watch, 1, 0));
    }
}
