//! `[[limit]]`, with the built-in ones that the file does not mention, and what routes say of limits.

use super::issuer::API_KEY;
use super::route::Surroundings;
use super::{distinct, required};
use crate::config::include::Findings;
use crate::config::mistakes::{did_you_mean, Place};
use crate::config::raw::limit as raw;
use crate::config::raw::route::Route as RawRoute;
use crate::config::raw::shape::Field;
use crate::config::raw::File;
use crate::domain::limit::key::MOST_PARTS;
use crate::domain::limit::{Bucket, BuiltIn, Charge, Limit, Part, Prefixes, RouteLimits};
use crate::domain::policy::rule::{Access, Rule};
use crate::domain::principal::SourceName;
use std::time::Duration;

/// The longest an empty bucket may take to fill.
const LONGEST_FILL: Duration = Duration::from_hours(30 * 24);
/// Far more than any of these means.
const MOST: usize = 1_000_000_000;
/// Limits of one route.
const MOST_ON_A_ROUTE: usize = 8;
/// Names that features to come will use.
const LATER: [&str; 1] = ["otp"];
/// What somebody may look for here.
const ELSEWHERE: (&str, &str) = ("sign_in", "\"sign_in\" counts failed sign-ins; [brute_force] says how");

/// The limits of the file in its order, then the built-in ones it does not change.
pub(super) fn limits(file: &File, findings: &mut Findings) -> Option<Vec<Limit>> {
    let list = file.limit.value.as_ref()?;
    let names = list.iter().filter_map(|field| Some(&field.value.as_ref()?.name));
    distinct(names.filter_map(|name| Some((name.value.as_ref()?.0.as_str(), &name.place))), "the name", findings);
    let nobody_trusted = file
        .server
        .value
        .as_ref()
        .is_some_and(|server| server.trusted_proxies.value.as_ref().is_none_or(Vec::is_empty));
    let mut limits = Vec::with_capacity(list.len() + BuiltIn::ALL.len());
    for field in list {
        let Some(raw) = &field.value else { continue };
        if let Some(limit) = limit(raw, nobody_trusted, findings) {
            limits.push(limit);
        }
    }
    if limits.len() < list.len() {
        return None;
    }
    let given: Vec<String> = limits.iter().map(|limit| limit.name.clone()).collect();
    let silent = BuiltIn::ALL.into_iter().filter(|which| !given.iter().any(|name| name == which.name()));
    limits.extend(silent.map(BuiltIn::limit));
    Some(limits)
}

fn limit(raw: &raw::Limit, nobody_trusted: bool, findings: &mut Findings) -> Option<Limit> {
    let name = required(&raw.name, "routes, metrics and answers call it by it", findings)?.0;
    if LATER.contains(&name.as_str()) {
        findings.mistake(&raw.name.place, format!("{name:?} is a built-in limit that is not available yet"));
        return None;
    }
    if name == ELSEWHERE.0 {
        findings.mistake(&raw.name.place, ELSEWHERE.1);
        return None;
    }
    let built_in = BuiltIn::ALL.into_iter().find(|which| which.name() == name);
    let usual = built_in.map(BuiltIn::limit);
    let rate = match &usual {
        Some(usual) if !raw.rate.is_given() => Some(usual.rate),
        _ => required(&raw.rate, "write how many in the long run, like \"100/min\"", findings),
    };
    let burst = usual.as_ref().filter(|_| !raw.burst.is_given()).map(|usual| usual.bucket.burst);
    let burst = burst.or_else(|| at_least_one(&raw.burst, findings));
    let key = key(raw, built_in, nobody_trusted, findings);
    let cost = at_least_one(&raw.cost, findings);
    if let (Some(cost), Some(burst)) = (cost, burst) {
        if cost > burst {
            findings.mistake(&raw.cost.place, format!("is above burst ({burst}): no request could ever pass"));
        }
    }
    let bucket = Bucket::new(rate?, burst?);
    if Duration::from_micros(bucket.fill()) > LONGEST_FILL {
        let text = "takes more than 30 days to fill an empty bucket: a higher rate or a smaller burst";
        findings.mistake(&raw.rate.place, text);
    }
    let own = usual.as_ref();
    Some(Limit {
        name,
        key: key?,
        rate: rate?,
        bucket,
        exact: own.filter(|_| !raw.exact.is_given()).map_or(raw.exact.value, |usual| Some(usual.exact))?,
        cost: cost?,
        on_store_down: own
            .filter(|_| !raw.on_store_down.is_given())
            .map_or(raw.on_store_down.value, |usual| Some(usual.on_store_down))?,
        shadow: own.filter(|_| !raw.shadow.is_given()).map_or(raw.shadow.value, |usual| Some(usual.shadow))?,
        headers: own.filter(|_| !raw.headers.is_given()).map_or(raw.headers.value, |usual| Some(usual.headers))?,
    })
}

fn key(
    raw: &raw::Limit,
    built_in: Option<BuiltIn>,
    nobody_trusted: bool,
    findings: &mut Findings,
) -> Option<Vec<Part>> {
    let list = raw.key.value.as_ref()?;
    let parts: Vec<Part> = list.iter().filter_map(|field| field.value.clone()).collect();
    if parts.len() < list.len() {
        return None;
    }
    if let Some(which) = built_in {
        if raw.key.is_given() && parts != [which.part()] {
            let text = format!("is [\"{}\"] for the built-in limit {:?}; take it out", which.part(), which.name());
            findings.mistake(&raw.key.place, text);
        }
        return Some(vec![which.part()]);
    }
    if parts.is_empty() {
        findings.mistake(&raw.key.place, "is empty; [\"route\"] counts all callers of a route together");
    }
    if parts.len() > MOST_PARTS {
        findings.mistake(&raw.key.place, format!("has more than {MOST_PARTS} parts"));
    }
    for (at, field) in list.iter().enumerate() {
        if parts.iter().take(at).any(|before| Some(before) == field.value.as_ref()) {
            findings.mistake(&field.place, "stands in the list already");
        }
        if nobody_trusted && matches!(field.value, Some(Part::Header(_))) {
            let text = "counts only from server.trusted_proxies, and there are none: all callers share one count";
            findings.warning(&field.place, text);
        }
    }
    Some(parts)
}

fn at_least_one(field: &Field<usize>, findings: &mut Findings) -> Option<u32> {
    let number = field.value?;
    if !(1..=MOST).contains(&number) {
        findings.mistake(&field.place, format!("is a number from 1 to {MOST}"));
        return None;
    }
    u32::try_from(number).ok()
}

/// How many bits of an address count.
pub(super) fn prefixes(file: &File, findings: &mut Findings) -> Option<Prefixes> {
    let raw = file.limits.value.as_ref()?;
    let bits = |field: &Field<usize>, most: u8, findings: &mut Findings| {
        let bits = u8::try_from(field.value?).ok().filter(|bits| (1..=most).contains(bits));
        if bits.is_none() {
            findings.mistake(&field.place, format!("is a number of bits from 1 to {most}"));
        }
        bits
    };
    let (ipv4, ipv6) = (bits(&raw.ipv4_prefix, 32, findings), bits(&raw.ipv6_prefix, 128, findings));
    Some(Prefixes { ipv4: ipv4?, ipv6: ipv6? })
}

/// What a route says of limits.
pub(super) fn of_route(
    raw: &RawRoute,
    rule: Option<&Rule>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<RouteLimits> {
    let defaults = around.defaults;
    let (list, cost) = (raw.limits.or(&defaults.limits), raw.cost.or(&defaults.cost));
    let named = list.value.iter().flatten().filter_map(|field| Some((field.value.as_deref()?, &field.place)));
    distinct(named.clone(), "the limit", findings);
    let own_cost = if cost.is_given() { Some(at_least_one(cost, findings)?) } else { None };
    let mut limits = RouteLimits {
        max_in_flight: in_flight(raw.max_in_flight.or(&defaults.max_in_flight), findings)?,
        max_in_flight_per_user: in_flight(raw.max_in_flight_per_user.or(&defaults.max_in_flight_per_user), findings)?,
        ..RouteLimits::default()
    };
    let mut found = 0;
    for (name, place) in named {
        found += 1;
        let Some(at) = around.limits.iter().position(|limit| limit.name == name) else {
            let hint = did_you_mean(name, around.limits.iter().map(|limit| limit.name.as_str()));
            findings.mistake(place, format!("no limit is called {name:?}{hint}"));
            continue;
        };
        let Some(limit) = around.limits.get(at) else { continue };
        if limit.name == BuiltIn::TokenUsage.name() {
            findings.mistake(place, format!("{name:?} counts on every route already; take it out"));
            continue;
        }
        if !limit.needs_no_caller() && !suits(limit, (rule, raw.limits.is_given()), (place, around), findings) {
            continue;
        }
        let charge = Charge { limit: at, cost: own_cost.unwrap_or(limit.cost) };
        if charge.cost > limit.bucket.burst {
            let text = format!("is above the burst of limit {name:?} ({}): no request could pass", limit.bucket.burst);
            findings.mistake(&cost.place, text);
        }
        let when = if limit.needs_no_caller() { &mut limits.before } else { &mut limits.after };
        when.push(charge);
    }
    if found > MOST_ON_A_ROUTE {
        findings.mistake(&list.place, format!("lists more than {MOST_ON_A_ROUTE} limits"));
    }
    if raw.cost.is_given() && found == 0 {
        findings.warning(&raw.cost.place, "says nothing: the route has no limits");
    }
    Some(limits)
}

/// Whether a limit that counts callers counts here. Where there are none, all the world would share one bucket.
fn suits(
    limit: &Limit,
    (rule, here): (Option<&Rule>, bool),
    (place, around): (&Place, &Surroundings<'_>),
    findings: &mut Findings,
) -> bool {
    let Some(rule) = rule else { return true };
    let name = &limit.name;
    match rule.access {
        // what stands under [route_defaults] is for those routes that have callers
        Access::Public if !here => return false,
        Access::Public => {
            let text = format!("limit {name:?} counts callers, and a public route knows none; count by \"ip\"");
            findings.mistake(place, text);
            return false;
        }
        Access::Optional if limit.key.contains(&Part::Ip) => {}
        Access::Optional => {
            let text = format!("limit {name:?} counts callers: all anonymous ones of this route share one bucket");
            findings.warning(place, text);
        }
        Access::Authenticated => {}
    }
    let signs_in = |from: &SourceName| around.providers.contains(&from.as_str());
    let takes_sessions = rule.accepts_session && (rule.from.is_empty() || rule.from.iter().any(signs_in));
    if takes_sessions && is_one_for_many(limit, &Part::Client) {
        let text = format!(
            "limit {name:?} counts clients, and that of all who sign in is the gate: sessions of one provider count \
             together; name it where accept = [\"bearer\"]"
        );
        findings.warning(place, text);
    }
    let keyless = rule.from.is_empty() || rule.from.iter().any(|from| from.as_str() != API_KEY);
    let bearers = rule.accepts_bearer && !(around.issuers.is_empty() && around.providers.is_empty());
    if keyless && (rule.accepts_session || bearers) && is_one_for_many(limit, &Part::ApiKey) {
        let text = format!(
            "limit {name:?} counts API keys: all callers of this route without one share one bucket; name it where \
             accept = [\"api_key\"]"
        );
        findings.warning(place, text);
    }
    true
}

/// Whether it counts by `part`, and by nothing that differs from one caller without it to the next.
fn is_one_for_many(limit: &Limit, part: &Part) -> bool {
    let differs = |part: &Part| matches!(part, Part::User | Part::Session | Part::Token | Part::Ip);
    limit.key.contains(part) && !limit.key.iter().any(differs)
}

fn in_flight(field: &Field<usize>, findings: &mut Findings) -> Option<u32> {
    let most = u32::try_from(field.value?).ok();
    if most.is_none() {
        findings.mistake(&field.place, format!("is a number from 0 to {MOST}"));
    }
    most
}
