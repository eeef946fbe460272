//! Whether a person is signing in or a program: somebody else knows better than we do, and is asked.

use crate::domain::session::UserHash;
use async_trait::async_trait;
use std::fmt::Debug;
use std::net::IpAddr;

/// # When the answer is wrong
/// [`Judged::Block`] for a person keeps them out, so whoever does not answer has no say: [`Judged::Unknown`] lets pass.
/// What a program gains by that is a place in the queue of everybody who may be wrong so many times.
#[async_trait]
pub trait BotCheck: Send + Sync + Debug {
    /// Within a second.
    async fn judge(&self, visitor: &Visitor<'_>) -> Judged;

    /// What a page must show to whoever is challenged; `None`: there is nothing to solve.
    fn captcha(&self) -> Option<&Captcha>;

    /// Whether a CAPTCHA was solved. One that cannot be checked was not.
    async fn is_solved(&self, solution: &str, ip: Option<IpAddr>) -> bool;
}

/// Who wants to sign in.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    pub ip: Option<IpAddr>,
    pub user_agent: &'a str,
    /// With a password: whose.
    pub account: Option<UserHash>,
    pub provider: &'a str,
    /// The path of our endpoint.
    pub route: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    Allow,
    Challenge,
    Block,
    /// No answer, or none that can be understood.
    Unknown,
}

impl Judged {
    /// As metrics call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Block => "block",
            Self::Unknown => "unknown",
        }
    }
}

/// The public part of a CAPTCHA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captcha {
    pub site_key: String,
    pub script_url: String,
    /// What else its page may load from, as a content security policy writes it.
    pub origins: Vec<String>,
    /// Of the form, with the solution in it.
    pub field: String,
    /// Of the element that the script fills.
    pub class: String,
}
