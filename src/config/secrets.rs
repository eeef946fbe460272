//! Strings that stand for others: `env:NAME` and `file:/path`. The only place that reads the environment.

use std::ffi::OsString;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The largest file a `file:` string may point at, bytes.
const MAX_VALUE: u64 = 256 * 1024;

/// What a configuration is read against.
#[derive(Clone, Copy)]
pub struct World<'w> {
    /// Looks up an environment variable. One that is there and no text is not one that is absent.
    pub env: &'w dyn Fn(&str) -> Option<OsString>,
    pub secrets: Secrets,
}

/// Whether a secret may be written down in the file itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrets {
    /// Only as `env:` or `file:`, so that a configuration can be shown, stored and shared.
    Indirect,
    /// Also literally: for the demo, whose secrets guard nothing.
    Literal,
}

/// A string that was understood.
pub(crate) struct Text {
    pub(crate) value: String,
    /// How a mistake may show it: never the content of a variable or a file.
    pub(crate) shown: String,
    pub(crate) indirect: bool,
    pub(crate) file: Option<PathBuf>,
}

impl World<'_> {
    /// The world of a running process.
    #[must_use]
    pub fn of_process() -> World<'static> {
        World { env: &process_env, secrets: Secrets::Indirect }
    }

    /// A variable of the environment.
    ///
    /// # Errors
    /// It is there, and no text.
    pub fn variable(&self, name: &str) -> Result<Option<String>, String> {
        let value = (self.env)(name).map(OsString::into_string).transpose();
        value.map_err(|_| format!("the variable {name:?} of the environment is not UTF-8"))
    }

    /// Whether `typed` names a variable that is not there.
    pub(super) fn is_absent(&self, typed: &str) -> bool {
        typed.strip_prefix("env:").is_some_and(|name| (self.env)(name).is_none())
    }

    pub(super) fn text(&self, typed: &str, base: &Path) -> Result<Text, String> {
        let shown = format!("{:?}", typed.chars().take(80).collect::<String>());
        let (value, file) = if let Some(name) = typed.strip_prefix("env:") {
            (self.variable(name)?.ok_or_else(|| format!("the environment has no {name:?}"))?, None)
        } else if let Some(path) = typed.strip_prefix("file:") {
            let path = base.join(path);
            let mut value = read_regular(&path, MAX_VALUE).map_err(|why| format!("{}: {why}", path.display()))?;
            // editors and `echo` end a file with a line break that nobody means
            if value.ends_with('\n') {
                value.pop();
                if value.ends_with('\r') {
                    value.pop();
                }
            }
            (value, Some(path))
        } else {
            return Ok(Text { value: typed.to_owned(), shown, indirect: false, file: None });
        };
        Ok(Text { value, shown, indirect: true, file })
    }
}

/// The text of a regular file of at most `max` bytes. Devices and pipes are refused: reading one may never end.
pub(super) fn read_regular(path: &Path, max: u64) -> Result<String, String> {
    let bytes = read_bytes(path, max)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

pub(super) fn read_bytes(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(path).map_err(|e| plain(&e))?;
    if !meta.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|e| plain(&e))?;
    let mut bytes = Vec::new();
    file.take(max.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| plain(&e))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > max {
        return Err(format!("is larger than {} KiB", max / 1024));
    }
    Ok(bytes)
}

/// An I/O error as an operator would say it.
pub(super) fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        _ => error.to_string(),
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn process_env(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

impl fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}
