//! Where the store is and how to get in; and the first handshake.

use super::words;
use crate::domain::secret::Secret;
use crate::ports::store::StoreError;
use ::redis::aio::{AsyncPushSender, MultiplexedConnection};
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisResult, TlsCertificates, TlsMode,
};
use std::num::NonZeroUsize;
use std::time::Duration;

/// In a cluster a question may be sent to the wrong node, and once more after a failover.
const CLUSTER_RETRIES: u32 = 3;
/// For connecting to one node of a cluster; a handshake takes more round trips than a question.
const NODE_AT_LEAST: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub struct RedisPlan {
    pub kind: RedisKind,
    pub tls: Option<RedisTls>,
    /// An ACL user; `None` is the server's default user.
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub db: i64,
    /// Stands before every key.
    pub prefix: String,
    /// For one question and its answer.
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub enum RedisKind {
    Single(Address),
    /// The primary changes; these say which one it is.
    Sentinel {
        sentinels: Vec<Address>,
        master: String,
        /// The sentinels' own; they rarely share their servers'.
        username: Option<String>,
        password: Option<Secret>,
    },
    /// Any of its nodes.
    Cluster(Vec<Address>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// TLS, verified.
#[derive(Clone, Debug, Default)]
pub struct RedisTls {
    /// PEM; `None`: the system's authorities.
    pub ca: Option<Vec<u8>>,
}

/// A connection of either kind.
#[derive(Clone)]
pub(in crate::store) enum Line {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

impl RedisPlan {
    /// # Errors
    /// What no server could make work.
    pub fn check(&self) -> Result<(), StoreError> {
        let complain = |what: &str| Err(StoreError(what.to_owned()));
        if self.prefix.contains(['{', '}']) {
            return complain("a prefix with braces would scatter a user's keys over a cluster");
        }
        if matches!(self.kind, RedisKind::Cluster(_)) && self.db != 0 {
            return complain("a cluster has no database but 0");
        }
        if self.timeout.is_zero() {
            return complain("the timeout is zero");
        }
        match &self.kind {
            RedisKind::Sentinel { sentinels, .. } if sentinels.is_empty() => complain("no sentinel is named"),
            RedisKind::Cluster(nodes) if nodes.is_empty() => complain("no node of the cluster is named"),
            RedisKind::Single(_) | RedisKind::Sentinel { .. } | RedisKind::Cluster(_) => Ok(()),
        }?;
        text(self.password.as_ref())?;
        self.certificates().map(drop)
    }

    /// Connects once. `pushes` hears what a server says unasked, and of connections that end; a cluster's are replaced
    /// one by one behind the scenes.
    pub(super) async fn dial(&self, pushes: impl AsyncPushSender) -> Result<Line, StoreError> {
        // deadlines and the number of questions are the link's business
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        match &self.kind {
            RedisKind::Single(address) => {
                self.connect_one(self.client(address)?, &config.set_push_sender(pushes)).await
            }
            RedisKind::Sentinel { .. } => {
                let client = self.ask_sentinels().await?;
                self.connect_one(client, &config.set_push_sender(pushes)).await
            }
            RedisKind::Cluster(nodes) => self.connect_cluster(nodes, pushes).await,
        }
    }

    async fn connect_one(&self, client: Client, config: &AsyncConnectionConfig) -> Result<Line, StoreError> {
        let connected = client.get_multiplexed_async_connection_with_config(config).await;
        connected.map(Line::One).map_err(|error| words::of(&error))
    }

    fn client(&self, address: &Address) -> Result<Client, StoreError> {
        let settings = self.settings(self.username.as_deref(), self.password.as_ref())?.set_db(self.db);
        let info = self.info(address).map(|info| info.set_redis_settings(settings));
        let client = info.and_then(|info| match self.tls {
            None => Client::open(info),
            Some(_) => Client::build_with_tls(info, self.certs()),
        });
        client.map_err(|error| words::of(&error))
    }

    async fn ask_sentinels(&self) -> Result<Client, StoreError> {
        let RedisKind::Sentinel { sentinels, master, username, password } = &self.kind else {
            return Err(StoreError("no sentinels".to_owned()));
        };
        let addresses = sentinels.iter().map(|address| self.address(address));
        let builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master);
        let mut builder = builder.map_err(|error| words::of(&error))?.set_client_to_redis_db(self.db);
        builder = builder.set_client_to_redis_protocol(ProtocolVersion::RESP3);
        if self.tls.is_some() {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(self.certs())
                .set_client_to_sentinel_certificates(self.certs());
        }
        if let Some(name) = &self.username {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(secret) = text(self.password.as_ref())? {
            builder = builder.set_client_to_redis_password(secret);
        }
        if let Some(name) = username {
            builder = builder.set_client_to_sentinel_username(name);
        }
        if let Some(secret) = text(password.as_ref())? {
            builder = builder.set_client_to_sentinel_password(secret);
        }
        let mut client = builder.build().map_err(|error| words::of(&error))?;
        client.async_get_client().await.map_err(|error| words::of(&error))
    }

    async fn connect_cluster(&self, nodes: &[Address], pushes: impl AsyncPushSender) -> Result<Line, StoreError> {
        let settings = self.settings(self.username.as_deref(), self.password.as_ref())?;
        let info = |node| Ok(self.info(node)?.set_redis_settings(settings.clone()));
        let nodes: RedisResult<Vec<ConnectionInfo>> = nodes.iter().map(info).collect();
        let mut builder = ClusterClientBuilder::new(nodes.map_err(|error| words::of(&error))?)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(1)
            .max_retry_wait(20)
            .connection_timeout(self.timeout.max(NODE_AT_LEAST))
            .response_timeout(self.timeout)
            .use_protocol(ProtocolVersion::RESP3)
            .push_sender(pushes)
            .max_connection_attempts(NonZeroUsize::MIN);
        if self.tls.is_some() {
            builder = builder.certs(self.certs());
        }
        let client = builder.build().map_err(|error| words::of(&error))?;
        client.get_async_connection().await.map(Line::Many).map_err(|error| words::of(&error))
    }

    fn settings(&self, username: Option<&str>, password: Option<&Secret>) -> Result<RedisConnectionInfo, StoreError> {
        // RESP3, because with it a connection that ends is noticed although nobody asks anything
        let mut settings = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        if let Some(name) = username {
            settings = settings.set_username(name);
        }
        if let Some(secret) = text(password)? {
            settings = settings.set_password(secret);
        }
        Ok(settings)
    }

    fn info(&self, address: &Address) -> RedisResult<ConnectionInfo> {
        self.address(address).into_connection_info()
    }

    fn address(&self, address: &Address) -> ConnectionAddr {
        let Address { host, port } = address.clone();
        match self.tls {
            None => ConnectionAddr::Tcp(host, port),
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        }
    }

    fn certs(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: self.tls.as_ref().and_then(|tls| tls.ca.clone()) }
    }

    /// Whether the authority's certificate can be read at all.
    fn certificates(&self) -> Result<Option<Client>, StoreError> {
        let example = Address { host: "localhost".to_owned(), port: 6379 };
        self.tls.as_ref().map(|_| self.client(&example)).transpose()
    }
}

fn text(secret: Option<&Secret>) -> Result<Option<&str>, StoreError> {
    let read = secret.map(|secret| std::str::from_utf8(secret.expose()));
    read.transpose().map_err(|_| StoreError("the password is not UTF-8".to_owned()))
}
