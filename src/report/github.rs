//! GitHub Actions' workflow commands: an annotation for each finding, shown at the run and in its log.
//!
//! The runner reads standard output line by line, and takes one that begins with `::` as a command
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>). Text from servers
//! stands inside of commands only, and escaped, so that it cannot begin one of its own.

use std::fmt::Write as _;

use crate::certificate::printable;
use crate::finding::Severity;
use crate::judge::Judged;

use super::Summary;
use super::rows::rows;

/// A command for each finding and for each look that was not conclusive, worst first, and the summary as last line.
pub fn github(results: &[Judged]) -> String {
    let rows = rows(results);
    let mut out = String::new();
    for row in &rows {
        let place = row.place();
        if let Some(error) = row.untold_error() {
            let title = format!("{} {place}", error.kind);
            annotate(&mut out, row.judged.severity(), &title, &[&error.message]);
        }
        for finding in &row.judged.findings {
            let title = format!("{} {place}", finding.code());
            let text = finding.text();
            let fix = format!("fix: {}", text.hint);
            let lines = [text.message.as_str(), fix.as_str()];
            let told = if text.hint.is_empty() { 1 } else { 2 };
            let lines = lines.get(..told).unwrap_or(&lines);
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
    // What ends a line is written escaped inside of a command.
    let _ = writeln!(out, "::{command} title={title}::{}", lines.join("%0A"));
}

/// Fit for the message of a command. Line ends are among the control characters that are taken out.
fn escaped(text: &str) -> String {
    printable(text).replace('%', "%25")
}
