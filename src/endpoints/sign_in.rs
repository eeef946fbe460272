//! Signing in: at an OpenID provider, there and back, or with a password here.

mod bot;
mod known;
mod local;

use super::reply::{page, redirect, see_other, with_cookies};
use super::{Asked, Delivery, Holds, Own, Way};
use crate::domain::cookies::{AttemptId, Name, Parity, SameSite};
use crate::domain::denial::{Code, Denial};
use crate::domain::oidc::attempt::{Attempt, Wish, ATTEMPT_LIFE};
use crate::domain::oidc::authorise::{authorization_url, Asking};
use crate::domain::oidc::callback::{Callback, Unanswered};
use crate::domain::oidc::id_token::{IdToken, Occasion, Terms};
use crate::domain::oidc::Identity;
use crate::domain::seal::Purpose;
use crate::pipeline::own::Reply;
use crate::pipeline::session::{random, Arrived, Place, ProviderTokens, Refused, SignedIn, SHARED};
use crate::ports::provider::{keys_out_of_reach, Provider, ProviderError, Tokens};
use crate::ports::{with_keys, Keys};
use crate::web::{self, Bounced, Chooser, Notice, Onward, ProviderDown};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use bot::Passage;
use http::{Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Sign-ins that may follow each other at once before somebody is told that their browser keeps no cookie of ours.
const MOST_RETURNS: u32 = 3;
/// What follows later than this is another sign-in.
const AT_ONCE: Duration = Duration::from_secs(30);

impl Own {
    /// `GET /login`: to the one way there is, or to the choice of one.
    pub(super) async fn begin_sign_in(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let wish = asked.query("return_to");
        let destination = asked.destination(self, wish.as_deref())?;
        if returns(asked) >= MOST_RETURNS {
            let request_id = &asked.request.request_id;
            let bounced = Bounced { site: &self.site, return_to: wish.as_deref(), request_id };
            let denial = Denial::new(Code::BadState, "back from signing in once more, without a cookie of ours");
            let reply = page(self, StatusCode::BAD_REQUEST, &bounced, &[]);
            return Ok(with_cookies(Reply { denial: Some(denial), ..reply }, [asked.plan.clear(Name::Bounced)]));
        }
        let chosen = asked.query("provider");
        let way = match (chosen.as_deref(), self.ways.as_slice()) {
            (None, [only]) => only,
            (None, _) => return Ok(self.choose(wish.as_deref(), notice(asked))),
            (Some(name), _) => self.way(name).ok_or_else(|| Denial::new(Code::NoRoute, "no provider of that name"))?,
        };
        match &way.holds {
            Holds::Users(_) => self.local_form(asked, way, wish.as_deref(), None),
            Holds::Provider(provider) => self.depart(asked, way, provider, (destination, wish.as_deref())).await,
        }
    }

    /// To the provider, unless it is a program that asks.
    async fn depart(
        &self,
        asked: &Asked<'_>,
        way: &Way,
        provider: &Arc<dyn Provider>,
        (destination, wish): (String, Option<&str>),
    ) -> Result<Reply, Denial> {
        let Passage::Solve(captcha) = self.passage(asked, way, None).await? else {
            return self.leave(asked, way, provider, (destination, wish)).await;
        };
        match provider.metadata().await {
            Ok(metadata) => self.challenge(asked, way, wish, (captcha, metadata.authorization_endpoint.as_str())),
            Err(error) => Ok(self.provider_down(asked, way, wish, &error)),
        }
    }

    fn choose(&self, return_to: Option<&str>, notice: Option<Notice>) -> Reply {
        let ways = self.labels(None);
        page(self, StatusCode::OK, &Chooser { site: &self.site, ways: &ways, return_to, notice }, &[])
    }

    fn labels(&self, but: Option<&Way>) -> Vec<web::Way<'_>> {
        let others = self.ways.iter().filter(|way| but.is_none_or(|but| but.name != way.name));
        others.map(|way| web::Way { name: way.name.as_str(), label: way.name.as_str() }).collect()
    }

    /// To the provider, with an attempt in a cookie of its own: several tabs may each have one.
    async fn leave(
        &self,
        asked: &Asked<'_>,
        way: &Way,
        provider: &Arc<dyn Provider>,
        (destination, wish): (String, Option<&str>),
    ) -> Result<Reply, Denial> {
        let metadata = match provider.metadata().await {
            Ok(metadata) => metadata,
            Err(error) => return Ok(self.provider_down(asked, way, wish, &error)),
        };
        let wish = Wish {
            provider: way.name.clone(),
            redirect_uri: format!("{}{}/callback/{}", asked.origin.as_str(), self.prefix, way.name.as_str()),
            return_to: destination,
            max_age: None,
            former: self.house.place(&asked.held, asked.request.now).await.ok().flatten().map(|at| (at.user, at.id)),
        };
        let attempt = Attempt::begin(wish, &[random(), random(), random()], asked.request.now);
        let asking = Asking { prompt: None, acr_values: &[], login_hint: None };
        let url = authorization_url(&metadata, provider.settings(), &attempt, &asking);
        let label = attempt.label();
        let id = AttemptId::parse(label.as_bytes()).ok_or_else(|| Denial::new(Code::Internal, "no attempt id"))?;
        let sealed =
            self.house.ground.seals.seal(Purpose::Attempt, label.as_bytes(), random(), attempt.to_bytes().expose());
        let sealed = sealed.map_err(|error| Denial::new(Code::Internal, error.to_string()))?;
        let cookie = asked.plan.set(Name::Attempt(id), &URL_SAFE_NO_PAD.encode(sealed), ATTEMPT_LIFE);
        let cookie = cookie.map_err(|error| Denial::new(Code::BadReturnTo, error.to_string()))?;
        let surplus = asked.held.surplus_attempts().map(|name| asked.plan.clear(name));
        Ok(with_cookies(redirect(StatusCode::FOUND, url.as_str())?, surplus.chain([cookie])))
    }

    /// `/callback/{provider}`: back again, with a code.
    pub(super) async fn finish_sign_in(&self, asked: &Asked<'_>, name: &str) -> Result<Reply, Denial> {
        let way = self.way(name).ok_or_else(|| Denial::new(Code::NoRoute, "no provider of that name"))?;
        let Holds::Provider(provider) = &way.holds else {
            return Err(Denial::new(Code::NoRoute, "this provider has no callback"));
        };
        let query = asked.request.query.as_bytes();
        let input = if asked.request.method == Method::POST { &asked.request.body } else { query };
        let callback = Callback::parse(input).map_err(|error| unanswered(&error))?;
        let label = callback.label();
        let (id, attempt) = self.attempt(asked, &label)?;
        let metadata = match provider.metadata().await {
            Ok(metadata) => metadata,
            Err(error) => return Ok(self.provider_down(asked, way, None, &error)),
        };
        let code =
            callback.check(&attempt, &way.name, &metadata, asked.request.now).map_err(|error| unanswered(&error))?;
        let tokens = match provider.exchange(&code, &attempt.verifier, &attempt.redirect_uri).await {
            Ok(tokens) => tokens,
            Err(ProviderError::InvalidGrant) => return Err(bad_state("the code counts no longer")),
            Err(error) => return Ok(self.provider_down(asked, way, None, &error)),
        };
        let identity = identity(&**provider, &attempt, &tokens, asked).await?;
        let arrived = Arrived {
            provider: &way.name,
            identity,
            trust_email: provider.settings().trust_email,
            tokens: Some(kept(&tokens)),
            device: asked.device(),
            ip: asked.request.client.ip,
            now: asked.request.now,
        };
        let former = attempt.former.map(|(user, id)| Place { user, id });
        let reply = self.admit(asked, arrived, (&attempt.return_to, former)).await?;
        Ok(with_cookies(reply, [asked.plan.clear(Name::Attempt(id))]))
    }

    fn attempt(&self, asked: &Asked<'_>, label: &str) -> Result<(AttemptId, Attempt), Denial> {
        let id = AttemptId::parse(label.as_bytes()).ok_or_else(|| bad_state("a state that is none of ours"))?;
        let held = asked.held.attempt(id).ok_or_else(|| bad_state("no such attempt in this browser"))?;
        let sealed = URL_SAFE_NO_PAD.decode(held).map_err(|_| bad_state("an attempt that cannot be read"))?;
        let plain = self.house.ground.seals.open(Purpose::Attempt, label.as_bytes(), &sealed);
        let plain = plain.ok_or_else(|| bad_state("an attempt that none of our secrets sealed"))?;
        let attempt = Attempt::from_bytes(plain.expose()).ok_or_else(|| bad_state("an attempt of another version"))?;
        Ok((id, attempt))
    }

    /// Somebody has proved who they are: their session, and where they wanted to go. `former` is what the browser held
    /// when they set out.
    pub(super) async fn admit(
        &self,
        asked: &Asked<'_>,
        arrived: Arrived<'_>,
        (to, former): (&str, Option<Place>),
    ) -> Result<Reply, Denial> {
        // The browser's former session ends with this one: two in one browser are one that nobody sees. It ends first,
        // for its place may be the one that is needed.
        let ended = self.end_former(asked, former).await;
        match self.house.admit(arrived).await {
            Ok(signed_in) => {
                if ended.is_err() {
                    self.retire_former(asked, former).await;
                }
                self.welcome(asked, &signed_in, to)
            }
            Err(Refused::Full(full)) => self.too_many(asked, &full, to).await,
            Err(Refused::Denied(denial)) => Err(denial),
        }
    }

    async fn end_former(&self, asked: &Asked<'_>, former: Option<Place>) -> Result<(), Denial> {
        let held = self.house.place(&asked.held, asked.request.now).await?;
        if let Some(place) = held.or(former) {
            self.house.end(place, asked.request.client.ip).await?;
        }
        Ok(())
    }

    /// Once more, now that there is another session: the store was away for a moment. Before, that was no reason to take
    /// away the only one there was; now what cannot be deleted is revoked at least.
    async fn retire_former(&self, asked: &Asked<'_>, former: Option<Place>) {
        let held = self.house.place(&asked.held, asked.request.now).await.ok().flatten();
        if let Some(place) = held.or(former) {
            let _ = self.house.sign_out(place, asked.request.client.ip).await;
        }
    }

    pub(super) fn welcome(&self, asked: &Asked<'_>, signed_in: &SignedIn, to: &str) -> Result<Reply, Denial> {
        let issued = &signed_in.issued;
        if self.delivery == Delivery::Body {
            let mut me = self.about_me(&signed_in.record, signed_in.place.id, asked.request.now, None);
            if let Some(me) = me.as_object_mut() {
                me.insert("expires_in".to_owned(), issued.expires_in.as_secs().into());
            }
            return Ok(self.tokens(issued, &me));
        }
        let mut cookies = self.delivered(asked, issued)?;
        // What belongs to a former session must not come along with this one.
        let given = issued.renewal.as_ref().map(|(parity, _)| *parity);
        let former = Parity::BOTH.into_iter().filter(|parity| asked.held.renewal(*parity).is_some());
        cookies.extend(former.filter(|parity| Some(*parity) != given).map(|it| asked.plan.clear(Name::Renewal(it))));
        let again = returns(asked).saturating_add(1).to_string();
        cookies.extend(asked.plan.set(Name::Bounced, &format!("s{again}"), AT_ONCE));
        let reply = if self.house.terms.same_site == SameSite::Strict && signed_in.record.provider_tokens.is_some() {
            // The provider has brought the browser here: to whatever a redirect leads now, it sends no strict cookie.
            page(self, StatusCode::OK, &Onward { site: &self.site, to }, &[])
        } else {
            see_other(to)?
        };
        Ok(with_cookies(reply, cookies))
    }

    fn provider_down(&self, asked: &Asked<'_>, way: &Way, return_to: Option<&str>, error: &ProviderError) -> Reply {
        let denial = Denial::new(Code::ProviderUnavailable, format!("{}: {error}", way.name.as_str()));
        if !asked.wants_page() {
            return super::reply::refusal(self, asked.request, &denial);
        }
        let others = self.labels(Some(way));
        let down = ProviderDown {
            site: &self.site,
            provider: web::Way { name: way.name.as_str(), label: way.name.as_str() },
            others: &others,
            return_to,
            request_id: &asked.request.request_id,
        };
        Reply { denial: Some(denial), ..page(self, StatusCode::SERVICE_UNAVAILABLE, &down, &[]) }
    }
}

async fn identity(
    provider: &dyn Provider,
    attempt: &Attempt,
    tokens: &Tokens,
    asked: &Asked<'_>,
) -> Result<Identity, Denial> {
    let away = |error: ProviderError| Denial::new(Code::ProviderUnavailable, error.to_string());
    let settings = provider.settings();
    let metadata = provider.metadata().await.map_err(away)?;
    let nothing = || Denial::new(Code::ProviderUnavailable, "the provider sent no ID token");
    let text =
        tokens.id_token.as_ref().and_then(|token| std::str::from_utf8(token.expose()).ok()).ok_or_else(nothing)?;
    let access_token = tokens.access_token.expose();
    let occasion = Occasion::SignIn { nonce: &attempt.nonce, max_age: attempt.max_age, access_token };
    let terms = Terms { metadata: &metadata, settings, occasion, now: asked.request.now };
    let check = |keys: &Keys| IdToken::check(text, &terms, &keys.set);
    let token = with_keys(&*provider.keys(), check, keys_out_of_reach).await?;
    let userinfo =
        if settings.userinfo { Some(provider.userinfo(&tokens.access_token).await.map_err(away)?) } else { None };
    Identity::read(&token, userinfo.as_ref(), settings)
}

fn kept(tokens: &Tokens) -> ProviderTokens {
    let text = |secret: &crate::domain::secret::Secret| String::from_utf8(secret.expose().to_vec()).ok();
    ProviderTokens {
        refresh: tokens.refresh_token.as_ref().and_then(text),
        shown: false,
        id_token: tokens.id_token.as_ref().and_then(text),
    }
}

/// What its user should know before they sign in again.
fn notice(asked: &Asked<'_>) -> Option<Notice> {
    (asked.held.bounced() == Some(SHARED)).then_some(Notice::SignedOutForSafety)
}

/// How often this browser has just come back from signing in.
fn returns(asked: &Asked<'_>) -> u32 {
    let count = asked.held.bounced().and_then(|text| text.strip_prefix('s')).and_then(|text| text.parse().ok());
    count.unwrap_or(0)
}

fn unanswered(error: &Unanswered) -> Denial {
    match error {
        Unanswered::Refused(refusal) => Denial::new(Code::Forbidden, format!("the provider refused: {refusal}")),
        Unanswered::Malformed(_) | Unanswered::BadState(_) => Denial::new(Code::BadState, error.to_string()),
    }
}

fn bad_state(detail: &'static str) -> Denial {
    Denial::new(Code::BadState, detail)
}
