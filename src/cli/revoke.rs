//! `doorward revoke`: one token, one session, one user, or everything before a moment.

use super::admin::{Call, Gate, Wait, RECEIPT};
use reqwest::Method;
use serde_json::json;

/// Revokes something at every replica of a running gate.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub gate: Gate,
    #[command(flatten)]
    pub what: What,
    /// Of this provider or issuer, or `api_key`; of every one when left out.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub source: Option<String>,
    /// For the audit log; "compromised" goes along with the revocation to every replica.
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub reason: Option<String>,
    #[arg(long, value_enum, default_value = "all")]
    pub wait: Wait,
    /// How long replicas are waited for.
    #[arg(long, value_name = "SPAN", default_value = "500ms")]
    pub timeout: String,
}

#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[group(required = true, multiple = false)]
pub struct What {
    /// One token, by its `jti`.
    // random names begin with a hyphen now and then, here and below
    #[arg(long, allow_hyphen_values = true)]
    pub jti: Option<String>,
    /// One session, by its `sid`.
    #[arg(long, value_name = "SID", allow_hyphen_values = true)]
    pub session: Option<String>,
    /// Everything a user was given until now, by their `sub`.
    #[arg(long, value_name = "SUB", allow_hyphen_values = true)]
    pub user: Option<String>,
    /// Everything issued before this moment, as 2026-08-01T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub issued_before: Option<String>,
}

#[must_use]
pub fn run(args: &Args) -> u8 {
    let what = &args.what;
    let named = [("jti", &what.jti), ("session", &what.session), ("user", &what.user)];
    let named = named.into_iter().chain([("issued_before", &what.issued_before)]);
    let Some((kind, value)) = named.filter_map(|(kind, value)| Some((kind, value.as_ref()?))).next() else {
        return super::USAGE;
    };
    let mut body = json!({ "kind": kind, "value": value });
    if let Some(members) = body.as_object_mut() {
        let further = [("source", &args.source), ("reason", &args.reason)];
        let further = further.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
        members.extend(further);
    }
    let call = Call::new(Method::POST, &["revocations"]).with("timeout", Some(&args.timeout)).body(body);
    args.gate.ask(call.waiting(args.wait), RECEIPT)
}
