//! Logs to try things with: one in memory, one in a Redis of our own.

use super::memory::MemoryLog;
use super::redis::RedisLog;
use crate::pipeline::revocation::fixture::TestClock;
use crate::ports::revocation::RevocationLog;
use crate::store::redis::server::{free_port, PATIENCE};
use crate::store::redis::Address;
use crate::store::{Redis, RedisKind, RedisPlan};
use redis::Client;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub(super) enum Bench {
    Memory(Arc<MemoryLog>),
    Redis(Server),
}

/// The deadline of a log that waits in vain while one server takes over from another.
const FAILOVER: Duration = Duration::from_secs(2);

/// A redis-server on a port of its own, killed with its owner.
pub(super) struct Server {
    port: u16,
    folder: TempDir,
    cluster: bool,
    child: Child,
}

impl Bench {
    pub(super) fn memory() -> Self {
        Self::Memory(Arc::new(MemoryLog::new(TestClock::new())))
    }

    pub(super) fn redis() -> Self {
        Self::Redis(Server::start(false))
    }

    /// A connection to the log, as one replica has it.
    pub(super) async fn log(&self) -> Arc<dyn RevocationLog> {
        match self {
            Self::Memory(log) => Arc::clone(log) as Arc<dyn RevocationLog>,
            Self::Redis(server) => server.log().await,
        }
    }

    pub(super) fn forget(&self) {
        match self {
            Self::Memory(log) => log.forget(),
            Self::Redis(server) => server.command(&["FLUSHALL"]),
        }
    }

    /// The last entry goes, as in a failover to a server that lagged behind.
    pub(super) fn lose_the_tail(&self) {
        match self {
            Self::Memory(log) => log.lose_the_tail(),
            Self::Redis(server) => {
                let lose = "local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
                            redis.call('XDEL', KEYS[1], last[1])
                            return redis.call('HSET', KEYS[2], 'last', last[2][2])";
                server.command(&["EVAL", lose, "2", "dw:{rv}:log", "dw:{rv}:meta"]);
            }
        }
    }
}

impl Server {
    pub(super) fn start(cluster: bool) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let child = spawn(port, &folder, cluster);
        let server = Self { port, folder, cluster, child };
        server.wait_until_it_answers();
        if cluster {
            server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
            server.until("the cluster is formed", |server| server.says(&["CLUSTER", "INFO"], "cluster_state:ok"));
        }
        server
    }

    fn sentinel(watch: &str) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        std::fs::write(&file, format!("bind 127.0.0.1\nport {port}\n{watch}")).unwrap();
        let mut command = Command::new("redis-server");
        command.arg(file).arg("--sentinel").current_dir(folder.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { port, folder, cluster: false, child };
        server.wait_until_it_answers();
        server
    }

    pub(super) async fn log(&self) -> Arc<dyn RevocationLog> {
        self.log_within(PATIENCE).await
    }

    pub(super) async fn log_within(&self, timeout: Duration) -> Arc<dyn RevocationLog> {
        let address = self.address();
        log(if self.cluster { RedisKind::Cluster(vec![address]) } else { RedisKind::Single(address) }, timeout).await
    }

    fn address(&self) -> Address {
        Address { host: "127.0.0.1".to_owned(), port: self.port }
    }

    /// kill -9: whatever was not written is lost, and nothing was.
    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn restart(&mut self) {
        self.child = spawn(self.port, &self.folder, self.cluster);
        self.wait_until_it_answers();
    }

    pub(super) fn signal(&self, name: &str) {
        let done = Command::new("kill").arg(name).arg(self.child.id().to_string()).status().unwrap();
        assert!(done.success());
    }

    pub(super) fn command(&self, words: &[&str]) {
        let _answer: redis::Value = self.ask(words).unwrap();
    }

    pub(super) fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> redis::RedisResult<T> {
        let mut connection = Client::open(format!("redis://127.0.0.1:{}", self.port))?.get_connection()?;
        let (name, args) = words.split_first().unwrap();
        redis::cmd(name).arg(args).query(&mut connection)
    }

    fn says(&self, words: &[&str], what: &str) -> bool {
        self.ask::<String>(words).is_ok_and(|answer| answer.contains(what))
    }

    fn wait_until_it_answers(&self) {
        self.until("redis-server answers", |server| {
            TcpStream::connect(("127.0.0.1", server.port)).is_ok() && server.says(&["PING"], "PONG")
        });
    }

    fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "never came true: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A server, a replica of it, and a sentinel that promotes the replica when the server is gone.
pub(super) struct Watched {
    pub(super) primary: Server,
    pub(super) secondary: Server,
    sentinel: Server,
}

impl Watched {
    pub(super) fn start() -> Self {
        let (primary, secondary) = (Server::start(false), Server::start(false));
        secondary.command(&["REPLICAOF", "127.0.0.1", &primary.port.to_string()]);
        secondary.until("it replicates", |server| server.says(&["INFO", "replication"], "master_link_status:up"));
        let watch = format!(
            "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 2000\n\
             sentinel failover-timeout main 2000\n",
            primary.port
        );
        let sentinel = Server::sentinel(&watch);
        sentinel.until("it knows both", |server| server.says(&["INFO", "sentinel"], "slaves=1,sentinels=1"));
        Self { primary, secondary, sentinel }
    }

    pub(super) async fn log(&self) -> Arc<dyn RevocationLog> {
        let (sentinels, master) = (vec![self.sentinel.address()], "main".to_owned());
        log(RedisKind::Sentinel { sentinels, master, username: None, password: None }, FAILOVER).await
    }
}

async fn log(kind: RedisKind, timeout: Duration) -> Arc<dyn RevocationLog> {
    let prefix = "dw:".to_owned();
    let plan = RedisPlan { kind, tls: None, username: None, password: None, db: 0, prefix, timeout };
    Arc::new(RedisLog::new(&Redis::connect(plan).await.unwrap()))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _dead_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn spawn(port: u16, folder: &TempDir, cluster: bool) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]).arg(port.to_string());
    command.arg("--dir").arg(folder.path());
    if cluster {
        command.args(["--cluster-enabled", "yes"]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
