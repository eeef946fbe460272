//! `doorward test-policy`: cases that say who may do what, checked against a configuration.

use super::offline::{Claimed, Finding, Offline, Question};
use super::routes::one_line;
use crate::config::{self, Mistakes, Place};
use crate::domain::denial::Code;
use crate::observe::clock;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use toml::Spanned;

/// Checks cases of requests and expected verdicts against the policy.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The file with the cases.
    #[arg(value_name = "CASES.toml")]
    pub cases: PathBuf,
}

/// Prints a line for every case that fails, and how many there were.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Some(path) = &args.config else {
        return super::check::no_file("test-policy");
    };
    let outcome = config::load(path).map_err(|mistakes| mistakes.to_string()).and_then(|loaded| {
        let text = std::fs::read_to_string(&args.cases).map_err(|error| error.to_string());
        let shown = args.cases.display();
        let cases = text.and_then(|text| read(&text)).map_err(|why| format!("{shown}: {why}"))?;
        let offline = Offline::new(&loaded.settings, clock::now())?;
        judge(cases, &offline).map_err(|mistakes| format!("{shown}:\n{mistakes}"))
    });
    match outcome {
        Ok(tally) => {
            let _ = io::stdout().write_all(tally.text.as_bytes());
            u8::from(tally.failed > 0)
        }
        Err(why) => {
            let _ = writeln!(io::stderr(), "{why}");
            2
        }
    }
}

#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Typed>>,
}

/// A `[[case]]` as typed.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    name: Option<String>,
    /// `GET /path`, or with a URL that names the host.
    request: String,
    /// Without them the caller is nobody in particular.
    claims: Option<toml::Table>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    from: Option<String>,
    /// `allow`, `preflight`, or a reason code.
    expect: String,
}

struct Case {
    typed: Typed,
    place: Place,
}

struct Tally {
    text: String,
    failed: usize,
}

fn read(text: &str) -> Result<Vec<Case>, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if file.case.is_empty() {
        return Err("holds no [[case]], and tests nothing".to_owned());
    }
    let cases = file.case.into_iter().enumerate().map(|(index, typed)| {
        let before = text.get(..typed.span().start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Case { typed: typed.into_inner(), place: Place::default().key("case").item(index).at_line(line) }
    });
    Ok(cases.collect())
}

/// All cases are asked, so that everything wrong with them is known at once.
fn judge(cases: Vec<Case>, offline: &Offline<'_>) -> Result<Tally, Mistakes> {
    let mut mistakes = Mistakes::default();
    let mut lines: Vec<String> = Vec::new();
    let count = cases.len();
    for case in cases {
        match case.ask(offline) {
            Err(why) => mistakes.add(&case.place, why),
            Ok(finding) if finding.name() == case.typed.expect => {}
            Ok(finding) => lines.push(case.failed(&finding)),
        }
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let failed = lines.len();
    let cases = if count == 1 { "case" } else { "cases" };
    lines.push(match failed {
        0 => format!("{count} {cases}, all as expected\n"),
        _ => format!("{count} {cases}, {failed} not as expected\n"),
    });
    Ok(Tally { text: lines.join("\n"), failed })
}

impl Case {
    fn ask<'o>(&self, offline: &'o Offline<'_>) -> Result<Finding<'o>, String> {
        let typed = &self.typed;
        let expected = typed.expect.as_str();
        if !["allow", "preflight"].contains(&expected) && !Code::ALL.iter().any(|code| code.name() == expected) {
            return Err(format!("expect = {expected:?} is neither \"allow\" nor a reason code"));
        }
        let (method, url) = typed.request.split_once(' ').ok_or("request needs a method and a path: \"GET /\"")?;
        let question = Question::new(method, url, headers(&typed.headers)?)?;
        let claimed = match (&typed.claims, &typed.from) {
            (None, None) => None,
            (None, Some(_)) => return Err("from says whose claims these are, and there are none".to_owned()),
            (Some(claims), from) => Some(Claimed { claims: members(claims)?, from: from.clone() }),
        };
        offline.ask(question, claimed)
    }

    fn failed(&self, finding: &Finding<'_>) -> String {
        let Typed { name, request, expect, .. } = &self.typed;
        let name = name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default();
        let why = finding.denial().map(|denial| format!(" ({})", one_line(&denial.detail))).unwrap_or_default();
        format!("{}{name}: {request:?} should be {expect}, but is {}{why}", self.place, finding.name())
    }
}

fn headers(typed: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let header = |(name, value): (&String, &String)| {
        let parsed = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        parsed.ok_or_else(|| format!("{name:?} and its value are no header"))
    };
    typed.iter().map(header).collect()
}

/// Claims are JSON: there are no dates in it, and no numbers without a value.
fn members(table: &toml::Table) -> Result<Map<String, Value>, String> {
    table.iter().map(|(name, value)| Ok((name.clone(), json(value)?))).collect()
}

fn json(value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Array(list) => Value::Array(list.iter().map(json).collect::<Result<_, _>>()?),
        toml::Value::Table(table) => Value::Object(members(table)?),
        toml::Value::Float(number) => {
            serde_json::Number::from_f64(*number).map(Value::Number).ok_or("a claim cannot be inf or nan")?
        }
        toml::Value::Datetime(time) => {
            return Err(format!("a claim cannot be a date; write {time} as a number or a string"))
        }
    })
}

#[cfg(test)]
#[path = "test_policy_tests.rs"]
mod tests;
