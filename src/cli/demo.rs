//! `doorward demo`: the main job with nothing installed. An echo backend, three routes, tokens for two users.

use crate::app::{App, StartError};
use crate::config::{self, Secrets, World};
use crate::observe::log::{self, Format};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use jsonwebtoken::{encode, EncodingKey, Header};
use serde_json::json;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

const ISSUER: &str = "https://demo.doorward.invalid";
const TOKEN_LIFE: u64 = 8 * 3600;
/// Of a request body shown back.
const SHOWN: usize = 64 * 1024;

/// Shows the gate at work: an echo backend behind it, and curl lines to try.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
}

/// Returns on Ctrl-C.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let _ = log::init("warn", Format::Text);
    match prepare(args.listen).map(App::run) {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "doorward demo: {error}");
            if args.listen.port() != 0 {
                let _ = writeln!(io::stderr(), "another address: doorward demo --listen 127.0.0.1:0");
            }
            1
        }
    }
}

fn prepare(listen: SocketAddr) -> Result<App, StartError> {
    let backend = echo()?;
    // Guards nothing but this demo, and is gone with it.
    let secret = uuid::Uuid::new_v4().simple().to_string();
    let text = settings(listen, backend);
    let world = World { env: &|name| (name == "DEMO_SECRET").then(|| secret.clone()), secrets: Secrets::Indirect };
    let loaded = config::from_text(&text, Path::new("."), &world);
    let loaded = loaded.map_err(|mistakes| StartError::Settings(mistakes.to_string()))?;
    let app = App::prepare(loaded.settings, None, Box::new(io::stdout()))?;
    let address = app.addresses().first().copied().unwrap_or(listen);
    let tokens = [("alice", "admin"), ("bob", "user")].map(|(name, role)| token(name, role, &secret));
    let _ = io::stdout().write_all(welcome(address, app.admin_address(), &tokens).as_bytes());
    Ok(app)
}

fn settings(listen: SocketAddr, backend: SocketAddr) -> String {
    format!(
        r#"
[server]
listen     = ["{listen}"]
public_url = "http://{listen}"
drain      = {{ pre_stop = "0s", max = "2s" }}

[admin]
listen = "127.0.0.1:0"

[[issuer]]
name       = "demo"
issuer     = "{ISSUER}"
secret     = "env:DEMO_SECRET"
algorithms = ["HS256"]
audience   = ["demo"]

[[upstream]]
name = "echo"
url  = "http://{backend}"

[[route]]
path   = "/public/**"
access = "public"

[[route]]
path   = "/me"
access = "authenticated"

[[route]]
path  = "/admin/**"
roles = ["admin"]
"#
    )
}

fn token(name: &str, role: &str, secret: &str) -> String {
    let now = crate::observe::clock::now().0;
    let claims = json!({
        "iss": ISSUER, "aud": "demo", "sub": name, "name": name, "email": format!("{name}@example.com"),
        "email_verified": true, "roles": [role], "iat": now, "exp": now + TOKEN_LIFE,
    });
    encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap_or_default()
}

fn welcome(address: SocketAddr, admin: SocketAddr, tokens: &[String; 2]) -> String {
    let [alice, bob] = tokens;
    format!(
        r#"Doorward stands in front of an echo backend, which shows what it receives.

  http://{address}/public/hello   anybody
  http://{address}/me             who has a token
  http://{address}/admin/users    who has the role "admin"
  http://{admin}/metrics    what the gate counts (also /livez, /readyz)

Try it in another terminal:

# nobody in particular, with a forged header: the backend never sees it
curl -s http://{address}/public/hello -H 'X-Auth-Subject: root'

# no token: 401
curl -i http://{address}/me

# alice, who is an admin
curl -s http://{address}/me -H 'Authorization: Bearer {alice}'
curl -s http://{address}/admin/users -H 'Authorization: Bearer {alice}'

# bob, who is not: 403
curl -i http://{address}/admin/users -H 'Authorization: Bearer {bob}'

# two readings of one path are one path here: still 401, never /public
curl -i --path-as-is http://{address}/public/../admin/users

The access log follows. Ctrl-C ends the demo; nothing stays behind.

"#
    )
}

/// A backend on a free port that answers with the request it got.
fn echo() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("echo".to_owned()).spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let serving = auto::Builder::new(TokioExecutor::new());
                    let served = serving.serve_connection(TokioIo::new(stream), service_fn(show)).await;
                    // A client that went away is not the demo's business.
                    drop(served);
                });
            }
        });
    })?;
    Ok(address)
}

async fn show(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut text = format!("{} {}\n", head.method, head.uri);
    for (name, value) in &head.headers {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    if let Ok(body) = Limited::new(body, SHOWN).collect().await {
        let _ = write!(text, "\n{}", String::from_utf8_lossy(&body.to_bytes()));
    }
    Ok(Response::new(Full::new(text.into())))
}
