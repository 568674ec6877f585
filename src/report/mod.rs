//! Output formats: each file formats judged probes as text in one format.

mod fix;
mod github;
mod human;
pub mod inspect;
mod json;
mod junit;
mod nagios;
pub mod prometheus;
mod rows;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::finding::Severity;
use crate::judge::Judged;

#[cfg(feature = "serve")]
pub(crate) use fix::fix_of;
pub use github::{github, github_summary, incomplete as github_incomplete, without_commands};
pub use human::{Style, human, human_on_terminal, line};
pub(crate) use human::{colour_of, paint};
pub use json::{json, json_of_run, jsonl, write_jsonl};
pub use junit::{junit, junit_of_run};
pub use nagios::{incomplete as nagios_incomplete, nagios, nagios_error};
pub use rows::place;

/// Text that marks the result of an interrupted run.
pub const INCOMPLETE: &str = "interrupted: the result is incomplete";

/// The reason why a run has no result for some endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gap {
    /// The user interrupted the run.
    Interrupted,
    /// A source failed, with this error, and its hosts are not known.
    Source(String),
}

impl Gap {
    /// Returns the name of its case in JUnit.
    fn name(&self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::Source(_) => "source",
        }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str(INCOMPLETE),
            Self::Source(error) => write!(f, "the result is incomplete: {error}"),
        }
    }
}

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Formats the number of endpoints of each severity, in one human-readable line, with or without
/// the counts that are zero.
pub fn summary(results: &[Judged], with_zeros: bool) -> String {
    let rows = rows::rows(results);
    Summary::of(rows.iter().map(|row| row.judged)).text(with_zeros)
}

/// Number of endpoints of each severity. Endpoints with informational findings only count as ok.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
struct Summary {
    endpoints: usize,
    ok: usize,
    warning: usize,
    critical: usize,
    unknown: usize,
}

impl Summary {
    fn of<'a>(results: impl IntoIterator<Item = &'a Judged>) -> Self {
        let mut summary = Self::default();
        for judged in results {
            summary.endpoints += 1;
            *match judged.severity() {
                Severity::Ok | Severity::Info => &mut summary.ok,
                Severity::Warning => &mut summary.warning,
                Severity::Unknown => &mut summary.unknown,
                Severity::Critical => &mut summary.critical,
            } += 1;
        }
        summary
    }
}

impl Summary {
    /// Formats the summary, with or without the counts that are zero.
    fn text(&self, with_zeros: bool) -> String {
        let plural = if self.endpoints == 1 { "" } else { "s" };
        let counts = [
            (self.critical, Severity::Critical),
            (self.unknown, Severity::Unknown),
            (self.warning, Severity::Warning),
            (self.ok, Severity::Ok),
        ];
        let counts = counts
            .iter()
            .filter(|(count, _)| with_zeros || *count > 0)
            .map(|(count, severity)| format!("{count} {severity}"));
        let counts = counts.collect::<Vec<_>>().join(", ");
        let gap = if counts.is_empty() { "" } else { ": " };
        format!("{} endpoint{plural}{gap}{counts}", self.endpoints)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(true))
    }
}
