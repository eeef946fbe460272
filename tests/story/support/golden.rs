//! Golden files: what the gate does, written down once and looked at in every review.

use std::path::{Path, PathBuf};

/// How an outcome is told apart from what it is the outcome of.
const OUTCOME: &str = "    -> ";

/// Runs every row of `tests/golden/{name}` and compares what comes of it. Headings, comments and blank lines stay.
pub(crate) fn table(name: &str, mut outcome: impl FnMut(&str) -> String) {
    let text = std::fs::read_to_string(path(name)).unwrap();
    let mut told = String::new();
    for line in text.lines().filter(|line| !line.starts_with(OUTCOME)) {
        told += &format!("{line}\n");
        if !line.is_empty() && !line.starts_with('#') {
            told += &format!("{OUTCOME}{}\n", outcome(line));
        }
    }
    check(name, &told);
}

/// Compares `actual` with `tests/golden/{name}`; with `UPDATE_GOLDEN=1` writes it instead.
#[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the tests")]
pub(crate) fn check(name: &str, actual: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path(name), actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path(name)).unwrap_or_default();
    let differences = differences(&expected, actual);
    assert!(differences.is_empty(), "{name} differs (UPDATE_GOLDEN=1 rewrites it):\n{differences}");
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The lines that differ, each below the last line both have.
fn differences(expected: &str, actual: &str) -> String {
    let mut told = String::new();
    let (mut before, mut after) = (expected.lines(), actual.lines());
    let mut above = "";
    loop {
        match (before.next(), after.next()) {
            (None, None) => return told,
            (Some(same), Some(other)) if same == other => above = same,
            (old, new) => {
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                told += &format!("  {above}\n- {old}\n+ {new}\n");
            }
        }
    }
}

/// Bytes as part of a line: `\r\n`, `\t`, `\\`, `\x00`.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// The bytes that [`escaped`] writes so.
pub(crate) fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        let (byte, used) = match (byte, after) {
            (b'\\', [b'r', ..]) => (b'\r', 1),
            (b'\\', [b'n', ..]) => (b'\n', 1),
            (b'\\', [b't', ..]) => (b'\t', 1),
            (b'\\', [b'\\', ..]) => (b'\\', 1),
            (b'\\', [b'x', ..]) => (after.get(1..3).and_then(hex).unwrap_or_else(|| panic!("{text:?}")), 3),
            (b'\\', _) => panic!("an escape nobody knows in {text:?}"),
            (plain, _) => (*plain, 0),
        };
        bytes.push(byte);
        rest = &rest[used..];
    }
    bytes
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[test]
fn what_is_escaped_comes_back() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(unescaped(&escaped(&all)), all);
}
