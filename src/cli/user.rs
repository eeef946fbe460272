//! `doorward user`: people, one at a time.

use super::admin::Gate;
use super::{user_admin, user_hash};

/// Blocks users of a running gate, lets them in again, ends what they have.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub gate: Gate,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Prints the hash (Argon2id) of the password on the first line of stdin, to be written into users.toml.
    Hash,
    #[command(flatten)]
    Admin(user_admin::Action),
}

#[must_use]
pub fn run(args: &Args) -> u8 {
    match &args.action {
        Action::Hash => user_hash::run(),
        Action::Admin(action) => user_admin::run(&args.gate, action),
    }
}
