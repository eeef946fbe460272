//! What a reload cannot change.

use super::Settings;

/// The keys that differ between two configurations and take effect only after a restart.
#[must_use]
pub fn restart_needed(old: &Settings, new: &Settings) -> Vec<&'static str> {
    // store.* has one possible value so far
    let changed = [
        ("server.listen", old.server.listen != new.server.listen),
        ("server.threads", old.server.threads != new.server.threads),
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.health", old.admin.health != new.admin.health),
    ];
    changed.into_iter().filter_map(|(key, changed)| changed.then_some(key)).collect()
}
