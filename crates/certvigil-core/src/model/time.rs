//! Points in time.

use std::fmt;
use std::str::FromStr;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, in whole seconds since the Unix epoch. Certificates contain times before 1970
/// and after 9999, which the types of the standard library and of the path builder cannot
/// represent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns `self - earlier`, in seconds; negative if `self` is the earlier one.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns the date in UTC, such as `2027-02-20`.
    pub fn date(self) -> String {
        let text = self.to_string();
        text.split('T').next().unwrap_or_default().to_owned()
    }

    fn to_datetime(self) -> OffsetDateTime {
        let (first, last) = (-62_167_219_200, 253_402_300_799); // years 0000 and 9999
        OffsetDateTime::from_unix_timestamp(self.0.clamp(first, last))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Reason for which text is not a point in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// It is not a date.
    #[error("`{text}` is not a date; write it as 2027-06-01")]
    Date {
        /// The text.
        text: String,
    },
    /// It is not a time.
    #[error("`{text}` is not an RFC 3339 time; write it as 2026-11-24T12:00:00Z")]
    Time {
        /// The text.
        text: String,
    },
}

/// Parses a date, such as `2027-06-01`. Returns its start in UTC.
pub fn parse_date(text: &str) -> Result<Timestamp, TimeError> {
    let is_date = text.len() == "2027-06-01".len();
    let start = is_date.then(|| format!("{text}T00:00:00Z").parse().ok());
    start.flatten().ok_or_else(|| TimeError::Date {
        text: text.to_owned(),
    })
}

impl fmt::Display for Timestamp {
    /// Writes RFC 3339, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            &self
                .to_datetime()
                .format(&Rfc3339)
                .map_err(|_| fmt::Error)?,
        )
    }
}

impl FromStr for Timestamp {
    type Err = TimeError;

    /// Parses RFC 3339, such as `2026-11-24T12:00:00Z`.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        OffsetDateTime::parse(text, &Rfc3339)
            .map(|t| Self(t.unix_timestamp()))
            .map_err(|_| TimeError::Time {
                text: text.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let t: Timestamp = "2026-11-24T13:00:00+01:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-11-24T12:00:00Z");
        assert_eq!(t.date(), "2026-11-24");
        assert!("yesterday".parse::<Timestamp>().is_err());
        assert_eq!(Timestamp(i64::MAX).date(), "9999-12-31");
    }
}
