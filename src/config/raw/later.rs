//! Tables whose features are not built yet: described, so that an editor can say so, and refused wherever they stand.

use super::shape::{table, Field, List};
use super::value::Fraction;
use std::collections::BTreeMap;
use std::time::Duration;

table! { later
    /// What counts as somebody being there.
    Activity {
        weights: BTreeMap<String, Field<Fraction>> = {},
        buffer: usize = 100,
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
    /// A stronger or fresher sign-in.
    StepUp {
        acr: List<String>,
        max_age: Duration,
    }
}
