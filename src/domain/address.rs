//! An IP address as text. Every request has one in a header and one in its log line, and the formatting machinery takes
//! ten times as long as writing the four numbers of IPv4 by hand.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Bytes of the longest: an IPv6 address with an IPv4 tail.
const LONGEST: usize = 45;

/// The text of one address, where it is; nothing is allocated.
#[derive(Clone, Copy, Debug)]
pub struct AddressText {
    bytes: [u8; LONGEST],
    length: usize,
}

impl AddressText {
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        let mut text = Self { bytes: [0; LONGEST], length: 0 };
        match ip {
            IpAddr::V4(ip) => text.dotted(ip),
            // Never fails: there is room for every address.
            IpAddr::V6(ip) => drop(write!(text, "{ip}")),
        }
        text
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn dotted(&mut self, ip: Ipv4Addr) {
        let [first, others @ ..] = ip.octets();
        self.number(first);
        for octet in others {
            self.push(b'.');
            self.number(octet);
        }
    }

    fn number(&mut self, octet: u8) {
        if octet >= 100 {
            self.push(b'0' + octet / 100);
        }
        if octet >= 10 {
            self.push(b'0' + octet / 10 % 10);
        }
        self.push(b'0' + octet % 10);
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }
}

impl Write for AddressText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_library_writes(four: [u8; 4], sixteen: [u8; 16]) {
            for ip in [IpAddr::from(four), IpAddr::from(sixteen)] {
                let (ours, theirs) = (AddressText::of(ip), ip.to_string());
                prop_assert_eq!(ours.as_bytes(), theirs.as_bytes());
            }
        }
    }

    #[test]
    fn the_longest_fits() {
        for text in ["255.255.255.255", "::ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            assert_eq!(AddressText::of(text.parse().unwrap()).as_bytes(), text.as_bytes());
        }
    }
}
