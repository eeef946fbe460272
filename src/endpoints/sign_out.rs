//! Signing out: here, everywhere, and because the provider says so.

use super::reply::{empty, json, page, see_other, turned, with_cookies};
use super::sessions::whose;
use super::{Asked, Delivery, Holds, Own};
use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::logout::{end_session_url, LogoutToken, SignOut as AtProvider};
use crate::domain::principal::SourceName;
use crate::domain::secret::Secret;
use crate::pipeline::own::Reply;
use crate::pipeline::session::{random, Mode, Place, Record};
use crate::pipeline::Caller;
use crate::ports::provider::keys_out_of_reach;
use crate::ports::store::Nonce;
use crate::ports::{with_keys, Keys};
use crate::web::{SignOut, SignedOut};
use http::StatusCode;
use serde_json::json;
use std::sync::Arc;
use tokio::task::JoinSet;

impl Own {
    /// `GET /logout`: one button, for a link must not sign anybody out.
    pub(super) async fn ask_to_sign_out(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        if !asked.held.holds_session() {
            return Ok(page(self, StatusCode::OK, &SignedOut { site: &self.site, still_at: None }, &[]));
        }
        let known = self.house.known(&asked.held, asked.request.now).await.ok();
        known.iter().for_each(|caller| asked.is_from(caller));
        let principal = known.as_ref().and_then(Caller::principal);
        let name = principal.and_then(|principal| principal.claims.get("name")?.as_str());
        let ends = self.provider_ends(principal.map(|principal| &principal.source)).await;
        let targets: Vec<&str> = ends.iter().map(String::as_str).collect();
        Ok(page(self, StatusCode::OK, &SignOut { site: &self.site, name }, &targets))
    }

    /// `POST /logout`: the session of these cookies or of this token, or with `?all=true` all of its user's.
    pub(super) async fn sign_out(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let by_token = asked.bearer()?.is_some();
        // A browser without a session is signed out; a program that forgot its token must not believe that it is.
        if self.delivery == Delivery::Body && !by_token && !asked.held.holds_session() && !asked.wants_page() {
            return Err(Denial::new(Code::Unauthenticated, "nothing to tell whose session shall end"));
        }
        asked.check_cause_of_cookies(self)?;
        let clear = asked.plan.clear_session(&asked.held);
        let place = if by_token {
            match asked.recognise(self).await {
                Ok(recognised) => whose(&recognised).map(|(user, id)| Some(Place { user, id }))?,
                Err(away) => return Ok(turned(self, asked, away)),
            }
        } else {
            self.tell_who(asked).await;
            self.house.place(&asked.held, asked.request.now).await?
        };
        let Some(place) = place else {
            return Ok(with_cookies(self.signed_out(asked, None)?, clear));
        };
        let record = self.house.look(place).await.ok().flatten().map(|(record, _)| record);
        let all = asked.query("all").as_deref() == Some("true") || asked.form("all").as_deref() == Some("true");
        // Old tokens tell whose they are for ever. Whoever finds one may end what it was for, and not what came later.
        let all = if all { self.house.is_there(place).await } else { Ok(false) };
        // Here it is revoked, and others are told as soon as the store is back: whoever signs out is signed out.
        if let Err(denial) = self.house.sign_out(place, asked.request.client.ip).await {
            tracing::warn!("signed out, but the record stays for now: {}", denial.detail);
        }
        if all? {
            self.house.end_others(place.user, None, asked.request.client.ip).await?;
        }
        let at_provider = match &record {
            Some(record) => self.at_provider(asked, record).await,
            None => None,
        };
        Ok(with_cookies(self.signed_out(asked, at_provider)?, clear))
    }

    /// Before the session ends: afterwards it is nobody's. With a handle that nobody remembers only the store could say
    /// whose it is, and it is asked for more important things.
    async fn tell_who(&self, asked: &Asked<'_>) {
        if self.house.terms.mode == Mode::Jwt {
            let known = self.house.known(&asked.held, asked.request.now).await;
            known.iter().for_each(|caller| asked.is_from(caller));
        }
    }

    fn signed_out(&self, asked: &Asked<'_>, at_provider: Option<String>) -> Result<Reply, Denial> {
        if !asked.wants_page() {
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        see_other(&at_provider.unwrap_or_else(|| self.site.sign_out_href()))
    }

    /// Where the provider ends its own session (OpenID Connect RP-Initiated Logout 1.0), and sends the browser back.
    async fn at_provider(&self, asked: &Asked<'_>, record: &Record) -> Option<String> {
        let provider = self.house.providers.get(&SourceName::new(&record.provider))?;
        let metadata = provider.metadata().await.ok()?;
        let id_token = record.provider_tokens.as_ref().and_then(|tokens| tokens.id_token.clone());
        let id_token = id_token.map(|token| Secret::new(token.into_bytes()));
        let back = format!("{}{}", asked.origin.as_str(), self.site.sign_out_href());
        let sign_out = AtProvider { id_token: id_token.as_ref(), back_to: Some(&back), state: None };
        end_session_url(&metadata, &provider.settings().client_id, &sign_out).map(String::from)
    }

    /// Where the form may lead in the end: to where the provider of this session ends its own, or any of them where nobody
    /// knows whose it is. That may be another origin than the issuer's. What cannot be told now is left out; most likely
    /// nobody will be sent there either.
    async fn provider_ends(&self, of: Option<&SourceName>) -> Vec<String> {
        let mut asked = JoinSet::new();
        for (_, provider) in self.house.providers.iter().filter(|(name, _)| of.is_none_or(|of| of == *name)) {
            let provider = Arc::clone(provider);
            asked.spawn(async move { provider.metadata().await.ok()?.end_session_endpoint.clone() });
        }
        let mut ends: Vec<String> = asked.join_all().await.into_iter().flatten().map(String::from).collect();
        ends.sort_unstable();
        ends
    }

    /// `POST /backchannel-logout/{provider}` (OpenID Connect Back-Channel Logout 1.0 section 2.5).
    pub(super) async fn sign_out_by(&self, asked: &Asked<'_>, name: &str) -> Result<Reply, Denial> {
        let way = self.way(name).ok_or_else(|| Denial::new(Code::NoRoute, "no provider of that name"))?;
        let Holds::Provider(provider) = &way.holds else {
            return Err(Denial::new(Code::NoRoute, "this provider ends no sessions"));
        };
        let token = asked.form("logout_token").ok_or_else(|| Denial::new(Code::BadRequest, "no logout_token"))?;
        let away =
            |error: crate::ports::provider::ProviderError| Denial::new(Code::ProviderUnavailable, error.to_string());
        let metadata = provider.metadata().await.map_err(away)?;
        let (settings, now) = (provider.settings(), asked.request.now);
        let keys = provider.keys();
        let check = |keys: &Keys| LogoutToken::check(&token, &metadata, settings, &keys.set, now);
        let checked = with_keys(&*keys, check, keys_out_of_reach).await;
        let logout = match checked {
            Ok(logout) => logout,
            Err(denial) if denial.code.status() == 503 => return Err(denial),
            Err(denial) => {
                let reply = json(StatusCode::BAD_REQUEST, &json!({ "error": "invalid_request" }));
                return Ok(Reply { denial: Some(denial), ..reply });
            }
        };
        // A token that comes again ends nothing more; unless the first time failed, for then the provider has to try again.
        let (once, nonce) = (format!("logout:{name}:{}", logout.jti), Nonce(random()));
        let store = &self.house.ground.store;
        if !store.acquire(&once, &nonce, logout.over.since(now)).await? {
            return Ok(empty(StatusCode::OK));
        }
        if let Err(denial) = self.house.end_by_provider(&way.name, &logout.ends).await {
            let _ = store.release(&once, &nonce).await;
            return Err(denial);
        }
        Ok(empty(StatusCode::OK))
    }
}
