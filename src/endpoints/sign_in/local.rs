//! Signing in with a password, and choosing what to end when there are too many sessions.

use super::super::reply::{page, refusal};
use super::super::{Asked, Holds, Own, Way};
use super::bot::{shown, Passage};
use crate::domain::denial::{Code, Denial};
use crate::domain::failures::MEMORY;
use crate::domain::limit::fields::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::domain::seal::Purpose;
use crate::domain::secret::Secret;
use crate::domain::session::{Millis, SessionId};
use crate::domain::time::{begun_seconds, UnixTime};
use crate::pipeline::own::Reply;
use crate::pipeline::session::{random, Arrived, Full, Place, Refused};
use crate::ports::bot::Captcha;
use crate::ports::provider::Provider;
use crate::ports::users;
use crate::ports::SessionEvent;
use crate::web::{Hidden, Problem, SignIn, TooManySessions};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use http::header::RETRY_AFTER;
use http::{HeaderName, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How long a form may lie open.
const FORM_LIFE: Duration = Duration::from_secs(3600);
/// How long somebody may think about which session to end.
const TICKET_LIFE: Duration = Duration::from_secs(300);
const FORM: &[u8] = b"sign-in form";
const TICKET: &[u8] = b"too many sessions";

impl Own {
    /// `POST /login`
    pub(in super::super) async fn sign_in_locally(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        asked.check_cause(self)?;
        let named = asked.query("provider").or_else(|| asked.form("provider"));
        if self.bot.is_some() {
            let way = named.as_deref().and_then(|name| self.way(name));
            if let Some((way, Holds::Provider(provider))) = way.map(|way| (way, &way.holds)) {
                return self.depart_solved(asked, way, provider).await;
            }
        }
        let local = self.ways.iter().find(|way| {
            matches!(way.holds, Holds::Users(_)) && named.as_deref().is_none_or(|name| way.name.as_str() == name)
        });
        let Some((way, Holds::Users(users))) = local.map(|way| (way, &way.holds)) else {
            return Err(Denial::new(Code::NoRoute, "nobody signs in with a password here"));
        };
        let wish = asked.form("return_to");
        let destination = asked.destination(self, wish.as_deref())?;
        let (name, password) = (asked.form("username").unwrap_or_default(), asked.form("password").unwrap_or_default());
        let password = Secret::new(password.into_owned().into_bytes());
        if !self.is_our_form(asked) {
            return self.local_form(asked, way, wish.as_deref(), Some((&name, Problem::FormTooOld)));
        }
        let (from, device) = (asked.request.client.ip, self.known_device(asked, (way, &**users), &name));
        let attempt = users::SignIn { name: &name, password: &password, from, device };
        // whoever may try nothing is no reason to ask anybody about them
        let blocked = if self.bot.is_some() { users.blocked(&attempt).await } else { None };
        if blocked.is_none() {
            if let Passage::Solve(_) = self.passage(asked, way, Some(&name)).await? {
                return self.local_form(asked, way, wish.as_deref(), Some((&name, Problem::Challenged)));
            }
        }
        let verdict = match blocked {
            Some(refused) => Err(refused),
            None => users.verify(&attempt).await,
        };
        match verdict {
            Ok(user) => {
                let arrived = Arrived {
                    provider: &way.name,
                    identity: user.identity(asked.request.now),
                    trust_email: true,
                    tokens: None,
                    device: asked.device(),
                    ip: asked.request.client.ip,
                    now: asked.request.now,
                };
                let reply = self.admit(asked, arrived, (&destination, None)).await?;
                self.with_known_device(asked, (way, &**users, &user.name), reply)
            }
            Err(refused) => {
                // what somebody typed may be their password, and is written down only where it is a name
                let subject = users.find(&name).map(|user| user.name.clone()).unwrap_or_default();
                self.not_signed_in(asked, way, (&name, wish.as_deref()), (&refused, &subject))
            }
        }
    }

    fn not_signed_in(
        &self,
        asked: &Asked<'_>,
        way: &Way,
        (name, wish): (&str, Option<&str>),
        (refused, subject): (&users::Refused, &str),
    ) -> Result<Reply, Denial> {
        let (event, problem) = match refused {
            users::Refused::Wrong => ("sign_in_failed", Problem::WrongCredentials),
            users::Refused::Blocked { again_in, .. } => {
                ("sign_in_blocked", Problem::TooManyFailures { wait: *again_in })
            }
            users::Refused::Busy | users::Refused::CannotTell(_) => {
                return Err(Denial::new(Code::ProviderUnavailable, refused.to_string()))
            }
        };
        let (provider, client) = (way.name.as_str(), asked.request.client.ip);
        let told = SessionEvent { name: event, session: None, provider, subject, client, detail: "" };
        self.house.ground.events.noted(&told);
        let users::Refused::Blocked { again_in, free } = refused else {
            return self.local_form(asked, way, wish, Some((name, problem)));
        };
        let mut reply = if asked.wants_page() {
            self.local_form(asked, way, wish, Some((name, problem)))?
        } else {
            refusal(self, asked.request, &Denial::new(Code::TooManyFailures, refused.to_string()))
        };
        reply.headers.extend(until_again(*again_in, *free));
        Ok(reply)
    }

    /// The form, once more with what was wrong.
    pub(super) fn local_form(
        &self,
        asked: &Asked<'_>,
        way: &Way,
        return_to: Option<&str>,
        problem: Option<(&str, Problem)>,
    ) -> Result<Reply, Denial> {
        let csrf = self.form_mark(asked)?;
        let captcha = self.captcha_for(asked, problem.map(|(_, problem)| problem));
        let others = self.labels(Some(way));
        let form = SignIn {
            site: &self.site,
            provider: way.name.as_str(),
            csrf: Hidden(&csrf),
            return_to,
            username: problem.map_or("", |(name, _)| name),
            problem: problem.map(|(_, problem)| problem),
            notice: super::notice(asked),
            captcha: captcha.map(shown),
            others: &others,
        };
        let status = match problem {
            Some((_, Problem::TooManyFailures { .. })) => StatusCode::TOO_MANY_REQUESTS,
            Some(_) => StatusCode::UNAUTHORIZED,
            None => StatusCode::OK,
        };
        let targets: Vec<&str> = self.destinations.iter().map(crate::domain::origins::Origin::as_str).collect();
        let mut reply = page(self, status, &form, &targets);
        if let Some(captcha) = captcha {
            reply.headers = self.site.headers_with_script(&targets, (&captcha.script_url, &captcha.origins));
        }
        reply.denial = problem.map(|(_, problem)| denial_of(&problem));
        if status == StatusCode::UNAUTHORIZED {
            reply.headers.push((http::header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"doorward\"")));
        }
        Ok(reply)
    }

    /// The cap is reached: which session shall end? What was proved is sealed into the page, so nobody types it twice.
    pub(super) async fn too_many(&self, asked: &Asked<'_>, full: &Full, to: &str) -> Result<Reply, Denial> {
        let listed = self.house.list(full.user).await?;
        let names: Vec<String> = listed.iter().map(|one| one.id.to_string()).collect();
        let rows = self.rows(&listed, &names, None);
        let ticket = [&asked.request.now.0.to_be_bytes(), full.to_bytes().as_slice()].concat();
        let ticket = self.sealed(TICKET, &ticket)?;
        let too_many = TooManySessions {
            site: &self.site,
            sessions: &rows,
            action: "/login/instead",
            hidden: &[("ticket", Hidden(&ticket)), ("return_to", Hidden(to))],
            now: asked.request.now,
        };
        let targets: Vec<&str> = self.destinations.iter().map(crate::domain::origins::Origin::as_str).collect();
        Ok(page(self, StatusCode::FORBIDDEN, &too_many, &targets))
    }

    /// `POST /login/instead`: this session ends, and the sign-in goes on.
    pub(in super::super) async fn sign_in_instead(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        asked.check_cause(self)?;
        let destination = asked.destination(self, asked.form("return_to").as_deref())?;
        let ticket = asked.form("ticket").and_then(|ticket| self.unsealed(TICKET, &ticket));
        let ticket = ticket.as_ref().map(Secret::expose).and_then(|ticket| ticket.split_first_chunk::<8>());
        let fresh = |made: &[u8; 8]| asked.request.now.since(UnixTime(u64::from_be_bytes(*made))) <= TICKET_LIFE;
        let full = ticket.filter(|(made, _)| fresh(made)).and_then(|(_, full)| Full::from_bytes(full));
        let full = full.ok_or_else(|| Denial::new(Code::BadState, "a choice that came too late"))?;
        let spent = Sha256::digest(asked.form("ticket").unwrap_or_default().as_bytes());
        let until = Millis::from(asked.request.now.plus(TICKET_LIFE));
        if !self.house.ground.store.first(&format!("ticket:{}", URL_SAFE_NO_PAD.encode(spent)), until).await? {
            return Err(Denial::new(Code::BadState, "a choice that was made already"));
        }
        let chosen = asked.form("session").and_then(|id| SessionId::parse(&id));
        let chosen = chosen.ok_or_else(|| Denial::new(Code::BadRequest, "no session was chosen"))?;
        let from = asked.request.client.ip;
        self.house.end(Place { user: full.user, id: chosen }, from).await?;
        match self.house.admit_record(full, from, asked.request.now).await {
            Ok(signed_in) => self.welcome(asked, &signed_in, &destination),
            Err(Refused::Full(full)) => self.too_many(asked, &full, &destination).await,
            Err(Refused::Denied(denial)) => Err(denial),
        }
    }

    /// `POST /login` to a provider: the form of a challenge.
    async fn depart_solved(&self, asked: &Asked<'_>, way: &Way, provider: &Arc<dyn Provider>) -> Result<Reply, Denial> {
        let wish = asked.form("return_to");
        let destination = asked.destination(self, wish.as_deref())?;
        if !self.is_our_form(asked) {
            return Err(Denial::new(Code::BadState, "a form that is not ours, or lay open for too long"));
        }
        self.depart(asked, way, provider, (destination, wish.as_deref())).await
    }

    /// For whoever is challenged, and for whoever was just now: they would be again.
    fn captcha_for(&self, asked: &Asked<'_>, problem: Option<Problem>) -> Option<&Captcha> {
        let captcha = self.bot.as_ref()?.captcha()?;
        (problem == Some(Problem::Challenged) || asked.form(&captcha.field).is_some()).then_some(captcha)
    }

    pub(super) fn form_mark(&self, asked: &Asked<'_>) -> Result<String, Denial> {
        self.sealed(FORM, &asked.request.now.0.to_be_bytes())
    }

    /// A form that we made within the last hour.
    fn is_our_form(&self, asked: &Asked<'_>) -> bool {
        let made = asked.form("csrf").and_then(|csrf| self.unsealed(FORM, &csrf));
        let made = made.as_ref().and_then(|made| made.expose().try_into().ok()).map(u64::from_be_bytes);
        made.is_some_and(|made| asked.request.now.since(UnixTime(made)) <= FORM_LIFE)
    }

    fn sealed(&self, what: &[u8], plain: &[u8]) -> Result<String, Denial> {
        let sealed = self.house.ground.seals.seal(Purpose::Csrf, what, random(), plain);
        sealed.map(|sealed| URL_SAFE_NO_PAD.encode(sealed)).map_err(|e| Denial::new(Code::Internal, e.to_string()))
    }

    fn unsealed(&self, what: &[u8], text: &str) -> Option<Secret> {
        self.house.ground.seals.open(Purpose::Csrf, what, &URL_SAFE_NO_PAD.decode(text).ok()?)
    }
}

/// What the books say of a form that is shown once more.
fn denial_of(problem: &Problem) -> Denial {
    let (code, detail) = match problem {
        Problem::WrongCredentials => (Code::Unauthenticated, "no such user, or another password"),
        Problem::TooManyFailures { .. } => (Code::TooManyFailures, "too many failed sign-ins"),
        Problem::FormTooOld => (Code::BadState, "a form that is not ours, or lay open for too long"),
        Problem::Challenged => (Code::SignInRefused, "challenged by the webhook"),
    };
    Denial::new(code, detail)
}

/// In whole seconds, and none too few: whoever comes back when they were told is let through.
fn until_again(again_in: Duration, free: u32) -> [(HeaderName, HeaderValue); 3] {
    let seconds = begun_seconds(again_in);
    let text = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    [
        (RETRY_AFTER, HeaderValue::from(seconds)),
        (RATE_LIMIT, text(format!("\"sign_in\";r=0;t={seconds}"))),
        (RATE_LIMIT_POLICY, text(format!("\"sign_in\";q={free};w={}", MEMORY.as_secs()))),
    ]
}
