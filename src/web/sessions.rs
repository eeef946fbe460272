//! Where somebody is signed in, and how to end it.

use super::when::When;
use super::{texts, Hidden, Site};
use crate::domain::time::UnixTime;
use askama::Template;

/// One session of the person who is looking.
#[derive(Clone, Copy, Debug)]
pub struct SessionRow<'a> {
    /// The public name of the session, never its credential.
    pub id: &'a str,
    /// Such as "Firefox on Windows"; empty when the browser did not say.
    pub device: &'a str,
    /// Such as "203.0.113.0/24".
    pub network: &'a str,
    pub created: UnixTime,
    pub last_seen: UnixTime,
    /// The one this page is looked at with.
    pub current: bool,
}

/// All sessions of one person.
#[derive(Clone, Debug, Template)]
#[template(path = "sessions.html")]
pub struct Sessions<'a> {
    pub site: &'a Site,
    pub sessions: &'a [SessionRow<'a>],
    pub ended: Option<Ended>,
    pub now: UnixTime,
}

/// What was just done here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    One,
    Others,
}

/// The cap is reached and the rule is to refuse: which one shall end? 403.
#[derive(Clone, Debug, Template)]
#[template(path = "too_many_sessions.html")]
pub struct TooManySessions<'a> {
    pub site: &'a Site,
    pub sessions: &'a [SessionRow<'a>],
    /// Below the prefix; receives `session` (an id) and everything in `hidden`.
    pub action: &'a str,
    /// What proves that this person has just signed in, and where they wanted to go.
    pub hidden: &'a [(&'a str, Hidden<'a>)],
    pub now: UnixTime,
}

impl SessionRow<'_> {
    fn device_text(&self) -> &str {
        if self.device.is_empty() {
            texts::DEVICE_UNKNOWN
        } else {
            self.device
        }
    }

    fn created_when(&self, now: UnixTime) -> When {
        When::new(self.created, now)
    }

    fn seen_when(&self, now: UnixTime) -> When {
        When::new(self.last_seen, now)
    }
}

impl Sessions<'_> {
    fn heading(&self) -> &'static str {
        texts::SESSIONS
    }

    fn ended_text(&self) -> Option<&'static str> {
        self.ended.map(|ended| match ended {
            Ended::One => texts::ENDED_ONE,
            Ended::Others => texts::ENDED_OTHERS,
        })
    }

    fn has_others(&self) -> bool {
        self.sessions.iter().any(|session| !session.current)
    }
}

impl TooManySessions<'_> {
    fn heading(&self) -> &'static str {
        texts::TOO_MANY_SESSIONS
    }

    fn action_href(&self) -> String {
        self.site.below_prefix(self.action)
    }
}
