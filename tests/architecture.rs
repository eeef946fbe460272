//! Which way the arrows point, held by a test: a room names only the rooms and crates it may know.
//!
//! It reads the sources as text and links nothing, so it costs no build. Comments are left out; a path in a string would
//! be taken for a real one, which nobody has needed yet.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};

/// What a room may name.
struct Room {
    name: &'static str,
    /// Other rooms, or places within them.
    knows: &'static [&'static str],
    /// Crates it must not see.
    never: &'static [&'static str],
}

/// Clocks, randomness and everything of the above: the domain gets values and gives values.
const IMPURE: [&str; 15] = [
    "pingora",
    "tokio",
    "reqwest",
    "hyper",
    "hyper_util",
    "notify",
    "redis",
    "async_trait",
    "tracing",
    "prometheus",
    "arc_swap",
    "parking_lot",
    "fastrand",
    "clap",
    "toml",
];
const PINGORA_IS_THE_EDGES: [&str; 1] = ["pingora"];

const ROOMS: [Room; 14] = [
    Room { name: "domain", knows: &[], never: &IMPURE },
    Room { name: "ports", knows: &["domain", "pipeline::account"], never: &["pingora", "tokio", "reqwest", "hyper"] },
    // it starts tasks that outlive the request that caused them, and nothing else of tokio is its business
    Room { name: "pipeline", knows: &["domain", "ports"], never: &["pingora", "redis", "reqwest", "hyper", "toml"] },
    Room { name: "config", knows: &["domain"], never: &["pingora", "reqwest", "hyper", "prometheus"] },
    Room {
        name: "edge",
        knows: &["domain", "ports", "pipeline", "config::settings"],
        never: &["reqwest", "hyper", "redis", "toml", "clap", "prometheus"],
    },
    Room {
        name: "endpoints",
        knows: &["domain", "ports", "pipeline", "web"],
        never: &["pingora", "reqwest", "hyper", "redis", "toml", "clap", "prometheus"],
    },
    Room {
        name: "store",
        knows: &["domain", "ports"],
        never: &["pingora", "reqwest", "hyper", "toml", "clap", "prometheus"],
    },
    Room {
        name: "outbound",
        knows: &["domain", "ports", "config::settings"],
        never: &["pingora", "toml", "clap", "prometheus"],
    },
    Room {
        name: "observe",
        knows: &["domain", "ports", "pipeline::account"],
        never: &["pingora", "reqwest", "hyper", "toml", "clap"],
    },
    Room {
        name: "web",
        knows: &["domain"],
        never: &["pingora", "tokio", "reqwest", "hyper", "redis", "toml", "clap", "prometheus"],
    },
    Room {
        name: "users",
        knows: &["domain", "ports", "config::Mistake", "config::Mistakes", "config::Place"],
        never: &["pingora", "reqwest", "hyper", "clap", "prometheus"],
    },
    Room {
        name: "admin",
        // operators change the very things that requests go by
        knows: &["domain", "ports", "observe", "pipeline"],
        never: &["pingora", "reqwest", "redis", "toml", "clap"],
    },
    Room {
        name: "cli",
        // its key source is a file or nothing: whoever asks offline fetches no keys
        // the demo shows a page
        knows: &["app", "config", "domain", "observe", "pipeline", "ports", "users", "web"],
        never: &PINGORA_IS_THE_EDGES,
    },
    // the composition root knows every room, and still not what Pingora looks like
    Room {
        name: "app",
        knows: &[
            "admin",
            "config",
            "domain",
            "edge",
            "endpoints",
            "observe",
            "outbound",
            "pipeline",
            "ports",
            "store",
            "users",
            "web",
        ],
        never: &PINGORA_IS_THE_EDGES,
    },
];

const LONGEST_FILE: usize = 450;

#[test]
fn arrows_point_inwards() {
    let mut wrong = Vec::new();
    for room in &ROOMS {
        for file in sources(room.name) {
            for (line, path) in named(&file, "crate::") {
                let own = within(&path, room.name);
                let in_tests = is_test(&file);
                if !own && !in_tests && !room.knows.iter().any(|known| within(&path, known)) {
                    wrong.push(format!("{}:{line} names {path}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "rooms name what they may not know:\n{}", wrong.join("\n"));
}

#[test]
fn crates_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for room in &ROOMS {
        for file in sources(room.name).into_iter().filter(|file| !is_test(file)) {
            for name in room.never {
                let root = format!("{name}::");
                let lines = named(&file, &root).into_iter().map(|(line, _)| line);
                wrong.extend(lines.map(|line| format!("{}:{line} names {name}", file.display())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Values in, values out: what a decision depends on is handed to it.
#[test]
fn the_domain_reads_no_clock_no_file_and_no_variable() {
    let impure = ["std::fs", "std::env", "std::thread", "std::process", "SystemTime", "Instant", "async ", "OsRng"];
    let mut wrong = Vec::new();
    for file in sources("domain").into_iter().filter(|file| !is_test(file)) {
        let text = fs::read_to_string(&file).unwrap();
        for line in code(&text).filter(|line| impure.iter().any(|word| line.contains(word))) {
            wrong.push(format!("{}: {}", file.display(), line.trim()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_on_the_list() {
    let known: Vec<&str> = ROOMS.iter().map(|room| room.name).collect();
    for line in fs::read_to_string("src/lib.rs").unwrap().lines() {
        if let Some(room) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(known.contains(&room), "{room} has no rule in this file");
        }
    }
}

#[test]
fn no_file_is_longer_than_anybody_reads() {
    let files = walk(Path::new("src")).into_iter();
    let lengths = files.map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file));
    let long: Vec<_> = lengths.filter(|(length, _)| *length > LONGEST_FILE).collect();
    assert!(long.is_empty(), "longer than {LONGEST_FILE} lines: {long:?}");
}

/// The rules above would pass on anything if this saw nothing.
#[test]
fn paths_are_found_however_they_are_written() {
    let code = "use crate::edge::{self, tls};\nfn f() { crate::app::run(); } // crate::cli\n/// crate::store\n\
                use crate::{admin, observe::sink};\n";
    let found: Vec<String> = paths(code, "crate::").into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["edge::", "app::run", "admin", "observe::sink"]);
    assert_eq!(paths("let x = tokio::spawn(a); my_tokio::x();", "tokio::").len(), 1);
}

/// `config::settings` is within `config`, `configure` is not.
fn within(path: &str, room: &str) -> bool {
    path.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_test(file: &Path) -> bool {
    let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let of_fixture = file.parent().is_some_and(|folder| folder.ends_with("fixture"));
    name.ends_with("tests") || name == "fixture" || of_fixture || file.ends_with("outbound/server.rs")
}

/// The files of `src/{room}.rs` and `src/{room}/`.
fn sources(room: &str) -> Vec<PathBuf> {
    let file = Path::new("src").join(format!("{room}.rs"));
    let folder = Path::new("src").join(room);
    let mut found = if folder.is_dir() { walk(&folder) } else { Vec::new() };
    found.extend(file.is_file().then_some(file));
    assert!(!found.is_empty(), "there is no room {room}");
    found
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|kind| kind == "rs"))
        .collect();
    found.sort();
    found
}

fn named(file: &Path, root: &str) -> Vec<(usize, String)> {
    paths(&fs::read_to_string(file).unwrap(), root)
}

/// The lines up to where a file's own tests begin, without comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().take_while(|line| *line != "mod tests {");
    lines.map(|line| line.split("//").next().unwrap_or_default())
}

/// What follows each `root` in the code, with its line; a group counts once for each member.
fn paths(text: &str, root: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in code(text).enumerate() {
        for (start, _) in line.match_indices(root) {
            let before = line[..start].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &line[start + root.len()..];
            let members = rest.strip_prefix('{').map_or_else(|| vec![rest], |group| group.split(", ").collect());
            let path = |member: &str| member.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
            found.extend(members.into_iter().map(|member| (at + 1, path(member))));
        }
    }
    found
}
