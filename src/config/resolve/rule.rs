//! What a route asks of its caller. A route must say it: silence is a mistake, never a default.

use super::issuer::API_KEY;
use super::route::Surroundings;
use super::values;
use crate::config::include::Findings;
use crate::config::mistakes::{did_you_mean, Place};
use crate::config::raw::route::{Access as RawAccess, Credential, Route as Raw};
use crate::config::raw::shape::{Field, List};
use crate::domain::policy::expression::Expression;
use crate::domain::policy::rule::{Access, Rule};
use crate::domain::principal::SourceName;

const NO_KEYS: &str =
    "asks for API keys, but nobody could make one: there is neither an admin.token nor a shared store";

pub(super) fn rule(raw: &Raw, place: &Place, around: &Surroundings<'_>, findings: &mut Findings) -> Option<Rule> {
    let defaults = around.defaults;
    let from = from(raw.from.or(&defaults.from), around, findings);
    let roles = texts(raw.roles.or(&defaults.roles), "roles", findings);
    let scopes = texts(raw.scopes.or(&defaults.scopes), "scopes", findings);
    let when = raw.when.or(&defaults.when);
    let expression = expression(when, findings);
    let (accepted, somebody) = accepted(raw.accept.or(&defaults.accept), around, findings);
    let access = access(raw, place, around, findings)?;
    if access == Access::Authenticated && !somebody {
        findings.warning(place, "asks for a caller, but no [[provider]] or [[issuer]] vouches for one with what it accepts: nobody can get in");
    }
    if access != Access::Public && accepted.session {
        let host = raw.host.or(&defaults.host);
        if host.value.as_ref().is_some_and(|host| !around.reach.covers(host)) {
            let text = "accepts sessions on a host that no server.public_url has and session.cookie.domain does not \
                        reach: add its origin to public_url, or write accept = [\"bearer\"]";
            findings.mistake(&host.place, text);
        }
    }
    if !roles.is_empty() && from.is_empty() && around.issuers.len() + around.providers.len() > 1 {
        let text = "names no source (from): every provider and issuer can give these roles to its callers";
        findings.warning(&raw.roles.or(&defaults.roles).place, text);
    }
    if when.is_given() && expression.is_none() {
        return None;
    }
    let Accepted { bearer: accepts_bearer, session: accepts_session, api_key: accepts_api_key } = accepted;
    Some(Rule { access, from, roles, scopes, when: expression, accepts_bearer, accepts_session, accepts_api_key })
}

fn access(raw: &Raw, place: &Place, around: &Surroundings<'_>, findings: &mut Findings) -> Option<Access> {
    let defaults = around.defaults;
    let field = raw.access.or(&defaults.access);
    let own = asks(raw);
    let asked = asked(raw, defaults);
    // what a route asks itself outranks an access it merely inherits
    let field = if !own.is_empty() && !raw.access.is_given() { None } else { Some(field) };
    let access = match field {
        None => Access::Authenticated,
        Some(field) => match field.value {
            Some(RawAccess::Public) => Access::Public,
            Some(RawAccess::Optional) => Access::Optional,
            Some(RawAccess::Authenticated) => Access::Authenticated,
            None if field.is_given() => return None,
            None if asked.is_empty() => {
                findings.mistake(place, "says nothing about access; write access = \"public\" or \"authenticated\", or roles, scopes or when");
                return None;
            }
            None => Access::Authenticated,
        },
    };
    let word = match access {
        Access::Public => "public",
        Access::Optional => "optional",
        Access::Authenticated => return Some(access),
    };
    let at = field.map_or(place, |field| &field.place);
    if let [first, ..] = asked.as_slice() {
        findings.mistake(
            at,
            format!("is \"{word}\", yet {first} asks for a caller; take one of them out{}", inherited(&own)),
        );
    }
    let from = raw.from.or(&defaults.from);
    if access == Access::Public && from.value.as_ref().is_some_and(|from| !from.is_empty()) {
        findings.mistake(at, "is \"public\", where nobody's source is looked at; take from out");
    }
    Some(access)
}

fn inherited(own: &[&str]) -> &'static str {
    if own.is_empty() {
        " (an empty list undoes one from [route_defaults])"
    } else {
        ""
    }
}

/// The keys of `raw` that ask for a caller.
fn asks(raw: &Raw) -> Vec<&'static str> {
    let is_some =
        |list: &Field<List<String>>| list.is_given() && list.value.as_ref().is_none_or(|list| !list.is_empty());
    let keys = [("roles", is_some(&raw.roles)), ("scopes", is_some(&raw.scopes)), ("when", raw.when.is_given())];
    keys.into_iter().filter_map(|(key, asks)| asks.then_some(key)).collect()
}

/// The same with those of `[route_defaults]` that `raw` leaves standing.
fn asked(raw: &Raw, defaults: &Raw) -> Vec<&'static str> {
    let mut keys = asks(raw);
    let given = [("roles", raw.roles.is_given()), ("scopes", raw.scopes.is_given()), ("when", raw.when.is_given())];
    keys.extend(asks(defaults).into_iter().filter(|key| given.contains(&(*key, false))));
    keys
}

fn from(list: &Field<List<String>>, around: &Surroundings<'_>, findings: &mut Findings) -> Vec<SourceName> {
    let mut found = Vec::new();
    for field in list.value.iter().flatten() {
        let Some(name) = field.value.as_deref() else { continue };
        if name == API_KEY && around.api_keys.is_none() {
            findings.warning(&field.place, NO_KEYS);
            found.push(SourceName::new(name));
            continue;
        }
        let mut known = around.providers.iter().chain(&around.issuers).chain(&around.api_keys).copied();
        if !known.clone().any(|known| known == name) {
            let hint = did_you_mean(name, &mut known);
            findings.mistake(&field.place, format!("no provider or issuer is called {name:?}{hint}"));
        }
        found.push(SourceName::new(name));
    }
    found
}

fn texts(list: &Field<List<String>>, what: &str, findings: &mut Findings) -> Vec<String> {
    for field in list.value.iter().flatten() {
        let text = field.value.as_deref();
        if text.is_some_and(|text| text.is_empty() || (what == "scopes" && text.contains(char::is_whitespace))) {
            findings.mistake(&field.place, format!("is none of the {what} a token could hold"));
        }
    }
    values(list)
}

fn expression(field: &Field<String>, findings: &mut Findings) -> Option<Expression> {
    let compiled = Expression::compile(field.value.as_deref()?);
    compiled.map_err(|why| findings.mistake(&field.place, format!("is no expression: {why}"))).ok()
}

/// What `accept` comes to with the sources there are.
struct Accepted {
    bearer: bool,
    session: bool,
    api_key: bool,
}

/// That, and whether anybody could hold one of them.
fn accepted(list: &Field<List<Credential>>, around: &Surroundings<'_>, findings: &mut Findings) -> (Accepted, bool) {
    let listed = values(list);
    if list.value.as_ref().is_some_and(Vec::is_empty) {
        findings.mistake(&list.place, "is empty, so no credential would count; write [\"session\", \"bearer\"]");
    }
    let people = !around.providers.is_empty();
    let [bearer, session, api_key] =
        [Credential::Bearer, Credential::Session, Credential::ApiKey].map(|kind| listed.contains(&kind));
    if session && list.is_given() && !people {
        findings.warning(&list.place, "accepts sessions, but there is no [[provider]]: nobody can have one");
    }
    if api_key && list.is_given() && around.api_keys.is_none() {
        findings.warning(&list.place, NO_KEYS);
    }
    let api_key = api_key && around.api_keys.is_some();
    // our own access tokens count as bearer tokens, too
    let somebody = (people && (session || bearer)) || (bearer && !around.issuers.is_empty()) || api_key;
    (Accepted { bearer, session: session && people, api_key }, somebody)
}
