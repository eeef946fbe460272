//! From the payload of a token whose signature is good to a [`Principal`]: is it meant for us, is it alive, and what
//! does it say under our names.
//!
//! A claim of the wrong type is refused, never read as absent: an `exp` that is a string is not "no limit"
//! (CVE-2026-25537 was that mistake for `nbf`).

use super::issuer::Issuer;
use super::jose::Kind;
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::{AuthMethod, Principal};
use crate::domain::time::UnixTime;
use serde_json::{Map, Value};
use std::time::Duration;

/// Ours to say. In a foreign token they count only where the issuer's `claims` map them.
const RESERVED: [&str; 7] = ["sid", "provider", "method", "acr", "amr", "auth_time", "cnf"];

/// The longest `sub`, in bytes (OpenID Connect Core section 2).
const MAX_SUBJECT: usize = 255;

/// The caller described by `payload`, the verified payload of a token of this `kind`.
///
/// # Errors
/// `token_expired` when that is all that is wrong, `token_invalid` otherwise.
pub fn principal(
    payload: &Map<String, Value>,
    kind: Kind,
    issuer: &Issuer,
    now: UnixTime,
) -> Result<Principal, Denial> {
    check_issuer(payload, issuer)?;
    check_audience(payload, issuer)?;
    check_purpose(payload, kind)?;
    check_unbound(payload)?;
    let expires = check_times(payload, issuer, now)?;
    let mut claims = under_our_names(payload, issuer);
    Ok(Principal {
        source: issuer.name.clone(),
        subject: subject(&claims)?,
        method: AuthMethod::Bearer,
        roles: take_roles(&mut claims),
        scopes: take_scopes(&mut claims, issuer),
        email_trusted: issuer.trust_email || claims.get("email_verified") == Some(&Value::Bool(true)),
        claims,
        expires,
    })
}

/// Byte for byte: a slash more, another case or another Unicode form is another issuer.
fn check_issuer(payload: &Map<String, Value>, issuer: &Issuer) -> Result<(), Denial> {
    match payload.get("iss") {
        Some(Value::String(iss)) if *iss == issuer.issuer => Ok(()),
        Some(_) => Err(invalid("\"iss\" is another issuer")),
        None => Err(invalid("no \"iss\"")),
    }
}

fn check_audience(payload: &Map<String, Value>, issuer: &Issuer) -> Result<(), Denial> {
    let ours = |aud: &&str| issuer.audience.iter().any(|expected| expected == aud);
    if audiences(payload)?.iter().any(ours) {
        Ok(())
    } else {
        Err(invalid("\"aud\" names none of our audiences"))
    }
}

/// Whom the token is for.
pub(in crate::domain) fn audiences(payload: &Map<String, Value>) -> Result<Vec<&str>, Denial> {
    match payload.get("aud") {
        Some(Value::String(aud)) => Ok(vec![aud]),
        Some(Value::Array(list)) => strings(list).ok_or_else(|| invalid("\"aud\" holds something else than strings")),
        Some(_) => Err(invalid("\"aud\" is neither a string nor a list of strings")),
        None => Err(invalid("no \"aud\"")),
    }
}

/// Tokens made for another purpose that do not say so in `typ`. Deliberately few: an ID token answering a sign-in here
/// carries both `nonce` and `at_hash`, a logout token `events`. Issuers whose only tokens are ID tokens exist, and
/// the audience is what keeps those apart.
fn check_purpose(payload: &Map<String, Value>, kind: Kind) -> Result<(), Denial> {
    let has = |name| payload.contains_key(name);
    if kind == Kind::AccessToken {
        return Ok(());
    }
    if has("events") {
        return Err(invalid("this is a logout or event token"));
    }
    if has("nonce") && has("at_hash") {
        return Err(invalid("this is an ID token"));
    }
    Ok(())
}

/// A token bound to a key (RFC 7800) is worth nothing without the proof, which we cannot check yet. Taken as a plain
/// bearer token it would serve the thief the binding was meant to stop.
fn check_unbound(payload: &Map<String, Value>) -> Result<(), Denial> {
    let confirmations = ["jkt", "x5t#S256", "jwk", "jwe", "jku", "kid"];
    match payload.get("cnf") {
        Some(Value::Object(cnf)) if confirmations.into_iter().any(|name| cnf.contains_key(name)) => {
            Err(invalid("bound tokens are not supported yet"))
        }
        Some(_) | None => Ok(()),
    }
}

/// When the token ends, leeway included.
fn check_times(payload: &Map<String, Value>, issuer: &Issuer, now: UnixTime) -> Result<UnixTime, Denial> {
    let exp = numeric_date(payload, "exp", Round::Down)?.ok_or_else(|| invalid("no \"exp\""))?;
    let latest_start = now.plus(issuer.leeway);
    for name in ["nbf", "iat"] {
        if numeric_date(payload, name, Round::Up)?.is_some_and(|start| start > latest_start) {
            return Err(Denial::new(Code::TokenInvalid, format!("\"{name}\" is in the future")));
        }
    }
    if exp > now.plus(issuer.max_token_life).plus(issuer.leeway) {
        return Err(invalid("\"exp\" is further away than max_token_life"));
    }
    let expires = exp.plus(issuer.leeway);
    if expires <= now {
        return Err(Denial::new(Code::TokenExpired, "\"exp\" has passed"));
    }
    Ok(expires)
}

/// Fractions are allowed (RFC 7519 section 2) and cost the token the broken second.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::domain) enum Round {
    Down,
    Up,
}

/// `None` when absent. Strings, `null`, lists, negative numbers and numbers beyond all time are refused.
pub(in crate::domain) fn numeric_date(
    payload: &Map<String, Value>,
    name: &str,
    round: Round,
) -> Result<Option<UnixTime>, Denial> {
    let Some(value) = payload.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = value.as_u64() {
        return Ok(Some(UnixTime(seconds)));
    }
    // Duration does the range check that a cast would not
    let span = value.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let span = span.ok_or_else(|| Denial::new(Code::TokenInvalid, format!("\"{name}\" is no time")))?;
    let up = u64::from(round == Round::Up && span.subsec_nanos() > 0);
    Ok(Some(UnixTime(span.as_secs().saturating_add(up))))
}

/// The claims as rules and headers see them: mapped ones moved in, what they replace and what is ours to say taken out.
fn under_our_names(payload: &Map<String, Value>, issuer: &Issuer) -> Map<String, Value> {
    let mut claims = payload.clone();
    for name in RESERVED {
        claims.remove(name);
    }
    for (name, path) in &issuer.claims {
        match lookup(payload, path) {
            Some(value) => claims.insert(name.clone(), value.clone()),
            None => claims.remove(name),
        };
    }
    claims
}

/// The claim at `path`: a member of just that name, or one found by going down at its dots. Member names may hold dots
/// themselves (`kubernetes.io`, `https://example.com/roles`), so a longer name stands before going down.
#[must_use]
pub fn lookup<'v>(object: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = object.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(dot, _)| {
        let (name, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        lookup(object.get(name)?.as_object()?, rest)
    })
}

/// Who it is. A control character could forge a log line or a header; an empty name is nobody's.
pub(in crate::domain) fn subject(claims: &Map<String, Value>) -> Result<String, Denial> {
    let Some(Value::String(subject)) = claims.get("sub") else {
        return Err(invalid("no \"sub\", or no string"));
    };
    if subject.is_empty() || subject.len() > MAX_SUBJECT || subject.chars().any(char::is_control) {
        return Err(invalid("\"sub\" is empty, too long, or has a control character"));
    }
    Ok(subject.clone())
}

/// Roles are exact: `"user,admin"` is one odd role and never two. A list with anything but strings in it grants nothing.
/// The claim is left as a list, so that rules and headers see the same roles.
pub(in crate::domain) fn take_roles(claims: &mut Map<String, Value>) -> Vec<String> {
    let roles = match claims.remove("roles") {
        Some(Value::String(role)) => vec![role],
        Some(Value::Array(list)) => strings(&list).unwrap_or_default().into_iter().map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    };
    let roles: Vec<String> = roles.into_iter().filter(|role| !role.is_empty()).collect();
    if !roles.is_empty() {
        claims.insert("roles".to_owned(), roles.iter().cloned().map(Value::String).collect());
    }
    roles
}

/// `scope` (RFC 9068 section 2.2.3), or `scp` where an issuer says that and nothing is mapped to `scope`. The claim is
/// left as the string of RFC 6749 section 3.3; so an item of a list with a space in it, which would read as two, spoils
/// the list.
fn take_scopes(claims: &mut Map<String, Value>, issuer: &Issuer) -> Vec<String> {
    let mapped = issuer.claims.iter().any(|(name, _)| name == "scope");
    let claim = claims.remove("scope").or_else(|| if mapped { None } else { claims.get("scp").cloned() });
    let scopes: Vec<String> = match claim {
        Some(Value::String(text)) => text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect(),
        Some(Value::Array(list)) => match strings(&list) {
            Some(list) if list.iter().all(|scope| !scope.contains(' ') && !scope.is_empty()) => {
                list.into_iter().map(str::to_owned).collect()
            }
            Some(_) | None => Vec::new(),
        },
        Some(_) | None => Vec::new(),
    };
    if !scopes.is_empty() {
        claims.insert("scope".to_owned(), Value::String(scopes.join(" ")));
    }
    scopes
}

pub(in crate::domain) fn strings(list: &[Value]) -> Option<Vec<&str>> {
    list.iter().map(Value::as_str).collect()
}

fn invalid(detail: &'static str) -> Denial {
    Denial::new(Code::TokenInvalid, detail)
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
