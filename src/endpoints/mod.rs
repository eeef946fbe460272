//! Our own endpoints: a request and what we know in, an answer out. They know nothing of the proxy around them.

mod asked;
mod documents;
mod events;
mod oauth;
mod reply;
mod revoke;
mod session;
mod sessions;
mod sign_in;
mod sign_out;
mod token;

use crate::domain::denial::{Code, Denial};
use crate::domain::origins::Origin;
use crate::domain::principal::SourceName;
use crate::pipeline::own::{Endpoints, OwnRequest, Reply};
use crate::pipeline::session::House;
use crate::ports::bot::BotCheck;
use crate::ports::provider::Provider;
use crate::ports::users::LocalUsers;
use crate::web::Site;
use asked::Asked;
use async_trait::async_trait;
use http::Method;
use std::sync::Arc;
use std::time::Duration;

const WELL_KNOWN: &str = "/.well-known/";

/// What our endpoints are made of.
#[derive(Debug)]
pub struct Own {
    pub house: Arc<House>,
    pub site: Site,
    pub prefix: String,
    /// In the order of the configuration.
    pub ways: Vec<Way>,
    /// Other origins that a sign-in may lead to.
    pub destinations: Vec<Origin>,
    pub delivery: Delivery,
    /// Pages are told this long before a session ends.
    pub warn_before: Duration,
    /// Who is asked whether a program is signing in.
    pub bot: Option<Arc<dyn BotCheck>>,
}

/// A way to sign in.
#[derive(Clone, Debug)]
pub struct Way {
    pub name: SourceName,
    pub holds: Holds,
}

/// Who holds its users.
#[derive(Clone, Debug)]
pub enum Holds {
    Provider(Arc<dyn Provider>),
    Users(Arc<dyn LocalUsers>),
}

/// How tokens reach the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Cookie,
    /// The access token in JSON, the renewal token in a cookie.
    Memory,
    /// Both in JSON.
    Body,
}

#[async_trait]
impl Endpoints for Own {
    fn takes(&self, path: &str) -> bool {
        path.strip_prefix(WELL_KNOWN).is_some_and(|name| documents::NAMES.contains(&name))
    }

    async fn answer(&self, request: OwnRequest) -> Reply {
        let asked = match Asked::read(self, &request) {
            Ok(asked) => asked,
            Err(denial) => return reply::refusal(self, &request, &denial),
        };
        let reply = match self.route(&asked).await {
            Ok(reply) => reply,
            Err(denial) => reply::refusal(self, &request, &denial),
        };
        Reply { caller: asked.caller(), ..reply }
    }
}

impl Own {
    async fn route(&self, asked: &Asked<'_>) -> Result<Reply, Denial> {
        let path = asked.request.path.as_str();
        if let Some(name) = path.strip_prefix(WELL_KNOWN) {
            return self.document(asked, name);
        }
        let below = path.strip_prefix(self.prefix.as_str()).unwrap_or(path);
        let (get, post) = (asked.reads(), asked.request.method == Method::POST);
        let mut parts = below.split('/').skip(1);
        match (parts.next().unwrap_or_default(), parts.next(), parts.next(), parts.next()) {
            ("login", None, None, None) if get => self.begin_sign_in(asked).await,
            ("login", None, None, None) if post => self.sign_in_locally(asked).await,
            ("login", Some("instead"), None, None) if post => self.sign_in_instead(asked).await,
            ("callback", Some(provider), None, None) if get || post => self.finish_sign_in(asked, provider).await,
            ("refresh", None, None, None) if post => self.refresh(asked).await,
            ("logout", None, None, None) if get => self.ask_to_sign_out(asked).await,
            ("logout", None, None, None) if post => self.sign_out(asked).await,
            ("backchannel-logout", Some(provider), None, None) if post => self.sign_out_by(asked, provider).await,
            ("token", None, None, None) if post => self.token(asked).await,
            ("revoke", None, None, None) if post => self.revoke(asked).await,
            ("me", None, None, None) if get => self.me(asked).await,
            ("events", None, None, None) if asked.request.method == Method::GET => self.events(asked).await,
            ("sessions", None, None, None) if get => self.sessions(asked).await,
            ("sessions", Some(id), None, None) if asked.request.method == Method::DELETE => {
                self.end_session(asked, id).await
            }
            ("sessions", Some(id), Some("revoke"), None) if post => self.end_session(asked, id).await,
            ("assets", Some(_), None, None) if get => self.asset(asked, below),
            (name, ..) if KNOWN.contains(&name) => {
                Err(Denial::new(Code::MethodNotAllowed, "one of our endpoints, asked in another way"))
            }
            _ => Err(Denial::new(Code::NoRoute, "none of our endpoints")),
        }
    }

    fn way(&self, name: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.name.as_str() == name)
    }
}

const KNOWN: [&str; 10] =
    ["events", "login", "callback", "refresh", "logout", "backchannel-logout", "token", "revoke", "me", "sessions"];

#[cfg(test)]
#[path = "opaque_tests.rs"]
mod opaque_tests;
