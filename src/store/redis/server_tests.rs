//! Real servers for tests: each on a free port, killed when dropped, with nothing on disk that outlives it.

use crate::store::redis::Address;
use crate::store::{Redis, RedisKind, RedisPlan};
use std::future::Future;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The longest anything here may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The deadline of a store whose server is broken on purpose. Before that it answers, on a starved machine too.
const SOON: Duration = Duration::from_secs(2);

pub(crate) struct Server {
    pub(crate) port: u16,
    arguments: Vec<String>,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Somebody else may be quicker at a port that was free: then another one is taken.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let attempt = || {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            let child = spawn(port, &arguments, &folder);
            let mut server = Self { port, arguments: arguments.clone(), child, folder };
            server.is_up().then_some(server)
        };
        std::iter::repeat_with(attempt).take(5).flatten().next().expect("redis-server starts")
    }

    /// Listens with TLS too.
    pub(crate) fn start_tls(cert: &str, key: &str) -> Self {
        let port = free_port().to_string();
        let files = ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-auth-clients", "no"];
        Self::start(&[&["--tls-port", &port], &files[..]].concat())
    }

    pub(crate) fn tls_port(&self) -> u16 {
        self.arguments[1].parse().unwrap()
    }

    /// Waits until it listens; false when it has ended instead.
    fn is_up(&mut self) -> bool {
        let port = self.port;
        poll(|| ping(port) || self.child.try_wait().unwrap().is_some());
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.port, &self.arguments, &self.folder);
        assert!(self.is_up(), "its port was taken meanwhile");
    }

    /// Freezes the process, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn address(&self) -> Address {
        Address { host: "127.0.0.1".to_owned(), port: self.port }
    }

    pub(crate) fn plan(&self) -> RedisPlan {
        plan(RedisKind::Single(self.address()))
    }

    pub(crate) async fn connect(&self) -> Redis {
        connected(self.plan()).await
    }

    /// For a test in which no answer comes.
    pub(crate) async fn connect_in_a_hurry(&self) -> Redis {
        connected(in_a_hurry(self.plan())).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Connected: the first attempt may come to nothing on a starved machine, and the next ones are made unasked.
pub(crate) async fn connected(plan: RedisPlan) -> Redis {
    let store = Redis::connect(plan).await.unwrap();
    eventually(|| async { store.ping().await.is_ok() }).await;
    store
}

/// With a deadline that a starved machine keeps too.
pub(crate) fn plan(kind: RedisKind) -> RedisPlan {
    let prefix = "dw:".to_owned();
    RedisPlan { kind, tls: None, username: None, password: None, db: 0, prefix, timeout: PATIENCE }
}

pub(crate) fn in_a_hurry(plan: RedisPlan) -> RedisPlan {
    RedisPlan { timeout: SOON, ..plan }
}

/// Three primaries and three replicas.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// After five seconds of silence a node is taken to be dead: a starved one is silent for a while, too.
    pub(crate) fn start() -> Self {
        let arguments =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "5000", "--repl-diskless-sync-delay", "0"];
        let nodes: Vec<Server> = (0..6).map(|_| Server::start(&arguments)).collect();
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let cluster = Self { nodes };
        cluster.wait();
        cluster
    }

    /// Until every node sees all slots served, and every replica is one.
    fn wait(&self) {
        poll(|| {
            let known = self.nodes.iter().filter(|node| node.cli(&["cluster", "info"]).contains("cluster_state:ok"));
            // one that never had its primary's data cannot take over
            let replicas = self.nodes.iter().filter(|node| node.cli(&["role"]).contains("\nconnected"));
            known.count() == 6 && replicas.count() == 3
        });
    }

    pub(crate) fn plan(&self) -> RedisPlan {
        plan(RedisKind::Cluster(self.nodes.iter().map(Server::address).collect()))
    }

    pub(crate) async fn connect(&self) -> Redis {
        connected(self.plan()).await
    }
}

fn spawn(port: u16, arguments: &[String], folder: &TempDir) -> Child {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(arguments.iter().take_while(|argument| argument.ends_with(".conf")));
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    command.args(arguments.iter().skip_while(|argument| argument.ends_with(".conf")));
    let command = command.arg("--dir").arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null());
    command.spawn().expect("redis-server is installed")
}

/// Below the ports that the system gives to whoever asks for any: one of those could be somebody's while a server is
/// down. A node of a cluster also listens ten thousand ports higher.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..22_000)).find(|port| free(port) && free(&(port + 10_000))).unwrap()
}

fn ping(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 1];
    // "+PONG", or "-NOAUTH": either way it is up
    stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok()
}

pub(crate) fn poll(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Asks again until the answer is good.
pub(crate) async fn eventually<F: Future<Output = bool>>(mut done: impl FnMut() -> F) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < PATIENCE, "it did not happen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
