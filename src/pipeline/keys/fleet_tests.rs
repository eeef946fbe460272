//! Three replicas through everything that can happen to them.

use super::fixture::*;
use super::*;
use crate::domain::signing::fixture::{hours, minutes, schedule, START};
use crate::domain::token::jose::Unverified;
use crate::ports::store::Document;
use proptest::prelude::*;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The way of one replica to the shelf, which can be cut.
#[derive(Debug)]
struct Wire {
    shelf: Arc<Shelf>,
    cut: AtomicBool,
}

#[async_trait]
impl Vault for Wire {
    async fn read(&self, name: &str) -> Result<Option<Document>, StoreError> {
        self.whole()?;
        self.shelf.read(name).await
    }

    async fn replace(&self, name: &str, seen: u64, bytes: &[u8]) -> Result<bool, StoreError> {
        self.whole()?;
        self.shelf.replace(name, seen, bytes).await
    }
}

impl Wire {
    fn whole(&self) -> Result<(), StoreError> {
        if self.cut.load(Ordering::Relaxed) {
            return Err(StoreError("it is out of reach".to_owned()));
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
enum Event {
    /// All who can, tick.
    Pass(u64),
    Cut(usize),
    Mend,
    Rotate(usize, Mode),
    Empty,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..36 * 3600_u64).prop_map(Event::Pass),
        2 => (0..3_usize).prop_map(Event::Cut),
        3 => Just(Event::Mend),
        1 => (0..3_usize, Just(Mode::Now)).prop_map(|(at, mode)| Event::Rotate(at, mode)),
        1 => (0..3_usize, Just(Mode::Emergency)).prop_map(|(at, mode)| Event::Rotate(at, mode)),
        1 => Just(Event::Empty),
    ]
}

/// Three replicas, one of which may be cut off for as long as tokens and overlap allow.
struct Fleet {
    shelf: Arc<Shelf>,
    wires: Vec<Arc<Wire>>,
    rings: Vec<Arc<SigningRing>>,
    now: UnixTime,
    cut_since: Option<UnixTime>,
    /// Tokens that are out, and when.
    tokens: Vec<(String, UnixTime)>,
    /// Everything signed by keys that came before this must be dead.
    dead: Vec<String>,
    /// What the others learn of when the cut is mended: an emergency here, and what was signed here since.
    dead_later: Vec<String>,
    tokens_later: Vec<(String, UnixTime)>,
}

impl Fleet {
    async fn new() -> Self {
        let shelf = Arc::new(Shelf::default());
        let wire = |_| Arc::new(Wire { shelf: Arc::clone(&shelf), cut: AtomicBool::new(false) });
        let wires: Vec<_> = (0..3).map(wire).collect();
        let mut rings = Vec::new();
        for wire in &wires {
            let often = Schedule { rotate_every: hours(60), ..schedule() };
            rings.push(SigningRing::open(Arc::clone(wire) as _, seals(&[1]), often, START).await.unwrap());
        }
        let (tokens, tokens_later, dead, dead_later) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { shelf, wires, rings, now: START, cut_since: None, tokens, dead, dead_later, tokens_later }
    }

    async fn meet(&mut self, event: &Event) {
        match event {
            Event::Pass(seconds) => {
                self.now = self.now.plus(Duration::from_secs(*seconds));
                // longer than that, and the others forget keys the lonely one still signs with
                if self.cut_since.is_some_and(|since| self.now.since(since) > hours(46)) {
                    self.mend();
                }
            }
            Event::Cut(at) if self.cut_since.is_none() => {
                self.cut_since = Some(self.now);
                self.wires[*at].cut.store(true, Ordering::Relaxed);
            }
            Event::Cut(_) => {}
            Event::Mend => self.mend(),
            Event::Rotate(at, mode) => {
                let known: Vec<String> = self.rings[*at].list().into_iter().map(|key| key.kid).collect();
                let done = self.rings[*at].rotate(*mode, self.now).await;
                match done {
                    Ok(Reach::Everywhere) if *mode == Mode::Emergency => self.dead.extend(known),
                    Ok(Reach::HereOnly) => self.dead_later.extend(known),
                    Ok(Reach::Everywhere) | Err(_) => {}
                }
            }
            // while one is away it may be the only one to know of what was lost
            Event::Empty if self.cut_since.is_none() => *self.shelf.document.lock() = None,
            Event::Empty => {}
        }
        let (one, two, three) = (&self.rings[0], &self.rings[1], &self.rings[2]);
        for _ in 0..4 {
            let _ = tokio::join!(one.tick(self.now), two.tick(self.now), three.tick(self.now));
        }
    }

    fn mend(&mut self) {
        self.cut_since = None;
        self.dead.append(&mut self.dead_later);
        self.tokens.append(&mut self.tokens_later);
        self.wires.iter().for_each(|wire| wire.cut.store(false, Ordering::Relaxed));
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let (now, joined) = (self.now, |at: usize| !self.wires[at].cut.load(Ordering::Relaxed));
        let connected: Vec<_> = (0..3).filter(|at| joined(*at)).map(|at| &self.rings[at]).collect();
        for ring in &connected {
            prop_assert_eq!(active(ring), active(connected[0]));
            prop_assert_eq!(&ring.jwks().body, &connected[0].jwks().body);
        }
        self.tokens.retain(|(_, minted)| now.since(*minted) < minutes(15));
        for (at, ring) in self.rings.iter().enumerate() {
            let alone = !joined(at) && !self.dead_later.is_empty();
            let tokens = if alone { &mut self.tokens_later } else { &mut self.tokens };
            tokens.push((mint(ring, now), now));
        }
        for (text, _) in &self.tokens {
            let kid = Unverified::parse(text).unwrap().unverified_kid().unwrap().to_owned();
            for ring in &connected {
                prop_assert_eq!(accepts(ring, text, now).is_ok(), !self.dead.contains(&kid), "{}", kid);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whoever is cut off, rotates or loses data: those who reach the store have one ring, take every honest token, and
    /// take none of a key that an emergency killed.
    #[test]
    fn a_fleet_has_one_ring(events in prop::collection::vec(event(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut fleet = Fleet::new().await;
            for event in &events {
                fleet.meet(event).await;
                fleet.check()?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
