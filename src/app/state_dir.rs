//! What `store.state_dir` keeps of revocations, and the alarm when a disk does not take what it is given.

use crate::config::settings::{StoreKind, StoreSettings};
use crate::observe::clock;
use crate::observe::counter::Gauge;
use crate::observe::metrics::Metrics;
use crate::pipeline::revocation::{Awaited, Revocations};
use crate::ports::revocation::Shelf;
use crate::ports::store::StoreError;
use crate::store::revocation::shelf::FileShelf;
use parking_lot::Mutex;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Of `doorward_degraded`.
const FEATURE: &str = "state_dir_revocations";
/// A disk that stays full is no news every second.
const SAID_EVERY: Duration = Duration::from_mins(1);

/// `revocations` with what was revoked when the last process ended, from now on kept there.
///
/// A memory store has no other list: if there is one that cannot be read, the gate does not start, for it would let in
/// whoever is blocked. With a shared store the log is the list, and a copy that cannot be read is set aside.
///
/// # Errors
/// In words for an operator.
pub(super) fn kept(
    revocations: Revocations,
    settings: &StoreSettings,
    metrics: &Metrics,
) -> Result<Revocations, String> {
    // Without a secret every process has keys of its own, and reads nobody's list.
    let Some(directory) = settings.state_dir.as_deref().filter(|_| !settings.secrets.is_empty()) else {
        return Ok(revocations);
    };
    let alone = matches!(settings.kind, StoreKind::Memory);
    let alarm = Alarm::new(metrics, FEATURE, "revocations are not kept on disk, and a restart may forget them");
    match open(directory, &revocations, alone) {
        Ok(shelf) => {
            alarm.note(None::<&str>);
            let shelf = Arc::new(Watched { shelf, alarm });
            Ok(revocations.kept_on(shelf, if alone { Awaited::All } else { Awaited::Undelivered }))
        }
        Err(why) if alone => Err(format!("store.state_dir: {why}")),
        Err(why) => {
            alarm.note(Some(&why));
            Ok(revocations)
        }
    }
}

fn open(directory: &Path, revocations: &Revocations, alone: bool) -> Result<FileShelf, String> {
    let (shelf, kept) = FileShelf::open(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let Some(bytes) = kept else { return Ok(shelf) };
    if revocations.restore(&bytes).is_ok() {
        tracing::info!(entries = revocations.entries(), "what was revoked is known from disk");
        return Ok(shelf);
    }
    let why = format!(
        "{} cannot be read: it was written with another store.secret, or it is damaged",
        shelf.path().display()
    );
    if alone {
        return Err(format!(
            "{why}. It says who is blocked and what was revoked, so the gate does not start without it. Give back the \
             secret it was written with, or move the file away to begin with an empty list"
        ));
    }
    let aside = shelf.set_aside().map_err(|error| format!("{why}, nor be set aside: {error}"))?;
    tracing::error!("store.state_dir: {why}. It was set aside as {}, and a new one begins", aside.display());
    Ok(shelf)
}

/// A shelf, and somebody who says when it does not hold.
#[derive(Debug)]
struct Watched {
    shelf: FileShelf,
    alarm: Alarm,
}

impl Shelf for Watched {
    fn put(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let put = self.shelf.put(bytes);
        self.alarm.note(put.as_ref().err());
        put
    }
}

/// Says that something fails when it begins to and once a minute from then on, and when it works again.
#[derive(Debug)]
pub(super) struct Alarm {
    gauge: Arc<Gauge>,
    what: &'static str,
    said: Mutex<Option<Instant>>,
}

impl Alarm {
    pub(super) fn new(metrics: &Metrics, feature: &str, what: &'static str) -> Self {
        Self { gauge: metrics.degraded.with(&[feature]), what, said: Mutex::new(None) }
    }

    /// What became of the last attempt.
    pub(super) fn note(&self, failed: Option<impl Display>) {
        self.gauge.set(if failed.is_some() { 1.0 } else { 0.0 });
        let mut said = self.said.lock();
        match failed {
            Some(why) if said.is_none_or(|at| at.elapsed() >= SAID_EVERY) => {
                *said = Some(clock::instant());
                tracing::error!("store.state_dir: {}: {why}", self.what);
            }
            None if said.take().is_some() => tracing::info!("store.state_dir: works again"),
            Some(_) | None => {}
        }
    }
}
