//! Where Redis is and how to get in.

use ::redis::aio::{AsyncPushSender, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisResult, TlsCertificates, TlsMode,
};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How the log is reached.
#[derive(Clone)]
pub struct LogPlan {
    pub dial: Dial,
    /// User, password and database of the server.
    pub login: RedisConnectionInfo,
    /// `None`: in the clear. Without a root certificate of its own, the system's authorities count.
    pub tls: Option<TlsCertificates>,
    /// Stands before every key.
    pub prefix: String,
    /// Of one command.
    pub timeout: Duration,
}

/// Hosts and ports.
#[derive(Clone, Debug)]
pub enum Dial {
    Single(String, u16),
    /// The server changes; these say which one it is.
    Sentinel {
        sentinels: Vec<(String, u16)>,
        master: String,
        /// The sentinels' own.
        login: RedisConnectionInfo,
    },
    /// Any of its nodes.
    Cluster(Vec<(String, u16)>),
}

#[derive(Clone)]
pub(super) enum Link {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// A new connection may take several round trips, and a look at the sentinels.
pub(super) const DIALLING: Duration = Duration::from_secs(1);

impl LogPlan {
    /// A connection; with `pushes`, one that can subscribe.
    pub(super) async fn dial(&self, pushes: Option<Arc<dyn AsyncPushSender>>) -> RedisResult<Link> {
        match &self.dial {
            Dial::Single(host, port) => {
                let info = self.address(host, *port).into_connection_info()?;
                let info = info.set_redis_settings(spoken(self.login.clone(), pushes.is_some()));
                let client = match &self.tls {
                    Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
                    None => Client::open(info)?,
                };
                server(&client, pushes).await
            }
            Dial::Sentinel { sentinels, master, login } => {
                let builder = self.sentinels(sentinels, master, login, pushes.is_some())?;
                server(&builder.build()?.async_get_client().await?, pushes).await
            }
            Dial::Cluster(nodes) => self.cluster(nodes, pushes).await,
        }
    }

    fn sentinels(
        &self,
        sentinels: &[(String, u16)],
        master: &str,
        login: &RedisConnectionInfo,
        pushes: bool,
    ) -> RedisResult<SentinelClientBuilder> {
        let addresses = sentinels.iter().map(|(host, port)| self.address(host, *port));
        let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
            .set_client_to_redis_db(self.login.db())
            .set_client_to_redis_protocol(spoken(self.login.clone(), pushes).protocol());
        if let Some(name) = self.login.username() {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(password) = self.login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(name) = login.username() {
            builder = builder.set_client_to_sentinel_username(name);
        }
        if let Some(password) = login.password() {
            builder = builder.set_client_to_sentinel_password(password);
        }
        if let Some(certificates) = &self.tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates.clone());
        }
        Ok(builder)
    }

    async fn cluster(&self, nodes: &[(String, u16)], pushes: Option<Arc<dyn AsyncPushSender>>) -> RedisResult<Link> {
        let addresses = nodes.iter().map(|(host, port)| self.address(host, *port));
        let mut builder = ClusterClientBuilder::new(addresses).connection_timeout(DIALLING);
        if let Some(name) = self.login.username() {
            builder = builder.username(name);
        }
        if let Some(password) = self.login.password() {
            builder = builder.password(password);
        }
        if let Some(certificates) = &self.tls {
            builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
        }
        if let Some(pushes) = pushes {
            builder = builder.use_protocol(ProtocolVersion::RESP3).push_sender(pushes);
        }
        Ok(Link::Cluster(builder.build()?.get_async_connection().await?))
    }

    fn address(&self, host: &str, port: u16) -> ConnectionAddr {
        let host = host.to_owned();
        match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        }
    }
}

/// Pushes come between answers, which only RESP3 can tell apart.
fn spoken(login: RedisConnectionInfo, pushes: bool) -> RedisConnectionInfo {
    if pushes {
        login.set_protocol(ProtocolVersion::RESP3)
    } else {
        login
    }
}

async fn server(client: &Client, pushes: Option<Arc<dyn AsyncPushSender>>) -> RedisResult<Link> {
    // our own deadline stands around every command
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(DIALLING)).set_response_timeout(None);
    let config = match pushes {
        Some(pushes) => config.set_push_sender(pushes),
        None => config,
    };
    Ok(Link::Server(client.get_multiplexed_async_connection_with_config(&config).await?))
}

impl fmt::Debug for LogPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogPlan").field("prefix", &self.prefix).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link")
    }
}
