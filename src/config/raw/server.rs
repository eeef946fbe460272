//! `[server]` and `[admin]`.

use super::shape::{table, List, Node, Read, Shape};
use super::value::{not_literal, words, FilePath, FromText, Name, OneOrMore, Size};
use crate::config::mistakes::Place;
use crate::config::reading::Reading;
use crate::config::secrets::Text;
use crate::domain::operators::Role;
use crate::domain::secret::Secret;
use serde_json::Value as Json;
use std::time::Duration;

table! {
    /// Where the gate listens, and how it reads requests.
    Server {
        /// "host:port" or "unix:/run/doorward.sock". HTTP/1.1, HTTP/2 by prior knowledge and, with tls, both over TLS, on one port.
        listen: List<String> = ["[::]:8080"],
        /// The origin people type, or a list of them: cookies and redirect URIs are those of the one a request names. The first is the issuer of our tokens.
        public_url: OneOrMore<String> = "http://localhost:8080",
        /// The gate's own endpoints live below this path.
        prefix: String = "/.auth",
        /// Networks, or "unix", whose X-Forwarded-For/Proto/Host/Port, X-Request-Id and trace headers count. Nobody by default.
        trusted_proxies: List<String> = [],
        /// Read a PROXY protocol header, from trusted proxies only.
        proxy_protocol: bool = false,
        /// Worker threads; 0 means the CPUs of the cgroup.
        threads: usize = 0,
        /// The largest request header.
        max_header: Size = "32KiB",
        /// The largest request body; routes may say otherwise.
        max_body: Size = "10MiB",
        /// Within this time a request header is complete.
        header_timeout: Duration = "10s",
        /// An idle connection is closed after this time.
        idle_timeout: Duration = "65s",
        /// How a stopping gate lets go of its connections.
        drain: Drain = {},
        /// TLS for every listener.
        tls: Tls,
        /// Other origins that may send unsafe requests with our cookies.
        csrf_origins: List<String> = [],
        /// Other origins that sign-in may return to.
        return_to_origins: List<String> = [],
    }
    later {
        /// Networks of proxies that may ask /verify on the main port.
        verify_from: List<String>,
    }
}

table! {
    /// How a stopping gate lets go of its connections.
    Drain {
        /// Still accepting, no longer ready: the time load balancers need to notice.
        pre_stop: Duration = "5s",
        /// What is open after this time is cut.
        max: Duration = "30s",
    }
}

table! {
    /// Certificate and key, read again when the files change.
    Tls {
        /// PEM file with the certificate and its chain.
        cert: FilePath,
        /// PEM file with the private key.
        key: FilePath,
    }
    later {
        /// PEM file with the CA of client certificates.
        client_ca: String,
        /// Whether clients must show a certificate.
        client_auth: String,
    }
}

table! {
    /// Where operators, probes and Prometheus find the gate.
    Admin {
        /// /livez, /readyz, /metrics and the admin API; a loopback address.
        listen: String = "127.0.0.1:9901",
        /// The first three for the kubelet and Prometheus, on any address: "[::]:9902".
        health: String = "",
        /// The operator's token for the admin API, 32 characters or more. By default a variable that need not be there: without any token there is no API.
        token: OptionalToken = "env:DOORWARD_ADMIN_TOKEN",
        /// Further tokens, each with a name and a role.
        tokens: List<AdminToken> = [],
        /// Names under which the API may be asked for, besides the listen address and localhost.
        hosts: List<String> = [],
    }
}

table! {
    /// A further token for the admin API.
    AdminToken {
        /// What the audit log calls its holder.
        name: Name,
        /// "reader" looks, "operator" changes things.
        role: Role,
        /// 32 characters or more, as "env:NAME" or "file:/path".
        secret: Token,
    }
}

words!(impl Role { "reader" => Reader, "operator" => Operator });

/// What is sent behind "Bearer".
#[derive(Clone, Debug)]
pub(crate) struct Token(pub(crate) Secret);

impl FromText for Token {
    fn describe() -> Json {
        Secret::describe()
    }

    fn from_text(text: &Text, reading: &Reading<'_>) -> Result<Self, String> {
        not_literal(text, reading)?;
        let sendable = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
        if text.value.len() < 32 || !text.value.bytes().all(sendable) {
            return Err("a token has 32 letters and digits or more, and of other characters only - . _ ~ + / =; \
                        `openssl rand -hex 32` makes one"
                .to_owned());
        }
        Ok(Self(Secret::new(text.value.clone().into_bytes())))
    }
}

/// A token, or by default none when its variable is not there.
#[derive(Clone, Debug)]
pub(crate) struct OptionalToken(pub(crate) Option<Token>);

impl Shape for OptionalToken {
    fn schema() -> Json {
        Token::schema()
    }
}

impl Read for OptionalToken {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        if reading.is_unset(node) {
            return Some(Self(None));
        }
        Token::read(node, place, reading).map(|token| Self(Some(token)))
    }
}
