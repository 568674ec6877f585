//! Monitoring plugin output for Nagios, Icinga, Naemon and others: a status line with performance
//! data, followed by details (<https://www.monitoring-plugins.org/doc/guidelines.html>).

use std::fmt::Write as _;
use std::time::Duration;

use crate::certificate::{Facts, printable};
use crate::finding::Severity;
use crate::judge::Judged;
use crate::model::{Thresholds, Timestamp, Timings};
use crate::observation::Outcome;

use super::human::{severity_word, until};
use super::rows::{Row, rows};
use super::{DAY, Gap, Summary};

/// Formats the results as plugin output. `state` is the severity of the exit code. `thresholds` are
/// those of all certificates, if they are the same.
pub fn nagios(
    results: &[Judged],
    state: Severity,
    thresholds: Option<Thresholds>,
    now: Timestamp,
) -> String {
    let rows = rows(results);
    let summary = Summary::of(rows.iter().map(|row| row.judged));
    let earliest = earliest(results);
    let mut line = summary.to_string();
    match rows.first() {
        Some(worst) if worst.judged.severity() >= Severity::Warning => {
            let _ = write!(line, "; {} at {}", what(worst), worst.place());
        }
        _ => {
            if let Some(facts) = earliest {
                let _ = write!(line, "; {}", until(facts.not_after, now));
            }
        }
    }
    let mut out = status_line(state, &line);
    out.push_str(" |");
    for (label, count) in [
        ("endpoints", summary.endpoints),
        ("ok", summary.ok),
        ("warning", summary.warning),
        ("critical", summary.critical),
        ("unknown", summary.unknown),
    ] {
        let _ = write!(out, " '{label}'={count};;;0");
    }
    if let Some(facts) = earliest {
        let _ = write!(out, " {}", days_left(facts, thresholds, now));
    }
    type Phase = fn(&Timings) -> Option<Duration>;
    let phases: [(&str, Phase); 4] = [
        ("resolve", |t| t.resolve),
        ("connect", |t| t.connect),
        ("starttls", |t| t.starttls),
        ("handshake", |t| t.handshake),
    ];
    for (label, phase) in phases {
        let times = results.iter().filter_map(|j| phase(&j.observation.timings));
        if let Some(longest) = times.max() {
            let _ = write!(out, " '{label}'={:.6}s;;;0", longest.as_secs_f64());
        }
    }
    out.push('\n');
    for row in &rows {
        write_details(&mut out, row);
    }
    out
}

/// Marks plugin output as incomplete, in its status line.
pub fn incomplete(text: String, gap: &Gap) -> String {
    match text.split_once(" - ") {
        Some((state, rest)) => {
            let gap = plain(&gap.to_string());
            format!("{state} - {gap}; {rest}")
        }
        None => text,
    }
}

/// Formats the status line of a run that ended with an error instead of a result. `state` is the
/// severity of the exit code.
pub fn nagios_error(error: &str, state: Severity) -> String {
    let mut line = status_line(state, error.lines().next().unwrap_or_default());
    line.push('\n');
    line
}

fn status_line(state: Severity, text: &str) -> String {
    let word = match state {
        Severity::Ok | Severity::Info => "OK",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
        Severity::Unknown => "UNKNOWN",
    };
    format!("CERTVIGIL {word} - {}", plain(text))
}

fn write_details(out: &mut String, row: &Row<'_>) {
    let severity = row.judged.severity();
    let error = row.unreported_error();
    if error.is_none() && row.judged.findings.is_empty() {
        return;
    }
    let line = format!("{} {}: {}", severity_word(severity), row.place(), what(row));
    let _ = writeln!(out, "{}", plain(&line));
    if let Some(error) = error {
        let _ = writeln!(out, "  {}", plain(&error.message));
    }
    for finding in &row.judged.findings {
        let text = finding.text();
        let (severity, message) = (finding.severity, plain(&text.message));
        let _ = writeln!(out, "  {severity}: {message}");
        if !text.hint.is_empty() {
            let _ = writeln!(out, "  fix: {}", plain(&text.hint));
        }
    }
}

/// Formats the codes of the findings, or the kind of error if there are none.
fn what(row: &Row<'_>) -> String {
    let mut codes: Vec<&str> = row
        .judged
        .findings
        .iter()
        .map(|f| f.code().name())
        .collect();
    codes.dedup();
    match row.unreported_error() {
        Some(error) if codes.is_empty() => error.kind.name().to_owned(),
        _ => codes.join(", "),
    }
}

/// Returns the served leaf that expires first.
fn earliest(results: &[Judged]) -> Option<&Facts> {
    let leaves = results.iter().filter_map(|j| match &j.observation.outcome {
        Outcome::Served(served) => served.leaf.facts().ok().filter(|f| f.has_validity),
        Outcome::Reported(_) | Outcome::Failed(_) => None,
    });
    leaves.min_by_key(|facts| facts.not_after)
}

/// Formats the days until expiry. `30:` is the guidelines' notation for an alert below 30.
fn days_left(leaf: &Facts, thresholds: Option<Thresholds>, now: Timestamp) -> String {
    let days = |seconds: i64| seconds as f64 / DAY as f64;
    let left = days(leaf.not_after.seconds_since(now));
    match thresholds {
        Some(Thresholds { warn, crit }) => {
            let [warn, crit] = [warn, crit].map(|t| days(t.seconds_of(leaf.lifetime())));
            format!("'days_left'={left:.2};{warn:.2}:;{crit:.2}:")
        }
        None => format!("'days_left'={left:.2}"),
    }
}

/// Replaces characters that would end the line or begin performance data.
fn plain(text: &str) -> String {
    printable(text).replace('|', "/")
}
