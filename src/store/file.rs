//! A file that is replaced as a whole or not at all: whoever dies in between leaves the old one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One file in a directory that only its owner may enter.
#[derive(Debug)]
pub struct WholeFile {
    directory: PathBuf,
    path: PathBuf,
    draft: PathBuf,
}

impl WholeFile {
    /// `name` without an ending: the file is `name.sealed`. The directory is made if there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn within(directory: &Path, name: &str) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let [path, draft] = ["sealed", "draft"].map(|ending| directory.join(format!("{name}.{ending}")));
        Ok(Self { directory: directory.to_owned(), path, draft })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `None`: there is none.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns when `bytes` would survive a power cut. Blocks, for as long as the disk takes.
    ///
    /// # Errors
    /// The file is as it was before.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        match fs::remove_file(&self.draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // New, so that nobody's link leads elsewhere.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&self.draft, &self.path)?;
        File::open(&self.directory)?.sync_all()
    }

    /// Gives the file another name, under which nothing writes; the new name.
    ///
    /// # Errors
    /// It stays where it is.
    pub fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.with_extension("unreadable");
        fs::rename(&self.path, &aside).map(|()| aside)
    }
}
