//! The memory store of this process: swept, counted, and kept on disk where there is a directory for it.

use super::state_dir::Alarm;
use crate::config::settings::StoreSettings;
use crate::domain::seal::Seals;
use crate::domain::session::Millis;
use crate::observe::clock;
use crate::observe::metrics::Metrics;
use crate::store::memory::{Bounds, Disk, Found, Memory};
use crate::store::Clock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::Arc;

/// Sessions and short-lived names the memory store holds.
const BOUNDS: Bounds = Bounds { sessions: 200_000, names: 400_000 };
/// Seconds between two looks at whether there is something new to write down.
const KEPT_EVERY: u32 = 5;
/// Of `doorward_degraded`.
const FEATURE: &str = "state_dir";

#[derive(Debug)]
pub(super) struct InMemory {
    pub(super) memory: Arc<Memory>,
    disk: Option<Arc<Keeper>>,
    ticks: AtomicU32,
}

#[derive(Debug)]
struct Keeper {
    disk: Disk,
    alarm: Alarm,
    /// A slow disk is not asked again before it is done.
    busy: AtomicBool,
}

impl InMemory {
    /// With what was kept in `store.state_dir`. What cannot be opened there is said, and keeps nobody from signing in.
    pub(super) fn open(settings: &StoreSettings, seals: &Arc<Seals>, metrics: &Metrics) -> Self {
        let memory = Arc::new(Memory::new(wall_clock(), BOUNDS));
        // A secret made at random opens nothing after the restart, and the configuration has said so.
        let directory = settings.state_dir.as_ref().filter(|_| !settings.secrets.is_empty());
        let alarm = Alarm::new(metrics, FEATURE, "sessions and keys are not kept on disk");
        let disk = directory.and_then(|directory| match Disk::open(directory, Arc::clone(seals), &memory) {
            Ok((disk, found)) => {
                if found == Found::Restored {
                    tracing::info!(sessions = memory.sessions(), "sessions and keys of the last run are back");
                }
                alarm.note(None::<&str>);
                Some(Arc::new(Keeper { disk, alarm, busy: AtomicBool::new(false) }))
            }
            Err(error) => {
                alarm.note(Some(&error));
                None
            }
        });
        Self { memory, disk, ticks: AtomicU32::new(0) }
    }

    /// Every second.
    pub(super) fn tick(&self, metrics: &Metrics) {
        let sessions = u32::try_from(self.memory.sessions()).unwrap_or(u32::MAX);
        metrics.sessions_active.set(f64::from(sessions));
        if !self.ticks.fetch_add(1, Ordering::Relaxed).is_multiple_of(KEPT_EVERY) {
            return;
        }
        if let Some(keeper) = self.disk.as_ref().filter(|keeper| !keeper.busy.swap(true, Ordering::AcqRel)) {
            let (keeper, memory) = (Arc::clone(keeper), Arc::clone(&self.memory));
            tokio::task::spawn_blocking(move || {
                keeper.keep(&memory);
                keeper.busy.store(false, Ordering::Release);
            });
        }
    }

    /// The last thing that happens.
    pub(super) fn close(&self) {
        if let Some(keeper) = &self.disk {
            keeper.keep(&self.memory);
        }
    }
}

/// The time of records kept in this process.
pub(super) fn wall_clock() -> Clock {
    Clock::new(|| {
        let wall = clock::wall();
        Millis(wall.seconds * 1000 + u64::from(wall.millis))
    })
}

impl Keeper {
    fn keep(&self, memory: &Memory) {
        self.alarm.note(self.disk.keep(memory).err());
    }
}
