//! The file as typed: every table and key, what it takes, and its default. Nobody outside `config` sees any of it.
//!
//! A table here is at once the parser, the list of known keys and the JSON Schema of its part of the file, so the
//! three cannot drift apart. A key whose feature is not built yet stands here too, under `later`.

pub(super) mod guard;
pub(super) mod identity;
pub(super) mod issuer;
pub(super) mod later;
pub(super) mod limit;
pub(super) mod provider;
pub(super) mod route;
pub(super) mod server;
pub(super) mod session;
pub(super) mod shape;
pub(super) mod store;
pub(super) mod upstream;
pub(super) mod value;

use shape::{table, List};

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
        store: store::Store = {},
        /// The keys our own tokens are signed with.
        keys: session::Keys = {},
        /// The tokens we issue.
        tokens: session::Tokens = {},
        /// How long a sign-in lasts, and how it reaches the browser.
        session: session::Session = {},
        /// How a copied cookie is told from its owner's.
        device: session::Device = {},
        /// Who signs people in.
        provider: List<provider::Provider> = [],
        /// What happens after failed sign-ins.
        brute_force: guard::BruteForce = {},
        /// Who is asked whether a program is signing in.
        bot: guard::Bot = {},
        /// How the gate's own pages look.
        pages: provider::Pages = {},
        /// What the backend is told about the caller.
        identity: identity::Identity = {},
        /// Whose bearer tokens are accepted.
        issuer: List<issuer::Issuer> = [],
        /// The applications behind the gate.
        upstream: List<upstream::Upstream> = [],
        /// Who may do what, and where it is forwarded.
        route: List<route::Route> = [],
        /// Rate limits, for routes to name.
        limit: List<limit::Limit> = [],
        /// What all limits have in common.
        limits: limit::Limits = {},
        /// Values for every route that does not say otherwise.
        route_defaults: route::Route = {},
    }
    later {
        /// What counts as somebody being there.
        activity: later::Activity,
        /// Machines that may use the token endpoint.
        client: List<later::Client>,
    }
}

table! {
    /// A file named by `include`.
    Included {
        issuer: List<issuer::Issuer> = [],
        upstream: List<upstream::Upstream> = [],
        route: List<route::Route> = [],
        limit: List<limit::Limit> = [],
    }
}
