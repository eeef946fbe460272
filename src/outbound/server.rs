//! For tests: an issuer on loopback that answers as it is told and remembers what it was asked.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub(super) struct Server {
    /// `http://127.0.0.1:port`
    pub url: String,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

#[derive(Default)]
struct State {
    pages: HashMap<String, Response<Bytes>>,
    asked: Vec<(String, Option<String>)>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(serve(listener, Arc::clone(&state))).abort_handle();
        Self { url, state, task }
    }

    /// From now on `path` answers 200 with this.
    pub(super) fn put(&self, path: &str, body: impl Into<Bytes>) {
        self.put_response(path, Response::new(body.into()));
    }

    pub(super) fn put_response(&self, path: &str, response: Response<Bytes>) {
        self.state.lock().pages.insert(path.to_owned(), response);
    }

    /// Path and `Authorization` of every request so far.
    pub(super) fn asked(&self) -> Vec<(String, Option<String>)> {
        self.state.lock().asked.clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.asked().into_iter().map(|(path, _)| path).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request| {
            let response = answer(&request, &mut state.lock());
            async move { Ok::<_, Infallible>(response) }
        });
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(request: &Request<Incoming>, state: &mut State) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let credential = request.headers().get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let response = state.pages.get(&path).cloned();
    state.asked.push((path, credential));
    let missing = || Response::builder().status(StatusCode::NOT_FOUND).body(Bytes::new()).unwrap();
    response.unwrap_or_else(missing).map(Full::new)
}

/// An issuer behind TLS that answers `{}` to whatever it is asked, on a thread of its own.
pub(super) struct TlsServer {
    pub url: String,
    /// PEM
    pub ca: String,
}

impl TlsServer {
    pub(super) fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // a client that does not believe us goes away in the middle
                let _ = answer_one(stream.unwrap(), &config);
            }
        });
        Self { url, ca: made.cert.pem() }
    }
}

fn answer_one(stream: std::net::TcpStream, config: &Arc<ServerConfig>) -> std::io::Result<()> {
    let connection = ServerConnection::new(Arc::clone(config)).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    let mut request = [0; 4096];
    let _ = stream.read(&mut request)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")?;
    stream.conn.send_close_notify();
    stream.flush()
}
