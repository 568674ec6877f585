//! Results to text: one file a format, judged looks in, a string out.

mod human;
mod json;
pub mod prometheus;
#[cfg(test)]
mod tests;

use crate::finding::Severity;
use crate::judge::Judged;

pub use human::{Style, human};
pub(crate) use human::{colour_of, paint};
pub use json::json;

/// How many endpoints there are of each severity; what is only worth knowing counts as ok.
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
