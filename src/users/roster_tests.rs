use super::*;

/// Costs nothing to compare; the password of all of them is "hunter2".
const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA";
const DEARER: &str = "$argon2id$v=19$m=16,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA";

fn user(name: &str, password: &str) -> String {
    format!("[[user]]\nname = \"{name}\"\npassword = \"{password}\"\n")
}

fn mistakes(text: &str) -> String {
    Roster::parse(text).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn a_user_is_what_the_file_says() {
    let text = format!(
        "{}display_name = \"Alice A.\"\nemail = \"a@b.test\"\nroles = [\"admin\", \"user\"]\n",
        user("alice", CHEAP)
    );
    let alice = Roster::parse(&text).unwrap().find("alice").unwrap();
    assert_eq!(alice.display_name.as_deref(), Some("Alice A."));
    assert_eq!(alice.email.as_deref(), Some("a@b.test"));
    assert_eq!(alice.roles, ["admin", "user"]);
    assert_eq!(Roster::parse(&user("bob", CHEAP)).unwrap().find("bob").unwrap().roles, [""; 0]);
}

#[test]
fn names_are_compared_exactly() {
    let roster = Roster::parse(&user("alice", CHEAP)).unwrap();
    for name in ["Alice", "alice ", "alic", "", "alice\0"] {
        assert!(roster.find(name).is_none(), "{name}");
        assert!(roster.opponent(name).user.is_none(), "{name}");
    }
}

#[test]
fn every_mistake_is_named_with_its_place() {
    let text = format!(
        "colour = 1\n\n{}\n{}\n{}[[user]]\nnane = \"x\"\nroles = [\"\", 3, \"ok\"]\n[[user]]\nname = 3\npassword = \"hunter2\"\nemail = \"nobody\"\nroles = \"admin\"\n",
        user("alice", CHEAP),
        user("bob", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"),
        user("alice", CHEAP),
    );
    let said = mistakes(&text);
    for expected in [
        "colour (line 1): unknown key",
        "user[1].password (line 9): is Argon2, but not Argon2id",
        "user[2] (line 11): the user \"alice\" stands at user[0] (line 3) already",
        "user[3].nane (line 15): unknown key; known are name, password",
        "user[3].name (line 14): is missing",
        "user[3].password (line 14): is missing",
        "user[3].roles[0] (line 16): a role is a short name",
        "user[3].roles[1] (line 16): a role is a short name",
        "user[4].name (line 18): a string is expected here",
        "user[4].password (line 19): is no PHC string",
        "user[4].email (line 20): is no e-mail address",
        "user[4].roles (line 21): a list of strings is expected here",
    ] {
        assert!(said.contains(expected), "{expected}\nis not in\n{said}");
    }
    assert!(said.ends_with("12 mistakes"), "{said}");
    assert!(!said.contains("hunter2"), "a password typed in the wrong place is shown to nobody");
}

#[test]
fn a_name_that_could_not_be_typed_or_told_apart_is_a_mistake() {
    for name in ["", " alice", "alice ", "a\\u0000", "a\\nb", "a\\u00A0b", &"x".repeat(129)] {
        assert!(Roster::parse(&user(name, CHEAP)).is_err(), "{name:?}");
    }
    for name in ["alice", "alice@app.test", "Ålice Müller", &"x".repeat(128)] {
        assert!(Roster::parse(&user(name, CHEAP)).is_ok(), "{name:?}");
    }
}

#[test]
fn a_text_that_is_no_toml_says_where() {
    assert!(mistakes("[[user]]\nname = \n").starts_with("line 2: "), "{}", mistakes("[[user]]\nname = \n"));
    assert!(mistakes("user = 3").contains("[[user]]"));
    assert!(mistakes("[user]\nname = \"a\"").contains("[[user]]"));
    assert!(mistakes("user = [3]").contains("user[0]"));
}

#[test]
fn a_weak_hash_and_an_empty_file_work_with_a_warning() {
    let warned =
        |text: &str| Roster::parse(text).unwrap().warnings().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(warned(&user("alice", CHEAP))[0].starts_with("user[0].password (line 3): can be guessed quickly"));
    assert!(warned("")[0].contains("nobody is in it"));
    let strong = CHEAP.replace("m=8,t=1", "m=19456,t=2");
    assert_eq!(warned(&user("alice", &strong)), [""; 0]);
}

#[test]
fn a_name_nobody_has_costs_what_a_user_costs() {
    let text = [user("alice", CHEAP), user("bob", DEARER)].concat();
    let roster = Roster::parse(&text).unwrap();
    let cost = |name: &str| roster.opponent(name).password.work();
    let costs: Vec<u64> = (0..64).map(|at| cost(&format!("nobody{at}"))).collect();
    assert!(costs.iter().all(|cost| [8, 16].contains(cost)), "{costs:?}");
    assert!(costs.contains(&8) && costs.contains(&16), "one price for all strangers would tell users of the other");
    // the same one again, here and on every replica that reads the same file
    let replica = Roster::parse(&text).unwrap();
    for (at, cost) in costs.iter().enumerate() {
        assert_eq!(replica.opponent(&format!("nobody{at}")).password.work(), *cost);
    }
}

#[test]
fn without_users_a_name_still_costs_a_comparison() {
    let opponent = Roster::parse("").unwrap().opponent("alice");
    assert!(opponent.user.is_none() && !opponent.password.is_weak());
}

#[test]
fn a_file_is_read_and_a_missing_one_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("users.toml");
    let said = Roster::from_file(&path).unwrap_err().to_string();
    assert!(said.contains("users.toml: ") && said.contains("cannot be read"), "{said}");
    std::fs::write(&path, user("alice", CHEAP)).unwrap();
    assert!(Roster::from_file(&path).unwrap().find("alice").is_some());
    assert!(Roster::from_file(folder.path()).unwrap_err().to_string().contains("not a regular file"));
    std::fs::write(&path, user("alice", "x")).unwrap();
    let said = Roster::from_file(&path).unwrap_err().to_string();
    assert!(said.contains("users.toml: user[0].password (line 3)"), "{said}");
}
