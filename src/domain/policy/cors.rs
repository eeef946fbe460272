//! Cross-origin requests (the CORS protocol of the Fetch standard), answered by the gate where a route lists origins.
//!
//! The backend's own CORS headers are dropped on such routes: two sets of answers would contradict each other.

use crate::domain::denial::{Code, Denial};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
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

/// What a browser asks before it sends a request that a form could not.
#[derive(Debug)]
pub struct Preflight<'a> {
    origin: &'a HeaderValue,
    pub method: Method,
    headers: Vec<String>,
}

/// What every answer of a route with `cors` carries.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The value of `Access-Control-Allow-Origin`; `None`: this origin may not read the answer.
    origin: Option<HeaderValue>,
    credentials: bool,
}

impl Cors {
    /// What the origin of a request with these `headers` may read.
    #[must_use]
    pub fn grant(&self, headers: &HeaderMap) -> Grant {
        match headers.get(ORIGIN).and_then(|origin| self.allow(origin)) {
            Some(origin) => Grant { origin: Some(origin), credentials: self.credentials },
            None => Grant::refused(),
        }
    }

    /// The headers of the 204 that lets a browser go ahead.
    ///
    /// # Errors
    /// 403 when the origin, the method or a header is not allowed.
    pub fn preflight(&self, asked: &Preflight<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, Denial> {
        let origin = self.allow(asked.origin).ok_or_else(|| refused("the origin is not listed"))?;
        let simple = [Method::GET, Method::HEAD, Method::POST].contains(&asked.method);
        if !simple && !self.methods.iter().any(|method| method == asked.method.as_str()) {
            return Err(refused("the method is not listed"));
        }
        if !asked.headers.iter().all(|name| self.headers.contains(name)) {
            return Err(refused("a header is not listed"));
        }
        let mut headers: Vec<_> = Grant { origin: Some(origin), credentials: self.credentials }.headers().collect();
        let listed = [
            (ACCESS_CONTROL_ALLOW_METHODS, self.methods.join(", ")),
            (ACCESS_CONTROL_ALLOW_HEADERS, self.headers.join(", ")),
            (ACCESS_CONTROL_MAX_AGE, self.max_age.as_secs().to_string()),
        ];
        let listed = listed.into_iter().filter(|(_, value)| !value.is_empty());
        headers.extend(listed.filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))));
        Ok(headers)
    }

    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::Listed(listed) => {
                listed.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
            }
        }
    }
}

impl<'a> Preflight<'a> {
    /// A CORS preflight: OPTIONS with an origin and the method that is to come.
    #[must_use]
    pub fn read(method: &Method, headers: &'a HeaderMap) -> Option<Self> {
        if *method != Method::OPTIONS {
            return None;
        }
        let origin = headers.get(ORIGIN)?;
        let method = Method::from_bytes(headers.get(ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()?;
        let listed = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
        let names = listed.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase());
        Some(Self { origin, method, headers: names.filter(|name| !name.is_empty()).collect() })
    }
}

impl Grant {
    /// No origin may read the answer; that it depends on the origin is said all the same, for caches.
    #[must_use]
    pub fn refused() -> Self {
        Self { origin: None, credentials: false }
    }

    /// The headers to set on the answer.
    pub fn headers(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + '_ {
        let origin = self.origin.iter().map(|origin| (ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()));
        let credentials = self.origin.iter().filter(|_| self.credentials);
        let credentials = credentials.map(|_| (ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")));
        origin.chain(credentials).chain([(VARY, HeaderValue::from_static("Origin"))])
    }
}

fn refused(detail: &'static str) -> Denial {
    Denial::new(Code::OriginNotAllowed, detail)
}

#[cfg(test)]
#[path = "cors_tests.rs"]
mod tests;
