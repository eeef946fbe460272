//! A route: where it stands, what it asks, and how it forwards.

use super::cors::Cors;
use super::pattern::{HostPattern, PathPattern};
use super::rule::Rule;
pub use crate::domain::csrf::Csrf;
use crate::domain::limit::RouteLimits;
use http::{HeaderName, HeaderValue, Method};

/// The methods any route without a `methods` list takes. Others pass only where they are listed.
pub const COMMON_METHODS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// One `[[route]]`, resolved.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its place in the file, and the index into everything kept per route.
    pub index: usize,
    pub host: HostPattern,
    pub path: PathPattern,
    /// `None`: the common methods.
    pub methods: Option<Vec<Method>>,
    /// Index into the settings' upstreams.
    pub upstream: usize,
    pub rule: Rule,
    pub forwarding: Forwarding,
    pub unauthenticated: OnUnauthenticated,
    pub csrf: Csrf,
    /// Whether requests here keep a session alive.
    pub activity: bool,
    /// Nobody gets in on a list of revocations that may lack something, and a token counts once.
    pub sensitive: bool,
    pub cors: Option<Cors>,
    pub limits: RouteLimits,
}

/// How an admitted request is changed and bounded on its way to the backend.
#[derive(Clone, Debug)]
pub struct Forwarding {
    pub encoded_slash: EncodedSlash,
    /// Taken off the front of the path; "" for nothing.
    pub strip_prefix: String,
    pub set_headers: Vec<(HeaderName, HeaderValue)>,
    pub remove_headers: Vec<HeaderName>,
    pub websocket: bool,
    /// Bytes of request body.
    pub max_body: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlash {
    Reject,
    Keep,
}

/// What a caller without a credential gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnUnauthenticated {
    /// Sign-in for a browser's navigation, 401 for everybody else.
    Auto,
    /// Sign-in for everybody.
    Login,
    Refuse,
}

impl Route {
    /// Whether this route takes `method`. GET implies HEAD; TRACE and CONNECT are taken by nobody.
    #[must_use]
    pub fn takes(&self, method: &Method) -> bool {
        if *method == Method::TRACE || *method == Method::CONNECT {
            return false;
        }
        match &self.methods {
            None => COMMON_METHODS.contains(method),
            Some(listed) => listed.contains(method) || (*method == Method::HEAD && listed.contains(&Method::GET)),
        }
    }

    /// How people and metrics name this route: `GET,POST app.example.com/admin/**`.
    #[must_use]
    pub fn label(&self) -> String {
        let methods = self.methods.as_ref().map(|listed| {
            let names: Vec<&str> = listed.iter().map(Method::as_str).collect();
            format!("{} ", names.join(","))
        });
        format!("{}{}{}", methods.unwrap_or_default(), self.host, self.path.as_str())
    }
}
