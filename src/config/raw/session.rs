//! `[keys]`, `[tokens]`, `[session]` and `[device]`: what a sign-in gives, and for how long.

use super::shape::table;
use super::value::{words, Fraction, OneOrMore};
use crate::config::settings::{
    Delivery, DeviceLevel, Mode, OnLimit, OnMismatch, Renewal, Rotation, SameSite, SessionClaim, SigningAlgorithm,
};
use std::time::Duration;

table! {
    /// The keys our own tokens are signed with.
    Keys {
        algorithm: SigningAlgorithm = "ES256",
        /// A key signs for this long.
        rotate_every: Duration = "30d",
        /// A key is published this long before it signs; the very first signs at once.
        publish_ahead: Duration = "24h",
        /// A key that no longer signs is published for this long, and never shorter than the longest token it signed.
        overlap: Duration = "48h",
    }
}

table! {
    /// The tokens we issue.
    Tokens {
        /// Their `aud`, one or several; the first public_url when not given.
        audience: OneOrMore<String>,
        /// How long an access token lives; never longer than session.idle_timeout.
        access_ttl: Duration = "15m",
        /// How long renewal may go on; session.absolute_timeout ends it too.
        refresh_ttl: Duration = "30d",
        /// "never" keeps one refresh token for the whole session.
        rotation: Rotation = "always",
        /// How long a refresh token that was just replaced still counts. "30s" with cookies, "0s" with delivery "body" and at the token endpoint; "0s": every second use is theft.
        reuse_grace: Duration,
        /// "jws_of_jwe" is not available yet.
        nesting: Nesting = "none",
        /// What the id of the session is called in them.
        session_claim: SessionClaim = "sid",
    }
}

table! {
    /// How long a sign-in lasts, and how it reaches the browser.
    Session {
        /// "jwt": a signed access token, checked without the store. "opaque": a random handle.
        mode: Mode = "jwt",
        /// "cookie": all HttpOnly. "memory": access token in JSON, renewal token in a cookie. "body": both in JSON.
        delivery: Delivery = "cookie",
        /// "transparent": within any request. "endpoint": only POST /refresh. "off": sign in again.
        renewal: Renewal = "transparent",
        /// Sessions of one user at a time.
        max_per_user: usize = 5,
        /// What one more sign-in does: end the oldest, be rejected, or be the only one.
        on_limit: OnLimit = "evict_oldest",
        /// A session that nobody uses ends after this time.
        idle_timeout: Duration = "30m",
        /// A session ends this long after sign-in, whatever happens.
        absolute_timeout: Duration = "12h",
        /// Pages that listen at GET /events are told this long before a session ends: "5m", or a sixth of a shorter idle_timeout.
        warn_before: Duration,
        /// The cookies of a session.
        cookie: Cookie = {},
    }
}

table! {
    /// The cookies of a session.
    Cookie {
        same_site: SameSite = "lax",
        /// "example.com" shares sessions with every host below it; "" keeps them to the host.
        domain: String = "",
    }
}

table! {
    /// How a copied cookie is told from its owner's.
    Device {
        /// How alike two devices must be: "relaxed" 0.70, "normal" 0.85, "strict" 0.95.
        level: DeviceLevel = "normal",
        /// What happens to a session that turns up on another device.
        on_mismatch: OnMismatch = "step_up",
        /// What is compared, and how much it counts. These replace the default set.
        weights: Weights = { user_agent = 0.4, screen_resolution = 0.3, timezone = 0.2, accept_language = 0.1 },
        /// How long renewal may go on, by risk; "0s" means to sign in again.
        risk_ttl: RiskTtl = {},
    }
}

table! {
    /// What is compared, and how much it counts.
    Weights {
        user_agent: Fraction,
        screen_resolution: Fraction,
        timezone: Fraction,
        accept_language: Fraction,
    }
}

table! {
    /// How long renewal may go on, by risk.
    RiskTtl {
        /// Similarity from 0.95 on.
        low: Duration = "30d",
        /// From the threshold of the level on.
        medium: Duration = "7d",
        /// Below it.
        high: Duration = "0s",
    }
}

words! {
    /// How our tokens are wrapped.
    Nesting { "none" => None } later "jws_of_jwe"
}

words! { impl SigningAlgorithm { "ES256" => Es256, "EdDSA" => EdDsa, "RS256" => Rs256 } }
words! { impl Rotation { "always" => Always, "never" => Never } }
words! { impl SessionClaim { "sid" => Sid, "session_id" => SessionId } }
words! { impl Mode { "jwt" => Jwt, "opaque" => Opaque } }
words! { impl Delivery { "cookie" => Cookie, "memory" => Memory, "body" => Body } }
words! { impl Renewal { "transparent" => Transparent, "endpoint" => Endpoint, "off" => Off } }
words! { impl OnLimit { "evict_oldest" => EvictOldest, "reject" => Reject, "single" => Single } }
words! { impl SameSite { "lax" => Lax, "strict" => Strict, "none" => None } }
words! { impl DeviceLevel { "off" => Off, "relaxed" => Relaxed, "normal" => Normal, "strict" => Strict } }
words! { impl OnMismatch { "log" => Log, "step_up" => StepUp, "deny" => Deny, "logout" => Logout } }
