//! The pages people see: sign-in, sessions, sign-out, and what went wrong.
//!
//! A page is a struct with everything it shows; its template lies in `templates/`, its words in [`texts`]. It has no
//! script (but a CAPTCHA's, for whoever is challenged), works without cookies of its own, and looks as [`Site`] says.
//! Deciding which page to send is for others.
//!
//! ```text
//! let site = Site::new(Theme::default(), "/.auth");
//! let body = html(&ErrorPage::new(&site, code, request_id));
//! let headers = site.headers(&[]);
//! ```

mod assets;
mod captcha;
mod colour;
mod demo;
mod error;
mod headers;
mod hidden;
mod palette;
mod sessions;
mod sign_in;
mod sign_out;
mod site;
pub mod texts;
mod theme;
mod when;

pub use assets::{Asset, Freshness};
pub use captcha::{Captcha, Challenge};
pub use colour::Colour;
pub use demo::{DemoPage, Person};
pub use error::ErrorPage;
pub use hidden::Hidden;
pub use sessions::{Ended, SessionRow, Sessions, TooManySessions};
pub use sign_in::{Bounced, Chooser, Notice, Onward, Problem, ProviderDown, SignIn, Way};
pub use sign_out::{SignOut, SignedOut};
pub use site::Site;
pub use theme::{Theme, ThemeMistake};

use askama::Template;

/// The page as text. Templates only write to a string, which cannot fail.
#[must_use]
pub fn html(page: &impl Template) -> String {
    page.render().unwrap_or_else(|_| texts::UNRENDERABLE.to_owned())
}

#[cfg(test)]
#[path = "web_tests.rs"]
mod tests;
