//! What runs on its fallback at the moment: for metrics, for one line in the log when it changes, and for backends that
//! want to be more careful then.

use http::{HeaderName, HeaderValue};
use std::sync::atomic::{AtomicU8, Ordering};

/// Sent to backends while something is degraded; a client's own is erased like every name that is ours.
pub const X_DOORWARD_DEGRADED: HeaderName = HeaderName::from_static("x-doorward-degraded");

/// Every set of features there is, by their bits.
const SETS: [&str; 8] = [
    "",
    "revocation",
    "sign_in",
    "revocation,sign_in",
    "clock",
    "revocation,clock",
    "sign_in,clock",
    "revocation,sign_in,clock",
];

/// Something that has a fallback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// The list of revocations was not confirmed for too long: what is on it is refused, and it may lack something.
    Revocation,
    /// Whoever signs in gets a token for minutes, and no session.
    SignIn,
    /// This machine and the store do not agree what time it is.
    Clock,
}

/// What is degraded. Read with every request, so it is one load.
#[derive(Debug, Default)]
pub struct Degraded(AtomicU8);

impl Feature {
    pub const ALL: [Self; 3] = [Self::Revocation, Self::SignIn, Self::Clock];

    /// As metrics and backends know it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::SignIn => "sign_in",
            Self::Clock => "clock",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::Revocation => 1,
            Self::SignIn => 2,
            Self::Clock => 4,
        }
    }
}

impl Degraded {
    /// Notes how `feature` does. True when that is news.
    pub fn note(&self, feature: Feature, degraded: bool) -> bool {
        let bit = feature.bit();
        let before =
            if degraded { self.0.fetch_or(bit, Ordering::Relaxed) } else { self.0.fetch_and(!bit, Ordering::Relaxed) };
        (before & bit != 0) != degraded
    }

    #[must_use]
    pub fn is(&self, feature: Feature) -> bool {
        self.0.load(Ordering::Relaxed) & feature.bit() != 0
    }

    /// The names of what is degraded, for backends; `None` as long as all is well.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        let bits = self.0.load(Ordering::Relaxed);
        SETS.get(usize::from(bits)).filter(|names| !names.is_empty()).map(|names| HeaderValue::from_static(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_told_the_names_of_what_is_degraded_and_of_nothing_else() {
        for bits in 0..8_u8 {
            let degraded = Degraded::default();
            let on: Vec<Feature> = Feature::ALL.into_iter().filter(|feature| feature.bit() & bits != 0).collect();
            on.iter().for_each(|feature| assert!(degraded.note(*feature, true)));
            let names: Vec<&str> = on.iter().map(|feature| feature.name()).collect();
            let said = degraded.header().map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(said.unwrap_or_default(), names.join(","));
        }
    }

    #[test]
    fn only_a_change_is_news() {
        let degraded = Degraded::default();
        assert!(!degraded.note(Feature::Clock, false));
        assert!(degraded.note(Feature::Clock, true) && !degraded.note(Feature::Clock, true));
        assert!(degraded.is(Feature::Clock) && !degraded.is(Feature::SignIn));
        assert!(degraded.note(Feature::Clock, false));
        assert_eq!(degraded.header(), None);
    }
}
