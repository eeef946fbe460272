//! The connection to Redis: made when it is needed, given up when it is in doubt, and never waited for without end.
//!
//! A connection is dropped at the first sign that it leads nowhere, or to somebody who may not write. The next command
//! dials again, by way of the sentinels where there are some, and so finds who was promoted meanwhile.

use super::dial::{Link, LogPlan, DIALLING};
use crate::ports::store::StoreError;
use ::redis::aio::{AsyncPushSender, ConnectionLike};
use ::redis::{cmd, Cmd, ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{timeout, Instant};

/// After a failure nobody tries again for this long, so that callers are not held up one after the other.
const PAUSE: Duration = Duration::from_millis(200);

/// One connection shared by all commands.
#[derive(Debug)]
pub(super) struct Line {
    plan: LogPlan,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    link: Option<Link>,
    /// Tells a connection from its successors, so that one is not given up for what another one did.
    number: u64,
    failed: Option<Instant>,
}

/// A script and its name in the cache of a server.
#[derive(Debug)]
pub(super) struct Script {
    code: &'static str,
    hash: String,
}

/// A script with what it is run on.
pub(super) struct Call<'a> {
    script: &'a Script,
    keys: Vec<&'a str>,
    args: Vec<Vec<u8>>,
}

impl Line {
    pub(super) fn new(plan: LogPlan) -> Self {
        Self { plan, state: Mutex::default() }
    }

    pub(super) async fn run(&self, call: Call<'_>) -> Result<Value, StoreError> {
        let (number, link) = self.link().await?;
        let mut answer = self.within(link.clone().query(&call.by_hash())).await;
        // a server that was restarted or promoted has no scripts; sent in full, this one is known again
        if answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)) {
            answer = self.within(link.clone().query(&call.in_full())).await;
        }
        self.judge(number, answer).await
    }

    pub(super) async fn ask(&self, command: &Cmd) -> Result<Value, StoreError> {
        let (number, link) = self.link().await?;
        let answer = self.within(link.clone().query(command)).await;
        self.judge(number, answer).await
    }

    /// A connection of its own, on which `pushes` hears of `channel`.
    pub(super) async fn listen(&self, channel: &str, pushes: impl AsyncPushSender) -> Result<Link, StoreError> {
        let link = timeout(DIALLING, self.plan.dial(Some(Arc::new(pushes)))).await.map_err(|_| too_slow())?;
        let mut link = link.map_err(|error| words(&error))?;
        self.within(link.subscribe(channel)).await.map_err(|error| words(&error))?;
        Ok(link)
    }

    async fn link(&self) -> Result<(u64, Link), StoreError> {
        let mut state = self.state.lock().await;
        if let Some(link) = &state.link {
            return Ok((state.number, link.clone()));
        }
        if state.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(StoreError("the revocation log could not be reached a moment ago".to_owned()));
        }
        let dialled = timeout(DIALLING, self.plan.dial(None)).await.map_err(|_| too_slow());
        match dialled.and_then(|dialled| dialled.map_err(|error| words(&error))) {
            Ok(link) => {
                state.link = Some(link.clone());
                state.number += 1;
                state.failed = None;
                Ok((state.number, link))
            }
            Err(error) => {
                state.failed = Some(Instant::now());
                Err(error)
            }
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
        let late = || RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        timeout(self.plan.timeout, answer).await.unwrap_or_else(|_| Err(late()))
    }

    async fn judge(&self, number: u64, answer: RedisResult<Value>) -> Result<Value, StoreError> {
        let error = match answer {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        if leads_nowhere(&error) {
            let mut state = self.state.lock().await;
            if state.number == number {
                state.link = None;
            }
        }
        Err(words(&error))
    }
}

impl Link {
    async fn query(mut self, command: &Cmd) -> RedisResult<Value> {
        // what the server refused comes as a value
        match &mut self {
            Self::Server(connection) => connection.req_packed_command(command).await?.extract_error(),
            Self::Cluster(connection) => connection.req_packed_command(command).await?.extract_error(),
        }
    }

    async fn subscribe(&mut self, channel: &str) -> RedisResult<()> {
        match self {
            Self::Server(connection) => connection.subscribe(channel).await,
            Self::Cluster(connection) => connection.subscribe(channel).await,
        }
    }
}

impl Script {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, hash: ::redis::Script::new(code).get_hash().to_owned() }
    }

    pub(super) fn on<'a, const N: usize>(&'a self, keys: [&'a String; N]) -> Call<'a> {
        Call { script: self, keys: keys.map(String::as_str).to_vec(), args: Vec::new() }
    }
}

impl Call<'_> {
    pub(super) fn arg(mut self, arg: impl Into<Vec<u8>>) -> Self {
        self.args.push(arg.into());
        self
    }

    fn by_hash(&self) -> Cmd {
        self.command("EVALSHA", &self.script.hash)
    }

    fn in_full(&self) -> Cmd {
        self.command("EVAL", self.script.code)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(self.keys.len());
        self.keys.iter().for_each(|key| _ = command.arg(*key));
        self.args.iter().for_each(|arg| _ = command.arg(arg));
        command
    }
}

/// A connection that broke, one that does not answer in time, or one to a server that may not write (any more).
fn leads_nowhere(error: &RedisError) -> bool {
    let refused = matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown | ServerErrorKind::BusyLoading)
    );
    refused || error.is_timeout() || error.is_connection_dropped() || error.is_unrecoverable_error()
}

/// What went wrong, without a word of what was asked or of how we log in.
fn words(error: &RedisError) -> StoreError {
    StoreError(match error.code() {
        Some(code) => format!("{} ({code})", error.category()),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None => error.category().to_owned(),
    })
}

fn too_slow() -> StoreError {
    StoreError("no connection in time".to_owned())
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("up", &self.link.is_some()).field("number", &self.number).finish()
    }
}
