//! Backends on raw sockets: they keep what they received, and answer as the story wants.

use super::seen::Seen;
use parking_lot::Mutex;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};

/// Whether the connection goes on after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
}

/// Listens until the test process ends.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Backend {
    /// Answers every request with the bytes it received, WebSocket handshakes with a socket that echoes.
    pub(crate) fn echo() -> Self {
        Self::answering(echo)
    }

    /// Answers with whatever `answer` writes.
    pub(crate) fn answering(
        answer: impl Fn(&Seen, &mut TcpStream) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (accepting, answer) = (backend.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let (backend, answer) = (accepting.clone(), Arc::clone(&answer));
                std::thread::spawn(move || backend.serve(stream, connection, &*answer));
            }
        });
        backend
    }

    /// An `[[upstream]]` named `name` with this backend.
    pub(crate) fn upstream(&self, name: &str) -> String {
        format!("[[upstream]]\nname = {name:?}\nurl = \"http://{}\"\n\n", self.address)
    }

    /// Everything received so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Forgets what was received, and gives it.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock())
    }

    /// The last request received.
    pub(crate) fn last(&self) -> Seen {
        self.seen().pop().expect("the backend received nothing")
    }

    fn serve(
        &self,
        mut stream: TcpStream,
        connection: usize,
        answer: &dyn Fn(&Seen, &mut TcpStream) -> io::Result<After>,
    ) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        while let Some(seen) = Seen::read(&mut reader, connection).ok()? {
            self.seen.lock().push(seen.clone());
            if answer(&seen, &mut stream).ok()? == After::Close {
                break;
            }
        }
        Some(())
    }
}

/// What was received, as the body of a 200; a WebSocket where one was asked for.
pub(crate) fn echo(seen: &Seen, stream: &mut TcpStream) -> io::Result<After> {
    if !seen.all("upgrade").is_empty() {
        return websocket(seen, stream);
    }
    let head_only = seen.head.starts_with(b"HEAD ");
    let length = seen.head.len() + seen.body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n")?;
    if !head_only {
        stream.write_all(&[seen.head.as_slice(), &seen.body].concat())?;
    }
    Ok(After::Keep)
}

/// Accepts the handshake and sends every message back until the other side closes.
pub(crate) fn websocket(seen: &Seen, stream: &mut TcpStream) -> io::Result<After> {
    let key = seen.header("sec-websocket-key").unwrap_or_default();
    let accept = derive_accept_key(key.as_bytes());
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            break;
        }
    }
    Ok(After::Close)
}

/// A 200 of fixed text, with these header lines, each ending in CRLF.
pub(crate) fn text(headers: &str, body: &str) -> impl Fn(&Seen, &mut TcpStream) -> io::Result<After> {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len());
    move |_, stream| stream.write_all(answer.as_bytes()).map(|()| After::Keep)
}

/// These exact bytes, and then the end of the connection: broken answers, silence, half a head.
pub(crate) fn bytes(answer: &'static [u8]) -> impl Fn(&Seen, &mut TcpStream) -> io::Result<After> {
    move |_, stream| stream.write_all(answer).map(|()| After::Close)
}

/// Answers as `then` does, but only once `go` was told to: a backend that is as slow as the story needs.
pub(crate) fn held(
    go: std::sync::mpsc::Receiver<()>,
    then: impl Fn(&Seen, &mut TcpStream) -> io::Result<After>,
) -> impl Fn(&Seen, &mut TcpStream) -> io::Result<After> {
    let go = Mutex::new(go);
    move |seen, stream| {
        // a sender that is gone holds nobody
        let _ = go.lock().recv();
        then(seen, stream)
    }
}
