//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on the thread it was given, and with it its requests and the backend connections they use: nobody
//! wakes another thread, waits for its lock or takes over its work. That costs a request noticeably less than a runtime
//! whose threads share everything. The price: one HTTP/2 connection gets one core at most.

use std::io;
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

/// What still runs when a thread ends, such as a password being compared, is waited for this long.
const LAST_TASKS: Duration = Duration::from_millis(200);

/// Dropped, they end: with everything that still runs on them.
#[derive(Debug)]
pub struct Workers {
    runtimes: Vec<Handle>,
    /// Dropped to end them.
    stay: Option<watch::Sender<()>>,
    /// Disconnected when the last has ended.
    ended: mpsc::Receiver<()>,
}

impl Workers {
    /// # Errors
    /// Of the system, which has no thread or descriptor left.
    pub fn start(count: usize) -> io::Result<Self> {
        let (stay, leave) = watch::channel(());
        let (runs, ended) = mpsc::channel();
        let runtimes = (0..count).map(|_| start(leave.clone(), runs.clone())).collect::<io::Result<_>>()?;
        Ok(Self { runtimes, stay: Some(stay), ended })
    }

    pub(super) fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.runtimes.iter()
    }
}

fn start(mut leave: watch::Receiver<()>, runs: mpsc::Sender<()>) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
        let _needed = Needed;
        // Nothing is ever sent: it ends as an error.
        let _ = runtime.block_on(leave.changed());
        runtime.shutdown_timeout(LAST_TASKS);
        drop(runs);
    })?;
    Ok(handle)
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stay.take();
        // One that never comes to its end is left behind: the process ends.
        let _ = self.ended.recv_timeout(LAST_TASKS * 2);
    }
}

/// A thread that the gate cannot do without. Were its runtime to panic, it would seem to be the least busy one, and every
/// new connection would be given to it: better the whole process is started again.
struct Needed;

impl Drop for Needed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}
