//! `/api/v1`: operators look at a running gate and change it.
//!
//! Whoever comes is looked at before what they want: by which name they found us, whose token they have, what its
//! holder may do. Every change leaves a line in the audit log, also one that failed. A change that was begun is seen
//! through, and written down, when whoever asked for it has hung up.

mod answer;
mod api_keys;
mod asked;
mod keys;
mod limits;
mod revoking;
mod sessions;

use crate::domain::denial::Code;
use crate::domain::operators::{Operator, Operators, Role};
use crate::domain::principal::SourceName;
use crate::observe::audit::{AuditLog, Operated};
use crate::observe::clock;
use crate::pipeline::api_keys::ApiKeys;
use crate::pipeline::limits::Guard;
use crate::pipeline::revocation::Revocations;
use crate::pipeline::session::Ground;
use crate::ports::users::FailureDesk;
use answer::{Answered, Done, Refusal};
use arc_swap::ArcSwap;
use asked::Asked;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HOST};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, oneshot};

/// Everything here is below this path.
pub(super) const PREFIX: &str = "/api/";
const VERSION: &str = "/api/v1/";

/// The admin API.
#[derive(Debug)]
pub struct Api {
    access: ArcSwap<Access>,
    tools: OnceLock<Tools>,
    audit: AuditLog,
    /// `None`: there is no file to read anew.
    reloads: Option<Reloads>,
}

/// Who may come in, and by which names; may change with every configuration.
#[derive(Debug, Default)]
pub struct Access {
    /// With nobody in it there is no API.
    pub operators: Operators,
    /// Names in `Host` besides addresses of ours and localhost, in lower case.
    pub hosts: Vec<String>,
    /// Who signs people in here: only their users have sessions.
    pub providers: Vec<SourceName>,
    /// Whose tokens are accepted, and where API keys come from.
    pub issuers: Vec<SourceName>,
    /// What is counted; `None`: nothing.
    pub limits: Option<Arc<Guard>>,
    /// Failed sign-ins; `None`: nobody signs in here.
    pub failures: Option<Arc<dyn FailureDesk>>,
}

/// What is changed.
#[derive(Debug)]
pub struct Tools {
    pub ground: Arc<Ground>,
    pub revocations: Arc<Revocations>,
    pub api_keys: Arc<ApiKeys>,
}

/// Asks for a reload; what comes back is the number of the new configuration, or what is wrong with it.
pub type Reloads = mpsc::Sender<oneshot::Sender<Result<u32, String>>>;

/// What somebody wants.
#[derive(Debug)]
enum Act {
    Revoke,
    ListSessions,
    EndSession(String),
    Block(String),
    Unblock(String),
    RevokeUser(String),
    ListKeys,
    RotateKeys,
    RetireKey(String),
    ListApiKeys,
    CreateApiKey,
    DeleteApiKey(String),
    LookAtLimits,
    ResetLimits,
    Reload,
}

/// What the audit log is told of a change.
#[derive(Debug, Default)]
struct Note {
    event: &'static str,
    target: String,
    source: Option<String>,
    detail: Option<String>,
    receipt: Option<String>,
    /// In force everywhere, and yet not all of it was done.
    unfinished: bool,
}

impl Api {
    #[must_use]
    pub fn new(access: Access, audit: AuditLog, reloads: Option<Reloads>) -> Self {
        Self { access: ArcSwap::from_pointee(access), tools: OnceLock::new(), audit, reloads }
    }

    /// Another configuration counts now.
    pub fn set_access(&self, access: Access) {
        self.access.store(Arc::new(access));
    }

    /// What can be changed is there. The first word counts: these outlive configurations.
    pub fn equip(&self, tools: Tools) {
        let _ = self.tools.set(tools);
    }

    pub(super) fn is_open(&self) -> bool {
        !self.access.load().operators.is_empty()
    }

    pub(super) async fn respond(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let access = self.access.load_full();
        let (operator, act) = match self.admit(&access, &head, peer) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal.into_response(),
        };
        let asked = match Asked::read(&head, body).await {
            Ok(asked) => asked,
            Err(refusal) => return refusal.into_response(),
        };
        let seen_through = tokio::spawn(async move { self.perform(&access, (&operator, act), &asked, peer).await });
        match seen_through.await {
            Ok(Ok(done)) => done.into_response(),
            Ok(Err(refusal)) => refusal.into_response(),
            Err(_) => Refusal::new(Code::Internal, "it broke off").into_response(),
        }
    }

    /// Who asks, and for what.
    fn admit(&self, access: &Access, head: &Parts, peer: Peer) -> Result<(Operator, Act), Refusal> {
        let refused = |refusal: Refusal, operator: &str| {
            self.audit.operated(&Operated {
                time: clock::wall(),
                event: "admin_refused",
                operator,
                client: Some(peer.client),
                outcome: refusal.code.name(),
                detail: Some(&refusal.detail),
                ..Operated::default()
            });
            refusal
        };
        check_host(access, head, peer).map_err(|refusal| refused(refusal, ""))?;
        let operator = presented(head).and_then(|token| access.operators.find(token)).cloned();
        let nobody = || Refusal::new(Code::Unauthenticated, "the admin API takes a token: Authorization: Bearer …");
        let operator = operator.ok_or_else(|| refused(nobody(), ""))?;
        let (method, act) = Act::find(&head.method, head.uri.path())?;
        let looks = method == Method::GET;
        if head.method != method && !(looks && head.method == Method::HEAD) {
            return Err(Refusal::method(if looks { "GET, HEAD" } else { method.as_str() }));
        }
        if !looks && operator.role == Role::Reader {
            let refusal = Refusal::new(Code::Forbidden, "a reader changes nothing");
            return Err(refused(refusal, &operator.name));
        }
        Ok((operator, act))
    }

    async fn perform(&self, access: &Access, (operator, act): (&Operator, Act), asked: &Asked, peer: Peer) -> Answered {
        let mut note = Note::default();
        let answered = self.act(access, act, asked, &mut note).await;
        if note.event.is_empty() {
            return answered;
        }
        let outcome = match &answered {
            Ok(_) if note.unfinished => "unfinished",
            Ok(done) if done.status == StatusCode::ACCEPTED => "here_only",
            Ok(_) => "done",
            Err(refusal) => refusal.code.name(),
        };
        self.audit.operated(&Operated {
            time: clock::wall(),
            event: note.event,
            operator: &operator.name,
            client: Some(peer.client),
            target: &note.target,
            source: note.source.as_deref(),
            detail: note.detail.as_deref(),
            receipt: note.receipt.as_deref(),
            outcome,
        });
        answered
    }

    async fn act(&self, access: &Access, act: Act, asked: &Asked, note: &mut Note) -> Answered {
        let starting = || Refusal::new(Code::StoreUnavailable, "the gate is still starting");
        let tools = || self.tools.get().ok_or_else(starting);
        match act {
            Act::Revoke => revoking::revoke(tools()?, access, asked, note).await,
            Act::Block(subject) => revoking::block(tools()?, access, (asked, subject), note).await,
            Act::Unblock(subject) => revoking::unblock(tools()?, access, (asked, subject), note).await,
            Act::RevokeUser(subject) => revoking::revoke_user(tools()?, access, (asked, subject), note).await,
            Act::ListSessions => sessions::list(tools()?, access, asked).await,
            Act::EndSession(id) => sessions::end(tools()?, access, (asked, &id), note).await,
            Act::ListKeys => keys::list(tools()?, asked),
            Act::RotateKeys => keys::rotate(tools()?, asked, note).await,
            Act::RetireKey(kid) => keys::retire(tools()?, (asked, kid), note).await,
            Act::ListApiKeys => api_keys::list(tools()?, asked).await,
            Act::CreateApiKey => api_keys::create(tools()?, asked, note).await,
            Act::DeleteApiKey(id) => api_keys::delete(tools()?, (asked, &id), note).await,
            Act::LookAtLimits => limits::look(access, asked).await,
            Act::ResetLimits => limits::reset(access, asked, note).await,
            Act::Reload => self.reload(asked, note).await,
        }
    }

    async fn reload(&self, asked: &Asked, note: &mut Note) -> Answered {
        asked.only(&[])?;
        asked.no_body()?;
        note.event = "configuration_reload";
        let no_file = || Refusal::new(Code::NoRoute, "this gate was started without a file, so there is none to read");
        let (answer, answered) = oneshot::channel();
        self.reloads.as_ref().ok_or_else(no_file)?.send(answer).await.map_err(|_| no_file())?;
        match answered.await {
            Ok(Ok(generation)) => Ok(Done::new(StatusCode::OK, json!({ "generation": generation }))),
            Ok(Err(mistakes)) => Err(Refusal::new(Code::BadRequest, mistakes)),
            Err(_) => Err(Refusal::new(Code::Internal, "the reload broke off")),
        }
    }
}

/// Who is at the other end, and at which of our addresses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) client: IpAddr,
    pub(super) own: SocketAddr,
}

impl Act {
    fn find(method: &Method, path: &str) -> Result<(Method, Self), Refusal> {
        let unknown = || Refusal::new(Code::NoRoute, "the admin API has no such path");
        let segments: Vec<&str> = path.strip_prefix(VERSION).ok_or_else(unknown)?.split('/').collect();
        let name = |text: &str| asked::decoded(text).filter(|name| !name.is_empty()).ok_or_else(unknown);
        Ok(match segments.as_slice() {
            ["revocations"] => (Method::POST, Self::Revoke),
            ["sessions"] => (Method::GET, Self::ListSessions),
            ["sessions", id] => (Method::DELETE, Self::EndSession(name(id)?)),
            ["users", subject, "block"] => (Method::POST, Self::Block(name(subject)?)),
            ["users", subject, "unblock"] => (Method::POST, Self::Unblock(name(subject)?)),
            ["users", subject, "revoke"] => (Method::POST, Self::RevokeUser(name(subject)?)),
            ["keys"] => (Method::GET, Self::ListKeys),
            ["keys", "rotate"] => (Method::POST, Self::RotateKeys),
            ["keys", kid, "retire"] => (Method::POST, Self::RetireKey(name(kid)?)),
            ["api-keys"] if method == Method::POST => (Method::POST, Self::CreateApiKey),
            ["api-keys"] => (Method::GET, Self::ListApiKeys),
            ["api-keys", id] => (Method::DELETE, Self::DeleteApiKey(name(id)?)),
            ["limits"] if method == Method::DELETE => (Method::DELETE, Self::ResetLimits),
            ["limits"] => (Method::GET, Self::LookAtLimits),
            ["reload"] => (Method::POST, Self::Reload),
            _ => return Err(unknown()),
        })
    }
}

/// A page of a stranger can make a browser on this machine ask us under the stranger's name (DNS rebinding). Addresses
/// cannot be rebound; names count only when they are ours. Ports are not compared: `kubectl port-forward` chooses them.
fn check_host(access: &Access, head: &Parts, peer: Peer) -> Result<(), Refusal> {
    let mut named: Vec<&str> =
        head.headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default()).collect();
    let one = named.len() == 1;
    named.extend(head.uri.authority().map(|authority| authority.as_str()));
    let ours = |authority: &&str| {
        let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let host = host.map_or(*authority, |(host, _)| host).to_ascii_lowercase();
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&host);
        let address = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip == peer.own.ip());
        address || host == "localhost" || access.hosts.contains(&host)
    };
    if one && named.iter().all(ours) {
        return Ok(());
    }
    Err(Refusal::new(Code::Forbidden, "the admin API does not answer under this Host; name it in admin.hosts"))
}

/// The one token in `Authorization`.
fn presented(head: &Parts) -> Option<&[u8]> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
