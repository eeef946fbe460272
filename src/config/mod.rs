//! The configuration file and what it means.
//!
//! `raw` is the file as typed, `resolve` turns it into [`Settings`] and collects every mistake on the way; the rest of
//! the house sees only the settings.

mod include;
mod mistakes;
mod origin;
mod raw;
mod reading;
mod resolve;
mod restart;
mod schema;
mod secrets;
pub mod settings;
mod store_url;
pub mod watch;

#[cfg(test)]
#[path = "conf_tests.rs"]
mod conf_tests;
#[cfg(test)]
#[path = "limit_tests.rs"]
mod limit_tests;
#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

pub use mistakes::{Mistake, Mistakes, Place};
pub use restart::restart_needed;
pub use schema::schema;
pub use secrets::{Secrets, World};
pub use settings::Settings;

use std::path::{Path, PathBuf};

/// The largest configuration file, bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A configuration without a mistake.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// What works, but is hardly what was meant.
    pub warnings: Vec<Mistake>,
}

/// Reads the file at `path`, all it includes and all it points at.
///
/// # Errors
/// Every mistake in them.
pub fn load(path: &Path) -> Result<Loaded, Mistakes> {
    load_in(path, &World::of_process())
}

/// [`load`] against another environment.
///
/// # Errors
/// Every mistake.
pub fn load_in(path: &Path, world: &World<'_>) -> Result<Loaded, Mistakes> {
    // a watcher must find the file again whatever becomes of the working directory
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = secrets::read_regular(&path, MAX_FILE).map_err(|why| {
        let place = Place { path: path.display().to_string(), ..Place::default() };
        Mistakes(vec![Mistake { place, text: why }])
    })?;
    let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let mut loaded = from_text(&text, &base, world)?;
    loaded.settings.files.insert(0, path);
    Ok(loaded)
}

/// A configuration that is not a file; relative paths in it start at `base`.
///
/// # Errors
/// Every mistake.
pub fn from_text(text: &str, base: &Path, world: &World<'_>) -> Result<Loaded, Mistakes> {
    let (file, findings) = include::read(text, base, world);
    resolve::resolve(file.as_ref(), findings)
}
