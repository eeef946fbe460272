//! `doorward check`: every mistake of a configuration at once.

use crate::config::{self, Loaded, Mistakes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Says what is wrong with a configuration, all at once.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Warnings count as mistakes.
    #[arg(long)]
    pub strict: bool,
}

/// Prints the findings to stdout.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Some(path) = &args.config else {
        return no_file("check");
    };
    let result = config::load(path);
    // whoever closed the pipe has seen enough; the exit code still tells
    report(path, &result, args.strict, &mut io::stdout().lock()).unwrap_or_else(|_| code(&result, args.strict))
}

/// The answer of a command that was given no file.
pub(super) fn no_file(command: &str) -> u8 {
    let _ = writeln!(io::stderr(), "doorward {command} --config FILE: which file? (DOORWARD_CONFIG names it too)");
    64
}

fn report(path: &Path, result: &Result<Loaded, Mistakes>, strict: bool, out: &mut dyn Write) -> io::Result<u8> {
    match result {
        Err(mistakes) => writeln!(out, "{mistakes}")?,
        Ok(loaded) => {
            for warning in &loaded.warnings {
                writeln!(out, "warning: {warning}")?;
            }
            let routes = loaded.settings.routes.routes().len();
            let (issuers, upstreams) = (loaded.settings.issuers.len(), loaded.settings.upstreams.len());
            match loaded.warnings.len() {
                0 => write!(out, "{}: fine", path.display())?,
                1 => write!(out, "{}: 1 warning", path.display())?,
                count => write!(out, "{}: {count} warnings", path.display())?,
            }
            let counts = [counted(routes, "route"), counted(issuers, "issuer"), counted(upstreams, "upstream")];
            writeln!(out, " ({})", counts.join(", "))?;
        }
    }
    Ok(code(result, strict))
}

/// `1 route`, `2 routes`.
pub(super) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

fn code(result: &Result<Loaded, Mistakes>, strict: bool) -> u8 {
    match result {
        Ok(loaded) if !strict || loaded.warnings.is_empty() => 0,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{from_text, Secrets, World};

    fn checked(text: &str, strict: bool) -> (u8, String) {
        let world = World { env: &|_| None, secrets: Secrets::Indirect };
        let result = from_text(text, Path::new("/nowhere"), &world);
        let mut out = Vec::new();
        let code = report(Path::new("a.toml"), &result, strict, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    const LONELY: &str =
        "[[upstream]]\nname = \"app\"\nurl = \"http://a\"\n[[route]]\npath = \"/**\"\nroles = [\"x\"]\n";

    #[test]
    fn a_warning_fails_only_when_asked_to() {
        let (code, text) = checked(LONELY, false);
        assert_eq!(code, 0, "{text}");
        assert!(
            text.starts_with("warning: route[0] (line 4): ")
                && text.ends_with("1 warning (1 route, 0 issuers, 1 upstream)\n"),
            "{text}"
        );
        assert_eq!(checked(LONELY, true).0, 2);
    }

    #[test]
    fn every_mistake_has_a_line_and_they_are_counted() {
        let (code, text) = checked("server.threads = \"x\"\nserver.lisen = 1\n", false);
        assert_eq!(code, 2);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("2 mistakes\n"), "{text}");
    }
}
