//! `[server]` and `[admin]`.

use super::shape::{table, List};
use super::value::{FilePath, OneOrMore, Size};
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
        /// /livez, /readyz and /metrics; a loopback address.
        listen: String = "127.0.0.1:9901",
        /// The same three for the kubelet and Prometheus, on any address: "[::]:9902".
        health: String = "",
    }
    later {
        /// The operator's token.
        token: String,
        /// Further tokens.
        tokens: List<super::later::AdminToken>,
        /// Accepted Host names besides the listen address and localhost.
        hosts: List<String>,
    }
}
