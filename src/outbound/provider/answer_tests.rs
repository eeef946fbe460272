use super::*;
use serde_json::json;
use zeroize::Zeroizing;

fn reply(status: u16, body: &dyn ToString) -> Reply {
    let status = StatusCode::from_u16(status).unwrap();
    Reply { status, body: Zeroizing::new(body.to_string().into_bytes()), retry_after: None }
}

fn tokens(changes: Value) -> Result<Tokens, ProviderError> {
    let mut body = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 300, "refresh_token": "rt"});
    let (Value::Object(changes), Some(members)) = (changes, body.as_object_mut()) else { panic!("no object") };
    for (name, value) in changes {
        members.insert(name, value);
    }
    read_tokens(&reply(200, &body))
}

fn is_away<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Away(_)))
}

#[test]
fn tokens_are_read_as_providers_write_them() {
    let read = tokens(json!({"id_token": "a.b.c", "scope": "openid"})).unwrap();
    assert!(read.access_token.matches(b"at") && read.id_token.unwrap().matches(b"a.b.c"));
    assert!(read.refresh_token.unwrap().matches(b"rt"));
    assert_eq!(read.expires_in, Some(Duration::from_secs(300)));
    let read = tokens(json!({"token_type": "bearer", "expires_in": "3600", "refresh_token": null})).unwrap();
    assert_eq!((read.expires_in, read.refresh_token.is_none()), (Some(Duration::from_secs(3600)), true));
}

#[test]
fn what_is_no_token_response_is_no_answer() {
    for body in ["", "<html>busy</html>", "[]", "{}", r#"{"error":"invalid_grant"}"#, r#"{"access_token":"a"}"#] {
        assert!(is_away(&read_tokens(&reply(200, &body))), "{body}");
    }
    for wrong in [
        json!({"access_token": ""}),
        json!({"access_token": 7}),
        json!({"access_token": "x".repeat(16 * 1024 + 1)}),
        json!({"token_type": "DPoP"}),
        json!({"token_type": null}),
        json!({"expires_in": "soon"}),
        json!({"expires_in": -1}),
        json!({"expires_in": 1e300}),
        json!({"refresh_token": ["rt"]}),
        json!({"id_token": {}}),
    ] {
        assert!(is_away(&tokens(wrong.clone())), "{wrong}");
    }
    let twice = r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#;
    assert!(is_away(&read_tokens(&reply(200, &twice))));
}

#[test]
fn only_the_providers_own_words_end_a_grant() {
    let grant = json!({"error": "invalid_grant", "error_description": "expired"});
    for status in [400, 401, 403] {
        assert!(matches!(read_tokens(&reply(status, &grant)), Err(ProviderError::InvalidGrant)), "{status}");
    }
    for status in [200, 204, 302, 408, 429, 500, 502, 503] {
        assert!(is_away(&read_tokens(&reply(status, &grant))), "{status}");
    }
    for body in
        ["invalid_grant", "", "<html>invalid_grant</html>", r#"{"error":["invalid_grant"]}"#, r#"["invalid_grant"]"#]
    {
        assert!(is_away(&read_tokens(&reply(400, &body))), "{body}");
    }
    let twice = r#"{"error":"x","error":"invalid_grant"}"#;
    assert!(is_away(&read_tokens(&reply(400, &twice))));
}

#[test]
fn other_codes_are_for_whoever_configures_and_passing_ones_are_nothing() {
    let answer = read_tokens(&reply(401, &json!({"error": "invalid_client", "error_description": "wrong\nsecret"})));
    let Err(ProviderError::Refused(refusal)) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.to_string(), "invalid_client (wrong\\nsecret)");
    for code in PASSING {
        assert!(is_away(&read_tokens(&reply(400, &json!({"error": code})))), "{code}");
    }
}

#[test]
fn userinfo_is_a_json_object_of_a_size_that_a_session_can_hold() {
    assert_eq!(read_claims(&reply(200, &json!({"sub": "alice"}))).unwrap()["sub"], "alice");
    let huge = json!({"sub": "alice", "x": "x".repeat(MAX_USERINFO)});
    for body in [huge.to_string(), "[]".to_owned(), "a.b.c".to_owned(), r#"{"sub":"a","sub":"b"}"#.to_owned()] {
        assert!(is_away(&read_claims(&reply(200, &body))));
    }
    assert!(is_away(&read_claims(&reply(503, &""))));
    for status in [401, 403] {
        assert!(matches!(read_claims(&reply(status, &"")), Err(ProviderError::Refused(_))), "{status}");
    }
}

#[test]
fn a_revocation_is_done_or_it_is_not() {
    assert_eq!(read_verdict(&reply(200, &"")), Ok(()));
    assert!(is_away(&read_verdict(&reply(503, &""))));
    assert!(matches!(
        read_verdict(&reply(400, &json!({"error": "unsupported_token_type"}))),
        Err(ProviderError::Refused(_))
    ));
}
