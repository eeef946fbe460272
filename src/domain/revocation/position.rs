//! Places in the log.

use std::fmt;
use std::str::FromStr;

/// Where a record stands in the log: the id of its stream entry, milliseconds and a sequence number. Positions of one
/// log only grow, whatever its clock does, so "issued before" among our own tokens is a comparison of two positions
/// and no clock at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub ms: u64,
    pub seq: u64,
}

impl Position {
    /// Before every record.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };

    #[must_use]
    pub fn new(ms: u64, seq: u64) -> Self {
        Self { ms, seq }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

/// The text is no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a position of the log")]
pub struct NotAPosition;

/// Strict: one position has one text.
impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let (ms, seq) = text.split_once('-').ok_or(NotAPosition)?;
        Ok(Self { ms: number(ms)?, seq: number(seq)? })
    }
}

fn number(text: &str) -> Result<u64, NotAPosition> {
    let padded = text.len() > 1 && text.starts_with('0');
    if padded || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotAPosition);
    }
    text.parse().map_err(|_| NotAPosition)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_time_then_by_sequence() {
        let read = |text: &str| text.parse::<Position>().unwrap();
        assert!(read("999-7") < read("1000-0"), "as numbers, not as text");
        assert!(read("1000-9") < read("1000-10"));
        assert_eq!(read("1000-10").to_string(), "1000-10");
    }

    #[test]
    fn what_reads_as_a_position_is_written_the_same_way() {
        for text in ["", "-", "1", "1-", "-1", "01-0", "1-00", "+1-0", "1-0-0", " 1-0", "99999999999999999999-0"] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text:?}");
        }
        assert_eq!("0-0".parse(), Ok(Position::ZERO));
    }
}
