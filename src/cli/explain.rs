//! `doorward explain`: what the gate would say to one request, and why.

use super::offline::{Claimed, Finding, Offline, Question};
use super::routes::{access, credentials, one_line};
use crate::config::settings::Settings;
use crate::domain::policy::rule::Access;
use crate::domain::policy::Route;
use crate::domain::request::canonicalise;
use crate::domain::secret::Secret;
use crate::domain::token::json;
use crate::observe::clock;
use http::header::ALLOW;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// Says what the gate would do with a request, and why; nothing is sent anywhere.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, env = "DOORWARD_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// GET, POST, …
    pub method: String,
    /// A path, or a URL with the host it is for.
    pub url: String,
    /// The caller presents this token.
    #[arg(long, value_name = "JWT", value_parser = secret)]
    pub token: Option<Secret>,
    /// The caller's token says this, and is well signed.
    #[arg(long, value_name = "JSON", value_parser = claims, conflicts_with = "token")]
    pub claims: Option<Map<String, Value>>,
    /// The name of the issuer of the claims, where they have no `iss`.
    #[arg(long, value_name = "NAME", requires = "claims")]
    pub from: Option<String>,
    /// A header of the request; as often as needed.
    #[arg(long = "header", value_name = "K: V", value_parser = field)]
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Prints the verdict to stdout. It is no failure, whatever it is.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Some(path) = &args.config else {
        return super::check::no_file("explain");
    };
    let loaded = match crate::config::load(path) {
        Ok(loaded) => loaded,
        Err(mistakes) => return complain(2, &mistakes.to_string()),
    };
    let offline = match Offline::new(&loaded.settings, clock::now()) {
        Ok(offline) => offline,
        Err(why) => return complain(2, &why),
    };
    match question(args).and_then(|question| offline.ask(question, claimed(args))) {
        Ok(finding) => u8::from(io::stdout().write_all(report(&finding, &loaded.settings).as_bytes()).is_err()),
        Err(why) => complain(super::USAGE, &format!("doorward explain: {why}")),
    }
}

fn question(args: &Args) -> Result<Question, String> {
    let headers: HeaderMap = args.headers.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
        headers.append(name.clone(), value.clone());
        headers
    });
    let mut question = Question::new(&args.method, &args.url, headers)?;
    if let Some(token) = &args.token {
        if question.headers.contains_key(http::header::AUTHORIZATION) {
            return Err("--token stands for the Authorization header; give one of them".to_owned());
        }
        question.bear(&String::from_utf8_lossy(token.expose()))?;
    }
    Ok(question)
}

fn claimed(args: &Args) -> Option<Claimed> {
    args.claims.clone().map(|claims| Claimed { claims, from: args.from.clone() })
}

/// A line for everything that counted. What a token says is shown with its control characters written out: the
/// terminal obeys them, and the token may be a stranger's.
fn report(finding: &Finding<'_>, settings: &Settings) -> String {
    let mut lines = vec![("request", format!("{} {:?}", finding.question.method, finding.question.target))];
    let wire = finding.question.wire();
    if let Ok(canonical) = canonicalise(&finding.question.head(&wire)) {
        lines.push(("host", canonical.host.clone().into_owned()));
        if canonical.rewritten() {
            lines.push(("canonical", canonical.target()));
        }
    }
    lines.push(("route", route(finding)));
    if let Some(route) = finding.route {
        lines.push(("rule", access(&route.rule)));
        if route.rule.accepts_session && route.rule.access != Access::Public {
            lines.push(("accepts", credentials(&route.rule)));
        }
    }
    if let Some(caller) = &finding.caller {
        let (subject, source) = (&caller.subject, caller.source.as_str());
        let text = format!("{subject:?} from {source:?}, roles {:?}, scopes {:?}", caller.roles, caller.scopes);
        lines.push(("caller", text));
    }
    lines.push(("verdict", verdict(finding)));
    lines.push(("why", one_line(&why(finding))));
    lines.extend(backend(finding, settings));
    if let Some(issuer) = finding.unchecked {
        let text = format!("THE SIGNATURE WAS NOT CHECKED: the keys of {issuer:?} are fetched over the network");
        lines.push(("note", text));
    }
    lines.iter().fold(String::new(), |mut text, (name, line)| {
        let _ = writeln!(text, "{name:9}  {line}");
        text
    })
}

fn route(finding: &Finding<'_>) -> String {
    match finding.route {
        Some(route) => format!("route[{}] {}", route.index, route.label()),
        None => "none".to_owned(),
    }
}

fn verdict(finding: &Finding<'_>) -> String {
    match &finding.verdict {
        Ok(_) => finding.name().to_owned(),
        Err(answer) => format!("{} ({})", finding.name(), answer.status()),
    }
}

fn why(finding: &Finding<'_>) -> String {
    match &finding.verdict {
        Ok(_) => admitted(finding.route, finding.caller.is_some()).to_owned(),
        Err(answer) => {
            let detail = answer.denial().map_or("a CORS preflight, answered by the gate", |denial| &denial.detail);
            let allow = answer.headers.iter().find(|(name, _)| *name == ALLOW);
            let allow = allow.and_then(|(_, value)| value.to_str().ok());
            allow.map_or_else(|| detail.to_owned(), |methods| format!("{detail}; these are taken: {methods}"))
        }
    }
}

fn admitted(route: Option<&Route>, known: bool) -> &'static str {
    match route.map(|route| route.rule.access) {
        Some(Access::Public) => "anybody may; no credential is looked at",
        Some(Access::Optional) if !known => "nobody in particular may, and no credential was presented",
        Some(Access::Optional | Access::Authenticated) | None => "the caller meets the whole rule",
    }
}

/// What an admitted request brings to its backend.
fn backend(finding: &Finding<'_>, settings: &Settings) -> Vec<(&'static str, String)> {
    let Ok(permit) = &finding.verdict else { return Vec::new() };
    let upstream = settings.upstreams.get(permit.upstream()).map_or("", |upstream| upstream.name.as_str());
    let target = permit.target().map_or(finding.question.target.as_str(), |target| target.as_str());
    let mut lines = vec![("backend", format!("{upstream} {target}"))];
    for (name, value) in finding.gate.identity_of(permit) {
        lines.push(("", format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))));
    }
    lines
}

fn complain(code: u8, what: &str) -> u8 {
    let _ = writeln!(io::stderr(), "{what}");
    code
}

fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.as_bytes().to_vec()))
}

fn claims(text: &str) -> Result<Map<String, Value>, String> {
    json::parse_object(text.as_bytes()).map_err(|error| format!("no strict JSON object: {error}"))
}

/// The value is never printed: it may be a credential.
fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it like 'Name: value'")?;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no header name"))?;
    let mut value =
        HeaderValue::from_str(value.trim()).map_err(|_| format!("the value of {name} is no header value"))?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
