//! `doorward run`: the gate.

use crate::app::App;
use crate::config::{self, watch::Watch};
use crate::observe::log::{self, Format};
use std::io::{self, Write};
use std::path::PathBuf;

/// Runs the gate until SIGTERM, which drains it; SIGHUP reloads the file.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What the program says about itself: error, warn, info, debug.
    #[arg(long, env = "DOORWARD_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
}

/// Returns when the gate has drained.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Some(path) = &args.config else {
        return super::check::no_file("run");
    };
    if let Err(error) = log::init(&args.log, Format::Json) {
        let _ = writeln!(io::stderr(), "--log {}: {error}", args.log);
        return super::USAGE;
    }
    // Absolute, as the settings name it; from before it is read, so that a change in between is seen.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let mut watch = Watch::new(std::slice::from_ref(&path));
    let loaded = match config::load(&path) {
        Ok(loaded) => loaded,
        Err(mistakes) => {
            let _ = writeln!(io::stderr(), "{mistakes}");
            return 2;
        }
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    watch.follow(&loaded.settings.files);
    match App::prepare(loaded.settings, Some((path, watch)), Box::new(io::stdout())).map(serve) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("{error}");
            1
        }
    }
}

fn serve(app: App) {
    for address in app.addresses() {
        tracing::info!(%address, "listening");
    }
    tracing::info!(address = %app.admin_address(), "admin listening");
    app.run();
}
