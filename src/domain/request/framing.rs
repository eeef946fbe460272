//! Where a message begins and ends. Two readers who disagree on that are how requests are smuggled, so whatever RFC
//! 9112 leaves to repair is refused instead.

use super::{Code, Denial, Field, Fields, RawHead};
use http::Version;

/// What says where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// No body on HTTP/1; on HTTP/2 the frames say.
    Unsaid,
    Length,
    Chunked,
}

pub(super) fn check(head: &RawHead<'_>, fields: &Fields<'_>) -> Result<Framing, Denial> {
    let framing = match head.version {
        Version::HTTP_10 | Version::HTTP_11 | Version::HTTP_2 => of_fields(head.version, fields)?,
        _ => return Err(bad_framing("an HTTP version we do not speak")),
    };
    if let Some(wire) = head.wire {
        let length_seen = check_wire(wire)?;
        // The parser underneath drops Content-Length beside Transfer-Encoding; the backend's would not have seen it.
        if length_seen && framing == Framing::Chunked {
            return Err(bad_framing("Content-Length beside Transfer-Encoding"));
        }
    }
    Ok(framing)
}

fn of_fields(version: Version, fields: &Fields<'_>) -> Result<Framing, Denial> {
    match (fields.transfer_encoding, fields.content_length) {
        (Field::Absent, Field::Absent) => Ok(Framing::Unsaid),
        (Field::Repeated, _) | (_, Field::Repeated) => Err(bad_framing("Transfer-Encoding or Content-Length repeated")),
        (Field::Once(_), Field::Once(_)) => Err(bad_framing("Content-Length beside Transfer-Encoding")),
        (Field::Once(_), _) if version != Version::HTTP_11 => Err(bad_framing("Transfer-Encoding outside HTTP/1.1")),
        (Field::Once(coding), _) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (Field::Once(_), _) => Err(bad_framing("a Transfer-Encoding other than one \"chunked\"")),
        // 19 digits are below 2^64: every reader counts them to the same number
        (_, Field::Once(length)) => match length.as_bytes() {
            digits if matches!(digits.len(), 1..=19) && digits.iter().all(u8::is_ascii_digit) => Ok(Framing::Length),
            _ => Err(bad_framing("a Content-Length other than one number")),
        },
    }
}

/// The grammar of RFC 9112 section 2.1, byte by byte. Says whether a Content-Length was among the fields.
fn check_wire(wire: &[u8]) -> Result<bool, Denial> {
    // section 2.2: one empty line ahead of the request line is ignored
    let wire = wire.strip_prefix(b"\r\n").unwrap_or(wire);
    check_controls(wire)?;
    let (request_line, mut rest) = take_line(wire)?;
    if request_line.contains(&b'#') {
        // the parser underneath cuts the target here, and another reader might not
        return Err(Denial::new(Code::BadPath, "a fragment in the target"));
    }
    if request_line.contains(&b'\t') {
        return Err(bad_framing("a tab in the request line"));
    }
    let mut length_seen = false;
    loop {
        if let Some(after) = rest.strip_prefix(b"\r\n") {
            return if after.is_empty() { Ok(length_seen) } else { Err(bad_framing("bytes behind the head")) };
        }
        let (name, value) = take_name(rest)?;
        length_seen |= name.eq_ignore_ascii_case(b"content-length");
        (_, rest) = take_line(value)?;
    }
}

/// No bare CR, no bare LF, no NUL and no other control, whatever the lines are. All bytes at once and without an early
/// exit: the compiler makes vector instructions of it, and cookies are long.
fn check_controls(wire: &[u8]) -> Result<(), Denial> {
    let following = wire.get(1..).unwrap_or_default();
    let bad = wire.iter().zip(following).fold(false, |bad, (byte, next)| {
        let torn = (*byte == b'\r') != (*next == b'\n');
        bad | torn | is_control(*byte)
    });
    if bad || wire.first() == Some(&b'\n') {
        return Err(bad_framing("a control byte in the head, or CR and LF apart"));
    }
    match wire.last() {
        Some(b'\n') => Ok(()),
        _ => Err(bad_framing("the head does not end")),
    }
}

fn is_control(byte: u8) -> bool {
    ((byte < b' ') & !matches!(byte, b'\t' | b'\r' | b'\n')) | (byte == 0x7F)
}

/// The line up to the next CRLF, and what follows it, where CR and LF are known to stand together.
fn take_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Denial> {
    let end = memchr::memchr(b'\r', bytes).ok_or_else(|| bad_framing("the head does not end"))?;
    let (line, rest) = bytes.split_at(end);
    Ok((line, rest.get(2..).unwrap_or_default()))
}

/// The name before the colon: a token, with nothing between it and the colon (RFC 9112 section 5.1), at the very
/// start of the line (section 5.2: no folded line goes on).
fn take_name(line: &[u8]) -> Result<(&[u8], &[u8]), Denial> {
    let (name, rest) = line.split_at(line.iter().position(|byte| !is_token(*byte)).unwrap_or(line.len()));
    match (name, rest) {
        ([], [b' ' | b'\t', ..]) => Err(bad_framing("a folded line")),
        ([], _) => Err(bad_framing("a field without a name")),
        (_, [b':', ..]) => Ok((name, rest)),
        (_, [b' ' | b'\t', ..]) => Err(bad_framing("white space before the colon")),
        _ => Err(bad_framing("a byte in a field name that is none of a token's")),
    }
}

fn is_token(byte: u8) -> bool {
    TOKEN.get(usize::from(byte)).copied().unwrap_or_default()
}

/// RFC 9110 section 5.6.2, as a table: this is asked for every byte of every name.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler: out of bounds does not compile")]
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        let mark = matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        table[byte as usize] = mark || byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
};

fn bad_framing(detail: &'static str) -> Denial {
    Denial::new(Code::BadFraming, detail)
}
