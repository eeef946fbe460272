//! Buckets of rate limits, looked at and filled.

use super::answer::{Answered, Done, Refusal};
use super::asked::{decoded, Asked};
use super::{Access, Note};
use crate::domain::denial::Code;
use crate::domain::limit::bucket::seconds;
use crate::domain::time::begun_seconds;
use crate::pipeline::limits::{Guard, Named};
use crate::ports::users::FailureDesk;
use hyper::StatusCode;
use serde_json::{json, Value};
use std::net::IpAddr;

/// As metrics call it, too.
const SIGN_IN: &str = "sign_in";

pub(super) async fn look(access: &Access, asked: &Asked) -> Answered {
    if let Some((failures, named)) = sign_in(access, asked)? {
        let told = failures.stands(named.account(), named.from).await?;
        let blocked = told.again_in.map_or(0, begun_seconds);
        let found = json!({ "limit": SIGN_IN, "failures": told.failures, "free": told.free, "blocked_for": blocked });
        return Ok(Done::new(StatusCode::OK, json!({ "limits": [found] })));
    }
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
    note.event = "limits_reset";
    asked.parameter("key").unwrap_or_default().clone_into(&mut note.target);
    if let Some((failures, named)) = sign_in(access, asked)? {
        let filled = failures.reset(named.account(), named.from).await?;
        return Ok(Done::new(StatusCode::OK, json!({ "reset": filled.then_some(SIGN_IN).as_slice() })));
    }
    let (limits, named) = which(access, asked)?;
    let filled = limits.reset(&named).await?;
    Ok(Done::new(StatusCode::OK, json!({ "reset": filled })))
}

/// Failures are counted by an account at an address, or by an address.
struct SignIns {
    account: String,
    from: Option<IpAddr>,
}

impl SignIns {
    fn account(&self) -> Option<&str> {
        Some(self.account.as_str()).filter(|account| !account.is_empty())
    }
}

/// `sign_in=NAME|ip=ADDRESS`; `None`: something else was named.
fn sign_in<'a>(access: &'a Access, asked: &Asked) -> Result<Option<(&'a dyn FailureDesk, SignIns)>, Refusal> {
    let Some(text) = asked.parameter("key").and_then(|key| key.strip_prefix("sign_in=")) else { return Ok(None) };
    asked.only(&["key"])?;
    asked.no_body()?;
    let hint = || Refusal::bad("sign_in=alice|ip=192.0.2.7 names an account at an address, sign_in=|ip=… an address");
    let (account, from) = text.split_once("|ip=").ok_or_else(hint)?;
    let account = decoded(account).ok_or_else(hint)?;
    let from = match from {
        // a unix socket has none
        "" => None,
        from => Some(from.parse().map_err(|_| hint())?),
    };
    let none = || Refusal::new(Code::NoRoute, "nobody signs in here");
    Ok(Some((access.failures.as_deref().ok_or_else(none)?, SignIns { account, from })))
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
    let limits = access.limits.as_deref().ok_or_else(none)?;
    // a bucket nobody spends from looks like a full one
    for source in named.sources() {
        access.source(Some(source))?;
    }
    if named.route().is_some_and(|label| !limits.has_route(label)) {
        return Err(Refusal::bad("route names no route of this gate, as `doorward routes` shows them"));
    }
    Ok((limits, named))
}
