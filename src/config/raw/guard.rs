//! `[brute_force]` and `[bot]`: what guessing at passwords costs, and what programs meet that try.

use super::provider::ClientSecret;
use super::shape::{table, List};
use std::time::Duration;

table! {
    /// What happens after failed sign-ins.
    BruteForce {
        /// Failures without a block, for an account at an address; the next one begins it. A whole address has ten
        /// times as many.
        free: usize = 9,
        /// The first block; each further failure doubles it.
        block: Duration = "60s",
        /// The longest block.
        block_max: Duration = "1h",
    }
}

table! {
    /// Who is asked whether a program is signing in.
    Bot {
        /// An https URL, or http to loopback, that is asked at each sign-in; "" asks nobody.
        webhook: String = "",
        /// What people solve whom the webhook challenges; without it they are refused.
        captcha: Captcha = {},
    }
}

table! {
    /// A CAPTCHA, checked as reCAPTCHA, hCaptcha and Turnstile are.
    Captcha {
        /// Public; goes into the page.
        site_key: String = "",
        /// "env:NAME" or "file:/path".
        secret: ClientSecret,
        /// Where a solution is checked.
        verify_url: String = "",
        /// The script on the page. Besides it only scripts of its origin may run there, and none of ours.
        script_url: String = "",
        /// What else it loads from: origins, of which the first name may be "*".
        origins: List<String> = [],
        /// The form field that its script puts the solution into.
        field: String = "cf-turnstile-response",
        /// The class of the element that its script fills.
        class: String = "cf-turnstile",
    }
}
