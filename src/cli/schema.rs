//! `doorward schema`: the JSON Schema of the file, for editors.

use std::io::{self, Write as _};

/// Prints the JSON Schema of the configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {}

/// Prints to stdout.
#[must_use]
pub fn run(_: &Args) -> u8 {
    u8::from(writeln!(io::stdout(), "{:#}", crate::config::schema()).is_err())
}
