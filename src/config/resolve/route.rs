//! `[[route]]`, each with what `[route_defaults]` says for it.

use super::forwarding::{cors, forwarding};
use super::issuer::API_KEY;
use super::origins::Reach;
use super::rule::rule;
use super::{required, values};
use crate::config::include::Findings;
use crate::config::mistakes::{did_you_mean, Place};
use crate::config::raw::route::Route as Raw;
use crate::config::raw::server::Admin;
use crate::config::raw::shape::{Field, List};
use crate::config::raw::store::{Store, StoreUrl};
use crate::config::raw::File;
use crate::config::settings::{Mode, StoreKind};
use crate::domain::headers::identity::IdentityHeaders;
use crate::domain::headers::managed::Managed;
use crate::domain::limit::Limit;
use crate::domain::policy::pattern::HostPattern;
use crate::domain::policy::route::OnUnauthenticated;
use crate::domain::policy::rule::{Access, Rule};
use crate::domain::policy::table::ties;
use crate::domain::policy::{Route, RouteTable};
use http::Method;

/// What a route may refer to.
pub(super) struct Surroundings<'f> {
    pub(super) defaults: &'f Raw,
    pub(super) issuers: Vec<&'f str>,
    pub(super) providers: Vec<&'f str>,
    /// The source of API keys, where there can be any.
    pub(super) api_keys: Option<&'f str>,
    pub(super) reach: &'f Reach,
    /// Sessions are handles.
    opaque: bool,
    upstreams: Vec<&'f str>,
    prefix: &'f str,
    pub(super) max_body: u64,
    pub(super) managed: Managed,
    pub(super) limits: &'f [Limit],
}

pub(super) fn routes(
    file: &File,
    (identity, limits): (Option<&IdentityHeaders>, &[Limit]),
    reach: &Reach,
    findings: &mut Findings,
) -> Option<RouteTable> {
    let server = file.server.value.as_ref()?;
    let around = Surroundings {
        defaults: file.route_defaults.value.as_ref()?,
        issuers: names(&file.issuer, |issuer| Some(issuer.name.value.as_ref()?.0.as_str())),
        providers: names(&file.provider, |provider| Some(provider.name.value.as_ref()?.0.as_str())),
        api_keys: makes_api_keys(file).then_some(API_KEY),
        reach,
        opaque: file.session.value.as_ref().is_some_and(|session| session.mode.value == Some(Mode::Opaque)),
        upstreams: names(&file.upstream, |upstream| Some(upstream.name.value.as_ref()?.0.as_str())),
        prefix: server.prefix.value.as_deref().unwrap_or("/.auth"),
        max_body: server.max_body.value.map_or(0, |size| size.0),
        managed: Managed::new(identity.into_iter().flat_map(IdentityHeaders::names)),
        limits,
    };
    let list = file.route.value.as_ref()?;
    if list.is_empty() {
        findings.warning(&file.route.place, "there is no route, so every request is answered with 404");
    }
    let mut routes = Vec::with_capacity(list.len());
    let mut places: Vec<&Place> = Vec::with_capacity(list.len());
    for (index, field) in list.iter().enumerate() {
        let Some(raw) = &field.value else { continue };
        if let Some(route) = route(raw, (index, &field.place), &around, findings) {
            routes.push(route);
            places.push(&field.place);
        }
    }
    for (earlier, later) in ties(&routes) {
        if let (Some(earlier), Some(later)) = (places.get(earlier), places.get(later)) {
            findings.mistake(later, format!("ties with {earlier}: no request could say which of the two is meant"));
        }
    }
    (routes.len() == list.len() && findings.mistakes.is_empty()).then(|| RouteTable::new(routes))
}

/// Whether there may be API keys: operators make them, here, at another replica, or before a restart.
fn makes_api_keys(file: &File) -> bool {
    let operators = |admin: &Admin| {
        let token = admin.token.value.as_ref().is_some_and(|token| token.0.is_some());
        token || admin.tokens.value.iter().any(|list| !list.is_empty())
    };
    let outlives = |store: &Store| {
        let alone = matches!(store.url.value, Some(StoreUrl(StoreKind::Memory)));
        !alone || store.state_dir.value.as_ref().is_some_and(|path| path.0.is_some())
    };
    file.admin.value.as_ref().is_some_and(operators) || file.store.value.as_ref().is_some_and(outlives)
}

fn route(
    raw: &Raw,
    (index, place): (usize, &Place),
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<Route> {
    let defaults = around.defaults;
    let host = raw.host.or(&defaults.host);
    let path = required(raw.path.or(&defaults.path), "write which paths it is for, like \"/**\" for all", findings);
    if let Some(path) = path.as_ref().map(|path| path.as_str()).filter(|path| is_under(path, around.prefix)) {
        let text = format!("{path:?} lies under server.prefix ({:?}), where the gate answers itself", around.prefix);
        findings.mistake(&raw.path.or(&defaults.path).place, text);
    }
    let methods = methods(raw.methods.or(&defaults.methods), findings);
    let upstream = upstream(raw, around, findings);
    let rule = rule(raw, place, around, findings);
    let unauthenticated = unauthenticated(raw, rule.as_ref(), around, findings);
    let sensitive = sensitive(raw, rule.as_ref(), around, findings);
    let limits = super::limit::of_route(raw, rule.as_ref(), around, findings);
    let cors = cors(raw.cors.or(&defaults.cors), findings);
    let path = path?;
    let forwarding = forwarding(raw, &path, around, findings);
    Some(Route {
        index,
        host: match &host.value {
            Some(host) => host.clone(),
            None if host.is_given() => return None,
            None => HostPattern::Any,
        },
        path,
        methods,
        upstream: upstream?,
        rule: rule?,
        forwarding: forwarding?,
        unauthenticated: unauthenticated?,
        csrf: raw.csrf.or(&defaults.csrf).value?,
        activity: raw.activity.or(&defaults.activity).value?,
        sensitive: sensitive?,
        cors,
        limits: limits?,
    })
}

fn unauthenticated(
    raw: &Raw,
    rule: Option<&Rule>,
    around: &Surroundings<'_>,
    findings: &mut Findings,
) -> Option<OnUnauthenticated> {
    let field = raw.on_unauthenticated.or(&around.defaults.on_unauthenticated);
    let word = field.value?;
    if word == OnUnauthenticated::Login
        && rule.is_some_and(|rule| rule.access != Access::Public && !rule.accepts_session)
    {
        let text = if around.providers.is_empty() {
            "is \"login\", but there is no [[provider]] to sign in with"
        } else {
            "is \"login\", but the session that gives does not count here; add \"session\" to accept"
        };
        findings.mistake(&field.place, text);
    }
    Some(word)
}

/// Where nobody's credential is looked at, nothing can be used up.
fn sensitive(raw: &Raw, rule: Option<&Rule>, around: &Surroundings<'_>, findings: &mut Findings) -> Option<bool> {
    let field = raw.sensitive.or(&around.defaults.sensitive);
    let Some(rule) = rule.filter(|_| field.value == Some(true)) else { return field.value };
    if rule.access == Access::Public && raw.sensitive.is_given() {
        findings.mistake(&field.place, "is true on a public route, where no credential is looked at");
    }
    if rule.access != Access::Public && rule.accepts_api_key {
        let text =
            "counts tokens once, but API keys are no tokens: with one, requests can be replayed here; only the list \
                    of revocations is asked for strictly. Write accept = [\"session\", \"bearer\"] to keep them out";
        findings.warning(&field.place, text);
    }
    if rule.access != Access::Public && rule.accepts_session && around.opaque {
        let text =
            "counts tokens once, but session.mode is \"opaque\" and handles have none: with a session, requests \
                    can be replayed here; only the list of revocations is asked for strictly";
        findings.warning(&field.place, text);
    }
    Some(rule.access != Access::Public)
}

fn methods(list: &Field<List<Method>>, findings: &mut Findings) -> Option<Vec<Method>> {
    if !list.is_given() {
        return None;
    }
    let methods = values(list);
    if list.value.as_ref().is_some_and(Vec::is_empty) {
        findings.mistake(&list.place, "is empty, so no request could match; leave it out for the common methods");
    }
    if methods.iter().enumerate().any(|(at, method)| methods.iter().take(at).any(|before| before == method)) {
        findings.mistake(&list.place, "lists a method twice");
    }
    Some(methods)
}

fn upstream(raw: &Raw, around: &Surroundings<'_>, findings: &mut Findings) -> Option<usize> {
    let field = raw.upstream.or(&around.defaults.upstream);
    if !field.is_given() {
        return match around.upstreams.len() {
            1 => Some(0),
            0 => {
                findings.mistake(&field.place, "there is no [[upstream]] to forward to");
                None
            }
            count => {
                findings.mistake(&field.place, format!("is missing; say which of the {count} upstreams"));
                None
            }
        };
    }
    let name = field.value.as_ref()?.0.as_str();
    let at = around.upstreams.iter().position(|known| *known == name);
    if at.is_none() {
        let hint = did_you_mean(name, around.upstreams.iter().copied());
        findings.mistake(&field.place, format!("no upstream is called {name:?}{hint}"));
    }
    at
}

/// Whether `path` is `prefix` or something below it.
pub(super) fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// One for each table, also where the name is a mistake, so that indices stay true.
fn names<'f, T>(list: &'f Field<List<T>>, name: impl Fn(&'f T) -> Option<&'f str>) -> Vec<&'f str> {
    list.value.iter().flatten().map(|field| field.value.as_ref().and_then(&name).unwrap_or_default()).collect()
}
