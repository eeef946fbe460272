//! Days of browsers and thieves against the real rules, on a simulated clock.
//!
//! The browser has one jar that takes answers in the order they arrive, two renewal cookies by parity, and up to twenty
//! tabs that wake together. The network delays 5 % of requests by up to 200 s, loses 5 % of answers and delays 2 % of
//! them by up to a minute. An access token lives 15 minutes and is renewed from 80 % of its life on.

use super::*;
use crate::domain::session::Lifetimes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 8 * HOUR;
const ACCESS: u64 = 15 * MINUTE;
const RENEW_FROM: u64 = ACCESS / 10 * 8;

const RULES: Rules = Rules {
    grace: Duration::from_secs(30),
    idle: Duration::from_secs(45 * 60),
    rotation: Rotation::Always,
    max_grace_streak: 3,
};

#[test]
fn no_honest_browser_is_signed_out() {
    assert_eq!(signed_out(0..300, RULES), Vec::<u64>::new());
}

#[test]
#[ignore = "ten thousand days: make faults"]
fn no_honest_browser_is_signed_out_in_ten_thousand_days() {
    assert_eq!(signed_out(1_000..11_000, RULES), Vec::<u64>::new());
}

/// The network of these tests is bad enough to matter.
#[test]
fn without_grace_the_same_days_sign_people_out() {
    let strict = Rules { grace: Duration::ZERO, ..RULES };
    assert!(signed_out(0..30, strict).len() > 20);
}

/// Every thief of every kind in `days` days each.
fn every_thief_is_caught(days: std::ops::Range<u64>) {
    for kind in [Thief::AtOnce, Thief::Later, Thief::Cloned, Thief::Shadow] {
        let away: Vec<u64> =
            days.clone().filter(|seed| World::new(*seed, RULES, Some(kind)).run() != Fate::Caught).collect();
        assert_eq!(away, Vec::<u64>::new(), "days on which a thief got away: {kind:?}");
    }
}

#[test]
fn a_copied_jar_is_always_caught() {
    every_thief_is_caught(0..60);
}

#[test]
#[ignore = "two thousand days of each kind: make faults"]
fn a_copied_jar_is_always_caught_in_two_thousand_days() {
    every_thief_is_caught(1_000..3_000);
}

fn signed_out(days: std::ops::Range<u64>, rules: Rules) -> Vec<u64> {
    days.filter(|seed| World::new(*seed, rules, None).run() == Fate::Caught).collect()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Thief {
    /// Uses the jar as soon as it has it, elsewhere.
    AtOnce,
    /// Waits up to an hour.
    Later,
    /// At once, and looks like the owner's device.
    Cloned,
    /// Looks like the owner's device and comes seconds after each of its renewals.
    Shadow,
}

#[derive(Debug, PartialEq)]
enum Fate {
    /// Everybody went on until the evening.
    Unharmed,
    /// Somebody was told REUSE, REVOKED or STEPUP.
    Caught,
}

/// What a request carries, or a jar holds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Jar {
    renewal: [Option<u32>; 2],
    /// The generation of the access token, and when it was made.
    access: Option<(u32, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    TabsWake,
    ThiefWakes,
    /// A tab of the owner sends a request with what the jar holds then.
    Sends,
    Arrives {
        thief: bool,
        jar: Jar,
        bounced: bool,
    },
    Answered {
        thief: bool,
        renewal: Option<u32>,
        access: Option<(u32, u64)>,
    },
    SentBack {
        thief: bool,
    },
    /// A replica tells which generation it saw alive.
    Reported(u32),
}

struct World {
    family: Family,
    rules: Rules,
    owner: Jar,
    thief: Option<Thief>,
    stolen: Option<Jar>,
    random: fastrand::Rng,
    queue: BinaryHeap<Reverse<(u64, u32, Event)>>,
    events: u32,
}

impl World {
    fn new(seed: u64, rules: Rules, thief: Option<Thief>) -> Self {
        let lifetimes = Lifetimes { idle: RULES.idle, absolute: Duration::from_millis(12 * HOUR) };
        let family = Family::begin(SessionId::from_bytes([0; 16]), Millis(0), lifetimes);
        let owner = Jar { renewal: [Some(0), None], access: Some((0, 0)) };
        let random = fastrand::Rng::with_seed(seed);
        let queue = BinaryHeap::new();
        let mut world = Self { family, rules, owner, thief, stolen: None, random, queue, events: 0 };
        world.at(SECOND, Event::TabsWake);
        if thief.is_some() {
            let theft = world.random.u64(MINUTE..4 * HOUR);
            world.at(theft, Event::ThiefWakes);
        }
        world
    }

    fn at(&mut self, time: u64, event: Event) {
        self.events += 1;
        self.queue.push(Reverse((time, self.events, event)));
    }

    fn run(mut self) -> Fate {
        while let Some(Reverse((now, _, event))) = self.queue.pop() {
            match event {
                _ if now > DAY => break,
                Event::TabsWake => self.tabs_wake(now),
                Event::ThiefWakes => self.thief_wakes(now),
                Event::Sends => self.send(now, false, false),
                Event::Arrives { thief, jar, bounced } => {
                    if self.arrives(now, thief, jar, bounced) == Fate::Caught {
                        return Fate::Caught;
                    }
                }
                Event::Answered { thief, renewal, access } => self.answered(thief, renewal, access),
                Event::SentBack { thief } => self.send(now, thief, true),
                Event::Reported(generation) => self.family.confirm(generation),
            }
        }
        Fate::Unharmed
    }

    /// A few tabs or all of them ask within three seconds; then there is a pause shorter than the idle time.
    fn tabs_wake(&mut self, now: u64) {
        let tabs = if self.random.u8(0..4) == 0 { 20 } else { self.random.u64(1..=5) };
        for _ in 0..tabs {
            let moment = now + self.random.u64(0..3 * SECOND);
            self.at(moment, Event::Sends);
        }
        let pause = if self.random.u8(0..10) == 0 { 25 * MINUTE } else { 8 * MINUTE };
        let next = now + self.random.u64(5 * SECOND..pause);
        self.at(next, Event::TabsWake);
    }

    fn thief_wakes(&mut self, now: u64) {
        let Some(kind) = self.thief else { return };
        let first = self.stolen.is_none();
        self.stolen.get_or_insert(self.owner);
        if first && kind == Thief::Later {
            let later = now + self.random.u64(MINUTE..60 * MINUTE);
            return self.at(later, Event::ThiefWakes);
        }
        self.send(now, true, false);
        if kind != Thief::Shadow {
            let again = now + self.random.u64(SECOND..MINUTE);
            self.at(again, Event::ThiefWakes);
        }
    }

    fn send(&mut self, now: u64, thief: bool, bounced: bool) {
        if !thief && self.random.u8(0..20) == 0 {
            let arrival = now + self.random.u64(SECOND..200 * SECOND);
            return self.at(arrival, Event::Arrives { thief, jar: self.owner, bounced });
        }
        let jar = if thief { self.stolen.unwrap_or_default() } else { self.owner };
        let arrival = now + self.random.u64(20..300);
        self.at(arrival, Event::Arrives { thief, jar, bounced });
    }

    fn arrives(&mut self, now: u64, thief: bool, jar: Jar, bounced: bool) -> Fate {
        if let Some((generation, made)) = jar.access.filter(|(_, made)| now - made < ACCESS) {
            let told = now + self.random.u64(0..SECOND);
            self.at(told, Event::Reported(generation));
            if now - made < RENEW_FROM && !(thief && self.thief == Some(Thief::Shadow)) {
                return Fate::Unharmed;
            }
        }
        let Some(generation) = jar.renewal.into_iter().flatten().max() else {
            return Fate::Unharmed;
        };
        let same_device = !thief || matches!(self.thief, Some(Thief::Cloned | Thief::Shadow));
        let shown = Presentation { generation, same_device, bounced, transport: Transport::Cookie };
        match present(&mut self.family, &shown, &self.rules, Millis(now)) {
            Verdict::Rotated(made) => {
                self.answer(now, thief, Some(made), made);
                if !thief && self.thief == Some(Thief::Shadow) && self.stolen.is_some() {
                    let shadow = now + self.random.u64(SECOND..10 * SECOND);
                    self.at(shadow, Event::ThiefWakes);
                }
            }
            Verdict::Reissued(same) | Verdict::Grace(same) => self.answer(now, thief, Some(same), same),
            Verdict::Same(same) => self.answer(now, thief, None, same),
            Verdict::Bounce => {
                let back = now + self.random.u64(20..300);
                self.at(back, Event::SentBack { thief });
            }
            Verdict::StepUp | Verdict::Reuse | Verdict::Revoked => return Fate::Caught,
            Verdict::Expired => {}
        }
        Fate::Unharmed
    }

    fn answer(&mut self, now: u64, thief: bool, renewal: Option<u32>, generation: u32) {
        let delay = match self.random.u8(0..100) {
            _ if thief => 50,
            0..5 => return, // lost
            5..7 => self.random.u64(SECOND..60 * SECOND),
            _ => self.random.u64(20..300),
        };
        self.at(now + delay, Event::Answered { thief, renewal, access: Some((generation, now)) });
    }

    /// Whatever arrives last is what the jar holds.
    fn answered(&mut self, thief: bool, renewal: Option<u32>, access: Option<(u32, u64)>) {
        let Some(jar) = (if thief { self.stolen.as_mut() } else { Some(&mut self.owner) }) else { return };
        jar.access = access;
        if let Some(generation) = renewal {
            jar.renewal[generation as usize % 2] = Some(generation);
        }
    }
}
