//! `doorward init`: a starter file that works after the edits it names.

use std::io::{self, Write};
use std::path::PathBuf;

const SIDECAR: &str = include_str!("../../conf/sidecar.toml");
const EDGE: &str = include_str!("../../conf/edge.toml");

/// Writes a commented starter file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the gate will stand.
    pub kind: Kind,
    /// Write it here instead of printing it; a file that exists is left alone.
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Beside one application, in its pod.
    Sidecar,
    /// In front of several applications, with TLS.
    Edge,
    /// Asked by another proxy.
    ForwardAuth,
}

/// Prints the starter, or writes it.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let text = match args.kind {
        Kind::Sidecar => SIDECAR,
        Kind::Edge => EDGE,
        Kind::ForwardAuth => {
            let _ = writeln!(io::stderr(), "forward-auth is not available yet; sidecar and edge are");
            return 1;
        }
    };
    let written = match &args.output {
        None => io::stdout().write_all(text.as_bytes()),
        // never over a file somebody may need
        Some(path) => std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes())),
    };
    match (written, &args.output) {
        (Ok(()), None) => 0,
        (Ok(()), Some(path)) => {
            let _ = writeln!(io::stderr(), "{} is written; next: doorward check --config {0}", path.display());
            0
        }
        (Err(error), _) => {
            let place = args.output.as_ref().map_or_else(|| "stdout".to_owned(), |path| path.display().to_string());
            let _ = writeln!(io::stderr(), "{place}: {error}");
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("doorward.toml");
        let args = Args { kind: Kind::Sidecar, output: Some(path.clone()) };
        assert_eq!(run(&args), 0);
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(run(&args), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }

    #[test]
    fn forward_auth_says_that_it_is_not_there_yet() {
        assert_eq!(run(&Args { kind: Kind::ForwardAuth, output: None }), 1);
    }
}
