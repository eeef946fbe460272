//! What a route asks of its caller, and the verdict.

use super::expression::{Expression, Facts};
use crate::domain::denial::{Code, Denial};
use crate::domain::principal::{Principal, SourceName};

/// What a route says about access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nobody is asked anything and no credential is looked at.
    Public,
    /// A caller may be anonymous; one who presents a credential must present a good one.
    Optional,
    Authenticated,
}

/// The rule of one route. All parts must hold.
#[derive(Clone, Debug)]
pub struct Rule {
    pub access: Access,
    /// Sources whose callers count here; empty: all.
    pub from: Vec<SourceName>,
    /// Any of these; empty: none needed.
    pub roles: Vec<String>,
    /// All of these.
    pub scopes: Vec<String>,
    pub when: Option<Expression>,
    /// Whether a bearer token counts here (`accept`).
    pub accepts_bearer: bool,
    /// Whether a session counts here (`accept`); never where nobody can sign in.
    pub accepts_session: bool,
    /// Whether an API key counts here (`accept`); never where nobody could make one.
    pub accepts_api_key: bool,
}

impl Rule {
    /// Whether `caller` may pass. `None` is an anonymous caller.
    ///
    /// # Errors
    /// 401 for nobody in particular, 403 for somebody who lacks something. The detail names what is missing,
    /// for the log; the caller learns only that it is forbidden.
    pub fn decide(&self, caller: Option<&Principal>, facts: &Facts<'_>) -> Result<(), Denial> {
        let Some(caller) = caller else {
            return match self.access {
                Access::Public | Access::Optional => Ok(()),
                Access::Authenticated => Err(Denial::new(Code::Unauthenticated, "no credential was presented")),
            };
        };
        if !self.from.is_empty() && !self.from.contains(&caller.source) {
            return Err(forbidden(format!("callers from \"{}\" do not count here", caller.source.as_str())));
        }
        if !self.roles.is_empty() && !self.roles.iter().any(|role| caller.roles.contains(role)) {
            return Err(forbidden(format!("none of the roles {:?}", self.roles)));
        }
        if let Some(missing) = self.scopes.iter().find(|scope| !caller.scopes.contains(scope)) {
            return Err(forbidden(format!("scope \"{missing}\" is missing")));
        }
        match &self.when {
            Some(when) => when.holds(Some(caller), facts),
            None => Ok(()),
        }
    }

    /// Whether anything beyond the credential itself is asked.
    #[must_use]
    pub fn asks_more(&self) -> bool {
        !(self.from.is_empty() && self.roles.is_empty() && self.scopes.is_empty() && self.when.is_none())
    }
}

pub(super) fn forbidden(detail: String) -> Denial {
    Denial::new(Code::Forbidden, detail)
}
