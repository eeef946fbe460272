//! HTTP/2 by hand: frames and header fields no client library would send.

use super::PATIENCE;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection with prior knowledge, after the preface.
pub(crate) struct Frames(TcpStream);

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// An answer: its status where it can be told, and its body.
    Answer(String, Vec<u8>),
    /// RST_STREAM with this error code.
    Reset(u32),
    /// GOAWAY with this error code.
    GoAway(u32),
    Closed,
}

impl Frames {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut frames = Self(stream);
        let _ = frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        frames.send(SETTINGS, 0, 0, b"");
        frames
    }

    /// Sends one request on stream `id`: these fields, each as a literal, and these DATA frames.
    pub(crate) fn request(&mut self, id: u32, fields: &[(Vec<u8>, Vec<u8>)], data: &[Vec<u8>]) {
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let ends = if data.is_empty() { END_STREAM } else { 0 };
        self.send(HEADERS, END_HEADERS | ends, id, &block);
        for (at, piece) in data.iter().enumerate() {
            self.send(DATA, u8::from(at + 1 == data.len()), id, piece);
        }
    }

    /// Reads until stream `id` has an end.
    pub(crate) fn outcome(&mut self, id: u32) -> Outcome {
        let (mut status, mut body) = (String::new(), Vec::new());
        while let Some((kind, flags, stream, payload)) = self.receive() {
            match kind {
                GOAWAY => return Outcome::GoAway(number(&payload[4..8])),
                RST_STREAM if stream == id => return Outcome::Reset(number(&payload)),
                HEADERS if stream == id => status = told_by(&payload),
                DATA if stream == id => body.extend(payload),
                _ => {}
            }
            if stream == id && matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
                let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
                if let (Some(code), Some(name)) = (problem["status"].as_u64(), problem["code"].as_str()) {
                    status = format!("{code} {name}");
                }
                return Outcome::Answer(status, body);
            }
        }
        Outcome::Closed
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        // a server that has gone away is seen when its answer is read
        let _ = self.0.write_all(&[&head, payload].concat());
    }

    fn receive(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).ok()?;
        let length = number(&[0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).ok()?;
        Some((head[3], head[4], number(&head[5..9]) & 0x7FFF_FFFF, payload))
    }
}

/// A header field without indexing and without Huffman coding (RFC 7541 section 6.2.2).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let text = |bytes: &[u8]| {
        let mut prefixed = Vec::new();
        let mut length = bytes.len();
        if length < 127 {
            prefixed.push(u8::try_from(length).unwrap());
        } else {
            prefixed.push(127);
            length -= 127;
            while length >= 128 {
                prefixed.push(u8::try_from(length % 128).unwrap() | 128);
                length /= 128;
            }
            prefixed.push(u8::try_from(length).unwrap());
        }
        prefixed.extend(bytes);
        prefixed
    };
    [vec![0], text(name), text(value)].concat()
}

/// The status, when it is one of those with an index of their own (RFC 7541 appendix A).
fn told_by(block: &[u8]) -> String {
    let field = block.iter().find(|byte| *byte & 0xE0 != 0x20);
    let known = [(0x88, "200"), (0x89, "204"), (0x8C, "400"), (0x8D, "404"), (0x8E, "500")];
    let status = known.iter().find(|(byte, _)| Some(byte) == field);
    status.map_or("some status", |(_, status)| status).to_owned()
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}
