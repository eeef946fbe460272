//! The list of revocations in a file. Its MAC is under it already; names are hashed in it, so there is nothing to seal.

use crate::ports::revocation::Shelf;
use crate::ports::store::StoreError;
use crate::store::file::WholeFile;
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "revocations";

#[derive(Debug)]
pub struct FileShelf(WholeFile);

impl FileShelf {
    /// With what lies in `directory`, if anything does.
    ///
    /// # Errors
    /// The directory cannot be made, or the file not be read.
    pub fn open(directory: &Path) -> io::Result<(Self, Option<Vec<u8>>)> {
        let file = WholeFile::within(directory, NAME)?;
        let kept = file.read()?;
        Ok((Self(file), kept))
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Keeps what cannot be read out of the way of what will be written.
    ///
    /// # Errors
    /// It stays in the way.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        self.0.set_aside()
    }
}

impl Shelf for FileShelf {
    fn put(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.replace(bytes).map_err(|error| StoreError(format!("{}: {error}", self.path().display())))
    }
}
