use super::*;
use crate::cli::Command;
use crate::config::{from_text, Secrets, World};
use crate::domain::time::UnixTime;
use clap::Parser as _;
use std::path::Path;

const FILE: &str = r#"
[[upstream]]
name = "app"
url  = "http://127.0.0.1:3000"

[[issuer]]
name       = "id"
issuer     = "https://id.example.com"
audience   = ["api"]
algorithms = ["RS256"]

[[route]]
path   = "/public/**"
access = "public"

[[route]]
path    = "/admin/**"
methods = ["GET"]
roles   = ["admin"]
"#;

fn explained(words: &[&str]) -> String {
    explained_by(FILE, words)
}

fn explained_by(file: &str, words: &[&str]) -> String {
    let world = World { env: &|_| None, secrets: Secrets::Indirect };
    let loaded = from_text(file, Path::new("/nowhere"), &world).unwrap();
    let offline = Offline::new(&loaded.settings, UnixTime(1_800_000_000)).unwrap();
    let args = args(words);
    let finding = offline.ask(question(&args).unwrap(), claimed(&args)).unwrap();
    report(&finding, &loaded.settings)
}

fn args(words: &[&str]) -> Args {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    Line::parse_from([&["explain"], words].concat()).args
}

#[test]
fn an_admitted_request_shows_what_the_backend_is_told() {
    let words = ["GET", "https://App.example.com/x/../admin?y", "--claims", r#"{"sub":"é","roles":["admin","b,c"]}"#];
    let expected = r#"
request    GET "/x/../admin?y"
host       app.example.com
canonical  /admin?y
route      route[1] GET /admin/**
rule       authenticated, role admin
caller     "é" from "id", roles ["admin", "b,c"], scopes []
verdict    allow
why        the caller meets the whole rule
backend    app /admin?y
           x-auth-method: bearer
           x-auth-provider: id
           x-auth-roles: admin,b%2Cc
           x-auth-subject: %C3%A9
"#;
    assert_eq!(explained(&words), expected.trim_start());
}

#[test]
fn sessions_are_named_where_people_can_sign_in() {
    let provider = "[[provider]]\nname = \"people\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient_id = \"gate\"\n";
    let with_people = format!("{FILE}{provider}");
    assert!(explained_by(&with_people, &["GET", "/admin"]).contains("\naccepts    session, bearer\n"));
    assert!(!explained_by(&with_people, &["GET", "/public/"]).contains("accepts"));
    assert!(!explained(&["GET", "/admin"]).contains("accepts"));
}

#[test]
fn a_refusal_says_who_asked_and_what_is_missing() {
    let words = ["GET", "/admin", "--from", "id", "--claims", r#"{"sub":"bob","roles":"\u001b[2J"}"#];
    let expected = r#"
request    GET "/admin"
host       localhost
route      route[1] GET /admin/**
rule       authenticated, role admin
caller     "bob" from "id", roles ["\u{1b}[2J"], scopes []
verdict    forbidden (403)
why        none of the roles ["admin"]
"#;
    assert_eq!(explained(&words), expected.trim_start());
}

#[test]
fn a_refusal_before_any_route_names_none() {
    let text = explained(&["GET", "/%2e%2e/admin"]);
    assert!(text.contains("route      none\nverdict    bad_path (400)\n"), "{text}");
    assert!(!text.contains("caller"), "{text}");
    let text = explained(&["POST", "/admin"]);
    assert!(text.contains("verdict    method_not_allowed (405)\n"), "{text}");
    assert!(text.contains("these are taken: GET, HEAD"), "{text}");
}

#[test]
fn a_public_route_makes_nobody_of_everybody() {
    let text = explained(&["GET", "/public/a", "--claims", r#"{"roles":["admin"]}"#]);
    assert!(text.contains("verdict    allow\nwhy        anybody may;"), "{text}");
    assert!(text.contains("x-auth-method: anonymous") && !text.contains("caller"), "{text}");
}

#[test]
fn a_token_whose_keys_are_far_away_is_said_to_be_unchecked() {
    use crate::domain::token::fixture::{claims_with, rs256};
    let token = rs256(&claims_with(serde_json::json!({"iss": "https://id.example.com"})));
    let text = explained(&["GET", "/admin", "--token", &token]);
    assert!(text.contains("verdict    allow\n"), "{text}");
    assert!(text.contains("THE SIGNATURE WAS NOT CHECKED: the keys of \"id\""), "{text}");
    let as_header = format!("Authorization: Bearer {token}");
    assert_eq!(explained(&["GET", "/admin", "--header", &as_header]), text);
    let text = explained(&["GET", "/public/", "--token", &token]);
    assert!(!text.contains("SIGNATURE"), "nobody looks at it there: {text}");
}

#[test]
fn a_verdict_is_no_failure_and_a_question_that_cannot_be_asked_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("doorward.toml");
    std::fs::write(&path, FILE).unwrap();
    let run = |words: &[&str]| run(&Args { config: Some(path.clone()), ..args(words) });
    assert_eq!(run(&["GET", "/admin"]), 0);
    assert_eq!(run(&["GET", "/public/"]), 0);
    assert_eq!(run(&["GET", "admin"]), 64);
    assert_eq!(run(&["GET", "/", "--claims", "{}", "--from", "nobody"]), 64);
    assert_eq!(run(&["GET", "/", "--token", "x", "--header", "Authorization: Bearer y"]), 64);
    std::fs::write(&path, "[[route]]\n").unwrap();
    assert_eq!(run(&["GET", "/admin"]), 2);
    assert_eq!(super::run(&Args { config: None, ..args(&["GET", "/"]) }), 64);
}

#[test]
fn wrong_words_are_refused_before_anything_is_read() {
    for words in [
        &["GET"][..],
        &["GET", "/", "--token", "a", "--claims", "{}"],
        &["GET", "/", "--from", "id"],
        &["GET", "/", "--claims", "[]"],
        &["GET", "/", "--claims", r#"{"a":1,"a":2}"#],
        &["GET", "/", "--header", "no colon"],
        &["GET", "/", "--header", "a b: c"],
    ] {
        let line = [&["doorward", "explain"], words].concat();
        assert!(Command::try_parse_from(line).unwrap_err().use_stderr(), "{words:?}");
    }
}

#[test]
fn debug_output_never_shows_what_was_presented() {
    let args = args(&["GET", "/", "--token", "hunter2", "--header", "Cookie: hunter3"]);
    assert!(!format!("{args:?}").contains("hunter"));
}
