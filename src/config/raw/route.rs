//! `[[route]]` and `[route_defaults]`.

use super::shape::{kind, table, Field, List, Node, Read, Shape};
use super::value::{words, Name, Size};
use crate::config::mistakes::Place;
use crate::config::reading::Reading;
use crate::domain::policy::pattern::{HostPattern, PathPattern};
use crate::domain::policy::route::{Csrf, OnUnauthenticated};
use http::{HeaderName, HeaderValue, Method};
use serde_json::{json, Value as Json};
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
        /// Providers and issuers whose callers count here; without it, all.
        from: List<String>,
        /// Any of these.
        roles: List<String>,
        /// All of these.
        scopes: List<String>,
        /// A CEL expression over claims and request that must be true.
        when: String,
        /// Credentials that count here.
        accept: List<Credential> = ["session", "bearer", "api_key"],
        /// Rate limits by name; each of them counts a request.
        limits: List<String> = [],
        /// What a request here costs in each of them; without it, what the limit says.
        cost: usize,
        /// How many requests may be under way at once on a replica; 0 is any number.
        max_in_flight: usize = 0,
        /// The same for each user: source and subject.
        max_in_flight_per_user: usize = 0,
        /// Nobody gets in while the list of revocations may lack something, and a token counts once.
        sensitive: bool = false,
        /// What callers without a credential get: "auto" shows sign-in to a browser that navigates and tells others 401.
        on_unauthenticated: OnUnauthenticated = "auto",
        /// Whether a request with our cookie must come from our own pages or csrf_origins; "strict" also where it does not say.
        csrf: Csrf = true,
        /// false: requests here do not keep a session alive.
        activity: bool = true,
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
        /// Ask for a stronger or fresher sign-in.
        step_up: super::later::StepUp,
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
    Credential { "session" => Session, "bearer" => Bearer, "api_key" => ApiKey } later "mtls"
}

words! { impl OnUnauthenticated { "auto" => Auto, "login" => Login, "401" => Refuse } }

words! {
    /// What happens to %2F.
    EncodedSlash { "reject" => Reject, "keep" => Keep }
}

impl Shape for Csrf {
    fn schema() -> Json {
        json!({ "enum": [true, false, "strict"] })
    }
}

impl Read for Csrf {
    fn read(node: &Node<'_>, place: &Place, reading: &mut Reading<'_>) -> Option<Self> {
        let csrf = match (node.get_ref().as_bool(), node.get_ref().as_str()) {
            (Some(true), _) => Some(Self::On),
            (Some(false), _) => Some(Self::Off),
            (None, Some("strict")) => Some(Self::Strict),
            (None, _) => None,
        };
        if csrf.is_none() {
            reading.mistake(place, format!("true, false or \"strict\" is expected here, not {}", kind(node)));
        }
        csrf
    }
}
