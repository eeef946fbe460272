//! What goes wrong every second, told once.

use parking_lot::Mutex;
use std::fmt::Display;

/// What was last said to be wrong with something.
#[derive(Debug)]
pub(super) struct Trouble {
    what: &'static str,
    said: Mutex<Option<String>>,
}

impl Trouble {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, said: Mutex::default() }
    }

    /// Logs what is new: another trouble, or that there is none any more.
    pub(super) fn note<E: Display>(&self, outcome: Result<(), E>) {
        let trouble = outcome.err().map(|error| error.to_string());
        let before = std::mem::replace(&mut *self.said.lock(), trouble.clone());
        match trouble {
            Some(trouble) if before.as_ref() != Some(&trouble) => tracing::warn!("{}: {trouble}", self.what),
            None if before.is_some() => tracing::info!("{}: all is well again", self.what),
            Some(_) | None => {}
        }
    }
}
