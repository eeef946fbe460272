//! The main file and those it includes, read into one.

use super::mistakes::{Mistake, Mistakes, Place};
use super::raw::shape::{Field, List, Read};
use super::raw::{File, Included};
use super::reading::Reading;
use super::secrets::{plain, read_regular, World};
use super::MAX_FILE;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

/// How many files one configuration may include.
const MAX_FILES: usize = 1000;

/// What was found besides settings.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) mistakes: Mistakes,
    pub(super) warnings: Vec<Mistake>,
    /// Files, and directories files are taken from.
    pub(super) files: Vec<PathBuf>,
}

impl Findings {
    pub(super) fn mistake(&mut self, place: &Place, text: impl Into<String>) {
        self.mistakes.add(place, text);
    }

    pub(super) fn warning(&mut self, place: &Place, text: impl Into<String>) {
        self.warnings.push(Mistake { place: place.clone(), text: text.into() });
    }
}

/// `None` when `text` is no TOML.
pub(super) fn read(text: &str, base: &Path, world: &World<'_>) -> (Option<File>, Findings) {
    let mut findings = Findings::default();
    let mut main: Option<File> = read_one(text, base, (&Place::default(), world), &mut findings);
    let patterns = main.as_ref().and_then(|main| main.include.value.clone()).unwrap_or_default();
    for path in included(&patterns, base, &mut findings) {
        let name = path.strip_prefix(base).unwrap_or(&path).display().to_string();
        let place = Place { file: Some(Arc::from(name)), ..Place::default() };
        match read_regular(&path, MAX_FILE) {
            Err(why) => findings.mistake(&place, why),
            Ok(text) => {
                // relative paths start at the file they stand in
                let base = path.parent().unwrap_or(base);
                let more: Option<Included> = read_one(&text, base, (&place, world), &mut findings);
                if let (Some(main), Some(more)) = (&mut main, more) {
                    append(&mut main.issuer, more.issuer);
                    append(&mut main.upstream, more.upstream);
                    append(&mut main.route, more.route);
                    append(&mut main.limit, more.limit);
                }
            }
        }
        findings.files.push(path);
    }
    (main, findings)
}

fn read_one<T: Read>(
    text: &str,
    base: &Path,
    (place, world): (&Place, &World<'_>),
    findings: &mut Findings,
) -> Option<T> {
    let mut reading = Reading::new(text, base, world);
    let read = match DeTable::parse(text) {
        Ok(table) => {
            let span = table.span();
            T::read(&Spanned::new(span, DeValue::Table(table.into_inner())), place, &mut reading)
        }
        Err(error) => {
            let line = reading.line(error.span().map_or(0, |span| span.start));
            reading.mistake(&place.clone().at_line(line), format!("this is no TOML: {}", error.message()));
            None
        }
    };
    findings.mistakes.0.append(&mut reading.mistakes.0);
    findings.files.append(&mut reading.files);
    read
}

fn append<T>(list: &mut Field<List<T>>, more: Field<List<T>>) {
    list.value.get_or_insert_default().extend(more.value.unwrap_or_default());
}

/// The files that `patterns` name, each once, sorted by name within a pattern.
fn included(patterns: &List<String>, base: &Path, findings: &mut Findings) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for field in patterns {
        let Some(pattern) = &field.value else { continue };
        match matching(&base.join(pattern), findings) {
            Err(why) => findings.mistake(&field.place, why),
            Ok(found) if found.is_empty() => findings.warning(&field.place, format!("no file is called {pattern:?}")),
            Ok(found) => {
                for path in found {
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            }
        }
        if paths.len() > MAX_FILES {
            findings.mistake(&field.place, format!("more than {MAX_FILES} files"));
            paths.clear();
            return paths;
        }
    }
    paths
}

fn matching(pattern: &Path, findings: &mut Findings) -> Result<Vec<PathBuf>, String> {
    let (Some(dir), Some(name)) = (pattern.parent(), pattern.file_name().and_then(|name| name.to_str())) else {
        return Err("a file name is expected, like \"routes.d/*.toml\"".to_owned());
    };
    if dir.to_string_lossy().contains('*') {
        return Err("\"*\" stands for part of a file name, not of a directory".to_owned());
    }
    if !name.contains('*') {
        return Ok(vec![pattern.to_owned()]);
    }
    // the directory itself is watched: a new file in it is a change
    findings.files.push(dir.to_owned());
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {}", dir.display(), plain(&e)))?;
    let mut found = Vec::new();
    for entry in entries.take(10 * MAX_FILES) {
        let entry = entry.map_err(|e| format!("{}: {e}", dir.display()))?;
        let called = entry.file_name();
        if called.to_str().is_some_and(|called| !called.starts_with('.') && fits(called, name)) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether `name` fits `pattern`, where `*` stands for any run of characters.
fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        for (name, pattern, expected) in [
            ("a.toml", "*.toml", true),
            ("a.toml.bak", "*.toml", false),
            (".toml", "*.toml", true),
            ("team-a.toml", "team-*.toml", true),
            ("a-b-c.toml", "*-b-*", true),
            ("a.toml", "a*a.toml", false),
            ("a.toml", "a.toml", true),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
