//! A table for people: what is wrong first, each thing in one line, with its hint under it.

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

/// How the table is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns, at the most.
    pub width: usize,
    /// Whether to use colours.
    pub colour: bool,
    /// The time that days are counted from.
    pub now: Timestamp,
}

/// Findings stand under the host, behind the column of severities.
const INDENT: &str = "          ";
/// No severity's name is longer.
const SEVERITY_WIDTH: usize = 8;
const GAP: &str = "  ";

/// The results as a table with a summary as its last line.
pub fn human(results: &[Judged], style: &Style) -> String {
    let rows = rows(results);
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
    for row in &rows {
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
            // The first has the severity of the row; the others may be less severe.
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
    let summary = Summary::of(rows.iter().map(|row| row.judged)).to_string();
    let worst = results
        .iter()
        .map(Judged::severity)
        .max()
        .unwrap_or(Severity::Unknown);
    for line in wrap(&summary, style.width) {
        let _ = writeln!(out, "{}", paint(&line, colour_of(worst), style));
    }
    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    for vantage in rows.iter().flat_map(|row| &row.agreeing) {
        *same.entry(vantage).or_default() += 1;
    }
    for (vantage, count) in same {
        let _ = writeln!(out, "`{vantage}` sees the same as we do at {count} of them");
    }
    out
}

/// A look in one line, of any width.
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

/// The codes of what was found; else the error, or until when all is well.
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

/// Until when all is well, with the days while there are any.
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

/// As wide as its widest cell; a few long names do not push everything else aside.
fn column_width<'a>(heading: &str, cells: impl Iterator<Item = &'a str>, most: usize) -> usize {
    let fitting = cells.map(display_width).filter(|width| *width <= most);
    fitting.fold(heading.len(), usize::max)
}

fn write_wrapped(out: &mut String, text: &str, style: &Style) {
    let continued = format!("{INDENT}  ");
    let options = Options::new(style.width)
        .initial_indent(INDENT)
        .subsequent_indent(&continued)
        // A host name has hyphens, and is to be copied whole.
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
