//! A memory store on disk, for a restart: sealed, so that a copied disk opens no session and signs no token.
//!
//! A file that cannot be opened is left as it is, for it may only lack the
//! secret it was sealed with; then nothing is written either.

use super::Memory;
use crate::domain::seal::{Purpose, Seals};
use crate::domain::secret::Secret;
use crate::store::file::WholeFile;
use aws_lc_rs::rand;
use parking_lot::Mutex;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "sessions";
/// Stands first, and what follows is bound to it.
const VERSION: &[u8] = b"doorward-state-1\n";
const ID: usize = 16;

/// Where one memory store is kept.
pub struct Disk {
    file: WholeFile,
    seals: Arc<Seals>,
    /// Every process seals under keys of its own: it writes every few seconds, for years.
    id: [u8; ID],
    /// The changes that were written last.
    written: Mutex<Option<u64>>,
}

/// What a start found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Restored,
}

/// Why nothing is kept. In words for an operator.
#[derive(Debug, thiserror::Error)]
pub enum CannotKeep {
    #[error("{path}: {source}", path = .path.display())]
    System { path: PathBuf, source: io::Error },
    #[error(
        "{path} cannot be opened: it was sealed with another store.secret, or it is damaged. It was left as it is, this \
         gate starts without sessions, and nothing is kept of them. Give back the secret it was sealed with, or move \
         the file away, and restart",
        path = .0.display()
    )]
    Sealed(PathBuf),
    #[error("the cryptographic library refused")]
    Crypto,
}

impl Disk {
    /// Fills `memory` with what was kept in `directory`, which is made if there is none.
    ///
    /// # Errors
    /// There is something that cannot be read. Nothing was changed, here and on the disk.
    pub fn open(directory: &Path, seals: Arc<Seals>, memory: &Memory) -> Result<(Self, Found), CannotKeep> {
        let file = WholeFile::within(directory, NAME);
        let file = file.map_err(|source| CannotKeep::System { path: directory.to_owned(), source })?;
        let path = file.path().to_owned();
        let disk = Self { file, seals, id: random()?, written: Mutex::new(None) };
        let bytes = disk.file.read().map_err(|source| CannotKeep::System { path: path.clone(), source })?;
        let Some(bytes) = bytes else { return Ok((disk, Found::Nothing)) };
        let plain = disk.unseal(&bytes).ok_or_else(|| CannotKeep::Sealed(path.clone()))?;
        memory.restore(plain.expose()).map_err(|_| CannotKeep::Sealed(path))?;
        Ok((disk, Found::Restored))
    }

    /// Writes `memory` down if anything was changed since the last time. Blocks, for as long as the disk takes.
    ///
    /// # Errors
    /// The file is as it was before.
    pub fn keep(&self, memory: &Memory) -> Result<bool, CannotKeep> {
        let mut written = self.written.lock();
        // Read before the snapshot is taken: what is changed meanwhile is written once more rather than never.
        let changes = memory.changes();
        if *written == Some(changes) {
            return Ok(false);
        }
        let sealed = self.seal(&Secret::new(memory.snapshot()))?;
        let replaced = self.file.replace(&sealed);
        replaced.map_err(|source| CannotKeep::System { path: self.file.path().to_owned(), source })?;
        *written = Some(changes);
        Ok(true)
    }

    fn seal(&self, plain: &Secret) -> Result<Vec<u8>, CannotKeep> {
        let seals = self.seals.of_record(Purpose::Snapshot, &self.id).map_err(|_| CannotKeep::Crypto)?;
        let sealed = seals.seal(VERSION, random()?, plain.expose()).map_err(|_| CannotKeep::Crypto)?;
        Ok([VERSION, &self.id, &sealed].concat())
    }

    fn unseal(&self, bytes: &[u8]) -> Option<Secret> {
        let (id, sealed) = bytes.strip_prefix(VERSION)?.split_at_checked(ID)?;
        self.seals.of_record(Purpose::Snapshot, id).ok()?.open(VERSION, sealed)
    }
}

fn random<const N: usize>() -> Result<[u8; N], CannotKeep> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| CannotKeep::Crypto)?;
    Ok(bytes)
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("file", &self.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
