//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on the thread it was given, and with it its requests and the backend connections they use: nobody
//! wakes another thread, waits for its lock or takes over its work. That costs a request noticeably less than a runtime
//! whose threads share everything. The price: one HTTP/2 connection gets one core at most.

use std::io;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// What still runs when a thread ends, such as a password being compared, is waited for this long.
const LAST_TASKS: Duration = Duration::from_millis(200);

/// Dropped, they end: with everything that still runs on them.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Dropped to end it.
    stays: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Workers {
    /// # Errors
    /// Of the system, which has no thread or descriptor left.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count).map(|_| Worker::start()).collect::<io::Result<_>>().map(Self)
    }

    pub(super) fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.0.iter().map(|worker| &worker.runtime)
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stays, left) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("worker".to_owned()).spawn(move || {
            // Nothing is ever sent: it ends as an error.
            let _ = runtime.block_on(left);
            runtime.shutdown_timeout(LAST_TASKS);
        })?;
        Ok(Self { runtime: handle, stays: Some(stays), thread: Some(thread) })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            worker.stays.take();
        }
        for thread in self.0.iter_mut().filter_map(|worker| worker.thread.take()) {
            // One that panicked has ended too.
            let _ = thread.join();
        }
    }
}
