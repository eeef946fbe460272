//! The store that replicas share, from its settings.

use crate::config::settings::{StoreKind, StoreSettings, Topology};
use crate::store::redis::{Address, Redis, RedisKind, RedisPlan, RedisTls};
use std::fs;
use std::path::PathBuf;

/// `None`: state is kept in this process.
pub(super) async fn redis(settings: &StoreSettings) -> Result<Option<Redis>, String> {
    let StoreKind::Redis { nodes, topology, tls, username, password, db } = &settings.kind else {
        return Ok(None);
    };
    let mut addresses: Vec<Address> =
        nodes.iter().map(|(host, port)| Address { host: host.clone(), port: *port }).collect();
    let kind = match topology {
        Topology::Single => RedisKind::Single(addresses.pop().ok_or("store.url names no server")?),
        Topology::Sentinel { master } => RedisKind::Sentinel {
            sentinels: addresses,
            master: master.clone(),
            username: settings.sentinel_username.clone(),
            password: settings.sentinel_password.clone(),
        },
        Topology::Cluster => RedisKind::Cluster(addresses),
    };
    let read = |path: &PathBuf| fs::read(path).map_err(|error| format!("store.ca: {}: {error}", path.display()));
    let ca = settings.ca.as_ref().map(read).transpose()?;
    let plan = RedisPlan {
        kind,
        tls: tls.then_some(RedisTls { ca }),
        username: username.clone(),
        password: password.clone(),
        db: i64::from(*db),
        prefix: settings.prefix.clone(),
        timeout: settings.timeout,
    };
    Redis::connect(plan).await.map(Some).map_err(|error| format!("store: {error}"))
}
