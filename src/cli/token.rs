//! `doorward token inspect`: looks at a token without trusting it.
//!
//! The token comes from stdin, never as an argument: arguments stand in process lists and shell histories.

use crate::domain::secret::Secret;
use crate::domain::time::UnixTime;
use crate::domain::token::jose::{Unverified, MAX_TOKEN};
use crate::observe::clock;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::Engine;
use chrono::{DateTime, SecondsFormat};
use serde_json::Value;
use std::borrow::Cow;
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Read, Write};

/// Looks at tokens.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Action {
    /// Shows what the token on stdin says. Nothing of it is verified.
    Inspect,
}

/// More than this is not looked at.
const MOST: u64 = 4 * MAX_TOKEN as u64;

/// Prints what is in the token. A token that does not parse is a failure.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let Action::Inspect = args.action;
    if io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "paste the token, then press Enter and Ctrl-D");
    }
    let mut text = Vec::new();
    if let Err(error) = io::stdin().take(MOST).read_to_end(&mut text) {
        let _ = writeln!(io::stderr(), "doorward token inspect: {error}");
        return 1;
    }
    let text = String::from_utf8_lossy(&text);
    let token = bare(&text);
    if token.is_empty() {
        let _ = writeln!(io::stderr(), "doorward token inspect: the token is read from stdin, and there is none");
        return super::USAGE;
    }
    let form = form(token);
    let _ = io::stdout().write_all(report(token, &form, clock::now()).as_bytes());
    u8::from(form.is_err())
}

/// What a strict reader takes the token for, or why for nothing. Encrypted claims stay what they are: there is no secret
/// here to read them with.
fn form(token: &str) -> Result<&'static str, Cow<'static, str>> {
    let encrypted = Cell::new(false);
    let unread = |_: &str| {
        encrypted.set(true);
        Some(Secret::new(b"{}".to_vec()))
    };
    let strict = Unverified::parse_nested(token, &unread).map(drop);
    strict.map_err(|denial| denial.detail)?;
    if encrypted.get() {
        return Ok("one strictly written JWT, whose claims only the gate that encrypted them can read");
    }
    Ok("one strictly written JWT")
}

/// The credential without what it was copied with.
fn bare(text: &str) -> &str {
    let text = text.trim();
    let scheme = text.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    scheme.map_or(text, |scheme| text.get(scheme.len()..).unwrap_or_default().trim_start())
}

/// Shows what a lenient reader sees, also where a strict one refuses: that is when one needs to look.
fn report(token: &str, form: &Result<&'static str, Cow<'static, str>>, now: UnixTime) -> String {
    let mut parts = token.split('.');
    let (header, payload) = (parts.next().unwrap_or_default(), parts.next());
    let mut text = String::new();
    let _ = writeln!(text, "header\n{}\n", part(header).1);
    if let Some(payload) = payload {
        let (value, shown) = part(payload);
        let _ = writeln!(text, "payload\n{shown}\n");
        let times: Vec<String> = value.iter().flat_map(|value| times(value, now)).collect();
        if !times.is_empty() {
            let _ = writeln!(text, "{}\n", times.join("\n"));
        }
    }
    let _ = match form {
        Ok(form) => writeln!(text, "form: {form}"),
        Err(why) => writeln!(text, "form: NOT a token that the gate would look at: {why}"),
    };
    text.push_str("NOTHING WAS VERIFIED: no signature, no issuer, no time. Anybody can have written this.\n");
    text
}

/// A part as JSON where it is that, and as it can be shown.
fn part(part: &str) -> (Option<Value>, String) {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let Ok(bytes) = GeneralPurpose::new(&URL_SAFE, lenient).decode(part) else {
        return (None, "(not base64url)".to_owned());
    };
    let value: Option<Value> = serde_json::from_slice(&bytes).ok();
    let pretty = value.as_ref().and_then(|value| serde_json::to_string_pretty(value).ok());
    let shown = pretty.unwrap_or_else(|| format!("(not JSON) {}", String::from_utf8_lossy(&bytes)));
    (value, visible(&shown))
}

/// A stranger's text on our terminal: characters that it would obey, or that turn what is read around, are written as
/// JSON escapes.
fn visible(text: &str) -> String {
    let harmless = |c: char| {
        c == '\n'
            || !(c.is_control()
                || matches!(c, '\u{61C}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'))
    };
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if harmless(c) {
            shown.push(c);
        } else {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        }
        shown
    })
}

/// The claims that are moments, for people.
fn times(payload: &Value, now: UnixTime) -> Vec<String> {
    let named = ["auth_time", "iat", "nbf", "exp"].into_iter().filter_map(|name| Some((name, payload.get(name)?)));
    named.map(|(name, value)| format!("{name:9}  {}", moment(value, now))).collect()
}

fn moment(value: &Value, now: UnixTime) -> String {
    let seconds = value.as_u64().or_else(|| value.as_f64().and_then(whole));
    let date = seconds.and_then(|seconds| DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0));
    let (Some(seconds), Some(date)) = (seconds, date) else {
        return "is no moment in time".to_owned();
    };
    let date = date.to_rfc3339_opts(SecondsFormat::Secs, true);
    match now.0.checked_sub(seconds) {
        Some(0) => format!("{date}  now"),
        Some(ago) => format!("{date}  {} ago", span(ago)),
        None => format!("{date}  in {}", span(seconds.saturating_sub(now.0))),
    }
}

/// Broken seconds are cut off: this is for reading.
fn whole(seconds: f64) -> Option<u64> {
    std::time::Duration::try_from_secs_f64(seconds).ok().map(|span| span.as_secs())
}

/// The two largest units that say anything.
fn span(seconds: u64) -> String {
    let parts = [(seconds / 86400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let said = parts.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    said.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
