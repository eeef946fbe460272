//! Golden files: what the gate does, written down once and looked at in every review.

use std::path::Path;

/// Compares `actual` with `tests/golden/{name}`; with `UPDATE_GOLDEN=1` writes it instead.
pub(crate) fn check(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differences = differences(&expected, actual);
    assert!(differences.is_empty(), "{name} differs (UPDATE_GOLDEN=1 rewrites it):\n{differences}");
}

/// Lines only one of them has, with a word for whose they are. Order within the file is not told.
fn differences(expected: &str, actual: &str) -> String {
    if expected == actual {
        return String::new();
    }
    let only = |of: &str, not_of: &str, sign: char| -> String {
        let known: std::collections::HashSet<&str> = not_of.lines().collect();
        of.lines().filter(|line| !known.contains(line)).map(|line| format!("{sign} {line}\n")).collect()
    };
    let told = [only(expected, actual, '-'), only(actual, expected, '+')].concat();
    if told.is_empty() {
        "the same lines in another order\n".to_owned()
    } else {
        told
    }
}

/// Bytes as a line: `\r\n`, `\t`, `\\`, `\x00`.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'")
}
