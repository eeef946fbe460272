//! `when`: a CEL expression over claims, request and session, compiled when the file is loaded.

use super::rule::forbidden;
use crate::domain::denial::Denial;
use crate::domain::principal::Principal;
use crate::domain::time::UnixTime;
use http::HeaderMap;
use std::net::IpAddr;

/// What an expression may ask about the request, besides the caller.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'r> {
    pub method: &'r str,
    /// Folded, without port.
    pub host: &'r str,
    /// Canonical, triplets as they are.
    pub path: &'r str,
    pub query: Option<&'r str>,
    pub headers: &'r HeaderMap,
    pub ip: Option<IpAddr>,
    pub now: UnixTime,
}

/// LOCAL STUB, not committed.
#[derive(Clone, Debug)]
pub struct Expression;
impl Expression {
    pub fn holds(&self, _: Option<&Principal>, _: &Facts<'_>) -> Result<(), Denial> { Err(forbidden(String::new())) }
}
