//! Numbers of endpoints by severity. Each part of the map of results has them for its content, so
//! that the status page counts and finds endpoints without reading all of them.
//!
//! Results become stale with time, without an event. A summary therefore does not contain whether a
//! result is stale, but the first time at which one of them is.

use std::time::Duration;

use crate::finding::Severity;
use crate::model::Timestamp;

use super::results::{EndpointResult, TargetResults};

/// Intervals after which a result is stale.
const STALE_INTERVALS: i64 = 2;
/// Time of an event that does not happen.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// Returns the age in seconds above which a result with this interval is stale.
pub(super) fn stale_after(interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_secs()).unwrap_or(i64::MAX);
    interval.saturating_mul(STALE_INTERVALS)
}

/// Number of endpoints of each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct SeverityCounts {
    ok: u32,
    info: u32,
    warning: u32,
    unknown: u32,
    critical: u32,
}

impl SeverityCounts {
    fn get(&self, severity: Severity) -> u32 {
        match severity {
            Severity::Ok => self.ok,
            Severity::Info => self.info,
            Severity::Warning => self.warning,
            Severity::Unknown => self.unknown,
            Severity::Critical => self.critical,
        }
    }

    fn get_mut(&mut self, severity: Severity) -> &mut u32 {
        match severity {
            Severity::Ok => &mut self.ok,
            Severity::Info => &mut self.info,
            Severity::Warning => &mut self.warning,
            Severity::Unknown => &mut self.unknown,
            Severity::Critical => &mut self.critical,
        }
    }

    /// Returns the number of endpoints of a severity.
    pub(in crate::serve) fn of(&self, severity: Severity) -> usize {
        usize::try_from(self.get(severity)).unwrap_or(usize::MAX)
    }

    /// Returns the number of all endpoints.
    pub(in crate::serve) fn total(&self) -> usize {
        let all = [
            self.ok,
            self.info,
            self.warning,
            self.unknown,
            self.critical,
        ];
        let all = all.iter().map(|count| u64::from(*count)).sum::<u64>();
        usize::try_from(all).unwrap_or(usize::MAX)
    }

    /// Adds an endpoint.
    pub(in crate::serve) fn add(&mut self, severity: Severity) {
        *self.get_mut(severity) += 1;
    }

    /// Changes the severity of an endpoint.
    pub(super) fn change(&mut self, from: Severity, to: Severity) {
        let count = self.get_mut(from);
        *count = count.saturating_sub(1);
        self.add(to);
    }
}

/// Summary of the results of some targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) struct Summary {
    /// Number of endpoints by the severity of their results.
    counts: SeverityCounts,
    /// Number of targets with a result.
    probed: u32,
    /// Time of the oldest result of an entry without an interval of its own.
    oldest: Timestamp,
    /// First time after which a result of an entry with an interval of its own is stale.
    fresh_until: Timestamp,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            counts: SeverityCounts::default(),
            probed: 0,
            oldest: NEVER,
            fresh_until: NEVER,
        }
    }
}

impl Summary {
    /// Returns the summary of the results of one target.
    pub(super) fn of(results: &TargetResults) -> Self {
        let mut summary = Self {
            probed: u32::from(!results.endpoints.is_empty()),
            ..Self::default()
        };
        for place in results.places() {
            summary.counts.add(severity(place.iter().map(|e| &**e)));
        }
        for result in &results.endpoints {
            match result.judged.notes.interval {
                None => summary.oldest = summary.oldest.min(result.at),
                Some(own) => {
                    let until = Timestamp(result.at.0.saturating_add(stale_after(own)));
                    summary.fresh_until = summary.fresh_until.min(until);
                }
            }
        }
        summary
    }

    /// Returns the summary of several parts.
    pub(super) fn sum<'a>(parts: impl Iterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        for part in parts {
            sum.counts.ok += part.counts.ok;
            sum.counts.info += part.counts.info;
            sum.counts.warning += part.counts.warning;
            sum.counts.unknown += part.counts.unknown;
            sum.counts.critical += part.counts.critical;
            sum.probed += part.probed;
            sum.oldest = sum.oldest.min(part.oldest);
            sum.fresh_until = sum.fresh_until.min(part.fresh_until);
        }
        sum
    }

    /// Returns the number of endpoints by the severity of their results, even if these are stale.
    pub(super) fn counts(&self) -> SeverityCounts {
        self.counts
    }

    /// Returns the number of targets with a result.
    pub(super) fn probed(&self) -> usize {
        usize::try_from(self.probed).unwrap_or(usize::MAX)
    }

    /// Returns true if a result is stale; `interval` is the default.
    pub(super) fn has_stale(&self, now: Timestamp, interval: Duration) -> bool {
        now.seconds_since(self.oldest) > stale_after(interval) || now > self.fresh_until
    }

    /// Returns true if an endpoint has a result of at least this severity.
    pub(super) fn has_at_least(&self, least: Severity) -> bool {
        let all = [
            Severity::Critical,
            Severity::Unknown,
            Severity::Warning,
            Severity::Info,
            Severity::Ok,
        ];
        let mut wanted = all.into_iter().filter(|severity| *severity >= least);
        wanted.any(|severity| self.has(severity))
    }

    /// Returns true if an endpoint has a result of this severity.
    pub(super) fn has(&self, severity: Severity) -> bool {
        self.counts.get(severity) > 0
    }
}

/// Returns the highest severity of the results of an endpoint, even if these are stale.
pub(super) fn severity<'a>(results: impl Iterator<Item = &'a EndpointResult>) -> Severity {
    let severities = results.map(|result| result.judged.severity());
    severities.max().unwrap_or(Severity::Ok)
}
