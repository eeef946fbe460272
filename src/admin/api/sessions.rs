//! Sessions of a user, and their end.

use super::answer::{Answered, Done, Refusal};
use super::asked::{name, Asked};
use super::revoking::{of_session, receipt_of};
use super::{Access, Note, Tools};
use crate::domain::denial::Code;
use crate::domain::principal::SourceName;
use crate::domain::revocation::Reason;
use crate::domain::session::{Millis, SessionId, UserHash};
use crate::pipeline::session::{Kept, Place};
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
        let kept = tools.ground.list(UserHash::of(source, &subject)).await?;
        sessions.extend(kept.iter().map(|session| described(session, source, &subject)));
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
    let mut deleted = Some(false);
    if let Some(subject) = subject {
        for source in access.signs_in(source.as_ref()) {
            let place = Place { user: UserHash::of(source, &subject), id };
            deleted = either(deleted, tools.ground.end_ordered(place).await.ok());
        }
    }
    Ok(receipt_of(&receipt, StatusCode::OK, &[("record_deleted", deleted.into())]))
}

/// Whether one of two is so, of which `None` cannot be told.
fn either(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    if one == Some(true) || other == Some(true) {
        return Some(true);
    }
    one.and(other)
}

/// A session that cannot be opened here lives, too, and can be ended by its id. Whose it is, is known without opening it.
fn described(session: &Kept, source: &SourceName, subject: &str) -> Value {
    let record = session.record.as_ref();
    json!({
        "id": session.id.to_string(),
        "source": source.as_str(),
        "sub": subject,
        "created": seconds(session.times.created),
        "last_seen": seconds(session.times.last_seen),
        "expires": seconds(session.times.expires()),
        "auth_time": record.map(|record| record.auth_time),
        "roles": record.map(|record| &record.roles),
        "ip": record.map(|record| &record.place),
        "device": record.map(|record| &record.device),
    })
}

fn seconds(time: Millis) -> u64 {
    time.0 / 1000
}
