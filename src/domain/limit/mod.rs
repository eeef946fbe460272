//! Rate limits as values: what is counted, in which bucket, and what a caller is told about it.
//!
//! A bucket is one number (GCRA, see [`bucket`]); a replica spends from it by [`lease`]. Nobody in here knows a clock, a
//! store or a request.

pub mod bucket;
pub mod fields;
pub mod key;
pub mod lease;

pub use bucket::{Bucket, Rate};
pub use key::{BucketId, KeyText, Part, Prefixes};

/// One `[[limit]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub name: String,
    /// What is counted together, in the order of the file; at least one.
    pub key: Vec<Part>,
    pub rate: Rate,
    pub bucket: Bucket,
    /// Every request asks the store: nothing is reserved ahead.
    pub exact: bool,
    /// What a request costs where its route says nothing.
    pub cost: u32,
    pub on_store_down: OnStoreDown,
    /// What is over the limit is counted and let through.
    pub shadow: bool,
    /// Admitted requests carry `RateLimit`, too.
    pub headers: bool,
}

/// What counts while the store cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStoreDown {
    /// Each replica enforces its share.
    Local,
    Allow,
    /// 503.
    Deny,
}

/// A limit of a route, and what a request there costs in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Index into the limits of the settings.
    pub limit: usize,
    pub cost: u32,
}

/// What a route asks of limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// Those that need no caller: they stand before any signature check, so that a flood costs no signatures.
    pub before: Vec<Charge>,
    /// Those that count callers: they stand behind the policy, so that nobody spends for somebody else.
    pub after: Vec<Charge>,
    /// Requests under way at once on each replica; 0 is any number.
    pub max_in_flight: u32,
    /// The same for each user.
    pub max_in_flight_per_user: u32,
}

impl RouteLimits {
    /// Whether admitting a request here is written down anywhere.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        let counts = !self.after.is_empty() || !self.before.is_empty();
        counts || self.max_in_flight > 0 || self.max_in_flight_per_user > 0
    }
}

impl Limit {
    /// Whether a request can be counted before anybody has looked who sent it.
    #[must_use]
    pub fn needs_no_caller(&self) -> bool {
        self.key.iter().all(|part| matches!(part, Part::Ip | Part::Route | Part::Header(_)))
    }

    /// Whether all requests with one credential are counted together, wherever they come from and go.
    #[must_use]
    pub fn is_of_caller(&self) -> bool {
        !self.key.iter().any(|part| matches!(part, Part::Ip | Part::Route | Part::Header(_)))
    }
}

/// The limits that exist without being configured. A `[[limit]]` of one of these names takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// Requests of one address to our own endpoints.
    Ip,
    /// Uses of the renewal tokens of one sign-in, where somebody asks and where a page needs it.
    RefreshFamily,
    /// The same over all sign-ins of a user, at `POST /refresh` alone.
    RefreshUser,
    /// Requests of one address to `POST /token`, beside the first.
    TokenEndpoint,
    /// Requests with one token, to whatever route, on one replica.
    TokenUsage,
    /// API keys of one address that were none.
    ApiKeyInvalid,
}

impl BuiltIn {
    pub const ALL: [Self; 6] =
        [Self::Ip, Self::RefreshFamily, Self::RefreshUser, Self::TokenEndpoint, Self::TokenUsage, Self::ApiKeyInvalid];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::RefreshFamily => "refresh.family",
            Self::RefreshUser => "refresh.user",
            Self::TokenEndpoint => "token_endpoint",
            Self::TokenUsage => "token_usage",
            Self::ApiKeyInvalid => "api_key_invalid",
        }
    }

    /// What it counts; no file can change that.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::Ip | Self::TokenEndpoint | Self::ApiKeyInvalid => Part::Ip,
            // a sign-in and its line of renewal tokens have one name
            Self::RefreshFamily => Part::Session,
            Self::RefreshUser => Part::User,
            Self::TokenUsage => Part::Token,
        }
    }

    /// As it is without a word in the file.
    ///
    /// `ip` must not hurt an office behind one address that signs in at nine: a sign-in takes two or three requests, so
    /// this is some forty people a second. Renewal asks the store anyway: while that is away, there is nothing to renew
    /// with, and so nothing is let through here either. Where tokens are kept in memory, each page and each tab of an honest
    /// person renews: half of them at once, one a second in the long run. A server that renews for the people it serves
    /// comes from one address, too: twenty a second are eighteen thousand sessions that renew every quarter of an hour.
    /// `token_usage` only counts: whoever polls every tenth of a second does nothing wrong yet.
    /// `api_key_invalid` is for a rollout that forgot to bring a new key; nobody guesses one.
    #[must_use]
    pub fn limit(self) -> Limit {
        let (rate, burst, exact, on_store_down) = match self {
            Self::Ip => (Rate::per_second(100), 500, false, OnStoreDown::Local),
            Self::RefreshFamily => (Rate::per_minute(60), 30, true, OnStoreDown::Deny),
            Self::RefreshUser => (Rate::per_minute(120), 60, true, OnStoreDown::Deny),
            Self::TokenEndpoint => (Rate::per_second(20), 100, false, OnStoreDown::Local),
            Self::TokenUsage => (Rate::per_minute(1000), 1000, false, OnStoreDown::Local),
            Self::ApiKeyInvalid => (Rate::per_minute(30), 30, false, OnStoreDown::Local),
        };
        Limit {
            name: self.name().to_owned(),
            key: vec![self.part()],
            rate,
            bucket: Bucket::new(rate, burst),
            exact,
            cost: 1,
            on_store_down,
            shadow: self == Self::TokenUsage,
            headers: false,
        }
    }
}
