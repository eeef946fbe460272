//! The ways in: the form for local users, the choice of a provider, and what to show when neither leads anywhere.

use super::{texts, Captcha, Hidden, Site};
use askama::Template;
use std::borrow::Cow;
use std::time::Duration;

/// The form for local users. Works without JavaScript and with the keyboard alone.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    pub site: &'a Site,
    /// The provider that holds the users.
    pub provider: &'a str,
    pub csrf: Hidden<'a>,
    pub return_to: Option<&'a str>,
    /// As typed before; the password is never sent back.
    pub username: &'a str,
    pub problem: Option<Problem>,
    pub notice: Option<Notice>,
    /// For whoever is challenged.
    pub captcha: Option<Captcha<'a>>,
    pub others: &'a [Way<'a>],
}

/// Why the form is shown once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Unknown name and wrong password alike: a stranger must not learn who has an account.
    WrongCredentials,
    TooManyFailures {
        wait: Duration,
    },
    /// The csrf value no longer opens.
    FormTooOld,
    /// A CAPTCHA must be solved first.
    Challenged,
}

/// Why somebody who may have been signed in has to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    SessionEnded,
    StepUp,
    /// A renewal token came back twice and its family is gone.
    SignedOutForSafety,
}

/// A provider to sign in with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way<'a> {
    /// As configured; goes into the link.
    pub name: &'a str,
    /// As people know it.
    pub label: &'a str,
}

/// Several providers: which one?
#[derive(Clone, Debug, Template)]
#[template(path = "chooser.html")]
pub struct Chooser<'a> {
    pub site: &'a Site,
    pub ways: &'a [Way<'a>],
    pub return_to: Option<&'a str>,
    pub notice: Option<Notice>,
}

/// The chosen provider cannot be reached; 503.
#[derive(Clone, Debug, Template)]
#[template(path = "provider_down.html")]
pub struct ProviderDown<'a> {
    pub site: &'a Site,
    pub provider: Way<'a>,
    pub others: &'a [Way<'a>],
    pub return_to: Option<&'a str>,
    pub request_id: &'a str,
}

/// Signed in, and on by itself. A browser that comes from a provider sends a strict cookie along with nothing that this
/// leads to, not even a redirect of ours; only a page of ours may begin anew.
#[derive(Clone, Debug, Template)]
#[template(path = "onward.html")]
pub struct Onward<'a> {
    pub site: &'a Site,
    pub to: &'a str,
}

/// The browser came back from signing in three times without our cookie: the end of the loop.
#[derive(Clone, Debug, Template)]
#[template(path = "bounced.html")]
pub struct Bounced<'a> {
    pub site: &'a Site,
    pub return_to: Option<&'a str>,
    pub request_id: &'a str,
}

impl SignIn<'_> {
    fn heading(&self) -> String {
        texts::sign_in_to(self.site.title())
    }

    fn problem_text(&self) -> Option<Cow<'static, str>> {
        self.problem.map(Problem::text)
    }

    fn notice_text(&self) -> Option<&'static str> {
        // one message at a time: what just went wrong matters more than why we began
        self.notice.filter(|_| self.problem.is_none()).map(Notice::text)
    }

    fn action(&self) -> String {
        self.site.sign_in_href(Some(self.provider), None)
    }

    /// After a mistake people correct the password: the name is filled in already.
    fn begins_at_password(&self) -> bool {
        !self.username.is_empty()
    }
}

impl Chooser<'_> {
    fn heading(&self) -> String {
        texts::sign_in_to(self.site.title())
    }

    fn notice_text(&self) -> Option<&'static str> {
        self.notice.map(Notice::text)
    }
}

impl ProviderDown<'_> {
    fn heading(&self) -> &'static str {
        texts::PROVIDER_DOWN
    }
}

impl Onward<'_> {
    fn heading(&self) -> &'static str {
        texts::SIGNED_IN
    }
}

impl Bounced<'_> {
    fn heading(&self) -> &'static str {
        texts::BOUNCED
    }
}

impl Problem {
    fn text(self) -> Cow<'static, str> {
        match self {
            Self::WrongCredentials => texts::WRONG_CREDENTIALS.into(),
            Self::TooManyFailures { wait } => texts::too_many_failures(wait).into(),
            Self::FormTooOld => texts::FORM_TOO_OLD.into(),
            Self::Challenged => texts::CHALLENGED.into(),
        }
    }
}

impl Notice {
    fn text(self) -> &'static str {
        match self {
            Self::SessionEnded => texts::SESSION_ENDED,
            Self::StepUp => texts::STEP_UP,
            Self::SignedOutForSafety => texts::SIGNED_OUT_FOR_SAFETY,
        }
    }
}
