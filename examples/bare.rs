//! The yardstick of `make bench`: a Pingora proxy that forwards and does nothing else.
//!
//! What Doorward costs is the distance to this. So it gets the same engine, threads, keep-alive pool and timeouts, and
//! nothing that would make it slower than it must be: no modules, no headers of its own, no log line.
//!
//!     bare LISTEN UPSTREAM [THREADS]

use async_trait::async_trait;
use pingora::modules::http::HttpModules;
use pingora::proxy::{http_proxy_service, ProxyHttp, Session};
use pingora::server::configuration::ServerConf;
use pingora::server::Server;
use pingora::upstreams::peer::HttpPeer;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

struct Bare {
    upstream: HttpPeer,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    // Pingora's own choice is a compression module that every request carries, disabled.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(self.upstream.clone()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(listen), Some(upstream)) = (args.next(), args.next()) else {
        return Err("usage: bare LISTEN UPSTREAM [THREADS]".into());
    };
    let threads = args.next().map_or(Ok(1), |typed| typed.parse())?;

    let mut server = Server::new_with_opt_and_conf(None, conf(threads));
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { upstream: peer(upstream.parse()?) });
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever()
}

/// On SIGTERM it goes at once: nobody waits for a yardstick.
fn conf(threads: usize) -> ServerConf {
    ServerConf {
        threads,
        max_retries: 2,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    }
}

fn peer(address: SocketAddr) -> HttpPeer {
    let mut peer = HttpPeer::new(address, false, String::new());
    peer.options.connection_timeout = Some(Duration::from_secs(2));
    peer.options.read_timeout = Some(Duration::from_secs(60));
    peer.options.write_timeout = Some(Duration::from_secs(60));
    peer.options.idle_timeout = Some(Duration::from_secs(60));
    peer
}
