//! An HTTP/2 client with prior knowledge, and a way to send frames no honest client would.

use super::client::Response;
use super::PATIENCE;
use bytes::Bytes;
use h2::client;
use http::{HeaderMap, Request};
use std::net::SocketAddr;

/// Sends one request on a connection of its own. `Err` is how the server refused: a reset stream or connection.
pub(crate) fn request(
    address: SocketAddr,
    request: Request<()>,
    body: Option<&[u8]>,
    trailers: Option<HeaderMap>,
) -> Result<Response, h2::Error> {
    let exchange = exchange(address, request, body.map(Bytes::copy_from_slice), trailers);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange).await.expect("an answer in time") })
}

async fn exchange(
    address: SocketAddr,
    request: Request<()>,
    body: Option<Bytes>,
    trailers: Option<HeaderMap>,
) -> Result<Response, h2::Error> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = client::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    sender = sender.ready().await?;
    let ends = body.is_none() && trailers.is_none();
    let (answer, mut stream) = sender.send_request(request, ends)?;
    if let Some(body) = body {
        stream.send_data(body, trailers.is_none())?;
    }
    if let Some(trailers) = trailers {
        stream.send_trailers(trailers)?;
    }
    let (head, mut body) = answer.await?.into_parts();
    let headers = head.headers.iter();
    let headers = headers.map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect();
    let mut response = Response { status: head.status.as_u16(), headers, body: Vec::new() };
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        response.body.extend_from_slice(&piece);
    }
    connection.abort();
    Ok(response)
}

/// A connection with as many requests on it as the story wants.
pub(crate) struct Talk {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
    sender: client::SendRequest<Bytes>,
}

impl Talk {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (sender, connection) = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            client::handshake(stream).await.unwrap()
        });
        let connection = runtime.spawn(connection);
        Self { runtime, connection, sender }
    }

    pub(crate) fn send(&mut self, request: Request<()>, ends: bool) -> (client::ResponseFuture, h2::SendStream<Bytes>) {
        let mut sender = self.runtime.block_on(self.sender.clone().ready()).unwrap();
        sender.send_request(request, ends).unwrap()
    }

    pub(crate) fn get(&mut self, path: &str) -> client::ResponseFuture {
        self.send(Request::get(format!("http://app.test{path}")).body(()).unwrap(), true).0
    }

    /// The body is the story's to send.
    pub(crate) fn post(&mut self, path: &str) -> (client::ResponseFuture, h2::SendStream<Bytes>) {
        self.send(Request::post(format!("http://app.test{path}")).body(()).unwrap(), false)
    }

    pub(crate) fn until<T>(&self, what: impl std::future::Future<Output = T>) -> T {
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, what).await.expect("in time") })
    }

    /// The next piece of an answer's body; `None` at its end, or when it breaks off.
    pub(crate) fn piece(&self, body: &mut h2::RecvStream) -> Option<Bytes> {
        self.until(body.data())?.ok()
    }
}
