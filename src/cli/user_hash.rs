//! `doorward user hash`: the hash of a password, for the file of local users.
//!
//! The password comes from stdin, never as an argument: arguments stand in process lists and shell histories.

use crate::domain::secret::Secret;
use crate::users::{self, Unhashable};
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use zeroize::Zeroizing;

/// More than any password: what is longer is refused as too long, not read to its end.
const MOST: u64 = 4096;

/// Prints one hash and nothing else, so that the output can be put where it belongs.
#[must_use]
pub fn run() -> u8 {
    if io::stdin().is_terminal() {
        let _ = writeln!(io::stderr(), "type the password, which will be visible, and press Enter");
    }
    let hashed = match first_line(io::stdin()) {
        Ok(password) => users::hash(&password),
        Err(error) => Err(Unhashable::Failed(error.to_string())),
    };
    let written = hashed.map(|phc| writeln!(io::stdout(), "{phc}").is_ok());
    match written {
        Ok(written) => u8::from(!written),
        Err(why) => {
            let _ = writeln!(io::stderr(), "doorward user hash: {why}");
            if why == Unhashable::Empty {
                super::USAGE
            } else {
                1
            }
        }
    }
}

/// Without its line end, which is no part of a password that is typed or echoed.
fn first_line(input: impl Read) -> io::Result<Secret> {
    let mut line = Zeroizing::new(Vec::new());
    BufReader::new(input.take(MOST)).read_until(b'\n', &mut line)?;
    let end = line.strip_suffix(b"\n").unwrap_or(&line);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    Ok(Secret::new(end.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<u8> {
        first_line(input).unwrap().expose().to_vec()
    }

    #[test]
    fn the_password_is_the_first_line_without_its_end() {
        for input in [b"hunter2".as_slice(), b"hunter2\n", b"hunter2\r\n", b"hunter2\nnot this\n"] {
            assert_eq!(read(input), b"hunter2");
        }
        assert_eq!(read(b" with spaces \n"), b" with spaces ");
        assert_eq!(read(b"\nnot this"), b"");
    }

    #[test]
    fn input_without_end_is_not_read_to_its_end() {
        assert_eq!(first_line(io::repeat(b'x')).unwrap().expose().len(), 4096);
        assert_eq!(users::hash(&first_line(io::repeat(b'x')).unwrap()), Err(Unhashable::TooLong));
    }
}
