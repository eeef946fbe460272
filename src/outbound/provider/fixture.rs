//! For tests: a provider on loopback that does what it is told, and remembers what it was asked.

use super::{OidcProvider, Pace};
use crate::domain::oidc::fixture::{document, settings};
use crate::domain::oidc::ProviderSettings;
use crate::domain::token::fixture::jwk;
use bytes::Bytes;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{json, Value};
use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

pub(super) const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// What a request is answered with.
#[derive(Clone, Debug)]
pub(super) enum Does {
    Says(u16, String),
    /// A status with `Retry-After`.
    Pauses(u16, u64),
    /// Nothing, for ever.
    Hangs,
    /// The connection ends without a word.
    HangsUp,
    /// The connection ends in the middle of a body.
    BreaksOff,
}

#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub path: String,
    pub authorization: Option<String>,
    pub form: HashMap<String, String>,
}

pub(super) struct Fake {
    pub url: String,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    /// The last of a list stays.
    pages: HashMap<String, VecDeque<Does>>,
    asked: Vec<Asked>,
}

impl Fake {
    /// With the usual document and one key.
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(serve(listener, Arc::clone(&state))).abort_handle();
        let fake = Self { url, state, task };
        fake.describes(&json!({}));
        fake.has_key("rsa-a");
        fake
    }

    /// The usual document with these members set.
    pub(super) fn describes(&self, changes: &Value) {
        let mut document = document(&self.url, &self.url);
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        self.on(WELL_KNOWN, [Does::Says(200, document.to_string())]);
    }

    pub(super) fn has_key(&self, kid: &str) {
        self.on("/jwks", [Does::Says(200, json!({ "keys": [jwk(kid)] }).to_string())]);
    }

    pub(super) fn on(&self, path: &str, does: impl IntoIterator<Item = Does>) {
        self.state.lock().pages.insert(path.to_owned(), does.into_iter().collect());
    }

    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        self.state.lock().asked.iter().filter(|asked| asked.path == path).cloned().collect()
    }

    pub(super) fn settings(&self) -> ProviderSettings {
        // already there when another test was faster
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        ProviderSettings { issuer: self.url.clone(), ..settings() }
    }

    pub(super) fn provider(&self) -> Arc<OidcProvider> {
        self.provider_at(Pace::default())
    }

    pub(super) fn provider_at(&self, pace: Pace) -> Arc<OidcProvider> {
        OidcProvider::at_pace(self.settings(), pace)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Never waits, so that what comes next is tried at once.
pub(super) const IMPATIENT: Pace = Pace {
    metadata_life: Duration::ZERO,
    metadata_pause: Duration::ZERO,
    least_pause: Duration::ZERO,
    most_pause: Duration::ZERO,
};

/// A token response with this ID token.
pub(super) fn tokens(id_token: &str) -> Does {
    let body = json!({
        "access_token": "the access token", "token_type": "Bearer", "expires_in": 300, "refresh_token": "next",
        "id_token": id_token,
    });
    Does::Says(200, body.to_string())
}

pub(super) fn error(status: u16, code: &str) -> Does {
    Does::Says(status, json!({ "error": code }).to_string())
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    // ends with its last connection when it is aborted
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| answer(request, Arc::clone(&state)));
        let http = hyper::server::conn::http1::Builder::new();
        connections.spawn(async move { http.serve_connection(TokioIo::new(stream), service).await });
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<Response<Either<Full<Bytes>, Half>>, std::io::Error> {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let form = form_urlencoded::parse(&body).into_owned().collect();
    let does = {
        let mut state = state.lock();
        state.asked.push(Asked { path: path.clone(), authorization, form });
        let page = state.pages.get_mut(&path);
        page.and_then(|page| if page.len() > 1 { page.pop_front() } else { page.front().cloned() })
    };
    match does.unwrap_or(Does::Says(404, String::new())) {
        Does::Says(status, body) => {
            Ok(Response::builder().status(status).body(Either::Left(Full::from(body))).unwrap())
        }
        Does::Pauses(status, seconds) => Ok(Response::builder()
            .status(status)
            .header(RETRY_AFTER, seconds)
            .body(Either::Left(Full::default()))
            .unwrap()),
        Does::Hangs => pending().await,
        Does::HangsUp => Err(std::io::Error::other("hangs up")),
        Does::BreaksOff => Ok(Response::new(Either::Right(Half(0)))),
    }
}

/// A body that ends in the middle, after its head has left.
struct Half(u8);

impl Body for Half {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0 += 1;
        match self.0 {
            1 => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"half"))))),
            2 => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            _ => Poll::Ready(Some(Err(std::io::Error::other("breaks off")))),
        }
    }
}
