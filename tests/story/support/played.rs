//! A backend that the story itself plays, one line at a time: what arrives when, and in how many pieces.

use super::PATIENCE;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{channel, Receiver};

/// Listens, and keeps connections until the story asks for them.
pub(crate) struct Played {
    pub(crate) address: SocketAddr,
    incoming: Receiver<TcpStream>,
}

/// One connection, read piece by piece.
pub(crate) struct Scene<S = TcpStream> {
    stream: S,
    read: Vec<u8>,
}

impl Played {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, incoming) = channel();
        std::thread::spawn(move || {
            listener.incoming().map_while(Result::ok).try_for_each(|stream| sender.send(stream))
        });
        Self { address, incoming }
    }

    /// An `[[upstream]]` named `name` with this backend; `keys` are further lines of it.
    pub(crate) fn upstream(&self, name: &str, keys: &str) -> String {
        format!("[[upstream]]\nname = {name:?}\nurl = \"http://{}\"\n{keys}\n\n", self.address)
    }

    /// The next connection.
    pub(crate) fn next(&self) -> Scene {
        Scene::of(self.incoming.recv_timeout(PATIENCE).expect("the gate did not connect"))
    }

    /// Whether nobody has connected since the last [`Self::next`].
    pub(crate) fn is_unknown(&self) -> bool {
        self.incoming.try_recv().is_err()
    }
}

impl Scene {
    /// With deadlines.
    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::on(stream)
    }
}

impl<S: Read + Write> Scene<S> {
    /// On any stream; deadlines are its owner's.
    pub(crate) fn on(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// Reads up to and including `end`.
    pub(crate) fn until(&mut self, end: &str) -> String {
        loop {
            let found = self.read.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(place) = found {
                let told: Vec<u8> = self.read.drain(..place + end.len()).collect();
                return String::from_utf8_lossy(&told).into_owned();
            }
            let mut buffer = [0; 16 * 1024];
            let count = self.stream.read(&mut buffer).unwrap_or_default();
            let so_far = String::from_utf8_lossy(&self.read);
            assert!(count > 0, "{end:?} never came, only {so_far:?}");
            self.read.extend_from_slice(&buffer[..count]);
        }
    }

    /// The next request head.
    pub(crate) fn head(&mut self) -> String {
        self.until("\r\n\r\n")
    }

    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        // whoever no longer listens has decided already
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// Says `piece` again and again until the other side ends the connection; false when it never does.
    pub(crate) fn drips(&mut self, piece: &str) -> bool {
        let until = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(10));
            if self.stream.write_all(piece.as_bytes()).is_err() {
                return true;
            }
        }
        false
    }

    /// Everything until the other side ends the connection.
    pub(crate) fn rest(&mut self) -> String {
        // a reset is an end as well
        let _ = self.stream.read_to_end(&mut self.read);
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Whether the other side ends the connection without another byte.
    pub(crate) fn is_left(&mut self) -> bool {
        let ended = match self.stream.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        };
        ended && self.read.is_empty()
    }
}
