//! A table for people: what is wrong first, each thing in one line, with its hint under it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter, wrap};

use crate::finding::Severity;
use crate::judge::{Judged, Verdict, agree};
use crate::model::Timestamp;
use crate::observation::Outcome;

use super::Summary;

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
    let mut rows = rows(results);
    rows.sort_by_key(|row| Reverse(row.judged.severity()));
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
        let what = row.what(style.now);
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
        if let Verdict::Inconclusive(error) = &row.judged.verdict
            && row
                .judged
                .findings
                .iter()
                .all(|f| !f.message.contains(&error.message))
        {
            write_wrapped(&mut out, &error.message, style);
        }
        for finding in &row.judged.findings {
            // The first is as bad as the row says; the others may be less so.
            let message = if finding.severity == severity {
                finding.message.clone()
            } else {
                format!("{}: {}", finding.severity, finding.message)
            };
            write_wrapped(&mut out, &message, style);
            if !finding.hint.is_empty() {
                write_wrapped(&mut out, &format!("fix: {}", finding.hint), style);
            }
        }
    }
    let Summary {
        endpoints,
        ok,
        warning,
        critical,
        unknown,
    } = Summary::of(rows.iter().map(|row| row.judged));
    let summary = format!(
        "{endpoints} endpoint{}: {critical} critical, {unknown} unknown, {warning} warning, {ok} ok",
        if endpoints == 1 { "" } else { "s" }
    );
    let worst = results
        .iter()
        .map(Judged::severity)
        .max()
        .unwrap_or(Severity::Unknown);
    let _ = writeln!(out, "{}", paint(&summary, colour_of(worst), style));
    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    for vantage in rows.iter().flat_map(|row| &row.agreeing) {
        *same.entry(vantage).or_default() += 1;
    }
    for (vantage, count) in same {
        let _ = writeln!(out, "`{vantage}` sees the same as we do at {count} of them");
    }
    out
}

/// One line of the table: a look, with the looks from elsewhere that saw the same.
struct Row<'a> {
    judged: &'a Judged,
    host: String,
    address: String,
    /// The other vantages that agree.
    agreeing: Vec<&'a str>,
}

/// A remote look that agrees with ours has nothing to add to it but its name.
fn rows(results: &[Judged]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(results.len());
    let (local, remote): (Vec<&Judged>, Vec<&Judged>) = results
        .iter()
        .partition(|j| j.observation.vantage.is_local());
    for judged in local {
        rows.push(Row::new(judged));
    }
    let own = rows.len();
    for judged in remote {
        let same = rows.iter_mut().take(own).find(|row| {
            let (a, b) = (&row.judged.observation, &judged.observation);
            a.target == b.target && a.ip == b.ip && agree(row.judged, judged)
        });
        match same {
            Some(row) => row.agreeing.push(judged.observation.vantage.as_str()),
            None => rows.push(Row::new(judged)),
        }
    }
    rows
}

impl<'a> Row<'a> {
    fn new(judged: &'a Judged) -> Self {
        let observation = &judged.observation;
        let port = observation.target.port;
        Self {
            judged,
            host: observation.target.hostname.to_string(),
            address: match observation.ip {
                Some(ip) => SocketAddr::new(ip, port).to_string(),
                None => format!("port {port}"),
            },
            agreeing: Vec::new(),
        }
    }

    /// The codes of what was found; else the error, or until when all is well.
    fn what(&self, now: Timestamp) -> String {
        let mut what = match &self.judged.verdict {
            _ if !self.judged.findings.is_empty() => {
                let codes = self.judged.findings.iter().map(|f| f.code.name());
                let mut codes: Vec<_> = codes.collect();
                codes.dedup();
                codes.join(", ")
            }
            Verdict::Inconclusive(error) => error.kind.name().to_owned(),
            Verdict::Conclusive(_) => match &self.judged.observation.outcome {
                Outcome::Served(served) => served.leaf.facts().map_or_else(
                    |malformed| malformed.to_string(),
                    |facts| until(facts.not_after, now),
                ),
                Outcome::Told(_) | Outcome::Failed(_) => "the right certificate".into(),
            },
        };
        if !self.judged.observation.vantage.is_local() {
            let _ = write!(what, " (seen from {})", self.judged.observation.vantage);
        }
        what
    }
}

fn until(end: Timestamp, now: Timestamp) -> String {
    const DAY: i64 = 86_400;
    match end.seconds_since(now) / DAY {
        0 => format!("until {end}"),
        1 => format!("until {}, 1 day", end.date()),
        days => format!("until {}, {days} days", end.date()),
    }
}

fn severity_word(severity: Severity) -> String {
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

const BOLD: &str = "1";
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
