//! Thresholds of the remaining time of certificates.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::parse_duration;

/// Remaining time from which a certificate counts as expiring: a share of its lifetime, a duration,
/// or the smaller of both.
///
/// ```
/// use certvigil_core::model::{Threshold, ThresholdError};
///
/// const DAY: i64 = 86_400;
/// let threshold: Threshold = "25%,30d".parse()?;
/// assert_eq!(threshold.seconds_of(398 * DAY), 30 * DAY);
/// assert_eq!(threshold.seconds_of(40 * DAY), 10 * DAY);
/// # Ok::<(), ThresholdError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    share: Option<f64>,
    duration: Option<Duration>,
}

impl Threshold {
    /// Default of the warning threshold: `25%,30d`.
    pub const WARN: Self = Self::new(25.0, 30);
    /// Default of the critical threshold: `10%,7d`.
    pub const CRIT: Self = Self::new(10.0, 7);

    const fn new(percent: f64, days: u64) -> Self {
        Self {
            share: Some(percent),
            duration: Some(Duration::from_secs(days * 86_400)),
        }
    }

    /// Returns true if this critical threshold is longer than a warning threshold in one of its parts,
    /// so that the expiry of some certificates would be critical before it is a warning. A share and a
    /// duration are not compared.
    pub fn is_longer_than(&self, warn: &Self) -> bool {
        let share = self.share.zip(warn.share);
        let duration = self.duration.zip(warn.duration);
        share.is_some_and(|(crit, warn)| crit > warn)
            || duration.is_some_and(|(crit, warn)| crit > warn)
    }

    /// Returns the seconds before expiry from which a certificate of this lifetime (in seconds)
    /// counts as expiring.
    pub fn seconds_of(&self, lifetime: i64) -> i64 {
        let share = self
            .share
            .map(|p| (lifetime.max(0) as f64 * p / 100.0) as i64);
        let fixed = self
            .duration
            .map(|d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX));
        share.unwrap_or(i64::MAX).min(fixed.unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Returns a duration as flags accept it: whole days as `7d`.
        fn short(duration: Duration) -> String {
            const DAY: u64 = 86_400;
            match duration.as_secs() {
                seconds if seconds % DAY == 0 && duration.subsec_nanos() == 0 => {
                    format!("{}d", seconds / DAY)
                }
                _ => humantime::format_duration(duration).to_string(),
            }
        }
        match (self.share, self.duration) {
            (Some(p), Some(d)) => write!(f, "{p}%,{}", short(d)),
            (Some(p), None) => write!(f, "{p}%"),
            (None, Some(d)) => f.write_str(&short(d)),
            (None, None) => Ok(()),
        }
    }
}

/// A critical threshold that is longer than the warning threshold.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "`crit` ({crit}) is longer than `warn` ({warn}), so that expiry would be critical before it is a warning; shorten `crit` or lengthen `warn`"
)]
pub struct CritBeforeWarn {
    /// Critical threshold.
    pub crit: Threshold,
    /// Warning threshold.
    pub warn: Threshold,
}

impl CritBeforeWarn {
    /// Checks that the critical threshold is not longer than the warning threshold.
    ///
    /// # Errors
    /// If it is.
    pub fn check(warn: Threshold, crit: Threshold) -> Result<(), Self> {
        match crit.is_longer_than(&warn) {
            true => Err(Self { crit, warn }),
            false => Ok(()),
        }
    }
}

/// Reason for which text is not a threshold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThresholdError {
    /// A part is neither a share nor a duration.
    #[error(
        "`{part}` is not an expiry threshold; write a share and a duration (25%,30d), or one of them"
    )]
    Syntax {
        /// The part.
        part: String,
    },
    /// A share is below 0 % or above 100 %.
    #[error("`{part}` is not a share of the lifetime; write 0% to 100%")]
    Share {
        /// The part.
        part: String,
    },
    /// There are several shares.
    #[error("`{text}` has two shares; write one share, one duration, or both")]
    TwoShares {
        /// The text.
        text: String,
    },
    /// There are several durations.
    #[error("`{text}` has two durations; write one share, one duration, or both")]
    TwoDurations {
        /// The text.
        text: String,
    },
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let wrong = |part: &str| ThresholdError::Syntax {
            part: part.to_owned(),
        };
        let mut threshold = Self {
            share: None,
            duration: None,
        };
        for part in text.split(',').map(str::trim) {
            if let Some(number) = part.strip_suffix('%') {
                let share: f64 = number.parse().map_err(|_| wrong(part))?;
                if !(0.0..=100.0).contains(&share) {
                    return Err(ThresholdError::Share {
                        part: part.to_owned(),
                    });
                }
                if threshold.share.replace(share).is_some() {
                    return Err(ThresholdError::TwoShares {
                        text: text.to_owned(),
                    });
                }
            } else {
                let duration = parse_duration(part).map_err(|_| wrong(part))?;
                if threshold.duration.replace(duration).is_some() {
                    return Err(ThresholdError::TwoDurations {
                        text: text.to_owned(),
                    });
                }
            }
        }
        Ok(threshold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_the_smaller_of_share_and_duration() {
        let day = 86_400;
        let t: Threshold = "25%,30d".parse().unwrap();
        assert_eq!(t.seconds_of(398 * day), 30 * day);
        assert_eq!(t.seconds_of(40 * day), 10 * day);
        assert_eq!(
            "50%".parse::<Threshold>().unwrap().seconds_of(6 * day),
            3 * day
        );
        assert_eq!("7d".parse::<Threshold>().unwrap().seconds_of(day), 7 * day);
        for bad in ["", "101%", "-1%", "x", "1d,2d", "1%,2%", "NaN%"] {
            assert!(bad.parse::<Threshold>().is_err(), "{bad}");
        }
    }
}
