//! A running gate: the real binary, a file of its own, ports the system chose.

use super::client::{self, Response};
use super::eventually;
use super::lines::Lines;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Gate {
    process: Child,
    /// The first listener.
    pub(crate) http: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Access and audit lines.
    pub(crate) journal: Lines,
    /// What the program says about itself.
    pub(crate) messages: Lines,
    setup: Setup,
}

/// What a gate is started with.
pub(crate) struct Setup {
    directory: TempDir,
    listen: Vec<String>,
    drain: String,
    public_url: String,
    server: String,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// Further keys of `[server]`.
    pub(crate) fn server(mut self, keys: &str) -> Self {
        self.server.push_str(keys);
        self.server.push('\n');
        self
    }

    /// Instead of `http://localhost`.
    pub(crate) fn public_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.public_url);
        self
    }

    /// Instead of leaving at once and within 5 s.
    pub(crate) fn drain(mut self, pre_stop: &str, max: &str) -> Self {
        self.drain = format!("{{ pre_stop = {pre_stop:?}, max = {max:?} }}");
        self
    }

    /// Instead of one free port on loopback.
    pub(crate) fn listen(mut self, listen: &[&str]) -> Self {
        self.listen = listen.iter().map(|&at| at.to_owned()).collect();
        self
    }

    /// A file beside the configuration.
    pub(crate) fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.path(name), text).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts the gate with these tables besides `[server]` and `[admin]`, and waits until it listens.
    pub(crate) fn start(self, tables: &str) -> Gate {
        self.write(tables);
        let mut process = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["run", "--config"])
            .arg(self.file_path())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let journal = Lines::of(process.stdout.take().unwrap());
        let messages = Lines::of(process.stderr.take().unwrap());
        let admin = address(&messages.wait(|line| line["message"] == "admin listening"));
        let said: Vec<Value> = messages.all().iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        // a gate that listens on unix sockets only has no other address
        let http = said.iter().find(|line| line["message"] == "listening").map_or(admin, address);
        Gate { process, http, admin, journal, messages, setup: self }
    }

    fn file_path(&self) -> PathBuf {
        self.path("doorward.toml")
    }

    /// The whole file at once, as an editor or Kubernetes does: nobody reads half of it.
    fn write(&self, tables: &str) {
        let text = format!(
            "[server]\nlisten = {:?}\npublic_url = {:?}\ndrain = {}\n{}\n[admin]\nlisten = \"127.0.0.1:0\"\n\n{tables}",
            self.listen, self.public_url, self.drain, self.server
        );
        let draft = self.path("doorward.toml.draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(draft, self.file_path()).unwrap();
    }
}

impl Gate {
    pub(crate) fn setup() -> Setup {
        let listen = vec!["127.0.0.1:0".to_owned()];
        let (directory, server) = (tempfile::tempdir().unwrap(), String::new());
        let (drain, public_url) = (String::new(), "http://localhost".to_owned());
        Setup { directory, listen, drain, public_url, server, variables: Vec::new() }.drain("0s", "5s")
    }

    pub(crate) fn start(tables: &str) -> Self {
        Self::setup().start(tables)
    }

    /// As a load balancer asks: before, a gate that shares a store may not know yet what was revoked.
    pub(crate) fn is_ready(&self) -> bool {
        client::raw(self.admin, "GET /readyz HTTP/1.1\r\nHost: admin\r\n\r\n").status == 200
    }

    /// Whether its store answers. A sign-in that is tried until then uses up what an address may ask for meanwhile.
    pub(crate) fn has_store(&self) -> bool {
        self.metric("doorward_store_up") > 0.5
    }

    /// Where files named in the configuration are.
    pub(crate) fn directory(&self) -> &Path {
        self.setup.directory.path()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends these bytes on a connection of their own; the first answer.
    pub(crate) fn raw(&self, bytes: impl AsRef<[u8]>) -> Response {
        client::raw(self.http, bytes)
    }

    /// `GET path` of `app.test` with these header lines, each ending in CRLF.
    pub(crate) fn get(&self, path: &str, headers: &str) -> Response {
        self.raw(format!("GET {path} HTTP/1.1\r\nHost: app.test\r\n{headers}\r\n"))
    }

    /// [`Self::get`] with a bearer token.
    pub(crate) fn get_as(&self, path: &str, token: &str) -> Response {
        self.get(path, &format!("Authorization: Bearer {token}\r\n"))
    }

    /// The value of one sample of `/metrics`; 0 for one that is not there. `series` is written as Prometheus does:
    /// `doorward_token_cache_total{result="hit"}`.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = client::raw(self.admin, "GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Waits until a sample has this value: some of what others have seen is counted a moment later.
    pub(crate) fn comes_to(&self, series: &str, value: f64) {
        eventually(series, || (self.metric(series) - value).abs() < 0.5);
    }

    /// Waits until this many requests are accounted for, in metrics and log: that comes after their answers.
    pub(crate) fn accounted(&self, requests: usize) {
        self.journal.wait_count(requests, |line| line["kind"] != "audit");
    }

    /// The access line of the request with this `X-Request-Id`.
    pub(crate) fn access(&self, request_id: &str) -> Value {
        self.journal.wait(|line| line["request_id"] == request_id && line["kind"] != "audit")
    }

    /// The audit line of the refusal with this id.
    pub(crate) fn audit(&self, request_id: &str) -> Value {
        self.journal.wait(|line| line["request_id"] == request_id && line["kind"] == "audit")
    }

    /// Replaces the file and waits for nothing.
    pub(crate) fn rewrite(&self, tables: &str) {
        self.setup.write(tables);
    }

    /// Replaces the file and waits for the verdict: whether the new settings were taken.
    pub(crate) fn reload(&self, tables: &str) -> bool {
        let mark = self.messages.mark();
        self.setup.write(tables);
        self.verdict(mark)
    }

    /// SIGHUP, with whatever the files say now.
    pub(crate) fn hang_up(&self) -> bool {
        let mark = self.messages.mark();
        self.signal("HUP");
        self.verdict(mark)
    }

    fn verdict(&self, mark: usize) -> bool {
        let said = |line: &Value| line["message"].as_str().unwrap_or_default().to_owned();
        let line = self.messages.wait_from(mark, |line| {
            said(line) == "configuration reloaded" || said(line).starts_with("configuration not reloaded")
        });
        said(&line) == "configuration reloaded"
    }

    /// SIGTERM; see [`Self::exit_code`] for what becomes of it.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Without a word, as the kernel does when memory runs out.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap().success());
    }

    /// Waits until the process has ended.
    pub(crate) fn exit_code(mut self) -> Option<i32> {
        assert!(self.journal.wait_end(), "still running");
        self.process.wait().unwrap().code()
    }
}

fn address(line: &Value) -> SocketAddr {
    line["address"].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no address in {line}"))
}

impl Drop for Gate {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the gate said:\n{}", self.messages.all().join("\n"));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
