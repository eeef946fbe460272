//! Identity headers: what the backend is told about the caller (CONTRACT 4.7 of the design: `[identity.headers]`).

use http::HeaderName;

/// `[identity.headers]`: which header carries which claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityHeaders {
    pub entries: Vec<(HeaderName, String)>,
    /// Pass the caller's own `Authorization` on.
    pub forward_authorization: bool,
}
