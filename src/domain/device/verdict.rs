//! What the similarity of two devices means under one configuration.

use super::{Component, Device, Prints, Secret};
use serde_json::{json, Value};
use std::fmt;
use std::time::Duration;

/// Thousandths: 850 is 0.85. Integers, because 0.4 + 0.3 + 0.2 + 0.1 is not 1 in floating point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerMille(pub u16);

/// How alike a device has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Devices are not compared.
    Off,
    Relaxed,
    #[default]
    Normal,
    Strict,
}

/// What happens to a session that turns up on another device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnMismatch {
    /// The audit log says so, nothing else.
    Log,
    /// Sign in again; the session stays.
    #[default]
    StepUp,
    Deny,
    /// The session ends, for its owner too.
    Logout,
}

/// What each component counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weights {
    pub user_agent: PerMille,
    pub screen_resolution: PerMille,
    pub timezone: PerMille,
    pub accept_language: PerMille,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    Low,
    Medium,
    High,
}

/// How long a renewal lives by the risk seen when it was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RiskTtl {
    pub low: Duration,
    pub medium: Duration,
    /// Nothing: sign in again.
    pub high: Duration,
}

/// `[device]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    pub level: Level,
    pub on_mismatch: OnMismatch,
    pub weights: Weights,
    pub risk_ttl: RiskTtl,
}

/// The outcome, as the audit log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub valid: bool,
    pub similarity_score: PerMille,
    pub threshold_used: PerMille,
    pub risk_level: Risk,
}

impl Terms {
    /// Whether `seen` is the device that `remembered` was taken from. `keys` are those the hashes may have been made
    /// under, current first: a change of the store's secret is no change of device.
    ///
    /// # When the answer is wrong
    /// Too lenient, and a stolen cookie works elsewhere for as long as it lives; too strict, and people sign in more
    /// often than they have to.
    #[must_use]
    pub fn judge<'k>(&self, remembered: &Prints, seen: &Device, keys: impl IntoIterator<Item = &'k Secret>) -> Verdict {
        let scores = keys.into_iter().map(|key| seen.prints(key).similarity(remembered, &self.weights));
        self.verdict(scores.max().unwrap_or_default())
    }

    /// How long a renewal lives that is handed out on this verdict; nothing at all: sign in again. `None`: devices
    /// have no say in it.
    #[must_use]
    pub fn renewal_life(&self, verdict: &Verdict) -> Option<Duration> {
        let judges = self.level != Level::Off && self.on_mismatch != OnMismatch::Log;
        judges.then(|| self.risk_ttl.of(verdict.risk_level))
    }

    /// What a similarity of `score` means.
    #[must_use]
    pub fn verdict(&self, score: PerMille) -> Verdict {
        let threshold = self.level.threshold();
        let valid = score >= threshold;
        let risk_level = if score >= Level::Strict.threshold() {
            Risk::Low
        } else if valid {
            Risk::Medium
        } else {
            Risk::High
        };
        Verdict { valid, similarity_score: score, threshold_used: threshold, risk_level }
    }
}

impl Verdict {
    /// As JSON, with scores between 0 and 1.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "valid": self.valid,
            "similarity_score": self.similarity_score.to_fraction(),
            "threshold_used": self.threshold_used.to_fraction(),
            "risk_level": self.risk_level.name(),
        })
    }
}

impl Level {
    #[must_use]
    pub fn threshold(self) -> PerMille {
        match self {
            Self::Off => PerMille(0),
            Self::Relaxed => PerMille(700),
            Self::Normal => PerMille(850),
            Self::Strict => PerMille(950),
        }
    }
}

impl PerMille {
    pub const ALL: Self = Self(1000);

    /// `part` of `whole`, rounded down: just short of a threshold is not there yet. Nothing of nothing is nothing.
    pub(super) fn share(part: u32, whole: u32) -> Self {
        let share = u64::from(part.min(whole)) * 1000 / u64::from(whole.max(1));
        Self(u16::try_from(share).unwrap_or(1000))
    }

    fn to_fraction(self) -> f64 {
        f64::from(self.0) / 1000.0
    }
}

impl Weights {
    #[must_use]
    pub fn of(&self, component: Component) -> PerMille {
        match component {
            Component::UserAgent => self.user_agent,
            Component::ScreenResolution => self.screen_resolution,
            Component::Timezone => self.timezone,
            Component::AcceptLanguage => self.accept_language,
        }
    }
}

impl RiskTtl {
    /// How long a renewal handed out at `risk` lives.
    #[must_use]
    pub fn of(&self, risk: Risk) -> Duration {
        match risk {
            Risk::Low => self.low,
            Risk::Medium => self.medium,
            Risk::High => self.high,
        }
    }
}

impl Risk {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            user_agent: PerMille(400),
            screen_resolution: PerMille(300),
            timezone: PerMille(200),
            accept_language: PerMille(100),
        }
    }
}

impl Default for RiskTtl {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        Self { low: days(30), medium: days(7), high: Duration::ZERO }
    }
}

/// `0.85`.
impl fmt::Display for PerMille {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_fraction())
    }
}
