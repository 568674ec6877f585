//! A clock that was set, or that ran on while the machine was suspended.
//!
//! Probes are scheduled by the time since the start, which neither changes. Verdicts and the age of
//! results depend on the clock. After a jump of the clock, everything is probed again: at once where
//! a verdict may have changed, and otherwise at the time at which it would have been due.

use std::time::Duration;

use super::{LogLine, Now, State};

/// Minimum difference in seconds between the clock and the time since the start that is a jump. It is
/// more than the resolution of the clock.
pub(super) const MIN_CLOCK_JUMP: i64 = 5;

impl State {
    /// Schedules probes and source requests again if the clock has jumped since the last event.
    pub(super) fn follow_clock(&mut self, now: Now) {
        let before = std::mem::replace(&mut self.last_event, now);
        let passed = now.elapsed.saturating_sub(before.elapsed).as_secs();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        let by_clock = now.clock.seconds_since(before.clock);
        let jump = by_clock.saturating_sub(passed);
        if jump.unsigned_abs() < MIN_CLOCK_JUMP.unsigned_abs() || self.is_stopping {
            return;
        }
        self.log(LogLine::warning(format_args!(
            "the clock was set, or the machine was suspended: seconds={jump}; everything is probed again"
        )));
        let (interval, refresh) = (self.settings.interval, self.settings.times.refresh);
        let earlier = match u64::try_from(jump) {
            Ok(ahead) => {
                let ahead = Duration::from_secs(ahead);
                self.sources.catch_up(ahead, refresh, now.elapsed);
                ahead
            }
            // Results from a time that is yet to come have no useful age.
            Err(_) => Duration::MAX,
        };
        for schedule in self.schedules.values_mut() {
            schedule.catch_up(earlier, interval, now);
        }
        self.publish();
    }
}
