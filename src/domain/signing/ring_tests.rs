use super::super::fixture::{fresh, hours, minutes, schedule, START};
use super::*;
use proptest::prelude::*;

fn do_next(ring: &Ring, change: &Change, now: UnixTime, schedule: &Schedule) -> Ring {
    let key = change.needs_key().then(|| fresh(schedule.algorithm));
    ring.after(change, now, schedule, key).unwrap()
}

/// Everything that is due, done.
fn settled(mut ring: Ring, now: UnixTime, schedule: &Schedule) -> Ring {
    for _ in 0..10 {
        match ring.due(now, schedule) {
            None => return ring,
            Some(change) => ring = do_next(&ring, &change, now, schedule),
        }
    }
    panic!("something is due for ever: {:?}", ring.due(now, schedule));
}

fn first() -> Ring {
    settled(Ring::default(), START, &schedule())
}

fn after(span: Duration) -> UnixTime {
    START.plus(span)
}

fn states(ring: &Ring) -> Vec<&'static str> {
    ring.keys().iter().map(|key| key.state().name()).collect()
}

const DAY: u64 = 24;

#[test]
fn the_very_first_key_signs_at_once() {
    assert_eq!(states(&first()), ["active"]);
    assert_eq!(first().due(START, &schedule()), None);
}

#[test]
fn a_key_is_published_a_day_before_it_signs_and_verifies_two_days_after() {
    let ring = first();
    let old = ring.active().unwrap().kid().clone();
    assert_eq!(ring.due(after(hours(29 * DAY) - Duration::from_secs(1)), &schedule()), None);
    let ring = settled(ring, after(hours(29 * DAY)), &schedule());
    assert_eq!(states(&ring), ["active", "pending"]);
    assert_eq!(ring.due(after(hours(30 * DAY) - Duration::from_secs(1)), &schedule()), None);
    let ring = settled(ring, after(hours(30 * DAY)), &schedule());
    assert_eq!(states(&ring), ["retiring", "active"]);
    assert_ne!(*ring.active().unwrap().kid(), old);
    assert_eq!(ring.due(after(hours(32 * DAY) - Duration::from_secs(1)), &schedule()), None);
    assert_eq!(states(&settled(ring, after(hours(32 * DAY)), &schedule())), ["active"]);
}

#[test]
fn a_key_stays_for_the_longest_token_it_ever_signed_whatever_the_overlap_says() {
    let long = Schedule { token_life: hours(100), ..schedule() };
    let ring = settled(first(), START, &long);
    // nobody mints such tokens any more, but some are out
    let ring = do_next(&ring, &Change::Replace, START, &schedule());
    let until = after(hours(100)).plus(SKEW);
    assert_eq!(ring.keys()[0].state().moment(), until);
    assert_eq!(ring.due(UnixTime(until.0 - 1), &schedule()), None);
}

#[test]
fn a_key_promises_to_stay_before_it_signs_longer_tokens() {
    let long = Schedule { token_life: hours(100), ..schedule() };
    assert_eq!(first().due(START, &long), Some(Change::Promise));
    assert_eq!(settled(first(), START, &long).active().unwrap().longest(), hours(100));
}

#[test]
fn an_emergency_leaves_nothing_but_a_new_key() {
    let ring = do_next(&first(), &Change::Replace, START, &schedule());
    let ring = do_next(&ring, &Change::Publish { sign_from: after(hours(24)) }, START, &schedule());
    let before: Vec<_> = ring.published().map(|key| key.kid().clone()).collect();
    let change = ring.rotate(Mode::Emergency, START, &schedule()).unwrap().unwrap();
    let ring = do_next(&ring, &change, START, &schedule());
    assert_eq!(states(&ring), ["revoked", "revoked", "revoked", "active"]);
    assert!(ring.published().all(|key| !before.contains(key.kid())));
}

#[test]
fn another_algorithm_is_a_rotation() {
    let other = Schedule { algorithm: Algorithm::EdDsa, ..schedule() };
    let ring = settled(first(), START, &other);
    assert_eq!(states(&ring), ["active", "pending"]);
    assert_eq!(ring.active().unwrap().algorithm(), Algorithm::Es256);
    let ring = settled(ring, after(hours(24)), &other);
    assert_eq!(ring.active().unwrap().algorithm(), Algorithm::EdDsa);
    assert_eq!(states(&ring), ["retiring", "active"]);
}

#[test]
fn whoever_is_in_a_hurry_takes_the_key_that_waits_unless_it_is_of_another_algorithm() {
    let ring = do_next(&first(), &Change::Publish { sign_from: after(hours(24)) }, START, &schedule());
    assert_eq!(ring.rotate(Mode::Now, START, &schedule()), Ok(Some(Change::Promote)));
    let other = Schedule { algorithm: Algorithm::EdDsa, ..schedule() };
    assert_eq!(ring.rotate(Mode::Now, START, &other), Ok(Some(Change::Replace)));
    let ring = do_next(&ring, &Change::Replace, START, &other);
    assert_eq!(states(&ring), ["retiring", "revoked", "active"]);
}

#[test]
fn asking_for_the_scheduled_rotation_twice_is_asking_once() {
    let change = first().rotate(Mode::Scheduled, START, &schedule()).unwrap().unwrap();
    assert_eq!(change, Change::Publish { sign_from: after(hours(24)) });
    let ring = do_next(&first(), &change, START, &schedule());
    assert_eq!(ring.rotate(Mode::Scheduled, START, &schedule()), Ok(None));
}

#[test]
fn retiring_a_key_never_kills_a_token_however_often_it_is_asked() {
    let ring = first();
    let kid = ring.active().unwrap().kid().clone();
    let change = ring.retire(kid.as_str(), START, &schedule()).unwrap().unwrap();
    let ring = do_next(&ring, &change, START, &schedule());
    assert_eq!(states(&ring), ["retiring", "active"]);
    assert_eq!(ring.retire(kid.as_str(), START, &schedule()), Ok(None));
    assert_eq!(ring.retire("nobody", START, &schedule()), Err(Refused::Unknown("nobody".to_owned())));
}

#[test]
fn a_key_that_waits_can_be_discarded() {
    let ring = do_next(&first(), &Change::Publish { sign_from: after(hours(24)) }, START, &schedule());
    let change = ring.retire(ring.keys()[1].kid().as_str(), START, &schedule()).unwrap().unwrap();
    assert_eq!(states(&do_next(&ring, &change, START, &schedule())), ["active", "revoked"]);
}

#[test]
fn an_impatient_operator_cannot_grow_the_key_set_without_end() {
    let mut ring = first();
    let mut refused = false;
    for _ in 0..40 {
        match ring.rotate(Mode::Now, START, &schedule()) {
            Ok(change) => ring = do_next(&ring, &change.unwrap(), START, &schedule()),
            Err(why) => refused = why == Refused::TooMany,
        }
    }
    assert!(refused && ring.published().count() == MAX_PUBLISHED);
    let change = ring.rotate(Mode::Emergency, START, &schedule()).unwrap().unwrap();
    assert_eq!(do_next(&ring, &change, START, &schedule()).published().count(), 1, "an emergency always works");
}

#[test]
fn of_revoked_keys_only_the_latest_are_remembered() {
    let mut ring = first();
    for _ in 0..2 * MAX_REVOKED {
        ring = do_next(&ring, &Change::RevokeAll, START, &schedule());
    }
    assert_eq!(ring.keys().len(), MAX_REVOKED + 1);
    assert!(ring.active().is_some());
}

#[test]
fn a_ring_is_read_back_as_it_was_written() {
    let ring = do_next(&first(), &Change::Publish { sign_from: after(hours(24)) }, START, &schedule());
    let ring = do_next(&ring, &Change::Promote, START, &schedule());
    let ring = do_next(&ring, &Change::RevokeAll, after(hours(1)), &schedule());
    let ring = do_next(&ring, &Change::Replace, after(hours(2)), &schedule());
    let ring = do_next(&ring, &Change::Publish { sign_from: after(hours(30)) }, after(hours(2)), &schedule());
    let again = Ring::from_document(&ring.to_document().unwrap()).unwrap();
    assert_eq!(format!("{ring:?}"), format!("{again:?}"));
    assert_eq!(ring.to_document().unwrap().expose(), again.to_document().unwrap().expose());
    assert!(again.active().unwrap().signer().unwrap().is_some());
}

#[test]
fn a_ring_of_another_release_is_not_guessed_at() {
    let text = first().to_document().unwrap();
    let changed = |from: &str, to: &str| {
        let text = std::str::from_utf8(text.expose()).unwrap().replacen(from, to, 1);
        Ring::from_document(&Secret::new(text.into_bytes())).map_err(|why| why.to_string())
    };
    assert!(changed(r#""v":1"#, r#""v":1,"later":true"#).is_ok(), "members may be added");
    assert!(changed(r#""v":1"#, r#""v":2"#).unwrap_err().contains("version 2"));
    assert!(changed(r#""active""#, r#""resting""#).is_err());
    assert!(changed(r#""alg":"ES256""#, r#""alg":"none""#).is_err());
}

/// What may happen to a ring.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Rotate(Mode),
    Retire(prop::sample::Index),
    Ahead(u64),
    Life(u64),
    Algorithm(Algorithm),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (1..40 * 3600_u64).prop_map(Event::Wait),
        2 => (1..40 * 24 * 3600_u64).prop_map(Event::Wait),
        1 => Just(Event::Rotate(Mode::Scheduled)),
        1 => Just(Event::Rotate(Mode::Now)),
        1 => Just(Event::Rotate(Mode::Emergency)),
        1 => any::<prop::sample::Index>().prop_map(Event::Retire),
        1 => (60..72 * 3600_u64).prop_map(Event::Ahead),
        1 => (60..100 * 3600_u64).prop_map(Event::Life),
        1 => prop_oneof![Just(Algorithm::Es256), Just(Algorithm::EdDsa)].prop_map(Event::Algorithm),
    ]
}

/// A ring, and everybody who ever looked at it.
struct World {
    ring: Ring,
    now: UnixTime,
    schedule: Schedule,
    /// What a verifier that looked at that moment saw.
    seen: Vec<(UnixTime, Vec<Kid>)>,
    /// Tokens that are out.
    tokens: Vec<(Kid, UnixTime)>,
    /// Keys that began to sign because somebody was in a hurry.
    hurried: Vec<Kid>,
    dead: Vec<Kid>,
}

impl World {
    fn meet(&mut self, event: &Event) -> Result<(), TestCaseError> {
        let (ring, now, schedule) = (self.ring.clone(), self.now, self.schedule);
        let wish = match event {
            Event::Wait(seconds) => {
                self.now = self.now.plus(Duration::from_secs(*seconds));
                None
            }
            Event::Rotate(mode) => {
                if *mode == Mode::Emergency {
                    self.dead.extend(ring.keys().iter().map(|key| key.kid().clone()));
                }
                ring.rotate(*mode, now, &schedule).unwrap_or_default()
            }
            Event::Retire(at) => {
                let kid = at.get(ring.keys()).kid().clone();
                ring.retire(kid.as_str(), now, &schedule).unwrap_or_default()
            }
            Event::Ahead(seconds) => {
                self.schedule.publish_ahead = Duration::from_secs(*seconds);
                None
            }
            Event::Life(seconds) => {
                self.schedule.token_life = Duration::from_secs(*seconds);
                None
            }
            Event::Algorithm(algorithm) => {
                self.schedule.algorithm = *algorithm;
                None
            }
        };
        if let Some(change) = wish {
            self.ring = do_next(&ring, &change, now, &schedule);
            self.hurried.extend(self.ring.active().map(|key| key.kid().clone()));
        }
        let signed_before = self.ring.active().map(|key| key.kid().clone());
        self.ring = settled(self.ring.clone(), self.now, &self.schedule);
        self.check(signed_before.as_ref())
    }

    fn check(&mut self, signed_before: Option<&Kid>) -> Result<(), TestCaseError> {
        let published: Vec<Kid> = self.ring.published().map(|key| key.kid().clone()).collect();
        let active = self.ring.keys().iter().filter(|key| key.state().name() == "active").count();
        prop_assert_eq!(active, 1);
        prop_assert!(published.len() <= MAX_PUBLISHED);
        let key = self.ring.active().unwrap();
        if signed_before != Some(key.kid()) && !self.hurried.contains(key.kid()) {
            let since = UnixTime(self.now.0 - self.schedule.publish_ahead.as_secs());
            for (at, kids) in self.seen.iter().filter(|(at, _)| *at >= since) {
                prop_assert!(kids.contains(key.kid()), "who looked at {at:?} does not know the key that signs");
            }
        }
        self.tokens.retain(|(_, exp)| *exp > self.now);
        for (kid, exp) in &self.tokens {
            let good = published.contains(kid);
            prop_assert_eq!(good, !self.dead.contains(kid), "a token until {:?} of {:?}", exp, kid);
        }
        prop_assert!(self.schedule.token_life <= key.longest());
        self.tokens.push((key.kid().clone(), self.now.plus(self.schedule.token_life)));
        self.seen.push((self.now, published));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// At every moment one key signs, whoever read the key set lately knows it, and no token outlives its key unless an
    /// emergency killed both.
    #[test]
    fn a_ring_never_leaves_an_honest_token_or_verifier_behind(events in prop::collection::vec(event(), 1..60)) {
        let ring = first();
        let hurried = vec![ring.active().unwrap().kid().clone()];
        let (seen, tokens, dead) = (Vec::new(), Vec::new(), Vec::new());
        let mut world = World { ring, now: START, schedule: schedule(), seen, tokens, hurried, dead };
        for event in &events {
            world.meet(event)?;
        }
    }

    /// Late, early or never asked: what is due does not depend on how often somebody looks.
    #[test]
    fn a_ring_that_slept_wakes_up_sound(sleep in 1..400 * 24 * 3600_u64) {
        let now = after(Duration::from_secs(sleep));
        let ring = settled(first(), now, &schedule());
        prop_assert_eq!(ring.keys().iter().filter(|key| key.state().name() == "active").count(), 1);
        prop_assert_eq!(ring.due(now, &schedule()), None);
        prop_assert!(ring.active().unwrap().longest() >= minutes(15));
    }
}
