//! The request target: refused, or made canonical.
//!
//! Reading happens twice. [`scan`] walks the path as sent and refuses whatever two readers could resolve differently;
//! it also tells whether anything is left to do, which is rare. Only then [`resolve`] writes the canonical path, and
//! has nothing left to refuse.

use super::host::{self, Authority};
use super::{Code, Denial, RawHead};
use http::Version;
use std::borrow::Cow;

/// The header limit bounds what arrives, but an escape is three times the byte it stands for, and `http::Uri` counts
/// in 16 bits.
const LONGEST: usize = 65_534;

#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) path: Cow<'a, str>,
    pub(super) query: Option<&'a str>,
    pub(super) encoded_slash: bool,
    pub(super) rewritten: bool,
}

pub(super) fn canonicalise<'a>(head: &RawHead<'a>, host: &Authority<'_>) -> Result<Target<'a>, Denial> {
    let origin_form = match head.target {
        [b'/', ..] => head.target,
        _ if head.version == Version::HTTP_2 => return Err(bad_path(":path does not begin with \"/\"")),
        _ => behind_authority(head.target, host)?,
    };
    let end = origin_form.iter().position(|byte| *byte == b'?').unwrap_or(origin_form.len());
    let (path, query) = origin_form.split_at(end);
    let query = query.split_first().map(|(_, query)| checked_query(query)).transpose()?;
    // only an absolute-form target has an empty path (RFC 9112 section 3.2.1)
    let Some((_, behind_slash)) = path.split_first() else {
        return Ok(Target { path: Cow::Borrowed("/"), query, encoded_slash: false, rewritten: true });
    };
    let Scan { clean, encoded_slash } = scan(behind_slash)?;
    let path = if clean { Cow::Borrowed(ascii(path)?) } else { Cow::Owned(resolve(behind_slash)) };
    if !clean && path.len() + query.map_or(0, str::len) >= LONGEST {
        return Err(bad_path("the target grows beyond what can be forwarded"));
    }
    Ok(Target { path, query, encoded_slash, rewritten: !clean || origin_form.len() != head.target.len() })
}

/// The path and query of an absolute-form target that is for the same host as the `Host` header. A proxy that
/// believed one and forwarded the other would be led around its own rules.
fn behind_authority<'a>(target: &'a [u8], host: &Authority<'_>) -> Result<&'a [u8], Denial> {
    let (rest, default) = if let Some(rest) = strip_scheme(target, b"http://") {
        (rest, 80)
    } else if let Some(rest) = strip_scheme(target, b"https://") {
        (rest, 443)
    } else {
        return Err(bad_path("the target does not begin with \"/\""));
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, origin_form) = rest.split_at(end);
    if host::parse(authority)?.agrees(host, Some(default)) {
        Ok(origin_form)
    } else {
        Err(Denial::new(Code::BadHost, "the target and Host disagree"))
    }
}

fn strip_scheme<'a>(target: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(scheme.len())?;
    start.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// A query is data: its escapes are nobody's business here. What no URI may hold is still refused.
fn checked_query(query: &[u8]) -> Result<&str, Denial> {
    let refused = |byte: &u8| !matches!(byte, 0x21..=0x7E) | matches!(byte, b'#' | b'\\' | b'"' | b'<' | b'>');
    if !query.iter().fold(false, |found, byte| found | refused(byte)) {
        ascii(query)
    } else {
        Err(bad_path("a byte in the query that must be escaped"))
    }
}

/// What a byte of a path means to its readers.
#[derive(Clone, Copy)]
enum Class {
    /// Itself, to everybody.
    Plain,
    Dot,
    Slash,
    /// Begins path parameters, to some.
    Semicolon,
    Percent,
    /// Not of a URI, but sent by browsers: forwarded as its escape, so that there is one spelling of it.
    Loose,
    Refused,
}

fn class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => Class::Plain,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@' | b'[' | b']' => {
            Class::Plain
        }
        b'.' => Class::Dot,
        b'/' => Class::Slash,
        b';' => Class::Semicolon,
        b'%' => Class::Percent,
        b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}' => Class::Loose,
        // controls, space, `#`, `?`, backslash, DEL, all that is not ASCII
        _ => Class::Refused,
    }
}

struct Scan {
    /// The path is canonical as it stands.
    clean: bool,
    encoded_slash: bool,
}

/// Reads a path from behind its first slash.
fn scan(path: &[u8]) -> Result<Scan, Denial> {
    let mut found = Scan { clean: true, encoded_slash: false };
    let mut stretch = Stretch::behind(Separator::Slash);
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match class(*byte) {
            Class::Plain => stretch.dots = Stretch::OTHER,
            Class::Dot => stretch.dot(),
            Class::Slash => {
                found.clean &= stretch.ends_canonical(Separator::Slash)?;
                stretch = Stretch::behind(Separator::Slash);
            }
            Class::Semicolon => stretch.parameters()?,
            Class::Percent => rest = scan_escape(rest, &mut found, &mut stretch)?,
            Class::Loose => {
                found.clean = false;
                stretch.dots = Stretch::OTHER;
            }
            Class::Refused => return Err(bad_path("a byte in the path that must be escaped, or may not stand there")),
        }
    }
    // an empty end is the slash of `/a/`, not a `//`
    found.clean &= stretch.dots == 0 || stretch.ends_canonical(Separator::Slash)?;
    Ok(found)
}

/// Reads what stands behind a `%`; gives what follows the escape.
fn scan_escape<'a>(rest: &'a [u8], found: &mut Scan, stretch: &mut Stretch) -> Result<&'a [u8], Denial> {
    let (byte, rest) = take_escape(rest, found)?;
    match byte {
        0x00..=0x1F | 0x7F | b'\\' => return Err(bad_path("the escape of a control byte or backslash")),
        0x80.. => return scan_utf8(byte, rest, found, stretch),
        b'/' => {
            found.encoded_slash = true;
            stretch.ends_canonical(Separator::EncodedSlash)?;
            *stretch = Stretch::behind(Separator::EncodedSlash);
        }
        b'.' => {
            found.clean = false;
            stretch.disguised = true;
            stretch.dot();
        }
        b';' => stretch.parameters()?,
        _ => {
            found.clean &= !is_unreserved(byte);
            stretch.dots = Stretch::OTHER;
        }
    }
    Ok(rest)
}

/// Escapes of non-ASCII bytes come as whole, shortest-form UTF-8 sequences (RFC 3629 section 3): `%C0%AE` is a dot to
/// a lax decoder.
fn scan_utf8<'a>(first: u8, rest: &'a [u8], found: &mut Scan, stretch: &mut Stretch) -> Result<&'a [u8], Denial> {
    let mut rest = rest;
    let mut sequence = [first, 0, 0, 0];
    let width = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Err(bad_path("escapes that are no UTF-8")),
    };
    for place in sequence.iter_mut().take(width).skip(1) {
        let [b'%', tail @ ..] = rest else {
            return Err(bad_path("escapes that are no UTF-8"));
        };
        (*place, rest) = take_escape(tail, found)?;
    }
    if sequence.get(..width).is_none_or(|bytes| std::str::from_utf8(bytes).is_err()) {
        return Err(bad_path("escapes that are no UTF-8"));
    }
    stretch.dots = Stretch::OTHER;
    Ok(rest)
}

fn take_escape<'a>(rest: &'a [u8], found: &mut Scan) -> Result<(u8, &'a [u8]), Denial> {
    let [high, low, rest @ ..] = rest else {
        return Err(bad_path("\"%\" without two hex digits"));
    };
    let byte = decoded(*high, *low).ok_or_else(|| bad_path("\"%\" without two hex digits"))?;
    found.clean &= !high.is_ascii_lowercase() && !low.is_ascii_lowercase();
    Ok((byte, rest))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Separator {
    Slash,
    /// `%2F`, which some backends decode before they look for dot segments.
    EncodedSlash,
}

/// The bytes since the last separator, for as long as they could be a dot segment.
struct Stretch {
    /// How many dots it consists of, or [`Stretch::OTHER`].
    dots: u8,
    begun_by: Separator,
    /// One of the dots was written `%2E`.
    disguised: bool,
}

impl Stretch {
    /// No dot segment: three dots, or anything that is none.
    const OTHER: u8 = 3;

    fn behind(begun_by: Separator) -> Self {
        Self { dots: 0, begun_by, disguised: false }
    }

    fn dot(&mut self) {
        self.dots = (self.dots + 1).min(Self::OTHER);
    }

    fn is_dots(&self) -> bool {
        matches!(self.dots, 1 | 2)
    }

    /// Whether nothing is to be resolved here. Dot segments that only some readers see are refused: those written as
    /// escapes, and those beside a `%2F`.
    fn ends_canonical(&self, by: Separator) -> Result<bool, Denial> {
        let plainly = by == Separator::Slash && self.begun_by == Separator::Slash;
        if self.is_dots() && (self.disguised || !plainly) {
            return Err(bad_path("a dot segment that only some readers see"));
        }
        let doubled = plainly && self.dots == 0;
        Ok(!self.is_dots() && !doubled)
    }

    /// A `;`, plain or escaped. Servlet containers drop what follows it, and then see a dot segment in `..;x`.
    fn parameters(&mut self) -> Result<(), Denial> {
        if self.is_dots() {
            return Err(bad_path("a dot segment before \";\""));
        }
        self.dots = Self::OTHER;
        Ok(())
    }
}

/// The canonical spelling of a path that [`scan`] has passed, from behind its first slash (RFC 3986 section 6.2.2,
/// and `//` is `/`). `..` above the root stays at the root.
fn resolve(path: &[u8]) -> String {
    let mut canonical = String::with_capacity(path.len() + 1);
    let mut segments = path.split(|byte| *byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let resolved = matches!(segment, b"" | b"." | b"..");
        if segment == b".." {
            canonical.truncate(canonical.rfind('/').unwrap_or_default());
        }
        if !resolved || segments.peek().is_none() {
            canonical.push('/');
        }
        if !resolved {
            push_segment(&mut canonical, segment);
        }
    }
    canonical
}

fn push_segment(canonical: &mut String, segment: &[u8]) {
    let mut rest = segment;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (class(*byte), tail) {
            (Class::Percent, [high, low, tail @ ..]) => {
                rest = tail;
                let byte = decoded(*high, *low).unwrap_or_default();
                if is_unreserved(byte) {
                    canonical.push(char::from(byte))
                } else {
                    push_escape(canonical, byte)
                }
            }
            (Class::Loose, _) => push_escape(canonical, *byte),
            _ => canonical.push(char::from(*byte)),
        }
    }
}

fn push_escape(canonical: &mut String, byte: u8) {
    canonical.push('%');
    for digit in [byte >> 4, byte & 0xF] {
        canonical.extend(char::from_digit(u32::from(digit), 16).map(|digit| digit.to_ascii_uppercase()));
    }
}

fn decoded(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// RFC 3986 section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

fn ascii(bytes: &[u8]) -> Result<&str, Denial> {
    std::str::from_utf8(bytes).map_err(|_| bad_path("not ASCII"))
}

fn bad_path(detail: &'static str) -> Denial {
    Denial::new(Code::BadPath, detail)
}
