//! Cross-origin requests (the CORS protocol of the Fetch standard), answered by the gate where a route lists origins.

use std::time::Duration;

/// `cors = { … }` of one route.
#[derive(Clone, Debug)]
pub struct Cors {
    pub origins: Origins,
    /// Upper-case method names allowed in a preflight, besides the safelisted GET, HEAD and POST.
    pub methods: Vec<String>,
    /// Lower-case header names.
    pub headers: Vec<String>,
    pub credentials: bool,
    pub max_age: Duration,
}

#[derive(Clone, Debug)]
pub enum Origins {
    /// `["*"]`, which excludes credentials.
    Any,
    /// Serialised origins, compared byte for byte: `https://app.example.com`.
    Listed(Vec<String>),
}

impl Cors {
    /// The value of `Access-Control-Allow-Origin` for a request from `origin`, or `None` when it is not allowed.
    #[must_use]
    pub fn allow<'o>(&self, origin: &'o str) -> Option<&'o str> {
        match &self.origins {
            Origins::Any => Some("*"),
            Origins::Listed(listed) => listed.iter().any(|known| known == origin).then_some(origin),
        }
    }
}
