//! `[identity]`: what the backend is told about the caller.

use super::shape::{table, Field};
use std::collections::BTreeMap;

table! {
    /// What the backend is told about the caller.
    Identity {
        /// Send a signed JWT about the caller.
        assertion: bool = false,
        /// Pass the caller's own Authorization header on.
        forward_authorization: bool = false,
        /// Header = claim path. These replace the default set.
        headers: BTreeMap<String, Field<String>> = {
            "X-Auth-Subject" = "sub",
            "X-Auth-Email" = "email",
            "X-Auth-Name" = "name",
            "X-Auth-Roles" = "roles",
            "X-Auth-Scopes" = "scope",
            "X-Auth-Session" = "sid",
            "X-Auth-Method" = "method",
            "X-Auth-Provider" = "provider"
        },
    }
    later {
        /// The header that carries it.
        assertion_header: String,
    }
}
