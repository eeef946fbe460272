//! `/sessions`: a user looks at their own sessions, and ends them.

use super::reply::{empty, json, page, see_other, turned, with_cookies};
use super::{Asked, Own};
use crate::domain::denial::{Code, Denial};
use crate::domain::session::{Millis, SessionId, UserHash};
use crate::domain::time::UnixTime;
use crate::pipeline::cache::{SessionFacts, Verified};
use crate::pipeline::own::Reply;
use crate::pipeline::session::{Listed, Place, Recognised};
use crate::pipeline::Caller;
use crate::web::{Ended, SessionRow, Sessions};
use http::StatusCode;
use serde_json::{json, Value};
use std::sync::Arc;

/// Instead of an id: all but the one that asks.
const OTHERS: &str = "others";

impl Own {
    pub(super) async fn sessions(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let recognised = match asked.recognise(self).await {
            Ok(recognised) => recognised,
            Err(away) => return Ok(self.to_sign_in(asked).unwrap_or_else(|| turned(self, asked, away))),
        };
        let (user, current) = whose(&recognised)?;
        let listed = self.house.list(user).await?;
        let names: Vec<String> = listed.iter().map(|one| one.id.to_string()).collect();
        let reply = if asked.wants_page() {
            let rows = self.rows(&listed, &names, Some(current));
            let ended = match asked.query("ended").as_deref() {
                Some("one") => Some(Ended::One),
                Some("others") => Some(Ended::Others),
                _ => None,
            };
            page(
                self,
                StatusCode::OK,
                &Sessions { site: &self.site, sessions: &rows, ended, now: asked.request.now },
                &[],
            )
        } else {
            let sessions: Vec<Value> = listed.iter().map(|one| described(one, current)).collect();
            json(StatusCode::OK, &json!({ "sessions": sessions }))
        };
        Ok(with_cookies(reply, recognised.cookies))
    }

    /// `DELETE /sessions/{id}` and `POST /sessions/{id}/revoke`
    pub(super) async fn end_session(&self, asked: &Asked<'_>, id: &str) -> Result<Reply, Denial> {
        asked.check_cause_of_cookies(self)?;
        let recognised = match asked.recognise(self).await {
            Ok(recognised) => recognised,
            Err(away) => return Ok(turned(self, asked, away)),
        };
        let (user, current) = whose(&recognised)?;
        let ended = if id == OTHERS {
            self.house.end_others(user, Some(current), asked.request.client.ip).await?;
            "others"
        } else {
            let id = SessionId::parse(id).ok_or_else(|| Denial::new(Code::NoRoute, "no session of that name"))?;
            if !self.house.end(Place { user, id }, asked.request.client.ip).await? {
                return Err(Denial::new(Code::NoRoute, "no session of that name"));
            }
            if id == current {
                let reply = if asked.wants_page() {
                    see_other(&self.site.sign_out_href())?
                } else {
                    empty(StatusCode::NO_CONTENT)
                };
                return Ok(with_cookies(reply, asked.plan.clear_session(&asked.held)));
            }
            "one"
        };
        let reply = if asked.wants_page() {
            see_other(&format!("{}?ended={ended}", self.site.sessions_href()))?
        } else {
            json(StatusCode::OK, &json!({ "ended": ended }))
        };
        Ok(with_cookies(reply, recognised.cookies))
    }

    pub(super) fn rows<'l>(
        &self,
        listed: &'l [Listed],
        names: &'l [String],
        current: Option<SessionId>,
    ) -> Vec<SessionRow<'l>> {
        let rows = listed.iter().zip(names).map(|(one, name)| SessionRow {
            id: name,
            device: &one.record.device,
            network: &one.record.place,
            created: seconds(one.times.created),
            last_seen: seconds(one.times.last_seen),
            current: Some(one.id) == current,
        });
        rows.collect()
    }

    /// A person who is nobody yet signs in first, and comes back.
    fn to_sign_in(&self, asked: &Asked<'_>) -> Option<Reply> {
        let nobody = asked.wants_page() && !asked.held.holds_session();
        nobody.then(|| see_other(&self.site.sign_in_href(None, None)).ok()).flatten()
    }
}

pub(super) fn whose(recognised: &Recognised) -> Result<(UserHash, SessionId), Denial> {
    session(recognised).map(|(_, facts)| (facts.user, facts.id))
}

/// Who is asking, and their session.
pub(super) fn session(recognised: &Recognised) -> Result<(&Arc<Verified>, &SessionFacts), Denial> {
    match &recognised.caller {
        Caller::Known { verified, .. } => verified.session().map(|facts| (verified, facts)),
        Caller::Anonymous => None,
    }
    .ok_or_else(|| Denial::new(Code::Unauthenticated, "no session"))
}

fn described(one: &Listed, current: SessionId) -> Value {
    json!({
        "id": one.id.to_string(),
        "current": one.id == current,
        "created": seconds(one.times.created).0,
        "last_seen": seconds(one.times.last_seen).0,
        "expires": seconds(one.times.expires()).0,
        "ip": one.record.place,
        "device": one.record.device,
    })
}

fn seconds(time: Millis) -> UnixTime {
    UnixTime(time.0 / 1000)
}
