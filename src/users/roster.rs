//! `users.toml`: who may sign in here.
//!
//! ```toml
//! [[user]]
//! name = "alice"
//! password = "$argon2id$v=19$m=19456,t=2,p=1$…"
//! display_name = "Alice A."
//! email = "alice@example.com"
//! roles = ["admin"]
//! ```
//!
//! Read like the configuration: every mistake at once, an unknown key is one, and a file with a mistake is not used.

use super::password::PasswordHash;
use super::LONGEST_NAME;
use crate::config::Mistake;
use crate::config::Mistakes;
use crate::config::Place;
use crate::domain::users::User;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};
use toml::Spanned;

/// The largest file, bytes: some ten thousand users, who should have a provider.
const MAX_FILE: u64 = 4 * 1024 * 1024;
const KEYS: [&str; 5] = ["name", "password", "display_name", "email", "roles"];

/// Everybody in one file.
#[derive(Debug)]
pub struct Roster {
    by_name: HashMap<Box<str>, Arc<Entry>>,
    /// Hashes nobody's password matches, one for each user's cost.
    decoys: Vec<Arc<PasswordHash>>,
    /// Chooses decoys; unknown to strangers, equal on every replica.
    pepper: [u8; 32],
    warnings: Vec<Mistake>,
}

#[derive(Debug)]
struct Entry {
    user: Arc<User>,
    password: Arc<PasswordHash>,
}

/// What a typed password is compared with.
#[derive(Debug)]
pub(super) struct Opponent {
    pub(super) password: Arc<PasswordHash>,
    /// `None`: nobody has the name, and whatever comes of the comparison is no.
    pub(super) user: Option<Arc<User>>,
}

impl Roster {
    /// Reads the file at `path`. Blocks, so not on a worker's time.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn from_file(path: &Path) -> Result<Self, Mistakes> {
        let file = Arc::from(path.display().to_string());
        let place = Place { file: Some(file), ..Place::default() };
        match read(path) {
            Ok(text) => Self::parse_at(&text, &place),
            Err(why) => Err(Mistakes(vec![Mistake { place, text: why }])),
        }
    }

    /// Reads a text in the form of the file.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        Self::parse_at(text, &Place::default())
    }

    /// What works, but is hardly what was meant.
    #[must_use]
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    pub(super) fn credential(&self, name: &str) -> Option<[u8; 32]> {
        self.by_name.get(name).map(|entry| entry.password.digest())
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<User>> {
        self.by_name.get(name).map(|entry| Arc::clone(&entry.user))
    }

    /// What the password for `name` is compared with. A name nobody has costs what some user of the file costs, always
    /// the same one: where hashes cost differently, a name could otherwise be told by its price.
    pub(super) fn opponent(&self, name: &str) -> Opponent {
        if let Some(entry) = self.by_name.get(name) {
            return Opponent { password: Arc::clone(&entry.password), user: Some(Arc::clone(&entry.user)) };
        }
        let digest = Sha256::new_with_prefix(self.pepper).chain_update(name.as_bytes()).finalize();
        let number = digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let count = u64::try_from(self.decoys.len()).unwrap_or(1).max(1);
        let at = usize::try_from(number % count).unwrap_or_default();
        let password = self.decoys.get(at).map_or_else(|| Arc::new(PasswordHash::nobody()), Arc::clone);
        Opponent { password, user: None }
    }

    fn parse_at(text: &str, place: &Place) -> Result<Self, Mistakes> {
        let line_starts = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1).collect();
        let mut reading = Reading { text, line_starts, mistakes: Mistakes::default(), warnings: Vec::new() };
        let entries = reading.entries(place);
        if !reading.mistakes.is_empty() {
            reading.mistakes.0.sort_by_key(|mistake| mistake.place.line);
            return Err(reading.mistakes);
        }
        if entries.is_empty() {
            reading.warn(place, "nobody is in it, so nobody can sign in here");
        }
        let mut pepper = Sha256::new_with_prefix(b"decoys of doorward\0");
        for entry in &entries {
            pepper.update(entry.password.bytes());
        }
        Ok(Self {
            decoys: entries.iter().map(|entry| Arc::new(entry.password.decoy())).collect(),
            by_name: entries.into_iter().map(|entry| (entry.user.name.as_str().into(), Arc::new(entry))).collect(),
            pepper: pepper.finalize().into(),
            warnings: reading.warnings,
        })
    }
}

/// One text on its way to a roster.
struct Reading<'t> {
    text: &'t str,
    /// Byte offsets at which lines begin, after the first.
    line_starts: Vec<usize>,
    mistakes: Mistakes,
    warnings: Vec<Mistake>,
}

type Node<'n> = Spanned<DeValue<'n>>;

impl Reading<'_> {
    fn entries(&mut self, place: &Place) -> Vec<Entry> {
        let document = match DeTable::parse(self.text) {
            Ok(document) => document,
            Err(why) => {
                let line = why.span().map_or(0, |span| self.line(span.start));
                self.mistakes.add(&place.clone().at_line(line), why.message().to_owned());
                return Vec::new();
            }
        };
        self.refuse_unknown(document.get_ref(), &["user"], place);
        let Some(users) = document.get_ref().get("user") else { return Vec::new() };
        let place = place.key("user");
        let Some(users) = users.get_ref().as_array() else {
            self.mistakes.add(&place, "write [[user]] with double brackets, once for each user");
            return Vec::new();
        };
        let entries: Vec<(Place, Entry)> = users
            .iter()
            .enumerate()
            .filter_map(|(at, node)| {
                let place = place.item(at).at_line(self.line(node.span().start));
                Some((place.clone(), self.entry(node, &place)?))
            })
            .collect();
        let mut taken: HashMap<&str, &Place> = HashMap::new();
        for (place, entry) in &entries {
            if let Some(before) = taken.insert(&entry.user.name, place) {
                self.mistakes.add(place, format!("the user {:?} stands at {before} already", entry.user.name));
            }
        }
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// `None` after every mistake has been noted.
    fn entry(&mut self, node: &Node<'_>, place: &Place) -> Option<Entry> {
        let Some(table) = node.get_ref().as_table() else {
            self.mistakes.add(place, "a table is expected here; write [[user]]");
            return None;
        };
        self.refuse_unknown(table, &KEYS, place);
        let name = self.required(table, place, "name", name_mistake);
        let password = self.required(table, place, "password", |text| PasswordHash::parse(text).err());
        let display_name = self.text(table, place, "display_name", label_mistake);
        let email = self.text(table, place, "email", email_mistake);
        let roles = self.roles(table, place);
        let password = PasswordHash::parse(&password?).ok()?;
        if password.is_weak() {
            let text = "can be guessed quickly; make a stronger hash with `doorward user hash`";
            self.warn(&self.at(table, place, "password"), text);
        }
        let user = User { name: name?, display_name, email, roles: roles? };
        Some(Entry { user: Arc::new(user), password: Arc::new(password) })
    }

    fn required(
        &mut self,
        table: &DeTable<'_>,
        place: &Place,
        key: &'static str,
        mistake: fn(&str) -> Option<String>,
    ) -> Option<String> {
        if !table.contains_key(key) {
            self.mistakes.add(&place.key(key), "is missing");
        }
        self.text(table, place, key, mistake)
    }

    /// A string in which `mistake` finds nothing wrong.
    fn text(
        &mut self,
        table: &DeTable<'_>,
        place: &Place,
        key: &'static str,
        mistake: fn(&str) -> Option<String>,
    ) -> Option<String> {
        let node = table.get(key)?;
        let wrong = match node.get_ref().as_str() {
            Some(text) => match mistake(text) {
                None => return Some(text.to_owned()),
                Some(wrong) => wrong,
            },
            None => "a string is expected here".to_owned(),
        };
        let place = self.at(table, place, key);
        self.mistakes.add(&place, wrong);
        None
    }

    fn roles(&mut self, table: &DeTable<'_>, place: &Place) -> Option<Vec<String>> {
        let Some(node) = table.get("roles") else { return Some(Vec::new()) };
        let place = self.at(table, place, "roles");
        let Some(items) = node.get_ref().as_array() else {
            self.mistakes.add(&place, "a list of strings is expected here");
            return None;
        };
        let mut roles = Vec::new();
        for (at, item) in items.iter().enumerate() {
            match item.get_ref().as_str() {
                Some(role) if label_mistake(role).is_none() => roles.push(role.to_owned()),
                Some(_) | None => self.mistakes.add(&place.item(at), "a role is a short name"),
            }
        }
        (roles.len() == items.len()).then_some(roles)
    }

    fn refuse_unknown(&mut self, table: &DeTable<'_>, known: &[&str], place: &Place) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let place = place.key(key.get_ref()).at_line(self.line(key.span().start));
            self.mistakes.add(&place, format!("unknown key; known are {}", known.join(", ")));
        }
    }

    fn at(&self, table: &DeTable<'_>, place: &Place, key: &str) -> Place {
        let line = table.get_key_value(key).map_or(place.line, |(key, _)| self.line(key.span().start));
        place.key(key).at_line(line)
    }

    fn warn(&mut self, place: &Place, text: &str) {
        self.warnings.push(Mistake { place: place.clone(), text: text.to_owned() });
    }

    /// The line of the byte at `offset`, counting from 1.
    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) + 1
    }
}

/// Names are compared byte for byte, so one that looks like another is a trap.
fn name_mistake(text: &str) -> Option<String> {
    label_mistake(text).or_else(|| {
        let printable = text.chars().all(|c| !c.is_whitespace() || c == ' ');
        (!printable).then(|| "holds a space that nobody would see".to_owned())
    })
}

fn label_mistake(text: &str) -> Option<String> {
    if text.is_empty() {
        Some("is empty".to_owned())
    } else if text.len() > LONGEST_NAME {
        Some(format!("is longer than {LONGEST_NAME} bytes"))
    } else if text.trim() != text {
        Some("begins or ends with a space".to_owned())
    } else if text.chars().any(char::is_control) {
        Some("holds a control character".to_owned())
    } else {
        None
    }
}

fn email_mistake(text: &str) -> Option<String> {
    let parts = text.split_once('@').filter(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let plain = text.len() <= 254 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    (parts.is_none() || !plain).then(|| "is no e-mail address".to_owned())
}

fn read(path: &Path) -> Result<String, String> {
    let plain = |why: std::io::Error| format!("cannot be read: {why}");
    // a pipe or a device may never end
    if !std::fs::metadata(path).map_err(plain)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(plain)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(plain)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(format!("is larger than {} KiB", MAX_FILE / 1024));
    }
    Ok(text)
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
