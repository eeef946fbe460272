//! The file as typed: every table and key, what it takes, and its default. Nobody outside `config` sees any of it.
//!
//! A table here is at once the parser, the list of known keys and the JSON Schema of its part of the file, so the
//! three cannot drift apart. A key whose feature is not built yet stands here too, as [`shape::Later`].

pub(super) mod identity;
pub(super) mod issuer;
pub(super) mod later;
pub(super) mod route;
pub(super) mod server;
pub(super) mod shape;
pub(super) mod upstream;
pub(super) mod value;

use shape::{table, Later, List};

table! {
    /// The configuration of Doorward.
    File {
        /// Further files, relative to this one: "routes.d/*.toml". They may hold routes, upstreams, issuers and limits.
        include: List<String> = [],
        /// Where the gate listens, and how it reads requests.
        server: server::Server = {},
        /// Where operators, probes and Prometheus find it.
        admin: server::Admin = {},
        /// Where state is kept.
        store: server::Store = {},
        /// The keys our own tokens are signed with.
        keys: Later<later::Keys>,
        /// The tokens we issue.
        tokens: Later<later::Tokens>,
        /// How long a sign-in lasts, and how it reaches the browser.
        session: Later<later::Session>,
        /// How a stolen cookie is told from its owner's.
        device: Later<later::Device>,
        /// What counts as somebody being there.
        activity: Later<later::Activity>,
        /// What the backend is told about the caller.
        identity: identity::Identity = {},
        /// Who signs people in.
        provider: Later<List<later::Provider>>,
        /// Whose bearer tokens are accepted.
        issuer: List<issuer::Issuer> = [],
        /// Machines that may use the token endpoint.
        client: Later<List<later::Client>>,
        /// What happens after failed sign-ins.
        brute_force: Later<later::BruteForce>,
        /// Rate limits.
        limit: Later<List<later::Limit>>,
        /// The applications behind the gate.
        upstream: List<upstream::Upstream> = [],
        /// Who may do what, and where it is forwarded.
        route: List<route::Route> = [],
        /// Values for every route that does not say otherwise.
        route_defaults: route::Route = {},
    }
}

table! {
    /// A file named by `include`.
    Included {
        issuer: List<issuer::Issuer> = [],
        limit: Later<List<later::Limit>>,
        upstream: List<upstream::Upstream> = [],
        route: List<route::Route> = [],
    }
}
