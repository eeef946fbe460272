//! What is wrong with a file, said all at once: place, line and a hint, so that an operator mends it in one go.

use std::fmt;
use std::sync::Arc;

/// Where something stands: `routes.d/a.toml: route[2].path (line 41)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The included file; `None` is the main one.
    pub file: Option<Arc<str>>,
    /// Counts from 0: `route[2].path`.
    pub path: String,
    /// Counts from 1; 0 when nothing in the file stands for it.
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    /// One sentence: what is wrong, and what to write instead.
    pub text: String,
}

/// Every mistake of one configuration. Its `Display` is one line each, and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl Place {
    /// `key` of the table that stands here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
        let shown = if plain { key.to_owned() } else { format!("{key:?}") };
        let path = if self.path.is_empty() { shown } else { format!("{}.{shown}", self.path) };
        Self { path, ..self.clone() }
    }

    /// Item `index` of the list that stands here.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), ..self.clone() }
    }

    #[must_use]
    pub fn at_line(self, line: usize) -> Self {
        Self { line, ..self }
    }
}

impl Mistakes {
    pub fn add(&mut self, place: &Place, text: impl Into<String>) {
        self.0.push(Mistake { place: place.clone(), text: text.into() });
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}: ")?;
        }
        match (self.path.as_str(), self.line) {
            ("", 0) => f.write_str("the file"),
            ("", line) => write!(f, "line {line}"),
            (path, 0) => f.write_str(path),
            (path, line) => write!(f, "{path} (line {line})"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.text)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.0 {
            writeln!(f, "{mistake}")?;
        }
        match self.0.len() {
            1 => f.write_str("1 mistake"),
            count => write!(f, "{count} mistakes"),
        }
    }
}

impl std::error::Error for Mistakes {}

/// `; did you mean "…"?` when one of `known` is near enough to `typed`, else nothing.
pub(super) fn did_you_mean<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    // a stranger's file may hold a key of megabytes, and the distance costs the product of both lengths
    if typed.len() > 64 {
        return String::new();
    }
    let typed = typed.to_lowercase();
    let near = known.into_iter().map(|name| (distance(&typed, name), name)).min();
    match near {
        Some((distance, name)) if distance <= 1 + name.len() / 4 => format!("; did you mean \"{name}\"?"),
        _ => String::new(),
    }
}

/// Levenshtein distance, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for ((to, pair), left) in b.iter().zip(row.windows(2)).zip(1..) {
            let &[diagonal, above] = pair else { continue };
            let replaced = diagonal + usize::from(from != *to);
            let inserted = next.get(left - 1).map_or(usize::MAX, |before| before + 1);
            next.push(replaced.min(above + 1).min(inserted));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_stranger_is_not() {
        let known = ["listen", "public_url", "max_body"];
        assert_eq!(did_you_mean("lisen", known), "; did you mean \"listen\"?");
        assert_eq!(did_you_mean("public_urls", known), "; did you mean \"public_url\"?");
        assert_eq!(did_you_mean("colour", known), "");
    }

    #[test]
    fn a_place_names_file_key_and_line() {
        let place = Place { file: Some("a.toml".into()), ..Place::default() };
        let place = place.key("route").item(2).key("path").at_line(41);
        assert_eq!(place.to_string(), "a.toml: route[2].path (line 41)");
        assert_eq!(Place::default().key("identity").key("headers").key("X Y").to_string(), "identity.headers.\"X Y\"");
    }
}
