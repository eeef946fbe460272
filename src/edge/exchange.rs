//! The layer round Pingora's handling of each request: what connection it came on, and who is waited for.
//!
//! Who is waited for is watched on the client's side (`guarded`, `stream`), because Pingora reads from there all the while.
//! Dropping the future of a request cuts that request and nothing else, on HTTP/1 with its connection, on HTTP/2 with a
//! reset of its stream; its books are closed all the same.

use super::connection::Connection;
use super::deadline::Deadline;
use super::kill::Leash;
use super::proxy::Proxy;
use super::snapshot::Limits;
use super::stream::H2Stream;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::v2::server::{default_h2_options, H2Options};
use pingora::protocols::http::ServerSession;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
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
    pub(super) stream: Option<Arc<Deadline>>,
    /// Who cuts it, once it goes on for long.
    pub(super) leash: Arc<Leash>,
}

impl Exchange {
    /// Of the request whose future is polled right now.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    pub(super) fn deadline(&self) -> &Deadline {
        self.stream.as_deref().unwrap_or_else(|| self.connection.deadline())
    }
}

/// Requests of one connection, on their way into Pingora's proxy.
pub(super) struct Requests {
    proxy: Arc<HttpProxy<Proxy>>,
    connection: Arc<Connection>,
    options: HttpServerOptions,
    limits: Limits,
}

impl Requests {
    /// `limits` are those of the moment the connection begins: HTTP/2 settles them with the client.
    pub(super) fn new(proxy: Arc<HttpProxy<Proxy>>, connection: Arc<Connection>, limits: Limits) -> Arc<Self> {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        options.h2_idle_timeout = Some(limits.idle_timeout);
        Arc::new(Self { proxy, connection, options, limits })
    }
}

#[async_trait]
impl HttpServerApp for Requests {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let connection = Arc::clone(&self.connection);
        // Each arm hands its session on itself: a session is large, and moved again by whoever gives it a name.
        let (served, stream, leash) = match session {
            ServerSession::H2(session) => {
                connection.speaks_frames();
                let deadline = Arc::new(Deadline::new());
                let session = Box::new(H2Stream::new(session, Arc::clone(&deadline)));
                let served = self.proxy.process_new_http(ServerSession::new_custom(session), shutdown);
                (served, Some(deadline), Arc::default())
            }
            http1 => (self.proxy.process_new_http(http1, shutdown), None, Arc::clone(connection.leash())),
        };
        leash.loosen();
        let exchange = Exchange { connection, stream, leash: Arc::clone(&leash) };
        let served = CURRENT.scope(exchange, served);
        tokio::select! {
            // The leash relies on being asked last.
            biased;
            served = served => served,
            () = leash.cut() => None,
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
