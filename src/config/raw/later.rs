//! Tables whose features are not built yet: described, so that an editor can say so, and refused wherever they stand.

use super::shape::{table, Field, List};
use super::value::{Fraction, OneOrMore};
use std::collections::BTreeMap;
use std::time::Duration;

table! { later
    /// The keys our own tokens are signed with.
    Keys {
        algorithm: String = "ES256",
        rotate_every: Duration = "30d",
        publish_ahead: Duration = "24h",
        overlap: Duration = "48h",
    }
}

table! { later
    /// The tokens we issue.
    Tokens {
        audience: OneOrMore<String>,
        access_ttl: Duration = "15m",
        refresh_ttl: Duration = "30d",
        rotation: String = "always",
        reuse_grace: Duration = "30s",
        nesting: String = "none",
        session_claim: String = "sid",
    }
}

table! { later
    /// How long a sign-in lasts, and how it reaches the browser.
    Session {
        mode: String = "jwt",
        delivery: String = "cookie",
        renewal: String = "transparent",
        max_per_user: usize = 5,
        on_limit: String = "evict_oldest",
        idle_timeout: Duration = "30m",
        absolute_timeout: Duration = "12h",
        warn_before: Duration = "5m",
        cookie: Cookie = {},
    }
}

table! { later
    /// The cookies of a session.
    Cookie {
        same_site: String = "lax",
        domain: String = "",
    }
}

table! { later
    /// How a stolen cookie is told from its owner's.
    Device {
        level: String = "normal",
        on_mismatch: String = "step_up",
        weights: BTreeMap<String, Field<Fraction>> = {},
        risk_ttl: BTreeMap<String, Field<Duration>> = {},
    }
}

table! { later
    /// What counts as somebody being there.
    Activity {
        weights: BTreeMap<String, Field<Fraction>> = {},
        buffer: usize = 100,
    }
}

table! { later
    /// Who signs people in.
    Provider {
        name: String,
        kind: String,
        issuer: String,
        client_id: String,
        client_secret: String,
        scopes: List<String>,
        roles_claim: String,
        users: String,
    }
}

table! { later
    /// A machine that may use the token endpoint.
    Client {
        id: String,
        secret_hash: String,
        jwks_file: String,
        grants: List<String>,
        scopes: List<String>,
    }
}

table! { later
    /// What happens after failed sign-ins.
    BruteForce {
        free: usize = 9,
        block: Duration = "60s",
        block_max: Duration = "1h",
    }
}

table! { later
    /// A rate limit.
    Limit {
        name: String,
        key: List<String>,
        rate: String,
        burst: usize,
        exact: bool = false,
        cost: usize = 1,
        on_store_down: String = "local",
        shadow: bool = false,
        headers: bool = true,
    }
}

table! { later
    /// A further operator's token.
    AdminToken {
        name: String,
        role: String,
        secret: String,
    }
}

table! { later
    /// A stronger or fresher sign-in.
    StepUp {
        acr: List<String>,
        max_age: Duration,
    }
}
