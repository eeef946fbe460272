//! Whose word about the client counts.

use ipnet::IpNet;
use std::net::IpAddr;

/// Peers whose forwarding headers are believed; nobody by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trusted {
    pub networks: Vec<IpNet>,
    /// Peers on a unix socket.
    pub unix: bool,
}

impl Trusted {
    /// Whether a proxy at `ip` is believed. IPv4-mapped IPv6 addresses count as the IPv4 address they are.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_trusted_by_default() {
        assert!(!Trusted::default().trusts("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address_it_stands_for() {
        let trusted = Trusted { networks: vec!["10.0.0.0/8".parse().unwrap()], unix: false };
        assert!(trusted.trusts("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!trusted.trusts("::ffff:11.1.2.3".parse().unwrap()));
    }
}
