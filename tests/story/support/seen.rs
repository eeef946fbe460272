//! A request as a backend received it, byte for byte.

use std::io::{self, BufRead, Read};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// From the request line to the blank line.
    pub(crate) head: Vec<u8>,
    /// As on the wire: chunk sizes and trailers included.
    pub(crate) body: Vec<u8>,
    /// Which of the backend's connections it came on, counted from 0.
    pub(crate) connection: usize,
}

impl Seen {
    /// Reads one request; `None` when the connection ends before the request does.
    pub(crate) fn read(stream: &mut impl BufRead, connection: usize) -> io::Result<Option<Self>> {
        let mut seen = Self { connection, ..Self::default() };
        while !seen.head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut seen.head)? == 0 {
                return Ok(None);
            }
        }
        if seen.header("transfer-encoding").is_some() {
            seen.read_chunks(stream)?;
        } else if let Some(length) = seen.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            if stream.take(length).read_to_end(&mut seen.body)? as u64 != length {
                return Ok(None);
            }
        }
        Ok(Some(seen))
    }

    fn read_chunks(&mut self, stream: &mut impl BufRead) -> io::Result<()> {
        loop {
            let start = self.body.len();
            stream.read_until(b'\n', &mut self.body)?;
            let line = String::from_utf8_lossy(&self.body[start..]).into_owned();
            let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
            if size == 0 {
                break;
            }
            stream.take(size + 2).read_to_end(&mut self.body)?;
        }
        while !self.body.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut self.body)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// The head, each byte a character: nothing is lost that is no UTF-8.
    pub(crate) fn text(&self) -> String {
        self.head.iter().map(|byte| char::from(*byte)).collect()
    }

    /// `GET /a HTTP/1.1`.
    pub(crate) fn request_line(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_owned()
    }

    /// `/a?b`.
    pub(crate) fn target(&self) -> String {
        self.request_line().split(' ').nth(1).unwrap_or_default().to_owned()
    }

    /// Names and values in order, names as spelt.
    pub(crate) fn headers(&self) -> Vec<(String, String)> {
        let text = self.text();
        let lines = text.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    }

    /// Every value of that header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let found = self.headers().into_iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).collect()
    }

    /// The value of a header that stands there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut all = self.all(name);
        assert!(all.len() < 2, "{name} stands there {} times", all.len());
        all.pop()
    }

    /// Every header whose folded name begins so: whatever a CGI backend would take for it.
    pub(crate) fn folded(&self, prefix: &str) -> Vec<(String, String)> {
        let fold = |name: &str| -> String {
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
        };
        self.headers().into_iter().filter(|(name, _)| fold(name).starts_with(prefix)).collect()
    }
}
