use super::*;
use std::sync::mpsc::{channel, Receiver, Sender};

/// An output that keeps what is written.
#[derive(Clone, Debug, Default)]
pub(in crate::observe) struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub(in crate::observe) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that takes nothing until it is told to, or never.
struct Stuck {
    entered: Sender<()>,
    release: Receiver<()>,
}

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.entered.send(()).ok();
        self.release.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn say(sink: &LogSink, text: &str) {
    sink.line(|buffer| {
        buffer.bytes.extend_from_slice(text.as_bytes());
        buffer.bytes.push(b'\n');
    });
}

#[test]
fn after_a_flush_everything_logged_before_is_written() {
    let paper = Paper::default();
    let sink = LogSink::start(Box::new(paper.clone()), Arc::default()).unwrap();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..1000).for_each(|_| say(&sink, "line")));
        }
    });
    assert!(sink.flush());
    assert_eq!(paper.text(), "line\n".repeat(8000));
}

#[test]
fn lines_of_one_thread_stay_in_order() {
    let paper = Paper::default();
    let sink = LogSink::start(Box::new(paper.clone()), Arc::default()).unwrap();
    (0..20_000).for_each(|number| say(&sink, &number.to_string()));
    assert!(sink.flush());
    let numbers: Vec<u32> = paper.text().lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(0..20_000));
}

#[test]
fn an_output_that_is_stuck_costs_lines_but_never_time_or_memory() {
    let (entered, has_entered) = channel();
    let (let_go, release) = channel();
    let dropped = Arc::new(Counter::default());
    let sink = LogSink::start(Box::new(Stuck { entered, release }), Arc::clone(&dropped)).unwrap();
    say(&sink, "first");
    has_entered.recv().unwrap();
    let kilobyte = "x".repeat(1023);
    (0..1500).for_each(|_| say(&sink, &kilobyte));
    assert_eq!(dropped.value(), 1500 - 1024);
    drop(let_go);
    assert!(sink.flush());
    assert_eq!(dropped.value(), 1501, "what an output refuses is counted too");
}

#[test]
fn a_sink_that_is_let_go_writes_the_rest() {
    let (entered, has_entered) = channel();
    let (let_go, release) = channel();
    let sink = LogSink::start(Box::new(Stuck { entered, release }), Arc::default()).unwrap();
    say(&sink, "last words");
    drop(sink);
    has_entered.recv().unwrap();
    let_go.send(()).unwrap();
    assert!(has_entered.recv().is_err(), "the writer ends and drops its output");
}
