//! The summary at the top of the overview.

use crate::finding::Severity;

use super::super::snapshot::SeverityCounts;
use super::frame::counted;
use super::view::View;

/// Summary: a title, and further sentences.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headline {
    pub(super) severity: Severity,
    pub(super) title: String,
    pub(super) rest: String,
}

impl Headline {
    /// Returns the summary; `stale` is the number of endpoints with a stale result.
    pub(super) fn of(view: &View, counts: &SeverityCounts, stale: usize) -> Self {
        let mut headline = Self::new(
            Counts {
                all: counts.total(),
                critical: counts.of(Severity::Critical),
                unknown: counts.of(Severity::Unknown),
                warning: counts.of(Severity::Warning),
            },
            view.waiting(),
            view.unknown_entries(),
            view.monitor.is_ready,
        );
        if stale > 0 {
            let words = format!(
                "The results of {} are stale: older than two intervals.",
                counted(stale, "address")
            );
            headline.rest = format!("{} {words}", headline.rest).trim().to_owned();
        }
        headline
    }

    /// Returns the summary. `waiting` is the number of hosts that have not been probed yet, and
    /// `unknown_entries` that of the entries whose hosts are unknown.
    fn new(counts: Counts, waiting: usize, unknown_entries: usize, is_ready: bool) -> Self {
        let Counts {
            all,
            critical,
            unknown,
            warning,
        } = counts;
        let waits = match waiting {
            0 => String::new(),
            1 => " 1 host has not been probed yet.".into(),
            n => format!(" {n} hosts have not been probed yet."),
        };
        if all == 0 {
            let (title, rest) = if waiting > 0 || !is_ready {
                (
                    "Nothing has been probed yet",
                    format!("The first probes are in flight.{waits}"),
                )
            } else if unknown_entries > 0 {
                (
                    "The expected certificates are unknown",
                    "No source has responded yet. certvigil retries them; their errors are below."
                        .into(),
                )
            } else {
                (
                    "There is nothing to probe",
                    "No certificate of the inventory has a host. Add one to the configuration and reload it; the sources \
                     below show their results."
                        .into(),
                )
            };
            return Self {
                severity: Severity::Unknown,
                title: title.into(),
                rest,
            };
        }
        let of = |n: usize, one: &str, many: &str| match (n, all) {
            (n, all) if n == all && all == 1 => format!("The only address {one}"),
            (n, all) if n == all => format!("All {all} addresses {many}"),
            (1, _) => format!("1 of {all} addresses {one}"),
            (n, _) => format!("{n} of {all} addresses {many}"),
        };
        let (severity, title) = if critical > 0 {
            (
                Severity::Critical,
                of(critical, "is critical", "are critical"),
            )
        } else if unknown > 0 {
            (Severity::Unknown, of(unknown, "is unknown", "are unknown"))
        } else if unknown_entries > 0 {
            (Severity::Unknown, unknown_entries_text(unknown_entries))
        } else if warning > 0 {
            (
                Severity::Warning,
                of(warning, "has a warning", "have a warning"),
            )
        } else {
            (
                Severity::Ok,
                of(
                    all,
                    "serves the expected certificate",
                    "serve the expected certificate",
                ),
            )
        };
        let hidden = match unknown_entries {
            0 => String::new(),
            _ if critical + unknown == 0 => String::new(),
            n => format!(" {}.", unknown_entries_text(n)),
        };
        // The counts are beside it, as links.
        let rest = match severity {
            Severity::Ok => {
                "Each has a complete chain, matches its host name and does not expire soon."
            }
            _ => "",
        };
        Self {
            severity,
            title,
            rest: format!("{rest}{hidden}{waits}").trim().to_owned(),
        }
    }
}

/// Returns a sentence about the entries whose certificates are unknown. Their endpoints are not in
/// the counts.
fn unknown_entries_text(entries: usize) -> String {
    match entries {
        1 => "The expected certificate of 1 configuration entry is unknown".into(),
        n => format!("The expected certificates of {n} configuration entries are unknown"),
    }
}

#[derive(Clone, Copy)]
struct Counts {
    all: usize,
    critical: usize,
    unknown: usize,
    warning: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headline(
        all: usize,
        critical: usize,
        unknown: usize,
        warning: usize,
        waiting: usize,
    ) -> String {
        beside(0, all, critical, unknown, warning, waiting)
    }

    /// Returns the same with this number of entries whose source has never returned a result.
    fn beside(
        unknown_entries: usize,
        all: usize,
        critical: usize,
        unknown: usize,
        warning: usize,
        waiting: usize,
    ) -> String {
        let counts = Counts {
            all,
            critical,
            unknown,
            warning,
        };
        let Headline {
            severity,
            title,
            rest,
        } = Headline::new(counts, waiting, unknown_entries, waiting == 0);
        format!("{severity}: {title} | {rest}")
    }

    #[test]
    fn headline_summarizes_the_state_in_a_sentence() {
        insta::assert_snapshot!(headline(40, 2, 1, 3, 0), @"critical: 2 of 40 addresses are critical |");
        insta::assert_snapshot!(headline(40, 1, 0, 0, 0), @"critical: 1 of 40 addresses is critical |");
        insta::assert_snapshot!(headline(40, 40, 0, 0, 0), @"critical: All 40 addresses are critical |");
        insta::assert_snapshot!(headline(40, 0, 1, 1, 0), @"unknown: 1 of 40 addresses is unknown |");
        insta::assert_snapshot!(headline(40, 0, 0, 1, 0), @"warning: 1 of 40 addresses has a warning |");
        insta::assert_snapshot!(headline(40, 0, 0, 0, 0), @"ok: All 40 addresses serve the expected certificate | Each has a complete chain, matches its host name and does not expire soon.");
        insta::assert_snapshot!(headline(1, 0, 0, 0, 2), @"ok: The only address serves the expected certificate | Each has a complete chain, matches its host name and does not expire soon. 2 hosts have not been probed yet.");
        insta::assert_snapshot!(headline(1, 1, 0, 0, 0), @"critical: The only address is critical |");
        insta::assert_snapshot!(headline(0, 0, 0, 0, 12), @"unknown: Nothing has been probed yet | The first probes are in flight. 12 hosts have not been probed yet.");
        insta::assert_snapshot!(headline(0, 0, 0, 0, 0), @"unknown: There is nothing to probe | No certificate of the inventory has a host. Add one to the configuration and reload it; the sources below show their results.");
    }

    #[test]
    fn headline_reports_unknown_expected_certificates() {
        insta::assert_snapshot!(beside(1, 0, 0, 0, 0, 0), @"unknown: The expected certificates are unknown | No source has responded yet. certvigil retries them; their errors are below.");
        insta::assert_snapshot!(beside(1, 40, 0, 0, 3, 0), @"unknown: The expected certificate of 1 configuration entry is unknown |");
        insta::assert_snapshot!(beside(2, 40, 0, 0, 0, 1), @"unknown: The expected certificates of 2 configuration entries are unknown | 1 host has not been probed yet.");
        insta::assert_snapshot!(beside(2, 40, 1, 0, 0, 0), @"critical: 1 of 40 addresses is critical | The expected certificates of 2 configuration entries are unknown.");
        insta::assert_snapshot!(beside(1, 40, 0, 40, 0, 0), @"unknown: All 40 addresses are unknown | The expected certificate of 1 configuration entry is unknown.");
    }
}
