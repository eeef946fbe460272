//! The layer round Pingora's handling of requests: what connection one came on, and who is waited for.
//!
//! Who is waited for is watched on the client's side (`guarded`, `stream`), because Pingora reads from there all the while.
//! Dropping the future of an HTTP/1 connection cuts the request on it, and dropping that of an HTTP/2 request resets its
//! stream and nothing else; the books of either are closed all the same.

use super::connection::Connection;
use super::deadline::Deadline;
use super::kill::Leash;
use super::proxy::Proxy;
use super::snapshot::Limits;
use super::stream::H2Stream;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::v2::server::{default_h2_options, H2Options, HttpSession};
use pingora::protocols::http::ServerSession;
use pingora::protocols::Stream;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

const H2_STREAM_WINDOW: u32 = 1 << 20;
const H2_CONNECTION_WINDOW: u32 = 4 << 20;

tokio::task_local! {
    static CURRENT: Exchange;
}

/// Where a request runs.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) connection: Arc<Connection>,
    /// Of an HTTP/2 request; an HTTP/1 request has its connection's.
    stream: Option<Arc<Bounds>>,
}

/// What ends a request before its time.
#[derive(Debug)]
pub(super) struct Bounds {
    pub(super) deadline: Deadline,
    /// Who cuts it, once it goes on for long.
    pub(super) leash: Leash,
}

impl Bounds {
    pub(super) fn new() -> Self {
        Self { deadline: Deadline::new(), leash: Leash::default() }
    }
}

impl Exchange {
    /// Of the request whose future is polled right now.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// Whether it is a stream of an HTTP/2 connection.
    pub(super) fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    pub(super) fn deadline(&self) -> &Deadline {
        &self.bounds().deadline
    }

    pub(super) fn leash(&self) -> &Leash {
        &self.bounds().leash
    }

    fn bounds(&self) -> &Bounds {
        self.stream.as_deref().unwrap_or_else(|| self.connection.bounds())
    }

    /// Runs what serves it, until that is done or cut.
    async fn run<T>(self, served: impl Future<Output = T>) -> Option<T> {
        let exchange = self.clone();
        tokio::select! {
            // The leash relies on being asked last.
            biased;
            served = CURRENT.scope(self, served) => Some(served),
            () = exchange.leash().cut() => None,
        }
    }
}

/// Requests of one connection, on their way into Pingora's proxy.
pub(super) struct Requests {
    proxy: Arc<HttpProxy<Proxy>>,
    connection: Arc<Connection>,
    options: HttpServerOptions,
    limits: Limits,
}

/// Pingora's own box for the future of a request.
type Served<'f> = Pin<Box<dyn Future<Output = Option<ReusedHttpStream>> + Send + 'f>>;

impl Requests {
    /// `limits` are those of the moment the connection begins: HTTP/2 settles them with the client.
    pub(super) fn new(proxy: Arc<HttpProxy<Proxy>>, connection: Arc<Connection>, limits: Limits) -> Arc<Self> {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(limits.idle_timeout);
        Arc::new(Self { proxy, connection, options, limits })
    }

    /// All that come on `stream`.
    pub(super) async fn serve(self: Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) {
        let exchange = Exchange { connection: Arc::clone(&self.connection), stream: None };
        exchange.run(self.process_new(stream, shutdown)).await;
    }

    async fn serve_stream(&self, session: HttpSession, shutdown: &ShutdownWatch) -> Option<ReusedHttpStream> {
        self.connection.speaks_frames();
        let bounds = Arc::new(Bounds::new());
        let session = Box::new(H2Stream::new(session, Arc::clone(&bounds)));
        let served = self.proxy.process_new_http(ServerSession::new_custom(session), shutdown);
        let exchange = Exchange { connection: Arc::clone(&self.connection), stream: Some(bounds) };
        exchange.run(served).await.flatten()
    }
}

impl HttpServerApp for Requests {
    /// No `async fn`: an HTTP/1 request has all it needs round its connection, and its future, which is large, stays in
    /// the one box that Pingora makes.
    fn process_new_http<'a, 'w, 'f>(
        self: &'a Arc<Self>,
        session: ServerSession,
        shutdown: &'w ShutdownWatch,
    ) -> Served<'f>
    where
        'a: 'f,
        'w: 'f,
    {
        match session {
            ServerSession::H2(session) => Box::pin(self.serve_stream(session, shutdown)),
            http1 => self.proxy.process_new_http(http1, shutdown),
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_header_list_size(u32::try_from(self.limits.max_header).unwrap_or(u32::MAX));
        options.initial_window_size(H2_STREAM_WINDOW);
        options.initial_connection_window_size(H2_CONNECTION_WINDOW);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
