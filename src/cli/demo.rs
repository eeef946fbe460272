//! `doorward demo`: the main job with nothing installed. A backend that shows what it receives, a few routes, and two
//! people who sign in with a password or carry a token.

mod backend;

use crate::app::{App, StartError};
use crate::config::{self, Secrets, World};
use crate::domain::secret::Secret;
use crate::observe::log::{self, Format};
use crate::users;
use jsonwebtoken::{encode, EncodingKey, Header};
use serde_json::json;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const ISSUER: &str = "https://demo.doorward.invalid";
const TOKEN_LIFE: u64 = 8 * 3600;
/// Good for this demo only, and printed.
const PASSWORDS: [(&str, &str); 2] = [("alice", "wonderland"), ("bob", "builder")];

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
    let backend = backend::start()?;
    let users = UsersFile::write()?;
    // Guards nothing but this demo, and is gone with it.
    let secret = uuid::Uuid::new_v4().simple().to_string();
    let text = settings(listen, backend, &users.0);
    let world =
        World { env: &|name| (name == "DEMO_SECRET").then(|| secret.clone().into()), secrets: Secrets::Indirect };
    let loaded = config::from_text(&text, Path::new("."), &world);
    let loaded = loaded.map_err(|mistakes| StartError::Settings(mistakes.to_string()))?;
    let app = App::prepare(loaded.settings, None, Box::new(io::stdout()))?;
    let address = app.addresses().first().copied().unwrap_or(listen);
    let tokens = [("alice", "admin"), ("bob", "user")].map(|(name, role)| token(name, role, &secret));
    let _ = io::stdout().write_all(welcome(address, app.admin_address(), &tokens).as_bytes());
    Ok(app)
}

fn settings(listen: SocketAddr, backend: SocketAddr, users: &Path) -> String {
    let users = users.display();
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

[[provider]]
name  = "local"
kind  = "local"
users = "{users}"

[pages]
title = "Doorward demo"

[[upstream]]
name = "echo"
url  = "http://{backend}"

[[route]]
path   = "/"
access = "optional"

[[route]]
path   = "/public/**"
access = "public"

[[route]]
path   = "/me"
access = "authenticated"

[[route]]
path  = "/admin/**"
roles = ["admin"]
from  = ["demo", "local"]
"#
    )
}

/// The users' file: it is gone with the process that reads it.
struct UsersFile(PathBuf);

impl UsersFile {
    fn write() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("doorward-demo-{}.toml", uuid::Uuid::new_v4().simple()));
        let mut text = String::new();
        for (name, password) in PASSWORDS {
            let hash = users::hash(&Secret::new(password.as_bytes().to_vec())).map_err(io::Error::other)?;
            let (shown, role) = if name == "alice" { ("Alice", "admin") } else { ("Bob", "user") };
            text += &format!(
                "[[user]]\nname = \"{name}\"\ndisplay_name = \"{shown}\"\npassword = \"{hash}\"\n\
                 email = \"{name}@example.com\"\nroles = [\"{role}\"]\n\n"
            );
        }
        std::fs::write(&path, text)?;
        Ok(Self(path))
    }
}

impl Drop for UsersFile {
    fn drop(&mut self) {
        // It holds hashes of two passwords that are printed anyway.
        let _ = std::fs::remove_file(&self.0);
    }
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

  http://{address}/               open this in a browser, and sign in: alice / wonderland, or bob / builder
  http://{address}/public/hello   anybody
  http://{address}/me             who has signed in or has a token
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
