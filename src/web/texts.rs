//! Every word on the pages, in one place. Plain sentences: what happened, what it means, what to do.

use crate::domain::time::begun_seconds;
use std::time::Duration;

pub const LANG: &str = "en";
/// As `chrono` formats it.
pub const DATE: &str = "%-d %B %Y, %H:%M UTC";
/// Sent in the place of a page that could not be made.
pub const UNRENDERABLE: &str = "<!doctype html><html lang=\"en\"><title>Error</title><p>Something went wrong here.</p>";

// signing in
pub const SIGN_IN: &str = "Sign in";
pub const USERNAME: &str = "Username";
pub const PASSWORD: &str = "Password";
pub const OTHER_WAYS: &str = "Other ways to sign in";
pub const HOW_TO_SIGN_IN: &str = "How would you like to sign in?";
pub const WRONG_CREDENTIALS: &str = "The username or the password is not right. Please try again.";
pub const FORM_TOO_OLD: &str = "This page was open for too long. Please enter your details once more.";
pub const CHALLENGED: &str = "Please show that you are a person.";
pub const CAPTCHA_NEEDS_SCRIPT: &str = "For this, your browser must be allowed to run scripts.";
pub const SESSION_ENDED: &str = "Your session has ended. Sign in to go on where you were.";
pub const STEP_UP: &str = "Please confirm that it is you by signing in once more.";
pub const SIGNED_OUT_FOR_SAFETY: &str =
    "We signed you out because somebody else used your session as well, or a copy of it. \
     If this happens again, tell whoever runs this site.";

// a provider that does not answer
pub const PROVIDER_DOWN: &str = "Signing in is not possible right now";
pub const TRY_AGAIN: &str = "Try again";
pub const TRY_ANOTHER_WAY: &str = "Or use another way:";

// signed in at another site
pub const SIGNED_IN: &str = "You are signed in";
pub const CONTINUE: &str = "Continue";

// sent back and forth
pub const BOUNCED: &str = "Signing in did not work";
pub const BOUNCED_WHY: &str =
    "You came back from signing in several times, and each time your browser did not bring along the cookie that we had \
     given it. We stopped, so that you are not sent in circles.";
pub const BOUNCED_TODO: [&str; 3] = [
    "Allow cookies for this site, and switch off extensions that block them.",
    "Check that the date and the time of this device are right.",
    "Close other tabs of this site, then try once more.",
];

// signing out
pub const SIGN_OUT: &str = "Sign out";
pub const SIGN_OUT_QUESTION: &str = "Do you want to sign out?";
pub const SIGN_OUT_MEANS: &str = "This ends your session in this browser. Others stay as they are.";
pub const SIGNED_OUT: &str = "You are signed out";
pub const SIGNED_OUT_MEANS: &str = "You can close this window.";
pub const SIGN_IN_AGAIN: &str = "Sign in again";

// sessions
pub const SESSIONS: &str = "Your sessions";
pub const SESSIONS_MEANS: &str = "This is where you are signed in. If you do not recognise one of them, end it.";
pub const THIS_ONE: &str = "This one";
pub const DEVICE_UNKNOWN: &str = "Unknown device";
pub const NETWORK: &str = "Network";
pub const LAST_SEEN: &str = "Last used";
pub const CREATED: &str = "Signed in";
pub const END: &str = "End";
pub const END_THIS: &str = "Sign out here";
pub const END_OTHERS: &str = "End all others";
pub const ENDED_ONE: &str = "The session was ended.";
pub const ENDED_OTHERS: &str = "All other sessions were ended.";
pub const ONLY_THIS: &str = "You are signed in nowhere else.";
pub const TOO_MANY_SESSIONS: &str = "You are signed in on too many devices";
pub const CHOOSE_SESSION: &str = "Which session shall end?";
pub const END_AND_GO_ON: &str = "End it and sign in here";

// errors
pub const REQUEST_ID: &str = "Request";
pub const ERROR_CODE: &str = "Code";
pub const HELP: &str = "If you ask for help, mention these:";
pub const BACK: &str = "Back";

// the demo
pub const DEMO: &str = "Demo application";
pub const DEMO_MEANS: &str =
    "This page comes from the backend behind the gate. It has no sign-in of its own: whatever it knows about you came \
     with the request.";
pub const DEMO_NOBODY: &str = "Nobody is signed in.";
pub const DEMO_NAME: &str = "Name";
pub const DEMO_SUBJECT: &str = "Subject";
pub const DEMO_PROVIDER: &str = "Provider";
pub const DEMO_ROLES: &str = "Roles";
pub const DEMO_NO_ROLES: &str = "none";
pub const DEMO_HEADERS: &str = "Identity headers the backend received";
pub const DEMO_NO_HEADERS: &str = "None.";

#[must_use]
pub fn sign_in_to(title: &str) -> String {
    format!("Sign in to {title}")
}

#[must_use]
pub fn continue_with(way: &str) -> String {
    format!("Continue with {way}")
}

#[must_use]
pub fn too_many_failures(wait: Duration) -> String {
    format!("There were too many failed attempts. Please wait {} and try again.", wait_for(wait))
}

/// Rounded up, for whoever comes back too early would be told to wait once more.
fn wait_for(wait: Duration) -> String {
    let seconds = begun_seconds(wait);
    let whole = if seconds < 30 { seconds } else { seconds.div_ceil(60) * 60 };
    span(Duration::from_secs(whole))
}

#[must_use]
pub fn provider_down(name: &str) -> String {
    format!("{name} does not answer. This is not your fault, and nothing is lost. Please try again in a minute.")
}

/// The provider has a session of its own, which it may not have been told to end.
#[must_use]
pub fn still_signed_in(provider: &str) -> String {
    format!("You may still be signed in at {provider}. On a shared computer, sign out there too.")
}

#[must_use]
pub fn too_many_sessions(most: usize) -> String {
    let plural = if most == 1 { "" } else { "s" };
    format!("You can be signed in on {most} device{plural} at once. To go on here, end a session elsewhere.")
}

/// For people who do not see which row a button belongs to.
#[must_use]
pub fn end_session_on(device: &str) -> String {
    format!("the session on {device}")
}

#[must_use]
pub fn signed_in_as(name: &str) -> String {
    format!("Signed in as {name}.")
}

#[must_use]
pub fn ago(past: Duration) -> String {
    if past.as_secs() < 60 {
        return "just now".to_owned();
    }
    format!("{} ago", span(past))
}

/// A stretch of time in its largest unit, rounded down.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// What a person can do about a refusal, by its public code; by its status for those that need no words of their own.
#[must_use]
pub fn advice(code: &str, status: u16) -> &'static str {
    match code {
        "bad_state" => "Signing in was begun too long ago or in another browser. Please begin once more.",
        "bad_return_to" => "The link you followed wants to lead somewhere else. Open the application itself instead.",
        "conflicting_credentials" => "Your browser sent more than one proof of who you are. Delete this site's cookies, then try again.",
        "token_reused" => "We signed you out because your session was used twice in a way that we could not explain. Please sign in again.",
        "session_expired" | "token_expired" => "Your session has ended. Please sign in again.",
        "session_terminated" | "token_revoked" => "This session was ended. Please sign in again.",
        "device_mismatch" => "This session began on another device. Please sign in again.",
        "step_up_required" => "Please confirm that it is you by signing in once more.",
        "csrf" => "This came from another page than ours. Go back to the application and do it from there.",
        "too_many_failures" => "Please wait a few minutes, then try again.",
        "sign_in_refused" => "This looked like a program rather than a person. If you are one, ask whoever runs this site.",
        "user_blocked" => "Your account is blocked here. Please ask whoever runs this site.",
        "forbidden" => "You are signed in, but this is not open to you. If it should be, ask whoever runs this site.",
        "no_route" => "Check the address for a mistake, or begin at the start page.",
        "store_unavailable" | "revocation_stale" => {
            "We cannot check your session right now. You are still signed in. Please try again in a minute."
        }
        "provider_unavailable" => "We cannot check who you are right now. Please try again in a minute.",
        _ => advice_by_status(status),
    }
}

fn advice_by_status(status: u16) -> &'static str {
    match status {
        401 => "Please sign in and try again.",
        403 => "This is not open to you. If it should be, ask whoever runs this site.",
        408 => "Check your connection, then try again.",
        413 => "Send something smaller.",
        429 => "That was a little fast. Please wait a minute, then try again.",
        431 => "Delete this site's cookies, then try again.",
        502..=504 => "This is not your fault. Please try again in a minute.",
        400..=499 => "Check the address, or go back and try again.",
        _ => "This is our fault. Please try again; if it stays, tell whoever runs this site.",
    }
}
