//! Names of counters: keyed hashes, so that a copy of the store tells nobody which accounts there are or were tried.

use crate::domain::limit::Prefixes;
use crate::domain::secret::Secret;
use crate::domain::session::id::first_half;
use crate::domain::time::UnixTime;
use aws_lc_rs::hmac;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// For how long a device is known after somebody has signed in on it.
pub const KNOWN_FOR: Duration = Duration::from_secs(180 * 24 * 3600);

/// The name of one counter.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TallyKey([u8; 16]);

/// A device on which an account was signed in: random bits, and from when they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceId {
    pub random: [u8; 16],
    pub since: UnixTime,
}

/// What hashes names of counters.
pub struct TallyKeys(hmac::Key);

impl TallyKeys {
    #[must_use]
    pub fn new(key: &Secret) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.expose()))
    }

    /// An account at an address.
    #[must_use]
    pub fn of_account(&self, account: &str, from: Option<IpAddr>, prefixes: Prefixes) -> TallyKey {
        self.hash(b"account", account, &neighbourhood(from, prefixes))
    }

    /// An account on a device it was signed in on, wherever that is now.
    #[must_use]
    pub fn of_device(&self, account: &str, device: &DeviceId) -> TallyKey {
        self.hash(b"device", account, &device.random)
    }

    /// An address, whatever the account.
    #[must_use]
    pub fn of_address(&self, from: Option<IpAddr>, prefixes: Prefixes) -> TallyKey {
        self.hash(b"address", "", &neighbourhood(from, prefixes))
    }

    /// No kind has a NUL and every place has the length of its kind, so no two names share a reading.
    fn hash(&self, kind: &[u8], account: &str, place: &[u8]) -> TallyKey {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [kind, &[0], place, account.as_bytes()] {
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.iter_mut().zip(context.sign().as_ref()).for_each(|(into, from)| *into = *from);
        TallyKey(first_half(digest))
    }
}

/// The network of an address: one customer of a provider has all of a /64, and could be wrong from every address in it.
/// None on a unix socket.
fn neighbourhood(from: Option<IpAddr>, prefixes: Prefixes) -> [u8; 17] {
    let (kind, address) = match from.map(|ip| ip.to_canonical()) {
        None => (0, 0),
        Some(IpAddr::V4(ip)) => (4, prefixes.of_ipv4(ip)),
        Some(IpAddr::V6(ip)) => (6, prefixes.of_ipv6(ip)),
    };
    let mut bytes = [kind; 17];
    bytes.iter_mut().skip(1).zip(address.to_be_bytes()).for_each(|(into, from)| *into = from);
    bytes
}

impl DeviceId {
    #[must_use]
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let all = self.random.into_iter().chain(self.since.0.to_be_bytes());
        bytes.iter_mut().zip(all).for_each(|(into, from)| *into = from);
        bytes
    }

    /// What [`Self::to_bytes`] gave, unless it is too long ago.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], now: UnixTime) -> Option<Self> {
        let (random, since) = bytes.split_first_chunk::<16>()?;
        let since = UnixTime(u64::from_be_bytes(since.try_into().ok()?));
        (now.since(since) < KNOWN_FOR).then_some(Self { random: *random, since })
    }
}

impl TallyKey {
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for TallyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TallyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whoever holds it has a counter of their own, so it is not printed.
impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceId(..)")
    }
}

impl fmt::Debug for TallyKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TallyKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TallyKeys {
        TallyKeys::new(&Secret::new(vec![7; 32]))
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn an_ipv6_customer_is_one_place_and_an_ipv4_address_another() {
        let at = |text| keys().of_account("alice", ip(text), Prefixes::default());
        assert_eq!(at("2001:db8::1"), at("2001:db8:0:0:ffff::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("192.0.2.1"), at("::ffff:192.0.2.1"));
        assert_ne!(at("192.0.2.1"), keys().of_account("alice", None, Prefixes::default()));
    }

    #[test]
    fn networks_are_as_wide_as_limits_see_them() {
        let wide = Prefixes { ipv4: 24, ipv6: 48 };
        let at = |text| keys().of_address(ip(text), wide);
        assert_eq!((at("192.0.2.1"), at("2001:db8::1")), (at("192.0.2.255"), at("2001:db8:0:1::1")));
        assert_ne!(at("192.0.2.1"), at("192.0.3.1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:1::1"));
    }

    #[test]
    fn accounts_devices_and_addresses_are_counted_apart() {
        let (keys, from) = (keys(), ip("192.0.2.1"));
        let device = DeviceId { random: [1; 16], since: UnixTime(0) };
        let names = [
            keys.of_account("alice", from, Prefixes::default()),
            keys.of_account("bob", from, Prefixes::default()),
            keys.of_account("", from, Prefixes::default()),
            keys.of_address(from, Prefixes::default()),
            keys.of_device("alice", &device),
            keys.of_device("bob", &device),
            keys.of_device("alice", &DeviceId { random: [2; 16], ..device }),
        ];
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert_ne!(
            TallyKeys::new(&Secret::new(vec![8; 32])).of_address(from, Prefixes::default()),
            keys.of_address(from, Prefixes::default())
        );
    }

    #[test]
    fn a_device_is_known_for_half_a_year_and_not_longer() {
        let device = DeviceId { random: [9; 16], since: UnixTime(1_000) };
        let last = UnixTime(1_000 + KNOWN_FOR.as_secs() - 1);
        assert_eq!(DeviceId::from_bytes(&device.to_bytes(), last), Some(device));
        assert_eq!(DeviceId::from_bytes(&device.to_bytes(), UnixTime(last.0 + 1)), None);
        assert_eq!(DeviceId::from_bytes(&device.to_bytes()[..23], last), None);
        assert_eq!(format!("{device:?}"), "DeviceId(..)");
    }
}
