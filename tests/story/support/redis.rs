//! A real redis-server on a free port, gone when dropped, that keeps what it knows over a restart.

use super::eventually;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Redis {
    port: u16,
    arguments: Vec<String>,
    process: Child,
    folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further arguments; a file of configuration stands first. Somebody else may be quicker at a port that was
    /// free: then another one is taken.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let attempt = || {
            let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
            let process = spawn(port, &arguments, &folder);
            let mut redis = Self { port, process, arguments: arguments.clone(), folder };
            redis.is_up().then_some(redis)
        };
        std::iter::repeat_with(attempt).take(5).flatten().next().expect("redis-server starts")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The `[store]` of a gate. A deadline for a starved machine: nobody here asks how long a slow store is borne.
    pub(crate) fn table(&self) -> String {
        self.table_within("30s")
    }

    /// The same with another deadline, where somebody does wait for a store in vain: long enough for all that is asked
    /// of it before.
    pub(crate) fn table_within(&self, timeout: &str) -> String {
        format!("[store]\nurl = \"redis://127.0.0.1:{}\"\ntimeout = {timeout:?}\n\n", self.port)
    }

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap().success());
    }

    /// It takes what it is sent and answers nothing, until [`Self::resume`].
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Back again with everything it was told before it was killed.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.port, &self.arguments, &self.folder);
        assert!(self.is_up(), "its port was taken meanwhile");
    }

    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A setting, from now on.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let answer = self.cli(&["config", "set", name, value]);
        assert!(answer.contains("OK"), "{answer}");
    }

    /// How much was written, and how much of it a replica has.
    pub(crate) fn replicated(&self) -> (u64, u64) {
        let told = self.cli(&["info", "replication"]);
        let number = |name: &str| {
            let rest = told.split(name).nth(1).unwrap_or_default();
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
        };
        (number("master_repl_offset:"), number(",offset="))
    }

    /// Keys of this pattern.
    pub(crate) fn keys(&self, pattern: &str) -> Vec<String> {
        self.cli(&["keys", pattern]).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }

    /// How often each command was sent by clients since [`Self::forget_counts`]. What scripts do counts too, as it
    /// does for the server.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        let told = self.cli(&["info", "commandstats"]);
        let count = |line: &str| {
            let (name, facts) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let calls = facts.split(',').find_map(|fact| fact.strip_prefix("calls="))?;
            Some((name.to_owned(), calls.trim().parse().ok()?))
        };
        // what asking costs is not the gate's
        told.lines()
            .filter_map(count)
            .filter(|(name, _)| !["info", "config|resetstat"].contains(&name.as_str()))
            .collect()
    }

    pub(crate) fn forget_counts(&self) {
        self.cli(&["config", "resetstat"]);
    }

    /// Waits until it answers; false when it has ended instead.
    fn is_up(&mut self) -> bool {
        eventually("redis-server starts or gives up", || {
            let answers = TcpStream::connect(("127.0.0.1", self.port)).is_ok() && self.cli(&["ping"]).contains("PONG");
            answers || self.process.try_wait().unwrap().is_some()
        });
        self.process.try_wait().unwrap().is_none()
    }
}

/// Below the ports that the system gives to whoever asks for any: one of those could be somebody's while a server is
/// down. A node of a cluster also listens ten thousand ports higher.
pub(crate) fn free_port() -> u16 {
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(10_000..22_000)).find(|port| free(port) && free(&(port + 10_000))).unwrap()
}

fn spawn(port: u16, arguments: &[String], folder: &TempDir) -> Child {
    let is_file = |argument: &&String| argument.ends_with(".conf");
    Command::new("redis-server")
        .args(arguments.iter().take_while(is_file))
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        // what was answered outlives the process; whether it outlives the machine is nobody's question here, and a disk may
        // take seconds
        .args(["--appendonly", "yes", "--appendfsync", "no"])
        .args(arguments.iter().skip_while(is_file))
        .arg("--dir")
        .arg(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed")
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
