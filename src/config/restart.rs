//! What a reload cannot change.

use super::settings::{StoreKind, StoreSettings};
use super::Settings;
use crate::domain::secret::Secret;

/// The keys that differ between two configurations and take effect only after a restart.
#[must_use]
pub fn restart_needed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let changed = [
        ("server.listen", old.server.listen != new.server.listen),
        ("server.threads", old.server.threads != new.server.threads),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.health", old.admin.health != new.admin.health),
    ];
    let changed = changed.into_iter().chain(in_store(&old.store, &new.store));
    changed.filter_map(|(key, changed)| changed.then_some(key)).collect()
}

fn in_store(old: &StoreSettings, new: &StoreSettings) -> [(&'static str, bool); 9] {
    let same = |(a, b): (&Secret, &Secret)| a.matches(b.expose());
    let secrets = old.secrets.len() == new.secrets.len() && old.secrets.iter().zip(&new.secrets).all(same);
    [
        ("store.url", !same_place(&old.kind, &new.kind)),
        ("store.ca", old.ca != new.ca),
        ("store.sentinel_username", old.sentinel_username != new.sentinel_username),
        ("store.sentinel_password", !same_password(&old.sentinel_password, &new.sentinel_password)),
        ("store.prefix", old.prefix != new.prefix),
        ("store.timeout", old.timeout != new.timeout),
        ("store.max_staleness", old.max_staleness != new.max_staleness),
        ("store.state_dir", old.state_dir != new.state_dir),
        ("store.secret", !secrets),
    ]
}

fn same_place(old: &StoreKind, new: &StoreKind) -> bool {
    match (old, new) {
        (StoreKind::Memory, StoreKind::Memory) => true,
        (
            StoreKind::Redis { nodes, topology, tls, username, password, db },
            StoreKind::Redis {
                nodes: other_nodes,
                topology: other_topology,
                tls: other_tls,
                username: other_username,
                password: other_password,
                db: other_db,
            },
        ) => {
            let place = (nodes, topology, tls, username, db)
                == (other_nodes, other_topology, other_tls, other_username, other_db);
            same_password(password, other_password) && place
        }
        (StoreKind::Memory, StoreKind::Redis { .. }) | (StoreKind::Redis { .. }, StoreKind::Memory) => false,
    }
}

fn same_password(old: &Option<Secret>, new: &Option<Secret>) -> bool {
    match (old, new) {
        (Some(one), Some(other)) => one.matches(other.expose()),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
