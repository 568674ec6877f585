//! Findings that the configuration accepts.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Code;
use crate::model::Timestamp;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A finding that an entry of the inventory accepts, so that its severity is `info`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acceptance {
    /// Code of the finding.
    pub code: Code,
    /// Reason, as the configuration states it.
    pub reason: String,
    /// Start of the last day (UTC) of the acceptance; `None` for an acceptance without an end.
    pub until: Option<Timestamp>,
}

impl Acceptance {
    /// Returns true if the acceptance applies at this time. The last day is included.
    pub fn applies_at(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|day| now.seconds_since(day) < DAY)
    }
}

impl fmt::Display for Acceptance {
    /// Writes the end of a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("accepted")?;
        if let Some(day) = self.until {
            write!(f, " until {}", day.date())?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Labels and accepted findings of an entry of the inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryNotes {
    /// Labels by name, for metrics, JSON and pages.
    pub labels: BTreeMap<String, String>,
    /// Accepted findings.
    pub accept: Vec<Acceptance>,
    /// Interval of the probes, if it differs from the default.
    pub interval: Option<Duration>,
}
