//! `GET /events`: what a page wants to know of its session while it lies open, as server-sent events.

use super::reply::{turned, with_cookies};
use super::sessions::session;
use super::{Asked, Own};
use crate::domain::denial::{Code, Denial};
use crate::pipeline::own::Reply;
use crate::pipeline::session::Place;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};

/// nginx would gather events until there are enough of them to pass on.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

impl Own {
    /// One question to the store now; from here on as many as [`Watch`](crate::pipeline::session::Watch) says.
    pub(super) async fn events(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let recognised = match asked.recognise(self).await {
            Ok(recognised) => recognised,
            Err(away) => return Ok(turned(self, asked, away)),
        };
        let (verified, facts) = session(&recognised)?;
        let looked = self.house.look(Place { user: facts.user, id: facts.id }).await?;
        let Some((_, times)) = looked else { return Ok(self.gone(asked)) };
        let now = asked.request.now;
        let watch = self.house.watch(verified, facts.with_uses(times, now), self.warn_before, now);
        let watch = watch.ok_or_else(|| Denial::new(Code::TryAgain, "too many pages wait for events"))?;
        let headers = vec![
            (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (UNBUFFERED, HeaderValue::from_static("no")),
        ];
        let reply = Reply { status: StatusCode::OK, headers, watch: Some(Box::new(watch)), ..Reply::default() };
        Ok(with_cookies(reply, recognised.cookies))
    }
}
