//! The key ring in `store.state_dir`: with a shared store, a replica that restarts while that is away goes on with the
//! keys it had.

use super::state_dir::Alarm;
use crate::config::settings::{StoreKind, StoreSettings};
use crate::domain::time::UnixTime;
use crate::observe::metrics::Metrics;
use crate::pipeline::keys::{CopyMark, SigningRing};
use crate::store::file::WholeFile;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// Of `doorward_degraded`.
const FEATURE: &str = "state_dir_keys";
const NAME: &str = "keys";

#[derive(Debug)]
pub(super) struct RingCopy {
    file: WholeFile,
    written: Mutex<Option<CopyMark>>,
    alarm: Alarm,
    /// A slow disk is not asked again before it is done.
    busy: AtomicBool,
}

impl RingCopy {
    /// `None`: nobody asked for one, or sessions and keys of a memory store are kept together.
    pub(super) fn open(settings: &StoreSettings, metrics: &Metrics) -> Option<Arc<Self>> {
        let shared = !matches!(settings.kind, StoreKind::Memory);
        let directory = settings.state_dir.as_deref().filter(|_| shared && !settings.secrets.is_empty())?;
        let alarm = Alarm::new(metrics, FEATURE, "signing keys are not kept on disk");
        match WholeFile::within(directory, NAME) {
            Ok(file) => Some(Arc::new(Self { file, written: Mutex::default(), alarm, busy: AtomicBool::default() })),
            Err(error) => {
                alarm.note(Some(&error));
                None
            }
        }
    }

    /// Gives `ring` what lies on disk. What cannot be read there is written anew when the store is back.
    pub(super) fn restore(&self, ring: &SigningRing, now: UnixTime) {
        match self.file.read() {
            Ok(None) => {}
            Ok(Some(copy)) => match ring.restore(&copy, now) {
                Ok(()) => tracing::info!("the store is away: signing keys are those kept on disk"),
                Err(error) => tracing::error!("{}: {error}", self.file.path().display()),
            },
            Err(error) => self.alarm.note(Some(&error)),
        }
    }

    /// Every second: what is new in `ring`.
    pub(super) fn keep(self: &Arc<Self>, ring: &Arc<SigningRing>) {
        if self.busy.swap(true, Ordering::AcqRel) {
            return;
        }
        let (copy, ring) = (Arc::clone(self), Arc::clone(ring));
        tokio::task::spawn_blocking(move || {
            copy.write(&ring);
            copy.busy.store(false, Ordering::Release);
        });
    }

    fn write(&self, ring: &SigningRing) {
        let known = *self.written.lock();
        let put = match ring.copy(known) {
            Ok(None) => return,
            Ok(Some((mark, bytes))) => self.file.replace(&bytes).map(|()| mark).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        self.alarm.note(put.as_ref().err());
        if let Ok(mark) = put {
            *self.written.lock() = Some(mark);
        }
    }
}
