//! The way out. Signing out is a POST, so that no image or link elsewhere can do it; a GET only asks.

use super::{texts, Site};
use askama::Template;

/// One button. Its answer may lead to the provider's own sign-out, whose origin must be among the page's form targets.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_out.html")]
pub struct SignOut<'a> {
    pub site: &'a Site,
    /// Who is signed in, when known.
    pub name: Option<&'a str>,
}

#[derive(Clone, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut<'a> {
    pub site: &'a Site,
    /// A provider that keeps a session of its own which we could not end.
    pub still_at: Option<&'a str>,
}

impl SignOut<'_> {
    fn heading(&self) -> &'static str {
        texts::SIGN_OUT
    }
}

impl SignedOut<'_> {
    fn heading(&self) -> &'static str {
        texts::SIGNED_OUT
    }
}
