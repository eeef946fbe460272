use super::*;
use crate::config::{from_text, Secrets, World};
use crate::domain::time::UnixTime;
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
cors   = { origins = ["https://a.example"] }

[[route]]
host  = "app.example.com"
path  = "/admin/**"
roles = ["admin"]
when  = '''
claims.level > 2 &&
request.headers["x-tenant"] == "blue"'''
"#;

fn judged(cases: &str) -> Result<Tally, String> {
    let world = World { env: &|_| None, secrets: Secrets::Indirect };
    let loaded = from_text(FILE, Path::new("/nowhere"), &world).unwrap();
    let offline = Offline::new(&loaded.settings, UnixTime(1_800_000_000)).unwrap();
    read(cases).and_then(|cases| judge(cases, &offline).map_err(|mistakes| mistakes.to_string()))
}

fn mistake(cases: &str) -> String {
    judged(cases).map(|tally| tally.text).unwrap_err()
}

#[test]
fn cases_that_hold_say_only_how_many_they_were() {
    let tally = judged(
        r#"
        [[case]]
        name    = "admins of the blue tenant"
        request = "GET https://app.example.com/admin/users"
        claims  = { roles = ["admin"], level = 3 }
        headers = { X-Tenant = "blue" }
        expect  = "allow"

        [[case]]
        request = "GET https://app.example.com/admin/users"
        expect  = "unauthenticated"

        [[case]]
        request = "GET /admin/users"
        claims  = { roles = ["admin"] }
        from    = "id"
        expect  = "no_route"

        [[case]]
        request = "GET /public/%2e%2e/admin"
        expect  = "bad_path"

        [[case]]
        request = "OPTIONS /public/"
        headers = { Origin = "https://a.example", Access-Control-Request-Method = "GET" }
        expect  = "preflight"
        "#,
    );
    let tally = tally.unwrap();
    assert_eq!((tally.text.as_str(), tally.failed), ("5 cases, all as expected\n", 0));
}

#[test]
fn a_case_that_fails_has_one_line_with_its_place_and_the_reason() {
    let tally = judged(
        "\n[[case]]\nname = \"level\"\nrequest = \"GET http://app.example.com/admin\"\n\
         claims = { roles = [\"admin\"], level = 1 }\nexpect = \"allow\"\n\
         [[case]]\nrequest = \"GET /public/\"\nexpect = \"forbidden\"\n[[case]]\nrequest = \"GET /x\"\nexpect = \"no_route\"\n",
    );
    let tally = tally.unwrap();
    let expected = "\
case[0] (line 2) \"level\": \"GET http://app.example.com/admin\" should be allow, but is forbidden \
(`when` is false: claims.level > 2 && request.headers[\"x-tenant\"] == \"blue\")
case[1] (line 7): \"GET /public/\" should be forbidden, but is allow
3 cases, 2 not as expected
";
    assert_eq!((tally.text.as_str(), tally.failed), (expected, 2));
}

#[test]
fn a_key_nobody_knows_is_a_mistake() {
    for line in ["expected = \"allow\"", "header = {}", "token = \"x\""] {
        let text = mistake(&format!("[[case]]\nrequest = \"GET /\"\nexpect = \"allow\"\n{line}\n"));
        assert!(text.contains("unknown field") && text.contains("line 4"), "{text}");
    }
    assert!(mistake("[[cases]]\n").contains("unknown field"));
}

#[test]
fn a_case_that_cannot_be_asked_is_a_mistake_and_all_are_told() {
    let case = |rest: &str| format!("[[case]]\nrequest = \"GET /\"\nexpect = \"allow\"\n{rest}\n");
    let cases = [
        case("").replace("\"allow\"", "\"allowed\""),
        case("").replace("GET /", "GET"),
        case("").replace("GET /", "GET x"),
        case("from = \"id\""),
        case("from = \"nobody\"\nclaims = {}"),
        case("claims = { since = 2026-01-01 }"),
        case("claims = {}\nheaders = { Authorization = \"Bearer x\" }"),
        case("headers = { \"a b\" = \"c\" }"),
    ];
    let text = mistake(&cases.concat());
    assert_eq!(text.lines().count(), cases.len() + 1, "{text}");
    assert!(text.starts_with("case[0] (line 1): expect = \"allowed\" is neither"), "{text}");
    assert!(text.ends_with("8 mistakes"), "{text}");
}

#[test]
fn a_file_that_tests_nothing_does_not_pass() {
    assert!(mistake("").contains("tests nothing"));
}

#[test]
fn the_exit_code_tells_failures_from_mistakes() {
    let dir = tempfile::tempdir().unwrap();
    let (config, cases) = (dir.path().join("doorward.toml"), dir.path().join("cases.toml"));
    std::fs::write(&config, FILE).unwrap();
    let exit = |text: &str| {
        std::fs::write(&cases, text).unwrap();
        run(&Args { config: Some(config.clone()), cases: cases.clone() })
    };
    assert_eq!(exit("[[case]]\nrequest = \"GET /public/\"\nexpect = \"allow\"\n"), 0);
    assert_eq!(exit("[[case]]\nrequest = \"GET /public/\"\nexpect = \"forbidden\"\n"), 1);
    assert_eq!(exit("[[case]]\nrequest = \"GET /public/\"\n"), 2);
    assert_eq!(run(&Args { config: Some(config.clone()), cases: dir.path().join("none.toml") }), 2);
    assert_eq!(run(&Args { config: Some(dir.path().join("none.toml")), cases: cases.clone() }), 2);
    assert_eq!(run(&Args { config: None, cases }), 64);
}
