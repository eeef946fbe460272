//! Choosing a route: host first, then the path pattern, then the method. A choice once made is final.

use super::pattern::{HostPattern, Segment};
use super::route::Route;
use crate::domain::denial::{Code, Denial};
use foldhash::fast::RandomState;
use http::Method;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All routes, arranged so that a request finds its own in one walk along its path.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    exact: HashMap<String, Node, RandomState>,
    /// Longest suffix first: `*.a.example.com` stands before `*.example.com`.
    under: BTreeMap<(Reverse<usize>, String), Node>,
    any: Option<Node>,
}

/// A place in the tree of path segments.
#[derive(Clone, Debug, Default)]
struct Node {
    literal: HashMap<String, Self, RandomState>,
    param: Option<Box<Self>>,
    /// Routes whose pattern ends here; those that list their methods stand first.
    here: Vec<usize>,
    /// Routes whose pattern ends here with `/**`.
    below: Vec<usize>,
}

/// No route of the chosen pattern takes the method.
#[derive(Debug, PartialEq, Eq)]
pub struct MethodNotAllowed {
    /// The value of `Allow` (RFC 9110 section 10.2.1).
    pub allow: String,
}

/// The routes of the pattern a request matched: what is left is the method.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'t> {
    table: &'t RouteTable,
    candidates: &'t [usize],
}

impl RouteTable {
    /// Arranges `routes`, which must already be free of ties (see [`ties`]); each route's `index` is its place.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        let mut table = Self::default();
        for (index, route) in routes.iter().enumerate() {
            let root = match &route.host {
                HostPattern::Exact(name) => table.exact.entry(name.clone()).or_default(),
                HostPattern::Under(suffix) => table.under.entry((Reverse(suffix.len()), suffix.clone())).or_default(),
                HostPattern::Any => table.any.get_or_insert_default(),
            };
            let node = route.path.segments.iter().fold(root, Node::descend);
            let list = if route.path.subtree { &mut node.below } else { &mut node.here };
            list.push(index);
            list.sort_by_key(|at| routes.get(*at).is_some_and(|r| r.methods.is_none()));
        }
        table.routes = routes;
        table
    }

    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The pattern for `host` (folded, without port) and canonical `path`.
    ///
    /// # Errors
    /// 404: nothing is configured here. Less specific hosts are not consulted once a host is chosen.
    pub fn choose(&self, host: &str, path: &str) -> Result<Chosen<'_>, Denial> {
        let candidates = self.root(host).and_then(|root| root.find(path.strip_prefix('/')));
        let candidates = candidates.ok_or_else(|| Denial::new(Code::NoRoute, "no route for this host and path"))?;
        Ok(Chosen { table: self, candidates })
    }

    fn root(&self, host: &str) -> Option<&Node> {
        if let Some(node) = self.exact.get(host) {
            return Some(node);
        }
        let under = |suffix: &str| host.len() > suffix.len() && host.ends_with(suffix);
        let wild = self.under.iter().find(|((_, suffix), _)| under(suffix));
        wild.map(|(_, node)| node).or(self.any.as_ref())
    }
}

impl<'t> Chosen<'t> {
    /// The route that takes `method`: one that lists it before one that merely implies it.
    ///
    /// # Errors
    /// 405 with the methods that would be taken.
    pub fn for_method(self, method: &Method) -> Result<&'t Route, MethodNotAllowed> {
        let listed = self.routes().find(|r| r.methods.as_ref().is_some_and(|m| m.contains(method)) && r.takes(method));
        let taken = listed.or_else(|| self.routes().find(|route| route.takes(method)));
        taken.ok_or_else(|| MethodNotAllowed { allow: self.allow() })
    }

    /// Every route of the chosen pattern.
    pub fn routes(self) -> impl Iterator<Item = &'t Route> {
        self.candidates.iter().filter_map(move |at| self.table.routes.get(*at))
    }

    fn allow(self) -> String {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        for route in self.routes() {
            let listed = route.methods.as_deref().unwrap_or(&super::route::COMMON_METHODS);
            names.extend(listed.iter().filter(|m| route.takes(m)).map(Method::as_str));
            if route.takes(&Method::HEAD) {
                names.insert("HEAD");
            }
        }
        names.into_iter().collect::<Vec<_>>().join(", ")
    }
}

impl Node {
    fn descend<'n>(&'n mut self, segment: &Segment) -> &'n mut Self {
        match segment {
            Segment::Literal(text) => self.literal.entry(text.clone()).or_default(),
            Segment::Param(_) => self.param.get_or_insert_default(),
        }
    }

    /// The most specific pattern for what is left of the path: literal over `{x}` over `**`, segment by segment.
    /// Every node is visited at most once, so no path can make this slow. `None` is the end of the path.
    fn find(&self, rest: Option<&str>) -> Option<&[usize]> {
        let Some(rest) = rest else {
            return [&self.here, &self.below].into_iter().find(|list| !list.is_empty()).map(Vec::as_slice);
        };
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        let literal = self.literal.get(segment).and_then(|node| node.find(rest));
        let found = literal.or_else(|| match &self.param {
            Some(node) if !segment.is_empty() => node.find(rest),
            _ => None,
        });
        found.or_else(|| (!self.below.is_empty()).then_some(self.below.as_slice()))
    }
}

/// Pairs of routes of which no request could say which is meant: same host, same pattern (whatever its parameters
/// are called), and a method both list, or neither has a list. Indices into `routes`, earlier first.
#[must_use]
pub fn ties(routes: &[Route]) -> Vec<(usize, usize)> {
    let mut claimed: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    let mut ties = Vec::new();
    for (index, route) in routes.iter().enumerate() {
        let place = format!("{}{}", route.host, shape(route));
        let methods = route
            .methods
            .as_ref()
            .map_or_else(|| vec![None], |listed| listed.iter().map(|m| Some(m.as_str().to_owned())).collect());
        let mut rivals: Vec<usize> = methods
            .into_iter()
            .filter_map(|method| match claimed.entry((place.clone(), method)) {
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(index);
                    None
                }
                std::collections::btree_map::Entry::Occupied(taken) => Some(*taken.get()).filter(|at| *at != index),
            })
            .collect();
        rivals.dedup();
        ties.extend(rivals.into_iter().map(|earlier| (earlier, index)));
    }
    ties
}

fn shape(route: &Route) -> String {
    let segments = route.path.segments.iter().map(|segment| match segment {
        Segment::Literal(text) => text.as_str(),
        Segment::Param(_) => "{}",
    });
    let mut shape: String = segments.flat_map(|segment| ["/", segment]).collect();
    if route.path.subtree {
        shape.push_str("/**");
    }
    shape
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
