use super::*;
use crate::cli::Command;
use crate::domain::token::fixture::{b64, claims_with, rs256, NOW};
use clap::Parser as _;
use serde_json::json;

fn inspected(token: &str) -> String {
    report(token, &form(token), NOW)
}

#[test]
fn a_token_is_shown_with_its_times_and_said_to_be_unverified() {
    let token = rs256(&claims_with(json!({"exp": NOW.0 + 3720, "iat": NOW.0 - 90_000, "nbf": NOW.0, "scope": null})));
    let expected = r#"
header
{
  "alg": "RS256",
  "kid": "rsa-a",
  "typ": "JWT"
}

payload
{
  "aud": "api",
  "exp": 1800003720,
  "iat": 1799910000,
  "iss": "https://id.example.com/",
  "nbf": 1800000000,
  "roles": [
    "admin",
    "user"
  ],
  "sub": "u1"
}

iat        2027-01-14T07:00:00Z  1d 1h ago
nbf        2027-01-15T08:00:00Z  now
exp        2027-01-15T09:02:00Z  in 1h 2m

form: one strictly written JWT
NOTHING WAS VERIFIED: no signature, no issuer, no time. Anybody can have written this.
"#;
    assert_eq!(inspected(&token), expected.trim_start());
}

#[test]
fn a_token_the_gate_would_not_look_at_is_shown_all_the_same_and_says_why() {
    for (header, payload, why) in [
        (r#"{"alg":"none"}"#, "{}", "\"alg\" names no signature algorithm"),
        (r#"{"alg":"RS256","jku":"https://evil.example"}"#, "{}", "the header has \"jku\""),
        (r#"{"alg":"RS256"}"#, r#"{"sub":"a","sub":"b"}"#, "the payload is no strict JSON object"),
    ] {
        let text = inspected(&format!("{}.{}.{}", b64(header), b64(payload), b64("x")));
        assert!(text.contains("\"alg\": "), "{text}");
        assert!(text.contains("NOT a token that the gate would look at: ") && text.contains(why), "{text}");
        assert!(text.contains("NOTHING WAS VERIFIED"), "{text}");
    }
}

#[test]
fn whatever_is_on_stdin_is_answered() {
    for token in ["x", "...", "a.b", "eyJ9.é.z", &format!("{}.{}", b64("\u{0}not json"), b64("[1]")), &"[".repeat(9000)]
    {
        let text = inspected(token);
        assert!(text.contains("NOTHING WAS VERIFIED") && text.contains("NOT a token"), "{text}");
    }
    let padded = format!("{}==.{}.", b64(r#"{"alg":"RS256"}"#), b64(r#"{"exp":"x","iat":-1,"nbf":1e300}"#));
    let text = inspected(&padded);
    assert_eq!(text.matches("is no moment in time").count(), 3, "{text}");
}

#[test]
fn a_terminal_is_shown_nothing_it_would_obey() {
    let payload = json!({"sub": "a\u{1b}[2J\u{9b}31m\u{202e}b\u{7f}"});
    let text = inspected(&rs256(&payload));
    assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || c == '\u{202e}')), "{text:?}");
    assert!(text.contains(r#""sub": "a\u001b[2J\u009b31m\u202eb\u007f""#), "{text}");
}

#[test]
fn what_a_token_was_copied_with_is_left_out() {
    for text in ["a.b.c", "  a.b.c\n", "Bearer a.b.c\r\n", "bearer   a.b.c"] {
        assert_eq!(bare(text), "a.b.c", "{text:?}");
    }
    assert_eq!(bare(" \n"), "");
    assert_eq!(bare("ééééé"), "ééééé");
}

#[test]
fn a_token_is_never_an_argument() {
    assert!(Command::try_parse_from(["doorward", "token", "inspect"]).is_ok());
    assert!(Command::try_parse_from(["doorward", "token", "inspect", "a.b.c"]).is_err());
}

#[test]
fn claims_that_nobody_here_can_read_are_no_fault_of_the_token() {
    let nested = format!("{}.{}.AAAA", b64(r#"{"alg":"ES256","cty":"JWT"}"#), b64("eyJ9..a.b.c"));
    let shown = inspected(&nested);
    assert!(shown.contains("only the gate that encrypted them"), "{shown}");
    assert!(!inspected(&rs256(&claims_with(json!({})))).contains("encrypted"));
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"ES256","cty":"JWT"}"#), b64("eyJ9..a.b.c"));
    assert!(inspected(&unsigned).contains("form: NOT a token"));
}
