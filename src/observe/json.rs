//! One JSON object on one line, written by hand into bytes that are there already.
//!
//! Everything from outside goes through [`JsonLine::text`]: whatever a stranger sends, a line stays one line, stays
//! JSON, stays short, and shows a terminal nothing it would obey.

use super::clock::WallTime;
use crate::domain::address::AddressText;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// A line under construction. Members are named by [`key!`].
pub(super) struct JsonLine<'a>(&'a mut Vec<u8>);

/// `,"name":` as one piece, so that a member's name is one copy.
macro_rules! key {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}
pub(super) use key;

/// The date of the second a line was written last; lines of one second share it.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    second: Option<u64>,
    text: String,
}

/// Longer values are cut: a request header of 32 KiB is no reason for a log line of 192.
const LONGEST: usize = 2048;

impl<'a> JsonLine<'a> {
    /// `{"time":"2026-08-01T12:00:00.123Z"`
    pub(super) fn open(out: &'a mut Vec<u8>, stamp: &mut Stamp, time: WallTime) -> Self {
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(stamp.date(time.seconds).as_bytes());
        let mut line = Self(out);
        line.thousandths(time.millis.into());
        line.0.extend_from_slice(b"Z\"");
        line
    }

    pub(super) fn close(self) {
        self.0.extend_from_slice(b"}\n");
    }

    pub(super) fn text(&mut self, key: &'static str, value: &[u8]) {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'"');
        let start = value.get(..LONGEST).unwrap_or(value);
        if are_plain(start) {
            self.0.extend_from_slice(start);
        } else {
            self.escaped(start);
        }
        if start.len() < value.len() {
            self.0.extend_from_slice("…".as_bytes());
        }
        self.0.push(b'"');
    }

    /// What is not known is left out.
    pub(super) fn maybe(&mut self, key: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(key, value.as_bytes());
        }
    }

    pub(super) fn number(&mut self, key: &'static str, value: u64) {
        self.0.extend_from_slice(key.as_bytes());
        self.digits(value);
    }

    pub(super) fn millis(&mut self, key: &'static str, value: Duration) {
        let micros = value.as_secs().saturating_mul(1_000_000).saturating_add(value.subsec_micros().into());
        self.decimal(key, micros);
    }

    pub(super) fn micros(&mut self, key: &'static str, value: Duration) {
        let nanos = value.as_secs().saturating_mul(1_000_000_000).saturating_add(value.subsec_nanos().into());
        self.decimal(key, nanos);
    }

    pub(super) fn ip(&mut self, key: &'static str, value: IpAddr) {
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'"');
        // a dual-stack listener sees IPv4 as ::ffff:a.b.c.d
        self.0.extend_from_slice(AddressText::of(value.to_canonical()).as_bytes());
        self.0.push(b'"');
    }

    fn escaped(&mut self, value: &[u8]) {
        for chunk in value.utf8_chunks() {
            chunk.valid().chars().for_each(|c| self.escape(c));
            if !chunk.invalid().is_empty() {
                self.0.extend_from_slice(br"\ufffd");
            }
        }
    }

    fn escape(&mut self, c: char) {
        match c {
            '"' => self.0.extend_from_slice(br#"\""#),
            '\\' => self.0.extend_from_slice(br"\\"),
            _ if is_obeyed(c) => {
                let _ = write!(self.0, "\\u{:04x}", u32::from(c));
            }
            _ => self.0.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    fn decimal(&mut self, key: &'static str, thousandths: u64) {
        self.0.extend_from_slice(key.as_bytes());
        self.digits(thousandths / 1000);
        self.0.push(b'.');
        self.thousandths(thousandths % 1000);
    }

    fn thousandths(&mut self, value: u64) {
        self.0.extend_from_slice(&[digit(value / 100), digit(value / 10), digit(value)]);
    }

    fn digits(&mut self, mut value: u64) {
        let mut text = [0_u8; 20];
        let mut length = 0;
        for place in text.iter_mut().rev() {
            *place = digit(value);
            length += 1;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.0.extend_from_slice(text.get(20 - length..).unwrap_or_default());
    }
}

impl Stamp {
    /// `2026-08-01T12:00:00.`
    fn date(&mut self, second: u64) -> &str {
        if self.second != Some(second) {
            let moment = i64::try_from(second).ok().and_then(|second| chrono::DateTime::from_timestamp(second, 0));
            self.text.clear();
            let _ = write!(self.text, "{}", moment.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S."));
            self.second = Some(second);
        }
        &self.text
    }
}

/// Nearly every value is plain. In blocks and without an early exit, so that it becomes vector instructions: most values
/// are too short for the blocks a compiler would choose.
fn are_plain(value: &[u8]) -> bool {
    let plain = |bytes: &[u8]| bytes.iter().fold(true, |plain, byte| plain & is_plain(*byte));
    let (blocks, rest) = value.as_chunks::<8>();
    blocks.iter().fold(true, |all, block| all & plain(block)) & plain(rest)
}

fn is_plain(byte: u8) -> bool {
    (b' '..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// Characters that a terminal or a viewer acts on instead of showing: control codes, line separators, and marks that
/// turn the direction of text.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn digit(value: u64) -> u8 {
    b'0' + (value % 10) as u8
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
