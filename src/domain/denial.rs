//! Everything we may answer instead of forwarding: the caller may not pass, or we cannot tell.
//!
//! A [`Denial`] is exhaustive on purpose: a new reason does not compile until someone has decided its status
//! and what the caller may learn.

use std::borrow::Cow;

/// Why a request is not forwarded. [`Denial::code`] is all the caller learns; the detail is for our log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    pub code: Code,
    /// For the audit log and `doorward explain`; never sent, never holds a credential.
    pub detail: Cow<'static, str>,
}

/// The public reason codes of a refusal; `code` in `application/problem+json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Code {
    BadRequest,
    BadPath,
    BadHost,
    BadFraming,
    ConflictingCredentials,
    BadReturnTo,
    BadState,
    Unauthenticated,
    TokenInvalid,
    TokenExpired,
    TokenRevoked,
    TokenReused,
    TokenUsed,
    SessionExpired,
    SessionTerminated,
    DeviceMismatch,
    ApiKeyInvalid,
    StepUpRequired,
    Forbidden,
    Csrf,
    UserBlocked,
    SignInRefused,
    OriginNotAllowed,
    NoRoute,
    MethodNotAllowed,
    BodyTooLarge,
    HeaderTooLarge,
    TooManyFailures,
    RequestTimeout,
    TryAgain,
    RateLimited,
    UpstreamError,
    UpstreamUnavailable,
    StoreUnavailable,
    RevocationStale,
    ProviderUnavailable,
    UpstreamTimeout,
    Internal,
}

impl Code {
    pub const ALL: [Self; 38] = [
        Self::BadRequest,
        Self::BadPath,
        Self::BadHost,
        Self::BadFraming,
        Self::ConflictingCredentials,
        Self::BadReturnTo,
        Self::BadState,
        Self::Unauthenticated,
        Self::TokenInvalid,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::TokenReused,
        Self::TokenUsed,
        Self::SessionExpired,
        Self::SessionTerminated,
        Self::DeviceMismatch,
        Self::ApiKeyInvalid,
        Self::StepUpRequired,
        Self::Forbidden,
        Self::Csrf,
        Self::UserBlocked,
        Self::SignInRefused,
        Self::OriginNotAllowed,
        Self::NoRoute,
        Self::MethodNotAllowed,
        Self::BodyTooLarge,
        Self::HeaderTooLarge,
        Self::TooManyFailures,
        Self::RequestTimeout,
        Self::TryAgain,
        Self::RateLimited,
        Self::UpstreamError,
        Self::UpstreamUnavailable,
        Self::StoreUnavailable,
        Self::RevocationStale,
        Self::ProviderUnavailable,
        Self::UpstreamTimeout,
        Self::Internal,
    ];

    /// The HTTP status of this refusal.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest
            | Self::BadPath
            | Self::BadHost
            | Self::BadFraming
            | Self::ConflictingCredentials
            | Self::BadReturnTo
            | Self::BadState => 400,
            Self::Unauthenticated
            | Self::TokenInvalid
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::TokenReused
            | Self::TokenUsed
            | Self::SessionExpired
            | Self::SessionTerminated
            | Self::DeviceMismatch
            | Self::ApiKeyInvalid
            | Self::StepUpRequired => 401,
            Self::Forbidden | Self::Csrf | Self::UserBlocked | Self::SignInRefused | Self::OriginNotAllowed => 403,
            Self::NoRoute => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::TryAgain => 409,
            Self::BodyTooLarge => 413,
            Self::RateLimited | Self::TooManyFailures => 429,
            Self::HeaderTooLarge => 431,
            Self::Internal => 500,
            Self::UpstreamError => 502,
            Self::UpstreamUnavailable | Self::StoreUnavailable | Self::RevocationStale | Self::ProviderUnavailable => {
                503
            }
            Self::UpstreamTimeout => 504,
        }
    }

    /// The stable name, as clients and dashboards read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::BadPath => "bad_path",
            Self::BadHost => "bad_host",
            Self::BadFraming => "bad_framing",
            Self::ConflictingCredentials => "conflicting_credentials",
            Self::BadReturnTo => "bad_return_to",
            Self::BadState => "bad_state",
            Self::Unauthenticated => "unauthenticated",
            Self::TokenInvalid => "token_invalid",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::TokenReused => "token_reused",
            Self::TokenUsed => "token_used",
            Self::SessionExpired => "session_expired",
            Self::SessionTerminated => "session_terminated",
            Self::DeviceMismatch => "device_mismatch",
            Self::ApiKeyInvalid => "api_key_invalid",
            Self::StepUpRequired => "step_up_required",
            Self::Forbidden => "forbidden",
            Self::Csrf => "csrf",
            Self::UserBlocked => "user_blocked",
            Self::SignInRefused => "sign_in_refused",
            Self::OriginNotAllowed => "origin_not_allowed",
            Self::NoRoute => "no_route",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::BodyTooLarge => "body_too_large",
            Self::HeaderTooLarge => "header_too_large",
            Self::TooManyFailures => "too_many_failures",
            Self::RequestTimeout => "request_timeout",
            Self::TryAgain => "try_again",
            Self::RateLimited => "rate_limited",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::StoreUnavailable => "store_unavailable",
            Self::RevocationStale => "revocation_stale",
            Self::ProviderUnavailable => "provider_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Internal => "internal",
        }
    }

    /// One sentence for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::BadRequest => "The request could not be understood",
            Self::BadPath => "The path can be read in more than one way",
            Self::BadHost => "The Host header is missing or malformed",
            Self::BadFraming => "The message framing is ambiguous",
            Self::ConflictingCredentials => "More than one credential was presented",
            Self::BadReturnTo => "Signing in cannot lead there",
            Self::BadState => "This sign-in was not begun in this browser, or took too long",
            Self::Unauthenticated => "Sign in first",
            Self::TokenInvalid => "The token was not accepted",
            Self::TokenExpired => "The token has expired",
            Self::TokenRevoked => "The token was revoked",
            Self::TokenReused => "A sign-in was used in two places and has been ended",
            Self::TokenUsed => "This was sent before, and counts once",
            Self::SessionExpired => "Your session has ended: sign in again",
            Self::SessionTerminated => "Your session was ended",
            Self::DeviceMismatch => "This session belongs to another device",
            Self::ApiKeyInvalid => "The API key was not accepted",
            Self::StepUpRequired => "Please confirm that it is you",
            Self::Forbidden => "You may not do this",
            Self::Csrf => "Another site may have sent this request",
            Self::UserBlocked => "This account is blocked",
            Self::SignInRefused => "Signing in is not possible from here",
            Self::OriginNotAllowed => "This origin may not do this",
            Self::NoRoute => "There is nothing here",
            Self::MethodNotAllowed => "This method is not allowed here",
            Self::BodyTooLarge => "The request body is too large",
            Self::HeaderTooLarge => "The request header is too large",
            Self::TooManyFailures => "There were too many failed attempts",
            Self::RequestTimeout => "The request took too long to arrive",
            Self::TryAgain => "Please send this again",
            Self::RateLimited => "Too many requests: wait a little",
            Self::UpstreamError => "The application answered with something we could not read",
            Self::UpstreamUnavailable => "The application cannot be reached",
            Self::StoreUnavailable => "Sessions cannot be looked up at the moment",
            Self::RevocationStale => "It cannot be told at the moment whether this sign-in still counts",
            Self::ProviderUnavailable => "The issuer of this token cannot be reached",
            Self::UpstreamTimeout => "The application took too long to answer",
            Self::Internal => "Something went wrong here",
        }
    }
}

impl Denial {
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// The request body is above what its route takes.
    #[must_use]
    pub fn too_large() -> Self {
        Self::new(Code::BodyTooLarge, "the request body is above max_body")
    }
}
