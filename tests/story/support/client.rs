//! A client that sends the bytes it is given and reads what comes back, one answer at a time.

use super::PATIENCE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// An HTTP/1 answer, its body without chunked coding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Sends `bytes` on a connection of their own and reads the first answer.
pub(crate) fn raw(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let mut client = Client::connect(address);
    client.send(bytes);
    client.receive().expect("an answer")
}

/// The same; `None` when there is nobody, or nobody any more.
pub(crate) fn attempt(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Option<Response> {
    let mut client = Client::on(TcpStream::connect_timeout(&address, PATIENCE).ok()?)?;
    client.send(bytes);
    client.receive()
}

impl Response {
    /// Every value of that header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let found = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The `code` of a refusal of ours, or "".
    pub(crate) fn code(&self) -> String {
        let problem: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        problem["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Status and code: `401 token_expired`, or just `200`.
    pub(crate) fn verdict(&self) -> String {
        format!("{} {}", self.status, self.code()).trim_end().to_owned()
    }
}

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    /// Methods of requests sent and not answered yet are not tracked: only HEAD matters, and only the last.
    head_only: bool,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect_timeout(&address, PATIENCE).unwrap()).unwrap()
    }

    fn on(stream: TcpStream) -> Option<Self> {
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        stream.set_nodelay(true).ok()?;
        Some(Self { stream: BufReader::new(stream), head_only: false })
    }

    /// Sends, and does not mind when the other side has stopped listening: what it answered is what matters.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.head_only = bytes.as_ref().starts_with(b"HEAD ");
        let _ = self.stream.get_mut().write_all(bytes.as_ref());
    }

    /// The next final answer; `None` when the connection ends before one.
    pub(crate) fn receive(&mut self) -> Option<Response> {
        loop {
            let mut response = self.receive_head()?;
            if response.status == 101 {
                return Some(response);
            }
            if response.status >= 200 {
                response.body = self.receive_body(&response);
                return Some(response);
            }
        }
    }

    /// Status and headers only; the body is still to be read.
    pub(crate) fn receive_head(&mut self) -> Option<Response> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {status_line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(Response { status, headers, body: Vec::new() });
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn receive_body(&mut self, head: &Response) -> Vec<u8> {
        let mut body = Vec::new();
        if self.head_only || matches!(head.status, 204 | 304) {
            return body;
        }
        if head.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        } else if let Some(length) = head.header("content-length") {
            let length = length.parse().unwrap();
            let _ = (&mut self.stream).take(length).read_to_end(&mut body);
        } else {
            let _ = self.stream.read_to_end(&mut body);
        }
        body
    }

    /// The next chunk of a chunked body; `None` after the last, or when the connection breaks off.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(self.line()?.split(';').next()?.trim(), 16).ok()?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk).ok()?;
        if size > 0 {
            self.line()?;
            return Some(chunk);
        }
        while !self.line()?.is_empty() {}
        None
    }

    /// Everything until the connection ends; `None` when it does not.
    pub(crate) fn rest(&mut self) -> Option<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => None,
            // a reset ends a connection as well as a FIN does
            Ok(_) | Err(_) => Some(rest),
        }
    }

    /// The socket itself, for a WebSocket after its handshake.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.stream.buffer().is_empty(), "bytes were read ahead");
        self.stream.into_inner()
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).ok()?;
        line.ends_with(b"\n").then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
    }
}
