//! The commands, one file each. Each answers with an exit code: 0 fine, 1 failed, 2 the configuration is wrong,
//! 64 wrong usage.

pub mod admin;
pub mod apikey;
pub mod check;
pub mod demo;
pub mod explain;
pub mod init;
pub mod keys;
mod offline;
pub mod reload;
pub mod revoke;
pub mod routes;
pub mod run;
pub mod schema;
pub mod session;
pub mod test_policy;
pub mod token;
pub mod user;
pub mod user_admin;
pub mod user_hash;

use clap::{Parser, Subcommand};

/// An identity-aware proxy: only who may enter gets through.
#[derive(Clone, Debug, Parser)]
#[command(name = "doorward", version, arg_required_else_help = true)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    Run(run::Args),
    Demo(demo::Args),
    Init(init::Args),
    Check(check::Args),
    Explain(explain::Args),
    Routes(routes::Args),
    TestPolicy(test_policy::Args),
    Schema(schema::Args),
    Token(token::Args),
    Keys(keys::Args),
    Apikey(apikey::Args),
    Session(session::Args),
    User(user::Args),
    Revoke(revoke::Args),
    Reload(reload::Args),
}

/// Wrong usage (sysexits.h, EX_USAGE).
const USAGE: u8 = 64;

/// Reads the command line of this process and does what it says.
#[must_use]
pub fn main() -> u8 {
    match Command::try_parse() {
        Ok(command) => command.run(),
        Err(error) => {
            // Help and version are not errors.
            let code = if error.use_stderr() { USAGE } else { 0 };
            let _ = error.print();
            code
        }
    }
}

impl Command {
    fn run(&self) -> u8 {
        match &self.action {
            Action::Run(args) => run::run(args),
            Action::Demo(args) => demo::run(args),
            Action::Init(args) => init::run(args),
            Action::Check(args) => check::run(args),
            Action::Explain(args) => explain::run(args),
            Action::Routes(args) => routes::run(args),
            Action::TestPolicy(args) => test_policy::run(args),
            Action::Schema(args) => schema::run(args),
            Action::Token(args) => token::run(args),
            Action::Keys(args) => keys::run(args),
            Action::Apikey(args) => apikey::run(args),
            Action::Session(args) => session::run(args),
            Action::User(args) => user::run(args),
            Action::Revoke(args) => revoke::run(args),
            Action::Reload(args) => reload::run(args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_name_may_begin_with_a_hyphen() {
        for name in ["-Ab3_x", "-hWzz", "--Ab3", "-7", "-"] {
            let words: [&[&str]; 10] = [
                &["apikey", "create", "--name", name, "--subject", name],
                &["revoke", "--session", name, "--wait", "none"],
                &["revoke", "--jti", name, "--reason", "compromised"],
                &["revoke", "--user", name, "--source", name],
                &["session", "revoke", name, "--user", name, "--wait", "none"],
                &["session", "revoke", "--wait", "none", name],
                &["session", "list", "--user", name],
                &["user", "block", name, "--source", name],
                &["user", "unblock", "--wait", "none", name],
                &["keys", "retire", name, "--json"],
            ];
            for words in words {
                let parsed = Command::try_parse_from(["doorward"].iter().chain(words));
                assert!(
                    parsed.as_ref().is_ok_and(|parsed| format!("{parsed:?}").contains(&format!("{name:?}"))),
                    "{words:?}: {parsed:?}"
                );
            }
        }
        let help = Command::try_parse_from(["doorward", "session", "revoke", "--help"]).unwrap_err();
        assert!(!help.use_stderr(), "and help is still help");
    }
}
