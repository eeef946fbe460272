//! Buckets of rate limits, looked at and filled.

use super::answer::{Answered, Done, Refusal};
use super::asked::{decoded, Asked};
use super::{Access, Note};
use crate::domain::denial::Code;
use crate::domain::limit::bucket::seconds;
use crate::pipeline::limits::{Guard, Named};
use hyper::StatusCode;
use serde_json::{json, Value};

pub(super) async fn look(access: &Access, asked: &Asked) -> Answered {
    let (limits, named) = which(access, asked)?;
    let found: Vec<Value> = limits
        .look(&named)
        .await?
        .into_iter()
        .map(|it| {
            json!({
                "limit": it.limit,
                "rate": it.rate,
                "burst": it.burst,
                "remaining": it.remaining,
                "full_in": seconds(it.reset),
            })
        })
        .collect();
    Ok(Done::new(StatusCode::OK, json!({ "limits": found })))
}

pub(super) async fn reset(access: &Access, asked: &Asked, note: &mut Note) -> Answered {
    let (limits, named) = which(access, asked)?;
    note.event = "limits_reset";
    asked.parameter("key").unwrap_or_default().clone_into(&mut note.target);
    let filled = limits.reset(&named).await?;
    Ok(Done::new(StatusCode::OK, json!({ "reset": filled })))
}

fn which<'a>(access: &'a Access, asked: &Asked) -> Result<(&'a Guard, Named), Refusal> {
    asked.only(&["key"])?;
    asked.no_body()?;
    let hint = "?key= names the parts of a key, like user=local/alice or ip=192.0.2.7|route=/api/**";
    let text = asked.parameter("key").ok_or_else(|| Refusal::bad(hint))?;
    let pairs: Option<Vec<(&str, String)>> = text
        .split('|')
        .map(|pair| pair.split_once('=').and_then(|(part, value)| Some((part, decoded(value)?))))
        .collect();
    let named = pairs.and_then(|pairs| Named::parse(pairs.into_iter())).ok_or_else(|| Refusal::bad(hint))?;
    let none = || Refusal::new(Code::NoRoute, "nothing is counted here");
    Ok((access.limits.as_deref().ok_or_else(none)?, named))
}
