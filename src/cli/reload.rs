//! `doorward reload`: the file of a running gate, read anew.

use super::admin::{Call, Gate};
use reqwest::Method;
use serde_json::Value;

/// Has a running gate read its file anew. Mistakes are told, and leave everything as it was.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub gate: Gate,
}

#[must_use]
pub fn run(args: &Args) -> u8 {
    args.gate.ask(Call::new(Method::POST, &["reload"]), ("generation", said))
}

fn said(answer: &Value) -> String {
    let generation = answer.get("generation").and_then(Value::as_u64).unwrap_or_default();
    format!("reloaded: configuration {generation}")
}
