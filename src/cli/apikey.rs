//! `doorward apikey`: keys for programs, made, listed, and ended.

use super::admin::{Call, Gate, Wait, RECEIPT};
use super::keys::date;
use reqwest::Method;
use serde_json::{json, Value};
use std::fmt::Write as _;

/// Makes, lists and ends API keys.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub gate: Gate,
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Makes a key and shows it, this once.
    Create {
        /// What it is used for.
        #[arg(long, allow_hyphen_values = true)]
        name: String,
        /// Whom it speaks for: the `sub` that policies and backends see.
        #[arg(long, allow_hyphen_values = true)]
        subject: String,
        /// A role it has; repeat it for more.
        #[arg(long = "role", value_name = "ROLE", allow_hyphen_values = true)]
        roles: Vec<String>,
        /// A scope it has; repeat it for more.
        #[arg(long = "scope", value_name = "SCOPE", allow_hyphen_values = true)]
        scopes: Vec<String>,
        /// For so long, like 90d, 12h or 30m; without it, until it is revoked.
        #[arg(long, value_name = "SPAN", value_parser = seconds)]
        expires: Option<u64>,
    },
    /// Shows all keys, but not what they are.
    List {
        /// Those of this subject.
        #[arg(long, allow_hyphen_values = true)]
        subject: Option<String>,
    },
    /// Ends a key.
    Revoke {
        #[arg(value_name = "ID", allow_hyphen_values = true)]
        id: String,
        #[arg(long, value_enum, default_value = "all")]
        wait: Wait,
    },
}

#[must_use]
pub fn run(args: &Args) -> u8 {
    match &args.action {
        Action::Create { name, subject, roles, scopes, expires } => {
            let body =
                json!({ "name": name, "subject": subject, "roles": roles, "scopes": scopes, "expires_in": expires });
            args.gate.ask(Call::new(Method::POST, &["api-keys"]).body(body), ("key", alone))
        }
        Action::List { subject } => {
            let call = Call::new(Method::GET, &["api-keys"]).with("subject", subject.as_deref());
            args.gate.ask(call, ("api_keys", table))
        }
        Action::Revoke { id, wait } => {
            args.gate.ask(Call::new(Method::DELETE, &["api-keys", id]).waiting(*wait), RECEIPT)
        }
    }
}

/// Nothing but the key, so that it can go straight to where it is kept.
fn alone(answer: &Value) -> String {
    answer.get("key").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn table(answer: &Value) -> String {
    let keys = answer.get("api_keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() {
        return "no API keys".to_owned();
    }
    let mut text = String::new();
    for one in keys {
        let word = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        let moment = |name: &str| one.get(name).and_then(Value::as_u64).map(date);
        let list = |name: &str| {
            let words = one.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            words.collect::<Vec<_>>().join(",")
        };
        let _ = writeln!(
            text,
            "{}  {:?} for {:?}  roles {:?}  scopes {:?}  since {}  until {}",
            word("id"),
            word("name"),
            word("subject"),
            list("roles"),
            list("scopes"),
            moment("created").unwrap_or_default(),
            moment("expires").unwrap_or_else(|| "revoked".to_owned()),
        );
    }
    text
}

/// A span as configuration files write it.
fn seconds(text: &str) -> Result<u64, String> {
    let odd = || format!("{text:?} is no span; write one like 90d, 12h, 30m or 45s");
    let (digits, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(odd)?;
    let unit = match unit {
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return Err(odd()),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse::<u64>().ok().filter(|_| plain).and_then(|number| number.checked_mul(unit));
    number.filter(|seconds| *seconds > 0).ok_or_else(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        let read = |text| seconds(text).ok();
        assert_eq!(
            [read("90d"), read("12h"), read("30m"), read("45s")],
            [Some(7_776_000), Some(43_200), Some(1800), Some(45)]
        );
        for odd in ["", "d", "90", "0s", "-1d", "1.5h", "+1d", "9ü", "99999999999999999999d", "18446744073709551615d"]
        {
            assert_eq!(read(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_operators_called_a_key_commands_no_terminal() {
        let keys = json!({ "api_keys": [{ "id": "a", "name": "\u{1b}[2J", "subject": "s", "roles": ["r", "t"], "created": 1 }] });
        let shown = table(&keys);
        assert!(
            !shown.contains('\u{1b}') && shown.contains("roles \"r,t\"") && shown.contains("until revoked"),
            "{shown}"
        );
    }
}
