//! Who signed in, as the provider says it: the ID token, and the UserInfo endpoint where that is asked too.

use super::id_token::{invalid, IdToken};
use super::ProviderSettings;
use crate::domain::denial::Denial;
use crate::domain::time::UnixTime;
use crate::domain::token::claims::{lookup, strings, take_roles};
use serde_json::{Map, Value};

/// Members about the token rather than the user, and names that are ours to fill.
const NOT_ABOUT_THE_USER: [&str; 20] = [
    "iss",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "nonce",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "typ",
    "sid",
    "provider",
    "method",
    "acr",
    "amr",
    "auth_time",
    "cnf",
    "scope",
];
/// The longest `sid`, `acr` and member of `amr`, in bytes.
const MAX_NAME: usize = 255;

#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Together with the provider's name, the user.
    pub subject: String,
    /// About the user only, `roles` included, as a list.
    pub claims: Map<String, Value>,
    pub roles: Vec<String>,
    pub email: Option<String>,
    /// By the provider's own word; whether its word is needed, `trust_email` says.
    pub email_verified: bool,
    pub name: Option<String>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub auth_time: Option<UnixTime>,
    /// The provider's name of its session, by which a back-channel logout may end ours.
    pub idp_sid: Option<String>,
}

impl Identity {
    /// The user of a checked ID token. What it leaves out is taken from `userinfo`.
    ///
    /// # Errors
    /// `userinfo` is about somebody else, or the `sid` is none.
    pub fn read(
        token: &IdToken,
        userinfo: Option<&Map<String, Value>>,
        settings: &ProviderSettings,
    ) -> Result<Self, Denial> {
        let nothing = Map::new();
        let userinfo = match userinfo {
            Some(userinfo) => about(userinfo, &token.subject)?,
            None => &nothing,
        };
        let from_token = &token.claims;
        let roles = lookup(from_token, &settings.roles_claim).or_else(|| lookup(userinfo, &settings.roles_claim));
        Ok(Self {
            acr: name(from_token, "acr")?,
            amr: amr(from_token),
            auth_time: token.auth_time,
            idp_sid: name(from_token, "sid")?,
            ..Self::of(&token.subject, together(from_token, userinfo), roles)
        })
    }

    /// Claims read again when no ID token came with a refresh. How and when the user signed in stays as it was.
    ///
    /// # Errors
    /// `userinfo` is about somebody else.
    pub fn reread(subject: &str, userinfo: &Map<String, Value>, settings: &ProviderSettings) -> Result<Self, Denial> {
        let userinfo = about(userinfo, subject)?;
        Ok(Self::of(subject, userinfo.clone(), lookup(userinfo, &settings.roles_claim)))
    }

    fn of(subject: &str, mut claims: Map<String, Value>, roles: Option<&Value>) -> Self {
        // a claim that happens to be called "roles" grants nothing when another one was named
        match roles.cloned() {
            Some(roles) => claims.insert("roles".to_owned(), roles),
            None => claims.remove("roles"),
        };
        for name in NOT_ABOUT_THE_USER {
            claims.remove(name);
        }
        claims.insert("sub".to_owned(), Value::String(subject.to_owned()));
        let roles = take_roles(&mut claims);
        let text = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            subject: subject.to_owned(),
            roles,
            email: text("email"),
            email_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
            name: text("name"),
            acr: None,
            amr: Vec::new(),
            auth_time: None,
            idp_sid: None,
            claims,
        }
    }
}

/// An answer about somebody else is a token substituted on the way (OpenID Connect Core section 5.3.2).
fn about<'u>(userinfo: &'u Map<String, Value>, subject: &str) -> Result<&'u Map<String, Value>, Denial> {
    if userinfo.get("sub").and_then(Value::as_str) == Some(subject) {
        Ok(userinfo)
    } else {
        Err(invalid("UserInfo is about another \"sub\""))
    }
}

/// The signed word stands before the other. An address and whether it was verified come from one of them together: the
/// one's `email_verified` says nothing of the other's `email`.
fn together(token: &Map<String, Value>, userinfo: &Map<String, Value>) -> Map<String, Value> {
    let mut claims = userinfo.clone();
    if token.contains_key("email") {
        claims.remove("email_verified");
    }
    let orphaned = !token.contains_key("email") && userinfo.contains_key("email");
    for (name, value) in token {
        if name != "email_verified" || !orphaned {
            claims.insert(name.clone(), value.clone());
        }
    }
    claims
}

/// Refused rather than dropped: without its `sid` a session would outlive the provider's.
fn name(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<String>, Denial> {
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_name(text) => Ok(Some(text.clone())),
        // some providers number their authentication contexts
        Some(Value::Number(number)) if claim == "acr" => Ok(Some(number.to_string())),
        Some(_) => Err(invalid("\"sid\" or \"acr\" is no name")),
    }
}

fn amr(claims: &Map<String, Value>) -> Vec<String> {
    let found = match claims.get("amr") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(list)) => strings(list).unwrap_or_default(),
        Some(_) | None => Vec::new(),
    };
    found.into_iter().filter(|name| is_name(name)).map(str::to_owned).collect()
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
