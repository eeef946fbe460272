//! The application that `doorward demo` puts behind the gate: it shows what a backend learns about its visitor.

use super::{texts, Site};
use askama::Template;

#[derive(Clone, Debug, Template)]
#[template(path = "demo.html")]
pub struct DemoPage<'a> {
    pub site: &'a Site,
    /// Nobody on a public page, or on an optional one without a session.
    pub person: Option<Person<'a>>,
    /// Names and values, as the backend received them.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Who is signed in, as the identity headers say.
#[derive(Clone, Copy, Debug)]
pub struct Person<'a> {
    pub name: &'a str,
    pub subject: &'a str,
    pub provider: &'a str,
    pub roles: &'a [&'a str],
}

impl DemoPage<'_> {
    fn heading(&self) -> &'static str {
        texts::DEMO
    }
}

impl Person<'_> {
    fn role_names(&self) -> String {
        if self.roles.is_empty() {
            texts::DEMO_NO_ROLES.to_owned()
        } else {
            self.roles.join(", ")
        }
    }
}
