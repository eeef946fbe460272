//! `doorward check`: every mistake of a configuration at once.

use crate::config::settings::ProviderKind;
use crate::config::{self, Loaded, Mistakes};
use crate::users::Roster;
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
    let result = config::load(path).and_then(with_users);
    // whoever closed the pipe has seen enough; the exit code still tells
    report(path, &result, args.strict, &mut io::stdout().lock()).unwrap_or_else(|_| code(&result, args.strict))
}

/// The files of local users too: a gate with a mistake in one of them does not start.
fn with_users(mut loaded: Loaded) -> Result<Loaded, Mistakes> {
    let mut mistakes = Mistakes::default();
    for provider in &loaded.settings.providers {
        let ProviderKind::Local { users } = &provider.kind else { continue };
        match Roster::from_file(users) {
            Ok(roster) => loaded.warnings.extend(roster.warnings().iter().cloned()),
            Err(found) => mistakes.0.extend(found.0),
        }
    }
    if mistakes.is_empty() {
        Ok(loaded)
    } else {
        Err(mistakes)
    }
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
            let providers = loaded.settings.providers.len();
            let counts = [
                counted(routes, "route"),
                counted(providers, "provider"),
                counted(issuers, "issuer"),
                counted(upstreams, "upstream"),
            ];
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
                && text.ends_with("1 warning (1 route, 0 providers, 0 issuers, 1 upstream)\n"),
            "{text}"
        );
        assert_eq!(checked(LONELY, true).0, 2);
    }

    /// The verdict on a file of users.
    fn checked_users(users: &str, strict: bool) -> (u8, String) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("users.toml"), users).unwrap();
        let text = "[[provider]]\nname = \"local\"\nkind = \"local\"\nusers = \"users.toml\"\n[[upstream]]\nname = \
                    \"app\"\nurl = \"http://a\"\n[[route]]\npath = \"/**\"\naccess = \"authenticated\"\n";
        let world = World { env: &|_| None, secrets: Secrets::Indirect };
        let result = from_text(text, directory.path(), &world).and_then(with_users);
        let mut out = Vec::new();
        let code = report(Path::new("a.toml"), &result, strict, &mut out).unwrap();
        (code, String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_mistake_in_the_file_of_users_is_told_with_its_line() {
        let (code, text) = checked_users("[[user]]\nname = \"alice\"\npassword = \"secret\"\ncolour = 1\n", false);
        assert_eq!(code, 2, "{text}");
        assert!(text.contains("users.toml: user[0].password (line 3): "), "{text}");
        assert!(text.contains("users.toml: user[0].colour (line 4): ") && text.ends_with("2 mistakes\n"), "{text}");
    }

    #[test]
    fn what_is_odd_about_the_file_of_users_is_a_warning() {
        let (code, text) = checked_users("", false);
        assert!(code == 0 && text.contains("users.toml: the file: nobody is in it"), "{text}");
        assert!(text.ends_with("(1 route, 1 provider, 0 issuers, 1 upstream)\n"), "{text}");
        assert_eq!(checked_users("", true).0, 2);
    }

    #[test]
    fn every_mistake_has_a_line_and_they_are_counted() {
        let (code, text) = checked("server.threads = \"x\"\nserver.lisen = 1\n", false);
        assert_eq!(code, 2);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("2 mistakes\n"), "{text}");
    }
}
