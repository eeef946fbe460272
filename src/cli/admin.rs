//! A small client of the admin API, for the commands that talk to a running gate.
//!
//! The token comes from the environment, never as an argument: arguments stand in process lists and shell histories.

use crate::config::World;
use reqwest::header::{HeaderValue, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;
use std::io::{self, Write as _};
use std::time::Duration;

const TOKEN: &str = "DOORWARD_ADMIN_TOKEN";
/// Longer than the gate ever waits for its replicas.
const PATIENCE: Duration = Duration::from_secs(40);
/// Bytes of an answer that are looked at.
const MOST: usize = 16 * 1024 * 1024;

/// Which gate, and how its answer is shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Gate {
    /// Where its admin API listens. The token is read from DOORWARD_ADMIN_TOKEN.
    #[arg(long, global = true, value_name = "URL", env = "DOORWARD_ADMIN", default_value = "http://127.0.0.1:9901")]
    pub admin: String,
    /// Shows the answer as JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// Whom a revocation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// Every live replica.
    All,
    /// Nobody: in force at the replica that was asked, and on its way.
    None,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    /// Behind `/api/v1`, segment by segment and not escaped yet.
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<Value>,
    wait: Wait,
}

/// Why there is nothing to show, and what the command answers to its caller.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    words: String,
}

impl Gate {
    /// Does `call`, shows its answer, and gives the exit code. An answer without `member` is somebody else's.
    pub(super) fn ask(&self, call: Call, (member, show): (&str, fn(&Value) -> String)) -> u8 {
        let wait = call.wait;
        match self.send(call, member) {
            Ok((status, answer)) => {
                let text = if self.json { answer.to_string() } else { show(&answer) };
                let _ = writeln!(io::stdout(), "{}", text.trim_end());
                u8::from(is_unfinished(status, &answer, wait))
            }
            Err(Failure { code, words }) => {
                let _ = writeln!(io::stderr(), "doorward: {words}");
                code
            }
        }
    }

    fn send(&self, call: Call, member: &str) -> Result<(u16, Value), Failure> {
        let url = self.url(&call)?;
        let token = World::of_process().variable(TOKEN).map_err(usage)?;
        let token = token.ok_or_else(|| usage(format!("{TOKEN} is not set")))?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}"));
        let mut bearer = bearer.map_err(|_| usage(format!("{TOKEN} holds no token")))?;
        bearer.set_sensitive(true);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed(error.to_string()))?;
        let place = url.origin().ascii_serialization();
        let (status, bytes) = runtime.block_on(exchange(&place, url, call, bearer))?;
        Ok((status.as_u16(), read(&place, status, &bytes, member)?))
    }

    /// The token is as good as the gate: in the clear it goes to this machine only.
    fn url(&self, call: &Call) -> Result<Url, Failure> {
        let odd = || usage(format!("--admin {}: no URL like http://127.0.0.1:9901", self.admin));
        let mut url = Url::parse(&self.admin).map_err(|_| odd())?;
        let host = url.host_str().ok_or_else(odd)?.trim_matches(['[', ']']);
        let here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if url.scheme() != "https" && !(url.scheme() == "http" && here) {
            return Err(usage(format!("--admin {}: https, or http to this machine", self.admin)));
        }
        url.path_segments_mut().map_err(|()| odd())?.pop_if_empty().extend(["api", "v1"]).extend(&call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }
}

impl Call {
    pub(super) fn new(method: Method, path: &[&str]) -> Self {
        let path = path.iter().map(|&segment| segment.to_owned()).collect();
        Self { method, path, query: Vec::new(), body: None, wait: Wait::All }
    }

    pub(super) fn with(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_owned())));
        self
    }

    pub(super) fn waiting(self, wait: Wait) -> Self {
        Self { wait, ..self.with("wait", (wait == Wait::None).then_some("none")) }
    }

    pub(super) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}

/// What is behind a redirect or an HTTP proxy must not get the token.
async fn exchange(place: &str, url: Url, call: Call, bearer: HeaderValue) -> Result<(StatusCode, Vec<u8>), Failure> {
    let away = |error: reqwest::Error| failed(format!("{place}: {}", causes(&error)));
    let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(PATIENCE).build();
    let mut request = client.map_err(away)?.request(call.method, url).header(AUTHORIZATION, bearer);
    if let Some(body) = call.body {
        request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
    }
    let mut response = request.send().await.map_err(away)?;
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(away)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > MOST {
            return Err(failed(format!("{place}: the answer does not end")));
        }
    }
    Ok((response.status(), bytes))
}

/// The answer of an admin API, with the `member` that tells it from what an application says to everything.
fn read(place: &str, status: StatusCode, bytes: &[u8], member: &str) -> Result<Value, Failure> {
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
    if status.is_success() && answer.get(member).is_some() {
        return Ok(answer);
    }
    let said = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(failed(match (said("code"), said("detail")) {
        (code, _) if code.is_empty() || status.is_success() => {
            format!("{place}: {status}, which is no answer of an admin API")
        }
        (code, detail) if code == "no_route" && detail.is_empty() => {
            format!("{place}: there is no admin API; the gate has no admin.token")
        }
        (code, detail) => format!("{} {code}: {detail}", status.as_u16()),
    }))
}

/// Not in force everywhere yet, though that was asked for; or the others cannot be told at all.
fn is_unfinished(status: u16, answer: &Value, wait: Wait) -> bool {
    let pending = answer.pointer("/replicas/pending").and_then(Value::as_u64).unwrap_or(0);
    status == 202 || (wait == Wait::All && pending > 0)
}

/// A receipt, in a sentence.
pub(super) const RECEIPT: (&str, fn(&Value) -> String) = ("replicas", receipt);

fn receipt(answer: &Value) -> String {
    let number = |path: &str| answer.pointer(path).and_then(Value::as_u64).unwrap_or(0);
    let id = answer.get("id").and_then(Value::as_str).unwrap_or_default();
    let (live, enforcing) = (number("/replicas/live"), number("/replicas/enforcing"));
    let reach = if answer.get("position").is_none_or(Value::is_null) {
        "in force at this replica alone: the store is away, and the others hear of it when it is back".to_owned()
    } else {
        format!("in force at {enforcing} of {live} replicas after {} ms", number("/elapsed_ms"))
    };
    let unknown = |name: &str| answer.get(name).is_some_and(Value::is_null);
    let rest = if unknown("sessions_ended") {
        "; some sessions could not be ended one by one: do it again when the store answers"
    } else if unknown("record_deleted") {
        "; its record may have stayed: do it again when the store answers"
    } else {
        ""
    };
    format!("{reach}{rest} ({id})")
}

/// What lies beneath an error is what helps.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn usage(words: String) -> Failure {
    Failure { code: super::USAGE, words }
}

fn failed(words: String) -> Failure {
    Failure { code: 1, words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gate(admin: &str) -> Gate {
        Gate { admin: admin.to_owned(), json: false }
    }

    #[test]
    fn a_name_stays_one_segment_whatever_is_in_it() {
        let call = Call::new(Method::POST, &["users", "a/b?c d|e", "block"]).with("source", Some("x&y"));
        let url = gate("http://127.0.0.1:1/").url(&call).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/api/v1/users/a%2Fb%3Fc%20d|e/block?source=x%26y");
    }

    #[test]
    fn the_token_leaves_this_machine_only_over_tls() {
        let call = Call::new(Method::GET, &["keys"]);
        for good in ["https://gate.example", "http://localhost:9901", "http://[::1]:9901", "http://127.0.0.1:9901"] {
            assert!(gate(good).url(&call).is_ok(), "{good}");
        }
        for bad in
            ["http://gate.example", "http://10.0.0.1", "ftp://localhost", "localhost:9901", "", "http://localhost.evil"]
        {
            assert_eq!(gate(bad).url(&call).unwrap_err().code, 64, "{bad}");
        }
    }

    #[test]
    fn what_could_not_be_ended_is_said_beside_where_the_rest_is_in_force() {
        let answer = |further: Value| {
            let mut answer = json!({ "id": "5d", "position": "1-0", "replicas": { "live": 1, "enforcing": 1 } });
            answer.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
            receipt(&answer)
        };
        let whole = "in force at 1 of 1 replicas after 0 ms (5d)";
        assert_eq!(answer(json!({ "sessions_ended": 2 })), whole);
        assert_eq!(answer(json!({ "record_deleted": false })), whole);
        assert!(answer(json!({ "sessions_ended": null })).contains("do it again"));
        assert!(answer(json!({ "record_deleted": null })).contains("may have stayed"));
    }

    #[test]
    fn what_is_not_in_force_everywhere_is_no_success_unless_nobody_was_to_be_waited_for() {
        let pending = |count: u64| json!({ "replicas": { "pending": count } });
        assert!(is_unfinished(202, &json!({}), Wait::All));
        assert!(is_unfinished(202, &pending(0), Wait::None), "they cannot be told");
        assert!(is_unfinished(201, &pending(1), Wait::All));
        assert!(!is_unfinished(201, &pending(0), Wait::All));
        assert!(!is_unfinished(201, &pending(1), Wait::None), "as it always is on a fleet");
    }

    #[test]
    fn what_an_application_says_to_everything_is_no_success() {
        let read = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            read("http://localhost:8080", status, body.as_bytes(), "replicas").map_err(|failure| failure.words)
        };
        assert!(read(201, r#"{"replicas":{}}"#).is_ok());
        for (status, body) in
            [(200, "<!doctype html>"), (200, ""), (204, ""), (200, "[]"), (200, r#"{"code":"no_route"}"#)]
        {
            assert!(read(status, body).unwrap_err().ends_with("which is no answer of an admin API"), "{body}");
        }
        assert_eq!(read(404, r#"{"code":"unknown","detail":"no such key"}"#).unwrap_err(), "404 unknown: no such key");
    }
}
