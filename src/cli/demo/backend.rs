//! The application behind the demo's gate: it shows what a backend learns about its visitor.

use crate::web::{html, DemoPage, Person, Site, Theme};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// Of a request body shown back.
const SHOWN: usize = 64 * 1024;
/// The gate's, for links to signing in and out.
const PREFIX: &str = "/.auth";

/// Listens on a free port.
pub(super) fn start() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let site = Arc::new(Site::new(Theme::default(), PREFIX));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                let site = Arc::clone(&site);
                tokio::spawn(async move {
                    let serving = auto::Builder::new(TokioExecutor::new());
                    let answer = service_fn(|request| show(Arc::clone(&site), request));
                    let served = serving.serve_connection(TokioIo::new(stream), answer).await;
                    // A client that went away is not the demo's business.
                    drop(served);
                });
            }
        });
    })?;
    Ok(address)
}

/// A page for people, plain text for everybody else.
async fn show(site: Arc<Site>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let field = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if field("accept").contains("text/html") {
        return Ok(page(&site, &head));
    }
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if let Ok(body) = Limited::new(body, SHOWN).collect().await {
        let _ = write!(text, "\n{}", String::from_utf8_lossy(&body.to_bytes()));
    }
    Ok(Response::new(Full::new(text.into())))
}

fn page(site: &Site, head: &http::request::Parts) -> Response<Full<Bytes>> {
    let field = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let roles: Vec<&str> = field("x-auth-roles").split(',').filter(|role| !role.is_empty()).collect();
    let (subject, name) = (field("x-auth-subject"), field("x-auth-name"));
    let person = (!subject.is_empty()).then(|| Person {
        name: if name.is_empty() { subject } else { name },
        subject,
        provider: field("x-auth-provider"),
        roles: &roles,
    });
    let headers: Vec<(&str, &str)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()))
        .filter(|(name, _)| name.starts_with("x-") || *name == "traceparent")
        .collect();
    let mut response = Response::new(Full::new(html(&DemoPage { site, person, headers: &headers }).into()));
    response.headers_mut().extend(site.headers(&[]));
    response
}
