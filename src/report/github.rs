//! Workflow commands of GitHub Actions: an annotation for each finding, shown in the run and its
//! log.
//!
//! The runner reads standard output line by line and interprets lines that begin with `::` as
//! commands
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>). Text
//! from servers appears only inside commands and is escaped, so that it cannot begin a command.

use std::fmt::Write as _;

use crate::certificate::printable;
use crate::finding::Severity;
use crate::judge::Judged;

use super::Summary;
use super::rows::rows;

/// Formats a command for each finding and each inconclusive probe, most severe first, then the
/// summary.
pub fn github(results: &[Judged]) -> String {
    let rows = rows(results);
    let mut out = String::new();
    for row in &rows {
        let place = row.place();
        if let Some(error) = row.unreported_error() {
            let title = format!("{} {place}", error.kind);
            annotate(&mut out, row.judged.severity(), &title, &[&error.message]);
        }
        for finding in &row.judged.findings {
            let title = format!("{} {place}", finding.code());
            let text = finding.text();
            let fix = format!("fix: {}", text.hint);
            let lines = [text.message.as_str(), fix.as_str()];
            let reported = if text.hint.is_empty() { 1 } else { 2 };
            let lines = lines.get(..reported).unwrap_or(&lines);
            annotate(&mut out, finding.severity, &title, lines);
        }
    }
    let _ = writeln!(out, "{}", Summary::of(rows.iter().map(|row| row.judged)));
    out
}

fn annotate(out: &mut String, severity: Severity, title: &str, lines: &[&str]) {
    let command = match severity {
        Severity::Critical | Severity::Unknown => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Ok => "notice",
    };
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    let title = escaped(title).replace(':', "%3A").replace(',', "%2C");
    // Line ends inside a command are escaped.
    let _ = writeln!(out, "::{command} title={title}::{}", lines.join("%0A"));
}

/// Escapes text for the message of a command. Line ends are removed with the other control
/// characters.
fn escaped(text: &str) -> String {
    printable(text).replace('%', "%25")
}
