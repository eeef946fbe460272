//! What a finished request leaves behind.

use super::answer::Kind;
use super::permit::Caller;
pub use super::permit::Memory;
use super::{Answer, Permit};
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::{AuthMethod, Principal};
use std::net::IpAddr;
use std::time::Duration;

/// What became of a request; the `decision` of metrics and access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let through; the answer is the upstream's.
    Admitted,
    /// Turned away: the caller may not pass, or asked for something that does not exist.
    Refused,
    /// Answered here without refusing anything: a preflight.
    Answered,
    /// Let through, but we or the upstream could not do our part.
    Failed,
    /// The client left, or was cut off, before there was an answer.
    Aborted,
}

/// One request, as observers see it. It holds no credential.
#[derive(Debug)]
pub struct Record<'a> {
    pub request_id: &'a str,
    pub trace_id: &'a str,
    pub client: Option<IpAddr>,
    pub method: &'a str,
    pub host: &'a [u8],
    /// The target as it arrived or as it was made canonical; observers cut the query off.
    pub path: &'a [u8],
    pub route: Option<usize>,
    pub decision: Decision,
    pub denial: Option<&'a Denial>,
    pub status: u16,
    pub auth: Auth<'a>,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub took: Duration,
    /// From the complete head to our decision.
    pub gate: Duration,
    pub upstream: Option<usize>,
    /// From our decision to the response header.
    pub upstream_took: Option<Duration>,
    pub protocol: &'static str,
}

/// What is known of the caller at the end.
#[derive(Clone, Copy, Debug)]
pub enum Auth<'a> {
    /// Nothing was presented, or nothing was looked at.
    Nobody,
    Accepted {
        principal: &'a Principal,
        memory: Memory,
    },
    Refused(AuthMethod),
}

impl Decision {
    pub const ALL: [Self; 5] = [Self::Admitted, Self::Refused, Self::Answered, Self::Failed, Self::Aborted];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused => "refused",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

impl Auth<'_> {
    #[must_use]
    pub fn method(&self) -> AuthMethod {
        match self {
            Self::Nobody => AuthMethod::Anonymous,
            Self::Accepted { principal, .. } => principal.method,
            Self::Refused(method) => *method,
        }
    }
}

impl Caller {
    fn auth(&self) -> Auth<'_> {
        match self {
            Self::Anonymous => Auth::Nobody,
            Self::Known { verified, memory } => Auth::Accepted { principal: &verified.principal, memory: *memory },
        }
    }
}

impl Permit {
    #[must_use]
    pub fn auth(&self) -> Auth<'_> {
        self.caller().auth()
    }
}

impl Answer {
    #[must_use]
    pub fn denial(&self) -> Option<&Denial> {
        match &self.kind {
            Kind::Refusal(denial) => Some(denial),
            Kind::Served(denial) => denial.as_ref(),
            Kind::Preflight | Kind::Redirect(..) | Kind::Own(_) => None,
        }
    }

    #[must_use]
    pub fn auth(&self) -> Auth<'_> {
        // What one of our own endpoints refuses is its own affair: an ID token is nobody's credential.
        let refused = self.denial().filter(|_| !matches!(self.kind, Kind::Served(_)));
        match refused.map(|denial| denial.code) {
            Some(Code::TokenInvalid | Code::TokenExpired | Code::ProviderUnavailable) => {
                Auth::Refused(AuthMethod::Bearer)
            }
            Some(Code::ApiKeyInvalid) => Auth::Refused(AuthMethod::ApiKey),
            _ => self.caller.as_ref().map_or(Auth::Nobody, Caller::auth),
        }
    }
}
