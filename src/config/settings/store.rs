//! Where state is kept.

use crate::domain::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// `[store]`.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    pub kind: StoreKind,
    /// PEM file with the CA of a store reached by TLS; `None`: the system's.
    pub ca: Option<PathBuf>,
    /// How to log in at the sentinels.
    pub sentinel_username: Option<String>,
    pub sentinel_password: Option<Secret>,
    /// In front of every key.
    pub prefix: String,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// A replica that could not confirm the revocation log for longer is stale.
    pub max_staleness: Duration,
    /// Directory for what must survive a restart.
    pub state_dir: Option<PathBuf>,
    /// Each of 32 bytes or more; the first seals, all open. Empty, which only a memory store may be: whoever starts
    /// the gate makes a random one, and what it sealed ends with the process.
    pub secrets: Vec<Secret>,
}

#[derive(Clone, Debug)]
pub enum StoreKind {
    /// In this process.
    Memory,
    /// Redis or Valkey.
    Redis {
        /// Names or addresses, an IPv6 address without brackets; never empty. Of a `Sentinel` they are the sentinels.
        nodes: Vec<(String, u16)>,
        topology: Topology,
        tls: bool,
        username: Option<String>,
        password: Option<Secret>,
        /// Always 0 in a cluster.
        db: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    Single,
    /// The name of the primary, as the sentinels know it.
    Sentinel {
        master: String,
    },
    Cluster,
}
