use super::super::attempt::ATTEMPT_LIFE;
use super::super::fixture::{attempt, metadata, ISSUER, NOW};
use super::*;
use proptest::prelude::*;
use std::time::Duration;

/// A good query, as the provider sends it.
fn good() -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", "c0de").append_pair("state", attempt().state.expose()).append_pair("iss", ISSUER);
    query.finish()
}

fn check(query: &str) -> Result<String, Unanswered> {
    check_by(query, &metadata())
}

fn check_by(query: &str, metadata: &Metadata) -> Result<String, Unanswered> {
    let callback = Callback::parse(query.as_bytes())?;
    let code = callback.check(&attempt(), &SourceName::new("id"), metadata, NOW)?;
    Ok(String::from_utf8(code.expose().to_vec()).unwrap())
}

fn is_malformed(query: &str) -> bool {
    matches!(check(query), Err(Unanswered::Malformed(_)))
}

fn is_bad_state(query: &str) -> bool {
    matches!(check(query), Err(Unanswered::BadState(_)))
}

#[test]
fn the_answer_to_our_attempt_brings_its_code() {
    assert_eq!(check(&good()).as_deref(), Ok("c0de"));
    assert_eq!(check(&format!("{}&session_state=x&session_state=y&unknown=", good())).as_deref(), Ok("c0de"));
}

#[test]
fn a_parameter_that_stands_twice_is_refused_even_with_the_same_value() {
    for more in ["code=c0de", "code=other", "state=x", "iss=x", "%73tate=x", "error=a&error=b"] {
        assert!(is_malformed(&format!("{}&{more}", good())), "{more}");
    }
}

#[test]
fn what_is_no_authorization_response_is_malformed() {
    let state = attempt().state.expose().to_owned();
    for query in [
        String::new(),
        "code=c0de".to_owned(),
        "code=c0de&state=".to_owned(),
        format!("state={state}"),
        format!("state={state}&code="),
        format!("state={state}&code=a%00b"),
        format!("state={state}&code=a%0ab"),
        format!("state={state}&code=%ff"),
        format!("state={state}&code=c&error=access_denied"),
        format!("state={state}&code={}", "c".repeat(MAX_CALLBACK)),
    ] {
        assert!(is_malformed(&query), "{query}");
    }
}

#[test]
fn another_state_is_refused() {
    let state = attempt().state.expose().to_owned();
    for other in [state[..42].to_owned(), format!("{state}A"), state.to_lowercase(), "x".to_owned()] {
        assert!(is_bad_state(&format!("code=c0de&state={other}&iss={ISSUER}")), "{other}");
    }
}

#[test]
fn an_answer_after_ten_minutes_is_too_late() {
    let at = |now| {
        let callback = Callback::parse(good().as_bytes()).unwrap();
        callback.check(&attempt(), &SourceName::new("id"), &metadata(), now)
    };
    assert!(at(NOW.plus(ATTEMPT_LIFE)).is_ok());
    assert!(matches!(at(NOW.plus(ATTEMPT_LIFE).plus(Duration::from_secs(1))), Err(Unanswered::BadState(_))));
}

#[test]
fn an_answer_at_the_redirect_uri_of_another_provider_is_refused() {
    let callback = Callback::parse(good().as_bytes()).unwrap();
    let checked = callback.check(&attempt(), &SourceName::new("other"), &metadata(), NOW);
    assert!(matches!(checked, Err(Unanswered::BadState(_))));
}

#[test]
fn another_issuer_is_refused_whether_or_not_one_was_announced() {
    let mut silent = metadata();
    silent.names_itself = false;
    let query = |iss: &str| format!("code=c0de&state={}{iss}", attempt().state.expose());
    for wrong in ["&iss=https%3A%2F%2Fid.example.com", "&iss=https%3A%2F%2Fevil.example.com%2F", "&iss="] {
        assert!(matches!(check_by(&query(wrong), &metadata()), Err(Unanswered::BadState(_))), "{wrong}");
        assert!(matches!(check_by(&query(wrong), &silent), Err(Unanswered::BadState(_))), "{wrong}");
    }
    assert!(matches!(check_by(&query(""), &metadata()), Err(Unanswered::BadState(_))), "announced and missing");
    assert!(check_by(&query(""), &silent).is_ok());
}

#[test]
fn a_refusal_is_heard_only_from_the_provider_that_was_asked() {
    let refusal = |state: &str| format!("error=access_denied&error_description=No%0Away&state={state}&iss={ISSUER}");
    let Err(Unanswered::Refused(heard)) = check(&refusal(attempt().state.expose())) else { panic!("no refusal") };
    assert_eq!((heard.code.as_str(), heard.reason.as_deref()), ("access_denied", Some("No\\nway")));
    assert!(is_bad_state(&refusal("x")));
}

#[test]
fn a_refusal_is_short_and_plain_whatever_is_sent() {
    for odd in ["", "a b", "<script>", "a\nb", &"x".repeat(65), "\u{e9}"] {
        assert_eq!(Refusal::new(odd, None).code, "an error without a name", "{odd}");
    }
    let long = Refusal::new("server_error", Some(&"\u{0}".repeat(1000)));
    assert!(long.reason.as_deref().is_some_and(|reason| reason.len() <= 200 && !reason.contains('\0')));
}

#[test]
fn a_callback_finds_its_attempt_among_others() {
    assert_eq!(Callback::parse(good().as_bytes()).unwrap().label(), attempt().label());
    let other = Callback::parse(b"code=c&state=x").unwrap();
    assert_ne!(other.label(), attempt().label());
    assert_eq!(other.label().len(), 6);
}

#[test]
fn debug_output_shows_neither_code_nor_state() {
    let shown = format!("{:?}", Callback::parse(good().as_bytes()).unwrap());
    assert!(!shown.contains("c0de") && !shown.contains(attempt().state.expose()));
}

proptest! {
    #[test]
    fn strangers_get_nowhere(query in "(state|code|iss|error|&|=|%|[a-f0-9]|\\PC){0,60}") {
        prop_assert!(check(&query).is_err());
    }
}
