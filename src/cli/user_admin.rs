//! `doorward user block|unblock|revoke`: what a running gate does about a user.

use super::admin::{Call, Gate, Wait, RECEIPT};
use reqwest::Method;

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Lets the user in no more, whatever they present, until unblocked.
    Block(User),
    /// Takes a block back.
    Unblock(User),
    /// Ends every session and every token the user has. Signing in again helps.
    Revoke(User),
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct User {
    /// The user's `sub`.
    #[arg(value_name = "SUB", allow_hyphen_values = true)]
    pub subject: String,
    /// Of this provider or issuer, or `api_key`; of every one when left out.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub source: Option<String>,
    #[arg(long, value_enum, default_value = "all")]
    pub wait: Wait,
}

#[must_use]
pub fn run(gate: &Gate, action: &Action) -> u8 {
    let (word, user) = match action {
        Action::Block(user) => ("block", user),
        Action::Unblock(user) => ("unblock", user),
        Action::Revoke(user) => ("revoke", user),
    };
    let call = Call::new(Method::POST, &["users", &user.subject, word]).with("source", user.source.as_deref());
    gate.ask(call.waiting(user.wait), RECEIPT)
}
