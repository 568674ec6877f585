//! Results of an endpoint in the last day: the most severe of each half hour. Pure.
//!
//! The history in the state directory merges equal results, also those before and after a time without
//! probes. It cannot tell when an endpoint was not probed; this record can.

use std::time::Duration;

use crate::finding::Severity;
use crate::model::Timestamp;

/// Duration of a period in seconds.
pub(in crate::serve) const PERIOD_SECONDS: i64 = 30 * 60;
/// Number of periods that are kept: one day.
pub(in crate::serve) const PERIODS: u32 = 48;
/// Intervals for which a result is valid.
const VALID_INTERVALS: u64 = 2;

/// Most severe result of each of the last periods. Bit 0 is the newest period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::serve) struct Recent {
    /// Number of the newest period, counted from the Unix epoch.
    newest: i64,
    periods: Periods,
}

/// Periods by their results: a period is in `probed`, and in the mask of each severity of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Periods {
    probed: u64,
    warning: u64,
    unknown: u64,
    critical: u64,
}

impl Periods {
    fn map(self, change: impl Fn(u64) -> u64) -> Self {
        Self {
            probed: change(self.probed),
            warning: change(self.warning),
            unknown: change(self.unknown),
            critical: change(self.critical),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            probed: self.probed | other.probed,
            warning: self.warning | other.warning,
            unknown: self.unknown | other.unknown,
            critical: self.critical | other.critical,
        }
    }

    /// Returns a result in the newest period.
    fn newest(severity: Severity) -> Self {
        let bit = |is_set: bool| u64::from(is_set);
        Self {
            probed: 1,
            warning: bit(severity == Severity::Warning),
            unknown: bit(severity == Severity::Unknown),
            critical: bit(severity == Severity::Critical),
        }
    }
}

impl Recent {
    /// Returns the record with a further result.
    pub(in crate::serve) fn with(self, at: Timestamp, severity: Severity) -> Self {
        let period = at.0.div_euclid(PERIOD_SECONDS);
        let result = Periods::newest(severity);
        let (newest, earlier) = match period.saturating_sub(self.newest) {
            // The clock was set back a little.
            -1 => (self.newest, self.periods),
            later @ 0.. => (period, older(self.periods, later)),
            // The clock was set back: the earlier times are wrong.
            _ => (period, Periods::default()),
        };
        Self {
            newest,
            periods: earlier.or(result),
        }
    }

    /// Returns the record as of `now`. A result is valid for two intervals, so that the periods
    /// between rare probes are known. `current` is the result that is valid now, if there is one.
    fn as_of(self, now: Timestamp, interval: Duration, current: Option<Severity>) -> Periods {
        let period = now.0.div_euclid(PERIOD_SECONDS);
        let later = period.saturating_sub(self.newest).max(0);
        let mut periods = older(self.periods, later);
        // The probe may have ended at the start of its period.
        let valid = interval.as_secs().saturating_mul(VALID_INTERVALS);
        let period_seconds = PERIOD_SECONDS.unsigned_abs();
        let following = (valid / period_seconds).saturating_sub(1);
        for _ in 0..following.min(PERIODS.into()) {
            let is_next = !periods.probed & (periods.probed >> 1);
            periods = periods.or(periods.map(|mask| (mask >> 1) & is_next));
        }
        match current {
            Some(severity) if periods.probed & 1 == 0 => periods.or(Periods::newest(severity)),
            _ => periods,
        }
    }
}

/// Returns the periods after further ones, in which there was no result.
fn older(periods: Periods, later: i64) -> Periods {
    let later = u32::try_from(later).unwrap_or(u32::MAX);
    let kept = u64::MAX >> (u64::BITS - PERIODS);
    periods.map(|mask| mask.checked_shl(later).unwrap_or(0) & kept)
}

/// Results of one or several endpoints in the last day.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::serve) struct RecentDay {
    any: Periods,
    /// Periods in which an endpoint had no result, although it had one before or none at all.
    missing: u64,
}

/// Results of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::serve) enum Period {
    /// At least one endpoint was not probed.
    NotKnown,
    Ok,
    Warning,
    /// The probe had no result that can be judged.
    Unknown,
    Critical,
}

impl RecentDay {
    /// Adds an endpoint, with its interval and the severity of its result if that is valid `now`.
    /// An endpoint that is new does not make the time before its first probe unknown.
    pub(in crate::serve) fn add(
        &mut self,
        recent: Recent,
        now: Timestamp,
        interval: Duration,
        current: Option<Severity>,
    ) {
        let periods = recent.as_of(now, interval, current);
        let since_first = match periods.probed {
            0 => u64::MAX,
            probed => u64::MAX >> probed.leading_zeros(),
        };
        self.missing |= since_first & !periods.probed;
        self.any = self.any.or(periods);
    }

    /// Returns the periods, the oldest first.
    pub(in crate::serve) fn periods(&self) -> impl Iterator<Item = Period> + '_ {
        (0..PERIODS).rev().map(|age| {
            let is_in = |mask: u64| mask >> age & 1 == 1;
            match self.any {
                any if is_in(any.critical) => Period::Critical,
                any if is_in(any.unknown) => Period::Unknown,
                any if is_in(any.warning) => Period::Warning,
                any if is_in(any.probed) && !is_in(self.missing) => Period::Ok,
                _ => Period::NotKnown,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000 / PERIOD_SECONDS * PERIOD_SECONDS);
    const INTERVAL: Duration = Duration::from_secs(300);

    fn before(minutes: i64) -> Timestamp {
        Timestamp(NOW.0 - minutes * 60)
    }

    /// Returns the last eight periods as letters.
    fn last(day: &RecentDay) -> String {
        let letter = |period| match period {
            Period::NotKnown => '.',
            Period::Ok => 'o',
            Period::Warning => 'w',
            Period::Unknown => '?',
            Period::Critical => 'C',
        };
        let all: Vec<char> = day.periods().map(letter).collect();
        all[all.len() - 8..].iter().collect()
    }

    fn of(results: &[(i64, Severity)]) -> Recent {
        let mut recent = Recent::default();
        for (minutes, severity) in results {
            recent = recent.with(before(*minutes), *severity);
        }
        recent
    }

    fn day(recent: Recent, interval: Duration, current: Option<Severity>) -> RecentDay {
        let mut day = RecentDay::default();
        day.add(recent, NOW, interval, current);
        day
    }

    #[test]
    fn period_without_a_probe_is_not_known() {
        use Severity::{Critical, Ok, Warning};
        let recent = of(&[
            (200, Ok),
            (195, Critical),
            (190, Ok),
            (100, Warning),
            (20, Ok),
        ]);
        assert_eq!(last(&day(recent, INTERVAL, Some(Ok))), "C..w..oo");
        // The last result is stale.
        assert_eq!(last(&day(recent, INTERVAL, None)), "C..w..o.");
        // Nothing is known before the first result, and nothing of an endpoint without one.
        assert_eq!(last(&day(of(&[(20, Ok)]), INTERVAL, Some(Ok))), "......oo");
        assert_eq!(last(&day(Recent::default(), INTERVAL, None)), "........");
        // All results are older than a day.
        assert_eq!(last(&day(of(&[(3000, Ok)]), INTERVAL, None)), "........");
    }

    #[test]
    fn result_is_valid_for_two_intervals() {
        let recent = of(&[(200, Severity::Ok), (10, Severity::Ok)]);
        let hours = |hours: u64| last(&day(recent, Duration::from_secs(hours * 3600), None));
        assert_eq!(hours(0), "o.....o.");
        assert_eq!(hours(1), "oooo..oo");
        assert_eq!(hours(6), "oooooooo");
    }

    #[test]
    fn several_endpoints_show_the_worst_result_and_missing_probes() {
        use Severity::{Critical, Ok};
        let always: Vec<(i64, Severity)> = (0..10).rev().map(|n| (n * 30, Ok)).collect();
        let mut all = day(of(&always), INTERVAL, Some(Ok));
        assert_eq!(last(&all), "oooooooo");
        let other = of(&[(200, Ok), (100, Critical), (70, Ok), (40, Ok), (0, Ok)]);
        all.add(other, NOW, INTERVAL, Some(Ok));
        assert_eq!(last(&all), "o..Coo.o");
        // A new endpoint hides nothing that others showed before.
        let mut all = day(of(&always), INTERVAL, Some(Ok));
        all.add(of(&[(40, Critical), (0, Ok)]), NOW, INTERVAL, Some(Ok));
        assert_eq!(last(&all), "oooooC.o");
        // An endpoint without a result in the last day is not known at any time.
        let mut all = day(of(&always), INTERVAL, Some(Ok));
        all.add(of(&[(3000, Ok)]), NOW, INTERVAL, None);
        assert_eq!(last(&all), "........");
    }

    #[test]
    fn clock_that_is_set_back_forgets_the_later_results() {
        use Severity::{Critical, Ok};
        let recent = of(&[(120, Critical), (0, Critical)]).with(before(100), Ok);
        assert_eq!(last(&day(recent, INTERVAL, None)), "...o....");
        // One period may be the end of a leap second or of a correction by NTP.
        let recent = of(&[(60, Critical), (30, Ok)]).with(before(31), Ok);
        assert_eq!(last(&day(recent, INTERVAL, None)), ".....Co.");
    }

    proptest! {
        /// A period is ok only if there was a probe in it or shortly before, and none found a fault.
        #[test]
        fn ok_period_has_only_ok_results(results in prop::collection::vec((0_i64..3000, 0_u8..4), 0..40)) {
            let severities = [Severity::Ok, Severity::Warning, Severity::Unknown, Severity::Critical];
            let mut results: Vec<(i64, Severity)> = results.into_iter().map(|(m, s)| (m, severities[usize::from(s)])).collect();
            results.sort_by_key(|(minutes, _)| std::cmp::Reverse(*minutes));
            let day = day(of(&results), INTERVAL, None);
            for (period, age) in day.periods().zip((0..i64::from(PERIODS)).rev()) {
                // `NOW` is the first second of the newest period.
                let inside = |minutes: i64| before(minutes).0.div_euclid(PERIOD_SECONDS) == NOW.0 / PERIOD_SECONDS - age;
                let worst = results.iter().filter(|(m, _)| inside(*m)).map(|(_, s)| *s).max();
                let wanted = match worst {
                    None => Period::NotKnown,
                    Some(Severity::Critical) => Period::Critical,
                    Some(Severity::Unknown) => Period::Unknown,
                    Some(Severity::Warning) => Period::Warning,
                    Some(_) => Period::Ok,
                };
                prop_assert_eq!(period, wanted, "{} periods ago", age);
            }
        }
    }
}
