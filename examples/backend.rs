//! The backend of `make bench`: answers every request with the same 128 bytes, as fast as it can.
//!
//! It must never be what a measurement waits for, and must never differ from one round to the next: HTTP/1.1 with
//! keep-alive, one prepared body. Of a request it looks at the path only: `/served` is how many it has answered.
//!
//!     backend LISTEN [THREADS]

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::{TcpListener, TcpStream};

/// 128 bytes, about what a small JSON answer weighs.
const BODY: &[u8; 128] = b"{\"answer\":\"a fixed body of one hundred and twenty-eight bytes, neither \
empty nor large enough to hide what a proxy costs...\"}  \n";

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let Some(listen) = args.next() else { return Err("usage: backend LISTEN [THREADS]".into()) };
    let threads = args.next().map_or(Ok(1), |typed| typed.parse())?;

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(serve(listen.parse()?))
}

async fn serve(listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(talk(stream));
    }
}

async fn talk(stream: TcpStream) {
    let connection =
        http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service_fn(answer));
    if let Err(error) = connection.await {
        eprintln!("backend: {error}");
    }
}

static SERVED: AtomicU64 = AtomicU64::new(0);

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == "/served" {
        return Ok(Response::new(Full::new(SERVED.load(Ordering::Relaxed).to_string().into())));
    }
    SERVED.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Full::new(Bytes::from_static(BODY)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
