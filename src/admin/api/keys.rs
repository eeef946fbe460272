//! Our signing keys, as operators see and change them.

use super::answer::{Answered, Done};
use super::asked::Asked;
use super::{Note, Tools};
use crate::domain::signing::Mode;
use crate::observe::clock;
use crate::pipeline::keys::{Listed, Reach};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{json, Value};

/// The body of `POST /keys/rotate`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    mode: Pace,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Pace {
    #[default]
    Scheduled,
    Now,
    Emergency,
}

pub(super) fn list(tools: &Tools, asked: &Asked) -> Answered {
    asked.only(&[])?;
    asked.no_body()?;
    Ok(Done::new(StatusCode::OK, described(tools)))
}

pub(super) async fn rotate(tools: &Tools, asked: &Asked, note: &mut Note) -> Answered {
    asked.only(&[])?;
    let wanted: Rotation = if asked.has_body() { asked.json()? } else { Rotation::default() };
    let (mode, word) = match wanted.mode {
        Pace::Scheduled => (Mode::Scheduled, "scheduled"),
        Pace::Now => (Mode::Now, "now"),
        Pace::Emergency => (Mode::Emergency, "emergency"),
    };
    note.event = "keys_rotated";
    word.clone_into(&mut note.target);
    // 202: here the old keys are dead, elsewhere they live until the store is back
    let status = match tools.ground.ring.rotate(mode, clock::now()).await? {
        Reach::Everywhere => StatusCode::OK,
        Reach::HereOnly => StatusCode::ACCEPTED,
    };
    tools.ground.list_revoked_keys(clock::now()).await;
    Ok(Done::new(status, described(tools)))
}

pub(super) async fn retire(tools: &Tools, (asked, kid): (&Asked, String), note: &mut Note) -> Answered {
    asked.only(&[])?;
    asked.no_body()?;
    note.event = "key_retired";
    note.target.clone_from(&kid);
    tools.ground.ring.retire(&kid, clock::now()).await?;
    tools.ground.list_revoked_keys(clock::now()).await;
    Ok(Done::new(StatusCode::OK, described(tools)))
}

fn described(tools: &Tools) -> Value {
    let keys: Vec<Value> = tools.ground.ring.list().iter().map(key).collect();
    json!({ "keys": keys })
}

/// The one moment that matters is named after what happens then.
fn key(key: &Listed) -> Value {
    let moment = match key.state {
        "pending" => "signs_from",
        "active" => "signs_since",
        "retiring" => "verifies_until",
        _ => "revoked_at",
    };
    json!({ "kid": key.kid, "algorithm": key.algorithm, "state": key.state, "created": key.created.0, moment: key.moment.0 })
}
