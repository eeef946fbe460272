//! Moments as people read them: how long ago, with the exact time for machines. A page without script cannot know the
//! reader's time zone, so dates are in UTC and say so.

use super::texts;
use crate::domain::time::UnixTime;
use chrono::{DateTime, SecondsFormat, Utc};
use std::time::Duration;

/// A moment, seen from `now`.
#[derive(Clone, Copy, Debug)]
pub(super) struct When {
    at: UnixTime,
    ago: Duration,
}

impl When {
    pub(super) fn new(at: UnixTime, now: UnixTime) -> Self {
        Self { at, ago: now.since(at) }
    }

    /// For the `datetime` attribute.
    pub(super) fn machine(self) -> String {
        self.date().map(|date| date.to_rfc3339_opts(SecondsFormat::Secs, true)).unwrap_or_default()
    }

    pub(super) fn ago(self) -> String {
        texts::ago(self.ago)
    }

    pub(super) fn full(self) -> String {
        self.date().map(|date| date.format(texts::DATE).to_string()).unwrap_or_default()
    }

    /// `None` some 260 000 years from now.
    fn date(self) -> Option<DateTime<Utc>> {
        i64::try_from(self.at.0).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ago(seconds: u64) -> String {
        When::new(UnixTime(1_000_000_000), UnixTime(1_000_000_000 + seconds)).ago()
    }

    #[test]
    fn time_is_told_in_the_largest_unit_that_fits() {
        let told = [0, 59, 60, 119, 120, 3599, 3600, 7200, 86_399, 86_400, 172_800].map(ago);
        let expected = [
            "just now",
            "just now",
            "1 minute ago",
            "1 minute ago",
            "2 minutes ago",
            "59 minutes ago",
            "1 hour ago",
            "2 hours ago",
            "23 hours ago",
            "1 day ago",
            "2 days ago",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_replica_whose_clock_is_ahead_tells_no_nonsense() {
        assert_eq!(When::new(UnixTime(1_000_000_060), UnixTime(1_000_000_000)).ago(), "just now");
    }

    #[test]
    fn the_exact_moment_is_there_for_machines() {
        let when = When::new(UnixTime(1_000_000_000), UnixTime(1_000_000_000));
        assert_eq!(when.machine(), "2001-09-09T01:46:40Z");
        assert_eq!(when.full(), "9 September 2001, 01:46 UTC");
    }

    #[test]
    fn the_end_of_time_is_no_panic() {
        let when = When::new(UnixTime(u64::MAX), UnixTime(0));
        assert_eq!((when.machine(), when.full()), (String::new(), String::new()));
    }
}
