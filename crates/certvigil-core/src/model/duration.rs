//! Durations in human-readable form.

use std::time::Duration;

/// Maximum duration, a hundred years: the sum of a time and a few durations is still a valid time.
pub const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reason for which text is not a duration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// It is longer than [`MAX_DURATION`].
    #[error("the duration is longer than 100 years; write it as 10s or 2m")]
    TooLong,
    /// It has another syntax.
    #[error("{0}; write it as 10s or 2m")]
    Syntax(humantime::DurationError),
}

/// Parses a duration in human-readable form, such as `10s` or `1h 30m`.
///
/// # Errors
/// Returns the fault, with the syntax.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration > MAX_DURATION => Err(DurationError::TooLong),
        Ok(duration) => Ok(duration),
        Err(error) => Err(DurationError::Syntax(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn too_long_duration_is_refused() {
        for long in ["101years", "18446744073709551615s", "10000000000000000000s"] {
            assert!(parse_duration(long).is_err(), "{long}");
        }
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn parsed_duration_never_overflows_an_instant(number in any::<u64>(), unit in "ns|us|ms|s|m|h|d|w|M|y") {
            if let Ok(duration) = parse_duration(&format!("{number}{unit}")) {
                prop_assert!(Instant::now().checked_add(duration * 10).is_some());
            }
        }
    }
}
