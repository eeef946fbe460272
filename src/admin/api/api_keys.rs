//! API keys: made, listed, and ended.

use super::answer::{Answered, Done, Refusal};
use super::asked::{name, Asked};
use super::revoking::receipt_of;
use super::{Note, Tools};
use crate::domain::api_key::{ApiKey, KeyId};
use crate::domain::denial::Code;
use crate::domain::revocation::{Reason, Target};
use crate::observe::clock;
use crate::pipeline::api_keys::{ApiKeysError, Wanted, SOURCE};
use crate::pipeline::revocation::Order;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{json, Value};
use std::time::Duration;

/// What a key is used for, characters.
const LONGEST_LABEL: usize = 100;
/// Roles, or scopes, of one key.
const MOST_WORDS: usize = 64;
/// Ten years: whoever means for ever says nothing.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// The body of `POST /api-keys`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Creation {
    name: String,
    subject: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    /// Seconds.
    expires_in: Option<u64>,
}

pub(super) async fn list(tools: &Tools, asked: &Asked) -> Answered {
    asked.only(&["subject"])?;
    asked.no_body()?;
    let keys = tools.api_keys.list(clock::now()).await?;
    let subject = asked.parameter("subject");
    let keys = keys.iter().filter(|key| subject.is_none_or(|subject| key.subject == subject));
    let keys: Vec<Value> = keys.map(described).collect();
    Ok(Done::new(StatusCode::OK, json!({ "api_keys": keys })))
}

pub(super) async fn create(tools: &Tools, asked: &Asked, note: &mut Note) -> Answered {
    asked.only(&[])?;
    let wanted = wanted(asked.json()?)?;
    note.event = "api_key_created";
    note.source = Some(SOURCE.to_owned());
    let until = wanted.expires.map_or_else(|| "revoked".to_owned(), |expires| expires.0.to_string());
    let Wanted { name, subject, roles, scopes, .. } = &wanted;
    note.detail = Some(format!("{name:?} for {subject:?}, roles {roles:?}, scopes {scopes:?}, until {until}"));
    let (id, key) = tools.api_keys.create(wanted, clock::now()).await?;
    note.target = id.to_string();
    Ok(Done::new(StatusCode::CREATED, json!({ "id": id.to_string(), "key": key.expose() })))
}

/// The list of revocations comes first: what stands there counts on every replica at once, and its place in the store is
/// cleared by whoever looks there next. An id that nobody has is told all the same: it may be misspelt.
pub(super) async fn delete(tools: &Tools, (asked, id): (&Asked, &str), note: &mut Note) -> Answered {
    asked.only(&["wait", "timeout"])?;
    asked.no_body()?;
    asked.patience()?;
    let id = KeyId::parse(id).ok_or_else(|| Refusal::new(Code::NoRoute, "that is no id of an API key"))?;
    note.event = "api_key_revoked";
    note.source = Some(SOURCE.to_owned());
    note.target = id.to_string();
    let order = Order::new(Target::Client(id.to_string()), Reason::Operator);
    let receipt = tools.order(&[order], asked, note).await?;
    let deleted = tools.api_keys.delete(id, clock::now()).await.ok();
    if deleted == Some(false) {
        return Err(Refusal::new(
            Code::NoRoute,
            "there is no such API key, or not any more; should it turn up, it is refused",
        ));
    }
    note.unfinished = receipt.delivered && deleted.is_none();
    let status = if deleted.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(receipt_of(&receipt, status, &[("record_deleted", deleted.into())]))
}

fn wanted(asked: Creation) -> Result<Wanted, Refusal> {
    let Creation { name: label, subject, roles, scopes, expires_in } = asked;
    if label.is_empty() || label.chars().count() > LONGEST_LABEL || label.contains(char::is_control) {
        return Err(Refusal::bad(format!(
            "name has 1 to {LONGEST_LABEL} characters, and none that controls a terminal"
        )));
    }
    for (words, what) in [(&roles, "roles"), (&scopes, "scopes")] {
        if words.len() > MOST_WORDS {
            return Err(Refusal::bad(format!("{what} are {MOST_WORDS} at most")));
        }
        words.iter().try_for_each(|word| name(word, what).map(drop))?;
    }
    if scopes.iter().any(|scope| scope.contains(char::is_whitespace)) {
        return Err(Refusal::bad("a scope has no space in it"));
    }
    let span = expires_in.map(Duration::from_secs);
    if span.is_some_and(|span| span.is_zero() || span > LONGEST) {
        return Err(Refusal::bad("expires_in is in seconds, from 1 to ten years; without it the key does not expire"));
    }
    let expires = span.map(|span| clock::now().plus(span));
    Ok(Wanted { name: label, subject: name(&subject, "subject")?, roles, scopes, expires })
}

fn described(key: &ApiKey) -> Value {
    json!({
        "id": key.id.as_str(),
        "name": key.name,
        "subject": key.subject,
        "roles": key.roles,
        "scopes": key.scopes,
        "created": key.created.0,
        "expires": key.expires.map(|expires| expires.0),
    })
}

impl From<ApiKeysError> for Refusal {
    fn from(error: ApiKeysError) -> Self {
        let code = match &error {
            ApiKeysError::Store(_) => Code::StoreUnavailable,
            ApiKeysError::Contended => Code::TryAgain,
            ApiKeysError::TooMany => Code::BadRequest,
            ApiKeysError::Sealed | ApiKeysError::Unreadable(_) | ApiKeysError::Crypto => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}
