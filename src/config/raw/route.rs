//! `[[route]]` and `[route_defaults]`.

use super::shape::{table, Field, List};
use super::value::{words, Name, Size};
use crate::domain::policy::pattern::{HostPattern, PathPattern};
use http::{HeaderName, HeaderValue, Method};
use std::collections::BTreeMap;
use std::time::Duration;

table! {
    /// Who may do what, and where it is forwarded.
    Route {
        /// "app.example.com" or "*.example.com"; without it, any.
        host: HostPattern,
        /// Exact "/a", one segment "/a/{id}", or "/a/**" for /a, /a/ and everything below.
        path: PathPattern,
        /// Without a list: GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS. GET implies HEAD.
        methods: List<Method>,
        /// Not needed when there is only one.
        upstream: Name,
        /// Who gets in. roles, scopes and when imply "authenticated".
        access: Access,
        /// Issuers whose callers count here; without it, all.
        from: List<String>,
        /// Any of these.
        roles: List<String>,
        /// All of these.
        scopes: List<String>,
        /// A CEL expression over claims and request that must be true.
        when: String,
        /// Credentials that count here.
        accept: List<Credential> = ["bearer"],
        /// How many requests may be under way at once; 0 is any number.
        max_in_flight: usize = 0,
        /// Ask for strict revocation freshness.
        sensitive: bool = false,
        /// What callers without a credential get.
        on_unauthenticated: OnUnauthenticated = "auto",
        /// false: an upgrade is refused and never reaches the backend.
        websocket: bool = true,
        /// Cross-origin requests; with origins set, preflights are answered by the gate.
        cors: Cors = {},
        /// "reject" refuses %2F in a path; "keep" passes it as plain data within a segment.
        encoded_slash: EncodedSlash = "reject",
        /// Taken off the front of the path.
        strip_prefix: String = "",
        /// Headers set on, or removed from, what the backend receives.
        request_headers: RequestHeaders = {},
        /// The largest request body; server.max_body when not given.
        max_body: Size,
    }
    later {
        /// Rate limits by name.
        limits: List<String>,
        /// Ask for a stronger or fresher sign-in.
        step_up: super::later::StepUp,
        /// Whether cookies need proof of where the request comes from.
        csrf: bool,
        /// Whether requests here keep a session alive.
        activity: bool,
    }
}

table! {
    /// Cross-origin requests.
    Cors {
        /// "https://app.example.com", or "*" alone.
        origins: List<String> = [],
        /// Besides GET, HEAD and POST.
        methods: List<Method> = [],
        /// Request headers scripts may set.
        headers: List<HeaderName> = [],
        /// Whether cookies and Authorization may come along.
        credentials: bool = false,
        /// How long a browser remembers the answer.
        max_age: Duration = "10m",
    }
}

table! {
    /// Headers set on, or removed from, what the backend receives.
    RequestHeaders {
        set: BTreeMap<String, Field<HeaderValue>> = {},
        remove: List<HeaderName> = [],
    }
}

words! {
    /// Who gets in.
    Access { "public" => Public, "optional" => Optional, "authenticated" => Authenticated }
}

words! {
    /// A kind of credential.
    Credential { "bearer" => Bearer } later "session", "api_key", "mtls"
}

words! {
    /// What callers without a credential get.
    OnUnauthenticated { "auto" => Auto, "401" => Refuse } later "login"
}

words! {
    /// What happens to %2F.
    EncodedSlash { "reject" => Reject, "keep" => Keep }
}
