//! Revoking, blocking, and letting in again.

use super::answer::{Answered, Done, Refusal};
use super::asked::{name, Asked};
use super::{Access, Note, Tools};
use crate::domain::principal::SourceName;
use crate::domain::revocation::{Reason, Target, User};
use crate::domain::session::{SessionId, UserHash};
use crate::domain::time::UnixTime;
use crate::observe::clock;
use crate::pipeline::revocation::{Order, Receipt, Wait};
use crate::pipeline::session::Place;
use chrono::DateTime;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{json, Value};
use std::time::Duration;

/// The body of `POST /revocations`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Revocation {
    kind: Kind,
    value: String,
    source: Option<String>,
    reason: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Jti,
    Session,
    User,
    IssuedBefore,
}

/// Words for the audit log, characters.
const LONGEST_REASON: usize = 256;

pub(super) async fn revoke(tools: &Tools, access: &Access, asked: &Asked, note: &mut Note) -> Answered {
    asked.only(&["wait", "timeout"])?;
    let wanted: Revocation = asked.json()?;
    asked.patience()?;
    let value = name(&wanted.value, "value")?;
    let source = access.source(wanted.source.as_deref())?;
    if wanted.reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        return Err(Refusal::bad(format!("reason has {LONGEST_REASON} characters at most")));
    }
    note.detail.clone_from(&wanted.reason);
    note.source.clone_from(&wanted.source);
    note.target.clone_from(&value);
    let (event, target) = match wanted.kind {
        Kind::User => {
            note.event = "user_revoked";
            return everything_of(tools, access, (asked, source, value), (StatusCode::CREATED, note)).await;
        }
        Kind::Jti => ("token_revoked", Target::Jti(value)),
        // our own names are like no others
        Kind::Session => match source.filter(|_| SessionId::parse(&value).is_none()) {
            Some(source) => ("session_revoked", Target::SessionOf(source, value)),
            None => ("session_revoked", Target::Session(value)),
        },
        Kind::IssuedBefore => ("issued_before_revoked", Target::IssuedBefore { source, time: past(&value)? }),
    };
    note.event = event;
    let order = Order::new(target, reason(wanted.reason.as_deref()));
    let receipt = tools.order(&[order], asked, note).await?;
    Ok(receipt_of(&receipt, StatusCode::CREATED, &[]))
}

pub(super) async fn block(
    tools: &Tools,
    access: &Access,
    (asked, subject): (&Asked, String),
    note: &mut Note,
) -> Answered {
    note.event = "user_blocked";
    stand(tools, access, (asked, subject, Target::Block), note).await
}

pub(super) async fn unblock(
    tools: &Tools,
    access: &Access,
    (asked, subject): (&Asked, String),
    note: &mut Note,
) -> Answered {
    note.event = "user_unblocked";
    stand(tools, access, (asked, subject, Target::Unblock), note).await
}

pub(super) async fn revoke_user(
    tools: &Tools,
    access: &Access,
    (asked, subject): (&Asked, String),
    note: &mut Note,
) -> Answered {
    let (source, subject) = user(access, asked, &subject)?;
    asked.patience()?;
    note.event = "user_revoked";
    note.target.clone_from(&subject);
    note.source = source.as_ref().map(|source| source.as_str().to_owned());
    everything_of(tools, access, (asked, source, subject), (StatusCode::OK, note)).await
}

/// Whether somebody may come in at all. Their sessions stay: whoever is unblocked goes on where they were.
async fn stand(
    tools: &Tools,
    access: &Access,
    (asked, subject, target): (&Asked, String, fn(User) -> Target),
    note: &mut Note,
) -> Answered {
    let (source, subject) = user(access, asked, &subject)?;
    note.target.clone_from(&subject);
    note.source = source.as_ref().map(|source| source.as_str().to_owned());
    let order = Order::new(target(User { source, subject }), Reason::Operator);
    let receipt = tools.order(&[order], asked, note).await?;
    Ok(receipt_of(&receipt, StatusCode::OK, &[]))
}

/// The sessions of a user are named one by one besides: a renewal under way may just be minting a token that is younger
/// than the mark on its user.
async fn everything_of(
    tools: &Tools,
    access: &Access,
    (asked, source, subject): (&Asked, Option<SourceName>, String),
    (status, note): (StatusCode, &mut Note),
) -> Answered {
    let users: Vec<UserHash> =
        access.signs_in(source.as_ref()).into_iter().map(|source| UserHash::of(source, &subject)).collect();
    let reason = reason(note.detail.as_deref());
    let mut orders = vec![Order::new(Target::User(User { source, subject }), reason)];
    let mut known_places = Vec::new();
    for user in &users {
        // A store that is away does not keep the user's mark from being made; what it hides is looked for once more below.
        let known = tools.ground.store.list(*user).await.unwrap_or_default();
        orders.extend(known.iter().map(|session| of_session(session.id, reason)));
        known_places.extend(known.iter().map(|session| Place { user: *user, id: session.id }));
    }
    let receipt = tools.order(&orders, asked, note).await?;
    let rest = end_sessions(tools, (&users, known_places), &orders, reason).await;
    note.unfinished = receipt.delivered && rest.is_none();
    let status = if rest.is_some() { status } else { StatusCode::ACCEPTED };
    Ok(receipt_of(&receipt, status, &[("sessions_ended", rest.into())]))
}

/// Ends what `users` have, and names on the list what was not named in `orders`: it has begun since. How many there were;
/// `None` where there may be more, or the other replicas do not know of some yet.
async fn end_sessions(
    tools: &Tools,
    (users, places): (&[UserHash], Vec<Place>),
    orders: &[Order],
    reason: Reason,
) -> Option<usize> {
    let mut ended = Some(0);
    let count = |ended: Option<usize>, more: Option<usize>| Some(ended?.saturating_add(more?));
    for place in places {
        ended = count(ended, tools.ground.end_ordered(place).await.ok().map(usize::from));
    }
    let mut missed = Vec::new();
    for user in users {
        let gone = tools.ground.store.end_all(*user).await.ok();
        ended = count(ended, gone.as_ref().map(Vec::len));
        missed.extend(gone.into_iter().flatten().map(|id| of_session(id, reason)));
    }
    missed.retain(|one: &Order| !orders.iter().any(|known| known.target == one.target));
    // Whoever asked has waited for the replicas once, and their connection does not wait for ever.
    let told = missed.is_empty() || tools.revocations.revoke(&missed, Wait::None, Duration::ZERO).await.delivered;
    ended.filter(|_| told)
}

impl Tools {
    /// Gives `orders`, and waits as was asked.
    pub(super) async fn order(&self, orders: &[Order], asked: &Asked, note: &mut Note) -> Result<Receipt, Refusal> {
        let (wait, timeout) = asked.patience()?;
        let receipt = self.revocations.revoke(orders, wait, timeout).await;
        note.receipt.get_or_insert_with(|| receipt.id.clone());
        Ok(receipt)
    }
}

/// 202: enforced here alone until the store is back.
pub(super) fn receipt_of(receipt: &Receipt, status: StatusCode, further: &[(&str, Value)]) -> Done {
    let status = if receipt.delivered { status } else { StatusCode::ACCEPTED };
    let mut body = json!({
        "id": receipt.id,
        "position": receipt.position.map(|position| position.to_string()),
        "replicas": {
            "live": receipt.replicas.live,
            "enforcing": receipt.replicas.enforcing,
            "pending": receipt.replicas.pending(),
        },
        "elapsed_ms": u64::try_from(receipt.elapsed.as_millis()).unwrap_or(u64::MAX),
    });
    if let Some(members) = body.as_object_mut() {
        members.extend(further.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    Done::new(status, body)
}

pub(super) fn of_session(id: SessionId, reason: Reason) -> Order {
    Order::new(Target::Session(id.to_string()), reason)
}

fn user(access: &Access, asked: &Asked, subject: &str) -> Result<(Option<SourceName>, String), Refusal> {
    asked.only(&["source", "wait", "timeout"])?;
    asked.no_body()?;
    Ok((access.source(asked.parameter("source"))?, name(subject, "the name of a user")?))
}

/// Of what operators write, one word means something to a machine.
fn reason(words: Option<&str>) -> Reason {
    match words {
        Some("compromised") => Reason::Compromised,
        Some(_) | None => Reason::Operator,
    }
}

/// A moment that has come. A part of a second is rounded up, so that nothing older slips through.
fn past(text: &str) -> Result<UnixTime, Refusal> {
    let time = DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|_| Refusal::bad("value is no RFC 3339 time; write one like 2026-08-01T12:00:00Z"))?;
    let seconds = u64::try_from(time.timestamp()).map_err(|_| Refusal::bad("value is before 1970"))?;
    let now = clock::now();
    if UnixTime(seconds) > now {
        return Err(Refusal::bad("value is in the future: what is issued until then cannot be revoked yet"));
    }
    Ok(UnixTime(if time.timestamp_subsec_nanos() > 0 { seconds.saturating_add(1) } else { seconds }))
}
