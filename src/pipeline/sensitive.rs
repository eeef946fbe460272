//! Routes where being wrong is dear (`sensitive = true`): nobody is let in on a list of revocations that may lack
//! something, and what was presented to get in gets nobody in again.
//!
//! This comes last of all, when nothing else stands between the request and the backend: whoever is refused for another
//! reason has used nothing up.

use super::browser::{back, Visit};
use super::permit::Caller;
use super::session::Unused;
use super::{Answer, Arrival, Gate, Permit};
use crate::domain::policy::Route;
use crate::domain::request::Canonical;
use http::HeaderValue;

impl Gate {
    /// Uses up what `permit` was given for. The cookies are for the answer: with them the browser's next request works.
    ///
    /// # Errors
    /// 401 `token_used`; or 503, when the list is stale or the store cannot be asked.
    pub(super) async fn use_up(
        &self,
        permit: &Permit,
        (route, request, arrival): (&Route, &Canonical<'_>, &Arrival<'_>),
    ) -> Result<Vec<HeaderValue>, Answer> {
        let visit = Visit { route, request, client: permit.client(), arrival };
        // Without a house this gate only answers questions about requests that nobody sent: the composition root opens
        // one wherever a route is sensitive.
        let (Caller::Known { verified, .. }, Some(house)) = (permit.caller(), self.house()) else {
            return Ok(Vec::new());
        };
        let plan = house.cookies(request.authority, visit.client.proto);
        // They were read once before, and nothing was wrong with them.
        let held = plan.read(arrival.head.headers).unwrap_or_default();
        let used = house.use_up(verified, &held, &self.asking(&visit)).await;
        used.map_err(|unused| {
            let answer = match unused {
                Unused::Refused(denial, cookies) => self.turned_away(denial, &visit).with_cookies(cookies),
                Unused::Back(cookies) => back(route, request, arrival).with_cookies(cookies),
            };
            let handed = permit.cookies().iter().cloned();
            Answer { caller: Some(permit.caller().clone()), ..answer }.with_cookies(handed)
        })
    }
}
