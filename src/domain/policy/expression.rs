//! `when`: a CEL expression over claims, request and session, compiled when the file is loaded.

use super::rule::forbidden;
use crate::domain::denial::Denial;
use crate::domain::headers::Managed;
use crate::domain::principal::Principal;
use crate::domain::time::UnixTime;
use cel::{Context, Env, Program, Value};
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderName};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

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
    /// Names that are ours to set: what came under them was forged, and an expression never sees it.
    pub managed: &'r Managed,
    pub ip: Option<IpAddr>,
    pub now: UnixTime,
}

/// Whoever holds these is the caller; a policy asks about claims instead.
const CREDENTIALS: [HeaderName; 3] = [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE];

/// Brackets within brackets. The parser calls itself for each, and a stack that overflows ends the process.
const DEEPEST: usize = 24;

/// A compiled expression.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    program: Arc<Program>,
    env: Arc<Env>,
}

impl Expression {
    /// # Errors
    /// What the operator wrote wrongly, in words: it does not parse, or it asks about things that do not exist.
    pub fn compile(text: &str) -> Result<Self, String> {
        if nesting(text) > DEEPEST {
            return Err(format!("the expression is nested more than {DEEPEST} deep"));
        }
        // The parser is a library's: a panic in it is the operator's mistake, not our end.
        let compiled =
            catch_unwind(|| Program::compile(text)).map_err(|_| "the expression cannot be parsed".to_owned())?;
        let program = compiled.map_err(|errors| errors.to_string())?;
        for name in program.references().variables() {
            match name {
                "claims" | "request" => {}
                "session" => return Err("`session` in an expression is not available yet".to_owned()),
                other => {
                    return Err(format!("there is no \"{other}\"; an expression may ask about `claims` and `request`"))
                }
            }
        }
        Ok(Self { text: text.into(), program: Arc::new(program), env: Arc::new(Env::stdlib()) })
    }

    /// As the operator wrote it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the expression is true of `caller` and `facts`.
    ///
    /// # Errors
    /// 403 when it is false, not a boolean, or cannot be evaluated: an expression that fails never lets anybody in.
    pub fn holds(&self, caller: Option<&Principal>, facts: &Facts<'_>) -> Result<(), Denial> {
        let evaluated = catch_unwind(AssertUnwindSafe(|| self.program.execute(&self.context(caller, facts)?).ok()));
        match evaluated {
            Ok(Some(Value::Bool(true))) => Ok(()),
            Ok(Some(Value::Bool(false))) => Err(forbidden(format!("`when` is false: {}", self.text))),
            Ok(Some(_)) => Err(forbidden(format!("`when` is not a boolean: {}", self.text))),
            Ok(None) | Err(_) => Err(forbidden(format!("`when` cannot be evaluated: {}", self.text))),
        }
    }

    fn context<'f>(&self, caller: Option<&Principal>, facts: &Facts<'f>) -> Option<Context<'f, 'f>> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        let claims = caller.map(|caller| cel::to_value(&caller.claims)).transpose().ok()?;
        context.add_variable_from_value("claims", claims.unwrap_or_else(|| HashMap::<String, Value>::new().into()));
        context.add_variable_from_value("request", facts.value()?);
        Some(context)
    }
}

impl Facts<'_> {
    fn value(&self) -> Option<Value> {
        let time = chrono::DateTime::from_timestamp(i64::try_from(self.now.0).ok()?, 0)?;
        let mut query: HashMap<String, Value> = HashMap::new();
        for (name, value) in form_urlencoded::parse(self.query.unwrap_or_default().as_bytes()) {
            query.entry(name.into_owned()).or_insert_with(|| value.as_ref().into());
        }
        let shown =
            self.headers.keys().filter(|name| !CREDENTIALS.contains(name) && !self.managed.covers(name.as_str()));
        let headers = shown.filter_map(|name| {
            let first = self.headers.get(name)?.to_str().ok()?;
            Some((name.as_str().to_owned(), Value::from(first)))
        });
        let members: HashMap<String, Value> = HashMap::from([
            ("method".to_owned(), self.method.into()),
            ("path".to_owned(), self.path.into()),
            ("host".to_owned(), self.host.into()),
            ("query".to_owned(), query.into()),
            ("headers".to_owned(), headers.collect::<HashMap<_, _>>().into()),
            ("ip".to_owned(), self.ip.map(|ip| ip.to_string()).unwrap_or_default().into()),
            ("time".to_owned(), Value::Timestamp(time.fixed_offset())),
        ]);
        Some(members.into())
    }
}

/// How many brackets are open at most, those in strings included.
fn nesting(text: &str) -> usize {
    let mut open = 0_usize;
    let depths = text.bytes().map(|byte| {
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open
    });
    depths.max().unwrap_or_default()
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({})", self.text)
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
