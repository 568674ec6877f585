//! Times of `--at`.

use std::str::FromStr;
use std::time::Duration;

use crate::model::{Timestamp, parse_duration};

use super::error::FlagError;

/// Time as of which results are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// A point in time.
    Time(Timestamp),
    /// A duration after the start of the command.
    Later(Duration),
}

impl At {
    /// Returns the time for a command that runs at `now`.
    pub(super) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Later(duration) => {
                let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_add(seconds))
            }
        }
    }
}

impl FromStr for At {
    type Err = FlagError;

    /// Parses RFC 3339, a date, which is its beginning in UTC, or `+30d`.
    fn from_str(text: &str) -> Result<Self, FlagError> {
        let text = text.trim();
        if let Some(duration) = text.strip_prefix('+') {
            return parse_duration(duration)
                .map(Self::Later)
                .map_err(|_| FlagError::Time(text.to_owned()));
        }
        let with_zone = format!("{text}T00:00:00Z");
        let time = Timestamp::from_str(text).or_else(|_| with_zone.parse());
        time.map(Self::Time)
            .map_err(|_| FlagError::Time(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_durations_are_read() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (text, wanted) in [
            ("2027-03-01T01:00:00+01:00", "2027-03-01T00:00:00Z"),
            ("2027-03-01", "2027-03-01T00:00:00Z"),
            ("+30d", "2026-12-24T12:00:00Z"),
            ("+1h 30m", "2026-11-24T13:30:00Z"),
        ] {
            let at: At = text.parse().unwrap();
            assert_eq!(at.from(now).to_string(), wanted, "{text}");
        }
        for text in [
            "",
            "+",
            "30d",
            "-30d",
            "2027-13-01",
            "01.03.2027",
            "+200years",
            "2027-03-01T00:00:00",
        ] {
            assert!(text.parse::<At>().is_err(), "{text}");
        }
        let latest = At::Later(Duration::from_secs(1)).from(Timestamp(i64::MAX));
        assert_eq!(latest, Timestamp(i64::MAX));
    }
}
