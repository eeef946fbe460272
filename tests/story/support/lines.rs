//! The lines a process writes, as they come, and a way to wait for one.

use super::PATIENCE;
use parking_lot::{Condvar, Mutex};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Instant;

/// Everything a process has written so far.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    /// Collects from `source` until it ends.
    pub(crate) fn of(source: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let collected = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
                collected.change(|state| state.lines.push(String::from_utf8_lossy(&line).into_owned()));
            }
            collected.change(|state| state.ended = true);
        });
        lines
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0 .0.lock());
        self.0 .1.notify_all();
    }

    /// How many there are; [`Self::wait_from`] looks only at what comes after.
    pub(crate) fn mark(&self) -> usize {
        self.0 .0.lock().lines.len()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0 .0.lock().lines.clone()
    }

    /// The first JSON line, from the beginning, that `wanted` accepts.
    pub(crate) fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_from(0, wanted)
    }

    pub(crate) fn wait_from(&self, mark: usize, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(|state| {
            let fresh = state.lines.get(mark..).unwrap_or_default();
            fresh.iter().filter_map(|line| serde_json::from_str(line).ok()).find(|value| wanted(value))
        })
        .unwrap_or_else(|| panic!("the line never came; there are:\n{}", self.all().join("\n")))
    }

    /// Waits until there are this many JSON lines that `counts` accepts.
    pub(crate) fn wait_count(&self, count: usize, counts: impl Fn(&Value) -> bool) {
        let enough = self.wait_for(|state| {
            let values = state.lines.iter().filter_map(|line| serde_json::from_str(line).ok());
            (values.filter(|value| counts(value)).count() >= count).then_some(())
        });
        assert!(enough.is_some(), "{count} lines never came; there are:\n{}", self.all().join("\n"));
    }

    /// Whether the writer has closed its end in time.
    pub(crate) fn wait_end(&self) -> bool {
        self.wait_for(|state| state.ended.then_some(())).is_some()
    }

    fn wait_for<T>(&self, find: impl Fn(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.0 .0.lock();
        loop {
            let found = find(&state);
            if found.is_some() || state.ended || Instant::now() >= deadline {
                return found;
            }
            self.0 .1.wait_until(&mut state, deadline);
        }
    }
}
