//! Installs the one crypto provider, reads the command line, and turns what comes of it into an exit code.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// A seventh of what a request costs the proxy underneath is spent in the system's allocator; half of that here.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    // Before anything of Pingora runs: it would install another one.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        return ExitCode::FAILURE;
    }
    ExitCode::from(doorward::cli::main())
}
