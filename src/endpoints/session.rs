//! `/me` and `/refresh`: what a client may know of its session, and a new access token for it.

use super::reply::{empty, json, refusal, turned, with_cookies, with_headers};
use super::sessions::session;
use super::{Asked, Delivery, Own};
use crate::domain::denial::{Code, Denial};
use crate::domain::family::{Renewal as Said, Transport};
use crate::domain::session::{SessionId, Times};
use crate::domain::time::UnixTime;
use crate::pipeline::limits::Over;
use crate::pipeline::own::Reply;
use crate::pipeline::permit::Memory;
use crate::pipeline::session::{
    cleared, left, session_of, Issued, Mode, Occasion, Place, Record, Renewed, Renewing, Turned,
};
use crate::pipeline::Caller;
use http::{HeaderValue, StatusCode};
use serde_json::{json, Value};
use std::sync::Arc;
use std::time::Duration;

impl Own {
    /// `GET /me`: never a token.
    pub(super) async fn me(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let recognised = match asked.recognise(self).await {
            Ok(recognised) => recognised,
            Err(away) => return Ok(turned(self, asked, away)),
        };
        let (verified, facts) = session(&recognised)?;
        let place = Place { user: facts.user, id: facts.id };
        let Some((record, times)) = self.house.look(place).await? else { return Ok(self.gone(asked)) };
        let now = asked.request.now;
        let mut me = self.about_me(&record, facts.id, now, Some(&facts.with_uses(times, now)));
        if let Some(me) = me.as_object_mut().filter(|_| !self.is_opaque()) {
            me.insert("expires_in".to_owned(), json!(verified.ends().since(now).as_secs()));
        }
        Ok(with_cookies(json(StatusCode::OK, &me), recognised.cookies))
    }

    pub(super) fn about_me(&self, record: &Record, id: SessionId, now: UnixTime, times: Option<&Times>) -> Value {
        let idle = times.map_or(self.house.terms.lifetimes.idle, |times| left(times, now));
        let expires = if self.is_opaque() { idle } else { self.house.terms.access_ttl };
        json!({
            "sub": record.subject,
            "provider": record.provider,
            "email": record.email,
            "name": record.name,
            "roles": record.roles,
            "expires_in": expires.as_secs(),
            "idle_in": idle.as_secs(),
            "claims_at": record.claims_at,
            "session": id.to_string(),
        })
    }

    /// `POST /refresh`
    pub(super) async fn refresh(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        if self.is_opaque() {
            return self.extend(asked).await;
        }
        let body = self.told(asked);
        if body.is_none() {
            asked.check_cause(self)?;
        }
        let presented = match &body {
            Some(token) => self.house.parse_renewal(token),
            None => self.house.renewal(&asked.held),
        };
        let Some(said) = presented else {
            return Err(Denial::new(Code::Unauthenticated, "no renewal token"));
        };
        let transport = if body.is_some() { Transport::Body } else { Transport::Cookie };
        match self.spend(asked, said, transport, self.house.terms.family.grace).await {
            Renewed::Issued { issued, about, .. } => self.renewed(asked, &issued, &about, session_of(said.family)),
            Renewed::CannotTell(denial) | Renewed::Refused(denial) => Err(denial),
            Renewed::Over(over) => Ok(self.too_often(asked, over)),
            Renewed::Back(generation) => {
                Ok(turned(self, asked, Turned::Back(self.house.marker(&asked.plan, generation))))
            }
            Renewed::Ended(denial) => Ok(self.over(asked, denial)),
        }
    }

    /// Spends a renewal token, however it came.
    pub(super) async fn spend(&self, asked: &Asked<'_>, said: Said, transport: Transport, grace: Duration) -> Renewed {
        let renewing = Renewing {
            said,
            device: asked.device(),
            bounced: self.house.is_marked(&asked.held, said.generation),
            uses: true,
            occasion: Occasion::Asked,
            transport,
            grace,
            ip: asked.request.client.ip,
            now: asked.request.now,
        };
        let renewed = self.house.renew(renewing).await;
        if let Renewed::Issued { verified, .. } = &renewed {
            verified.session().iter().for_each(|facts| facts.know_on(&asked.request.headers));
            asked.is_from(&Caller::Known { verified: Arc::clone(verified), memory: Memory::Miss });
        }
        renewed
    }

    pub(super) fn too_often(&self, asked: &Asked<'_>, over: Over) -> Reply {
        with_headers(refusal(self, asked.request, &over.denial), over.headers)
    }

    /// With a handle there is nothing to renew: the session is in use, and that is all.
    async fn extend(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        asked.check_cause(self)?;
        let recognised = match asked.recognise(self).await {
            Ok(recognised) => recognised,
            Err(away) => return Ok(turned(self, asked, away)),
        };
        let (verified, facts) = session(&recognised)?;
        let now = asked.request.now;
        match self.house.extend(verified, now).await {
            Ok(true) => {}
            Ok(false) => return Ok(self.gone(asked)),
            Err(over) => return Ok(self.too_often(asked, over)),
        }
        let looked = self.house.look(Place { user: facts.user, id: facts.id }).await?;
        let Some((record, times)) = looked else { return Ok(self.gone(asked)) };
        let me = self.about_me(&record, facts.id, now, Some(&times));
        let said = json!({ "expires_in": left(&times, now).as_secs(), "id": me });
        Ok(with_cookies(json(StatusCode::OK, &said), recognised.cookies))
    }

    pub(super) fn gone(&self, asked: &Asked<'_>) -> Reply {
        self.over(asked, Denial::new(Code::SessionTerminated, "the session has been ended"))
    }

    fn over(&self, asked: &Asked<'_>, denial: Denial) -> Reply {
        let clear = cleared(&denial, &asked.plan, &asked.held, &asked.request.headers);
        turned(self, asked, Turned::Away(denial, clear))
    }

    fn is_opaque(&self) -> bool {
        self.house.terms.mode == Mode::Opaque
    }

    /// The renewal token in the body, where tokens are delivered so.
    fn told(&self, asked: &Asked<'_>) -> Option<String> {
        if self.delivery != Delivery::Body {
            return None;
        }
        let told: Value = serde_json::from_slice(&asked.request.body).ok()?;
        told.get("refresh_token").and_then(Value::as_str).map(str::to_owned)
    }

    /// Everything is known: the family has moved on, and an answer that was lost now would look like a theft.
    fn renewed(
        &self,
        asked: &Asked<'_>,
        issued: &Issued,
        (record, times): &(Record, Times),
        id: SessionId,
    ) -> Result<Reply, Denial> {
        let cookies = if self.delivery == Delivery::Body { Vec::new() } else { self.delivered(asked, issued)? };
        let me = self.about_me(record, id, asked.request.now, Some(times));
        let told = asked.wants_json() || self.delivery != Delivery::Cookie;
        let reply = if told { self.tokens(issued, &me) } else { empty(StatusCode::OK) };
        Ok(with_cookies(reply, cookies))
    }

    /// The token response, with as much of the tokens in it as the delivery says.
    pub(super) fn tokens(&self, issued: &Issued, id: &Value) -> Reply {
        let mut said = json!({ "expires_in": issued.expires_in.as_secs(), "id": id });
        if let Some(said) = said.as_object_mut().filter(|_| self.delivery != Delivery::Cookie) {
            said.insert("access_token".to_owned(), json!(&*issued.access));
            said.insert("token_type".to_owned(), json!("Bearer"));
            if let Some((_, token)) = issued.renewal.as_ref().filter(|_| self.delivery == Delivery::Body) {
                said.insert("refresh_token".to_owned(), json!(&**token));
            }
        }
        json(StatusCode::OK, &said)
    }

    /// The cookies that carry what is not told in JSON.
    pub(super) fn delivered(&self, asked: &Asked<'_>, issued: &Issued) -> Result<Vec<HeaderValue>, Denial> {
        match self.delivery {
            Delivery::Cookie => issued.cookies(&asked.plan, &asked.held),
            Delivery::Memory => issued.renewal_cookie(&asked.plan),
            Delivery::Body => Ok(Vec::new()),
        }
    }
}
