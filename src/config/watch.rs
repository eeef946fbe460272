//! Tells when a file of the configuration changed.
//!
//! The kernel tells of changes in the directories, not in the files: editors and Kubernetes replace files, the latter
//! by swapping a symlink (`..data`) beside them. Because such news can be lost, once a second the contents are
//! compared as well.

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

const POLL: Duration = Duration::from_secs(1);

/// How long the files must have kept still; a writer seldom writes once.
const SETTLE: Duration = Duration::from_millis(100);

/// After so many rounds of [`SETTLE`] we go on although somebody still writes: a reload takes effect within 2 s.
const MOST_ROUNDS: u8 = 5;

const MAX_FILE: u64 = 16 * 1024 * 1024;

type Digests = BTreeMap<PathBuf, [u8; 32]>;

/// Follows a set of files and directories.
pub struct Watch {
    seen: Digests,
    news: Arc<Notify>,
    /// `None`: the kernel cannot tell us, and only polling is left.
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Follows `files` from now on. To miss nothing, begin with the main file before it is read, and then
    /// [`Watch::follow`] what it named.
    #[must_use]
    pub fn new(files: &[PathBuf]) -> Self {
        let mut watch = Self { seen: Digests::new(), news: Arc::new(Notify::new()), watcher: None };
        watch.follow(files);
        watch
    }

    /// Follows `files` instead. One that was followed before is compared with what it held then.
    pub fn follow(&mut self, files: &[PathBuf]) {
        let mut before = std::mem::take(&mut self.seen);
        self.seen =
            files.iter().map(|path| (path.clone(), before.remove(path).unwrap_or_else(|| digest(path)))).collect();
        self.watcher = self.listen();
    }

    /// Returns when at least one of the files differs from what it was at the last return. May be dropped and called
    /// again without missing a change.
    pub async fn changed(&mut self) {
        loop {
            let now = self.settled().await;
            if now != self.seen {
                self.seen = now;
                return;
            }
            let told = tokio::time::timeout(POLL, self.news.notified()).await;
            if told.is_ok() {
                tokio::time::sleep(SETTLE).await;
            }
        }
    }

    /// The contents, once they have kept still for a moment.
    async fn settled(&self) -> Digests {
        let mut last = digests(&self.seen).await;
        if last == self.seen {
            return last;
        }
        for _ in 0..MOST_ROUNDS {
            tokio::time::sleep(SETTLE).await;
            let now = digests(&self.seen).await;
            if now == last {
                break;
            }
            last = now;
        }
        last
    }

    fn listen(&self) -> Option<RecommendedWatcher> {
        let news = Arc::clone(&self.news);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // reading a file is news too, and we read them ourselves
            if !event.is_ok_and(|event| event.kind.is_access()) {
                news.notify_one();
            }
        })
        .ok()?;
        let parents = self.seen.keys().filter_map(|path| path.parent());
        let themselves = self.seen.keys().filter(|path| path.is_dir()).map(PathBuf::as_path);
        let dirs: BTreeSet<&Path> = parents.chain(themselves).collect();
        for dir in dirs {
            // one that cannot be watched is still polled
            let _polled = watcher.watch(dir, RecursiveMode::NonRecursive);
        }
        Some(watcher)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("files", &self.seen.keys())
            .field("told", &self.watcher.is_some())
            .finish_non_exhaustive()
    }
}

async fn digests(of: &Digests) -> Digests {
    let paths: Vec<PathBuf> = of.keys().cloned().collect();
    let read = move || paths.into_iter().map(|path| (path.clone(), digest(&path))).collect();
    // when the runtime is going down nothing has changed
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| of.clone())
}

/// Of a file its content, of a directory the names in it; a file that cannot be read differs from an empty one.
fn digest(path: &Path) -> [u8; 32] {
    let mut hash = Sha256::new();
    if let Ok(entries) = std::fs::read_dir(path) {
        let names: BTreeSet<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
        for name in names {
            hash.update(name.as_encoded_bytes());
            hash.update([0]);
        }
        return hash.finalize().into();
    }
    let mut content = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut content));
    hash.update([u8::from(read.is_ok())]);
    hash.update(&content);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A change that is not seen hangs the test, so it is cut.
    async fn is_noticed(watch: &mut Watch) -> bool {
        tokio::time::timeout(Duration::from_secs(60), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_rewritten_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        fs::write(&file, "2").unwrap();
        assert!(is_noticed(&mut watch).await);
    }

    #[tokio::test]
    async fn a_swapped_symlink_of_kubernetes_is_noticed() {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("a.toml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/a.toml", at("a.toml")).unwrap();
        let mut watch = Watch::new(&[at("a.toml")]);
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        assert!(is_noticed(&mut watch).await);
    }

    #[tokio::test]
    async fn a_new_file_in_a_followed_directory_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&[dir.path().to_owned()]);
        fs::write(dir.path().join("new.toml"), "").unwrap();
        assert!(is_noticed(&mut watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn without_the_kernel_polling_notices() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        watch.watcher = None;
        fs::write(&file, "2").unwrap();
        assert!(is_noticed(&mut watch).await);
    }

    #[tokio::test]
    async fn what_changed_before_it_is_followed_again_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        fs::write(&file, "2").unwrap();
        watch.follow(&[file, dir.path().join("b.toml")]);
        assert!(is_noticed(&mut watch).await);
    }
}
