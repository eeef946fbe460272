//! Installs the one crypto provider, reads the command line, and turns what comes of it into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything of Pingora runs: it would install another one.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(doorward::cli::main())
}
