//! Human-readable table, most severe first: one line for each finding, with its hint below.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter, wrap};

use crate::finding::Severity;
use crate::judge::{Judged, Verdict};
use crate::model::Timestamp;
use crate::observation::Outcome;

use super::rows::{Row, rows};
use super::{DAY, Summary};

/// Style of the table.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Maximum width in columns.
    pub width: usize,
    /// True if colours are used.
    pub colour: bool,
    /// Time from which remaining days are counted.
    pub now: Timestamp,
}

/// Indentation of findings below the host, past the column of severities.
const INDENT: &str = "          ";
/// Width of the longest severity name.
const SEVERITY_WIDTH: usize = 8;
const GAP: &str = "  ";

/// Formats the results as a table, with a summary as the last line.
pub fn human(results: &[Judged], style: &Style) -> String {
    human_folded(results, style, false)
}

/// Formats the results as a table, whose ok rows are one line if `is_folded`.
pub fn human_folded(results: &[Judged], style: &Style, is_folded: bool) -> String {
    let all = rows(results);
    let (ok, rows): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        (all.iter()).partition(|row| row.judged.severity() == Severity::Ok);
    // One row is one line already.
    let (ok, rows) = match is_folded && ok.len() > 1 {
        true => (ok, rows),
        false => (Vec::new(), all.iter().collect()),
    };
    let host_width = column_width(
        "HOST",
        rows.iter().map(|r| r.host.as_str()),
        style.width / 3,
    );
    let address_width = column_width(
        "ADDRESS",
        rows.iter().map(|r| r.address.as_str()),
        style.width / 3,
    );
    let mut out = String::new();
    if !rows.is_empty() {
        let heading = format!(
            "{:SEVERITY_WIDTH$}{GAP}{:host_width$}{GAP}{:address_width$}{GAP}WHAT",
            "SEVERITY", "HOST", "ADDRESS"
        );
        let _ = writeln!(out, "{}", paint(&heading, BOLD, style));
    }
    for row in rows.iter().copied() {
        let severity = row.judged.severity();
        let word = format!("{:SEVERITY_WIDTH$}", severity_word(severity));
        let word = paint(&word, colour_of(severity), style);
        let what = what(row, style.now);
        let place = format!(
            "{:host_width$}{GAP}{:address_width$}",
            row.host, row.address
        );
        let fits = |text: &str| INDENT.len() + display_width(text) <= style.width;
        let line = format!("{place}{GAP}{what}");
        if fits(&line) {
            let _ = writeln!(out, "{word}{GAP}{line}");
        } else if fits(place.trim_end()) {
            let _ = writeln!(out, "{word}{GAP}{}", place.trim_end());
            write_wrapped(&mut out, &what, style);
        } else {
            let _ = writeln!(out, "{word}{GAP}{}", row.host);
            write_wrapped(&mut out, &format!("{}{GAP}{what}", row.address), style);
        }
        if let Some(error) = row.untold_error() {
            write_wrapped(&mut out, &error.message, style);
        }
        for finding in &row.judged.findings {
            let text = finding.text();
            // The first finding has the severity of the row. The others may be less severe.
            let message = if finding.severity == severity {
                text.message
            } else {
                format!("{}: {}", finding.severity, text.message)
            };
            write_wrapped(&mut out, &message, style);
            if !text.hint.is_empty() {
                write_wrapped(&mut out, &format!("fix: {}", text.hint), style);
            }
        }
    }
    if !ok.is_empty() {
        let word = format!("{:SEVERITY_WIDTH$}", severity_word(Severity::Ok));
        let word = paint(&word, colour_of(Severity::Ok), style);
        let _ = writeln!(out, "{word}{GAP}{}", folded(&ok, style.now));
    }
    let summary = Summary::of(all.iter().map(|row| row.judged)).to_string();
    let worst = results
        .iter()
        .map(Judged::severity)
        .max()
        .unwrap_or(Severity::Unknown);
    for line in wrap(&summary, style.width) {
        let _ = writeln!(out, "{}", paint(&line, colour_of(worst), style));
    }
    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    for vantage in all.iter().flat_map(|row| &row.agreeing) {
        *same.entry(vantage).or_default() += 1;
    }
    for (vantage, count) in same {
        let _ = writeln!(out, "`{vantage}` sees the same as we do at {count} of them");
    }
    out
}

/// Formats ok rows in one line: their number, and the expiry that is first.
fn folded(ok: &[&Row<'_>], now: Timestamp) -> String {
    let ends = ok
        .iter()
        .filter_map(|row| match &row.judged.observation.outcome {
            Outcome::Served(served) => served.leaf.facts().ok().map(|facts| facts.not_after),
            Outcome::Told(_) | Outcome::Failed(_) => None,
        });
    let first = ends
        .min()
        .map(|end| format!(", all at least {}", until(end, now)));
    format!("{} ok{}", ok.len(), first.unwrap_or_default())
}

/// Formats one probe in one line, without a width limit.
pub fn line(judged: &Judged, style: &Style) -> String {
    let row = Row::new(judged);
    let severity = judged.severity();
    let word = format!("{:SEVERITY_WIDTH$}", severity_word(severity));
    format!(
        "{}{GAP}{} {}{GAP}{}",
        paint(&word, colour_of(severity), style),
        row.host,
        row.address,
        what(&row, style.now)
    )
}

/// Formats the codes of the findings. Without findings, formats the error or the expiry.
fn what(row: &Row<'_>, now: Timestamp) -> String {
    let mut what = match &row.judged.verdict {
        _ if !row.judged.findings.is_empty() => {
            let codes = row.judged.findings.iter().map(|f| f.code().name());
            let mut codes: Vec<_> = codes.collect();
            codes.dedup();
            codes.join(", ")
        }
        Verdict::Inconclusive(error) => error.kind.name().to_owned(),
        Verdict::Conclusive(_) => match &row.judged.observation.outcome {
            Outcome::Served(served) => served.leaf.facts().map_or_else(
                |malformed| malformed.to_string(),
                |facts| until(facts.not_after, now),
            ),
            Outcome::Told(_) | Outcome::Failed(_) => "the right certificate".into(),
        },
    };
    if !row.judged.observation.vantage.is_local() {
        let _ = write!(what, " (seen from {})", row.judged.observation.vantage);
    }
    what
}

/// Formats an expiry, with the remaining days if there is at least one.
pub(super) fn until(end: Timestamp, now: Timestamp) -> String {
    match end.seconds_since(now) / DAY {
        0 => format!("until {end}"),
        1 => format!("until {}, 1 day", end.date()),
        days => format!("until {}, {days} days", end.date()),
    }
}

pub(super) fn severity_word(severity: Severity) -> String {
    match severity {
        Severity::Ok | Severity::Info => severity.name().to_owned(),
        Severity::Warning | Severity::Unknown | Severity::Critical => {
            severity.name().to_ascii_uppercase()
        }
    }
}

/// Returns the width of the widest cell. Cells over the maximum are ignored, so that a few long
/// names do not widen the column.
fn column_width<'a>(heading: &str, cells: impl Iterator<Item = &'a str>, most: usize) -> usize {
    let fitting = cells.map(display_width).filter(|width| *width <= most);
    fitting.fold(heading.len(), usize::max)
}

fn write_wrapped(out: &mut String, text: &str, style: &Style) {
    let continued = format!("{INDENT}  ");
    let options = Options::new(style.width)
        .initial_indent(INDENT)
        .subsequent_indent(&continued)
        // A hostname with hyphens must stay on one line, so that users can copy it.
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    for line in wrap(text, options) {
        let _ = writeln!(out, "{line}");
    }
}

pub(super) const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const MAGENTA: &str = "35";

pub(crate) fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok | Severity::Info => GREEN,
        Severity::Warning => YELLOW,
        Severity::Unknown => MAGENTA,
        Severity::Critical => RED,
    }
}

/// Select Graphic Rendition (ECMA-48, section 8.3.117).
pub(crate) fn paint(text: &str, code: &str, style: &Style) -> String {
    if style.colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
