use super::super::Rate;
use super::*;
use proptest::prelude::*;

const START: Micros = 1_000_000_000;
/// 100/min, burst 20.
const BUCKET: Bucket = Bucket { interval: 600_000, burst: 20 };

fn told(bucket: Bucket, tat: &mut Micros, now: Micros, (want, least): (u32, u32)) -> Told {
    let taken = bucket.take(*tat, now, (want, least));
    *tat = taken.tat;
    Told { granted: taken.granted, remaining: taken.remaining, reset: taken.tat - now, retry: taken.retry, least }
}

fn holding(tokens: u32) -> Lease {
    let mut lease = Lease::default();
    let granted = Told { granted: tokens, remaining: 0, reset: 0, retry: 0, least: 1 };
    lease.learn(BUCKET, &granted, (START, START));
    lease.keep(tokens, (START, START));
    lease
}

fn granted(step: Step) -> bool {
    matches!(step, Step::Granted(_))
}

#[test]
fn one_visit_reserves_nothing_for_a_second() {
    let mut lease = holding(1);
    assert!(granted(lease.step(BUCKET, 1, START)));
    assert_eq!(lease.runs_low(START, 20), None);
    let mut lease = holding(2);
    assert!((0..2).all(|_| granted(lease.step(BUCKET, 1, START))));
    assert_eq!(lease.runs_low(START, 20), Some(0), "two at once may go on");
}

#[test]
fn the_first_use_of_a_bucket_asks_the_store() {
    assert_eq!(Lease::default().step(BUCKET, 1, START), Step::Ask);
}

#[test]
fn what_was_reserved_is_spent_within_a_second_or_dropped() {
    let mut lease = holding(3);
    assert!(granted(lease.step(BUCKET, 2, START + LIFE - 1)));
    assert_eq!(lease.step(BUCKET, 1, START + LIFE), Step::Ask);
}

#[test]
fn a_reservation_whose_answer_came_late_is_worth_nothing() {
    let mut lease = Lease::default();
    lease.keep(3, (START, START + LIFE));
    assert_eq!(lease.step(BUCKET, 1, START + LIFE), Step::Ask);
}

#[test]
fn a_refusal_is_remembered_and_asked_about_again_within_a_second() {
    let mut lease = Lease::default();
    let none = Told { granted: 0, remaining: 2, reset: 5, retry: 7_000_000, least: 3 };
    lease.learn(BUCKET, &none, (START, START));
    assert_eq!(lease.step(BUCKET, 3, START), Step::Refused(Standing { remaining: 0, until: 7_000_000 }));
    assert_eq!(lease.step(BUCKET, 2, START), Step::Ask, "what costs less may pass");
    assert_eq!(lease.step(BUCKET, 3, START + BELIEVED), Step::Ask);
}

#[test]
fn after_the_last_token_nobody_asks_until_there_is_another() {
    let mut lease = Lease::default();
    let last = Told { granted: 2, remaining: 0, reset: BUCKET.fill(), retry: 0, least: 1 };
    lease.learn(BUCKET, &last, (START, START));
    lease.keep(2, (START, START));
    assert!((0..2).all(|_| granted(lease.step(BUCKET, 1, START))));
    assert_eq!(lease.step(BUCKET, 1, START), Step::Refused(Standing { remaining: 0, until: BUCKET.interval }));
    assert_eq!(lease.step(BUCKET, 1, START + BUCKET.interval), Step::Ask);
}

#[test]
fn what_is_reserved_follows_what_is_spent() {
    let mut lease = holding(40);
    assert_eq!(lease.want(Bucket { burst: 1000, ..BUCKET }, START + LIFE, (1, 50)), 1, "nobody came");
    assert!(granted(lease.step(BUCKET, 30, START + LIFE / 2)));
    let wide = Bucket { burst: 1000, ..BUCKET };
    assert_eq!(lease.want(wide, START + LIFE, (1, 50)), 30, "thirty a second");
    assert_eq!(lease.want(wide, START + LIFE, (1, 20)), 20, "but no more than a batch");
    assert_eq!(lease.want(wide, START + LIFE, (70, 20)), 70, "unless they wait already");
    assert_eq!(lease.want(BUCKET, START + LIFE, (70, 20)), 20, "and never more than there can be");
}

/// Of a caller who comes so often a second for a minute: the requests that had to wait for the store, and all questions.
fn regular(pace: u64) -> (u32, u32) {
    let bucket = Bucket::new(Rate::per_second(1000), 1000);
    let (mut lease, mut tat, mut waited, mut asked) = (Lease::default(), 0, 0, 0);
    for now in (0..60 * pace).map(|visit| START + visit * LIFE / pace) {
        let mut ask = |lease: &mut Lease| {
            let said = told(bucket, &mut tat, now, (lease.want(bucket, now, (1, 100)), 1));
            lease.learn(bucket, &said, (now, now));
            lease.keep(said.granted, (now, now));
            asked += 1;
        };
        if lease.step(bucket, 1, now) == Step::Ask {
            waited += 1;
            ask(&mut lease);
            assert!(granted(lease.step(bucket, 1, now)));
        }
        if lease.runs_low(now, 100).is_some() {
            ask(&mut lease);
        }
    }
    (waited, asked)
}

#[test]
fn whoever_comes_regularly_waits_for_the_store_at_first_and_is_asked_about_some_once_a_second() {
    for pace in [5, 8, 14, 50, 90] {
        let (waited, asked) = regular(pace);
        assert!(waited <= 3, "at {pace} a second {waited} waited");
        assert!(asked <= if pace < 10 { 90 } else { 75 }, "at {pace} a second {asked} questions in a minute");
    }
}

#[test]
fn what_is_reserved_lasts_until_it_is_spent_or_dropped() {
    let bucket = Bucket::new(Rate::per_second(1000), 1000);
    let mut lease = holding(20);
    assert!(granted(lease.step(bucket, 1, START + LIFE / 2)));
    lease.keep(2, (START + LIFE / 2, START + LIFE / 2));
    assert!(granted(lease.step(bucket, 18, START + LIFE - 50_000)));
    // at twenty a second one for 50 ms at most, and two that are good for longer
    assert_eq!(lease.runs_low(START + LIFE - 50_000, 100), Some(150_000));
}

#[test]
fn shares_begin_empty_for_whoever_had_spent_and_with_one_for_whoever_had_not() {
    let away = Away { since: START, replicas: 3 };
    let mut known = Lease::default();
    known.learn(
        BUCKET,
        &Told { granted: 1, remaining: 10, reset: 6_000_000, retry: 0, least: 1 },
        (START - 1, START - 1),
    );
    assert!(!granted(known.step_alone(BUCKET, 1, START, away)));
    assert!(!granted(known.step_alone(BUCKET, 1, START + 3 * BUCKET.interval - 1, away)));
    assert!(granted(known.step_alone(BUCKET, 1, START + 3 * BUCKET.interval, away)));
    let mut stranger = Lease::default();
    assert!(granted(stranger.step_alone(BUCKET, 1, START, away)));
    assert!(!granted(stranger.step_alone(BUCKET, 1, START, away)));
}

#[test]
fn what_costs_more_than_a_share_holds_is_not_shut_out() {
    let away = Away { since: START, replicas: 30 };
    let mut lease = Lease::default();
    assert!(granted(lease.step_alone(BUCKET, 5, START, away)));
    assert!(!granted(lease.step_alone(BUCKET, 5, START, away)));
}

#[test]
fn a_dear_request_is_paid_off_before_the_next() {
    // two tokens a share, one in six seconds
    let (away, mut lease) = (Away { since: START, replicas: 10 }, Lease::default());
    let got = (0..600).filter(|second| granted(lease.step_alone(BUCKET, 5, START + second * LIFE, away))).count();
    assert!((19..=21).contains(&got), "{got} in ten minutes, at one in thirty seconds");
}

#[test]
fn a_late_answer_does_not_forgive_what_was_spent_since_it_was_asked_for() {
    let mut lease = Lease::default();
    assert!(granted(lease.step_alone(BUCKET, 1, START + 10, Away { since: START + 5, replicas: 3 })));
    lease.learn(BUCKET, &Told { granted: 1, remaining: 19, reset: 0, retry: 0, least: 1 }, (START, START + 20));
    let next = Away { since: START + 30, replicas: 3 };
    assert!(!granted(lease.step_alone(BUCKET, 1, START + 30, next)));
}

#[test]
fn a_replica_without_company_goes_on_as_the_store_would() {
    let away = Away { since: START, replicas: 1 };
    let mut lease = Lease::default();
    lease.learn(
        BUCKET,
        &Told { granted: 1, remaining: 7, reset: 13 * BUCKET.interval, retry: 0, least: 1 },
        (START, START),
    );
    assert_eq!((0..20).filter(|_| granted(lease.step_alone(BUCKET, 1, START, away))).count(), 7);
    let outage = Outage { began: START, ended: START + 1 };
    assert_eq!(lease.ahead(outage, START + 1), BUCKET.fill() - 1, "and tells what was spent meanwhile");
}

#[test]
fn who_has_heard_of_nobody_is_not_alone_and_has_a_sixteenth() {
    let (bucket, away) = (Bucket { interval: 10_000, burst: 500 }, Away { since: START, replicas: 0 });
    let mut stranger = Lease::default();
    let got = (0..600).filter(|_| granted(stranger.step_alone(bucket, 1, START, away))).count();
    assert_eq!(got, 31);
    let next = |lease: &mut Lease, after| granted(lease.step_alone(bucket, 1, START + after, away));
    assert!(!next(&mut stranger, 159_999) && next(&mut stranger, 160_000));
    let mut known = Lease::default();
    let told = Told { granted: 1, remaining: 0, reset: 5_000_000, retry: 0, least: 1 };
    known.learn(BUCKET, &told, (START - 10, START - 5));
    assert!(!next(&mut known, 0), "another replica may have given out the rest");
}

#[test]
fn time_without_a_store_fills_no_bucket() {
    let mut lease = Lease::default();
    lease.learn(BUCKET, &Told { granted: 1, remaining: 0, reset: BUCKET.fill(), retry: 0, least: 1 }, (START, START));
    let outage = Outage { began: START, ended: START + 60_000_000 };
    assert_eq!(lease.ahead(outage, outage.ended), BUCKET.fill());
    assert_eq!(lease.ahead(outage, outage.ended + 1_000_000), BUCKET.fill() - 1_000_000, "but time since does");
    lease.learn(
        BUCKET,
        &Told { granted: 0, remaining: 0, reset: 5, retry: 9, least: 1 },
        (outage.ended + 1, outage.ended + 1),
    );
    assert_eq!(lease.ahead(outage, outage.ended + 2), 0, "it is told once");
}

/// Some replicas, one store, answers that take their time.
struct World {
    bucket: Bucket,
    tat: Micros,
    replicas: Vec<Replica>,
    admitted: Vec<Micros>,
    away: Option<Away>,
    outage: Outage,
}

#[derive(Default)]
struct Replica {
    lease: Lease,
    /// Sent, arrives, what it says.
    answer: Option<(Micros, Micros, Told)>,
}

impl World {
    fn new(bucket: Bucket, replicas: usize) -> Self {
        let replicas = std::iter::repeat_with(Replica::default).take(replicas).collect();
        Self { bucket, tat: 0, replicas, admitted: Vec::new(), away: None, outage: Outage::default() }
    }

    fn request(&mut self, at: usize, now: Micros, takes: Micros, cost: u32) {
        let count = u32::try_from(self.replicas.len()).unwrap();
        let batch = (self.bucket.burst / (8 * count)).max(1);
        let replica = &mut self.replicas[at];
        if let Some((sent, _, told)) = replica.answer.filter(|(_, arrives, _)| *arrives <= now) {
            replica.lease.learn(self.bucket, &told, (sent, now));
            replica.lease.keep(told.granted, (sent, now));
            replica.answer = None;
        }
        let step = match self.away {
            Some(away) => replica.lease.step_alone(self.bucket, cost, now, away),
            None => replica.lease.step(self.bucket, cost, now),
        };
        if granted(step) {
            self.admitted.extend((0..cost).map(|_| now));
        }
        if self.away.is_none()
            && replica.answer.is_none()
            && (step == Step::Ask || replica.lease.runs_low(now, batch).is_some())
        {
            let want = replica.lease.want(self.bucket, now, (cost, batch)).max(cost);
            // the store hears of it half-way
            let heard = now + takes / 2;
            self.tat = self.tat.max(heard + replica.lease.ahead(self.outage, now));
            let told = told(self.bucket, &mut self.tat, heard, (want, cost));
            replica.answer = Some((now, now + takes, told));
        }
    }

    fn goes_away(&mut self, now: Micros) {
        let replicas = u32::try_from(self.replicas.len()).unwrap();
        self.away = Some(Away { since: now, replicas });
    }

    /// With everything forgotten, if `amnesia`.
    fn comes_back(&mut self, now: Micros, amnesia: bool) {
        if let Some(away) = self.away.take() {
            self.outage = Outage { began: away.since, ended: now };
            self.tat = if amnesia { 0 } else { self.tat };
        }
    }

    /// The most that any window has above what is promised, where `more` is promised besides.
    fn worst(&self, more: u64) -> i64 {
        let mut worst = i64::MIN;
        for (at, begin) in self.admitted.iter().enumerate() {
            for (sum, end) in (1_i64..).zip(&self.admitted[at..]) {
                let refilled = (end - begin + LIFE) / self.bucket.interval;
                let bound = u64::from(self.bucket.burst) + refilled + more;
                worst = worst.max(sum - i64::try_from(bound).unwrap());
            }
        }
        worst
    }
}

/// Everybody floods for a minute while the store comes and goes.
fn flaps(replicas: usize, amnesia: bool) -> World {
    let mut world = World::new(BUCKET, replicas);
    for turn in 0..12_000 {
        let now = START + turn * LIFE / 200;
        match turn % 120 {
            0 => world.comes_back(now, amnesia),
            60 => world.goes_away(now),
            _ => {}
        }
        world.request(usize::try_from(turn).unwrap() % replicas, now, 400, 1);
    }
    world
}

#[test]
fn one_outage_after_another_brings_nobody_a_new_share() {
    for amnesia in [false, true] {
        let alone = flaps(1, amnesia);
        assert!((90..=122).contains(&alone.admitted.len()), "{} of 122", alone.admitted.len());
        for replicas in 1..5 {
            let worst = flaps(replicas, amnesia).worst(u64::try_from(replicas).unwrap());
            assert!(worst <= 0, "{worst} over on {replicas}");
        }
    }
}

#[test]
fn whoever_moves_when_the_store_goes_finds_no_second_burst_when_it_is_back() {
    let mut world = World::new(BUCKET, 3);
    for turn in 0..1_200 {
        let now = START + turn * LIFE / 200;
        match turn {
            400 => world.goes_away(now),
            800 => world.comes_back(now, true),
            _ => {}
        }
        world.request(usize::from(turn >= 400), now, 400, 1);
    }
    assert!(world.worst(3) <= 0, "{} over", world.worst(3));
}

#[test]
fn whoever_was_idle_begins_an_outage_with_one_token_a_replica() {
    let mut world = World::new(BUCKET, 3);
    world.request(0, START, 400, 1);
    world.request(0, START + 1_000, 400, 1);
    let later = START + 60 * LIFE;
    world.goes_away(later);
    (0..300).for_each(|turn| world.request(turn % 3, later + 1, 400, 1));
    assert_eq!(world.admitted.len(), 1 + 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_fleet_never_lets_through_more_than_the_bound_in_any_window(
        rate in 1_u32..2_000,
        burst in 1_u32..400,
        replicas in 1_usize..5,
        requests in prop::collection::vec((0_usize..5, 0_u64..40_000, 100_u64..90_000), 1..600),
    ) {
        let mut world = World::new(Bucket::new(Rate::per_minute(rate), burst), replicas);
        let mut now = START;
        for (at, pause, takes) in requests {
            now += pause;
            world.request(at % replicas, now, takes, 1);
        }
        prop_assert!(world.worst(0) <= 0, "{} over", world.worst(0));
        prop_assert!(!world.admitted.is_empty() || replicas > 0);
    }

    /// Everybody floods all the time: through the loss of the store, without it, and when it is back.
    #[test]
    fn losing_the_store_and_getting_it_back_lets_through_no_burst(
        rate in 30_u32..2_000,
        burst in 1_u32..60,
        replicas in 1_usize..5,
        outages in prop::collection::vec((2_u64..60, 1_u64..60), 1..6),
        cost in 1_u32..6,
        amnesia in any::<bool>(),
        pauses in prop::collection::vec(1_u64..20_000, 64),
    ) {
        let mut world = World::new(Bucket::new(Rate::per_minute(rate), burst), replicas);
        let cost = cost.min(burst);
        let (mut now, mut turn) = (START, 0);
        let mut flood = |world: &mut World, until: Micros| while now < until {
            now += pauses[turn % pauses.len()];
            turn += 1;
            world.request(turn % replicas, now, 400, cost);
        };
        let mut moment = START;
        for (up, down) in &outages {
            moment += up * LIFE / 4;
            flood(&mut world, moment);
            world.goes_away(moment);
            moment += down * LIFE / 4;
            flood(&mut world, moment);
            world.comes_back(moment, amnesia);
        }
        flood(&mut world, moment + 10 * LIFE);
        // One request more for a caller whom a replica had not heard of; what a dear one takes on credit is not owed any
        // more when the store is back.
        let count = u64::try_from(replicas).unwrap();
        let on_credit = u64::from(cost) * count > u64::from(burst);
        let more = count * u64::from(cost) * if on_credit { u64::try_from(outages.len()).unwrap() } else { 1 };
        prop_assert!(world.worst(more) <= 0, "{} over", world.worst(more));
    }
}
