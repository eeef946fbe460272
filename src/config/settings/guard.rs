//! `[bot]`.

use crate::domain::secret::Secret;

/// Who is asked whether a program is signing in.
#[derive(Clone, Debug)]
pub struct BotSettings {
    /// https, or http to loopback.
    pub webhook: String,
    /// `None`: whoever is challenged is refused.
    pub captcha: Option<CaptchaSettings>,
}

/// A CAPTCHA.
#[derive(Clone, Debug)]
pub struct CaptchaSettings {
    /// Public.
    pub site_key: String,
    pub secret: Secret,
    pub verify_url: String,
    pub script_url: String,
    /// Further origins its page may load from, as a content security policy writes them.
    pub origins: Vec<String>,
    /// Of the form, with the solution in it.
    pub field: String,
    /// Of the element that the script fills.
    pub class: String,
}
