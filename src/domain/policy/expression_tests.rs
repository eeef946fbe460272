use super::*;
use crate::domain::denial::Code;
use crate::domain::principal::{AuthMethod, SourceName};
use serde_json::json;

fn ada() -> Principal {
    let serde_json::Value::Object(claims) =
        json!({"email": "ada@example.com", "level": 3, "teams": ["core", "ops"], "org": {"id": "o1"}})
    else {
        unreachable!()
    };
    Principal {
        source: SourceName::new("idp"),
        subject: "ada".to_owned(),
        method: AuthMethod::Bearer,
        roles: Vec::new(),
        scopes: Vec::new(),
        claims,
        email_trusted: true,
        expires: UnixTime(0),
    }
}

fn holds(text: &str) -> Result<(), Code> {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", "t1".parse().unwrap());
    headers.insert("x_auth_subject", "root".parse().unwrap());
    headers.insert("authorization", "Bearer abc".parse().unwrap());
    let managed = Managed::new([]);
    let facts = Facts {
        method: "GET",
        host: "app.example.com",
        path: "/orgs/o1",
        query: Some("page=2&page=3&q=a%20b"),
        headers: &headers,
        managed: &managed,
        ip: Some("192.0.2.7".parse().unwrap()),
        now: UnixTime(1_700_000_000),
    };
    let expression = Expression::compile(text).map_err(|_| Code::Internal)?;
    expression.holds(Some(&ada()), &facts).map_err(|denial| denial.code)
}

#[test]
fn an_expression_may_ask_about_claims_and_the_request() {
    for text in [
        r#"claims.email.endsWith("@example.com")"#,
        r#"claims.level >= 3 && "ops" in claims.teams"#,
        r#"request.path == "/orgs/" + claims.org.id"#,
        r#"request.method == "GET" && request.host == "app.example.com""#,
        r#"request.headers["x-tenant"] == "t1" && request.ip == "192.0.2.7""#,
        r#"request.query.page == "2" && request.query.q == "a b""#,
        r#"request.time > timestamp("2023-01-01T00:00:00Z")"#,
        r#"has(claims.email) && !has(claims.missing)"#,
        r#"!("x_auth_subject" in request.headers) && !("authorization" in request.headers)"#,
    ] {
        assert_eq!(holds(text), Ok(()), "{text}");
    }
}

#[test]
fn what_is_false_fails_or_is_no_boolean_lets_nobody_in() {
    for text in
        ["false", "claims.missing == 1", "claims.level", "claims.email + 1 == 2", r#"claims.email.matches("(")"#]
    {
        assert_eq!(holds(text), Err(Code::Forbidden), "{text}");
    }
}

#[test]
fn an_expression_about_things_that_do_not_exist_is_a_mistake() {
    for text in [
        "claim.email == 1",
        "user.name",
        "session.id != ''",
        "claims.email ==",
        "((((",
        "",
        &"(".repeat(20_000),
        &"!".repeat(20_000),
    ] {
        assert!(Expression::compile(text).is_err(), "{text}");
    }
}
