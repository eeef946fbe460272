//! `doorward session`: who is signed in, and ending that.

use super::admin::{Call, Gate, Wait, RECEIPT};
use super::keys::date;
use reqwest::Method;
use serde_json::Value;
use std::fmt::Write as _;

/// Looks at the sessions of a user, and ends them.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub gate: Gate,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Shows the sessions of a user.
    List {
        /// The user's `sub`.
        #[arg(long, allow_hyphen_values = true)]
        user: String,
        /// Their provider; every one when left out.
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        source: Option<String>,
    },
    /// Ends one session.
    Revoke {
        #[arg(value_name = "SESSION", allow_hyphen_values = true)]
        id: String,
        /// Whose it is: then its record goes at once, too.
        #[arg(long, allow_hyphen_values = true)]
        user: Option<String>,
        #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
        source: Option<String>,
        #[arg(long, value_enum, default_value = "all")]
        wait: Wait,
    },
}

#[must_use]
pub fn run(args: &Args) -> u8 {
    match &args.action {
        Action::List { user, source } => {
            let call = Call::new(Method::GET, &["sessions"]).with("user", Some(user)).with("source", source.as_deref());
            args.gate.ask(call, ("sessions", table))
        }
        Action::Revoke { id, user, source, wait } => {
            let call = Call::new(Method::DELETE, &["sessions", id]).with("user", user.as_deref());
            args.gate.ask(call.with("source", source.as_deref()).waiting(*wait), RECEIPT)
        }
    }
}

fn table(answer: &Value) -> String {
    let sessions = answer.get("sessions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if sessions.is_empty() {
        return "no sessions".to_owned();
    }
    let mut text = String::new();
    for one in sessions {
        let word = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        // all of it is sealed in the record
        let opened = one.get("device").is_some_and(|device| !device.is_null());
        let whence = format!("{}, {}", visible(word("device")), visible(word("ip")));
        let moment = |name: &str| date(one.get(name).and_then(Value::as_u64).unwrap_or_default());
        let _ = writeln!(
            text,
            "{}  {}  since {}  seen {}  until {}  {}",
            word("id"),
            word("source"),
            moment("created"),
            moment("last_seen"),
            moment("expires"),
            if opened { &whence } else { "cannot be opened at this replica: was it sealed with another secret?" },
        );
    }
    text
}

/// What a browser called itself, on our terminal: nothing in it is obeyed.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c }).collect()
}
