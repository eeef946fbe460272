//! Where log lines go: into a buffer of the thread's own, and from there, by one writer thread, to the output.
//!
//! A request never waits for the output. When it does not keep up, lines are dropped and counted; lines of one
//! thread stay in order, those of several may not.

use super::counter::Counter;
use super::json::Stamp;
use super::shard::Sharded;
use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, Thread};
use std::time::Duration;

/// A clone writes to the same output. When the last one is gone the rest is written and the thread ends.
#[derive(Clone, Debug)]
pub struct LogSink(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    writer: Thread,
}

#[derive(Debug)]
struct Shared {
    buffers: Sharded<Mutex<Buffer>>,
    dropped: Arc<Counter>,
    flushes: Mutex<Flushes>,
    flushed: Condvar,
    closed: AtomicBool,
}

/// The lines of a thread that are still to be written.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) bytes: Vec<u8>,
    pub(super) stamp: Stamp,
}

#[derive(Debug, Default)]
struct Flushes {
    asked: u64,
    done: u64,
}

/// A line waits no longer than this.
const LATEST: Duration = Duration::from_millis(50);
/// A buffer this full wakes the writer.
const PLENTY: usize = 64 * 1024;
/// A buffer this full takes no more lines.
const FULL: usize = 1024 * 1024;
/// How long a shutdown waits for an output that does not move.
const PATIENCE: Duration = Duration::from_secs(5);

impl LogSink {
    /// Starts the writer. `dropped` counts the lines that were lost.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(output: Box<dyn Write + Send>, dropped: Arc<Counter>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            buffers: Sharded::default(),
            dropped,
            flushes: Mutex::default(),
            flushed: Condvar::new(),
            closed: AtomicBool::new(false),
        });
        let spare = Buffer::default().bytes;
        let writer = Writer { shared: Arc::clone(&shared), output, spare, failing: false };
        let thread = thread::Builder::new().name("log-writer".to_owned()).spawn(move || writer.run())?;
        Ok(Self(Arc::new(Handle { shared, writer: thread.thread().clone() })))
    }

    /// Lets `write` append one line. Meets nobody but the writer, and the writer only while it swaps buffers.
    pub(super) fn line(&self, write: impl FnOnce(&mut Buffer)) {
        let mut buffer = self.0.shared.buffers.mine().lock();
        let before = buffer.bytes.len();
        if before >= FULL {
            self.0.shared.dropped.inc();
            return;
        }
        write(&mut buffer);
        let after = buffer.bytes.len();
        drop(buffer);
        if before < PLENTY && after >= PLENTY {
            self.0.writer.unpark();
        }
    }

    /// Waits until everything logged before this call is written. False when the output does not take it in time.
    pub fn flush(&self) -> bool {
        let mut flushes = self.0.shared.flushes.lock();
        flushes.asked += 1;
        let mine = flushes.asked;
        self.0.writer.unpark();
        !self.0.shared.flushed.wait_while_for(&mut flushes, |flushes| flushes.done < mine, PATIENCE).timed_out()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        self.writer.unpark();
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(2 * PLENTY), stamp: Stamp::default() }
    }
}

/// What only the writer thread has.
struct Writer {
    shared: Arc<Shared>,
    output: Box<dyn Write + Send>,
    spare: Vec<u8>,
    failing: bool,
}

impl Writer {
    fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            // both are read before the buffers, so that nothing logged earlier can be missed
            let closed = shared.closed.load(Ordering::Acquire);
            let asked = shared.flushes.lock().asked;
            shared.buffers.iter().for_each(|buffer| self.write_out(buffer));
            shared.flushes.lock().done = asked;
            shared.flushed.notify_all();
            if closed {
                return;
            }
            thread::park_timeout(LATEST);
        }
    }

    /// Swaps the spare buffer in and writes the full one, whose memory is the next spare.
    fn write_out(&mut self, buffer: &Mutex<Buffer>) {
        std::mem::swap(&mut buffer.lock().bytes, &mut self.spare);
        if self.spare.is_empty() {
            return;
        }
        let outcome = self.output.write_all(&self.spare).and_then(|()| self.output.flush());
        if let Err(error) = &outcome {
            self.shared.dropped.add(self.spare.iter().map(|byte| u64::from(*byte == b'\n')).sum());
            // once, not twenty times a second: the counter tells the rest
            if !self.failing {
                tracing::error!(%error, "log lines cannot be written");
            }
        }
        self.failing = outcome.is_err();
        self.spare.clear();
        // what a burst has grown is given back
        self.spare.shrink_to(4 * PLENTY);
    }
}

#[cfg(test)]
#[path = "sink_tests.rs"]
pub(super) mod tests;
