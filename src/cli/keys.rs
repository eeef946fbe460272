//! `doorward keys`: our signing keys.

use super::admin::{Call, Gate};
use chrono::{DateTime, SecondsFormat};
use reqwest::Method;
use serde_json::{json, Value};
use std::fmt::Write as _;

/// Looks at the signing keys of a running gate, and changes them.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub gate: Gate,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Shows every key.
    List,
    /// Publishes the next key, which signs once others had time to learn of it.
    Rotate {
        /// It signs at once; tokens stay good.
        #[arg(long, conflicts_with = "emergency")]
        now: bool,
        /// Every key is revoked, with all tokens it signed. People are given new ones on their next request.
        #[arg(long)]
        emergency: bool,
    },
    /// Takes a key out of use; its tokens stay good.
    Retire {
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
    },
}

#[must_use]
pub fn run(args: &Args) -> u8 {
    let call = match &args.action {
        Action::List => Call::new(Method::GET, &["keys"]),
        Action::Rotate { now, emergency } => {
            let mode = match (now, emergency) {
                (_, true) => "emergency",
                (true, false) => "now",
                (false, false) => "scheduled",
            };
            Call::new(Method::POST, &["keys", "rotate"]).body(json!({ "mode": mode }))
        }
        Action::Retire { kid } => Call::new(Method::POST, &["keys", kid, "retire"]),
    };
    args.gate.ask(call, ("keys", table))
}

fn table(answer: &Value) -> String {
    let mut text = String::new();
    for key in answer.get("keys").and_then(Value::as_array).into_iter().flatten() {
        let word = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
        let moments = ["signs_from", "signs_since", "verifies_until", "revoked_at"];
        let moment = moments.into_iter().find_map(|name| Some((name, key.get(name)?.as_u64()?)));
        let (name, seconds) = moment.unwrap_or_default();
        let (state, algorithm) = (word("state"), word("algorithm"));
        let _ =
            writeln!(text, "{}  {algorithm:5}  {state:8}  {} {}", word("kid"), name.replace('_', " "), date(seconds));
    }
    text
}

/// For people.
pub(super) fn date(seconds: u64) -> String {
    let date = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    date.map(|date| date.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
}
