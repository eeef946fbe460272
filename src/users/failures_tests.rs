use super::*;
use crate::domain::failures::DeviceId;
use crate::domain::limit::Prefixes;
use crate::domain::secret::Secret;
use crate::domain::session::Millis;
use crate::domain::time::UnixTime;
use crate::store::memory::Tallies;
use crate::store::Clock;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

const TERMS: Schedule =
    Schedule { free: 9, block: Duration::from_secs(60), block_max: Duration::from_secs(3600), fades: None };
const TERMS_NOW: Terms = Terms { schedule: TERMS, prefixes: Prefixes { ipv4: 32, ipv6: 64 } };
const HOME: &str = "192.0.2.1";

/// Time, a counter, and a store that can be away.
struct Street {
    time: Arc<AtomicU64>,
    counting: Counting,
    down: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Shaky(Tallies, Arc<AtomicBool>);

impl Shaky {
    fn up(&self) -> Result<(), StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError("it is away".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Failures for Shaky {
    async fn charge(&self, key: TallyKey, schedule: &Schedule) -> Result<Charged, StoreError> {
        self.up()?;
        self.0.charge(key, schedule).await
    }

    async fn give_back(&self, key: TallyKey, serial: u32, schedule: &Schedule) -> Result<(), StoreError> {
        self.up()?;
        self.0.give_back(key, serial, schedule).await
    }

    async fn failed(&self, key: TallyKey, schedule: &Schedule) -> Result<(), StoreError> {
        self.up()?;
        self.0.failed(key, schedule).await
    }

    async fn tally(&self, key: TallyKey) -> Result<(Tally, Millis), StoreError> {
        self.up()?;
        self.0.tally(key).await
    }

    async fn forget(&self, key: TallyKey) -> Result<(), StoreError> {
        self.up()?;
        self.0.forget(key).await
    }
}

impl Street {
    fn new() -> Self {
        let (time, down) = (Arc::new(AtomicU64::new(1_000_000)), Arc::<AtomicBool>::default());
        let clock = || {
            let read = Arc::clone(&time);
            Clock::new(move || Millis(read.load(Ordering::SeqCst)))
        };
        let store = Arc::new(Shaky(Tallies::new(clock(), 10_000), Arc::clone(&down)));
        let here = Arc::new(Tallies::new(clock(), 10_000));
        let counting = Counting::new(store, here, TallyKeys::new(&Secret::new(vec![7; 32])), TERMS_NOW);
        Self { time, counting, down }
    }

    fn pass(&self, span: Duration) {
        self.time.fetch_add(u64::try_from(span.as_millis()).unwrap(), Ordering::SeqCst);
    }

    async fn charge(&self, name: &str, from: &str, device: Option<DeviceId>) -> Charge {
        let (password, from) = (Secret::new(Vec::new()), Some(from.parse::<IpAddr>().unwrap()));
        let attempt = SignIn { name, password: &password, from, device };
        self.counting.charge(&attempt).await.unwrap()
    }

    /// A wrong password; `false`: it was not even compared.
    async fn guess(&self, name: &str, from: &str) -> bool {
        match self.charge(name, from, None).await {
            Charge::Taken(receipt) => {
                self.counting.settle(receipt, Outcome::Wrong).await;
                true
            }
            Charge::Blocked { .. } => false,
        }
    }

    async fn ends(&self, name: &str, from: &str, outcome: Outcome) {
        let Charge::Taken(receipt) = self.charge(name, from, None).await else { panic!("blocked") };
        self.counting.settle(receipt, outcome).await;
    }
}

fn device(number: u8) -> DeviceId {
    DeviceId { random: [number; 16], since: UnixTime(1_000) }
}

#[tokio::test]
async fn the_tenth_failure_is_the_last_that_is_compared() {
    let street = Street::new();
    for _ in 0..10 {
        assert!(street.guess("alice", HOME).await);
    }
    let blocked = Charge::Blocked { again_in: Duration::from_secs(60), free: 9 };
    assert_eq!(street.charge("alice", HOME, None).await, blocked);
    street.pass(Duration::from_secs(60));
    assert!(street.guess("alice", HOME).await);
    let blocked = Charge::Blocked { again_in: Duration::from_secs(120), free: 9 };
    assert_eq!(street.charge("alice", HOME, None).await, blocked, "a block twice as long");
}

#[tokio::test]
async fn the_right_password_forgives_the_account_and_not_the_address() {
    let street = Street::new();
    for at in 0..81 {
        assert!(street.guess(&format!("victim {}", at / 9), HOME).await);
    }
    // somebody signs in with an account of their own, again and again, to be forgiven
    for _ in 0..20 {
        for _ in 0..9 {
            street.guess("mallory", HOME).await;
        }
        if let Charge::Taken(receipt) = street.charge("mallory", HOME, None).await {
            street.counting.settle(receipt, Outcome::SignedIn).await;
        }
    }
    assert!(!street.guess("victim 99", HOME).await);
    assert!(street.guess("victim 99", "192.0.2.2").await, "and nobody else is blocked");
}

#[tokio::test]
async fn what_was_not_compared_costs_nothing() {
    let street = Street::new();
    for _ in 0..200 {
        street.ends("alice", HOME, Outcome::Uncompared).await;
    }
    for _ in 0..10 {
        assert!(street.guess("alice", HOME).await);
    }
}

/// Hammering at one account must not block the address for everybody behind it.
#[tokio::test]
async fn a_blocked_account_charges_its_address_no_further() {
    let street = Street::new();
    for _ in 0..1_000 {
        street.guess("alice", HOME).await;
    }
    assert!(street.guess("bob", HOME).await);
}

#[tokio::test]
async fn a_blocked_address_charges_no_account() {
    let street = Street::new();
    for at in 0..91 {
        assert!(street.guess(&format!("user {at}"), HOME).await);
    }
    for _ in 0..30 {
        assert!(!street.guess("alice", HOME).await);
    }
    street.pass(Duration::from_secs(60));
    let Charge::Taken(receipt) = street.charge("alice", HOME, None).await else { panic!("blocked") };
    street.counting.settle(receipt, Outcome::Uncompared).await;
    for _ in 0..9 {
        street.ends("alice", HOME, Outcome::Uncompared).await;
    }
}

#[tokio::test]
async fn while_the_store_is_away_each_replica_counts_by_itself() {
    let street = Street::new();
    for _ in 0..5 {
        street.guess("alice", HOME).await;
    }
    street.down.store(true, Ordering::SeqCst);
    for _ in 0..10 {
        assert!(street.guess("alice", HOME).await);
    }
    assert!(!street.guess("alice", HOME).await && street.counting.is_alone());
    street.down.store(false, Ordering::SeqCst);
    for _ in 0..5 {
        assert!(street.guess("alice", HOME).await, "what the store knew before still counts");
    }
    assert!(!street.guess("alice", HOME).await && !street.counting.is_alone());
}

/// A charge is taken back where it was written down, whatever became of the store meanwhile.
#[tokio::test]
async fn a_charge_of_this_replica_is_not_taken_from_the_store() {
    let street = Street::new();
    for _ in 0..10 {
        street.guess("alice", HOME).await;
    }
    street.down.store(true, Ordering::SeqCst);
    let Charge::Taken(receipt) = street.charge("alice", HOME, None).await else { panic!("blocked") };
    street.down.store(false, Ordering::SeqCst);
    street.counting.settle(receipt, Outcome::SignedIn).await;
    assert!(!street.guess("alice", HOME).await);
}

#[tokio::test]
async fn operators_see_and_reset_what_is_counted() {
    let street = Street::new();
    for _ in 0..10 {
        street.guess("alice", HOME).await;
    }
    let home = Some(HOME.parse().unwrap());
    let told = street.counting.stands(Some("alice"), home).await.unwrap();
    assert_eq!(told, Counted { failures: 10, free: 9, again_in: Some(TERMS.block) });
    let told = street.counting.stands(None, home).await.unwrap();
    assert_eq!(told, Counted { failures: 10, free: 90, again_in: None });
    assert_eq!(street.counting.reset(Some("alice"), home).await, Ok(true));
    assert_eq!(street.counting.reset(Some("alice"), home).await, Ok(false));
    assert!(street.guess("alice", HOME).await);
    assert_eq!(street.counting.reset(None, home).await, Ok(true));
    assert_eq!(street.counting.stands(None, home).await.unwrap().failures, 0);
}

#[tokio::test]
async fn whoever_looks_is_not_charged() {
    let street = Street::new();
    let password = Secret::new(Vec::new());
    let attempt = SignIn { name: "alice", password: &password, from: Some(HOME.parse().unwrap()), device: None };
    for _ in 0..10 {
        assert_eq!(street.counting.wait(&attempt).await, Ok(None));
        street.guess("alice", HOME).await;
    }
    assert_eq!(street.counting.wait(&attempt).await, Ok(Some((TERMS.block, 9))));
}

/// Else a stolen cookie of a device would guess on without its address ever being noticed.
#[tokio::test]
async fn a_known_device_charges_its_address_and_is_not_blocked_by_it() {
    let street = Street::new();
    for at in 0..100_u8 {
        let charged = street.charge(&format!("somebody {at}"), HOME, Some(device(at))).await;
        let Charge::Taken(receipt) = charged else { panic!("blocked after {at}") };
        street.counting.settle(receipt, Outcome::Wrong).await;
    }
    assert!(!street.guess("alice", HOME).await, "strangers there wait");
}

#[tokio::test]
async fn a_new_schedule_counts_from_the_next_attempt() {
    let street = Street::new();
    street.counting.set_terms(Terms { schedule: Schedule { free: 1, ..TERMS }, ..TERMS_NOW });
    assert!(street.guess("alice", HOME).await && street.guess("alice", HOME).await);
    assert!(!street.guess("alice", HOME).await);
}

/// Strangers guess at one account from everywhere, from the victim's own address too, for a week. The victim is never
/// blocked on their own device, nor where no stranger is; and nobody guesses much.
#[tokio::test]
async fn nobody_can_lock_out_a_victim() {
    for seed in 0..5 {
        let (street, mut random) = (Street::new(), fastrand::Rng::with_seed(seed));
        let (mut compared, mut tries) = (0, 0);
        while street.time.load(Ordering::SeqCst) < 7 * 86_400_000 {
            street.pass(Duration::from_secs(random.u64(1..600)));
            compared += street.strangers(&mut random).await;
            if random.u8(0..10) == 0 {
                street.victim(&mut random).await;
                tries += 1;
            }
        }
        assert!(tries > 50, "{tries}");
        // an hour's block each: a week has 168, on twenty addresses
        assert!(compared < 20 * (168 + 16), "{compared} guesses at one account");
    }
}

impl Street {
    /// Up to thirty guesses from twenty addresses, mostly at the victim; how many of those were compared.
    async fn strangers(&self, random: &mut fastrand::Rng) -> u32 {
        let mut compared = 0;
        for _ in 0..random.u32(0..30) {
            let from = format!("192.0.2.{}", random.u8(1..21));
            let name = ["victim", "victim", "victim", "bob", "carol"][random.usize(0..5)];
            compared += u32::from(self.guess(name, &from).await && name == "victim");
            // with a device of an account of their own
            self.charge("mallory", &from, Some(device(random.u8(100..110)))).await;
        }
        compared
    }

    /// The victim is wrong a few times and then right, at one of those addresses; and right somewhere else.
    async fn victim(&self, random: &mut fastrand::Rng) {
        let here = format!("192.0.2.{}", random.u8(1..21));
        for _ in 0..random.u8(0..10) {
            let slipped = self.charge("victim", &here, Some(device(1))).await;
            assert!(matches!(slipped, Charge::Taken(_)), "blocked on their own device at {here}");
        }
        for (from, device) in [(here.as_str(), Some(device(1))), ("198.51.100.7", None)] {
            let Charge::Taken(receipt) = self.charge("victim", from, device).await else { panic!("blocked at {from}") };
            self.counting.settle(receipt, Outcome::SignedIn).await;
        }
    }
}
