//! Sessions of a user, and their end.

use super::answer::{Answered, Done, Refusal};
use super::asked::{name, Asked};
use super::revoking::{of_session, receipt_of};
use super::{Access, Note, Tools};
use crate::domain::denial::Code;
use crate::domain::revocation::Reason;
use crate::domain::session::{Millis, SessionId, UserHash};
use crate::pipeline::session::{Place, Record};
use crate::ports::store::Stored;
use hyper::StatusCode;
use serde_json::{json, Value};

pub(super) async fn list(tools: &Tools, access: &Access, asked: &Asked) -> Answered {
    asked.only(&["user", "source"])?;
    asked.no_body()?;
    let subject = asked.parameter("user").ok_or_else(|| Refusal::bad("whose sessions? ?user= is missing"))?;
    let subject = name(subject, "user")?;
    let source = access.source(asked.parameter("source"))?;
    let mut sessions: Vec<Value> = Vec::new();
    for source in access.signs_in(source.as_ref()) {
        let user = UserHash::of(source, &subject);
        let stored = tools.ground.store.list(user).await?;
        sessions.extend(stored.into_iter().filter_map(|stored| described(tools, user, &stored)));
    }
    Ok(Done::new(StatusCode::OK, json!({ "sessions": sessions })))
}

/// Nobody need know whose session it is: its name on the list of revocations ends it everywhere. Only its record is
/// found by its user, and ends with its time where that is not said.
pub(super) async fn end(tools: &Tools, access: &Access, (asked, id): (&Asked, &str), note: &mut Note) -> Answered {
    asked.only(&["user", "source", "wait", "timeout"])?;
    asked.no_body()?;
    asked.patience()?;
    let unknown = || Refusal::new(Code::NoRoute, "that is no name of a session");
    let id = SessionId::parse(id).ok_or_else(unknown)?;
    let source = access.source(asked.parameter("source"))?;
    let subject = asked.parameter("user").map(|user| name(user, "user")).transpose()?;
    note.event = "session_revoked";
    note.target = id.to_string();
    note.source = source.as_ref().map(|source| source.as_str().to_owned());
    let receipt = tools.order(&[of_session(id, Reason::Operator)], asked, note).await?;
    let mut ended = false;
    if let Some(subject) = subject {
        for source in access.signs_in(source.as_ref()) {
            ended |= tools.ground.end_ordered(Place { user: UserHash::of(source, &subject), id }).await;
        }
    }
    Ok(receipt_of(&receipt, StatusCode::OK, &[("record_deleted", ended.into())]))
}

fn described(tools: &Tools, user: UserHash, stored: &Stored) -> Option<Value> {
    let record = Record::open(&tools.ground.seals, Place { user, id: stored.id }, &stored.body).ok()?;
    Some(json!({
        "id": stored.id.to_string(),
        "source": record.provider,
        "sub": record.subject,
        "created": seconds(stored.times.created),
        "last_seen": seconds(stored.times.last_seen),
        "expires": seconds(stored.times.expires()),
        "auth_time": record.auth_time,
        "roles": record.roles,
        "ip": record.place,
        "device": record.device,
    }))
}

fn seconds(time: Millis) -> u64 {
    time.0 / 1000
}
